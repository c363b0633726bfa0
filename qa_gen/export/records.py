"""What an export reads: the questions of a log, each with its group and the names of its drawn images.

A log is read at a time, so memory does not grow with the store. Boxes in answers are given in whole pixels of the exported
image. Groups without images (logs that have none) are left out: no tool here can ask about a picture that is not there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from drive_vqa.errors import StoreError
from drive_vqa.schema import TRUTH
from qa_gen.export.job import Job, LogJob

GROUP_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,200}")
BATCH_ROWS = 1024
AGAIN = "run `drive-vqa generate` again"
ASKED = (
    *(
        "qa_id",
        "group_id",
        "log_id",
        "family",
        "type",
        "form",
        "answer_type",
        "marks",
        "parameter",
        "question",
        "options",
    ),
    *("answer", "split"),
)
"""Columns that a prompt and its answer are made of."""

BOX_TYPES = ("box", "interval_box")
SAME_BOX_PX = 1
"""Corners of a box that was rounded twice may be that far off."""

CORNERS = ("u0_px", "v0_px", "u1_px", "v1_px")
Row = dict[str, Any]
Choose = Callable[[pa.Table, Mapping[str, Row], Job], pa.Table]
"""Takes the questions that a format can hold: from (questions, groups by id, export)."""


@dataclass(frozen=True)
class LogQuestions:
    """The questions of one log that are exported.

    Attributes:
        table: of the schema `questions`, in the order of the store; boxes in pixels of the exported image.
        groups: the groups that they ask about, by id, in the order of the store; boxes in pixels of the original image.
    """

    table: pa.Table
    groups: Mapping[str, Row]

    def rows(self, split: str | None = None, *, also: Sequence[str] = ()) -> Iterator[tuple[Row, Row]]:
        """Each question with its group.

        Args:
            split: of the questions; None: all.
            also: columns wanted besides those that a prompt is made of; each nested one costs as much as all the others.
        """
        table = self.table.select([*ASKED, *also])
        table = table if split is None else table.filter(pc.equal(table["split"], split))
        for batch in table.to_batches(max_chunksize=BATCH_ROWS):
            for question in batch.to_pylist():
                yield self.groups[question["group_id"]], question


def read_log(log: LogJob, choose: Choose | None = None) -> LogQuestions:
    """Read what is exported of a log.

    Args:
        log: the log.
        choose: takes the questions that the format can hold; None: all.

    Raises:
        StoreError: a table is missing, or the tables contradict each other.
    """
    store, job = log.job.store, log.job
    questions = store.read("questions", log.log_id)
    questions = questions.filter(pc.is_in(questions["split"], pa.array(job.splits)))
    groups = {group["group_id"]: group for group in store.read("groups", log.log_id).to_pylist()}
    _check(log.log_id, groups, questions)
    pictured = [name for name, group in groups.items() if _has_images(group)]
    questions = questions.filter(pc.is_in(questions["group_id"], pa.array(pictured, pa.string())))
    if choose is not None:
        questions = choose(questions, groups, job)
    asked = set(questions["group_id"].to_pylist())
    groups = {name: group for name, group in groups.items() if name in asked}
    return LogQuestions(_rescale(questions, groups, job.size_px), groups)


def exported_box(
    box: Sequence[float], view: Mapping[str, Any], size_px: tuple[int, int] | None
) -> tuple[int, int, int, int]:
    """A box in whole pixels of the exported image, within it; it has an area if it has one in whole original pixels.

    Args:
        box: (u0, v0, u1, v1) in pixels of the original image.
        view: the entry of `context` that it lies in.
        size_px: (width, height) of the exported image; None: as the original.
    """
    width, height = size_px or (view["width"], view["height"])
    u0, u1 = _scaled_span(box[0], box[2], view["width"], width)
    v0, v1 = _scaled_span(box[1], box[3], view["height"], height)
    return u0, v0, u1, v1


def _scaled_span(low: float, high: float, side_px: int, exported_px: int) -> tuple[int, int]:
    """One direction of a box."""
    scale = exported_px / side_px
    first, last = (min(max(round(value * scale), 0), exported_px) for value in (low, high))
    if first == last and round(low) < round(high):
        first = min(first, exported_px - 1)
        last = first + 1
    return first, last


def context_of_box(
    group: Mapping[str, Any], question: Mapping[str, Any], box: Sequence[float], size_px: tuple[int, int] | None
) -> int:
    """The context image that a box answer lies in: where a region asked about is that box, else the last of the evidence.

    Args:
        group: of the question.
        question: with `marks` and `evidence`.
        box: (u0, v0, u1, v1) in pixels of the exported image.
        size_px: (width, height) of the exported image; None: as the original.
    """
    region = _region_of_box(group, question, box, size_px)
    return _usual_context(group, question) if region is None else int(region["context"])


def _usual_context(group: Mapping[str, Any], question: Mapping[str, Any]) -> int:
    """The last of the evidence."""
    return max((fact["context"] for fact in question["evidence"] or ()), default=len(group["context"]) - 1)


def _region_of_box(
    group: Mapping[str, Any], question: Mapping[str, Any], box: Sequence[float], size_px: tuple[int, int] | None
) -> Row | None:
    """The region asked about that a box answer is, if it is any; of several that are the same box, that of the evidence."""
    regions = [region for mark in group["marks"] if mark["mark"] in question["marks"] for region in mark["regions"]]
    usual = _usual_context(group, question)

    def rank(region: Row) -> tuple[float, bool]:
        view = group["context"][region["context"]]
        return _apart_px(box, region, view, size_px), region["context"] != usual

    nearest = min(regions, key=rank, default=None)
    return nearest if nearest is not None and rank(nearest)[0] <= SAME_BOX_PX else None


def _apart_px(
    box: Sequence[float], region: Mapping[str, float], view: Mapping[str, Any], size_px: tuple[int, int] | None
) -> float:
    shown = exported_box([region[corner] for corner in CORNERS], view, size_px)
    return max(abs(mine - other) for mine, other in zip(shown, box, strict=True))


def box_of(question: Mapping[str, Any]) -> list[int]:
    """The box that a question asks for, whole pixels.

    Raises:
        StoreError: its truth has none.
    """
    truth = question["truth"] or {}
    corners: list[float] = [truth[corner] for corner in CORNERS if truth.get(corner) is not None]
    if len(corners) < len(CORNERS):
        raise StoreError(f"question {question['qa_id']} asks for a box and has none: {AGAIN}")
    return [round(corner) for corner in corners]


def with_box_as(question: Mapping[str, Any], words: str) -> str:
    """The answer of a question that asks for a box, with other words in the place of the box.

    Raises:
        StoreError: the box of its truth is not in the answer.
    """
    text = box_text(box_of(question))
    if text not in question["answer"]:
        raise StoreError(
            f"question {question['qa_id']} has the box {text} in its truth, but not in its answer: {AGAIN}"
        )
    return str(question["answer"].replace(text, words))


def box_text(box: Sequence[int]) -> str:
    """A box as it stands in an answer."""
    return f"[{', '.join(str(value) for value in box)}]"


def _has_images(group: Mapping[str, Any]) -> bool:
    return bool(group["context"]) and all(view["path"] is not None for view in group["context"])


def _check(log_id: str, groups: Mapping[str, Row], questions: pa.Table) -> None:
    bad = next((name for name in groups if name is None or not GROUP_ID.fullmatch(name)), None)
    if bad is not None:
        raise StoreError(f"log {log_id} has a group {bad!r:.80}, which cannot name a folder: {AGAIN}")
    lost = set(questions["group_id"].to_pylist()) - set(groups)
    if lost:
        raise StoreError(f"log {log_id} has questions about the group {min(map(str, lost))}, which it lacks: {AGAIN}")


def _rescale(questions: pa.Table, groups: Mapping[str, Row], size_px: tuple[int, int] | None) -> pa.Table:
    """The questions with box answers in pixels of the exported image.

    An answer is a region in whole pixels. The region itself is scaled, so that nothing is rounded twice.
    """
    rows = pc.is_in(questions["answer_type"], pa.array(BOX_TYPES)).to_pylist()
    if size_px is None or not any(rows):
        return questions
    answers, truths = questions["answer"].to_pylist(), questions["truth"].to_pylist()
    for place in (place for place, is_box in enumerate(rows) if is_box):
        question = questions.slice(place, 1).to_pylist()[0]
        box, group = box_of(question), groups[question["group_id"]]
        region = _region_of_box(group, question, box, None)
        corners = box if region is None else [region[corner] for corner in CORNERS]
        scaled = exported_box(corners, group["context"][context_of_box(group, question, box, None)], size_px)
        answers[place] = with_box_as(question, box_text(scaled))
        truths[place] = {**truths[place], **dict(zip(CORNERS, map(float, scaled), strict=True))}
    new = {"answer": pa.array(answers, pa.string()), "truth": pa.array(truths, TRUTH)}
    for name, column in new.items():
        questions = questions.set_column(questions.schema.get_field_index(name), name, column)
    return questions
