"""Confidence intervals: bootstrap over logs.

Answers about one drive resemble each other, so logs are drawn, not answers: a draw of L logs with replacement gives each log a
multinomial weight w, and a mean becomes Σ w·sum / Σ w·count over logs. 10,000 draws, fixed seed, 95 % percentile interval. All
metrics over the same number of logs share their draws. Where the cases come from a single log, its anchor frames are drawn
instead; that hides how drives differ, so the interval says which it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

DRAWS = 10_000
SEED = 20_240_817
LEVEL = 0.95
MAX_MEDIAN_LEVELS = 256
DRAWS_AT_ONCE = 1_000
MAX_KEPT_CLUSTERS = 200
ClusterKind = Literal["log", "frame"]


@dataclass(frozen=True)
class Estimate:
    """A metric with its interval.

    Attributes:
        value: None where there is no case.
        n: cases.
        low: lower end of the 95 % interval; None where there are fewer than two clusters.
        high: upper end.
        clusters: how many logs, or frames, the cases come from.
        cluster_kind: what was drawn; None where there is no case.
    """

    value: float | None
    n: int
    low: float | None = None
    high: float | None = None
    clusters: int = 0
    cluster_kind: ClusterKind | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain data for metrics.json."""
        return dict(vars(self))


NOTHING = Estimate(None, 0)
"""The empty case: no value, n = 0."""


def estimate_mean(values: Float[np.ndarray, "n"], logs: Int[np.ndarray, "n"], frames: Int[np.ndarray, "n"]) -> Estimate:
    """Mean of cases with its interval.

    Args:
        values: finite; Booleans as 0 and 1.
        logs: number of the log of each case.
        frames: number of the anchor frame of each case, unique over logs.
    """
    if not len(values):
        return NOTHING
    kind, codes, clusters = _clusters(logs, frames)
    sums = np.bincount(codes, weights=values, minlength=clusters)
    counts = np.bincount(codes, minlength=clusters).astype(np.float64)
    draws = [(weights @ sums) / (weights @ counts) for weights in _weights(clusters)] if clusters > 1 else []
    return _estimate(float(np.mean(values)), len(values), draws, clusters, kind)


def estimate_median(
    values: Float[np.ndarray, "n"], logs: Int[np.ndarray, "n"], frames: Int[np.ndarray, "n"]
) -> Estimate:
    """Median of cases with its interval.

    The ends of the interval are order statistics; of more than 256 cases, evenly ranked ones stand for all. Arguments as for
    `estimate_mean`.
    """
    if not len(values):
        return NOTHING
    kind, codes, clusters = _clusters(logs, frames)
    order = np.argsort(values, kind="stable")
    levels = min(len(values), MAX_MEDIAN_LEVELS)
    level_of = np.empty(len(values), dtype=np.int64)
    level_of[order] = np.arange(len(values)) * levels // len(values)
    table = np.bincount(codes * levels + level_of, minlength=clusters * levels).reshape(clusters, levels)
    middle = values[order][((np.arange(levels) + 0.5) * len(values) / levels).astype(np.int64)]
    draws = [_weighted_medians(weights @ table, middle) for weights in _weights(clusters)] if clusters > 1 else []
    return _estimate(float(np.median(values)), len(values), draws, clusters, kind)


def estimate_of_means(
    values: Float[np.ndarray, "n k"],
    logs: Int[np.ndarray, "n"],
    frames: Int[np.ndarray, "n"],
    function: Callable[[Float[np.ndarray, "*d k"]], Float[np.ndarray, "*d"]],
) -> Estimate:
    """A function of the means of several columns with its interval; other arguments as for `estimate_mean`."""
    if not len(values):
        return NOTHING
    kind, codes, clusters = _clusters(logs, frames)
    sums = np.stack([np.bincount(codes, weights=column, minlength=clusters) for column in values.T], axis=1)
    counts = np.bincount(codes, minlength=clusters).astype(np.float64)
    weights = _weights(clusters) if clusters > 1 else []
    draws = [np.asarray(function((drawn @ sums) / (drawn @ counts)[:, None])) for drawn in weights]
    return _estimate(float(function(values.mean(axis=0))), len(values), draws, clusters, kind)


def _weighted_medians(
    counts: Float[np.ndarray, "draws levels"], values: Float[np.ndarray, "levels"]
) -> Float[np.ndarray, "draws"]:
    """Mean of lower and upper median for each row of counts, as `numpy.median` takes it."""
    cumulative = np.cumsum(counts, axis=1)
    half = 0.5 * cumulative[:, -1:]
    lower, upper = (cumulative >= half).argmax(axis=1), (cumulative > half).argmax(axis=1)
    return np.asarray(0.5 * (values[lower] + values[upper]))


def _clusters(logs: Int[np.ndarray, "n"], frames: Int[np.ndarray, "n"]) -> tuple[ClusterKind, np.ndarray, int]:
    """What is drawn, the cluster of each case, and how many clusters there are."""
    kind: ClusterKind = "log" if len(np.unique(logs)) > 1 else "frame"
    names, codes = np.unique(logs if kind == "log" else frames, return_inverse=True)
    return kind, codes, len(names)


def _weights(clusters: int) -> Iterable[Float[np.ndarray, "draws clusters"]]:
    """All draws in parts that fit into memory; the same for every metric over so many clusters."""
    return _kept_weights(clusters) if clusters <= MAX_KEPT_CLUSTERS else _draw_weights(clusters)


@lru_cache(maxsize=16)
def _kept_weights(clusters: int) -> tuple[Float[np.ndarray, "draws clusters"], ...]:
    return tuple(_draw_weights(clusters))


def _draw_weights(clusters: int) -> Iterator[Float[np.ndarray, "draws clusters"]]:
    """How often each cluster is drawn in each draw."""
    random = np.random.default_rng(np.random.SeedSequence([SEED, clusters]))
    offsets = clusters * np.arange(DRAWS_AT_ONCE)[:, None]
    for _ in range(0, DRAWS, DRAWS_AT_ONCE):
        drawn = random.integers(clusters, size=(DRAWS_AT_ONCE, clusters)) + offsets
        counts = np.bincount(drawn.ravel(), minlength=DRAWS_AT_ONCE * clusters)
        yield counts.reshape(DRAWS_AT_ONCE, clusters).astype(np.float64)


def _estimate(
    value: float, n: int, draws: list[Float[np.ndarray, "draws"]], clusters: int, kind: ClusterKind
) -> Estimate:
    if not draws:
        return Estimate(value, n, None, None, clusters, kind)
    tail = 0.5 * (1.0 - LEVEL)
    low, high = np.quantile(np.concatenate(draws), [tail, 1.0 - tail])
    if not (math.isfinite(low) and math.isfinite(high)):
        return Estimate(value, n, None, None, clusters, kind)
    return Estimate(value, n, float(low), float(high), clusters, kind)
