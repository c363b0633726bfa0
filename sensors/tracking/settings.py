"""What the tracker takes for granted about objects and sensors. Standard deviations and spectral densities, by kind of object."""

from __future__ import annotations

from dataclasses import dataclass, field

from drive_vqa.categories import CATEGORIES
from drive_vqa.config import strict_config
from drive_vqa.errors import ConfigError


@dataclass(frozen=True)
class Group:
    """Objects that move alike.

    Attributes:
        accel_density: of the white acceleration that drives the filter, m²/s³.
        turn_density: of the white yaw acceleration, rad²/s³; 0: constant velocity.
        slip_mps: speed across the heading at 1 s between measurements; None: may move any way.
        speed_mps: standard deviation of the speed of a new track.
        yaw_density: of the random walk of the yaw, rad²/s.
        coast_s: how long a track lives without a measurement.
        near_m: no measurement further from the prediction is taken than this, and
        top_mps: this for each second between two scans.
    """

    accel_density: float
    turn_density: float
    slip_mps: float | None
    speed_mps: float
    yaw_density: float
    coast_s: float
    near_m: float
    top_mps: float


GROUPS = {
    "vehicle": Group(
        accel_density=2.0,
        turn_density=0.05,
        slip_mps=0.2,
        speed_mps=8.0,
        yaw_density=0.003,
        coast_s=1.2,
        near_m=1.0,
        top_mps=40.0,
    ),
    "cycle": Group(
        accel_density=1.5,
        turn_density=0.1,
        slip_mps=0.3,
        speed_mps=4.0,
        yaw_density=0.01,
        coast_s=1.2,
        near_m=1.5,
        top_mps=15.0,
    ),
    "person": Group(
        accel_density=0.5,
        turn_density=0.0,
        slip_mps=None,
        speed_mps=1.2,
        yaw_density=0.3,
        coast_s=1.2,
        near_m=1.0,
        top_mps=8.0,
    ),
    "thing": Group(
        accel_density=0.01,
        turn_density=0.0,
        slip_mps=None,
        speed_mps=0.1,
        yaw_density=0.01,
        coast_s=2.0,
        near_m=1.0,
        top_mps=0.0,
    ),
}
"""By name; see `group_of`."""


def group_of(category: str) -> str:
    """The group of a key of `drive_vqa.categories.CATEGORIES`."""
    if category in ("bicycle", "motorcycle"):
        return "cycle"
    if category in ("pedestrian", "animal"):
        return "person"
    return "vehicle" if CATEGORIES[category].vehicle else "thing"


@strict_config
@dataclass(frozen=True)
class BoxNoise:
    """Errors of a detector's 3D boxes, standard deviations.

    Attributes:
        position_m: of the centre on the ground plane, nearby.
        position_per_m: what it grows by with each metre of range.
        yaw_rad: of the heading, up to half a turn.
        height_m: of the centre's height.
        size_m: of length, width and height.
        velocity_mps: of the velocity, where the detector gives one.
    """

    position_m: float = 0.25
    position_per_m: float = 0.005
    yaw_rad: float = 0.15
    height_m: float = 0.15
    size_m: float = 0.3
    velocity_mps: float = 1.0


@strict_config
@dataclass(frozen=True)
class TrackerSettings:
    """How detections become tracks.

    Attributes:
        gate: greatest squared Mahalanobis distance of a measurement from its prediction (13.8: one true one in 1,000 is lost).
        birth_log_odds: a 3D box less sure than this can only continue a track, not start one (-1.4: a probability of 0.2).
        min_hits: a track with fewer 3D boxes is not kept.
        smooth: run the smoother; without, rows are what was known at their time.
        box: errors of the detector.
        without_poses_accel: density that is added where the log has no ego poses and the ego's own motion disturbs all others.
    """

    gate: float = 16.0
    birth_log_odds: float = -1.4
    min_hits: int = 3
    smooth: bool = True
    box: BoxNoise = field(default_factory=BoxNoise)
    without_poses_accel: float = 10.0

    def __post_init__(self) -> None:
        if self.gate <= 0 or self.min_hits < 1:
            raise ConfigError("tracker settings: gate must be above 0 and min_hits at least 1")
