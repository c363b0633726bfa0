"""Settings of question generation."""

from __future__ import annotations

from dataclasses import dataclass

from drive_vqa.config import strict_config

FAMILIES = ("object", "ego", "future")
HORIZONS_S = (0, 1, 2, 3)
"""How far ahead the future family asks, seconds; type names end in these numbers."""


@strict_config
@dataclass(frozen=True)
class GenerateConfig:
    """What is asked about a log.

    Attributes:
        families: which families of questions to ask.
        seed: chooses marks' numbers, pairs and wordings.
        cameras: names of the front camera in different sources; the first that a log has is used.
        context_offsets_s: when the images of a sequence were taken, relative to the present, which comes last.
        horizons_s: how far ahead the future family asks.
        keyframe_step_s: time between two moments that are asked about.
        time_tolerance_s: how far a frame may be from the time that is wanted.
        max_marks: regions marked in one group.
        max_pairs: pairs of marks that the object-centric family asks about in one group.
        min_box_px: least width and height of a marked region, pixels of the original image.
        min_visible_fraction: least visible share of a marked region.
        max_distance_m: farthest marked object.
        val_fraction: share of logs in `val`.
        test_fraction: share of logs in `test`.
        split_seed: chooses which.
        ego_length_m: own vehicle's size, for time to collision.
        ego_width_m: likewise.
        ego_centre_x_m: where its centre is ahead of the ego origin (the rear axle in nuScenes).

    Raises:
        ValueError: a value is out of range.
    """

    families: tuple[str, ...] = FAMILIES
    seed: int = 0
    cameras: tuple[str, ...] = ("CAM_FRONT", "front_camera")
    context_offsets_s: tuple[float, ...] = (-1.5, -1.0, -0.5, 0.0)
    horizons_s: tuple[int, ...] = HORIZONS_S
    keyframe_step_s: float = 0.5
    time_tolerance_s: float = 0.1
    max_marks: int = 6
    max_pairs: int = 3
    min_box_px: float = 12.0
    min_visible_fraction: float = 0.25
    max_distance_m: float = 60.0
    val_fraction: float = 0.15
    test_fraction: float = 0.15
    split_seed: int = 0
    ego_length_m: float = 4.6
    ego_width_m: float = 1.9
    ego_centre_x_m: float = 1.4

    def __post_init__(self) -> None:
        if not self.families or set(self.families) - set(FAMILIES):
            raise ValueError(f"families are {', '.join(FAMILIES)}; got {', '.join(self.families) or 'none'}")
        if not self.horizons_s or set(self.horizons_s) - set(HORIZONS_S):
            raise ValueError(f"horizons_s are among {HORIZONS_S}; got {self.horizons_s}")
        offsets_s = self.context_offsets_s
        if not offsets_s or offsets_s[-1] != 0.0 or list(offsets_s) != sorted(set(offsets_s)):
            raise ValueError(f"context_offsets_s must rise and end in 0; got {offsets_s}")
        if min(self.keyframe_step_s, self.max_marks, self.max_distance_m, self.ego_length_m, self.ego_width_m) <= 0:
            raise ValueError("keyframe_step_s, max_marks, max_distance_m and the ego's size must be greater than 0")
        if min(self.val_fraction, self.test_fraction) < 0 or self.val_fraction + self.test_fraction >= 1:
            raise ValueError("val_fraction and test_fraction must be 0 or more and leave some logs to train on")
