"""The tracks that are alive, as columns."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from sensors.tracking.motion import SIZE, TURN, VX, VY, YAW, Noise
from sensors.tracking.scans import CATEGORY_NAMES, Boxes
from sensors.tracking.settings import GROUPS, TrackerSettings, group_of

_GROUPS = [GROUPS[group_of(name)] for name in CATEGORY_NAMES]
_NAMES = sorted(GROUPS)
GROUP = np.array([_NAMES.index(group_of(name)) for name in CATEGORY_NAMES])
"""Group of each category: objects of different groups are never the same."""
_COLUMNS = {
    name: np.array([getattr(group, name) for group in _GROUPS])
    for name in ("accel_density", "turn_density", "speed_mps", "yaw_density", "coast_s", "near_m", "top_mps")
}
_SLIP_MPS = np.array([np.inf if group.slip_mps is None else group.slip_mps for group in _GROUPS])
COAST_NS = (_COLUMNS["coast_s"] * 1e9).astype(np.int64)
NEAR_M, TOP_MPS = _COLUMNS["near_m"], _COLUMNS["top_mps"]
TURN_RATE = 0.3
"""Standard deviation of a new vehicle's turn rate, rad/s."""
FIXED = 1e-12
"""Variance of a turn rate that is held at 0: not 0, so that covariances stay invertible."""
HEIGHT_DENSITY = 0.05
"""Random walk of the centre's height, m²/s: slopes and nodding."""


class Bank(NamedTuple):
    """Tracks alive, one row each; rows keep the order of birth.

    Attributes that the filter changes belong to this bank alone, so that it may write into them.

    Attributes:
        track: number of the track.
        mean: state, see `sensors.tracking.motion`.
        cov: its covariance.
        shape: height of the centre, length, width and height of the box.
        shape_var: their variances.
        category: place in `CATEGORY_NAMES` that most of its detections said so far.
        votes: how many of its boxes said each category.
        last_hit_ns: time of the last measurement.
        hits: 3D boxes taken so far.
    """

    track: Int[np.ndarray, "n"]
    mean: Float[np.ndarray, "n 6"]
    cov: Float[np.ndarray, "n 6 6"]
    shape: Float[np.ndarray, "n 4"]
    shape_var: Float[np.ndarray, "n 4"]
    category: Int[np.ndarray, "n"]
    votes: Float[np.ndarray, "n c"]
    last_hit_ns: Int[np.ndarray, "n"]
    hits: Int[np.ndarray, "n"]

    @classmethod
    def born(cls, boxes: Boxes, time_ns: Int[np.ndarray, "n"], settings: TrackerSettings, *, over_ground: bool) -> Bank:
        """The track that each box would start; its number is given when it does."""
        count = len(boxes.row)
        mean = np.zeros((count, SIZE))
        mean[:, :2], mean[:, YAW] = boxes.xyz_m[:, :2], boxes.yaw_rad
        known = np.isfinite(boxes.velocity_mps).all(axis=1)
        mean[known, VX : VY + 1] = boxes.velocity_mps[known]
        speed = _COLUMNS["speed_mps"][boxes.category] if over_ground else np.full(count, 15.0)
        speed = np.where(known, settings.box.velocity_mps, speed)
        turning = (_COLUMNS["turn_density"][boxes.category] > 0) & over_ground
        variances = np.zeros((count, SIZE))
        variances[:, 0] = variances[:, 1] = boxes.variance_m2
        variances[:, VX] = variances[:, VY] = speed**2
        variances[:, YAW] = settings.box.yaw_rad**2
        variances[:, TURN] = np.where(turning, TURN_RATE**2, FIXED)
        votes = np.zeros((count, len(CATEGORY_NAMES)))
        votes[np.arange(count), boxes.category] = 1.0
        shape_m2 = np.array([settings.box.height_m, *[settings.box.size_m] * 3]) ** 2
        return cls(
            track=np.full(count, -1),
            mean=mean,
            cov=variances[:, :, None] * np.eye(SIZE),
            shape=np.column_stack([boxes.xyz_m[:, 2], boxes.size_m]),
            shape_var=np.tile(shape_m2, (count, 1)),
            category=boxes.category,
            votes=votes,
            last_hit_ns=time_ns,
            hits=np.ones(count, dtype=np.int64),
        )

    @property
    def size(self) -> int:
        """How many tracks."""
        return len(self.track)

    def take(self, rows: Int[np.ndarray, "m"]) -> Bank:
        """Some of them, in a bank of their own."""
        return Bank(*[column.take(rows, axis=0) for column in self])

    def join(self, other: Bank) -> Bank:
        """Both, in a bank of their own."""
        return Bank(*map(np.concatenate, zip(self, other, strict=True)))

    def noise(self, extra_accel: float, *, over_ground: bool) -> Noise:
        """Process noise of each track."""
        return Noise(*_densities(extra_accel, over_ground).take(self.category, axis=1))

    def slip_m2ps2(self, dt_s: float) -> Float[np.ndarray, "n"]:
        """Variance of the speed across the heading over a step: white noise, so that short steps say less."""
        return np.asarray(_SLIP_MPS[self.category] ** 2 / max(dt_s, 1e-3))


@lru_cache(maxsize=8)
def _densities(extra_accel: float, over_ground: bool) -> Float[np.ndarray, "3 c"]:
    """Process noise of each category: acceleration, turn rate, yaw. Without ego poses nothing is known of turns."""
    accel, turn, yaw = (_COLUMNS[name] for name in ("accel_density", "turn_density", "yaw_density"))
    if over_ground:
        return np.array([accel + extra_accel, turn, yaw])
    return np.array([accel + extra_accel, np.zeros_like(turn), yaw + 0.05])
