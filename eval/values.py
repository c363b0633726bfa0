"""From the numbers of a text to the one value that is meant: which of them count, what each is worth, whether they agree."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from eval.answers import ParseFailure
from eval.directions import AHEAD_BEHIND, LEFT_RIGHT, Axis, signed
from eval.mentions import is_label
from eval.units import Dimension, Quantity, find_quantities

SAME_VALUE_SHARE = 0.02
"""Two values that differ by less are one value said twice, in two units or roundings."""

SAME_ANGLE_DEG = 1.0
MAX_DISTANCE_M = 1e6
MAX_SPEED_MPS = 1e3
MAX_COUNT = 10_000
MAX_TURN_DEG = 360.0
MAX_TIME_S = 3600.0

_BRACKETS_BEFORE_UNIT = re.compile(r"[(\[]([-+0-9., ]*)[)\]](?= ?[a-z])")
_ONE_THING = re.compile(r"\b(?:the|this|that|which|no|any|every|each|another|other) \Z")
_ANYBODY = re.compile(r" (?:can|cannot|can't|could|couldn't|would|should|must|knows|sees)\b")
_LOOK_BACK = 12
_BETWEEN_SHARING = re.compile(r"[ ,;]*(?:and )?[-+]?")
_PAST_AFTER = re.compile(r"[ ,]*(?:ago|earlier|before|prior|back|in the past)\b")
_FUTURE_AFTER = re.compile(r"[ ,]*(?:from now|later|ahead|in the future|after now)\b")

Value = float | ParseFailure


@dataclass(frozen=True)
class Measure:
    """A kind of number that may be asked for.

    Attributes:
        dimension: of its unit; None for a number without one.
        read: its value from the text and the quantity, checked for range.
        same: whether two values are one.
    """

    dimension: Dimension | None
    read: Callable[[str, Quantity], Value]
    same: Callable[[float, float], bool]


def answers(said: str, *, bare_one: bool = False, never_label: Dimension | None = None) -> list[Quantity]:
    """Quantities that may be an answer: no region numbers, no list numbers, and "one" only where a number is asked for.

    Args:
        said: plain text.
        bare_one: "one" is a number, not a pronoun.
        never_label: a number with such a unit is an answer whatever stands before it, as in `t = 2 s`.
    """
    found: list[Quantity] = []
    previous: Quantity | None = None
    after_label = False
    for quantity in find_quantities(said):
        between = said[previous.end : quantity.start] if previous else ""
        after_label = is_label(said, quantity, between if after_label else None)
        after_label = after_label and (never_label is None or quantity.dimension != never_label)
        previous = quantity
        if not after_label and not _is_pronoun(said, quantity, bare_one=bare_one):
            found.append(quantity)
    return found


def _is_pronoun(said: str, quantity: Quantity, *, bare_one: bool) -> bool:
    """Whether "one" stands for a thing or for anybody."""
    if not quantity.number.spelled or quantity.value != 1 or quantity.dimension is not None:
        return False
    before = said[max(quantity.start - _LOOK_BACK, 0) : quantity.start]
    return not bare_one or bool(_ONE_THING.search(before) or _ANYBODY.match(said, quantity.end))


def bare_numbers(quantities: Sequence[Quantity]) -> list[Quantity]:
    """Those without a unit."""
    return [quantity for quantity in quantities if quantity.dimension is None]


def one_value(said: str, quantities: Sequence[Quantity], measure: Measure) -> Value:
    """The value that all quantities of a dimension agree on."""
    asked = [quantity for quantity in quantities if quantity.dimension == measure.dimension]
    if asked:
        return agreed(said, asked, measure)
    if bare_numbers(quantities):
        return ParseFailure("missing_unit")
    others = [quantity for quantity in quantities if quantity.dimension not in ("other", "time")]
    return ParseFailure("wrong_unit", others[0].dimension or "") if others else ParseFailure("no_answer", said[:80])


def agreed(said: str, quantities: Sequence[Quantity], measure: Measure) -> Value:
    """The value of quantities that all mean the same."""
    if not quantities:
        return ParseFailure("no_answer", said[:80])
    values = [measure.read(said, quantity) for quantity in quantities]
    good = [value for value in values if isinstance(value, float)]
    if len(good) < len(values):
        return next(value for value in values if isinstance(value, ParseFailure))
    if all(measure.same(good[0], value) for value in good):
        return good[0]
    return ParseFailure("several_values", ", ".join(f"{v:g}" for v in good)[:80], (min(good), max(good)))


def without_brackets(said: str) -> str:
    """`(12.4, -3.1) m` as `12.4, -3.1 m`, so that the unit stands at a number; `(12,3) m` are two numbers."""
    return _BRACKETS_BEFORE_UNIT.sub(lambda match: match[1].replace(",", ", "), said)


def share_unit(said: str, quantities: Sequence[Quantity]) -> list[Quantity]:
    """Give a bare number the unit of the one that it is listed with: `12.4, -3.1 m` are both metres."""
    result = list(quantities)
    for index in range(len(result) - 2, -1, -1):
        this, following = result[index], result[index + 1]
        may_share = this.dimension is None and following.dimension is not None
        if may_share and _BETWEEN_SHARING.fullmatch(said, this.end, following.start):
            factor = following.value / following.number.value if following.number.value else 1.0
            result[index] = this._replace(value=this.value * factor, dimension=following.dimension)
    return result


def signed_time_s(said: str, quantity: Quantity) -> float | None:
    """A time relative to now with the sign that words give it; None where a written sign says the other."""
    for word, sign in ((_PAST_AFTER, "-"), (_FUTURE_AFTER, "+")):
        if word.match(said, quantity.end):
            value = -abs(quantity.value) if sign == "-" else quantity.value
            return None if (quantity.number.sign or sign) != sign and value else value + 0.0
    return quantity.value


def is_past(said: str, quantity: Quantity) -> bool:
    """Whether the words after a time put it into the past."""
    return bool(_PAST_AFTER.match(said, quantity.end))


def is_future(said: str, quantity: Quantity) -> bool:
    """Whether the words after a time put it ahead."""
    return bool(_FUTURE_AFTER.match(said, quantity.end))


def checked(value: float, low: float, high: float) -> Value:
    """The value, or why it is none."""
    if low <= value <= high:
        return value
    return ParseFailure("out_of_range" if math.isfinite(value) else "not_a_number", f"{value:g}")


def wrapped(angle_deg: float) -> float:
    """Degrees in (-180, 180]; `drive_vqa.geometry.wrap_deg` without numpy, so that parsing stays light."""
    return 180.0 - (180.0 - angle_deg) % 360.0


def _signed_reader(axis: Axis, greatest: float) -> Callable[[str, Quantity], Value]:
    def read(said: str, quantity: Quantity) -> Value:
        if not math.isfinite(quantity.value):
            return _not_a_number(said, quantity)
        value = signed(said, quantity, axis)
        if value is None:
            return ParseFailure("contradiction", f"{said[quantity.start : quantity.end][:40]} and the other side")
        return checked(value, -greatest, greatest)

    return read


def _angle(said: str, quantity: Quantity) -> Value:
    value = _signed_reader(LEFT_RIGHT, MAX_TURN_DEG)(said, quantity)
    return wrapped(value) if isinstance(value, float) else value


def _time(said: str, quantity: Quantity) -> Value:
    value = signed_time_s(said, quantity)
    return ParseFailure("contradiction", "past and future") if value is None else checked(value, 0.0, MAX_TIME_S)


def _ranged(low: float, high: float) -> Callable[[str, Quantity], Value]:
    return lambda _said, quantity: checked(quantity.value, low, high)


def _whole(low: int, high: int) -> Callable[[str, Quantity], Value]:
    def read(said: str, quantity: Quantity) -> Value:
        if not math.isfinite(quantity.value):
            return _not_a_number(said, quantity)
        whole = quantity.value.is_integer() and low <= quantity.value <= high
        return quantity.value if whole else ParseFailure("out_of_range", said[quantity.start : quantity.end][:40])

    return read


def _not_a_number(said: str, quantity: Quantity) -> ParseFailure:
    return ParseFailure("not_a_number", said[quantity.start : quantity.end][:40])


def _close(first: float, second: float) -> bool:
    return math.isclose(first, second, rel_tol=SAME_VALUE_SHARE)


def _close_angle(first: float, second: float) -> bool:
    return abs(wrapped(first - second)) <= SAME_ANGLE_DEG


def _equal(first: float, second: float) -> bool:
    return first == second


LENGTH = Measure("length", _ranged(0.0, MAX_DISTANCE_M), _close)
ANGLE = Measure("angle", _angle, _close_angle)
SPEED = Measure("speed", _ranged(0.0, MAX_SPEED_MPS), _close)
LATERAL = Measure("length", _signed_reader(LEFT_RIGHT, MAX_DISTANCE_M), _close)
LONGITUDINAL = Measure("length", _signed_reader(AHEAD_BEHIND, MAX_DISTANCE_M), _close)
TIME = Measure("time", _time, _close)
HOUR = Measure("hour", _whole(1, 12), _equal)
COUNT = Measure(None, _whole(0, MAX_COUNT), _equal)
