"""A lesson: questions about one group that are learned in one go, read from a store when it is asked for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from drive_vqa.region_forms import ASKS_CATEGORY, RegionForm, in_form, refer
from drive_vqa.store import Store

Row = dict[str, Any]

AnswerWriter = Callable[[Store, str, Mapping[str, Any], Mapping[str, Any]], str | None]
"""Store, log, group and question → what is learned in the place of the plain answer, None to leave the question out; picklable,
and says the same every time."""

PLAIN_COLUMNS = (
    "qa_id",
    "group_id",
    "family",
    "type",
    "form",
    "answer_type",
    "marks",
    "question",
    "options",
    "answer",
    "truth",
    "split",
)
"""What is read of a question whose plain answer is learned; the writers of other answers get the whole row."""

TABLE_BYTES = 128 * 1024**2
"""Tables of logs that a process keeps in memory, at most; the last one always stays."""


@dataclass(frozen=True)
class Lesson:
    """Questions about one group.

    Attributes:
        group: row of the `groups` table.
        questions: rows of the `questions` table as they are asked; `answer` is what is learned.
    """

    group: Row
    questions: tuple[Row, ...]


class Visit(NamedTuple):
    """One showing of a lesson.

    Attributes:
        lesson: its number in the index.
        visit: pass over the data, from 0.
    """

    lesson: int
    visit: int


Visits = tuple[Visit, ...]
"""Lessons that share a row."""


class LogTables(NamedTuple):
    """What a log has to teach."""

    questions: pa.Table
    groups: pa.Table


@dataclass(eq=False)
class LogReader:
    """Questions and groups of logs, the last used ones kept; each process has its own.

    Attributes:
        store: with both.
        columns: of the questions; None: all.
    """

    store: Store
    columns: Sequence[str] | None
    _kept: OrderedDict[str, LogTables] = field(default_factory=OrderedDict, repr=False)

    def tables(self, log_id: str) -> LogTables:
        """Both tables of a log."""
        if log_id not in self._kept:
            questions = self.store.read("questions", log_id, self.columns)
            self._kept[log_id] = LogTables(questions, self.store.read("groups", log_id))
            # only now, since sizes of nested tables take longer to add up than a group to read
            while len(self._kept) > 1 and self.kept_bytes() > TABLE_BYTES:
                self._kept.popitem(last=False)
        self._kept.move_to_end(log_id)
        return self._kept[log_id]

    def questions(self, log_id: str, rows: Sequence[int] | np.ndarray) -> list[Row]:
        """Rows of the `questions` table."""
        found: list[Row] = self.tables(log_id).questions.take(pa.array(rows, pa.int64())).to_pylist()
        return found

    def group(self, log_id: str, row: int) -> Row:
        """A row of the `groups` table."""
        found: Row = self.tables(log_id).groups.slice(row, 1).to_pylist()[0]
        return found

    def kept_bytes(self) -> int:
        """Size of what is kept."""
        return sum(table.nbytes for tables in self._kept.values() for table in tables)

    def __getstate__(self) -> Row:
        return {"store": self.store, "columns": self.columns, "_kept": OrderedDict()}


def as_asked(
    question: Mapping[str, Any], group: Mapping[str, Any], regions: RegionForm, answer: str | None = None
) -> Row | None:
    """A question as it is learned.

    Args:
        question: a row of the `questions` table.
        group: its row of the `groups` table.
        regions: how regions are named.
        answer: what is learned in the place of the plain answer.

    Returns:
        None where question or answer has no wording with such names.
    """
    asked = in_form(question, group, regions)
    if asked is None or answer is None:
        return asked
    reply = refer(answer, group, regions, category=question.get("type") not in ASKS_CATEGORY)
    return None if reply is None else {**asked, "answer": reply}
