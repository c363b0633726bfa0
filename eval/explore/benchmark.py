"""How long it takes to find questions: `python -m eval.explore.benchmark [--logs 1000] [--questions 1000000]`.

Writes logs and questions into a temporary folder and asks for a page of those that fit a filter, as the page does, with all
fitting ones counted. Beside it the plain way: all questions read into one pandas table, then filtered. CPU time, median of three.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from drive_vqa.schema import QUESTIONS, table_from_rows
from drive_vqa.store import Store
from eval.explore.drives import list_logs
from eval.explore.questions import Place, Wanted, find

ASKED_OF_LOG = 10_000
REPEATS = 3
SEED = 0
VALUES = {
    "family": ("object", "ego", "future", "when_where"),
    "type": tuple(f"type_{number}" for number in range(128)),
    "form": ("open", "choice", "yes_no"),
    "split": ("train", "val", "test"),
    "question": tuple(f"How far away is Region {number % 10}, told in way {number}?" for number in range(500)),
}
FILTERS = {
    "a type": Wanted(equal={"type": "type_7"}),
    "family and split": Wanted(equal={"family": "future", "split": "test"}),
    "a text": Wanted(text="in way 123"),
}


def write_store(root: Path, logs: int, questions: int) -> Store:
    """A store with so many logs, the first of which hold the questions."""
    store, rng = Store.create(root), np.random.default_rng(SEED)
    for number in range(logs):
        log_id = f"log-{number:05d}"
        row = {"log_id": log_id, "recording": log_id, "source_format": "none", "source_root": "."}
        store.write("logs", log_id, table_from_rows("logs", [row]), "benchmark")
        count = min(ASKED_OF_LOG, questions - number * ASKED_OF_LOG)
        if count > 0:
            store.write("questions", log_id, _questions(log_id, count, rng), "benchmark")
    return store


def _questions(log_id: str, count: int, rng: np.random.Generator) -> pa.Table:
    drawn = {name: np.array(values)[rng.integers(len(values), size=count)] for name, values in VALUES.items()}
    drawn |= {"qa_id": [f"{log_id}-{number:06d}" for number in range(count)], "log_id": [log_id] * count}
    drawn |= {"frame": np.sort(rng.integers(200, size=count)), "answer": ["about 12 meters"] * count}
    columns = [pa.array(drawn[name], field.type) if name in drawn else pa.nulls(count, field.type) for name, field in
               zip(QUESTIONS.names, QUESTIONS, strict=True)]  # fmt: skip
    return pa.table(columns, schema=QUESTIONS)


def plain(store: Store, wanted: Wanted) -> int:
    """How many questions fit, found in a table of all."""
    table = store.read_all("questions").to_pandas()
    fits = np.ones(len(table), dtype=bool)
    for name, value in wanted.equal.items():
        fits &= (table[name] == value).to_numpy()
    if wanted.text:
        fits &= table["question"].str.contains(wanted.text, case=False, regex=False).to_numpy()
    return int(fits.sum())


def _median_s(action: Callable[[], object]) -> float:
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        action()
        times.append(time.process_time() - start)
    return statistics.median(times)


def main() -> None:
    """Write the store, and print a line a filter."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--logs", type=int, default=1000)
    parser.add_argument("--questions", type=int, default=1_000_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = write_store(Path(folder) / "store", arguments.logs, arguments.questions)
        listed_s = _median_s(partial(list_logs, store, "", 0, 100))
        print(
            f"{arguments.logs:,} logs, {arguments.questions:,} questions; a page of the list of logs: {listed_s:.3f} s"
        )
        for name, wanted in FILTERS.items():
            finding = partial(find, store, "", wanted, None, [], Place(), at_once_s=1e9)
            count, found_s = finding()["count"], _median_s(finding)
            if count != plain(store, wanted):
                raise SystemExit(f"{name}: the plain way finds other questions")
            plain_s = _median_s(partial(plain, store, wanted))
            print(
                f"{name}: {count:,} fit; {found_s:.2f} s, plain {plain_s:.2f} s, {plain_s / found_s:.1f} times as fast"
            )


if __name__ == "__main__":
    main()
