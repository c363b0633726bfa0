"""Read a list of regions: `Region 2, Region 0 and Region 4`, `2 > 0 > 4`, `[2, 0, 4]`, or `none`.

Every whole number counts that is not a measure (`5 m`), the place in a list (`1. Region 2`), the number of something else
(`frame 3`), or a count (`3 regions`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from eval.answers import Parsed, ParseFailure
from eval.mentions import is_refusal, says_none
from eval.units import unit_follows

MAX_MARK = 999
NO_REGIONS = "[]"
"""An empty list, which holds no letter."""

_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_NAME = r"(?:regions?|objects?|marks?|targets?|agents?|box(?:es)?)"
_SPELLED = re.compile(rf"\b({_NAME}) ({'|'.join(_WORDS)})\b")
_WHOLE = re.compile(r"(?<![a-z0-9_.])[0-9]+(?![0-9a-z_%°^]|[.,]?[0-9]*\.[0-9])")
_OTHER_NAME = re.compile(
    r"\b(?:frames?|images?|cameras?|steps?|lanes?|ranks?|places?|t|time) ?(?:#|=|number |no\.? )? ?$"
)
_COUNTED = re.compile(rf" (?:other |marked )?{_NAME}\b(?! ?[0-9#])")
_PLACE_OF_NAME = re.compile(rf"[.):] ?{_NAME}\b")
_PLACE_OF_NUMBER = re.compile(r"[.)] #?[0-9]")
_ENDS_IN_NAME = re.compile(rf"\b{_NAME} ?#?$")
_NONE = re.compile(
    rf"(?:the answer is |there (?:are|is) )?(?:none\b|nothing\b|no (?:marked |such |other )?{_NAME}\b|no ones?\b|"
    rf"empty\b|not any\b|null\b|no$|(?:zero|0) (?:other |marked )?{_NAME}\b)"
)
_LOOK_BACK = 16


def read_ranking(said: str, _options: Sequence[str] = ()) -> Parsed | ParseFailure:
    """Regions in the order told; one told twice has no place in an order."""
    marks = _once(_marks(said))
    if not marks or (len(marks) < 2 and is_refusal(said)):
        return ParseFailure("no_answer", said[:80])
    if len(set(marks)) < len(marks):
        return ParseFailure("contradiction", f"a region twice: {marks}"[:80])
    return _in_range(marks)


def read_regions(said: str, _options: Sequence[str] = ()) -> Parsed | ParseFailure:
    """Regions as a set, rising."""
    marks = _marks(said)
    if marks:
        is_doubt = len(marks) < 2 and is_refusal(said)
        return ParseFailure("no_answer", said[:80]) if is_doubt else _in_range(sorted(set(marks)))
    if said == NO_REGIONS or (_NONE.match(said) and says_none(said)):
        return Parsed(marks=())
    return ParseFailure("no_answer", said[:80])


def _marks(said: str) -> list[int]:
    if any(f" {word}" in said for word in _WORDS):
        said = _SPELLED.sub(lambda match: f"{match[1]} {_WORDS.index(match[2])}", said)
    return list(_numbers(said))


def _numbers(said: str) -> Iterator[int]:
    for match in _WHOLE.finditer(said):
        before = said[max(match.start() - _LOOK_BACK, 0) : match.start()]
        counts = _OTHER_NAME.search(before) is None and _COUNTED.match(said, match.end()) is None
        if counts and not _is_place(said, match, before) and not unit_follows(said, match.end()):
            yield int(match[0]) if len(match[0]) <= len(str(MAX_MARK)) else MAX_MARK + 1


def _is_place(said: str, match: re.Match[str], before: str) -> bool:
    """Whether a number counts the lines or items of the list: `1. Region 2`."""
    if _ENDS_IN_NAME.search(before):
        return False
    starts_line = before[-1:] in ("", "\n")
    return bool(_PLACE_OF_NAME.match(said, match.end()) or (starts_line and _PLACE_OF_NUMBER.match(said, match.end())))


def _once(marks: list[int]) -> list[int]:
    """A list that was told several times over, such as in names and in numbers, once."""
    for length in range(2, len(marks) // 2 + 1):
        if len(marks) % length == 0 and marks == marks[:length] * (len(marks) // length):
            return marks[:length]
    return marks


def _in_range(marks: Sequence[int]) -> Parsed | ParseFailure:
    if max(marks) > MAX_MARK:
        return ParseFailure("out_of_range", "a region beyond any number")
    return Parsed(marks=tuple(marks))
