"""Bring a model's text into one plain form before anything is read from it.

Full-width and other digits become ASCII, every dash becomes `-`, quotes become straight, markdown and LaTeX dress is taken
off, and only the part that holds the answer is kept. All steps are linear and run on a bounded length.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

MAX_CHARACTERS = 2048
"""An answer longer than this is not an answer; nothing beyond is looked at."""

_ANSWER_OPEN, _ANSWER_CLOSE, _THOUGHT_CLOSE = "<answer>", "</answer>", "</think>"
_FRACTIONS = {"½": ".5", "¼": ".25", "¾": ".75"}
_DEGREES = dict.fromkeys("º˚", "°")  # NFKC would make them "o" and a combining ring
_QUOTES = {**dict.fromkeys("‘’‛`´ʹʼ′", "'"), **dict.fromkeys("“”„″", '"')}
_KEPT_FROM_FOLDING = {**_FRACTIONS, **_DEGREES, **_QUOTES}
_WITHOUT_MEANING = frozenset({"Cc", "Cs", "Co", "Cn"})
_GROUPING_SPACES = "\u00a0\u2009\u202f"
_CONTROLS = {code: " " for code in (*range(0x20), 0x7F) if code != ord("\n")}
_LATEX = (
    (re.compile(r"\^ ?\{? ?\\circ ?\}?|\\degrees?"), "°"),
    (re.compile(r"\\boxed"), " answer: "),
    (re.compile(r"\\(?:text|mathrm|mathbf|,|;|!|quad|left|right)"), " "),
    (re.compile(r"\\approx|\\sim"), " ~"),
)
_DRESS = "*$\\{}|"
_DRESS_CHARACTER = re.compile(f"[{re.escape(_DRESS)}]")
_BLANKED = {**_CONTROLS, **{ord(character): " " for character in _DRESS}}
_NO_LETTERS = {code: " " for code in range(128) if not chr(code).islower()}
_LETTERS = re.compile("[a-z]+")
_TAG = re.compile(r"</?[a-z][^<>]{0,60}>")
_SPACED_MINUS = re.compile(r"\u2212\s+(?=[0-9.])")
_SPACED_FRACTION = re.compile(r"(?<=[0-9])\s(?=[½¼¾])")
_GROUPED = re.compile(f"(?<=[0-9])[{_GROUPING_SPACES}](?=[0-9]{{3}}(?![0-9]))")
_SPACES = re.compile(r"[^\S\n]+")
_BREAKS = re.compile(r" ?\n[ \n]*")
_CONCLUDING = ("answer", "conclusion")
_CONCLUSION = re.compile(rf"\b(?:{'|'.join(_CONCLUDING)})(?: is| would be)?(?: ?[:=]| is\b)")


def answer_part(text: str) -> str:
    """What lies in the last `<answer>` tag, or after the last `</think>`, or all of it; stripped."""
    start = text.rfind(_ANSWER_OPEN)
    if start >= 0:
        text = text[start + len(_ANSWER_OPEN) :]
        return text.partition(_ANSWER_CLOSE)[0].strip()
    return text[text.rfind(_THOUGHT_CLOSE) + len(_THOUGHT_CLOSE) :].strip() if _THOUGHT_CLOSE in text else text.strip()


def plain(text: str) -> str:
    """Lower-case ASCII-digit text without dress.

    Args:
        text: at most `MAX_CHARACTERS` characters, anything at all in them.
    """
    text = text.lower() if text.isascii() else _folded(text)
    if "\\" in text:
        text = text.translate(_CONTROLS)
        for pattern, replacement in _LATEX:
            text = pattern.sub(replacement, text)
    text = text.translate(_BLANKED) if text.isascii() else _DRESS_CHARACTER.sub(" ", text)
    if "<" in text:
        text = _TAG.sub(" ", text)
    if "  " in text or not text.isascii():  # other blanks than this one are not ASCII by now
        text = _SPACES.sub(" ", text)
    return _BREAKS.sub("\n", text).strip() if "\n" in text else text.strip()


def concluded(text: str) -> str:
    """The part after the last "answer is" or "answer:" of a plain text, where something follows it."""
    if not any(word in text for word in _CONCLUDING):
        return text
    end = 0
    for match in _CONCLUSION.finditer(text):
        end = match.end()
    tail = text[end:].strip()
    return tail if any(character.isalnum() for character in tail) else text


def words(text: str) -> list[str]:
    """Runs of letters a to z of a plain text, in order; blanking the rest is the fastest way, but only for ASCII."""
    return text.translate(_NO_LETTERS).split() if text.isascii() else _LETTERS.findall(text)


def _folded(text: str) -> str:
    """Text with odd characters in ASCII, as far as they have a meaning, and in lower case."""
    text = _GROUPED.sub(",", text)  # 1 200 with a no-break space is 1,200
    text = _SPACED_FRACTION.sub("", text)
    if "\u2212" in text:
        text = _SPACED_MINUS.sub("\u2212", text)  # a true minus is never a bullet
    text = unicodedata.normalize("NFKC", text.translate(_BEFORE_FOLDING))
    return (text if text.isascii() else text.translate(_AFTER_FOLDING)).casefold()


def _before_folding(character: str) -> str:
    """What compatibility folding would spoil."""
    if character.isascii():
        return character
    known = _KEPT_FROM_FOLDING.get(character)
    if known is not None:
        return known
    return "^" + character if unicodedata.category(character) == "No" else character  # 10² must not become 102


def _after_folding(character: str) -> str:
    """An odd character in ASCII where it has a meaning here, a blank where it has none."""
    if " " <= character <= "~" or character == "\n":
        return character
    if character in _QUOTES:
        return _QUOTES[character]
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.digit(character))
    if category == "Pd" or character == "\u2212":
        return "-"
    return "" if category == "Cf" else " " if category in _WITHOUT_MEANING else character


class _Folding(dict[int, str]):
    """A table for `str.translate` that works out what a character becomes when it is first met."""

    def __init__(self, fold: Callable[[str], str]) -> None:
        self._fold = fold

    def __missing__(self, code: int) -> str:
        self[code] = self._fold(chr(code))
        return self[code]


_BEFORE_FOLDING, _AFTER_FOLDING = _Folding(_before_folding), _Folding(_after_folding)
