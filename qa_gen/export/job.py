"""One export: where it goes, what it holds, and where the work of each log is kept until all are joined.

    OUT/.parts/run.json            fingerprint of the export that is under way
    OUT/.parts/logs/<log_id>/      what a log adds to the files of the export
    OUT/.parts/logs/<log_id>/done  the log is finished: its counts
    OUT/export.json                the export is finished: its fingerprint and counts; written last

A killed export goes on where it was: a log without `done` is made anew. Images and shards that belong to one log alone are
written in place, complete or not at all.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from drive_vqa.config import to_dict
from drive_vqa.errors import ConfigError, StoreError
from drive_vqa.store import Store, fingerprint, write_json
from qa_gen.export.trace_settings import TraceSettings

PARTS, DONE, RUN, END = ".parts", "done", "run.json", "export.json"
LEFT = f".*.{'[0-9a-f]' * 12}.tmp"
"""Temporary files, see `drive_vqa.store.replacing`."""
VERSION = 2
"""Raised when the content of an export changes, so that an unfinished one of an older program is not gone on with."""

SPLIT = re.compile(r"[a-z][a-z0-9_]{0,30}")
SIDE_PX = (28, 8192)
"""Least and greatest side of an exported image; the least is one token of Qwen2.5-VL."""


@dataclass(frozen=True)
class Job:
    """What is exported, and where to; small and picklable.

    Attributes:
        store: with `groups` and `questions`.
        to: name of the format.
        out: folder.
        splits: that are exported, in order.
        size_px: (width, height) of exported images; None: as they are.
        traces: what the assistant says is a reasoning trace; None: the short answer.
    """

    store: Store
    to: str
    out: Path
    splits: tuple[str, ...]
    size_px: tuple[int, int] | None = None
    traces: TraceSettings | None = None

    def __post_init__(self) -> None:
        bad = next((split for split in self.splits if not SPLIT.fullmatch(split)), None)
        if bad is not None:
            raise ConfigError(f"split {bad!r} cannot name a file: use small letters, digits and _ only")
        if self.size_px is not None and not all(SIDE_PX[0] <= side <= SIDE_PX[1] for side in self.size_px):
            given = f"{self.size_px[0]}x{self.size_px[1]}"
            raise ConfigError(f"--size {given}: each side must be between {SIDE_PX[0]} and {SIDE_PX[1]} pixels")

    @property
    def parts(self) -> Path:
        """Where unfinished work lies."""
        return self.out / PARTS


@dataclass(frozen=True)
class LogJob:
    """One log of an export: what `drive_vqa.executor.map_logs` hands to a worker.

    Attributes:
        job: the whole.
        log_id: the log.
        number: its place among all logs of the store, from 0: numbers what other tools want numbered.
        splits: of its questions, those that are exported.
    """

    job: Job
    log_id: str
    number: int
    splits: tuple[str, ...]

    @property
    def parts(self) -> Path:
        """Where what this log adds lies."""
        return self.job.parts / "logs" / self.log_id

    @property
    def is_done(self) -> bool:
        """Whether the log is finished."""
        return (self.parts / DONE).exists()

    def counts(self) -> dict[str, Any]:
        """The counts of the finished log."""
        content: dict[str, Any] = json.loads((self.parts / DONE).read_text(encoding="utf-8"))
        return content

    def mark_done(self, counts: Mapping[str, Any]) -> None:
        """Say that the log is finished."""
        write_json(self.parts / DONE, counts)

    def shard(self, folder: str, split: str) -> Path:
        """Its file of a split that is kept as one file a log."""
        return self.job.out / folder / split / f"{self.log_id}.parquet"


def plan(
    store: Store,
    to: str,
    out: Path,
    splits: Sequence[str],
    usual: Sequence[str],
    size_px: tuple[int, int] | None,
    traces: TraceSettings | None = None,
) -> tuple[Job, list[LogJob]]:
    """Look which logs have questions of which split.

    Args:
        store: with `groups` and `questions`.
        to: name of the format.
        out: folder.
        splits: wanted; empty: all of `usual` that are there.
        usual: what the format is for; empty: all.
        size_px: (width, height) of exported images.
        traces: what the assistant says; None: the short answer.

    Returns:
        The export, and the work of each log that has a part in it, in log order.

    Raises:
        StoreError: there are no questions, or none of a wanted split.
        ConfigError: a split or the size cannot be.
    """
    log_ids = store.log_ids("questions")
    if not log_ids:
        raise StoreError(f"{store.root} has no questions yet: run `drive-vqa generate {store.root}`")
    has = {
        log_id: set(pc.unique(store.read("questions", log_id, ["split"])["split"].drop_null()).to_pylist())
        for log_id in log_ids
    }
    there = sorted(set().union(*has.values()))
    wanted = list(dict.fromkeys(splits)) or [split for split in usual or there if split in there]
    missing = [split for split in wanted if split not in there]
    if missing or not wanted:
        lacks = f"split {missing[0]!r}" if missing else f"any of the splits {', '.join(usual)}"
        raise StoreError(f"{store.root} has no questions of {lacks}; it has {', '.join(there)}: choose by --split")
    job = Job(store, to, out, tuple(wanted), size_px, traces)
    split_of = {log_id: tuple(split for split in wanted if split in has[log_id]) for log_id in log_ids}
    logs = [LogJob(job, log_id, number, split_of[log_id]) for number, log_id in enumerate(log_ids) if split_of[log_id]]
    return job, logs


def begin(job: Job) -> bool:
    """Make the folder ready, or go on with an export that was stopped; False where it is finished.

    Raises:
        StoreError: the folder holds something else.
    """
    key = _fingerprint(job)
    end, run = job.out / END, job.parts / RUN
    found = next((_key_of(path) for path in (end, run) if path.exists()), None)
    if found is None and job.out.exists() and any(path.name != PARTS for path in _entries(job.out)):
        raise StoreError(f"{job.out} is not empty and holds no export of ours: choose a new folder by --out")
    if found not in (None, key):
        raise StoreError(f"{job.out} holds an export of other questions or settings: choose a new folder by --out")
    if end.exists():
        shutil.rmtree(job.parts, ignore_errors=True)
        return False
    job.parts.mkdir(parents=True, exist_ok=True)
    write_json(run, {"fingerprint": key})
    return True


def end(job: Job, counts: Mapping[str, Any]) -> None:
    """Say that the whole export is finished and clear away what it needed meanwhile."""
    content = {"to": job.to, **_settings(job), "fingerprint": _fingerprint(job)}
    for left in job.out.rglob(LEFT):  # of a process that was killed while it wrote
        left.unlink(missing_ok=True)
    write_json(job.out / END, {**content, "counts": counts})
    shutil.rmtree(job.parts)


def _entries(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise StoreError(f"{folder} is a file: choose a new folder by --out")
    return list(folder.iterdir())


def _fingerprint(job: Job) -> str:
    """Of everything that the content of the export depends on."""
    tables = [(table, log) for log in job.store.log_ids("questions") for table in ("logs", "groups", "questions")]
    if job.traces is not None:  # a log that lacks one fails by itself
        files = [(table, log) for _, log in tables[::3] for table in ("frames", "tracks")]
        tables += [(table, log) for table, log in files if job.store.path(table, log).exists()]
    made_of = {f"{table}/{log}": job.store.digest(table, log) for table, log in tables}
    return fingerprint("export", {"to": job.to, "version": VERSION, **_settings(job)}, made_of)


def _settings(job: Job) -> dict[str, Any]:
    """What was chosen, ready for JSON."""
    size = None if job.size_px is None else list(job.size_px)
    traces = None if job.traces is None else to_dict(job.traces)
    return {"splits": list(job.splits), "size_px": size, "traces": traces}


def _key_of(path: Path) -> str:
    try:
        key = json.loads(path.read_text(encoding="utf-8"))["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path} cannot be read ({error}): choose a new folder by --out") from error
    return str(key)
