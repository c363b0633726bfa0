"""Generate the questions of a store: the `groups` and `questions` tables of every log that has tracks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from drive_vqa.config import to_dict
from drive_vqa.executor import Summary, map_logs, write_errors
from drive_vqa.schema import table_from_rows
from drive_vqa.store import Store, fingerprint
from qa_gen.ask import ask
from qa_gen.catalogue import TYPES
from qa_gen.config import GenerateConfig
from qa_gen.groups import group_row, make_groups
from qa_gen.moment import read_drive
from qa_gen.split import TRAIN_TIME_SHARE, split_logs, split_rule

STEP = "generate"
INPUTS = ("frames", "sensor_data", "tracks")
Row = dict[str, Any]


@dataclass(frozen=True)
class _Task:
    """One log to ask about: small and picklable."""

    store: Store
    log_id: str
    split: str
    config: GenerateConfig


def generate(store: Store, config: GenerateConfig, *, workers: int | None = None) -> Summary:
    """Write `groups` and `questions` of every log; logs whose questions are up to date are left alone.

    Args:
        store: with tracks (`drive-vqa fuse`).
        config: what is asked.
        workers: processes; the result does not depend on it.

    Returns:
        What became of each log; failures are also in `errors-generate.jsonl`.
    """
    splits = splits_of_store(store, config)
    tasks = [_Task(store, log_id, split, config) for log_id, split in splits.items()]
    summary = map_logs(_generate_log, tasks, step=STEP, workers=workers)
    write_errors(store.root / f"errors-{STEP}.jsonl", summary)
    split = {"rule": split_rule(list(splits)), "train_time_share": TRAIN_TIME_SHARE, "logs": splits}
    store.write_manifest(STEP, {**to_dict(config), "split": split})
    return summary


def _generate_log(task: _Task) -> bool:
    """Whether there was something to do."""
    store, log_id = task.store, task.log_id
    made_of = {table: store.digest(table, log_id) for table in INPUTS}
    versions = {name: kind.version for name, kind in TYPES.items()}
    key = fingerprint(STEP, {**to_dict(task.config), "split": task.split, "versions": versions}, made_of)
    if store.is_current("groups", log_id, key) and store.is_current("questions", log_id, key):
        return False
    groups, questions = rows_of_log(store, log_id, task.split, task.config)
    store.write("groups", log_id, table_from_rows("groups", groups), key)
    store.write("questions", log_id, table_from_rows("questions", questions), key)
    return True


def rows_of_log(store: Store, log_id: str, split: str, config: GenerateConfig) -> tuple[list[Row], list[Row]]:
    """Rows of the `groups` and of the `questions` table of one log.

    Args:
        store: with the log's tracks.
        log_id: the log.
        split: its split, see `qa_gen.split.split_logs`.
        config: what is asked.

    Raises:
        StoreError: a table is missing or contradicts itself.
        ConfigError: the log has no camera of a name that the config knows.
    """
    drive = read_drive(store, log_id, config.cameras)
    groups = make_groups(drive, split, config)
    questions = [row for group in groups for row in ask(group, drive, config)]
    return [group_row(group, log_id) for group in groups], questions


def splits_of_store(store: Store, config: GenerateConfig) -> dict[str, str]:
    """The split of every log."""
    fractions = {"val_fraction": config.val_fraction, "test_fraction": config.test_fraction}
    return split_logs(store.log_ids(), seed=config.split_seed, **fractions)
