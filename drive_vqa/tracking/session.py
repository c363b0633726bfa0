"""Opening and ending a run."""

from __future__ import annotations

import logging
import os
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from drive_vqa.errors import ConfigError
from drive_vqa.tracking import patience
from drive_vqa.tracking.begun import Begun, read_begun
from drive_vqa.tracking.delivery import Delivery
from drive_vqa.tracking.failures import passes, redacted
from drive_vqa.tracking.journal import Journal
from drive_vqa.tracking.names import URI_VARIABLE, default_uri
from drive_vqa.tracking.run import Record, TrackedRun, now_ms
from drive_vqa.tracking.server import Server
from drive_vqa.tracking.system_metrics import system_metrics as sampled

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Open:
    """The run that is open in this thread."""

    uri: str
    key: str


_OPEN: ContextVar[_Open | None] = ContextVar("_OPEN", default=None)


@contextmanager
def mlflow_run(
    output: Path,
    name: str,
    *,
    tracking_uri: str | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    resume: bool = False,
    system_metrics: bool = False,
) -> Iterator[TrackedRun]:
    """Open a run; it ends as FINISHED, or as FAILED when the block raises.

    A run that is opened inside another one, in the same store, becomes a nested run of it. Of the processes that train together
    (`RANK` of torchrun), only the first records anything.

    Args:
        output: the step's output folder; holds the default SQLite store.
        name: of the run.
        tracking_uri: any MLflow tracking URI; default: that of the run around this one, else `MLFLOW_TRACKING_URI`, else
            `sqlite:///OUTPUT/mlflow.db`.
        params: flat settings.
        tags: labels, e.g. the data set's digest.
        resume: go on with the run that was begun in this folder, where the store still has it.
        system_metrics: record how busy the machine is.

    Raises:
        ConfigError: there is no MLflow store at `tracking_uri`. A server that does not answer is no error: what is recorded
            waits in the output folder until it does.
    """
    if not _is_first_process() or not _has_mlflow():
        yield TrackedRun(_nowhere)
        return
    outer = _OPEN.get()
    uri = tracking_uri or (outer.uri if outer else None) or os.environ.get(URI_VARIABLE) or default_uri(output)
    server = Server(uri)
    output.mkdir(parents=True, exist_ok=True)
    begun = (read_begun(output, uri) if resume else None) or Begun(output, uri, uuid.uuid4().hex)
    journal, header = _journal(begun, name, outer.key if outer is not None and outer.uri == uri else None)
    with patience.short(), _delivered(Delivery(server, journal, header, begun.opened), journal, begun) as delivery:
        run = TrackedRun(_recorder(journal, delivery), _last_steps(server, journal, delivery) if resume else None)
        run.log_params(params or {})
        run.set_tags(tags or {})
        with _inside(_Open(uri, begun.key)), sampled(run, uri) if system_metrics else nullcontext():
            yield run


@contextmanager
def _delivered(delivery: Delivery, journal: Journal, begun: Begun) -> Iterator[Delivery]:
    """Send while the block runs, and what is left at its end."""
    try:
        delivery.open()
    except ConfigError:
        if delivery.has_news:  # an earlier call left what has not arrived yet
            journal.close()
        else:
            journal.delete()
        raise
    if delivery.run_id is None:
        begun.save()
    delivery.start()
    status = "FAILED"
    try:
        yield delivery
        status = "FINISHED"
    finally:
        journal.append({"kind": "end", "status": status, "timestamp_ms": now_ms()})
        _end(delivery, journal, redacted(begun.uri))


def _end(delivery: Delivery, journal: Journal, uri: str) -> None:
    if delivery.close():
        journal.delete()
        return
    journal.close()
    command = f"python -m drive_vqa.tracking.replay {journal.path} --tracking-uri {uri}"
    logger.warning("not everything of this run has arrived in MLflow; to send it later: %s", command)


@contextmanager
def _inside(run: _Open) -> Iterator[None]:
    """Runs that are opened in this block are nested in this one."""
    token = _OPEN.set(run)
    try:
        yield
    finally:
        _OPEN.reset(token)


def _recorder(journal: Journal, delivery: Delivery) -> Callable[[Record], None]:
    def record(one: Record) -> None:
        journal.append(one)
        delivery.wake()

    return record


def _journal(begun: Begun, name: str, parent: str | None) -> tuple[Journal, Record]:
    """The file of this run and its first line; when a run is taken up again, what it had not sent is still in there."""
    journal = Journal(begun.journal)
    header: Record = {"kind": "run", "key": begun.key, "name": name, "started_ms": now_ms(), "parent": parent}
    if journal.size == 0:
        journal.append(header)
        return journal, header
    try:
        return journal, {**journal.header(), "parent": parent}
    except ConfigError:
        journal.close()
        raise


def _last_steps(server: Server, journal: Journal, delivery: Delivery) -> dict[str, int]:
    """The last step of each metric that was recorded before, as far as is known here and in the store."""
    steps: dict[str, int] = {}
    for record, _ in journal.read(0, sys.maxsize):
        for name in record.get("metrics", ()):
            steps[name] = max(steps.get(name, 0), int(record["step"]))
    for name, step in _steps_there(server, delivery.run_id).items():
        steps[name] = max(steps.get(name, 0), step)
    return steps


def _steps_there(server: Server, run_id: str | None) -> dict[str, int]:
    try:
        return {} if run_id is None else server.last_steps(run_id)
    except Exception as error:
        if passes(error):  # then a few steps may come twice
            return {}
        raise


def _is_first_process() -> bool:
    return os.environ.get("RANK", "0") == "0"


def _has_mlflow() -> bool:
    if find_spec("mlflow") is None:
        logger.warning("mlflow is not installed: nothing is tracked (pip install mlflow)")
        return False
    import mlflow  # noqa: F401 - it sets its loggers to INFO, so this has to be before the next line

    for library in ("mlflow", "alembic"):
        logging.getLogger(library).setLevel(logging.WARNING)
    return True


def _nowhere(_record: Record) -> None:
    pass
