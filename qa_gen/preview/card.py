"""What the page says of one question: as the model sees it, its answer, and all that is stored with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from drive_vqa.prompt import time_line
from drive_vqa.region_forms import FORMS, box_of, in_form

Row = Mapping[str, Any]
NOT_ASKED = "not asked so"


@dataclass(frozen=True)
class Card:
    """One question, ready to be shown."""

    qa_id: str
    family: str
    type: str
    form: str
    question: str
    options: tuple[tuple[str, str, bool], ...]
    """Letter, text, whether it is the right one."""
    answer: str
    truth: tuple[tuple[str, str], ...]
    evidence: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    other_forms: tuple[tuple[str, str], ...]
    trace: str


def make_card(question: Row, group: Row, trace: str) -> Card:
    """The card of a question.

    Args:
        question: a row of the `questions` table.
        group: its row of the `groups` table.
        trace: its reasoning as text.
    """
    return Card(
        qa_id=question["qa_id"],
        family=question["family"] or "",
        type=question["type"] or "",
        form=question["form"] or "",
        question=question["question"] or "",
        options=_options(question),
        answer=question["answer"] or "",
        truth=_truth(question),
        evidence=tuple(_evidence(reference, group) for reference in question["evidence"] or []),
        facts=_facts(question),
        other_forms=tuple((form, _in_words(question, group, form)) for form in FORMS if form != "marks"),
        trace=trace,
    )


def _options(question: Row) -> tuple[tuple[str, str, bool], ...]:
    options = question["options"] or []
    return tuple((chr(ord("A") + index), option, option == question["answer"]) for index, option in enumerate(options))


def _truth(question: Row) -> tuple[tuple[str, str], ...]:
    fields = question["truth"] or {}
    return tuple((name, _value(value)) for name, value in fields.items() if value is not None)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_value, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _evidence(reference: Row, group: Row) -> str:
    """A region in an image, or a mark without one."""
    mark, context = reference["mark"], reference["context"]
    name = "own motion" if mark is None else f"Region {mark}"
    if context is None or not 0 <= context < len(group["context"]):
        return name
    when = time_line(group["context"][context]["offset_s"]).rstrip(":").lower()
    box = None if mark is None else box_of(group, mark, context)
    place = f"image {context + 1} ({when})"
    return f"{name}, {place}, {list(box)}" if box else f"{name}, {place}, no box"


def _facts(question: Row) -> tuple[tuple[str, str], ...]:
    slices = question["slices"] or {}
    facts = {
        "answer type": question["answer_type"],
        "marks": question["marks"],
        "tracks": question["track_ids"],
        "parameter": question["parameter"],
        "horizon": None if question["horizon_s"] is None else f"{question['horizon_s']:g} s",
        "truth read in frame": question["truth_frame"],
        "wording": f"{question['template']} (version {question['template_version']})",
        "split": question["split"],
        **{name.removesuffix("_m").replace("_", " "): value for name, value in slices.items()},
    }
    return tuple((name, _value(value)) for name, value in facts.items() if value is not None and value != [])


def _in_words(question: Row, group: Row, form: Any) -> str:
    """The question with its options and answer in another form of regions, or that it cannot be asked so."""
    turned = in_form(question, group, form)
    if turned is None:
        return NOT_ASKED
    options = "; ".join(f"{chr(ord('A') + index)}. {text}" for index, text in enumerate(turned["options"]))
    return " ".join(part for part in (turned["question"], options, f"→ {turned['answer']}") if part)
