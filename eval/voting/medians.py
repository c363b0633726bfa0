"""Weighted medians. Each lies where the weighted sum of distances to all values is least."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

MOST_ROUNDS = 1000
NEAR = 1e-9


def weighted_median(values: Float[np.ndarray, " n"], weights: Float[np.ndarray, " n"]) -> float:
    """Where half of the weight lies on either side; the middle between two values where it lies exactly between them.

    Args:
        values: at least one, finite.
        weights: not negative, not all 0.
    """
    order = np.argsort(values, kind="stable")
    share = np.cumsum(weights[order]) / np.sum(weights)
    lower, upper = int(np.argmax(share >= 0.5 - NEAR)), int(np.argmax(share > 0.5 + NEAR))
    return float(0.5 * (values[order][lower] + values[order][upper]))


def circular_median(angles_deg: Float[np.ndarray, " n"], weights: Float[np.ndarray, " n"]) -> float:
    """The weighted median on the circle, degrees in (-180, 180]: of the angles the one from which the others are least far.

    Where two neighbours are equally good, as with an even number of equal weights, it is the middle of the arc between them. The
    circular median of Fisher, Statistical Analysis of Circular Data (1993), with weights. Arguments as for `weighted_median`.
    """
    costs = _arc_deg(angles_deg[:, None], angles_deg) @ weights
    best = np.flatnonzero(costs <= costs.min() + NEAR * np.sum(weights))
    first = float(angles_deg[best[0]])
    for other in angles_deg[best[1:]].tolist():
        middle = first + 0.5 * _signed_deg(other - first)
        if float(_arc_deg(np.array(middle), angles_deg) @ weights) <= costs.min() + NEAR * np.sum(weights):
            return _signed_deg(middle)
    return _signed_deg(first)


def geometric_median(points: Float[np.ndarray, "n d"], weights: Float[np.ndarray, " n"]) -> Float[np.ndarray, " d"]:
    """The point of least weighted distance to all points: Weiszfeld's iteration, kept from sticking as by Vardi and Zhang (2000).

    More than half of the weight in one place wins, however far the rest is. Arguments as for `weighted_median`.
    """
    used = weights > 0
    points, weights = points[used], weights[used]
    at = _best_of(points, weights)
    for _ in range(MOST_ROUNDS):
        gaps = np.linalg.norm(points - at, axis=1)
        here = gaps <= NEAR
        if here.all():
            break
        pulls = weights[~here] / gaps[~here]
        mean = pulls @ points[~here] / pulls.sum()
        held = float(weights[here].sum())
        force = float(np.linalg.norm(pulls @ (points[~here] - at)))
        stay = min(1.0, held / force) if force > 0 else 1.0
        moved = (1 - stay) * mean + stay * at
        if np.linalg.norm(moved - at) <= NEAR:
            break
        at = moved
    return at


def _best_of(points: Float[np.ndarray, "n d"], weights: Float[np.ndarray, " n"]) -> Float[np.ndarray, " d"]:
    """The point itself that is nearest to all: the iteration leaves it at once or never, and nears it ever more slowly."""
    costs = np.linalg.norm(points[:, None] - points, axis=2) @ weights
    best: np.ndarray = points[int(np.argmin(costs))]
    return best


def _arc_deg(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Shorter arc between angles, in [0, 180]."""
    return np.asarray(np.abs((first - second + 180.0) % 360.0 - 180.0))


def _signed_deg(angle_deg: float) -> float:
    """The angle in (-180, 180]."""
    return 180.0 - (180.0 - angle_deg) % 360.0
