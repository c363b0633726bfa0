"""Prediction in metres (nuScenes): polar answers become ego-frame positions, errors are distances between positions.

    ADE           mean over 1, 2, 3 s of the distance between answered and true position, metres; lower is better
    FDE           the same at 3 s
    MissRate_2m   share of targets whose greatest error over 1, 2, 3 s exceeds 2 m; a missing answer is a miss

ADE and FDE are NaN for a target with a missing answer, since no distance can stand for it.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

MISS_M = 2.0


def positions_m(distance_m: Float[np.ndarray, "*n"], bearing_deg: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n 2"]:
    """Ego-frame (x forward, y left) of polar coordinates, metres."""
    bearing_rad = np.radians(bearing_deg)
    return np.stack([distance_m * np.cos(bearing_rad), distance_m * np.sin(bearing_rad)], axis=-1)


def displacement_m(
    truth_xy_m: Float[np.ndarray, "targets times 2"], answer_xy_m: Float[np.ndarray, "targets times 2"]
) -> Float[np.ndarray, "targets times"]:
    """Distance between answer and truth; NaN where there is no answer."""
    return np.asarray(np.linalg.norm(answer_xy_m - truth_xy_m, axis=-1))


def average_displacement_m(errors_m: Float[np.ndarray, "targets times"]) -> Float[np.ndarray, "targets"]:
    """ADE per target; NaN where an answer is missing."""
    return np.asarray(errors_m.mean(axis=1))


def final_displacement_m(errors_m: Float[np.ndarray, "targets times"]) -> Float[np.ndarray, "targets"]:
    """FDE per target; NaN where the last answer is missing."""
    return np.asarray(errors_m[:, -1])


def missed(errors_m: Float[np.ndarray, "targets times"]) -> Bool[np.ndarray, "targets"]:
    """Per target, whether any error exceeds 2 m or an answer is missing."""
    return np.asarray(~(errors_m <= MISS_M).all(axis=1))
