"""How a benchmark is scored in memory."""

from __future__ import annotations

import pytest

from eval.benchmarks.score import BENCHMARKS
from eval.benchmarks.scored import estimated


def values_of(name, tasks, answers):
    """Value of every metric for answers by id."""
    scored = BENCHMARKS[name].score(tasks, [answers.get(task.task_id) for task in tasks])
    return {metric: one.value for metric, one in estimated(BENCHMARKS[name].metrics(scored), scored).items()}


@pytest.fixture
def values():
    """Value of every metric: from the benchmark's name, its questions and the answers by id."""
    return values_of
