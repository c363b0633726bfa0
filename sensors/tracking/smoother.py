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
    # What the recursion does not change is gathered once for all, in the order of `has_next`.
    predicted, predicted_cov = steps.predicted[after], steps.predicted_cov[after]
    filtered, filtered_cov = steps.mean[has_next], steps.cov[has_next]
    flat, flat_var = steps.shape[has_next], steps.shape_var[has_next]
    gain = np.linalg.solve(predicted_cov, steps.jacobian[after] @ filtered_cov).transpose(0, 2, 1)
    # Filters of height and sizes step without change: their gain is P_f / (P_f + added).
    predicted_var = flat_var + steps.shape_added[after]
    flat_gain = flat_var / predicted_var
    mean, cov, shape, shape_var = (column.copy() for column in (steps.mean, steps.cov, steps.shape, steps.shape_var))
    for part in _scans_backwards(steps.scan[has_next]):
        now, then, step_gain = has_next[part], after[part], gain[part]
        mean[now] = filtered[part] + (step_gain @ (mean[then] - predicted[part])[:, :, None])[:, :, 0]
        change = step_gain @ (cov[then] - predicted_cov[part]) @ step_gain.transpose(0, 2, 1)
        cov[now] = filtered_cov[part] + 0.5 * (change + change.transpose(0, 2, 1))
        shape[now] = flat[part] + flat_gain[part] * (shape[then] - flat[part])
        shape_var[now] = flat_var[part] + flat_gain[part] ** 2 * (shape_var[then] - predicted_var[part])
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
