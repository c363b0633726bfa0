"""Generate the questions of a store: the `groups` and `questions` tables of every log that has tracks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from drive_vqa.config import to_dict
from drive_vqa.executor import Summary, map_logs, write_errors
from drive_vqa.store import Store, fingerprint
from qa_gen.ask import ask
from qa_gen.catalogue import TYPES
from qa_gen.config import GenerateConfig
from qa_gen.counts import count_questions
from qa_gen.drive import Drive, cameras_of, join_drives, read_drive
from qa_gen.split import TIME_WITHIN_LOG, TRAIN_TIME_SHARE, SplitPlan, plan_splits

STEP = "generate"
INPUTS = ("frames", "sensor_data", "tracks")
OUTPUTS = ("groups", "questions")


BATCH_LOGS = 12
BATCH_BYTES = 4_000_000
"""Logs are worked on together, which is faster: up to so many, and so much of the tracks' files that memory stays small."""


@dataclass(frozen=True)
class _Task:
    """One log to ask about: small and picklable."""

    log_id: str
    split: str


@dataclass(frozen=True)
class _Batch:
    """Logs that are worked on together."""

    store: Store
    config: GenerateConfig
    bench_groups: int
    tasks: tuple[_Task, ...]

    @property
    def log_id(self) -> str:
        """Of the first; a batch is named by it."""
        return self.tasks[0].log_id

    def singles(self) -> list[_Batch]:
        """Each log alone."""
        return [replace(self, tasks=(task,)) for task in self.tasks]

    def in_parts(self, tasks: Sequence[_Task]) -> list[_Batch]:
        """Neighbours together, as many as are worked on in one go."""
        parts: list[list[_Task]] = []
        size = 0
        for task in tasks:
            path = self.store.path("tracks", task.log_id)
            own = path.stat().st_size if path.exists() else 0
            if not parts or size + own > BATCH_BYTES or len(parts[-1]) == BATCH_LOGS:
                parts.append([])
                size = 0
            parts[-1].append(task)
            size += own
        return [replace(self, tasks=tuple(part)) for part in parts]

    def is_current(self, task: _Task) -> bool:
        """Whether a log's tables are there, made from the same."""
        missing = not all(self.store.path(table, task.log_id).exists() for table in (*OUTPUTS, *INPUTS))
        if missing:
            return False
        key = self.fingerprint(task)
        return all(self.store.is_current(table, task.log_id, key) for table in OUTPUTS)

    def fingerprint(self, task: _Task) -> str:
        """What a log's tables are made from."""
        tables = [*INPUTS, *(("map_elements",) if self.store.path("map_elements", task.log_id).exists() else ())]
        made_of = {table: self.store.digest(table, task.log_id) for table in tables}
        versions = {name: kind.version for name, kind in TYPES.items()}
        bench = self.bench_groups if task.split in ("test", TIME_WITHIN_LOG) else 0
        settings = {**to_dict(self.config), "split": task.split, "bench": bench, "versions": versions}
        return fingerprint(STEP, settings, made_of)


def generate(
    store: Store,
    config: GenerateConfig,
    *,
    workers: int | None = None,
    executor: str = "local",
    address: str | None = None,
) -> Summary:
    """Write `groups` and `questions` of every log; logs whose questions are up to date are left alone.

    Args:
        store: with tracks (`drive-vqa fuse`).
        config: what is asked.
        workers: processes; the result does not depend on it.
        executor: local or ray, see `drive_vqa.executor.map_logs`.
        address: of the Ray cluster.

    Returns:
        What became of each log; failures are also in `errors-generate.jsonl`.
    """
    plan = plan_of_store(store, config)
    whole = _Batch(
        Store(store.root.resolve()),
        config,
        bench_groupsof_log(plan, config),
        tuple(_Task(log_id, split) for log_id, split in plan.split_of.items()),
    )
    batches = whole.in_parts([task for task in whole.tasks if not whole.is_current(task)])
    run = partial(
        map_logs, _generate_batch, workers=workers, executor=executor, address=address, shared=whole.store.root
    )
    together = run(batches, step=STEP)
    broken = [single for batch in batches if batch.log_id in _failed(together) for single in batch.singles()]
    alone = run(broken, step=f"{STEP} one by one") if broken else Summary((), ())
    summary = _joined(whole, together, alone, batches)
    _drop_stale(store, {*summary.done, *summary.skipped})
    write_errors(store.root / f"errors-{STEP}.jsonl", summary)
    split = {"rule": plan.rule, "train_time_share": TRAIN_TIME_SHARE, "logs": plan.split_of, "units": plan.units}
    store.write_manifest(STEP, {**to_dict(config), "split": split, "counts": count_questions(store)})
    return summary


def _drop_stale(store: Store, current: set[str]) -> None:
    """Old questions of logs that failed or are gone could be of another split than the manifest says."""
    for table in OUTPUTS:
        for log_id in set(store.log_ids(table)) - current:
            store.path(table, log_id).unlink()


def _failed(summary: Summary) -> set[str]:
    return {failure.log_id for failure in summary.failures}


def _joined(whole: _Batch, together: Summary, alone: Summary, batches: Sequence[_Batch]) -> Summary:
    """What became of each log: of those in a batch that failed, what became of them alone."""
    logs_of = {batch.log_id: [task.log_id for task in batch.tasks] for batch in batches}
    done = {log_id for name in together.done for log_id in logs_of[name]} | set(alone.done)
    touched = {log_id for log_ids in logs_of.values() for log_id in log_ids}
    ordered = [task.log_id for task in whole.tasks]
    return Summary(
        tuple(log_id for log_id in ordered if log_id in done),
        tuple(log_id for log_id in ordered if log_id not in touched),
        alone.failures,
    )


def plan_of_store(store: Store, config: GenerateConfig) -> SplitPlan:
    """Which split each log belongs to."""
    return plan_splits(
        store,
        seed=config.split_seed,
        val_fraction=config.val_fraction,
        test_fraction=config.test_fraction,
        place_overlap=config.place_overlap,
    )


def bench_groupsof_log(plan: SplitPlan, config: GenerateConfig) -> int:
    """How many groups of the bench each log of the test split is to give."""
    test_logs = sum(split in ("test", TIME_WITHIN_LOG) for split in plan.split_of.values())
    return -(-config.bench_groups // max(test_logs, 1))


def _generate_batch(batch: _Batch) -> bool:
    keys = {task: batch.fingerprint(task) for task in batch.tasks}
    for tasks, drive in _drives(batch.store, batch.tasks):
        splits = [task.split for task in tasks]
        groups, questions = ask(drive, splits, batch.config, bench_groups=batch.bench_groups)
        for name, table in (("groups", groups), ("questions", questions)):
            own = by_log(table)
            for task in tasks:
                batch.store.write(name, task.log_id, own.get(task.log_id, table.slice(0, 0)), keys[task])
    return True


def _drives(store: Store, tasks: Sequence[_Task]) -> Iterator[tuple[list[_Task], Drive]]:
    """Logs with the same cameras as one drive."""
    alike: dict[Any, list[tuple[_Task, Drive]]] = {}
    for task in tasks:
        drive = read_drive(store, task.log_id)
        alike.setdefault(cameras_of(drive), []).append((task, drive))
    for pairs in alike.values():
        yield [task for task, _ in pairs], join_drives([drive for _, drive in pairs])


def by_log(table: pa.Table) -> dict[str, pa.Table]:
    """The rows of each log, which stand together for each kind of group; logs without rows are left out."""
    if not table.num_rows:
        return {}
    names = table["log_id"].combine_chunks().dictionary_encode()
    codes = names.indices.to_numpy()
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    lengths = np.diff(starts, append=len(codes))
    parts: dict[str, list[pa.Table]] = {name: [] for name in names.dictionary.to_pylist()}
    for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
        parts[names.dictionary[int(codes[start])].as_py()].append(table.slice(start, length))
    # contiguous, so that a file has the same pages whatever logs were worked on together
    return {name: pa.concat_tables(own).combine_chunks() for name, own in parts.items()}
