"""What a model asks for: the text of a tool call, read without trust.

    {"name": "zoom", "arguments": {"frame": 2, "coordinate": [x, y]}}
    {"name": "zoom", "arguments": {"frame": 2, "box": [x0, y0, x1, y1]}}

Frames count from 1, oldest first, as "image 2" in the questions does. Numbers are in the model's own units, those in which it
writes boxes; `coordinates.Scale` turns them into pixels of the original frame. Whatever else comes is answered by one sentence
that says what is wrong. Nothing raises, and the time is linear in the text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drive_vqa.looks import BoxPx, PointPx
from drive_vqa.vlm.coordinates import Scale

TOOL = "zoom"
CALL_OPEN = "<tool_call>"
CALL_CLOSE = "</tool_call>"

LONGEST_CALL = 400
"""Characters; a well-formed call has about a hundred. Also bounds how deep its brackets can be nested."""
LARGEST = 100_000
"""Numbers beyond it are no coordinates in any unit."""
DECIMALS = 3
SHOWN_KEY = 24
"""Characters of a wrong key that are repeated to the model."""


@dataclass(frozen=True)
class Call:
    """A look that can be taken.

    Attributes:
        context: place of the frame in the group's context, from 0.
        target_px: a point, or a box with its corners in order and some area, in pixels of the original frame; inside the frame.
    """

    context: int
    target_px: PointPx | BoxPx

    @property
    def point_px(self) -> PointPx | None:
        """The point; None where it is a box."""
        return self.target_px if len(self.target_px) == 2 else None

    @property
    def aim_px(self) -> PointPx:
        """The point, or the middle of the box."""
        first, last = self.target_px[:2], self.target_px[-2:]
        return (first[0] + last[0]) / 2, (first[1] + last[1]) / 2


@dataclass(frozen=True)
class Complaint:
    """Why a look cannot be taken.

    Attributes:
        text: one sentence, said to the model.
    """

    text: str


def read_call(text: str, scales: Sequence[Scale]) -> Call | Complaint:
    """Read what stands between the tags of a tool call.

    Args:
        text: anything.
        scales: of each frame: original pixels → the model's units.
    """
    arguments = _arguments(text)
    if isinstance(arguments, Complaint):
        return arguments
    frame = arguments.get("frame")
    if not isinstance(frame, int) or isinstance(frame, bool) or not 1 <= frame <= len(scales):
        return Complaint(f"frame must be a whole number from 1 to {len(scales)}.")
    given = [name for name in ("coordinate", "box") if arguments.get(name) is not None]
    if len(given) != 1:
        return Complaint("Give either coordinate or box.")
    (name,) = given
    numbers = _numbers(arguments[name], 2 if name == "coordinate" else 4)
    if numbers is None:
        return Complaint(f"{name} must be a list of {'two' if name == 'coordinate' else 'four'} numbers.")
    return _placed(name, numbers, frame - 1, scales[frame - 1])


def call_text(call: Call, scale: Scale | None = None) -> str:
    """A call with its tags, as a model writes it: the way back from `read_call`.

    Args:
        call: with whole pixels.
        scale: of its frame, original pixels → the model's units; None: in pixels of the original frame.
    """
    numbers = [str(round(value)) for value in call.target_px]
    if scale is not None:
        numbers = [scale.turned(number, place % 2) for place, number in enumerate(numbers)]
    name = "coordinate" if len(numbers) == len("uv") else "box"
    arguments = {"frame": call.context + 1, name: [int(number) for number in numbers]}
    return f"{CALL_OPEN}\n{json.dumps({'name': TOOL, 'arguments': arguments})}\n{CALL_CLOSE}"


def json_call(arguments: Mapping[str, Any]) -> str:
    """The text of a call whose arguments were taken apart already; what JSON cannot say becomes text, and is complained about."""
    return json.dumps({"name": TOOL, "arguments": dict(arguments)}, default=repr)


def _arguments(text: str) -> dict[str, Any] | Complaint:
    if len(text) > LONGEST_CALL:
        return Complaint(f"A call has at most {LONGEST_CALL} characters.")
    try:
        call = json.loads(text)
    except (ValueError, RecursionError):
        return Complaint("The call is not valid JSON.")
    if not isinstance(call, dict) or call.get("name") != TOOL:
        return Complaint(f"The only tool is {TOOL}.")
    arguments = call.get("arguments")
    if not isinstance(arguments, dict):
        return Complaint("arguments must be an object with frame, and coordinate or box.")
    unknown = [key for key in arguments if key not in ("frame", "coordinate", "box")]
    if unknown:
        return Complaint(f"{TOOL} takes frame, coordinate and box, not {_quoted(unknown[0])}.")
    return arguments


def _quoted(key: str) -> str:
    """A key in ASCII letters and digits only, so that nothing in it can be taken for a tag or a special token."""
    return repr("".join(sign for sign in key[:SHOWN_KEY] if sign.isascii() and (sign.isalnum() or sign in " _-")))


def _numbers(value: Any, count: int) -> list[float] | None:
    """Finite numbers of a sane size; None where there are not exactly so many."""
    if not isinstance(value, list) or len(value) != count:
        return None
    if any(isinstance(number, bool) or not isinstance(number, int | float) for number in value):
        return None
    return [float(number) for number in value] if all(abs(number) <= LARGEST for number in value) else None


def _placed(name: str, numbers: list[float], context: int, scale: Scale) -> Call | Complaint:
    """The call in pixels of its frame."""
    back = scale.inverse()
    turned = [float(back.turned(f"{number:.{DECIMALS}f}", place % 2)) for place, number in enumerate(numbers)]
    width, height = scale.original_px
    if name == "coordinate":
        u, v = turned
        inside = 0 <= u <= width and 0 <= v <= height
        return Call(context, (u, v)) if inside else Complaint(f"The point lies outside image {context + 1}.")
    u0, u1 = (min(max(value, 0.0), float(width)) for value in sorted(turned[0::2]))
    v0, v1 = (min(max(value, 0.0), float(height)) for value in sorted(turned[1::2]))
    if u1 - u0 < 1 or v1 - v0 < 1:
        return Complaint(f"The box has no area inside image {context + 1}.")
    return Call(context, (u0, v0, u1, v1))
