"""The questions behind a number of metrics.json, log by log, from the very samples that the number is made of.

A metric's sample (`eval.panel`) has a row of the cases for each of its values. Where it is taken over targets, that row stands
for the target, which was asked for at up to four horizons: the questions are then those of the horizons that the metric looks at.
Samples never cross logs, so the samples of the logs together are the sample of the evaluation.
"""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np

from drive_vqa.store import Store
from eval import safety
from eval.cases import Targets, find_targets
from eval.critical import critical_samples
from eval.explore.answers import LogAnswers
from eval.localization import HORIZONS_S
from eval.panel import Answered, Sample, panel, slug
from eval.trained_agents import AGENT_IN_TRAINING, trained_agent_samples

KEPT = 8
"""Logs whose samples are kept at once."""

PARTS = (
    "accuracy", "accuracy_parsed_only", "coverage", "family", "form", "type", "localization", "speed", "prediction", "grounding",
    "safety", "parse", "slice",
)  # fmt: skip
"""First words of the metrics that are taken over questions or targets of one answerer."""

OF_LOG = re.compile(r"slice\.log\.(?P<log>[^.]+)\.(?P<metric>.+)")
OF_TARGETS = re.compile(
    r"(slice\.[^.]+\.[^.]+\.)?(localization|prediction)\..+|safety\.(critical_.+|corridor_swap_rate)"
)
OF_QUESTIONS = re.compile(r"slice\.in_view_at_t\..+|.+\.(mlsr|sr_distance|sr_bearing)_(parsed|asked)_only")
"""Among those, taken over single questions after all."""

AT_HORIZON = re.compile(r".+\.lsr\.t(?P<horizon>\d)(_parsed_only)?")
UP_TO_HORIZON = re.compile(r".+\.tlc\.k(?P<horizon>\d)")
OF_SECONDS = {
    "safety.dangerous_slow_closing_rate": safety.dangerous_slow_closing,
    "safety.missed_approach_rate": safety.missed_approach,
}
"""Taken over seconds between two horizons, judged so."""


def has_questions(metric: str) -> bool:
    """Whether a number of an answerer can be followed to questions."""
    return metric.partition(".")[0] in PARTS


def questions_behind(store: Store, answers: LogAnswers, metric: str) -> np.ndarray:
    """The cases of a log that a metric is taken over, rising; none where the log adds nothing to it.

    Args:
        store: with the tracks, for critical targets, and the questions that were trained on.
        answers: of one log.
        metric: its name in metrics.json, without the prefix of a baseline.

    Raises:
        StoreError: the metric needs tracks, and they are missing.
    """
    answered = answers.answered
    if of_log := OF_LOG.fullmatch(metric):
        here = len(answered.cases) > 0 and slug(answered.cases["log_id"].iloc[0]) == of_log["log"]
        return questions_behind(store, answers, of_log["metric"]) if here else np.zeros(0, dtype=np.int64)
    samples, targets = _samples(answered)
    if metric.startswith("safety.critical_"):
        samples = critical_samples(store, answered)
    if metric.startswith(AGENT_IN_TRAINING):
        samples = trained_agent_samples(store, answered)
    if metric not in samples:
        return np.zeros(0, dtype=np.int64)
    if metric in OF_SECONDS:
        return _ends_of_seconds(answered, targets, metric)
    rows = np.unique(samples[metric].rows)
    if OF_TARGETS.fullmatch(metric) and not OF_QUESTIONS.fullmatch(metric):
        return _asked_of(answered, targets.take(np.isin(targets.anchors, rows)), metric)
    return np.asarray(rows)


def _asked_of(answered: Answered, targets: Targets, metric: str) -> np.ndarray:
    """The questions about targets at the horizons that a metric looks at."""
    horizons = slice(1 if metric.startswith("prediction.") else 0, len(HORIZONS_S))
    if at := AT_HORIZON.fullmatch(metric):
        horizons = slice(int(at["horizon"]), int(at["horizon"]) + 1)
    if up_to := UP_TO_HORIZON.fullmatch(metric):
        horizons = slice(0, int(up_to["horizon"]) + 1)
    rows = targets.rows[:, horizons]
    rows = np.unique(rows[rows >= 0])
    return np.asarray(rows[answered.read[rows]] if metric == "safety.corridor_swap_rate" else rows)


def _ends_of_seconds(answered: Answered, targets: Targets, metric: str) -> np.ndarray:
    """The questions at both ends of the seconds that count."""
    truth_m, answer_m = (
        np.asarray(targets.values(values, missing=np.nan))
        for values in (answered.truth("distance_m"), answered.answer("distance_m"))
    )
    counts = OF_SECONDS[metric](truth_m, answer_m).applies
    ends = np.pad(counts, ((0, 0), (0, 1))) | np.pad(counts, ((0, 0), (1, 0)))
    return np.asarray(np.unique(targets.rows[ends]))


@lru_cache(maxsize=KEPT)
def _samples(answered: Answered) -> tuple[dict[str, Sample], Targets]:
    return panel(answered), find_targets(answered.cases)
