"""Which questions are asked, in which order, and what whoever answers them may know.

Questions come sorted by log, moment and group, so that whoever answers can show a group's frames for all its questions and decode
them once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from drive_vqa.errors import StoreError
from drive_vqa.looks import TracedLook
from drive_vqa.region_forms import NAME, RegionForm, in_form
from drive_vqa.store import Store

SHOWN_COLUMNS = ("qa_id", "group_id", "log_id", "frame", "type", "marks", "question", "options", "split")
"""What an answerer may see of a question."""
TURNED_BY = ("family", "form", "answer", "truth")
"""What else decides whether a question can be asked without marks; not shown."""


@dataclass(frozen=True, eq=False)
class PromptedQuestion:
    """A question with what is shown beside it.

    Attributes:
        store: where the frames lie.
        group: row of the `groups` table.
        question: row of the `questions` table, without its answer, truth and evidence.
        evidence: the marks that the answer rests on, for controls that hide them; never told.
    """

    store: Store
    group: Mapping[str, Any]
    question: Mapping[str, Any]
    evidence: tuple[int, ...] = ()


@dataclass(frozen=True)
class Answer:
    """What a model says to a question.

    Attributes:
        text: all of it, in pixels of the original images.
        looks: that it took on the way; None: it has no zoom.
    """

    text: str
    looks: tuple[TracedLook, ...] | None = None


Answerer = Callable[[list[PromptedQuestion]], list[Answer]]
"""Answers a batch of questions, in order."""


def questions_to_ask(store: Store, split: str, regions: RegionForm = "marks") -> list[PromptedQuestion]:
    """All questions of a split that can be asked in a form, ordered by log, frame, group and id.

    Raises:
        StoreError: a question names a group that the store does not have.
    """
    log_ids = store.log_ids("questions")
    return [question for log_id in log_ids for question in _questions_of_log(store, log_id, split, regions)]


def _questions_of_log(store: Store, log_id: str, split: str, regions: RegionForm) -> Iterator[PromptedQuestion]:
    columns = (*SHOWN_COLUMNS, "evidence", *(() if regions == "marks" else TURNED_BY))
    table = store.read("questions", log_id, columns)
    table = table.filter(pc.equal(table["split"], split))
    if not table.num_rows:
        return
    groups = _groups(store, log_id, table["group_id"])
    for question in table.sort_by(
        [("frame", "ascending"), ("group_id", "ascending"), ("qa_id", "ascending")]
    ).to_pylist():
        if question["group_id"] not in groups:
            name = question["group_id"]
            raise StoreError(f"log {log_id} of {store.root} has no group {name}: run `drive-vqa generate STORE` again")
        group = groups[question["group_id"]]
        shown = _as_shown(question, group, regions)
        if shown is not None:
            evidence = tuple(sorted({fact["mark"] for fact in question["evidence"] or () if fact["mark"] is not None}))
            yield PromptedQuestion(store, group, shown, evidence)


def _as_shown(question: dict[str, Any], group: Mapping[str, Any], regions: RegionForm) -> dict[str, Any] | None:
    """The question as it is asked, and nothing of its truth; None where it cannot be.

    Without marks an answer or option that names a region is left out: it is scored by a number that the model never sees.
    """
    turned = in_form(question, group, regions)
    names = [] if regions == "marks" else [*(question["options"] or ()), question["answer"]]
    if turned is None or any(NAME.search(text) for text in names):
        return None
    return {name: turned[name] for name in SHOWN_COLUMNS}


def _groups(store: Store, log_id: str, wanted: pa.ChunkedArray) -> dict[str, dict[str, Any]]:
    table = store.read("groups", log_id)
    table = table.filter(pc.is_in(table["group_id"], value_set=pc.unique(wanted)))
    return {group["group_id"]: group for group in table.to_pylist()}
