"""What reading a reasoned answer gives: its steps, the claims in them, the answer, and what is malformed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Fault = Literal[
    "too_long",
    "too_many_claims",
    "no_answer",
    "several_answers",
    "several_thoughts",
    "wrong_order",
    "text_outside",
    "unclosed_tag",
    "unopened_tag",
    "unknown_tag",
    "empty_step",
    "step_without_point",
    "bad_box",
    "bad_point",
    "bad_time",
    "bad_place",
    "missing_box",
    "missing_name",
    "missing_time",
]
"""What is malformed.

    too_long             over `read.MAX_CHARACTERS` or `claims.MAX_STEPS`; what is beyond is not read
    too_many_claims      over `claims.MAX_CLAIMS`; those beyond are left out
    no_answer            no closed pair of answer tags with a text in it
    several_answers      two or more
    several_thoughts     a thought after a thought, without a look at the image between them
    wrong_order          a thought or a tool call after the answer
    text_outside         words that are in no thought, answer or tool call
    unclosed_tag         opened and not closed
    unopened_tag         closed and not opened
    unknown_tag          the dialect has no such tag; in `drive` also a lone "<" or ">", or any in the answer
    empty_step           a thought without words; in `drive` also a blank line in one
    step_without_point   `vigorl`: a step that does not end in a point, though there was something to point at before.
                         No point at all is no fault: a trace of nothing seen has none, and who wants points counts them
    bad_box              what stands between box tags is not four numbers in square brackets
    bad_point            what stands between point tags is not two numbers in round brackets
    bad_time             what stands between time tags is not a number
    bad_place            what stands between place tags is not a distance in metres and a bearing in degrees
    missing_box          a name or a time without a box
    missing_name         a box without a name, where the dialect wants one
    missing_time         a box without a time, where the dialect wants one
"""


@dataclass(frozen=True)
class SeenClaim:
    """An object is in this box of the image of a time.

    Attributes:
        name: what it is called; None where the text gives no name.
        box_px: u0, v0, u1, v1 in pixels of the original image; any finite numbers, outside of the image or without area too.
        offset_s: when, from now; 0 or negative in honest traces. None: no time is told.
        step: index in `ReadTrace.steps`.
    """

    name: str | None
    box_px: tuple[float, float, float, float]
    offset_s: float | None
    step: int


@dataclass(frozen=True)
class PointClaim:
    """What is said is about this pixel of the original image.

    Attributes:
        u_px: to the right.
        v_px: down.
        offset_s: as for `SeenClaim`.
        step: index in `ReadTrace.steps`.
    """

    u_px: float
    v_px: float
    offset_s: float | None
    step: int


@dataclass(frozen=True)
class PlaceClaim:
    """Something is here on the ground, in the ego frame of the time that the step speaks of.

    Attributes:
        distance_m: from the ego origin.
        bearing_deg: 0 ahead, positive to the left.
        name: that of the `seen` before it in the step, None where there is none.
        offset_s: that of the `seen` before it in the step, else 0.0 (now).
        step: index in `ReadTrace.steps`.
    """

    distance_m: float
    bearing_deg: float
    name: str | None
    offset_s: float
    step: int


@dataclass(frozen=True)
class TimeClaim:
    """A time that is told without a box, where the dialect knows such.

    Attributes:
        offset_s: from now.
        step: index in `ReadTrace.steps`.
    """

    offset_s: float
    step: int


@dataclass(frozen=True)
class ReadTrace:
    """A reasoned answer as read.

    Attributes:
        steps: raw text of each step; none for a direct answer.
        seen: in the order of the text.
        points: likewise.
        places: likewise.
        answer: the text between the answer tags, stripped; None where there is no single answer.
        faults: what is malformed, each once, in the order of `Fault`.
        times: told alone, in the order of the text.
    """

    steps: tuple[str, ...]
    seen: tuple[SeenClaim, ...]
    points: tuple[PointClaim, ...]
    places: tuple[PlaceClaim, ...]
    answer: str | None
    faults: tuple[Fault, ...]
    times: tuple[TimeClaim, ...] = ()

    @property
    def well_formed(self) -> bool:
        """Whether the text follows the grammar of its dialect."""
        return not self.faults
