"""What an export holds, counted: per log, and for the whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from qa_gen.export.job import LogJob
from qa_gen.export.licences import Licence, licence_of
from qa_gen.export.records import LogQuestions

KEYS = ("split", "family", "type", "form")
CLOSED_FORMS = ("choice", "yes_no")
ANSWERS_A_TYPE = 40
"""Types with more different answers have no majority worth telling, such as those answered by a region's number."""

Key = tuple[str, ...]


@dataclass
class Counts:
    """Counts of an export.

    Attributes:
        questions: by split, family, type and form.
        groups: by split and kind.
        answers: by type, form and answer, where answers are chosen from a few.
        categories: of marks.
        moving: questions by whether the first agent asked about moves ("yes", "no", "unknown").
        places: logs by location.
        styles: questions by the style of their trace, where there are traces.
        sources: logs by the terms that hold for them.
    """

    questions: Counter[Key] = field(default_factory=Counter)
    groups: Counter[Key] = field(default_factory=Counter)
    answers: Counter[Key] = field(default_factory=Counter)
    categories: Counter[Key] = field(default_factory=Counter)
    moving: Counter[Key] = field(default_factory=Counter)
    places: Counter[Key] = field(default_factory=Counter)
    styles: Counter[Key] = field(default_factory=Counter)
    sources: Counter[Licence] = field(default_factory=Counter)

    def by(self, *names: str) -> Counter[Key]:
        """Questions by some of split, family, type and form."""
        places = [KEYS.index(name) for name in names]
        found: Counter[Key] = Counter()
        for key, count in self.questions.items():
            found[tuple(key[place] for place in places)] += count
        return found


TABLES = ("questions", "groups", "answers", "categories", "moving", "places", "styles")


def count_log(log: LogJob, questions: LogQuestions) -> dict[str, Any]:
    """Counts of one log, ready for JSON.

    Args:
        log: the log.
        questions: what is exported of it.
    """
    table, groups = questions.table, questions.groups.values()
    closed = table.filter(pc.is_in(table["form"], pa.array(CLOSED_FORMS)))
    moving = pc.if_else(pc.struct_field(table["slices"].combine_chunks(), "moving"), "yes", "no").fill_null("unknown")
    row = log.job.store.read("logs", log.log_id).to_pylist()[0]
    return {
        "questions": _counted(table.select(KEYS)),
        "groups": _items(Counter((group["split"], group["kind"]) for group in groups)),
        "answers": _counted(closed.select(["type", "form", "answer"])),
        "categories": _items(Counter((mark["category"] or "?",) for group in groups for mark in group["marks"])),
        "moving": _counted(pa.table({"moving": moving})),
        "places": [[row["location"] or "unknown", 1]],
        "styles": _items(_styles(log, table)),
        "log": {name: row[name] for name in ("source_format", "location", "description")},
    }


def merge(logs: Iterable[Mapping[str, Any]]) -> Counts:
    """Counts of the whole from those of the logs; a log that adds no question adds nothing."""
    counts = Counts()
    for log in logs:
        if not log["questions"]:
            continue
        for name in TABLES:
            getattr(counts, name).update({tuple(key): count for *key, count in log[name]})
        counts.sources[licence_of(log["log"])] += 1
    return counts


def _styles(log: LogJob, table: pa.Table) -> Counter[Key]:
    traces = log.job.traces
    if traces is None:
        return Counter()
    return Counter((traces.style(qa_id),) for batch in table["qa_id"].chunks for qa_id in batch.to_pylist())


def _counted(table: pa.Table) -> list[list[Any]]:
    found = table.group_by(table.column_names).aggregate([([], "count_all")])
    rows = zip(*(found[name].to_pylist() for name in [*table.column_names, "count_all"]), strict=True)
    return sorted([["?" if value is None else value for value in row] for row in rows], key=str)


def _items(counter: Counter[Key]) -> list[list[Any]]:
    return [[*key, count] for key, count in sorted(counter.items(), key=str)]
