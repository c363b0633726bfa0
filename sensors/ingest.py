"""The step `ingest`: driving logs of one source folder → the tables of a store that `DrivingLog` has."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pyarrow as pa

from drive_vqa.errors import ConfigError
from drive_vqa.executor import Summary, map_logs, write_errors
from drive_vqa.schema import LOGS
from drive_vqa.store import Store, fingerprint, relative_source
from sensors.driving_log import LOG_TABLES
from sensors.reader import LogHandle, list_logs, read_log
from sensors.resample import resample

STEP = "ingest"
MIN_RATE_HZ, MAX_RATE_HZ = 0.1, 100.0
DATA_TABLES = tuple(name for name in LOG_TABLES if name != "logs")


def ingest(
    source: Path,
    source_format: str,
    store_root: Path,
    *,
    version: str | None = None,
    rate_hz: float | None = None,
    workers: int | None = None,
) -> Summary:
    """Read every log of a source into a store; logs that are there already are skipped.

    Args:
        source: folder of the logs; its images and point clouds are referenced, never copied.
        source_format: key of `sensors.reader.FORMATS`.
        store_root: made where absent.
        version: nuScenes: which of several version folders.
        rate_hz: resample to this rate; None: frames as recorded.
        workers: processes; default the number of cores.

    Returns:
        What became of each log; failures are also in `errors-ingest.jsonl` of the store.

    Raises:
        ConfigError: the format is unknown.
        LogFormatError: the source as a whole cannot be read; nothing is written then.
        StoreError: `store_root` holds something else.
    """
    handles = list_logs(source, source_format, version)
    _check_rate(rate_hz)
    store = Store.create(store_root)
    summary = map_logs(partial(_ingest_log, store=store, rate_hz=rate_hz), handles, step=STEP, workers=workers)
    write_errors(store.root / f"errors-{STEP}.jsonl", summary)
    root = relative_source(source, store.root)
    store.write_manifest(STEP, {"source_format": source_format, "source_root": root, "rate_hz": rate_hz})
    return summary


def _check_rate(rate_hz: float | None) -> None:
    if rate_hz is not None and not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise ConfigError(f"--rate-hz must be between {MIN_RATE_HZ} and {MAX_RATE_HZ}, is {rate_hz}")


def _ingest_log(handle: LogHandle, store: Store, rate_hz: float | None) -> bool:
    source_root = relative_source(handle.root, store.root)
    config, inputs = {"source_format": handle.source_format, "rate_hz": rate_hz}, {"source": handle.digest}
    made_from = {table: fingerprint(STEP, config, inputs) for table in DATA_TABLES}
    made_from["logs"] = fingerprint(
        STEP, {**config, "source_root": source_root}, inputs
    )  # last: it marks the log as present
    if all(store.is_current(table, handle.log_id, made_from[table]) for table in made_from):
        return False
    log = read_log(handle) if rate_hz is None else resample(read_log(handle), rate_hz)
    tables = {table: getattr(log, table) for table in DATA_TABLES} | {"logs": _located(log.logs, source_root)}
    for table, data in tables.items():
        store.write(table, handle.log_id, data, made_from[table])
    return True


def _located(logs: pa.Table, source_root: str) -> pa.Table:
    """The table `logs` with the source's place relative to the store."""
    index = LOGS.get_field_index("source_root")
    return logs.set_column(index, LOGS.field(index), pa.array([source_root] * logs.num_rows, pa.string()))
