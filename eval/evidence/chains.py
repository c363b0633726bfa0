"""V-STaR's summary of what, when and where.

Of a chain of questions, A is the accuracy of the answers, T the mean temporal IoU and S the mean visual IoU, each in [0, 1]:

    AM  = (A + T + S) / 3                                   arithmetic mean, in [0, 1]
    LGM = -[ln(1 - A) + ln(1 - T) + ln(1 - S)] / 3          logarithmic geometric mean, 0 or more, at most -ln 1e-6

with each argument of a logarithm held at 1e-6 or above, so that a perfect part does not make all others vanish. Chain 1 asks
what, when, where; chain 2 what, where, when. mAM and mLGM are means over the chains, in hundredths. Higher is better. NaN stays
NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

LEAST_MISS = 1e-6
"""V-STaR's floor under 1 - A, 1 - T and 1 - S."""


@dataclass(frozen=True)
class Chain:
    """Means over the questions of a chain, each in [0, 1].

    Attributes:
        accuracy: A.
        temporal_iou: T.
        visual_iou: S.
    """

    accuracy: float
    temporal_iou: float
    visual_iou: float


def arithmetic_mean(parts: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n"]:
    """AM of (A, T, S)."""
    return np.asarray(parts.mean(axis=-1))


def log_geometric_mean(parts: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n"]:
    """LGM of (A, T, S)."""
    return np.asarray(np.log(1.0 / np.maximum(1.0 - parts, LEAST_MISS)).mean(axis=-1))


def mean_am(chains: Sequence[Chain]) -> float:
    """The mean AM of the chains (mAM) in hundredths; NaN without a chain."""
    return _mean_in_hundredths(arithmetic_mean(_parts(chains)))


def mean_lgm(chains: Sequence[Chain]) -> float:
    """The mean LGM of the chains (mLGM) in hundredths; NaN without a chain."""
    return _mean_in_hundredths(log_geometric_mean(_parts(chains)))


def _parts(chains: Sequence[Chain]) -> Float[np.ndarray, "n 3"]:
    rows = [(chain.accuracy, chain.temporal_iou, chain.visual_iou) for chain in chains]
    return np.array(rows, dtype=np.float64).reshape(-1, 3)


def _mean_in_hundredths(values: Float[np.ndarray, "n"]) -> float:
    return float(100.0 * values.mean()) if len(values) else float("nan")
