"""Bring a model's text into one plain form before anything is read from it.

Full-width and other digits become ASCII, every dash becomes `-`, quotes become straight, markdown and LaTeX dress is taken
off, and only the part that holds the answer is kept. All steps are linear and run on a bounded length.
"""

from __future__ import annotations

import re
import unicodedata

MAX_CHARACTERS = 2048
"""An answer longer than this is not an answer; nothing beyond is looked at."""

_ANSWER_OPEN, _ANSWER_CLOSE, _THOUGHT_CLOSE = "<answer>", "</answer>", "</think>"
_FRACTIONS = {"½": ".5", "¼": ".25", "¾": ".75"}
_DEGREES = dict.fromkeys("º˚", "°")  # NFKC would make them "o" and a combining ring
_QUOTES = {**dict.fromkeys("‘’‛`´ʹʼ′", "'"), **dict.fromkeys("“”„″", '"')}
_KEPT_FROM_FOLDING = {**_FRACTIONS, **_DEGREES, **_QUOTES}
_WITHOUT_MEANING = frozenset({"Cc", "Cs", "Co", "Cn"})
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_NOT_PRINTABLE_ASCII = re.compile(r"[^ -~\n]")
_GROUPING_SPACES = "\u00a0\u2009\u202f"
_LATEX = (
    (re.compile(r"\^ ?\{? ?\\circ ?\}?|\\degrees?"), "°"),
    (re.compile(r"\\boxed"), " answer: "),
    (re.compile(r"\\(?:text|mathrm|mathbf|,|;|!|quad|left|right)"), " "),
    (re.compile(r"\\approx|\\sim"), " ~"),
    (re.compile(r"[*$\\{}|]"), " "),
)
_TAG = re.compile(r"</?[a-z][^<>]{0,60}>")
_SPACED_MINUS = re.compile(r"\u2212\s+(?=[0-9.])")
_SPACED_FRACTION = re.compile(r"(?<=[0-9])\s(?=[½¼¾])")
_GROUPED = re.compile(f"(?<=[0-9])[{_GROUPING_SPACES}](?=[0-9]{{3}}(?![0-9]))")
_SPACES = re.compile(r"[^\S\n]+")
_BREAKS = re.compile(r" ?\n[ \n]*")
_CONCLUSION = re.compile(r"\b(?:answer|conclusion)(?: is| would be)?(?: ?[:=]| is\b)")


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
    text = _GROUPED.sub(",", text)  # 1 200 with a no-break space is 1,200
    text = _SPACED_MINUS.sub("\u2212", _SPACED_FRACTION.sub("", text))  # a true minus is never a bullet
    text = unicodedata.normalize("NFKC", _NOT_ASCII.sub(_before_folding, text))
    text = _NOT_PRINTABLE_ASCII.sub(_after_folding, text).casefold()
    for pattern, replacement in _LATEX:
        text = pattern.sub(replacement, text)
    text = _TAG.sub(" ", text)
    return _BREAKS.sub("\n", _SPACES.sub(" ", text)).strip()


def concluded(text: str) -> str:
    """The part after the last "answer is" or "answer:" of a plain text, where something follows it."""
    end = 0
    for match in _CONCLUSION.finditer(text):
        end = match.end()
    tail = text[end:].strip()
    return tail if any(character.isalnum() for character in tail) else text


def _before_folding(match: re.Match[str]) -> str:
    """What compatibility folding would spoil."""
    character = match[0]
    known = _KEPT_FROM_FOLDING.get(character)
    if known is not None:
        return known
    return "^" + character if unicodedata.category(character) == "No" else character  # 10² must not become 102


def _after_folding(match: re.Match[str]) -> str:
    """An odd character in ASCII where it has a meaning here, a blank where it has none."""
    character = match[0]
    if character in _QUOTES:
        return _QUOTES[character]
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.digit(character))
    if category == "Pd" or character == "\u2212":
        return "-"
    return "" if category == "Cf" else " " if category in _WITHOUT_MEANING else character
