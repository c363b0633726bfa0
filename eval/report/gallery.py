"""Question cards with pictures: the marked frames that the model saw, the question, truth, what it said and how it was read.

Half of the cards show the worst dangerous mistakes (`eval.report.severity` has the order), then come other failures and right
answers of each type. Pictures stop where they would make the page too heavy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from drive_vqa.data_uri import jpeg_uri
from drive_vqa.errors import DriveVqaError
from drive_vqa.marks import marked_frames
from drive_vqa.prompt import time_line
from eval.report.answered import cut, facts, verdict
from eval.report.claims import Reasoning, reasonings
from eval.report.inputs import Evaluation
from eval.report.prompts import prompts
from eval.report.quantities import Quantity, quantities
from eval.report.severity import worst_first
from eval.report.slices import type_title

FRAME_WIDTH_PX = 480
FRAME_BYTES = 8_000_000
"""Of all marked frames on a page, as they are embedded; cards beyond it tell the same without pictures."""

TEXT_LIMIT, RAW_LIMIT = 600, 6_000
"""In characters, of the answer and of all that the model wrote: it may write without end; a card shows the beginning."""

SHARES = {"dangerous": 1 / 2, "wrong": 1 / 4, "right": 1 / 6, "unreadable": 1 / 12}
"""Of the cards, where there are enough of each outcome."""


@dataclass(frozen=True)
class Frame:
    """One context image as a data URI and when it was taken."""

    image: str
    when: str
    alt: str


@dataclass(frozen=True)
class Card:
    """One answered question; `missing` says why there are no frames, `raw` is all that the model wrote.

    The frame with the number `largest` is drawn large: the latest that shows the first mark asked about.
    """

    qa_id: str
    family: str
    type_title: str
    outcome: str
    verdict: str
    question: str
    options: tuple[str, ...]
    truth: str
    text: str
    quantities: tuple[Quantity, ...]
    facts: tuple[str, ...]
    frames: tuple[Frame, ...]
    largest: int
    missing: str
    reasoning: Reasoning | None
    prompt: str
    raw: str


@dataclass(frozen=True)
class Pictures:
    """The frames of a moment, why there are none, and for each mark the number of the frame that shows it best."""

    frames: tuple[Frame, ...] = ()
    missing: str = ""
    best: Mapping[int, int] = field(default_factory=dict)


def choose(answers: pd.DataFrame, count: int) -> pd.DataFrame:
    """Rows for the cards: each outcome has its share, spread over types and moments; then in order of severity.

    Args:
        answers: of `worst_first`.
        count: at most so many.
    """
    chosen: list[int] = []
    for name, share in SHARES.items():
        chosen += _varied(answers[answers["outcome"] == name])[: int(share * count)]
    rest = answers.drop(index=chosen)
    chosen += _varied(rest)[: count - len(chosen)]
    return answers.loc[sorted(chosen)]


def _varied(rows: pd.DataFrame) -> list[int]:
    """Row labels reordered so that types and moments alternate, each first with its worst."""
    turn = rows.groupby(["type"], sort=False).cumcount() + rows.groupby(["group_id"], sort=False).cumcount()
    return list(rows.assign(turn=turn).sort_values("turn", kind="stable").index)


def cards(evaluation: Evaluation, count: int) -> list[Card]:
    """The cards of an evaluation, the worst first."""
    answers = choose(worst_first(evaluation.answers), count)
    rows = [{str(name): value for name, value in row.items()} for row in answers.to_dict("records")]
    reached, asked = reasonings(evaluation, rows), prompts(evaluation, answers)
    return [
        _card(row, pictures, reached.get(row["qa_id"]), asked.get(row["qa_id"], ""))
        for row, pictures in zip(rows, _pictures(evaluation, rows), strict=True)
    ]


def _pictures(evaluation: Evaluation, rows: Sequence[Mapping[str, Any]]) -> list[Pictures]:
    """For each row; images of a moment are drawn once, however many cards show it."""
    drawn: dict[tuple[str, str], Pictures] = {}
    found: list[Pictures] = []
    spent = 0
    for row in rows:
        moment = (row["log_id"], row["group_id"])
        if moment not in drawn:
            drawn[moment] = _frames(evaluation, row)
        spent += sum(len(frame.image) for frame in drawn[moment].frames)
        small = Pictures(missing="Left out to keep this page small.")
        found.append(drawn[moment] if spent <= FRAME_BYTES else small)
    return found


def _card(row: Mapping[str, Any], pictures: Pictures, reasoning: Reasoning | None, prompt: str) -> Card:
    text = row["text"] if reasoning is None or reasoning.answer is None else reasoning.answer
    return Card(
        qa_id=row["qa_id"],
        family=row["family"],
        type_title=type_title(row["type"]),
        outcome=row["outcome"],
        verdict=verdict(row),
        question=row["question"],
        options=tuple(row["options"]) if row["options"] is not None else (),
        truth=row["answer"],
        text=cut(text, TEXT_LIMIT),
        quantities=quantities(row),
        facts=facts(row),
        frames=pictures.frames,
        largest=pictures.best.get(int(row["mark"]), len(pictures.frames) - 1),
        missing=pictures.missing,
        reasoning=reasoning,
        prompt=prompt,
        raw=cut(row["text"], RAW_LIMIT),
    )


def _frames(evaluation: Evaluation, row: Mapping[str, Any]) -> Pictures:
    try:
        group = evaluation.group(row["log_id"], row["group_id"])
        if not all(view["path"] and view["width"] and view["height"] for view in group["context"]):
            return Pictures(missing="This question is asked without images.")
        first = group["context"][-1]
        size_px = (FRAME_WIDTH_PX, max(1, round(FRAME_WIDTH_PX * first["height"] / first["width"])))
        images = marked_frames(evaluation.store, group, size_px)
    except DriveVqaError:
        told = f"The images of log {row['log_id']}, frame {row['frame']} are missing or cannot be read."
        return Pictures(missing=told)
    marks = ", ".join(f"{mark['mark']} ({mark['category']})" for mark in group["marks"]) or "none"
    shown, several = [], len({view["camera"] for view in group["context"]}) > 1
    for view, image in zip(group["context"], images, strict=True):
        when = time_line(view["offset_s"]).rstrip(":")
        title = f"{view['camera']}, {when.lower()}"
        shown.append(Frame(jpeg_uri(image), title if several else when, f"{title}; marks: {marks}"))
    best = {mark["mark"]: _best(mark, group["context"]) for mark in group["marks"]}
    return Pictures(tuple(shown), best={mark: number for mark, number in best.items() if number is not None})


def _best(mark: Mapping[str, Any], context: Sequence[Mapping[str, Any]]) -> int | None:
    """The latest context image that shows a mark, of several cameras the one that shows it largest; None where none does."""
    shown = [
        (
            context[one["context"]]["offset_s"],
            (one["u1_px"] - one["u0_px"]) * (one["v1_px"] - one["v0_px"]),
            one["context"],
        )
        for one in mark["regions"] or ()
    ]
    return int(max(shown)[-1]) if shown else None
