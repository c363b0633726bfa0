"""How large road users are: the prior that completes what a lidar sees of them and names their class.

Means and spreads are round figures for cars, trucks and buses of Europe, America and Asia, for people who walk, and for people on
bicycles and motorcycles; they are not fitted to any data set.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class SizePrior:
    """Size of one class.

    Attributes:
        category: a key of `drive_vqa.categories.CATEGORIES`.
        mean_lwh_m: length, width, height.
        spread_lwh_m: standard deviations.
        tallest_m: nothing of this class is higher.
        share: how readily the class is believed: what is rarer needs better evidence.
    """

    category: str
    mean_lwh_m: tuple[float, float, float]
    spread_lwh_m: tuple[float, float, float]
    tallest_m: float
    share: float


PRIORS = (
    SizePrior("car", (4.5, 1.85, 1.6), (0.55, 0.18, 0.2), 2.3, 1.0),
    SizePrior("truck", (7.0, 2.4, 2.9), (1.2, 0.25, 0.5), 4.2, 0.8),
    SizePrior("bus", (11.5, 2.8, 3.3), (1.2, 0.25, 0.3), 4.2, 0.7),
    SizePrior("pedestrian", (0.65, 0.6, 1.7), (0.25, 0.2, 0.15), 2.1, 1.0),
    SizePrior("bicycle", (1.75, 0.65, 1.65), (0.2, 0.15, 0.2), 2.2, 0.85),
)
"""`bicycle` is one with its rider, as in KITTI's Cyclist."""

CATEGORIES = tuple(prior.category for prior in PRIORS)


def prior_means() -> Float[np.ndarray, "c 3"]:
    """Mean length, width, height of each class."""
    return np.array([prior.mean_lwh_m for prior in PRIORS])


def prior_spreads() -> Float[np.ndarray, "c 3"]:
    """Standard deviations of them."""
    return np.array([prior.spread_lwh_m for prior in PRIORS])
