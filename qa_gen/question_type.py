"""A question type owns all of a question, so that its parts cannot drift apart.

Wordings, true answer, answer text, tolerance and version stand in one object.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from qa_gen.moment import Agent

Truth = dict[str, Any]
"""Fields of `drive_vqa.schema.TRUTH` that a question asks for; not rounded."""

BEARING_WORDS = "in degrees, 0 straight ahead, positive to the left"
CLOCK_WORDS = "with 12 o'clock straight ahead and 3 o'clock to my right"
WITHIN_25_PERCENT = "25 %"
WITHIN_10_DEGREES = "10 degrees"
WITHIN_20_PERCENT = "20 %, or 0.1 m/s below 0.5 m/s"
EXACT = "exact"


@dataclass(frozen=True)
class Asked:
    """What a question is about: the marked agents now and at the horizon, each in the ego frame of its time.

    At horizon 0 `then` is `now`.
    """

    names: tuple[str, ...]
    now: tuple[Agent, ...]
    then: tuple[Agent, ...]
    ego_speed_then_mps: float | None


@dataclass(frozen=True)
class QuestionType:
    """One kind of question.

    Attributes:
        name: unique over all families.
        family: object | ego | future.
        answer_type: see `drive_vqa.schema.QUESTIONS`.
        marks: how many marked regions it is about.
        wordings: ways of asking; `{a}` and `{b}` stand for the regions. Each states unit and convention.
        truth: the true answer; None where the question has no clear answer.
        tolerance: how near an answer counts as right.
        options: the choices; `{a}` and `{b}` as in wordings.
        horizon_s: how far ahead the truth lies.
        version: to be raised with every change of wordings or truth.
    """

    name: str
    family: str
    answer_type: str
    marks: int
    wordings: tuple[str, ...]
    truth: Callable[[Asked], Truth | None]
    tolerance: str
    options: tuple[str, ...] = ()
    horizon_s: float = 0.0
    version: int = 1

    def fill(self, text: str, names: tuple[str, ...]) -> str:
        """Put the regions' names into a wording or an option."""
        return text.format(**dict(zip(("a", "b"), names, strict=False)))

    def answer(self, truth: Truth) -> str:
        """The true answer as text: short, with units, lengths and speeds to a tenth, angles to a degree."""
        return ANSWER_TEXTS[self.answer_type](truth)


def distance_text(distance_m: float) -> str:
    """Such as "12.4 meters"."""
    return f"{distance_m:.1f} meters"


def bearing_text(bearing_deg: float) -> str:
    """Such as "-8 degrees"; never "-0" nor "-180"."""
    whole_deg = 180 if round(bearing_deg) == -180 else round(bearing_deg)
    return f"{whole_deg} degree" if abs(whole_deg) == 1 else f"{whole_deg} degrees"


ANSWER_TEXTS: dict[str, Callable[[Truth], str]] = {
    "localization": lambda truth: f"{distance_text(truth['distance_m'])}, {bearing_text(truth['bearing_deg'])}",
    "distance": lambda truth: distance_text(truth["distance_m"]),
    "bearing": lambda truth: bearing_text(truth["bearing_deg"]),
    "speed": lambda truth: f"{truth['speed_mps']:.1f} m/s",
    "clock": lambda truth: f"{truth['clock_hour']} o'clock",
    "choice": lambda truth: str(truth["choice"]),
    "bool": lambda truth: "yes" if truth["bool"] else "no",
}
"""How each answer type is written."""
