"""Times that are claimed against the times of the evidence.

    temporal_published   a question that asks for an interval has the share of claimed times inside of it, every other the mean
                         over claimed times of exp(-Δ² / 2σ²), Δ to the nearest true time; σ falls from 4 s to 1 s linearly over
                         the first 75 % of the training and stays there. No time claimed: 0         (Open-o3 Video)
    temporal             the mean of that and of its dual over true times, so that one safe time does not pay; σ from 1 s to
                         0.25 s, as driving frames are half a second apart                          [ours]

Times told with boxes and with points count, and in the published one those that stand alone. Range [0, 1]; None where no image
shows anything that the answer rests on.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from eval.reasoning.trace import PointClaim, SeenClaim
from finetune.rewards.completion import Completion
from finetune.rewards.truth import Truth

ANNEALED_SHARE = 0.75
PUBLISHED_SIGMA_S = (4.0, 1.0)
SIGMA_S = (1.0, 0.25)
_INTERVALS = frozenset({"interval", "interval_box"})


def temporal_published(completion: Completion, truth: Truth, progress: float) -> float | None:
    """See the top."""
    alone_s = [claim.offset_s for claim in completion.trace.times]
    told_s = np.append(_told_s(completion), alone_s)
    if truth.answer_type in _INTERVALS:
        inside = (told_s >= truth.answer["start_s"]) & (told_s <= truth.answer["end_s"])
        return float(inside.mean()) if len(told_s) else 0.0
    true_s = np.array(truth.evidence.key_times_s)
    if not len(true_s):
        return None
    return _proximity(told_s, true_s, annealed_s(PUBLISHED_SIGMA_S, progress))


def temporal(completion: Completion, truth: Truth, progress: float) -> float | None:
    """See the top."""
    told_s, true_s = _told_s(completion), np.array(truth.evidence.key_times_s)
    if not len(true_s):
        return None
    sigma_s = annealed_s(SIGMA_S, progress)
    return 0.5 * (_proximity(told_s, true_s, sigma_s) + _proximity(true_s, told_s, sigma_s))


def annealed_s(sigma_s: tuple[float, float], progress: float) -> float:
    """σ after a share of the training."""
    first_s, last_s = sigma_s
    share = min(max(progress, 0.0) / ANNEALED_SHARE, 1.0)
    return first_s + share * (last_s - first_s)


def _proximity(times_s: Float[np.ndarray, "n"], others_s: Float[np.ndarray, "m"], sigma_s: float) -> float:
    """Mean over times of the Gaussian of how far the nearest other is; 0 without either."""
    if not len(times_s) or not len(others_s):
        return 0.0
    ordered_s = np.sort(others_s)
    after = np.searchsorted(ordered_s, times_s)
    before_s, after_s = ordered_s[np.maximum(after - 1, 0)], ordered_s[np.minimum(after, len(ordered_s) - 1)]
    near_s = np.minimum(np.abs(times_s - before_s), np.abs(times_s - after_s))
    return float(np.exp(-0.5 * np.square(np.minimum(near_s / sigma_s, 40.0))).mean())


def _told_s(completion: Completion) -> Float[np.ndarray, "n"]:
    claims: tuple[PointClaim | SeenClaim, ...] = (*completion.trace.seen, *completion.trace.points)
    return np.array([claim.offset_s for claim in claims if claim.offset_s is not None], dtype=np.float64)
