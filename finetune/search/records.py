"""The file of found chains: Parquet, one row a chain. It also says which questions were searched, and how.

    qa_id, group_id, log_id        the question
    style                          direct | corrected
    text                           the trace in the dialect vigorl
    drive_text                     the trace in the dialect drive, where a point is of now: null where one is in an earlier image
    answer, answer_right           what the trace ends in, and whether `text`, read again, answers rightly
    points                         steps, each of which ends in a point
    points_checked, points_inside  of them, in images with marked boxes, and on what they speak of, see `verify`
    teacher, seed                  who proposed it, and the seed of the search

The file is written anew, whole, whenever some questions are done, and appears under its name only when complete.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from drive_vqa.errors import ConfigError, StoreError
from drive_vqa.locks import hold
from drive_vqa.store import replacing

CHAINS = pa.schema(
    [
        ("qa_id", pa.string()),
        ("group_id", pa.string()),
        ("log_id", pa.string()),
        ("style", pa.string()),
        ("text", pa.string()),
        ("drive_text", pa.string()),
        ("answer", pa.string()),
        ("answer_right", pa.bool_()),
        ("points", pa.int32()),
        ("points_checked", pa.int32()),
        ("points_inside", pa.int32()),
        ("teacher", pa.string()),
        ("seed", pa.int64()),
    ]
)
SEARCHED_KEY = b"drive_vqa.searched"
SETTINGS_KEY = b"drive_vqa.search_settings"


@dataclass(frozen=True, eq=False)
class Records:
    """What was found so far.

    Attributes:
        chains: of schema CHAINS.
        searched: ids of all questions that were searched, with or without success, in order.
        settings: how; what is added must be searched alike.
    """

    chains: pa.Table
    searched: tuple[str, ...]
    settings: Mapping[str, Any]

    def with_more(self, rows: Sequence[Mapping[str, Any]], searched: Sequence[str]) -> Records:
        """With the chains of more questions."""
        more = pa.Table.from_pylist([dict(row) for row in rows], schema=CHAINS)
        return Records(pa.concat_tables([self.chains, more]), (*self.searched, *searched), self.settings)


@contextmanager
def only_search(path: Path) -> Iterator[None]:
    """Hold a file of chains, as two searches would write over what the other has found; the system lets go when a process ends.

    Raises:
        ConfigError: another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(path.with_name(f".{path.name}.lock"), os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        hold(lock, f"another search is at work on {path}: wait for its end, or give another --out")
        yield
    finally:
        os.close(lock)


def begin_records(path: Path, settings: Mapping[str, Any]) -> Records:
    """What a file holds, to be gone on with; nothing where there is no file.

    Raises:
        ConfigError: the name does not end in .parquet, or the file was searched otherwise.
        StoreError: the file cannot be read.
    """
    if path.suffix != ".parquet":
        raise ConfigError(f"{path} must end in .parquet: chains are written as Parquet")
    if not path.exists():
        return Records(CHAINS.empty_table(), (), dict(settings))
    found = read_records(path)
    unlike = [name for name in {**settings, **found.settings} if found.settings.get(name) != settings.get(name)]
    if unlike:
        was, now = (given.get(unlike[0]) for given in (found.settings, settings))
        raise ConfigError(
            f"{path} was searched with {unlike[0]}={was!r}, not {now!r}: give another --out, or the same settings"
        )
    return found


def read_records(path: Path) -> Records:
    """Read a file of chains.

    Raises:
        StoreError: it is absent, damaged, or no such file.
    """
    try:
        table = pq.ParquetFile(path).read()
        metadata = table.schema.metadata or {}
        searched, settings = json.loads(metadata[SEARCHED_KEY]), json.loads(metadata[SETTINGS_KEY])
        table = table.replace_schema_metadata(None)
        if not table.schema.equals(CHAINS) or not isinstance(settings, dict):
            raise ValueError("its columns are others")
        return Records(table, tuple(str(qa_id) for qa_id in searched), settings)
    except (OSError, pa.ArrowException, ValueError, KeyError, TypeError) as error:
        why = " ".join(str(error).split())[:200]
        raise StoreError(f"{path} is no file of chains ({why}): make it with `drive-vqa search STORE --out`") from error


def write_records(path: Path, records: Records) -> None:
    """Write all, atomically."""
    metadata = {
        SEARCHED_KEY: json.dumps(records.searched).encode(),
        SETTINGS_KEY: json.dumps(dict(records.settings), sort_keys=True).encode(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        pq.write_table(records.chains.replace_schema_metadata(metadata), temporary, compression="zstd")
