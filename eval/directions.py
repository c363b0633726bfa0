"""Left and right, ahead and behind in words: the sign of a bearing, a turn or an offset.

The word that follows the number counts first (`30 degrees to the right`), then one earlier in the same clause
(`to the right at 30 degrees`). Left is positive, and ahead is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from eval.units import Quantity

_SIDE = r"(?P<side>(?:left|right)(?:wards?)?|counter-? ?clockwise|anti-? ?clockwise|ccw|clockwise|cw|port|starboard)\b"
_QUALIFIER = (
    r"(?:to |on |toward |towards |in |off |from |of |away |the |its |my |your |our |ego |ego's |vehicle's |car's |"
    r"front |forward |rear |back |slightly |just |further |farther |far )"
)
_ALONG = r"(?P<side>ahead|in front|forwards?|front|behind|backwards?|rearwards?|back|rear)\b"
_ALONG_QUALIFIER = (
    r"(?:to |at |toward |towards |in |off |out |away,? |the |its |my |your |our |straight |directly |slightly |just |"
    r"further |farther |far |more )"
)
_TOUCHES = (
    r"[ ,:=(]*(?:by |at |of |about |around |approximately |roughly |side |turn |an |a |angle |bearing |distance |is )*"
    r"[~(≈]? ?$"
)
_CLAUSE_BREAK = re.compile(r"[.;\n!?](?![0-9])")
_NEXT_NUMBER = re.compile(r"[ :=(]*(?:by |at |about |around |approximately |roughly |for )*[~(≈]?[-+]?[0-9]")
_LOOK_BACK, _LOOK_AHEAD = 100, 60


@dataclass(frozen=True)
class Axis:
    """Words that give a number its sign.

    Attributes:
        after: from the end of the number and its unit.
        before_touching: up to the number.
        before_phrase: anywhere before it in its clause.
        negative: words of the negative side.
        parts: what every word of either side has in it.
    """

    after: re.Pattern[str]
    before_touching: re.Pattern[str]
    before_phrase: re.Pattern[str]
    negative: frozenset[str]
    parts: tuple[str, ...]


LEFT_RIGHT = Axis(
    after=re.compile(
        rf"°?[ ,(-]*{_QUALIFIER}{{0,6}}[-(]?{_SIDE}|° ?(?P<letter>[lr])\b| (?P<word_letter>[lr])(?![a-z0-9'])"
    ),
    before_touching=re.compile(rf"\b{_SIDE}{_TOUCHES}"),
    before_phrase=re.compile(
        rf"\b(?:to|on|toward|towards|from) (?:the |its |my |your |our )?(?:front |rear |far )?{_SIDE}(?! lane)"
    ),
    negative=frozenset({"right", "rightward", "rightwards", "clockwise", "cw", "starboard", "r"}),
    parts=("left", "right", "clockwise", "cw", "port", "starboard"),
)
"""Degrees and metres to the left are positive."""

AHEAD_BEHIND = Axis(
    after=re.compile(rf"[ ,(-]*{_ALONG_QUALIFIER}{{0,6}}[-(]?{_ALONG}"),
    before_touching=re.compile(rf"\b{_ALONG}{_TOUCHES}"),
    before_phrase=re.compile(r"\b(?P<side>ahead|in front|behind)\b"),
    negative=frozenset({"behind", "backward", "backwards", "rearward", "rearwards", "back", "rear"}),
    parts=("ahead", "front", "forward", "behind", "back", "rear"),
)
"""Metres ahead are positive."""


def signed(said: str, quantity: Quantity, axis: Axis) -> float | None:
    """The value with the sign that words give it, not wrapped; None where a written sign says the other side.

    Args:
        said: plain text.
        quantity: an angle or a length in it.
        axis: which words count.
    """
    return _with_side(quantity, _said_negative(said, quantity, axis))


def signed_nearby(said: str, quantity: Quantity, axis: Axis) -> tuple[bool, float | None]:
    """Whether words at the number itself put it on this axis, and the value as `signed` gives it.

    Words that belong to another number do not count: in `ahead 12 m, right 3 m` the 12 m lie ahead.
    """
    side = _after(said, quantity, axis, own=True)
    side = _before(said, quantity, axis, axis.before_touching, own=True) if side is None else side
    return side is not None, _with_side(quantity, side)


def _with_side(quantity: Quantity, is_negative: bool | None) -> float | None:
    if is_negative is None or quantity.value == 0:
        return quantity.value
    sign = quantity.number.sign
    if sign and (sign == "-") != is_negative:
        return None
    return -abs(quantity.value) if is_negative else abs(quantity.value)


def _said_negative(said: str, quantity: Quantity, axis: Axis) -> bool | None:
    """Whether words put the quantity on the negative side; None where they say nothing."""
    for found in (
        _after(said, quantity, axis, own=False),
        _before(said, quantity, axis, axis.before_touching),
        _before(said, quantity, axis, axis.before_phrase),
    ):
        if found is not None:
            return found
    return None


def _after(said: str, quantity: Quantity, axis: Axis, *, own: bool) -> bool | None:
    start = quantity.number.end + _unit_words(said, quantity)
    match = axis.after.match(said[: quantity.end + _LOOK_AHEAD], start)
    if match is None or (own and "," in match[0] and _NEXT_NUMBER.match(said, match.end())):
        return None
    return _word(match) in axis.negative


def _before(said: str, quantity: Quantity, axis: Axis, pattern: re.Pattern[str], *, own: bool = False) -> bool | None:
    clause = said[max(quantity.start - _LOOK_BACK, 0) : quantity.start]
    if not any(part in clause for part in axis.parts):
        return None
    breaks = list(_CLAUSE_BREAK.finditer(clause))
    clause = clause[breaks[-1].end() :] if breaks else clause
    clause = clause.rstrip("-+") if quantity.number.sign else clause
    found = list(pattern.finditer(clause))
    if not found or (own and "," in found[-1][0]):
        return None
    return _word(found[-1]) in axis.negative


def _word(match: re.Match[str]) -> str:
    return next(word for word in match.groups() if word is not None)


def _unit_words(said: str, quantity: Quantity) -> int:
    """How far after the number the words begin; a degree sign is left in place, since a letter may touch it."""
    return quantity.end - quantity.number.end - said[: quantity.end].endswith("°")
