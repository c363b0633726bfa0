"""Ways to make one answer of many, beside each other: what each costs, how often it is right, whether that is luck."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from eval.answers import Parsed, ParseFailure
from eval.cases import answer_columns
from eval.parse import parse
from eval.scoring import judge
from eval.statistics import Estimate, Statistic, estimate_mean
from eval.voting.vote import CONFIDENCE_WEIGHTS, vote
from eval.voting.wording import answer_text

MAJORITY, CONFIDENCE, MORE_SAMPLES = "majority", "confidence", "majority_equal_compute"
SINGLE = "single"
METHODS = (SINGLE, MAJORITY, MORE_SAMPLES, CONFIDENCE)


@dataclass(frozen=True)
class Samples:
    """Samples of one question.

    Attributes:
        texts: in the order of their numbers.
        replies: what was said about the evidence of each; None where nothing was asked.
        confidences: 0, 1, 2 or None, of each.
    """

    texts: Sequence[str]
    replies: Sequence[str | None]
    confidences: Sequence[int | None]


@dataclass(frozen=True)
class Voted:
    """What became of them by one method.

    Attributes:
        text: reads as the voted answer.
        outcome: the voted answer.
        requests: to the model.
        characters: that it said.
    """

    text: str
    outcome: Parsed | ParseFailure
    requests: int
    characters: int


def methods_of(
    samples: Samples, count: int, answer_type: str, options: Sequence[str], *, with_confidence: bool
) -> dict[str, Voted]:
    """What each method makes of the samples of a question.

    They are the first sample alone; the majority of the first `count`; the majority of as many as voting by confidence takes
    requests, or of all there are; and the first `count` weighted by confidence.

    Args:
        samples: of a question.
        count: N.
        answer_type: see `drive_vqa.schema.TRUTH`.
        options: of the question.
        with_confidence: whether the last two are made.
    """
    read = [parse(text, answer_type, options) for text in samples.texts]
    alike = [1.0] * len(read)
    made = {
        SINGLE: _voted(samples, read, alike, 1, answer_type),
        MAJORITY: _voted(samples, read, alike, count, answer_type),
    }
    if with_confidence:
        weights = [CONFIDENCE_WEIGHTS[confidence] for confidence in samples.confidences]
        replies = [reply for reply in samples.replies[:count] if reply is not None]
        weighted = _voted(samples, read, weights, count, answer_type)
        requests, said = weighted.requests + len(replies), weighted.characters + sum(map(len, replies))
        made[MORE_SAMPLES] = _voted(samples, read, alike, requests, answer_type)
        made[CONFIDENCE] = Voted(weighted.text, weighted.outcome, requests, said)
    return made


def _voted(
    samples: Samples, read: Sequence[Parsed | ParseFailure], weights: Sequence[float], count: int, answer_type: str
) -> Voted:
    used = samples.texts[:count]
    outcome = vote(read[:count], weights[:count], answer_type)
    if len(used) == 1:
        text = used[0]
    elif isinstance(outcome, Parsed):
        text = answer_text(outcome, answer_type)
    else:
        text = used[read.index(outcome)]
    return Voted(text, outcome, len(used), sum(map(len, used)))


def comparison(cases: pd.DataFrame, voted: Mapping[str, Sequence[Voted]]) -> dict[str, Any]:
    """Accuracy and cost of each method, and how it differs from the others, as plain data.

    Args:
        cases: see `eval.cases.read_cases`.
        voted: by method, row by row to the cases.

    Returns:
        For each method `accuracy` (an interval by bootstrap over logs), mean `requests` and `characters` a question, and
        `minus_…`: the paired difference of accuracies to each method before it.
    """
    right = {name: _right(cases, outcomes) for name, outcomes in voted.items()}
    told: dict[str, Any] = {}
    for name, outcomes in voted.items():
        told[name] = {
            "accuracy": _estimate(cases, right[name], "share").as_json(),
            "requests": float(np.mean([one.requests for one in outcomes])),
            "characters": float(np.mean([one.characters for one in outcomes])),
            **{
                f"minus_{other}": _estimate(cases, right[name] - right[other], "difference").as_json() for other in told
            },
        }
    return told


def _right(cases: pd.DataFrame, outcomes: Sequence[Voted]) -> np.ndarray:
    answers = [one.outcome.as_truth() if isinstance(one.outcome, Parsed) else None for one in outcomes]
    return judge(cases, answer_columns(answers))["success"].to_numpy().astype(np.float64)


def _estimate(cases: pd.DataFrame, values: np.ndarray, statistic: Statistic) -> Estimate:
    return estimate_mean(values, cases["log_code"].to_numpy(), cases["frame_code"].to_numpy(), statistic)
