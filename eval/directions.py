"""Left and right in words: the sign of a bearing.

The word that follows the number counts first (`30 degrees to the right`), then one earlier in the same clause
(`to the right at 30 degrees`). Left is positive.
"""

from __future__ import annotations

import re

from eval.units import Quantity

_SIDE = r"(?P<side>left|right|counter-? ?clockwise|anti-? ?clockwise|ccw|clockwise|cw|port|starboard)\b"
_QUALIFIER = (
    r"(?:to |on |toward |towards |in |off |from |of |the |its |my |your |our |ego |ego's |vehicle's |car's |"
    r"front |forward |rear |back |slightly |just |further |far )"
)
_AFTER = re.compile(
    rf"°?[ ,(-]*{_QUALIFIER}{{0,6}}[-(]?{_SIDE}|° ?(?P<letter>[lr])\b| (?P<word_letter>[lr])(?![a-z0-9'])"
)
_BEFORE_PHRASE = re.compile(
    rf"\b(?:to|on|toward|towards|from) (?:the |its |my |your |our )?(?:front |rear |far )?{_SIDE}(?! lane)"
)
_BEFORE_TOUCHING = re.compile(
    rf"\b{_SIDE}[ ,:=(]*(?:by |at |of |about |around |approximately |roughly |side |an |a |angle |bearing |is )*[~(≈]? ?$"
)
_CLAUSE_BREAK = re.compile(r"[.;\n!?](?![0-9])")
_RIGHT = frozenset({"right", "clockwise", "cw", "starboard", "r"})
_LOOK_BACK, _LOOK_AHEAD = 100, 60


def signed_bearing_deg(said: str, quantity: Quantity) -> float | None:
    """The bearing with the sign that words give it, not wrapped; None where a written sign says the other side.

    Args:
        said: plain text.
        quantity: an angle in it.
    """
    is_right = _said_right(said, quantity)
    if is_right is None or quantity.value == 0:
        return quantity.value
    sign = quantity.number.sign
    if sign and (sign == "-") != is_right:
        return None
    return -abs(quantity.value) if is_right else abs(quantity.value)


def _said_right(said: str, quantity: Quantity) -> bool | None:
    """Whether words put the quantity on the right; None where they say nothing."""
    after = _AFTER.match(said[: quantity.end + _LOOK_AHEAD], quantity.number.end + _unit_words(said, quantity))
    if after:
        return (after["side"] or after["letter"] or after["word_letter"]) in _RIGHT
    clause = said[max(quantity.start - _LOOK_BACK, 0) : quantity.start]
    breaks = list(_CLAUSE_BREAK.finditer(clause))
    clause = clause[breaks[-1].end() :] if breaks else clause
    clause = clause.rstrip("-+") if quantity.number.sign else clause
    before = _BEFORE_TOUCHING.search(clause) or next(reversed(list(_BEFORE_PHRASE.finditer(clause))), None)
    return before["side"] in _RIGHT if before else None


def _unit_words(said: str, quantity: Quantity) -> int:
    """How far after the number the words begin; a degree sign is left in place, since a letter may touch it."""
    return quantity.end - quantity.number.end - said[: quantity.end].endswith("°")
