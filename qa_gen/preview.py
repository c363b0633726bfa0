"""Show questions without writing any."""

from __future__ import annotations

from collections import defaultdict

from drive_vqa.store import Store
from qa_gen.catalogue import TYPES
from qa_gen.config import GenerateConfig
from qa_gen.generate import Row, rows_of_log, splits_of_store


def preview(store: Store, config: GenerateConfig, n: int) -> str:
    """The text of `n` questions of the first logs: every type in turn, and within a type in the order of their ids.

    Raises:
        StoreError: a log has no tracks.
    """
    rows: list[Row] = []
    for log_id, split in splits_of_store(store, config).items():
        rows += rows_of_log(store, log_id, split, config)[1]
        if len(rows) >= n:
            break
    return "\n\n".join(_entry(row) for row in _type_after_type(rows)[:n])


def _type_after_type(rows: list[Row]) -> list[Row]:
    by_type: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: str(row["qa_id"])):
        by_type[row["type"]].append(row)
    ranked = [(rank, row) for name in TYPES for rank, row in enumerate(by_type[name])]
    return [row for _, row in sorted(ranked, key=lambda entry: entry[0])]


def _entry(row: Row) -> str:
    head = f"{row['family']} {row['type']}  {row['group_id']}  {row['split']}  {row['qa_id']}"
    return f"{head}\n  Q: {row['question']}\n  A: {row['answer']}"
