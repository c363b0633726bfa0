"""Questions that fit a filter, log by log, until the time for it is over.

Only the columns that a filter names are read of a log; whole rows only of the questions that are shown. Filters on what an
answerer made of them (an outcome, a metric) read the answers of a log, and are left to the last.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from drive_vqa.errors import StoreError
from drive_vqa.store import Store
from eval.explore.answers import Answerer, LogAnswers, answers_in, joined_rows
from eval.explore.cells import questions_behind
from eval.explore.drives import Row, known_log
from eval.report.quantities import quantities
from eval.report.slices import type_title

FACETS = ("family", "type", "form", "split")
PAGE = 60
AT_ONCE_S = 1.0
"""Logs are looked through for so long, at least one; then what was found is told, and where to go on."""

EQUAL = ("family", "type", "form", "split", "group_id")
SHOWN = (
    "qa_id", "group_id", "log_id", "frame", "truth_frame", "family", "type", "form", "split", "marks", "track_ids", "question",
    "options", "answer", "horizon_s", "slices",
)  # fmt: skip


@dataclass(frozen=True)
class Wanted:
    """A filter; empty fields do not filter.

    Attributes:
        equal: column → value, of `EQUAL`.
        frame: of the moment asked about.
        category: of the first mark.
        track: one that is asked about.
        text: in the question or the answer, in any case; or an id.
        outcome: of the answerer's answer.
        metric: of the answerer, whose sample the question belongs to.
    """

    equal: dict[str, str] = field(default_factory=dict)
    frame: int | None = None
    category: str = ""
    track: str = ""
    text: str = ""
    outcome: str = ""
    metric: str = ""


@dataclass(frozen=True)
class Place:
    """Where a page begins: at the `offset`-th fitting question of the `log`-th log."""

    log: int = 0
    offset: int = 0


def find(
    store: Store,
    log_id: str,
    wanted: Wanted,
    answerer: Answerer | None,
    everyone: Sequence[Answerer],
    start: Place,
    at_once_s: float = AT_ONCE_S,
) -> Row:
    """A page of questions.

    Args:
        store: where they are.
        log_id: look in this log only; empty for all.
        wanted: the filter.
        answerer: whose outcome or metric it names.
        everyone: whose answers are told with each question.
        start: where the page begins.
        at_once_s: see `AT_ONCE_S`.

    Returns:
        `questions`; `count` of the fitting ones in the logs that were looked through from `start` on; `complete`: these are
        all; `next`: log and offset of the next page, or None.

    Raises:
        StoreError: there is no such log, or a table is damaged.
        ConfigError: the filter needs an answerer.
    """
    log_ids = [known_log(store, log_id)] if log_id else store.log_ids("questions")
    shown: list[Row] = []
    count, after, end_s = 0, None, time.monotonic() + at_once_s
    for place in range(start.log, len(log_ids)):
        if place > start.log and time.monotonic() > end_s:
            after = after or {"log": place, "offset": 0}
            return {"questions": shown, "count": count, "complete": False, "next": after}
        skipped = start.offset if place == start.log else 0
        rows = fitting(store, log_ids[place], wanted, answerer)[skipped:]
        room = PAGE - len(shown)
        if len(rows) > room and after is None:
            after = {"log": place, "offset": skipped + room}
        if len(rows) and room:
            shown += read_questions(store, log_ids[place], rows[:room], everyone)
        count += len(rows)
    return {"questions": shown, "count": count, "complete": True, "next": after}


def fitting(store: Store, log_id: str, wanted: Wanted, answerer: Answerer | None) -> np.ndarray:
    """Rows of the log's questions that fit, rising."""
    if not store.path("questions", log_id).exists():
        return np.zeros(0, dtype=np.int64)
    rows = _fitting_columns(store, log_id, wanted)
    if not len(rows) or answerer is None or not (wanted.outcome or wanted.metric):
        return rows
    if answerer.splits is not None and not _facets_in(store, log_id)["split"] & set(answerer.splits):
        return np.zeros(0, dtype=np.int64)
    answers = answers_in(store, answerer, log_id)
    chosen = np.arange(len(answers.rows))
    if wanted.metric:
        chosen = questions_behind(store, answers, wanted.metric)
    if wanted.outcome:
        chosen = chosen[answers.outcomes[chosen] == wanted.outcome]
    return np.asarray(np.intersect1d(rows, answers.rows[chosen]))


def _fitting_columns(store: Store, log_id: str, wanted: Wanted) -> np.ndarray:
    columns = [*wanted.equal]
    columns += ["frame"] if wanted.frame is not None else []
    columns += ["slices"] if wanted.category else []
    columns += ["track_ids"] if wanted.track else []
    columns += ["question", "answer", "qa_id"] if wanted.text else []
    table = store.read("questions", log_id, columns or ["frame"])
    fits = np.ones(table.num_rows, dtype=bool)
    for mask in _masks(table, wanted):
        fits &= np.asarray(pc.fill_null(mask, False), dtype=bool)
    return np.flatnonzero(fits)


def _masks(table: pa.Table, wanted: Wanted) -> Iterator[pa.ChunkedArray]:
    for name, value in wanted.equal.items():
        yield pc.equal(table[name], value)
    if wanted.frame is not None:
        yield pc.equal(table["frame"], wanted.frame)
    if wanted.category:
        yield pc.equal(pc.struct_field(table["slices"], "category"), wanted.category)
    if wanted.track:
        lists = table["track_ids"].combine_chunks()
        rows = pc.list_parent_indices(lists).filter(pc.fill_null(pc.equal(pc.list_flatten(lists), wanted.track), False))
        yield pc.is_in(pa.array(np.arange(len(lists))), value_set=rows.cast(pa.int64()))
    if wanted.text:
        inside = [pc.match_substring(table[name], wanted.text, ignore_case=True) for name in ("question", "answer")]
        yield pc.or_kleene(pc.or_kleene(*inside), pc.equal(table["qa_id"], wanted.text))


def read_questions(store: Store, log_id: str, rows: np.ndarray, everyone: Sequence[Answerer]) -> list[Row]:
    """Questions to be shown, each with what everyone made of it."""
    table = store.read("questions", log_id, SHOWN).take(pa.array(rows))
    told: list[Row] = [{**row, "title": type_title(row["type"])} for row in table.to_pylist()]
    answers = [_answers_to(answers_in(store, one, log_id), one, rows) for one in everyone]
    return [{**row, "answers": [of[place] for of in answers]} for place, row in enumerate(told)]


def _answers_to(answers: LogAnswers, answerer: Answerer, rows: np.ndarray) -> list[Row | None]:
    """What an answerer made of some questions; None where it was not asked."""
    place_of = {row: place for place, row in enumerate(answers.rows.tolist())}
    places = [place_of.get(row) for row in rows.tolist()]
    asked = np.array([place for place in places if place is not None], dtype=np.int64)
    joined = iter(joined_rows(answers.answered, asked))
    return [None if place is None else _answer(answers, answerer, place, next(joined)) for place in places]


def _answer(answers: LogAnswers, answerer: Answerer, place: int, joined: dict[str, Any]) -> Row:
    return {
        "name": answerer.name,
        "title": answerer.title,
        "text": answers.texts[place],
        "outcome": answers.outcomes[place],
        "failure": joined["failure"],
        "values": [asdict(one) for one in quantities(joined)],
    }


def one_question(store: Store, log_id: str, qa_id: str, everyone: Sequence[Answerer]) -> Row:
    """A question with the answers of everyone.

    Raises:
        StoreError: there is no such log or question.
    """
    ids = store.read("questions", known_log(store, log_id), ["qa_id"])["qa_id"]
    rows = np.flatnonzero(pc.equal(ids, qa_id).to_numpy())
    if not len(rows):
        raise StoreError(f"log {log_id} has no question {qa_id[:80]!r}: run `drive-vqa generate STORE` again")
    return read_questions(store, log_id, rows[:1], everyone)[0]


def facets(store: Store) -> Row:
    """The values of each column that can be filtered by."""
    found: dict[str, set[str]] = {name: set() for name in FACETS}
    for log_id in store.log_ids("questions"):
        for name, values in _facets_in(store, log_id).items():
            found[name] |= values
    return {name: sorted(values) for name, values in found.items()}


def _facets_in(store: Store, log_id: str) -> dict[str, set[str]]:
    return _facets_of(store, log_id, store.path("questions", log_id).stat().st_mtime_ns)


@lru_cache(maxsize=4096)
def _facets_of(store: Store, log_id: str, _written_ns: int) -> dict[str, set[str]]:
    table = store.read("questions", log_id, FACETS)
    return {name: set(pc.unique(table[name]).drop_null().to_pylist()) for name in FACETS}
