"""The generator beside a plain one: `python -m tests.qa_gen.benchmark_plain STORE`, from the root of a clone.

The plain one asks the same questions about the same marks, one object at a time: the oracle's truth (plain Python, cached by log
and frame), `str.replace` for the text, SHA-256 for the id, a dict a row, `pa.Table.from_pylist`. Both have the tables in memory
and write Parquet; one process, one thread.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from drive_vqa.schema import QUESTIONS
from drive_vqa.store import Store
from qa_gen.ask import ask
from qa_gen.catalogue import TYPES
from qa_gen.config import GenerateConfig
from qa_gen.drive import join_drives, read_drive
from tests.qa_gen.oracle.case import Case, NotAsked, OnTheEdge
from tests.qa_gen.oracle.check import CATALOGUE
from tests.qa_gen.oracle.raw import RawLog

Row = dict[str, Any]
FIELDS = {field.name for field in QUESTIONS.field("truth").type}


def plain_questions(log: RawLog, asked: Sequence[Row]) -> list[Row]:
    """The rows once more, each from its type, form, group and marks alone."""
    rows = []
    for row in asked:
        kind = TYPES[row["type"]]
        try:
            truth = CATALOGUE[row["type"]][3](Case(log, log.groups[row["group_id"]], row))
        except (NotAsked, OnTheEdge):
            truth = {}
        text = kind.wordings[row["template"] % len(kind.wordings)]
        for role, mark in zip(("{a}", "{b}", "{c}"), row["marks"], strict=False):
            text = text.replace(role, f"Region {mark}")
        text = text.replace("{p}", row["parameter"] or "")
        answer = ", ".join(str(value) for value in truth.values())
        qa_id = hashlib.sha256(f"{row['group_id']}{row['type']}{text}".encode()).hexdigest()[:16]
        typed = {name: value for name, value in truth.items() if name in FIELDS}
        rows.append({**row, "qa_id": qa_id, "question": text, "answer": answer, "truth": {**row["truth"], **typed}})
    return rows


def main() -> None:
    """Print questions a second of both, and the ratio."""
    store = Store.open(Path(sys.argv[1]))
    log_ids = store.log_ids("questions")
    needs_images = store.manifest()["steps"]["generate"]["need_images"]
    drives = [read_drive(store, log_id) for log_id in log_ids]
    drives = [drive for drive in drives if drive.pictures.keys() == drives[0].pictures.keys()]
    logs = [RawLog(store.root, drive.log_ids[0]) for drive in drives]
    asked = [store.read("questions", drive.log_ids[0]).to_pylist() for drive in drives]
    config = GenerateConfig(need_images=needs_images)
    with tempfile.TemporaryDirectory() as folder:
        out = Store(Path(folder))
        ask(drives[0], ["train"], config)  # texts are cut once a process
        started = time.process_time()
        _, questions = ask(join_drives(drives), ["train"] * len(drives), config)
        out.write("questions", "columns", questions, "benchmark")
        columns_s = (time.process_time() - started) / questions.num_rows
        started = time.process_time()
        rows = [row for log, own in zip(logs, asked, strict=True) for row in plain_questions(log, own)]
        out.write("questions", "plain", pa.Table.from_pylist(rows, schema=QUESTIONS), "benchmark")
        plain_s = (time.process_time() - started) / len(rows)
    print(f"{'':<22} {'questions':>10} {'a second':>10}")
    print(f"{'columns (qa_gen)':<22} {questions.num_rows:>10,} {1 / columns_s:>10,.0f}")
    print(f"{'plain, object by object':<22} {len(rows):>9,} {1 / plain_s:>10,.0f}")
    print(f"columns are {plain_s / columns_s:.0f} times as fast ({len(drives)} logs)")


if __name__ == "__main__":
    main()
