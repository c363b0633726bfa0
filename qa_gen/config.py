"""Settings of question generation."""

from __future__ import annotations

from dataclasses import dataclass

from drive_vqa.config import strict_config

FAMILIES = ("object", "ego", "future", "when_where", "unanswerable")
FORMS = ("open", "choice", "yes_no")
KINDS = ("single", "surround", "sequence", "clip", "target")
"""Kinds of groups, see `qa_gen.groups`."""

MOST_MARKS = 9
"""Of ten numbers at least one is left for a mark that is not there."""

RANGES = {
    **dict.fromkeys(("keyframe_step_s", "bench_step_s", "clip_step_s"), (0.01, 60.0)),
    "clip_images": (2, 64),
    "time_tolerance_s": (0.0, 1.0),
    "max_pairs": (0, 36),
    "max_triples": (0, 84),
    "min_box_px": (1.0, 1000.0),
    **dict.fromkeys(
        ("min_visible_fraction", "bench_leaving_share", "val_fraction", "test_fraction", "place_overlap"), (0.0, 1.0)
    ),
    "max_distance_m": (1.0, 1000.0),
    "least_change": (0.0, 100.0),
    "repeat_after_s": (0.0, 3600.0),
    "flatten": (0.05, 1.0),
    "bench_groups": (0, 1_000_000),
    **dict.fromkeys(("ego_length_m", "ego_width_m"), (0.1, 50.0)),
    "ego_centre_x_m": (-25.0, 25.0),
}
"""Least and greatest value of settings that are numbers."""

HORIZONS_S = (0, 1, 2, 3)
"""How far ahead the future family asks, seconds; type names end in these numbers."""


@strict_config
@dataclass(frozen=True)
class GenerateConfig:
    """What is asked about a log.

    Attributes:
        families: which families of questions to ask.
        forms: open questions, multiple choice, yes or no.
        kinds: which groups of images to make, see `qa_gen.groups`.
        seed: chooses marks' numbers, pairs and wordings.
        need_images: leave out moments without images; without it logs that have none are asked about from their tracks alone.
        cameras: names of the front camera in different sources; the first that a log has is used.
        context_offsets_s: when the images of a sequence were taken, relative to the present, which comes last.
        clip_images: how many images a clip has.
        clip_step_s: time between two of them.
        horizons_s: how far ahead the future family asks.
        keyframe_step_s: time between two moments that are asked about.
        time_tolerance_s: how far a frame may be from the time that is wanted.
        max_marks: regions marked in one group.
        max_pairs: pairs of marks that are asked about in one group.
        max_triples: sets of three marks.
        min_box_px: least width and height of a marked region, pixels of the original image.
        min_visible_fraction: least visible share of a marked region.
        max_distance_m: farthest marked object.
        least_change: an agent that has changed by less in place (metres) and speed (m/s) is not asked about again …
        repeat_after_s: … before so much time has passed.
        flatten: share of the open questions with a number that is kept where a log has too many of some answers.
        bench_groups: how many groups the `bench` split is to have over all logs of the test split.
        bench_step_s: time between two moments of the bench.
        bench_leaving_share: share of the bench's moments at which an agent goes first that will be elsewhere at the last horizon,
            as seen from the ego then: 25 % farther or nearer, or off by 10°. Where most agents go with the traffic, saying that
            they stay where they are is right too often to tell models apart.
        val_fraction: share of logs in `val`.
        test_fraction: share of logs in `test`; 1, beside `val_fraction` 0, for a store of tests alone.
        split_seed: chooses which.
        place_overlap: logs whose paths coincide by more than this share stay in one split.
        ego_length_m: own vehicle's size, for time to collision.
        ego_width_m: likewise.
        ego_centre_x_m: where its centre is ahead of the ego origin (the rear axle in nuScenes).

    Raises:
        ValueError: a value is out of range.
    """

    families: tuple[str, ...] = FAMILIES
    forms: tuple[str, ...] = FORMS
    kinds: tuple[str, ...] = KINDS
    seed: int = 0
    need_images: bool = True
    cameras: tuple[str, ...] = ("CAM_FRONT", "front_camera", "ring_front_center", "image_02")
    context_offsets_s: tuple[float, ...] = (-1.5, -1.0, -0.5, 0.0)
    clip_images: int = 8
    clip_step_s: float = 0.5
    horizons_s: tuple[int, ...] = HORIZONS_S
    keyframe_step_s: float = 0.5
    time_tolerance_s: float = 0.1
    max_marks: int = 6
    max_pairs: int = 4
    max_triples: int = 2
    min_box_px: float = 12.0
    min_visible_fraction: float = 0.25
    max_distance_m: float = 60.0
    least_change: float = 0.3
    repeat_after_s: float = 3.0
    flatten: float = 0.8
    bench_groups: int = 450
    bench_step_s: float = 1.0
    bench_leaving_share: float = 0.0
    val_fraction: float = 0.15
    test_fraction: float = 0.15
    split_seed: int = 0
    place_overlap: float = 0.5
    ego_length_m: float = 4.6
    ego_width_m: float = 1.9
    ego_centre_x_m: float = 1.4

    def __post_init__(self) -> None:
        if not self.families or set(self.families) - set(FAMILIES):
            raise ValueError(f"families are {', '.join(FAMILIES)}; got {', '.join(self.families) or 'none'}")
        if not self.forms or set(self.forms) - set(FORMS):
            raise ValueError(f"forms are {', '.join(FORMS)}; got {', '.join(self.forms) or 'none'}")
        if not self.kinds or set(self.kinds) - set(KINDS):
            raise ValueError(f"kinds are {', '.join(KINDS)}; got {', '.join(self.kinds) or 'none'}")
        if not 1 <= self.max_marks <= MOST_MARKS:
            raise ValueError(f"max_marks is from 1 to {MOST_MARKS}; got {self.max_marks}")
        if not self.horizons_s or set(self.horizons_s) - set(HORIZONS_S):
            raise ValueError(f"horizons_s are among {HORIZONS_S}; got {self.horizons_s}")
        self._check_ranges()
        offsets_s = self.context_offsets_s
        if not offsets_s or offsets_s[-1] != 0.0 or list(offsets_s) != sorted(set(offsets_s)) or offsets_s[0] < -60.0:
            raise ValueError(f"context_offsets_s must rise from -60 or more and end in 0; got {offsets_s}")
        if self.val_fraction + self.test_fraction >= 1 and (self.val_fraction, self.test_fraction) != (0.0, 1.0):
            raise ValueError(
                "val_fraction and test_fraction must leave some logs to train on; "
                "for tests alone set val_fraction=0 and test_fraction=1"
            )

    def _check_ranges(self) -> None:
        for name, (least, most) in RANGES.items():
            value = getattr(self, name)
            if not least <= value <= most:  # false for NaN too
                raise ValueError(f"{name} is from {least:g} to {most:g}; got {value:g}")
