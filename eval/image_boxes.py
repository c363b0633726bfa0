"""Read a box in an image: `[412, 300, 480, 372]`, `(412,300),(480,372)`, `{"bbox_2d": [412, 300, 480, 372]}` and their like.

Left, top, right, bottom in pixels. Commas part coordinates here: `412,300` are two numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from eval.answers import Parsed, ParseFailure
from eval.intervals import read_interval

MAX_PX = 1e5
SAME_PX = 1.0

_N = r"[-+]?[0-9]+(?:\.[0-9]*)?(?: ?px)?"
_SEPARATOR = r"(?: ?[,;] ?| )"
_FOUR = re.compile(rf"[\[(] ?({_N}){_SEPARATOR}({_N}){_SEPARATOR}({_N}){_SEPARATOR}({_N}) ?[\])]")
_TWO_POINTS = re.compile(
    rf"[\[(] ?({_N}){_SEPARATOR}({_N}) ?[\])][^0-9()\[\]]{{0,40}}[\[(] ?({_N}){_SEPARATOR}({_N}) ?[\])]"
)
_LIST = re.compile(rf"(?<![a-z0-9_.,-]){_N}(?: ?, ?{_N})+")
_DIGIT = re.compile("[0-9]")
_NUMBER = re.compile(_N)
_EDGES = {
    "left": r"x_?1|x[_ -]?min|left",
    "top": r"y_?1|y[_ -]?min|top",
    "right": r"x_?2|x[_ -]?max|right",
    "bottom": r"y_?2|y[_ -]?max|bottom",
}
_NAMED = "|".join(f"(?P<{edge}>{words})" for edge, words in _EDGES.items())
_KEYED = re.compile(rf"(?<![a-z0-9])(?:{_NAMED})[\"' ]{{0,3}}[:=]? ?(?P<number>{_N})")
_BLANKS = re.compile(rf"({_N}) ({_N}) ({_N}) ({_N})")
_BRACKETED = re.compile(r"[\[(][^\[\]()]{0,200}[\])]")


@dataclass(frozen=True)
class Corners:
    """Four numbers in order left, top, right, bottom, and where they stand in the text."""

    values_px: tuple[float, ...]
    start: int
    end: int


def read_box(said: str, _options: Sequence[str] = ()) -> Parsed | ParseFailure:
    """The one box of a plain text."""
    return _box_of(said, list(_corners(said)))


def _box_of(said: str, found: Sequence[Corners]) -> Parsed | ParseFailure:
    if not found:
        has_numbers = bool(_LIST.search(said) or _BRACKETED.search(said))
        return ParseFailure("incomplete" if has_numbers else "no_answer", said[:80])
    first = found[0].values_px
    for other in found[1:]:
        if any(abs(a - b) > SAME_PX for a, b in zip(first, other.values_px, strict=True)):
            return ParseFailure("several_values", f"{len(found)} boxes")
    return _checked(first)


def read_interval_box(said: str, options: Sequence[str] = ()) -> Parsed | ParseFailure:
    """An interval and the box in one plain text."""
    found = list(_corners(said))
    box, rest = _box_of(said, found), said
    for corners in reversed(found):
        rest = f"{rest[: corners.start]} , {rest[corners.end :]}"
    interval = read_interval(rest, options)
    if isinstance(box, Parsed) and isinstance(interval, Parsed):
        return Parsed(
            start_s=interval.start_s,
            end_s=interval.end_s,
            u0_px=box.u0_px,
            v0_px=box.v0_px,
            u1_px=box.u1_px,
            v1_px=box.v1_px,
        )
    missing = ("no_answer", "wrong_unit", "incomplete")
    for part in (interval, box):
        if isinstance(part, ParseFailure) and part.reason not in missing:
            return ParseFailure(part.reason, part.detail, part.value_range)
    if isinstance(box, Parsed) or isinstance(interval, Parsed):
        lacks, kept = ("no interval", box) if isinstance(box, Parsed) else ("no box", interval)
        return ParseFailure("incomplete", lacks, kept=kept if isinstance(kept, Parsed) else None)
    return box


def _corners(said: str) -> Iterator[Corners]:
    """Every box of the first form that the text has, so that `bbox [1, 2, 3, 4] (4 numbers)` is one."""
    if _DIGIT.search(said) is None:
        return
    for pattern in (_FOUR, _TWO_POINTS) if "[" in said or "(" in said else ():
        matches = list(pattern.finditer(said))
        if matches:
            yield from (Corners(_values(match.groups()), match.start(), match.end()) for match in matches)
            return
    keyed = list(_KEYED.finditer(said))
    if keyed:
        by_edge = {edge: match["number"] for match in keyed for edge in _EDGES if match[edge]}
        if len(keyed) == len(by_edge) == len(_EDGES):
            yield Corners(_values([by_edge[edge] for edge in _EDGES]), keyed[0].start(), keyed[-1].end())
        return
    if blanks := _BLANKS.fullmatch(said):
        yield Corners(_values(blanks.groups()), 0, len(said))
    for match in _LIST.finditer(said):
        numbers = _NUMBER.findall(match[0])
        if len(numbers) == len(_EDGES):
            yield Corners(_values(numbers), match.start(), match.end())


def _values(numbers: Sequence[str]) -> tuple[float, ...]:
    return tuple(float(number.removesuffix("px").strip()) for number in numbers)


def _checked(values_px: Sequence[float]) -> Parsed | ParseFailure:
    left, top, right, bottom = values_px
    if not all(abs(value) <= MAX_PX for value in values_px):
        return ParseFailure("out_of_range", ", ".join(f"{value:g}" for value in values_px)[:80])
    if not (left < right and top < bottom):
        return ParseFailure("contradiction", "the second corner is not right of and below the first")
    return Parsed(u0_px=left, v0_px=top, u1_px=right, v1_px=bottom)
