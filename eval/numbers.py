"""Find the numbers in plain text, in digits and in words, without taking part of a word or of a version number for one."""

from __future__ import annotations

import math
import re
from itertools import islice
from typing import NamedTuple

from eval.plaintext import words

MAX_NUMBERS = 64
"""A text with more numbers than this is not an answer."""

_UNITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS = (
    *("ten", "eleven", "twelve", "thirteen", "fourteen"),
    *("fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_WORD_VALUES = {
    **{word: value for value, word in enumerate((*_UNITS, *_TEENS))},
    **{word: 10 * value for value, word in enumerate(_TENS, start=2)},
}

_SMALL = f"(?:(?:{'|'.join(_TENS)})(?:[ -](?:{'|'.join(_UNITS[1:])}))?|{'|'.join((*_TEENS, *_UNITS))})"
_HUNDREDS = rf"(?:(?:(?:{_SMALL}|an?)[ -])?hundred(?: and)?(?:[ -]{_SMALL})?|{_SMALL})"
_WORDS = rf"(?:(?:{_HUNDREDS}|an?)[ -]thousand(?: and)?(?:[ -]{_HUNDREDS})?|{_HUNDREDS})"
_POINT = rf"(?: point(?: (?:{'|'.join(_UNITS)}))+)?"
_DIGITS = re.compile(
    r"[0-9.](?<![a-z0-9_^][0-9.])(?:(?<=[0-9])[0-9.,]*|[0-9]+)(?P<exponent>e[-+]?[0-9]{1,4}(?![a-z0-9]))?"
)
"""It begins with the characters that a number may begin with, so that all others are passed over quickly."""

_SPELLED = re.compile(
    r"(?<![a-z0-9_^])(?:"
    rf"(?P<words>{_WORDS}{_POINT})(?![a-z0-9])"
    r"|(?P<half>half(?= an? ))(?: an?)"
    r"|(?P<infinite>nan|inf|infinity|infinite)(?![a-z0-9])"
    r")"
)
WORDS_OF_NUMBERS = frozenset((*_WORD_VALUES, "hundred", "thousand", "half", "nan", "inf", "infinity", "infinite"))
"""A text that has none of these among its words spells no number."""
_AND_A_HALF = re.compile(r" and (?:a half|one half)\b")
_THOUSANDS = re.compile(r"[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]+)?")
_DECIMAL = re.compile(r"[0-9]+(?:[.,][0-9]+)?|\.[0-9]+")
_BEFORE_MAY_SIGN = frozenset("+-se")
_NEGATIVE = ("minus", "minus ", "negative", "negative ")
_NEGATIVE_WORD = re.compile(r"\b(?:minus|negative) ?\Z")
_DASH_IS_SIGN = re.compile(r"(?:^|[\s(\[:=,;~'\"<>≈+])$")
_DASH_IS_SIGN_THOUGH_SPACED = re.compile(r"(?:[:=(\[~≈]|\b(?:is|of|at|about|approximately|around|be)) ?$")


class Number(NamedTuple):
    """A number and where it stands.

    Attributes:
        value: with its sign; NaN where the digits make no number (`1.2.3`).
        start: first character, the sign left out.
        end: one past the last character.
        sign: `-`, `+` or nothing, as written.
        spelled: it was written as a word.
    """

    value: float
    start: int
    end: int
    sign: str = ""
    spelled: bool = False


class TooManyNumbersError(Exception):
    """A text has more numbers than `MAX_NUMBERS`: no choice of them would be its answer."""


def find_numbers(text: str) -> list[Number]:
    """The numbers of a plain text (see `eval.plaintext`), in order.

    Raises:
        TooManyNumbersError: there are more than `MAX_NUMBERS`.
    """
    matches = list(islice(_DIGITS.finditer(text), MAX_NUMBERS + 1))
    if not WORDS_OF_NUMBERS.isdisjoint(words(text)):
        spelled = islice(_SPELLED.finditer(text), MAX_NUMBERS + 1)
        matches = sorted([*matches, *spelled], key=re.Match.start)
    if len(matches) > MAX_NUMBERS:
        raise TooManyNumbersError
    found: list[Number] = []
    for match in matches:
        if match.re is _DIGITS:
            found += _from_digits(text, match)
        else:
            found.append(_from_words(text, match))
    return found


def _from_digits(text: str, match: re.Match[str]) -> list[Number]:
    """One number, or several that only commas part."""
    exponent = match["exponent"] or ""
    written = match[0].removesuffix(exponent)
    token = written.rstrip(".,")
    if len(token) < len(written) and exponent:
        return []
    value = _value(token, exponent)
    if value is None and "," in token:
        return _split_at_commas(text, token, match.start())
    end = match.start() + len(token) + len(exponent)
    if value is None or text[end : end + 1] == "^":
        return [Number(math.nan, match.start(), end)]
    return [_finished(text, value, match.start(), end, spelled=False)]


def _split_at_commas(text: str, token: str, start: int) -> list[Number]:
    found = []
    for piece in token.split(","):
        value = _value(piece)
        found.append(_finished(text, math.nan if value is None else value, start, start + len(piece), spelled=False))
        start += len(piece) + 1
    return found


def _value(token: str, exponent: str = "") -> float | None:
    """Digits as a number: `1,200` is twelve hundred, `7,2` has a decimal comma; infinite where it is too great a number."""
    if "," in token and _THOUSANDS.fullmatch(token):
        return float(token.replace(",", "") + exponent)
    return float(token.replace(",", ".") + exponent) if _DECIMAL.fullmatch(token) else None


def _from_words(text: str, match: re.Match[str]) -> Number:
    if match["infinite"]:
        return Number(math.nan if match["infinite"] == "nan" else math.inf, match.start(), match.end())
    value = 0.5 if match["half"] else _words_value(match["words"])
    return _finished(text, value, match.start(), match.end(), spelled=True)


def _words_value(words: str) -> float:
    whole, _, decimals = words.partition(" point ")
    total = current = 0
    for word in whole.replace("-", " ").split():
        if word == "thousand":
            total, current = total + 1000 * max(current, 1), 0
        elif word == "hundred":
            current = 100 * max(current, 1)
        else:
            current += _WORD_VALUES.get(word, 0)  # "and" and "a" add nothing
    digits = "".join(str(_WORD_VALUES[word]) for word in decimals.split())
    return float(f"{total + current}.{digits or 0}")


def _finished(text: str, value: float, start: int, end: int, *, spelled: bool) -> Number:
    """Add a following half and the sign before."""
    half = _AND_A_HALF.match(text, end) if text.startswith(" and ", end) else None
    if half:
        value, end = value + 0.5, half.end()
    sign = _sign(text, start)
    return Number(-value if sign == "-" else value, start, end, sign, spelled)


def _sign(text: str, start: int) -> str:
    """The sign of a number that starts at `start`.

    A dash is a sign where it touches the number and does not join it to what is before: `A-10`, `5-10` and the bullet
    `- 10` are positive.
    """
    if text[max(start - 2, 0) : start].rstrip(" ")[-1:] not in _BEFORE_MAY_SIGN:
        return ""
    before = text[max(start - 24, 0) : start]
    if before.endswith(_NEGATIVE) and _NEGATIVE_WORD.search(before):
        return "-"
    if before.endswith("+") and not before.endswith("/+"):
        return "+"
    if before.endswith("-"):
        return "-" if _DASH_IS_SIGN.search(before[:-1]) and not _joins(before[:-1]) else ""
    if before.endswith("- "):
        return "-" if _DASH_IS_SIGN_THOUGH_SPACED.search(before[:-2]) else ""
    return ""


def _joins(before: str) -> bool:
    """Whether a dash after `before` stands between two numbers, as in `20 -25`."""
    return before.endswith(" ") and before.rstrip(" ")[-1:].isdigit()
