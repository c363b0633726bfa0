"""Units: which one belongs to a number, and how a number in it becomes metres, degrees, metres a second or seconds."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal, NamedTuple

from eval.numbers import Number, find_numbers

Dimension = Literal["length", "angle", "speed", "hour", "time", "other"]

_PER_SECOND = r"(?: ?/ ?| per | a )(?:s|secs?|seconds?)"
_PER_HOUR = r"(?: ?/ ?| per | an )(?:h|hrs?|hours?)"
_METRE = r"(?:met(?:er|re)s?|mètres?|metros?|mtrs?|m|米)"
_KILOMETRE = r"(?:kilomet(?:er|re)s?|kilomètres?|kms?|公里)"
_MILE = r"(?:miles?|mi)"
_FOOT = r"(?:feet|foot|ft)"


@dataclass(frozen=True)
class Unit:
    """What one of a unit is worth in metres, degrees, metres a second, seconds or hours of the clock; `other`: nothing."""

    pattern: str
    dimension: Dimension
    factor: float = 1.0


_UNITS = (
    Unit(rf"{_METRE}(?:{_PER_SECOND}(?:\^?2|/s| squared)| per second per second)", "other"),  # an acceleration
    Unit(rf"{_METRE}{_PER_SECOND}|mps|m\.s-1|米(?:/秒|每秒)", "speed"),
    Unit(rf"{_KILOMETRE}{_PER_HOUR}|kmph|kmh|kph|公里/小时", "speed", 1 / 3.6),
    Unit(rf"{_MILE}{_PER_HOUR}|mph", "speed", 0.44704),
    Unit(rf"{_FOOT}{_PER_SECOND}", "speed", 0.3048),
    Unit(r"knots?|kn", "speed", 1852 / 3600),
    Unit(_KILOMETRE, "length", 1000.0),
    Unit(r"centimet(?:er|re)s?|cms?", "length", 0.01),
    Unit(r"millimet(?:er|re)s?|mms?", "length", 0.001),
    Unit(_MILE, "length", 1609.344),
    Unit(r"yards?|yds?", "length", 0.9144),
    Unit(r"inch(?:es)?", "length", 0.0254),
    Unit(_FOOT, "length", 0.3048),
    Unit(_METRE, "length"),
    Unit(r"degrees?|degs?|度", "angle"),
    Unit(r"radians?|rads?", "angle", math.degrees(1.0)),
    Unit(r"o ?'? ?clock", "hour"),
    Unit(r"hz|percent|frames?|km ?/ ?s|m ?/ ?min", "other"),
    Unit(r"milliseconds?|millis|msecs?|ms", "time", 0.001),
    Unit(r"seconds?|secs?|s|秒", "time"),
    Unit(r"minutes?|mins?", "time", 60.0),
    Unit(r"hours?|hrs?|h", "time", 3600.0),
)
_NAMED = "|".join(f"(?P<u{index}>{unit.pattern})" for index, unit in enumerate(_UNITS))
_AFTER = re.compile(rf"\.? ?-?(?:(?:{_NAMED})(?![a-z0-9^/])|(?P<degree> ?°)|(?P<percent>%))")
_NO_UNIT_AFTER = frozenset(("", ",", ";", ":", ")", "]", ">", "\n"))
_OPENS_UNIT_BEFORE = ("_", "(", "[", "in ")
_BEFORE = re.compile(rf"(?:[_(\[]|\bin )(?:{_NAMED})[)\]]?[\"']? ?(?:[:=]|is\b|as\b)? ?[-+\"']?$")
_PRIME = re.compile(r"'(?:(?![a-z0-9])|(?=[0-9]{1,2}(?:\.[0-9]+)?\"))")
_IN_QUOTES = re.compile(r"(?<![0-9])['\"-]$")
_DOUBLE_PRIME = re.compile(r"\"(?![a-z0-9:])")
_JOIN = re.compile(
    r" ?(?:to|or|and|through|till|until|-|/|~|\.{2,}|±|\+/-|plus or minus) ?"
    r"(?:about |around |maybe |perhaps |even |approximately |minus |negative )?-?|,"
)
_MARKS = (("'", _PRIME, 0.3048), ('"', _DOUBLE_PRIME, 0.0254))
_LOOK_BACK = 32


class Quantity(NamedTuple):
    """A number with its unit.

    Attributes:
        value: in metres, degrees, metres a second, seconds or hours of the clock; as written where there is no unit.
        dimension: None where no unit was written.
        start: first character of the number.
        end: one past the last character of the unit.
        number: what was written.
    """

    value: float
    dimension: Dimension | None
    start: int
    end: int
    number: Number


def find_quantities(text: str) -> list[Quantity]:
    """All numbers of a plain text with their units, in order; `20 to 25 m` gives 20 m and 25 m."""
    found = [quantity for number in find_numbers(text) for quantity in _with_unit(text, number)]
    return _add_inches(text, _inherit_units(text, found))


def unit_follows(text: str, end: int) -> bool:
    """Whether a unit stands at `end` of a plain text, so that the number before it is a measure."""
    return bool(_AFTER.match(text, end))


def _with_unit(text: str, number: Number) -> list[Quantity]:
    """The quantity, or nothing where letters that are no unit touch the digits (`3rd`, `7b`)."""
    following = text[number.end : number.end + 1]
    match = None if following in _NO_UNIT_AFTER else _AFTER.match(text, number.end)
    if match:
        dimension, factor = _unit_of(match)
        return [Quantity(number.value * factor, dimension, number.start, match.end(), number)]
    for mark, pattern, factor in _MARKS:
        prime = pattern.match(text, number.end) if following == mark else None
        if prime and not _IN_QUOTES.search(text, max(number.start - 2, 0), number.start):
            return [Quantity(number.value * factor, "length", number.start, prime.end(), number)]
    if following.isalnum():
        return []
    unit = _unit_before(text, number.start)
    if unit:
        dimension, factor = unit
        return [Quantity(number.value * factor, dimension, number.start, number.end, number)]
    return [Quantity(number.value, None, number.start, number.end, number)]


def _unit_before(text: str, start: int) -> tuple[Dimension, float] | None:
    """The unit that was told ahead of a number, as in `distance_m: 5`."""
    earliest = max(start - _LOOK_BACK, 0)
    before = text[earliest:start]
    if not any(opening in before for opening in _OPENS_UNIT_BEFORE):
        return None
    match = _BEFORE.search(text, earliest, start)
    return _unit_of(match) if match else None


def _unit_of(match: re.Match[str]) -> tuple[Dimension, float]:
    name = match.lastgroup or "percent"
    if name in ("degree", "percent"):
        return ("angle", 1.0) if name == "degree" else ("other", 1.0)
    unit = _UNITS[int(name[1:])]
    return unit.dimension, unit.factor


def _inherit_units(text: str, found: list[Quantity]) -> list[Quantity]:
    """Give a bare number the unit of the one that it is joined to."""
    result = list(found)
    for index in range(len(found) - 2, -1, -1):
        this, following = result[index], result[index + 1]
        may_join = this.dimension is None and following.dimension is not None
        if may_join and _JOIN.fullmatch(text, this.end, following.start):
            factor = following.value / following.number.value if following.number.value else 1.0
            result[index] = Quantity(this.value * factor, following.dimension, this.start, this.end, this.number)
    return result


def _add_inches(text: str, found: list[Quantity]) -> list[Quantity]:
    """Make `5 ft 10 inches` and `5'10"` one length."""
    result: list[Quantity] = []
    for quantity in found:
        feet = result[-1] if result else None
        if feet and _goes_on_in_inches(text, feet, quantity):
            result[-1] = Quantity(feet.value + quantity.value, "length", feet.start, quantity.end, feet.number)
        else:
            result.append(quantity)
    return result


def _goes_on_in_inches(text: str, feet: Quantity, inches: Quantity) -> bool:
    in_units = _is_in(text, feet, ("'", "ft", "feet", "foot")) and _is_in(text, inches, ('"', "inch", "inches"))
    return in_units and text[feet.end : inches.start].strip(" ,") in ("", "and")


def _is_in(text: str, quantity: Quantity, units: tuple[str, ...]) -> bool:
    return quantity.dimension == "length" and text[quantity.number.end : quantity.end].strip(" -.") in units
