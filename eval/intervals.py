"""Read an interval of time relative to now: `from 1.5 to 0.5 seconds ago`, `-1.5 to -0.5 s`, `for the last 1.5 seconds`.

"ago" holds for both ends; a number without it and without a sign lies ahead, as it is written. Ends told in the wrong order are
put in order.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from eval.answers import Parsed, ParseFailure
from eval.units import Quantity
from eval.values import (
    MAX_TIME_S,
    TIME,
    answers,
    bare_numbers,
    checked,
    is_future,
    is_past,
    one_value,
    share_unit,
    signed_time_s,
    without_brackets,
)

_NOW = re.compile(r"\b(?:now|the present|the current (?:frame|moment|time)|presently|currently|today)\b")
_LAST = re.compile(r"\b(?:last|past|previous|preceding) ?(?:about |approximately )?$")
_LOOK_BACK = 32


def read_interval(said: str, _options: Sequence[str] = ()) -> Parsed | ParseFailure:
    """Start and end of a plain text, seconds relative to now."""
    said = without_brackets(said)
    quantities = share_unit(said, answers(said, never_label="time"))
    timed = [quantity for quantity in quantities if quantity.dimension == "time"]
    bare = bare_numbers(quantities)
    used = timed if len(timed) > 1 or not bare else [one for one in quantities if one in timed or one in bare]
    if not used:
        failure = one_value(said, quantities, TIME)
        return failure if isinstance(failure, ParseFailure) else ParseFailure("no_answer", said[:80])
    moments_s = _signed(said, used)
    if isinstance(moments_s, ParseFailure):
        return moments_s
    if len(moments_s) == 1:
        return _until_now(said, used[0], moments_s[0])
    if len(moments_s) % 2 or any(not _same(moments_s[:2], moments_s[index : index + 2]) for index in _later(moments_s)):
        ends = (min(moments_s), max(moments_s))
        return ParseFailure("several_values", ", ".join(f"{value:g}" for value in moments_s)[:80], ends)
    interval = Parsed(start_s=min(moments_s[:2]), end_s=max(moments_s[:2]))
    if len(timed) < len(used):
        return ParseFailure("missing_unit", said[:80], kept=interval)
    return interval


def _signed(said: str, used: Sequence[Quantity]) -> list[float] | ParseFailure:
    """Each moment with its sign; "ago" said of one end holds for the other too, where that has no sign."""
    past = [is_past(said, quantity) or _in_the_last(said, quantity) for quantity in used]
    moments_s = []
    for quantity, is_ago in zip(used, past, strict=True):
        value = signed_time_s(said, quantity)
        if value is None:
            return ParseFailure("contradiction", said[quantity.start : quantity.end][:40])
        shares = any(past) and not quantity.number.sign and not is_future(said, quantity)
        value = -abs(value) + 0.0 if is_ago or shares else value
        in_range = checked(value, -MAX_TIME_S, MAX_TIME_S)
        if isinstance(in_range, ParseFailure):
            return in_range
        moments_s.append(value)
    return moments_s


def _in_the_last(said: str, quantity: Quantity) -> bool:
    return bool(_LAST.search(said[max(quantity.start - _LOOK_BACK, 0) : quantity.start]))


def _until_now(said: str, quantity: Quantity, moment_s: float) -> Parsed | ParseFailure:
    """One moment alone: the other end must be now."""
    interval = Parsed(start_s=min(moment_s, 0.0), end_s=max(moment_s, 0.0))
    if quantity.dimension is None:
        return ParseFailure("missing_unit", said[:80])
    if _in_the_last(said, quantity) or _NOW.search(said.replace("from now", "").replace("before now", "")):
        return interval
    return ParseFailure("incomplete", "only one end")


def _later(moments_s: Sequence[float]) -> range:
    return range(2, len(moments_s), 2)


def _same(first: Sequence[float], second: Sequence[float]) -> bool:
    return all(TIME.same(a, b) for a, b in zip(sorted(first), sorted(second), strict=True))
