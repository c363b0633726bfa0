"""The tracks that are alive, as columns."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Bool, Float, Int

from sensors.tracking.motion import SIZE, TURN, VX, VY, YAW, Noise
from sensors.tracking.scans import CATEGORY_NAMES, Boxes
from sensors.tracking.settings import GROUPS, TrackerSettings, group_of

_GROUPS = [GROUPS[group_of(name)] for name in CATEGORY_NAMES]
_NAMES = sorted(GROUPS)
GROUP = np.array([_NAMES.index(group_of(name)) for name in CATEGORY_NAMES])
"""Group of each category: objects of different groups are never the same."""
_COLUMNS = {
    name: np.array([getattr(group, name) for group in _GROUPS])
    for name in ("accel_density", "turn_density", "speed_mps", "yaw_density", "coast_s", "reach_m")
}
_SLIP_MPS = np.array([np.inf if group.slip_mps is None else group.slip_mps for group in _GROUPS])
COAST_NS = (_COLUMNS["coast_s"] * 1e9).astype(np.int64)
REACH_M = _COLUMNS["reach_m"]
TURN_RATE = 0.3
"""Standard deviation of a new vehicle's turn rate, rad/s."""
FIXED = 1e-12
"""Variance of a turn rate that is held at 0: not 0, so that covariances stay invertible."""
HEIGHT_DENSITY = 0.05
"""Random walk of the centre's height, m²/s: slopes and nodding."""


@dataclass(eq=False)
class Bank:
    """Tracks alive, one row each; rows keep the order of birth.

    Attributes:
        track: number of the track.
        mean: state, see `sensors.tracking.motion`.
        cov: its covariance.
        shape: height of the centre, length, width and height of the box.
        shape_var: their variances.
        category: place in `CATEGORY_NAMES` that most of its detections said so far.
        votes: score-weighted votes for each category.
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
    def born(
        cls, boxes: Boxes, first_track: int, time_ns: int, settings: TrackerSettings, *, over_ground: bool
    ) -> Bank:
        """A new track for each box."""
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
        sizes = np.full((count, 3), settings.box.size_m**2)
        return cls(
            track=np.arange(first_track, first_track + count),
            mean=mean,
            cov=variances[:, :, None] * np.eye(SIZE),
            shape=np.column_stack([boxes.xyz_m[:, 2], boxes.size_m]),
            shape_var=np.column_stack([np.full(count, settings.box.height_m**2), sizes]),
            category=boxes.category.copy(),
            votes=votes,
            last_hit_ns=np.full(count, time_ns),
            hits=np.ones(count, dtype=np.int64),
        )

    @classmethod
    def empty(cls) -> Bank:
        """No track."""
        whole = np.empty(0, dtype=np.int64)
        matrix = np.empty((0, SIZE, SIZE))
        four, votes = np.empty((0, 4)), np.empty((0, len(CATEGORY_NAMES)))
        return cls(whole, matrix[:, 0], matrix, four, four, whole, votes, whole, whole)

    def __len__(self) -> int:
        return len(self.track)

    def keep(self, alive: Bool[np.ndarray, "n"]) -> None:
        """Drop the others."""
        if alive.all():
            return
        for column in fields(self):
            setattr(self, column.name, getattr(self, column.name)[alive])

    def append(self, other: Bank) -> None:
        """Add tracks at the end."""
        for column in fields(self):
            setattr(self, column.name, np.concatenate([getattr(self, column.name), getattr(other, column.name)]))

    def noise(self, extra_accel: float, *, over_ground: bool) -> Noise:
        """Process noise of each track."""
        turn = _COLUMNS["turn_density"][self.category] if over_ground else np.zeros(len(self))
        yaw = _COLUMNS["yaw_density"][self.category]
        return Noise(_COLUMNS["accel_density"][self.category] + extra_accel, turn, yaw if over_ground else yaw + 0.05)

    def slip_m2ps2(self, dt_s: float) -> Float[np.ndarray, "n"]:
        """Variance of the speed across the heading over a step: white noise, so that short steps say less."""
        return np.asarray(_SLIP_MPS[self.category] ** 2 / max(dt_s, 1e-3))
