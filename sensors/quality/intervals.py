"""A mean over boxes with its 95 % interval.

Boxes of one object resemble each other, and so do those of one drive. So whole logs are drawn with replacement where there are
enough of them, else whole objects: a draw gives each cluster a multinomial weight w, and the mean is Σ w·sum / Σ w·count.
1,000 draws, fixed seed, percentiles 2.5 and 97.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int

DRAWS = 1_000
SEED = 20_240_817
LEVEL = 0.95
MIN_LOGS = 10
MAX_CLUSTERS = 4_000
"""More are merged by their number, at random to all practical purposes; this bounds the memory."""


@dataclass(frozen=True)
class Mean:
    """A mean with its interval.

    Attributes:
        value: NaN where there is no case.
        n: cases.
        low: lower end; NaN where there are fewer than two clusters.
        high: upper end.
    """

    value: float
    n: int
    low: float = float("nan")
    high: float = float("nan")


def mean_with_interval(
    values: Float[np.ndarray, "n"], logs: Int[np.ndarray, "n"], tracks: Int[np.ndarray, "n"]
) -> Mean:
    """Mean of the values that are not NaN.

    Args:
        values: one a box.
        logs: the log of each box.
        tracks: the object of each box, unique over logs.
    """
    known = ~np.isnan(values)
    values, logs, tracks = values[known], logs[known], tracks[known]
    if not len(values):
        return Mean(float("nan"), 0)
    clusters = logs if len(np.unique(logs)) >= MIN_LOGS else tracks
    code = np.unique(clusters, return_inverse=True)[1] % MAX_CLUSTERS
    sums, counts = np.bincount(code, weights=values), np.bincount(code).astype(np.float64)
    mean = float(values.mean())
    if len(sums) < 2:
        return Mean(mean, len(values))
    weights = _weights(len(sums))
    low, high = np.quantile((weights @ sums) / (weights @ counts), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Mean(mean, len(values), float(low), float(high))


@lru_cache(maxsize=8)
def _weights(clusters: int) -> Float[np.ndarray, "draws clusters"]:
    """How often each draw has each cluster; the same for all means over so many clusters."""
    generator = np.random.default_rng(SEED)
    return generator.multinomial(clusters, np.full(clusters, 1 / clusters), size=DRAWS).astype(np.float64)
