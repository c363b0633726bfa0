"""What whoever answers is given, and what comes back."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from drive_vqa.looks import TracedLook
from drive_vqa.store import Store

SHOWN_COLUMNS = ("qa_id", "group_id", "log_id", "frame", "type", "marks", "question", "options", "split")
"""What an answerer may see of a question."""


@dataclass(frozen=True, eq=False)
class PromptedQuestion:
    """A question with what is shown beside it.

    Attributes:
        store: where the frames lie.
        group: row of the `groups` table.
        question: row of the `questions` table, without its answer, truth and evidence.
        evidence: the marks that the answer rests on, for controls that hide them; never told.
        sample: which of several answers to it is asked for, from 0; draws follow from it.
    """

    store: Store
    group: Mapping[str, Any]
    question: Mapping[str, Any]
    evidence: tuple[int, ...] = ()
    sample: int = 0


@dataclass(frozen=True)
class Answer:
    """What a model says to a question.

    Attributes:
        text: all of it, in pixels of the original images.
        looks: that it took on the way; None: it has no zoom.
        latency_s: how long it took; None: not measured.
        prompt_tokens: that a server counted in what it was sent; None: not told.
        completion_tokens: that it counted in what it said; None: not told.
    """

    text: str
    looks: tuple[TracedLook, ...] | None = None
    latency_s: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


@dataclass(frozen=True)
class Unanswered:
    """Why a question has no answer.

    Attributes:
        reason: one sentence, for people.
    """

    reason: str


Answerer = Callable[[list[PromptedQuestion]], list[Answer]]
"""Answers a batch of questions, in order."""

Answering = Callable[[Iterable[PromptedQuestion]], Generator[tuple[PromptedQuestion, Answer | Unanswered], None, None]]
"""Answers questions, each once, in any order; takes them from the iterable as it needs them."""
