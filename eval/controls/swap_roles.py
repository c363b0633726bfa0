"""Probe `swap_roles`: two regions change places in the question, "How far apart are Region 3 and Region 5?" the other way round.

What becomes of the answer:

    apart, alike, between            the same: d(A,B) = d(B,A)
    which of the two is closer, …    the same region; of a claim about it, the contrary
    left or right of, higher than    the contrary
    offsets and turns from A to B    the sign changes; in open questions only, where no number is on offer

Questions that are seen from one of the two, by its own heading, have no such counterpart and are not asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from drive_vqa.region_forms import NAME
from eval.controls.answers import contrary_where, renamed
from eval.controls.forms import form_of
from eval.predict.asked import PromptedQuestion
from eval.predict.shown import Control

SAME = frozenset({"pair_distance", "pair_gap", "pair_heading", "same_category", "between"})
COMPARED = frozenset({"closer", "farther_ahead", "taller", "wider", "longer", "bigger", "faster", "closer_to"})
OPPOSED = {"left_right": ("left", "right"), "above_below": ("higher", "lower")}
NEGATED = frozenset({"pair_lateral", "pair_longitudinal", "relative_heading"})
SIGNED = ("x_m", "y_m", "yaw_deg")

SECOND_AND_THIRD = frozenset({"closer_to"})
"""Types that compare the regions in the roles b and c; all others those in a and b."""

SWAPPABLE = SAME | COMPARED | frozenset(OPPOSED) | NEGATED


def swap_roles() -> Control:
    """The question with two regions exchanged."""
    return Control("swap_roles", turn=_swapped)


def swapped_answers(cases: pd.DataFrame, answers: pd.DataFrame) -> pd.DataFrame:
    """What typed answers become when the two regions change places; twice is once.

    Args:
        cases: with the columns type and form.
        answers: row by row to the cases, see `eval.cases.answer_columns`.
    """
    told, kind = answers.copy(deep=False), cases["type"]
    for field in SIGNED:
        told[field] = answers[field].where(~kind.isin(NEGATED).to_numpy(), -answers[field])
    opposite = {one: other for pair in OPPOSED.values() for one, other in (pair, pair[::-1])}
    opposed = kind.isin(OPPOSED.keys()).to_numpy()
    told["choice"] = renamed(answers["choice"], lambda name: opposite.get(name, name), opposed)
    claimed = (kind.isin(COMPARED | OPPOSED.keys()) & (cases["form"] == "yes_no")).to_numpy()
    told["bool"] = contrary_where(answers["bool"], claimed)
    return told


def _swapped(asked: PromptedQuestion) -> PromptedQuestion | None:
    question = asked.question
    if question["type"] not in SWAPPABLE or (question["type"] in NEGATED and form_of(asked) != "open"):
        return None
    marks = list(question["marks"])
    first = 1 if question["type"] in SECOND_AND_THIRD else 0
    marks[first : first + 2] = marks[first : first + 2][::-1]
    text = _renamed(question["question"], dict(zip(question["marks"], marks, strict=True)))
    return None if text == question["question"] else replace(asked, question=_asked_so(question, marks, text))


def _asked_so(question: Mapping[str, Any], marks: list[int], text: str) -> dict[str, Any]:
    return {**question, "marks": marks, "question": text}


def _renamed(text: str, numbers: Mapping[int, int]) -> str:
    return NAME.sub(lambda found: f"Region {numbers.get(int(found[1]), int(found[1]))}", text)
