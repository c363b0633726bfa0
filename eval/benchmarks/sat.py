"""SAT and SAT-2: multiple choice about space and motion, in one or two images (arXiv 2412.07755).

Data: one Parquet file of array/SAT-v2 (`data/test-00000-of-00001.parquet`) or array/SAT (`SAT_test.parquet`). Taken are
`question`, `answers` (the options), `correct_answer` (one of them) and `question_type`; the images are skipped. The data set
has no ids: a question's id is the number of its row, from 0.

Source: the cards of both data sets. An answer is an option's words, or its letter in the order of `answers`; who shuffles the
options must have the model name the words.
"""

from __future__ import annotations

from pathlib import Path

from eval.answers import Parsed
from eval.benchmarks.records import Record, read_parquet
from eval.benchmarks.tasks import Task, checked

COLUMNS = ("question", "answers", "correct_answer", "question_type")


def read(path: Path) -> list[Task]:
    """The questions of a file.

    Raises:
        RecordError: it cannot be read or does not have the layout.
    """
    records = read_parquet(path, COLUMNS)
    return checked([_task(record, str(number)) for number, record in enumerate(records)], path)


def _task(record: Record, number: str) -> Task:
    with record.making():
        return Task(
            number,
            record.text("question"),
            "choice",
            Parsed(choice=record.text("correct_answer")),
            number,
            record.texts("answers"),
            {"question_type": record.text("question_type")},
        )
