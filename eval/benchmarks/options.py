"""Options by letter: `(A) rubber`, `B. cotton`, and the option that an answer's letter means."""

from __future__ import annotations

import re
from string import ascii_uppercase

from eval.benchmarks.records import Record

_STYLES = (re.compile(r"(?<!\S)\(([A-Z])\)"), re.compile(r"(?<!\S)([A-Z])[.):]"))
_LETTER = re.compile(r"\(?([A-Z])\)?")


def options_in_text(text: str) -> tuple[str, ...]:
    """The options that a text lists, each after its letter from A on, to the end of its line; none where it lists none."""
    for style in _STYLES:
        found: list[re.Match[str]] = []
        for match in style.finditer(text):
            if ascii_uppercase[len(found) :].startswith(match[1]):
                found.append(match)
        if len(found) > 1:
            ends = [*(match.start() for match in found[1:]), len(text)]
            parts = [text[match.end() : end].strip() for match, end in zip(found, ends, strict=True)]
            return tuple(part.partition("\n")[0].strip() for part in parts)
    return ()


def option_of_letter(record: Record, name: str, options: tuple[str, ...]) -> str:
    """The option that the letter under this name means.

    Raises:
        RecordError: it is no letter, or there is no such option.
    """
    match = _LETTER.fullmatch(record.text(name).strip())
    if match is None:
        raise record.error(f"{name!r} is not the letter of an option")
    place = ascii_uppercase.index(match[1])
    if place >= len(options):
        raise record.error(f"{name!r} is {match[1]}, but there are {len(options)} options")
    return options[place]
