"""Another wording of a question: the same type, parameter or claim, asked of the same regions; so the answer must be the same."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from qa_gen.catalogue import TYPES
from qa_gen.hashing import text_hash
from qa_gen.phrasebook import ROLES, claim_wordings, phrasebook
from qa_gen.question_type import QuestionType

BORROWED = frozenset({"absent_mark", "absent_mark_future", "absent_pair"})
"""Types whose wordings ask about different things, and have but the answer in common."""


def reword(question: Mapping[str, Any]) -> str | None:
    """The text of a question in another of its wordings, drawn by its id.

    Args:
        question: a row of the `questions` table that names its regions by numbers; qa_id, type, marks and question are read.

    Returns:
        None where the text is no wording of its type, or of a type whose wordings ask about different things.
    """
    if question["type"] not in TYPES or question["type"] in BORROWED:
        return None
    others = _others(question["type"], tuple(question["marks"])).get(question["question"], ())
    return others[text_hash(f"reword {question['qa_id']}") % len(others)] if others else None


@lru_cache(maxsize=4096)
def _others(name: str, marks: tuple[int, ...]) -> dict[str, tuple[str, ...]]:
    """Each text that a type can ask of some marks, with those that ask the same."""
    kind, book = TYPES[name], phrasebook()
    blocks = _blocks(kind)
    templates = np.concatenate([np.arange(first, first + count) for first, count in blocks])
    numbers = np.zeros((len(templates), len(ROLES)), dtype=np.int64)
    numbers[:, : len(marks)] = marks[: len(ROLES)]
    texts = iter(book.join(templates, numbers).to_pylist())
    found: dict[str, tuple[str, ...]] = {}
    for _, count in blocks:
        alike = [next(texts) for _ in range(count)]
        found |= {text: tuple(other for other in alike if other != text) for text in alike}
    return found


def _blocks(kind: QuestionType) -> list[tuple[int, int]]:
    """First template and number of those that ask the same: a parameter in all wordings, a claim in all ways to make it."""
    book, index = phrasebook(), list(TYPES).index(kind.name)
    count = len(kind.wordings)
    blocks = [(int(book.own[index]) + place * count, count) for place in range(max(len(kind.parameters), 1))]
    if kind.claims:
        about = kind.claims if kind.answer_type == "choice" else kind.thresholds
        ways = claim_wordings(kind)
        blocks += [(int(book.claims[index]) + place * ways, ways) for place in range(len(about))]
    return blocks
