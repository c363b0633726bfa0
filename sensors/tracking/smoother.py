"""Rauch–Tung–Striebel smoother: what every step of a track would have been with all later measurements known.

    G = P_filtered · Fᵀ · P_predicted⁻¹      x_s = x_f + G·(x_s' - x_p')      P_s = P_f + G·(P_s' - P_p')·Gᵀ

where ' is the next step of the same track. Gains of all steps of a log are solved at once; only the recursion goes step by step,
over all tracks together. Rauch, Tung, Striebel, AIAA Journal 3(8), 1965.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from sensors.tracking.history import Steps


def smooth(steps: Steps) -> Steps:
    """The same steps with smoothed `mean`, `cov`, `shape` and `shape_var`."""
    following = next_step(steps)
    has_next = np.flatnonzero(following >= 0)
    after = following[has_next]
    forward = steps.jacobian[after] @ steps.cov[has_next]
    gain = np.linalg.solve(steps.predicted_cov[after], forward).transpose(0, 2, 1)
    # Filters of height and sizes step without change: their gain is P_f / (P_f + added).
    shape_gain = steps.shape_var[has_next] / (steps.shape_var[has_next] + steps.shape_added[after])
    mean, cov, shape, shape_var = (column.copy() for column in (steps.mean, steps.cov, steps.shape, steps.shape_var))
    for part in _scans_backwards(steps.scan[has_next]):
        now, then, step_gain, scalar_gain = has_next[part], after[part], gain[part], shape_gain[part]
        mean[now] += (step_gain @ (mean[then] - steps.predicted[then])[:, :, None])[:, :, 0]
        change = step_gain @ (cov[then] - steps.predicted_cov[then]) @ step_gain.transpose(0, 2, 1)
        cov[now] += 0.5 * (change + change.transpose(0, 2, 1))
        shape[now] += scalar_gain * (shape[then] - steps.shape[now])
        predicted_var = steps.shape_var[now] + steps.shape_added[then]
        shape_var[now] += scalar_gain**2 * (shape_var[then] - predicted_var)
    return steps._replace(mean=mean, cov=cov, shape=shape, shape_var=shape_var)


def next_step(steps: Steps) -> Int[np.ndarray, "n"]:
    """Row of the next step of the same track; -1 at its last."""
    order = np.lexsort((np.arange(len(steps.track)), steps.track))
    following = np.full(len(order), -1)
    same = steps.track[order[1:]] == steps.track[order[:-1]]
    following[order[:-1][same]] = order[1:][same]
    return following


def _scans_backwards(scan: Int[np.ndarray, "n"]) -> list[slice]:
    """Slices of equal scans, last first; scans never fall."""
    starts = np.flatnonzero(np.r_[True, np.diff(scan) > 0]) if len(scan) else np.empty(0, dtype=np.int64)
    ends = np.r_[starts[1:], len(scan)]
    return [slice(int(start), int(end)) for start, end in zip(starts[::-1], ends[::-1], strict=True)]
