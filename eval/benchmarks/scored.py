"""Questions of a benchmark with answers and verdicts, and the metrics that all benchmarks share.

    accuracy                            share of right answers; none, or one that cannot be read, is wrong
    coverage                            share of questions that have an answer
    parse.failure_rate                  share of answers that could not be read
    slice.DIMENSION.VALUE.accuracy      over the benchmark's own categories

All in [0, 1], with an interval by bootstrap over clusters, such as images (`eval.statistics`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from eval.answers import Parsed, ParseFailure
from eval.benchmarks.tasks import Task
from eval.cases import answer_columns
from eval.panel.answered import share_at
from eval.panel.parts import Parts, parts_of
from eval.parse import parse
from eval.scoring import judge
from eval.statistics import Estimate, Sample, estimate_each, estimate_of_means

Answer = Parsed | ParseFailure | None
"""What a text says, or why it says nothing; None: there is no text."""

Metrics = Iterator[tuple[str, Sample | Estimate]]
"""By name what each metric is taken over, or what it is where no sample makes it."""


@dataclass(frozen=True, eq=False)
class Scored:
    """Questions with what was answered, row by row.

    Attributes:
        tasks: the questions.
        texts: what was said; None where nothing was.
        answers: as read.
        verdicts: columns `success` (bool), `distance_ok`, `bearing_ok`, `speed_ok` (bool, None where not asked).
    """

    tasks: Sequence[Task]
    texts: Sequence[str | None]
    answers: Sequence[Answer]
    verdicts: pd.DataFrame

    def take(self, count: int) -> Scored:
        """The first rows."""
        return Scored(self.tasks[:count], self.texts[:count], self.answers[:count], self.verdicts[:count])

    @property
    def rows(self) -> Int[np.ndarray, "n"]:
        """All rows."""
        return np.arange(len(self.tasks))

    @cached_property
    def success(self) -> Bool[np.ndarray, "n"]:
        """Whether each answer is right."""
        return np.asarray(self.verdicts["success"], dtype=bool)

    @cached_property
    def present(self) -> Bool[np.ndarray, "n"]:
        """Whether there is an answer, readable or not."""
        return np.array([answer is not None for answer in self.answers], dtype=bool)

    @cached_property
    def read(self) -> Bool[np.ndarray, "n"]:
        """Whether there is an answer that could be read."""
        return np.array([isinstance(answer, Parsed) for answer in self.answers], dtype=bool)

    @cached_property
    def clusters(self) -> Int[np.ndarray, "n"]:
        """Number of the cluster of each question."""
        return np.asarray(pd.factorize(np.array([task.cluster for task in self.tasks], dtype=object))[0])

    def parts(self, dimension: str) -> Parts:
        """The rows of each value of a category."""
        return parts_of(np.array([task.slices.get(dimension, "") for task in self.tasks], dtype=object))


def score_parsed(tasks: Sequence[Task], texts: Sequence[str | None]) -> Scored:
    """Score answers of types that `eval.parse` reads and `eval.scoring` judges."""
    answers = [
        None if text is None else parse(text, task.answer_type, task.options)
        for task, text in zip(tasks, texts, strict=True)
    ]
    truths = answer_columns([task.truth.as_truth() for task in tasks]).add_prefix("truth_")
    told = answer_columns([one.as_truth() if isinstance(one, Parsed) else None for one in answers])
    verdicts = judge(truths.assign(answer_type=[task.answer_type for task in tasks]), told)
    return Scored(tasks, texts, answers, verdicts)


def score_with(
    judge_one: Callable[[Task, str], tuple[Parsed | ParseFailure, bool]],
) -> Callable[[Sequence[Task], Sequence[str | None]], Scored]:
    """A way to score answers that a benchmark reads and judges by itself, one by one."""

    def score(tasks: Sequence[Task], texts: Sequence[str | None]) -> Scored:
        judged = [
            (None, False) if text is None else judge_one(task, text) for task, text in zip(tasks, texts, strict=True)
        ]
        verdicts = pd.DataFrame({"success": [success for _, success in judged]})
        verdicts = verdicts.assign(distance_ok=None, bearing_ok=None, speed_ok=None)
        return Scored(tasks, texts, [answer for answer, _ in judged], verdicts)

    return score


def estimated(metrics: Metrics, scored: Scored) -> dict[str, Estimate]:
    """Value, n and interval of every metric."""
    found = dict(metrics)
    samples = {name: one for name, one in found.items() if isinstance(one, Sample)}
    estimates = estimate_each(samples, scored.clusters, scored.rows)
    return {name: estimates[name] if isinstance(one, Sample) else one for name, one in found.items()}


def overall(scored: Scored) -> Metrics:
    """The metrics that all benchmarks share."""
    yield "accuracy", share_at(scored.success, scored.rows)
    yield from reading(scored, scored.rows)
    yield from sliced("accuracy", scored, scored.success)


def reading(scored: Scored, rows: Int[np.ndarray, "k"]) -> Metrics:
    """Whether there are answers, and whether they could be read."""
    yield "coverage", share_at(scored.present, rows)
    yield "parse.failure_rate", share_at(~scored.read, rows[scored.present[rows]])


def sliced(name: str, scored: Scored, values: np.ndarray) -> Metrics:
    """The mean of one value a row, in [0, 1], over each category."""
    for dimension in sorted({dimension for task in scored.tasks for dimension in task.slices}):
        for value, rows in scored.parts(dimension):
            yield f"slice.{dimension}.{value}.{name}", share_at(values, rows)


def mean_over_categories(scored: Scored, dimension: str) -> Estimate:
    """The mean of the categories' accuracies, each counted once; categories that a draw lacks are left out of it."""
    member = np.stack([np.isin(scored.rows, rows) for _, rows in scored.parts(dimension)], axis=1).astype(np.float64)
    columns = np.concatenate([member * scored.success[:, None], member], axis=1)
    return estimate_of_means(columns, scored.clusters, scored.rows, _mean_of_shares)


def _mean_of_shares(means: Float[np.ndarray, "*d k"]) -> Float[np.ndarray, "*d"]:
    right, asked = np.split(means, 2, axis=-1)
    shares = np.divide(right, asked, out=np.full(right.shape, np.nan), where=asked > 0)
    return np.asarray(np.nanmean(shares, axis=-1))
