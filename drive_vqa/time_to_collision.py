"""Time to collision: when the footprints of ego and target first overlap if both keep their velocity.

Both boxes keep their direction and move along straight lines, in steps of 0.1 s, as in nuPlan's time-to-collision metric; the ego
moves along its x axis. The horizon is 10 s so that a far conflict (">6") is told from none.

Two rectangles share area where their shadows overlap on all four axes of their sides. A shadow that moves evenly overlaps another
during one interval, so the first step is found without trying all hundred.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

STEP_S = 0.1
HORIZON_STEPS = 100
STILL_MPS = 1e-9
"""Slower shadows stay where they are, and dividing by their speed could overflow."""
BIN_EDGES_S = (0.95, 1.5, 3.0, 6.0)
"""Upper edges, not included, of the first bins; 6 s itself belongs to the last of them."""
BIN_NAMES = ("<0.95", "0.95-1.5", "1.5-3", "3-6", ">6", "none")


def time_to_collision_s(
    ego_box: Float[np.ndarray, "*e 5"],
    ego_speed_mps: Float[np.ndarray, "n"],
    target_box: Float[np.ndarray, "n 5"],
    target_vx_mps: Float[np.ndarray, "n"],
    target_vy_mps: Float[np.ndarray, "n"],
) -> Float[np.ndarray, "n"]:
    """First time, in steps of 0.1 s, at which two boxes share area; inf where they do not within 10 s, NaN where not known.

    Args:
        ego_box: `(x_m, y_m, length_m, width_m, yaw_rad)` of the ego, ego frame; one for all, or one a target.
        ego_speed_mps: along the ego's x axis.
        target_box: likewise of each target, ego frame.
        target_vx_mps: of each target over ground, ego axes.
        target_vy_mps: likewise.
    """
    box = np.broadcast_to(ego_box, target_box.shape)
    axes = _axes(box, target_box)
    offset_m = (axes * (target_box[:, :2] - box[:, :2]).T).sum(axis=1)
    speed_mps = (axes * np.stack([target_vx_mps - ego_speed_mps, target_vy_mps])).sum(axis=1)
    reach_m = _reach_m(box, target_box)
    steps = _first_steps(offset_m, reach_m, speed_mps)
    times_s = STEP_S * steps
    hits = (np.abs(offset_m + times_s[:, None] * speed_mps) < reach_m).all(axis=1) & (steps <= HORIZON_STEPS)
    first_s = times_s[hits.argmax(axis=0), np.arange(len(box))]
    ttc_s = np.where(hits.any(axis=0), np.round(first_s, 6), np.inf)
    unknown = np.isnan(offset_m + reach_m + speed_mps).any(axis=0)
    return np.asarray(np.where(unknown, np.nan, ttc_s))


def ttc_bins(ttc_s: Float[np.ndarray, "n"]) -> np.ndarray:
    """Names of the bins that times to collision fall into, "none" where there is no conflict; None where not known."""
    code = np.searchsorted(BIN_EDGES_S, ttc_s, side="right")
    code = np.where(ttc_s == BIN_EDGES_S[-1], len(BIN_EDGES_S) - 1, code)
    code = np.where(np.isinf(ttc_s), len(BIN_NAMES) - 1, code)
    names = np.array([*BIN_NAMES, None], dtype=object)
    return np.asarray(names[np.where(np.isnan(ttc_s), len(BIN_NAMES), code)])


def _axes(box: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Directions of both boxes' sides, (4 2 n)."""
    (cos, other_cos), (sin, other_sin) = (turn((box[:, 4], other[:, 4])) for turn in (np.cos, np.sin))
    return np.array([[cos, sin], [-sin, cos], [other_cos, other_sin], [-other_sin, other_cos]])


def _reach_m(box: np.ndarray, other: np.ndarray) -> np.ndarray:
    """How far two boxes reach together from their centres along the same axes, (4 n)."""
    turn_rad = other[:, 4] - box[:, 4]
    cos, sin = np.abs(np.cos(turn_rad)), np.abs(np.sin(turn_rad))
    (length, width), (other_length, other_width) = 0.5 * box[:, 2:4].T, 0.5 * other[:, 2:4].T
    own = length + cos * other_length + sin * other_width, width + sin * other_length + cos * other_width
    return np.stack([*own, other_length + cos * length + sin * width, other_width + sin * length + cos * width])


def _first_steps(offset_m: np.ndarray, reach_m: np.ndarray, speed_mps: np.ndarray) -> np.ndarray:
    """Three steps among which the boxes first share area, (3 n): from just before the moment at which the last shadow meets."""
    moves = np.abs(speed_mps) > STILL_MPS
    meets_s = np.divide(-np.sign(speed_mps) * reach_m - offset_m, speed_mps, out=np.zeros_like(offset_m), where=moves)
    latest_s = np.clip(meets_s.max(axis=0), 0.0, STEP_S * (HORIZON_STEPS + 1))
    step = np.floor(latest_s / STEP_S)
    return np.asarray(step + np.array([[0.0], [1.0], [2.0]]))
