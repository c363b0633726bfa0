"""BLINK: multiple choice in fourteen tasks that people solve at a glance (arXiv 2404.12390).

    accuracy_mean_of_tasks    mean of the tasks' accuracies, each counted once: the published total

Data: a Parquet file of BLINK-Benchmark/BLINK, or its folder, of which `*/val-*.parquet` are read. Taken are `idx` (the id, such
as `val_Counting_1`), `question`, `sub_task`, `choices` and `answer` (`(A)`); the images are skipped. The answers of the test
split are hidden, so it cannot be scored here.

Source: the benchmark's repository and `evaluate.py`, and descriptions of the columns; the published files were not at hand.
Published answers that no pattern reads are matched by a language model; here they are wrong.
"""

from __future__ import annotations

from pathlib import Path

from drive_vqa.errors import RecordError
from eval.answers import Parsed
from eval.benchmarks.options import option_of_letter
from eval.benchmarks.records import Record, read_parquet
from eval.benchmarks.scored import Metrics, Scored, mean_over_categories, overall
from eval.benchmarks.tasks import Task, checked

COLUMNS = ("idx", "question", "sub_task", "choices", "answer")
HIDDEN = "hidden"


def read(path: Path) -> list[Task]:
    """The questions of a file, or of the validation split of a folder.

    Raises:
        RecordError: it cannot be read, does not have the layout, or its answers are hidden.
    """
    files = sorted(path.glob("*/val-*.parquet")) if path.is_dir() else [path]
    return checked([_task(record) for file in files for record in read_parquet(file, COLUMNS)], path)


def metrics(scored: Scored) -> Metrics:
    """Accuracy over all questions, by task, and as the mean of the tasks."""
    yield from overall(scored)
    yield "accuracy_mean_of_tasks", mean_over_categories(scored, "sub_task")


def _task(record: Record) -> Task:
    if record.values.get("answer") == HIDDEN:
        raise RecordError(f"{record.where}: the answer is hidden: score the validation split")
    options = record.texts("choices")
    with record.making():
        return Task(
            record.text("idx"),
            record.text("question"),
            "choice",
            Parsed(choice=option_of_letter(record, "answer", options)),
            record.text("idx"),
            options,
            {"sub_task": record.text("sub_task")},
        )
