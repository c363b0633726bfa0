"""Time to collision: when the footprints of ego and target first overlap if both keep their velocity.

Both boxes keep their direction and move along straight lines, in steps of 0.1 s, as in nuPlan's time-to-collision metric; the ego
moves along its x axis. The horizon is 10 s so that a far conflict (">6") is told from none.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

STEP_S = 0.1
HORIZON_STEPS = 100
BINS = ((0.95, "<0.95"), (1.5, "0.95-1.5"), (3.0, "1.5-3"), (6.0, "3-6"))
"""Upper edge, not included, and name of each bin; 6 s belongs to the last."""


def time_to_collision_s(
    ego_box: Float[np.ndarray, "5"],
    ego_speed_mps: float,
    target_box: Float[np.ndarray, "5"],
    target_vx_mps: float,
    target_vy_mps: float,
) -> float | None:
    """First time, in steps of 0.1 s, at which the two boxes share area; None where they do not within 10 s.

    Args:
        ego_box: `(x_m, y_m, length_m, width_m, yaw_rad)` of the ego, ego frame.
        ego_speed_mps: along the ego's x axis.
        target_box: likewise of the target, ego frame.
        target_vx_mps: of the target over ground, ego axes.
        target_vy_mps: likewise.
    """
    times_s = STEP_S * np.arange(HORIZON_STEPS + 1)
    velocity_mps = np.array([target_vx_mps - ego_speed_mps, target_vy_mps])
    offset_m = (target_box[:2] - ego_box[:2])[None] + times_s[:, None] * velocity_mps[None]
    ego_axes, target_axes = _axes(ego_box[4]), _axes(target_box[4])
    axes = np.concatenate([ego_axes, target_axes])
    reach_m = _half_extent_m(ego_box, ego_axes, axes) + _half_extent_m(target_box, target_axes, axes)
    hits = np.flatnonzero((np.abs(offset_m @ axes.T) < reach_m).all(axis=1))
    return float(round(times_s[hits[0]], 6)) if len(hits) else None


def ttc_bin(ttc_s: float | None) -> str:
    """Name of the bin that a time to collision falls into; "none" where there is no conflict."""
    if ttc_s is None:
        return "none"
    if ttc_s == BINS[-1][0]:
        return BINS[-1][1]
    return next((name for upper_s, name in BINS if ttc_s < upper_s), ">6")


def _axes(yaw_rad: float) -> Float[np.ndarray, "2 2"]:
    cos, sin = np.cos(yaw_rad), np.sin(yaw_rad)
    return np.array([[cos, sin], [-sin, cos]])


def _half_extent_m(
    box: Float[np.ndarray, "5"], box_axes: Float[np.ndarray, "2 2"], axes: Float[np.ndarray, "a 2"]
) -> Float[np.ndarray, "a"]:
    """How far a box reaches from its centre along each axis."""
    return np.asarray(np.abs(axes @ box_axes.T) @ (0.5 * box[2:4]))
