"""Accuracy of the answer; what is right is what the score says is right: one parser (`eval.parse`), one metric (`eval.scoring`).

    letter, count, clock, yes or no, regions, undetermined     1 or 0
    number                                                     1 inside of the band of LSR, else a slope (`closeness`)
    interval, box                                              temporal IoU, IoU
    free text                                                  mean F of ROUGE-1, 2 and L (Open-o3 Video)

A joint answer has the mean of its parts. All that is not right counts half: a wrong number has at most 0.31, a wrong joint
answer 0.41, a wrong box or interval less than 0.25, while a right answer has at least 0.5. So there is a slope to climb, and no
wrong answer comes near a right one. Text is right from 0.5 on. No single answer, or one that cannot be read: 0. Range [0, 1].
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from eval.parse import Parsed, ParseFailure, parse
from eval.scoring import EXACT
from finetune.rewards.closeness import judge_parts
from finetune.rewards.completion import Completion
from finetune.rewards.rouge import rouge
from finetune.rewards.truth import TEXT, Truth

WRONG_FACTOR = 0.5
LEAST_ROUGE = 0.5
"""From here on free text is taken for right; ours, since a policy needs a line somewhere."""


def accuracy(completion: Completion, truth: Truth, progress: float) -> float:
    """See the top; the answer is what the trace has between its answer tags, of a plain answer all of it."""
    del progress
    if truth.answer_type == TEXT:
        value = rouge(truth.answer[TEXT], completion.trace.answer or "")
        return value if value >= LEAST_ROUGE else WRONG_FACTOR * value
    answer = read_answer(completion, truth)
    if answer is None:
        return 0.0
    if truth.answer_type in EXACT:
        return float(_is_right(answer, truth))
    parts = judge_parts(truth.answer_type, truth.answer, answer).values()
    value = sum(part.closeness for part in parts) / len(parts)
    return value if all(part.right for part in parts) else WRONG_FACTOR * value


def whole_accuracy(completion: Completion, truth: Truth, progress: float) -> float:
    """As `accuracy`, 0 for an answer that did not end by itself: what is cut behind a right beginning is not one yet."""
    return accuracy(completion, truth, progress) if completion.finished else 0.0


def exact_accuracy(completion: Completion, truth: Truth, progress: float) -> float:
    """1 for a right answer, else 0, as in ViGoRL and TreeVGR."""
    del progress
    return float(is_right(completion, truth))


def is_right(completion: Completion, truth: Truth) -> bool:
    """Whether the answer counts as a success in the score."""
    if truth.answer_type == TEXT:
        return rouge(truth.answer[TEXT], completion.trace.answer or "") >= LEAST_ROUGE
    answer = read_answer(completion, truth)
    return answer is not None and _is_right(answer, truth)


def read_answer(completion: Completion, truth: Truth) -> Mapping[str, Any] | None:
    """The typed answer; None where there is none or it cannot be read."""
    if completion.trace.answer is None or truth.answer_type == TEXT:
        return None
    read = _parsed(completion.trace.answer, truth.answer_type, truth.options)
    return None if isinstance(read, ParseFailure) else read.as_truth()


@lru_cache(maxsize=256)
def _parsed(answer: str, answer_type: str, options: tuple[str, ...]) -> Parsed | ParseFailure:
    """All rewards of a completion read the same answer."""
    return parse(answer, answer_type, options)


def _is_right(answer: Mapping[str, Any], truth: Truth) -> bool:
    field = EXACT.get(truth.answer_type)
    if field is None:
        return all(part.right for part in judge_parts(truth.answer_type, truth.answer, answer).values())
    true, told = truth.answer[field], answer[field]
    return told is not None and (list(told) == list(true) if field == "marks" else bool(told == true))
