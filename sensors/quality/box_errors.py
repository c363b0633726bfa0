"""How far matched boxes are from the truth: place, velocity, direction and size."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from drive_vqa.geometry import angle_rad
from sensors.quality.centre_mot import Matches
from sensors.quality.intervals import Mean, mean_with_interval
from sensors.quality.track_boxes import Comparison

MOVING_MPS = 0.5
RANGE_BINS_M = (0.0, 20.0, 30.0, 50.0, float("inf"))
RANGE_NAMES = ("0_20m", "20_30m", "30_50m", "over_50m")


@dataclass(frozen=True)
class BoxErrors:
    """Errors of matched boxes, one entry a match; NaN where truth or track does not say.

    Attributes:
        log: of the match.
        track: the object, unique over logs.
        category: place in `track_boxes.CATEGORY_NAMES`.
        range_m: of the truth from the ego.
        moving: the truth is faster than 0.5 m/s.
        position_m: between centres, ground plane.
        velocity_mps: length of the difference of velocities.
        yaw_deg: between the directions, 0 to 180.
        length_m: absolute difference (width_m, height_m alike).
        scale: 1 - IoU of the boxes laid onto each other (nuScenes' ASE).
    """

    log: Int[np.ndarray, "m"]
    track: Int[np.ndarray, "m"]
    category: Int[np.ndarray, "m"]
    range_m: Float[np.ndarray, "m"]
    moving: Bool[np.ndarray, "m"]
    position_m: Float[np.ndarray, "m"]
    velocity_mps: Float[np.ndarray, "m"]
    yaw_deg: Float[np.ndarray, "m"]
    length_m: Float[np.ndarray, "m"]
    width_m: Float[np.ndarray, "m"]
    height_m: Float[np.ndarray, "m"]
    scale: Float[np.ndarray, "m"]

    @classmethod
    def of(cls, comparison: Comparison, matches: Matches) -> BoxErrors:
        """Errors of all matches."""
        truth, fused, t, f = comparison.truth, comparison.fused, matches.pairs.truth, matches.pairs.tracked
        size_m = np.abs(truth.lwh_m[t] - fused.lwh_m[f])
        shared = np.minimum(truth.lwh_m[t], fused.lwh_m[f]).prod(-1)
        union = truth.lwh_m[t].prod(-1) + fused.lwh_m[f].prod(-1) - shared
        turn = truth.yaw_rad[t] - fused.yaw_rad[f]
        return cls(
            log=truth.log[t],
            track=truth.track[t],
            category=truth.category[t],
            range_m=truth.range_m[t],
            moving=np.asarray(np.linalg.norm(truth.velocity_mps[t], axis=-1) > MOVING_MPS),
            position_m=matches.pairs.cost,
            velocity_mps=np.asarray(np.linalg.norm(truth.velocity_mps[t] - fused.velocity_mps[f], axis=-1)),
            yaw_deg=np.abs(np.degrees(angle_rad(np.sin(turn), np.cos(turn)))),
            length_m=size_m[:, 0],
            width_m=size_m[:, 1],
            height_m=size_m[:, 2],
            scale=np.asarray(1.0 - np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)),
        )

    def only(self, keep: Bool[np.ndarray, "m"]) -> BoxErrors:
        """The matches where `keep` is true."""
        return replace(self, **{column.name: getattr(self, column.name)[keep] for column in fields(self)})

    def in_range(self, place: int) -> BoxErrors:
        """The matches whose truth lies in the bin `RANGE_NAMES[place]`."""
        return self.only((self.range_m >= RANGE_BINS_M[place]) & (self.range_m < RANGE_BINS_M[place + 1]))

    def means(self) -> dict[str, Mean]:
        """Every error's mean by name; `velocity_moving_mps` over objects that move."""
        columns = {
            "position_m": self.position_m,
            "velocity_mps": self.velocity_mps,
            "velocity_moving_mps": np.where(self.moving, self.velocity_mps, np.nan),
            "yaw_deg": self.yaw_deg,
            "length_m": self.length_m,
            "width_m": self.width_m,
            "height_m": self.height_m,
            "scale": self.scale,
        }
        return {name: mean_with_interval(values, self.log, self.track) for name, values in columns.items()}
