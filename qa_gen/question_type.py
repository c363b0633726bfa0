"""A question type owns all of a question, so that its parts cannot drift apart.

Wordings, claims, true answers, tolerance and version stand in one object. A type is asked in up to three forms:

    open      a number with its unit, a list of regions, an interval, a box …: the type's own wordings
    choice    the same wordings, with options: all answers of a categorical type, or, for a number, the same quantity of
              other subjects in the same images
    yes_no    a claim in one of CARRIERS; types with answer type "bool" are asked in their own words

What is claimed or offered is chosen in `qa_gen.forms` and balanced in `qa_gen.balance`, the same for all types.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from qa_gen.asked import Asked

Truth = dict[str, np.ndarray]
"""True answers of all subjects, by field; one entry a subject. "Has no clear answer, do not ask" is NaN or -1 (in any field).

    distance_m bearing_deg yaw_deg speed_mps x_m y_m time_s start_s end_s    floats, not rounded
    u0_px v0_px u1_px v1_px                                                  floats, whole pixels of the original image
    clock_hour count                                                         whole numbers, -1: not asked
    choice      index into `QuestionType.choices`, -1: not asked
    bool        0 or 1, -1: not asked
    mark        number of the mark that is the answer, -1: not asked; with it `options`: (n, marks) numbers on offer, -1: empty
    marks       (n, marks) numbers of marks, padded with -1 at the end; with it `asked`: whether to ask
    undetermined  1: ask, -1: do not
Optional beside any of them:
    asked       bool, False: do not ask
    numbers     (n, k) numbers that the question names, for marks that are not there; -1: an empty role
    parameter   index into `QuestionType.parameters` where the type itself chooses, -1: do not ask
"""

BEARING_WORDS = "in degrees, 0 straight ahead, positive to the left"
CLOCK_WORDS = "with 12 o'clock straight ahead and 3 o'clock to my right"
WITHIN_25_PERCENT = "25 %"
WITHIN_10_DEGREES = "10 degrees"
WITHIN_20_PERCENT = "20 %, or 0.1 m/s below 0.5 m/s"
EXACT = "exact"

NUMERIC = ("distance", "bearing", "turn", "speed", "longitudinal", "lateral", "time", "clock", "count")
"""Answer types that are one number."""

FIELD = {
    "distance": "distance_m", "bearing": "bearing_deg", "turn": "yaw_deg", "speed": "speed_mps", "longitudinal": "x_m",
    "lateral": "y_m", "time": "time_s", "clock": "clock_hour", "count": "count",
}  # fmt: skip
"""The field of a numeric answer type."""

CARRIERS = (
    "Is it true that {claim}? Answer yes or no.",
    "Is this statement correct, yes or no: {claim}?",
    "Would it be right to say that {claim}?",
    "Decide with yes or no whether {claim}.",
    "Is the following true? {Claim}.",
    "True or not: {claim}? Answer yes or no.",
    "Can one say that {claim}? Answer with yes or no.",
    "Please check this claim and answer yes or no: {claim}.",
)
"""Ways to ask whether a claim holds; `{Claim}` begins with a capital letter."""

KINDS_OF_FAMILY = {
    "object": ("single",),
    "ego": ("single", "surround"),
    "future": ("sequence", "target"),
    "when_where": ("clip",),
    "unanswerable": ("single", "sequence"),
}
LEAST_WORDINGS = 8


@dataclass(frozen=True)
class QuestionType:
    """One kind of question.

    Attributes:
        name: unique over all families.
        family: see FAMILIES.
        answer_type: of the open form, "choice" for a categorical type, "bool" for a plain yes or no.
        roles: how many marks it is about; `{a}`, `{b}` and `{c}` in texts stand for "Region n".
        wordings: eight or more ways of asking, each with unit and convention; `{p}` stands for the parameter.
        truth: the true answers.
        definition: in words what the true answer is, and when the question is not asked.
        tolerance: how near an answer counts as right.
        choices: the answers of a categorical type; `{a}`, `{b}`, `{c}` as in wordings. Empty where marks are the answers.
        claims: of a number: clauses that hold where the truth is greater than `{v}` ("{a} is more than {v} away from me");
            of a categorical type: one clause a choice. Clauses begin in lower case or with a placeholder and take no stop.
        thresholds: values of `{v}`; the unit is added.
        parameters: texts of `{p}`; one is drawn at random for each subject.
        kinds: kinds of groups it is asked about; empty: those of its family.
        horizon_s: how far ahead the truth lies.
        version: to be raised with every change of wordings or truth.
    """

    name: str
    family: str
    answer_type: str
    roles: int
    wordings: tuple[str, ...]
    truth: Callable[[Asked], Truth]
    tolerance: str
    definition: str
    choices: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()
    thresholds: tuple[float, ...] = ()
    parameters: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    horizon_s: float = 0.0
    version: int = 1

    def __post_init__(self) -> None:
        if len(set(self.wordings)) < LEAST_WORDINGS:
            raise ValueError(
                f"question type {self.name} needs {LEAST_WORDINGS} wordings, it has {len(set(self.wordings))}"
            )
        if not self.definition or not self.definition.endswith("."):
            raise ValueError(f"question type {self.name} needs a definition in whole sentences")
        if self.answer_type == "choice" and self.claims and len(self.claims) != len(self.choices):
            raise ValueError(f"question type {self.name} needs one claim for each choice")
        if bool(self.thresholds) != bool(self.claims and self.answer_type != "choice"):
            raise ValueError(f"question type {self.name}: thresholds and claims of a number go together")

    @property
    def group_kinds(self) -> tuple[str, ...]:
        """Kinds of groups that it is asked about."""
        return self.kinds or KINDS_OF_FAMILY[self.family]

    @property
    def forms(self) -> tuple[str, ...]:
        """The forms that it is asked in."""
        if self.answer_type == "bool":
            return ("yes_no",)
        claims = ("yes_no",) if self.claims else ()
        if self.answer_type == "choice":
            return ("choice", *claims)
        offers = self.answer_type in NUMERIC and self.answer_type != "count" and not self.parameters
        return ("open", *(("choice",) if offers else ()), *claims)
