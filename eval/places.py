"""Read a position: metres ahead and metres to the left.

They are told by letters (`x 12.4 m, y -3.1 m`), by words (`12.4 m ahead and 3.1 m to the right`) or by their order
(`(12.4, -3.1) m`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from eval.answers import Parsed, ParseFailure
from eval.directions import AHEAD_BEHIND, LEFT_RIGHT, signed_nearby
from eval.units import Quantity
from eval.values import LATERAL, LONGITUDINAL, MAX_DISTANCE_M, answers, checked, one_value, share_unit, without_brackets

AxisName = Literal["x", "y"]

_LETTER = re.compile(
    r"(?<![a-z0-9])([xy])(?:[ _-](?:coordinate|position|offset|axis|value|meters?|metres?|m))?"
    r"(?: ?\((?:m|meters?|metres?)\))?[\"'\]]*(?: ?[:=]| is| of| at| about)* ?[~(\[\"']?[-+]?$"
)
_LOOK_BACK = 32


@dataclass(frozen=True)
class Offset:
    """A number of a position.

    Attributes:
        value: metres, or as written where there is no unit.
        axis: which way it counts; None where nothing says so.
        has_unit: a unit of length was written.
    """

    value: float
    axis: AxisName | None
    has_unit: bool


def read_position(said: str, _options: Sequence[str] = ()) -> Parsed | ParseFailure:
    """Both offsets of a plain text; a unit behind the last number holds for all that are listed with it."""
    said = without_brackets(said)
    quantities = share_unit(said, answers(said))
    relevant = [quantity for quantity in quantities if quantity.dimension in (None, "length")]
    if not relevant:
        failure = one_value(said, quantities, LONGITUDINAL)
        return failure if isinstance(failure, ParseFailure) else ParseFailure("no_answer", said[:80])
    offsets: list[Offset] = []
    for quantity in relevant:
        offset = _offset(said, quantity)
        if isinstance(offset, ParseFailure):
            return offset
        offsets.append(offset)
    return _combined(said, offsets)


def _offset(said: str, quantity: Quantity) -> Offset | ParseFailure:
    value, axis = quantity.value, _letter(said, quantity)
    for name, words in (("y", LEFT_RIGHT), ("x", AHEAD_BEHIND)):
        told, with_sign = signed_nearby(said, quantity, words)
        if not told or axis not in (None, name):
            continue
        if with_sign is None:
            return ParseFailure("contradiction", f"{said[quantity.start : quantity.end][:40]} and the other side")
        value, axis = with_sign, "y" if name == "y" else "x"
    in_range = checked(value, -MAX_DISTANCE_M, MAX_DISTANCE_M)
    return in_range if isinstance(in_range, ParseFailure) else Offset(value, axis, quantity.dimension is not None)


def _letter(said: str, quantity: Quantity) -> AxisName | None:
    match = _LETTER.search(said[max(quantity.start - _LOOK_BACK, 0) : quantity.start])
    if match is None:
        return None
    return "x" if match[1] == "x" else "y"


def _combined(said: str, offsets: list[Offset]) -> Parsed | ParseFailure:
    xs, ys, rest = ([one for one in offsets if one.axis == axis] for axis in ("x", "y", None))
    if xs and ys:
        rest = [one for one in rest if not any(LATERAL.same(abs(one.value), abs(other.value)) for other in xs + ys)]
    elif len(rest) == 1 and (xs or ys):  # the other axis was named
        xs, ys, rest = xs or rest, ys or rest, []
    elif len(rest) == 2 and not xs and not ys:
        xs, ys, rest = rest[:1], rest[1:], []
    if rest and (xs or ys or len(rest) > 2):
        return ParseFailure("several_values", ", ".join(f"{one.value:g}" for one in offsets)[:80])
    for same_axis in (xs, ys):
        if any(not LATERAL.same(same_axis[0].value, other.value) for other in same_axis[1:]):
            return ParseFailure("several_values", ", ".join(f"{one.value:g}" for one in same_axis)[:80])
    return _checked_pair(said, xs, ys)


def _checked_pair(said: str, xs: list[Offset], ys: list[Offset]) -> Parsed | ParseFailure:
    position = Parsed(x_m=xs[0].value if xs else None, y_m=ys[0].value if ys else None)
    if not xs or not ys:
        return ParseFailure("incomplete", said[:80], kept=position if xs or ys else None)
    if not all(one.has_unit for one in (xs[0], ys[0])):
        return ParseFailure("missing_unit", f"{xs[0].value:g}, {ys[0].value:g}", kept=position)
    return position
