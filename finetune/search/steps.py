"""What a teacher proposes, read: one thought that ends in the point of what it looks at, or an answer.

A thought is one line without tags; its point lies inside the image that it speaks of. Everything else is refused with a reason
and never raises.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from drive_vqa.traces import decimal
from drive_vqa.vlm.mentions import image_of_point
from eval.predictions import storable
from eval.reasoning.read import read_trace

Refusal = Literal["empty", "too_long", "tags", "no_point", "outside", "no_answer"]

MOST_CHARACTERS = 20_000
"""A longer proposal is refused unread."""

ANSWER_TAG = "<answer>"
MOST_OF_A_STEP = 600
MOST_OF_AN_ANSWER = 400

_LABEL = re.compile(r"\A(?:step *\d{1,3} *[:.)-]|\d{1,2} *[.)](?!\d)|[-*•]) *", re.IGNORECASE)
_LOOSE_POINT = re.compile(r"\( ?(-?\d{1,6}(?:\.\d{1,6})?) ?, ?(-?\d{1,6}(?:\.\d{1,6})?) ?\)")
_LAST_POINT = re.compile(r"\((-?\d{1,6}), (-?\d{1,6})\)\Z")
_THINK_TAGS = re.compile(r"</?think>")


@dataclass(frozen=True)
class GroundedStep:
    """A thought and the pixel that it is about.

    Attributes:
        thought: its words without the closing point; one line, no angle brackets. Tells the time of an earlier image.
        point_px: (u, v), whole pixels of the original image.
        context: place in `group["context"]` of the image that the point lies in.
    """

    thought: str
    point_px: tuple[int, int]
    context: int

    @property
    def line(self) -> str:
        """As it is said."""
        return f"{self.thought} ({self.point_px[0]}, {self.point_px[1]})"


@dataclass(frozen=True)
class FoundAnswer:
    """An answer; it ends a chain."""

    text: str


Proposal = GroundedStep | FoundAnswer


def read_proposal(text: str, group: Mapping[str, Any]) -> Proposal | Refusal:
    """Read what a teacher proposes.

    Args:
        text: anything at all; points in pixels of the original images. Of several lines the first counts, since one step was
            asked for. An answer is in tags, and words before it are left out.
        group: the row of the `groups` table that is shown.
    """
    if len(text) > MOST_CHARACTERS:
        return "too_long"
    text = storable(text)
    if ANSWER_TAG in text:
        return _answer(text)
    lines = [line for line in map(str.strip, without_think_tags(text).splitlines()) if line]
    if not lines:
        return "empty"
    line = with_whole_points(_LABEL.sub("", lines[0], count=1)).rstrip(" .,;")
    if set(line) & set("<>"):
        return "tags"
    return "too_long" if len(line) > MOST_OF_A_STEP else _step(line, group)


def with_whole_points(text: str) -> str:
    """The text with points such as `(412.4 ,300)` as `(412, 300)`, the form that all readers of traces know."""
    return _LOOSE_POINT.sub(lambda found: f"({_whole(found[1])}, {_whole(found[2])})", text)


def without_think_tags(text: str) -> str:
    """The text with a line break for each of these tags."""
    return _THINK_TAGS.sub("\n", text)


def _whole(number: str) -> int:
    return round(float(number))


def _answer(text: str) -> Proposal | Refusal:
    """The one answer of a text, on one line."""
    told = read_trace(text[text.find(ANSWER_TAG) :], "vigorl").answer
    answer = " ".join((told or "").split())
    if not answer or set(answer) & set("<>"):
        return "no_answer"
    return "too_long" if len(answer) > MOST_OF_AN_ANSWER else FoundAnswer(answer)


def _step(line: str, group: Mapping[str, Any]) -> Proposal | Refusal:
    """The step of a line that is one in the dialect vigorl: its last words are a point."""
    told, last = read_trace(f"<think>\n{line}\n</think>\n<answer>-</answer>", "vigorl"), _LAST_POINT.search(line)
    thought = line[: last.start()].strip() if last else ""
    if last is None or not thought or not told.well_formed:
        return "no_point"
    offset_s = told.points[-1].offset_s
    if offset_s is None and any(point.offset_s is not None for point in told.points):
        offset_s = 0.0  # the time that is told is of another point
    context = _context(image_of_point(group, line, last.start()), offset_s, group)
    if offset_s is None:
        thought += _time_words(group["context"][context]["offset_s"])
    step = GroundedStep(thought, (int(last[1]), int(last[2])), context)
    return step if _is_inside(step, group) else "outside"


def _context(place: int, offset_s: float | None, group: Mapping[str, Any]) -> int:
    """The image at a time that is told in the form of the dialect; without one the image that other words tell."""
    if offset_s is None:
        return place
    views = group["context"]
    return min(range(len(views)), key=lambda one: (abs(views[one]["offset_s"] - offset_s), one != place, -one))


def _time_words(offset_s: float) -> str:
    """What the dialect says of a point that is not of now, so that all who read the step know its image."""
    return f", {decimal(-offset_s)} seconds ago," if offset_s else ""


def _is_inside(step: GroundedStep, group: Mapping[str, Any]) -> bool:
    view, (u_px, v_px) = group["context"][step.context], step.point_px
    return 0 <= u_px < (view["width"] or 0) and 0 <= v_px < (view["height"] or 0)
