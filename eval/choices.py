"""Which of the options a text names: by its words, by its letter in the list shown, or by yes and no."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from eval.mentions import without_unknowing
from eval.plaintext import plain, words
from eval.units import Quantity, find_quantities

YES, NO = (
    frozenset({"yes", "yeah", "yep", "true", "correct", "y"}),
    frozenset({"no", "nope", "false", "incorrect", "n"}),
)
_YES_NO = re.compile(r"(?<![a-z0-9])(yes|yeah|yep|true|correct|no|nope|false|incorrect)(?![a-z0-9])")
_ONE_LETTER = re.compile(r"(?:option|choice)? ?[(\[]?([a-z])[)\]]?[.:]?")
_LETTER_FIRST = re.compile(r"(?:option |choice )?[(\[]?([a-z])(?:[)\]][.:]?|[.:]) ?(?=\S)")
_NOT_BEFORE = re.compile(r"(?:\b(?:not|never|neither|nor|cannot)|n't)(?: (?:to|on|in|the|a|be|really|going))* ?$")
_ENDS_ANSWER = re.compile(r" ?(?:[.,;:!)\n-]|$)")
_LOOK_BACK = 40


@dataclass(frozen=True)
class NamedChoice:
    """Why no single option is named: several are, or none."""

    several: bool
    detail: str


def name_choice(said: str, options: tuple[str, ...]) -> str | NamedChoice:
    """The one option that a plain text names.

    Args:
        said: plain text.
        options: as shown, in order.
    """
    names = _plain_options(options)
    lettered = _by_letter(said, names)
    if lettered is not None:
        return options[lettered] if isinstance(lettered, int) else lettered
    pattern = _pattern(names)
    if pattern is None:
        return NamedChoice(False, "no options")
    matches = list(pattern.finditer(said))
    kept = [
        match for match in matches if not _NOT_BEFORE.search(said[max(match.start() - _LOOK_BACK, 0) : match.start()])
    ]
    if kept and kept[0].start() == 0 and _ENDS_ANSWER.match(said, kept[0].end()):
        return options[names.index(kept[0][0])]
    found = sorted({names.index(match[0]) for match in kept})
    if len(found) == 1:
        return options[found[0]]
    if matches or len(found) > 1:
        return NamedChoice(len(found) > 1, ", ".join(options[index] for index in found) or "only what it is not")
    numbered = _by_number(said, options, names)
    return numbered if isinstance(numbered, str) else _by_quantities(said, options, names)


def name_bool(said: str, options: tuple[str, ...] = ()) -> bool | NamedChoice:
    """Yes or no.

    Args:
        said: plain text.
        options: as shown, where yes and no were listed with letters.
    """
    word = said.strip(" .!\"'()")
    if word in YES or word in NO:
        return word in YES
    names = _plain_options(options)
    lettered = _by_letter(said, names)
    if isinstance(lettered, NamedChoice):
        return lettered
    if lettered is not None and names[lettered] in YES | NO:
        return names[lettered] in YES
    if (YES | NO).isdisjoint(words(said)):
        return NamedChoice(False, said)
    said = without_unknowing(said)
    matches = list(_YES_NO.finditer(said))
    if matches and matches[0].start() == 0 and _ENDS_ANSWER.match(said, matches[0].end()):
        return matches[0][1] in YES
    found = {match[1] in YES for match in matches}
    return found.pop() if len(found) == 1 else NamedChoice(len(found) > 1, said)


def _by_letter(said: str, names: tuple[str, ...]) -> int | NamedChoice | None:
    """`B`, `(b)`, `B. right`: the place of the option; None where the text is not of that form."""
    alone = _ONE_LETTER.fullmatch(said)
    match = alone or _LETTER_FIRST.match(said)
    index = ord(match[1]) - ord("a") if match else len(names)
    if not match or said in names or index >= len(names):
        return None
    if alone:
        return index
    follows = _pattern(names)
    word = follows.match(said, match.end()) if follows else None
    if word is None:
        return None
    return index if word[0] == names[index] else NamedChoice(True, said)


def _by_number(said: str, options: Sequence[str], names: Sequence[str]) -> str | NamedChoice:
    """`1` for `Region 1`, where the options differ in their only number."""
    numbers = [re.findall(r"(?:(?<![a-z])-)?[0-9]+", name) for name in names]
    said_numbers = set(re.findall(r"(?:(?<![a-z])-)?(?<![0-9.,])[0-9]+(?![0-9.,]*[0-9])", said[:_LOOK_BACK]))
    if any(len(found) != 1 for found in numbers) or len(said_numbers) != 1 or len(said) > _LOOK_BACK:
        return NamedChoice(False, said)
    hits = [option for option, found in zip(options, numbers, strict=True) if set(found) == said_numbers]
    return hits[0] if len(hits) == 1 else NamedChoice(False, said)


def _by_quantities(said: str, options: Sequence[str], names: Sequence[str]) -> str | NamedChoice:
    """`12.4 m` or `12.4` for `12.4 meters`, where one option says the same in numbers."""
    told = find_quantities(said) if len(said) <= _LOOK_BACK else []
    hits = [
        option for option, name in zip(options, names, strict=True) if _same_quantities(told, find_quantities(name))
    ]
    return hits[0] if told and len(hits) == 1 else NamedChoice(False, said)


def _same_quantities(told: Sequence[Quantity], listed: Sequence[Quantity]) -> bool:
    """Whether the same numbers are meant; a unit may be left out."""
    return len(told) == len(listed) and all(
        one.dimension in (None, other.dimension)
        and math.isclose(one.value, other.value if one.dimension else other.number.value, rel_tol=1e-6)
        for one, other in zip(told, listed, strict=True)
    )


@lru_cache(maxsize=4096)
def _plain_options(options: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(plain(option) for option in options)


@lru_cache(maxsize=4096)
def _pattern(names: tuple[str, ...]) -> re.Pattern[str] | None:
    """Any option as whole words and numbers, the longest first: `2.4 meters` and `-8` are not in `12.4 meters` and `8`."""
    words = sorted(filter(None, names), key=len, reverse=True)
    return re.compile(rf"(?<![a-z0-9])(?:{'|'.join(map(_whole, words))})(?![a-z0-9])") if words else None


def _whole(word: str) -> str:
    before = r"(?<![0-9][.,])(?<!-)" if word[0].isdigit() else ""
    return before + re.escape(word) + (r"(?![.,][0-9])" if word[-1].isdigit() else "")
