"""What every text of a question type must look like."""

from __future__ import annotations

import re
from collections.abc import Iterable

from qa_gen.question_type import QuestionType


def faults(kind: QuestionType) -> list[str]:
    """What is wrong with the wordings and claims of a type."""
    found = [f"{text!r}: {fault}" for text in kind.wordings for fault in _of_wording(kind, text)]
    found += [f"{text!r}: {fault}" for text in kind.claims for fault in _of_claim(kind, text)]
    if len(set(kind.wordings)) != len(kind.wordings) or len(kind.wordings) < 8:
        found.append("wordings are fewer than 8 or not distinct")
    if list(kind.thresholds) != sorted(set(kind.thresholds)):
        found.append("thresholds do not rise")
    return found


def _placeholders(text: str) -> set[str]:
    return set(re.findall(r"\{(\w*)\}", text))


def _of_wording(kind: QuestionType, text: str) -> Iterable[str]:
    expected = set("abc"[: kind.roles]) | ({"p"} if kind.parameters else set())
    if _placeholders(text) != expected:
        yield f"placeholders {_placeholders(text)} instead of {expected}"
    if not re.match(r"[A-Z]|\{[abc]\}", text):
        yield "does not begin with a capital"
    if text[-1] not in ".?":
        yield "does not end with a stop or a question mark"
    if kind.answer_type == "bool" and not re.search(r"\byes\b", text, re.IGNORECASE):
        yield "does not say that the answer is yes or no"
    yield from _of_both(text)


def _of_claim(kind: QuestionType, text: str) -> Iterable[str]:
    regions = _placeholders(text) - {"v"}
    if regions != set("abc"[: kind.roles]):
        yield f"placeholders {regions}"
    if ("{v}" in text) != bool(kind.thresholds):
        yield "a threshold where there is none, or none where there is one"
    if not re.match(r"[a-z]|I |\{", text) or text[-1] in ".?!":
        yield "is not a clause"
    yield from _of_both(text)


def _of_both(text: str) -> Iterable[str]:
    if "  " in text or text != text.strip() or re.search(r" [,.?]", text):
        yield "spaces"
    if re.search(r"\b(centre|metre|colour|neighbour|kerb|towards)", text, re.IGNORECASE):
        yield "not American"
    if re.search(r"\{\{|\}\}|\b(\w+) \1\b", text):
        yield "a brace or a word twice"
