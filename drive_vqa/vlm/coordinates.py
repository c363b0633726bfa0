"""Boxes and points in texts: pixels of the original image ↔ what a family of models counts in. The one place for that.

Our own texts are in whole pixels of the original image. A model counts in pixels of the image as it is shown to it, or in
thousandths of width and height. Both are the original's pixels times a factor for each axis, so the way back is exact but for
rounding:

    model → original → model      the same whole numbers, where the original has at least as many pixels as the model has units
    original → model → original   within half a unit of the model

Halves are rounded up. Whole numbers stay whole; a number with decimals keeps as many.

What is a box: four numbers in brackets, `<box>[…]</box>`; a point: `<point>(u,v)</point>`, and `(u, v)` in thoughts. In what a
model says, also four numbers in a row and the two corners `(u0,v0),(u1,v1)`, but only where it was asked for boxes: elsewhere
`[2, 0, 4, 1]` is an order of regions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from drive_vqa.vlm.family import SizePx
from drive_vqa.vlm.mentions import image_of_box, image_of_point

CORNERS = "[left, top, right, bottom]"
"""With these words our questions ask for boxes, or tell how they are written."""
PIXELS = "pixels"

_WHOLE = r"-?[0-9]{1,9}"
_N = rf"{_WHOLE}(?:\.[0-9]{{1,9}})?"
_COMMA = r"\s*,\s*"
_FOUR = _COMMA.join([_N] * 4)
_TWO = rf"\(\s*{_N}{_COMMA}{_N}\s*\)"
_TAGS = rf"<box>\s*\[\s*{_FOUR}\s*\]\s*</box>|<point>\s*{_TWO}\s*</point>"
_WRITTEN = r"\[" + ", ".join([_WHOLE] * 4) + r"\]"
_ROW = rf"(?<![\w.,-]){_N}(?:{_COMMA}{_N}){{3,}}(?!\.?\w)"
_SAID = rf"[\[(]\s*{_FOUR}\s*[\])]|{_TWO}(?! ?m\b)[^\d()\[\]\n]{{0,20}}{_TWO}(?! ?m\b)|{_ROW}"
_TAGGED = re.compile(_TAGS)
_OURS = re.compile(f"{_TAGS}|{_WRITTEN}")
_THEIRS = re.compile(f"{_TAGS}|{_SAID}")
_THOUGHTS = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)
_PAIR = re.compile(rf"(?<!\w)\({_WHOLE}, ?{_WHOLE}\)")
_NUMBER = re.compile(_N)


@dataclass(frozen=True)
class Scale:
    """How numbers of one image are turned.

    Attributes:
        original_px: (width, height) of the original image.
        model_units: the (width, height) of the whole image in the model's units.
    """

    original_px: SizePx
    model_units: SizePx

    def __post_init__(self) -> None:
        if min(*self.original_px, *self.model_units) < 1:
            raise ValueError(f"a scale needs sizes of at least 1, got {self.original_px} and {self.model_units}")

    def inverse(self) -> Scale:
        """The way back."""
        return Scale(self.model_units, self.original_px)

    def turned(self, number: str, axis: int) -> str:
        """A written number of an axis (0 across, 1 down), rounded to the decimals that it has."""
        places = len(number.partition(".")[2])
        units = Fraction(number) * self.model_units[axis] / self.original_px[axis] * 10**places
        return _written((units + Fraction(1, 2)).__floor__(), places)


Scales = Callable[[], Sequence[Scale]]


def to_model_text(text: str, group: Mapping[str, Any], scales: Scales, unit: str) -> str:
    """A text of ours as a model shall read or say it.

    Args:
        text: a question, an option, an answer or a trace in any dialect.
        group: row of the `groups` table that it is about.
        scales: gives the scale of each image of the group; asked only where there is a box.
        unit: what the model counts in, in words; put in the place of "pixels" where a text says how boxes are written.
    """
    turned = _rewrite(text, _OURS, group, scales)
    return turned.replace(f"{CORNERS} in {PIXELS}", f"{CORNERS} in {unit}")


def from_model_text(text: str, group: Mapping[str, Any], scales: Scales, unit: str, *, asked: str | None = None) -> str:
    """A text of a model in pixels of the original image: the way back from `to_model_text`.

    Args:
        text: what a model said.
        group: see `to_model_text`.
        scales: see `to_model_text`.
        unit: see `to_model_text`.
        asked: the question; boxes without tags are looked for only where it speaks of boxes. None: everywhere.
    """
    pattern = _THEIRS if asked is None or speaks_of_boxes(asked) else _TAGGED
    turned = _rewrite(text, pattern, group, lambda: [scale.inverse() for scale in scales()])
    return turned.replace(f"{CORNERS} in {unit}", f"{CORNERS} in {PIXELS}")


def speaks_of_boxes(question: str) -> bool:
    """Whether a question asks for boxes or names regions by them."""
    return CORNERS in question


def _rewrite(text: str, boxes: re.Pattern[str], group: Mapping[str, Any], scales: Scales) -> str:
    """The text with all boxes and points turned, each by the scale of its own image."""
    found = [match for match in boxes.finditer(text) if len(_NUMBER.findall(match[0])) <= len("uvuv")]
    taken = [match.span() for match in found]
    for thoughts in _THOUGHTS.finditer(text):
        pairs = _PAIR.finditer(text, *thoughts.span())
        found += [pair for pair in pairs if not any(start < pair.end() and pair.start() < end for start, end in taken)]
    if not found:
        return text
    turn = _turning(text, group, scales())
    parts, done = [], 0
    for match in sorted(found, key=re.Match.start):
        parts += [text[done : match.start()], turn(match)]
        done = match.end()
    return "".join([*parts, text[done:]])


def _turning(text: str, group: Mapping[str, Any], scales: Sequence[Scale]) -> Callable[[re.Match[str]], str]:
    """What writes a found box or point anew. A point that repeats the one before it lies in the same image."""
    last: list[tuple[list[str], int]] = []

    def image_of(match: re.Match[str], numbers: list[str]) -> int:
        if len(set(scales)) == 1:
            return 0
        if len(numbers) == len("uvuv"):
            return image_of_box(group, text, *match.span())
        if last and last[-1][0] == numbers:
            return last[-1][1]
        return image_of_point(group, text, match.start())

    def turn(match: re.Match[str]) -> str:
        numbers = _NUMBER.findall(match[0])
        place = image_of(match, numbers)
        if len(numbers) == len("uv"):
            last.append((numbers, place))
        scale, axes = scales[place], iter(range(len(numbers)))
        return _NUMBER.sub(lambda number: scale.turned(number[0], next(axes) % 2), match[0])

    return turn


def _written(value: int, places: int) -> str:
    """A value counted in 1 / 10**places as a decimal number; never "-0"."""
    digits = f"{abs(value):0{places + 1}d}"
    sign = "-" if value < 0 else ""
    return sign + (digits if not places else f"{digits[:-places]}.{digits[-places:]}")
