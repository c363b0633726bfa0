"""Moments of drives: frames that follow each other, and where the objects that can be marked in them are, were and will be."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageOps

from drive_vqa.errors import StoreError
from drive_vqa.geometry import bearing_deg
from drive_vqa.marks import MARK_COLORS_RGB, draw_marks, open_image, regions_at
from drive_vqa.store import Store
from finetune.lesson import Row

NUMBERS = len(MARK_COLORS_RGB)
MOST_FRAMES = 4
"""Longer sequences are left to the questions."""
HORIZONS_S = (0, 1, 2, 3)
TIME_TOLERANCE_S = 0.1
DISTANCE_SCALE_M = 20.0
BEARING_SCALE_DEG = 45.0
SPEED_SCALE_MPS = 10.0


@dataclass(frozen=True, eq=False)
class SeenObject:
    """One object of a moment. Places are ln(distance / 20 m) and bearing / 45°, in the ego frame of their own time.

    Attributes:
        boxes: u0, v0, u1, v1 as shares of the picture, in each frame; NaN where it is not shown.
        places: in each frame; NaN where not known.
        future_places: at each of `HORIZONS_S`; NaN where not known.
        speeds: over ground at each of `HORIZONS_S`, in units of 10 m/s; NaN where not known.
    """

    boxes: Float[np.ndarray, "frames 4"]
    places: Float[np.ndarray, "frames 2"]
    future_places: Float[np.ndarray, "horizons 2"]
    speeds: Float[np.ndarray, " horizons"]

    def mirrored(self) -> SeenObject:
        """The object in mirrored pictures."""
        flipped = np.array([1.0, 0.0, 1.0, 0.0]) + self.boxes[:, [2, 1, 0, 3]] * np.array([-1.0, 1.0, -1.0, 1.0])
        turned = np.array([1.0, -1.0])
        return SeenObject(flipped, self.places * turned, self.future_places * turned, self.speeds)

    def last(self) -> SeenObject:
        """What a single frame tells of it: neither its speed nor its future."""
        unknown = np.full_like(self.future_places, np.nan)
        unknown[0] = self.future_places[0]
        return SeenObject(self.boxes[-1:], self.places[-1:], unknown, np.full_like(self.speeds, np.nan))


@dataclass(frozen=True, eq=False)
class Moment:
    """Frames without marks, resized, oldest first, and what can be marked in them.

    Attributes:
        images: at most `MOST_FRAMES`.
        objects: those that the last frame shows.
        ego_speeds: at each of `HORIZONS_S`, in units of 10 m/s; NaN where not known.
    """

    images: tuple[Image.Image, ...]
    objects: tuple[SeenObject, ...]
    ego_speeds: Float[np.ndarray, " horizons"]

    def last(self) -> Moment:
        """Its last frame alone."""
        unknown = np.full_like(self.ego_speeds, np.nan)
        return Moment(self.images[-1:], tuple(thing.last() for thing in self.objects), unknown)


@dataclass(frozen=True, eq=False)
class MarkedMoment:
    """Frames with marks drawn, and what each number marks in all of them."""

    images: tuple[Image.Image, ...]
    marked: Mapping[int, SeenObject]
    ego_speeds: Float[np.ndarray, " horizons"]

    def shown(self, frame: int) -> dict[int, Float[np.ndarray, " 6"]]:
        """Box and place of what a frame shows marked."""
        both = {number: np.concatenate([one.boxes[frame], one.places[frame]]) for number, one in self.marked.items()}
        return {number: values for number, values in both.items() if np.isfinite(values).all()}


def read_moments(store: Store, groups: Iterable[Row], size_px: tuple[int, int]) -> list[Moment]:
    """What the groups of one camera and at most `MOST_FRAMES` frames show.

    Args:
        store: where the groups' logs are.
        groups: rows of the `groups` table, log by log; nothing else is looked at.
        size_px: (width, height) that frames are resized to; all stay in memory, 75 kB each at 224×112.

    Raises:
        StoreError: a marked object has no finite place or box.
    """
    moments = []
    for log_id, own in itertools.groupby(groups, key=lambda group: str(group["log_id"])):
        log = _Log.read(store, log_id, size_px)
        moments += [log.moment(group) for group in own if 0 < len(group["context"]) <= MOST_FRAMES]
    return [moment for moment in moments if moment.objects]


def draw_batch(
    moments: Sequence[Moment], *, pictures: int, most_marks: int, rng: np.random.Generator
) -> list[MarkedMoment]:
    """Some moments with equally many frames, marked.

    Args:
        moments: at least one.
        pictures: about so many in the batch.
        most_marks: drawn in one moment.
        rng: decides moments, marks and mirroring.
    """
    lengths = np.array([len(moment.images) for moment in moments])
    frames = int(rng.choice(lengths, p=lengths / lengths.sum()))
    fitting = [moment for moment in moments if len(moment.images) == frames]
    chosen = rng.choice(len(fitting), min(len(fitting), max(1, pictures // frames)), replace=False)
    return [mark(fitting[index], most_marks, rng) for index in chosen]


def mark(moment: Moment, most_marks: int, rng: np.random.Generator) -> MarkedMoment:
    """Numbers dealt at random to some of the objects; mirrored at every other visit on average."""
    mirrored = bool(rng.integers(2))
    count = min(len(moment.objects), most_marks)
    chosen = rng.choice(len(moment.objects), count, replace=False)
    numbers = rng.choice(NUMBERS, count, replace=False)
    things = [moment.objects[index].mirrored() if mirrored else moment.objects[index] for index in chosen]
    marked = dict(zip(map(int, numbers), things, strict=True))
    images = [ImageOps.mirror(image) if mirrored else image for image in moment.images]
    return MarkedMoment(
        tuple(_drawn(image, frame, marked) for frame, image in enumerate(images)), marked, moment.ego_speeds
    )


def _drawn(image: Image.Image, frame: int, marked: Mapping[int, SeenObject]) -> Image.Image:
    boxes = {number: tuple(one.boxes[frame]) for number, one in marked.items() if np.isfinite(one.boxes[frame]).all()}
    return draw_marks(image, boxes, (float(image.width), float(image.height)))


@dataclass(frozen=True, eq=False)
class _Log:
    """What moments of one log are made of."""

    store: Store
    log_id: str
    size_px: tuple[int, int]
    states: Mapping[tuple[int, str], tuple[float, float, float]]
    """(x, y) in metres in the ego frame and speed in m/s, by frame and track."""
    ego_mps: Mapping[int, float]
    frames: Sequence[int]
    times_s: Float[np.ndarray, " frames"]
    images: dict[str, Image.Image] = field(default_factory=dict)

    @classmethod
    def read(cls, store: Store, log_id: str, size_px: tuple[int, int]) -> _Log:
        tracks = store.read("tracks", log_id, ["frame", "track_id", "x_m", "y_m", "speed_mps"]).to_pylist()
        frames = store.read("frames", log_id, ["frame", "timestamp_ns", "speed_mps"]).to_pylist()
        states = {
            (row["frame"], row["track_id"]): (_number(row["x_m"]), _number(row["y_m"]), _number(row["speed_mps"]))
            for row in tracks
        }
        times_s = np.array([row["timestamp_ns"] for row in frames], dtype=np.int64) * 1e-9
        ego_mps = {row["frame"]: _number(row["speed_mps"]) for row in frames}
        return cls(store, log_id, size_px, states, ego_mps, [row["frame"] for row in frames], times_s)

    def moment(self, group: Row) -> Moment:
        views, later = group["context"], self._later(group["frame"])
        images = tuple(self._image(view) for view in views)
        shown = [regions_at(group, frame) for frame in range(len(views))]
        objects = [
            self._object(mark["track_id"], [regions.get(mark["mark"]) for regions in shown], views, later)
            for mark in group["marks"]
            if mark["mark"] in shown[-1] and (views[-1]["frame"], mark["track_id"]) in self.states
        ]
        ego_mps = np.array([self.ego_mps.get(frame, math.nan) for frame in later])
        moment = Moment(images, tuple(objects), ego_mps / SPEED_SCALE_MPS)
        return moment if len(views) > 1 else moment.last()

    def _object(self, track_id: str, regions: Sequence[Any], views: Sequence[Row], later: Sequence[int]) -> SeenObject:
        boxes = np.full((len(views), 4), math.nan)
        for frame, (region, view) in enumerate(zip(regions, views, strict=True)):
            if region is not None:
                boxes[frame] = np.array(region) / np.tile([view["width"], view["height"]], 2)
        places = np.array([self._place(view["frame"], track_id) for view in views])
        if not np.isfinite([*boxes[-1], *places[-1]]).all():
            raise StoreError(
                f"track {track_id} of log {self.log_id} has no finite box or place in frame {views[-1]['frame']}: run "
                "`drive-vqa fuse` and `generate` again"
            )
        future = np.array([self._place(frame, track_id) for frame in later])
        speeds = np.array([self.states.get((frame, track_id), (math.nan,) * 3)[2] for frame in later])
        return SeenObject(boxes, places, future, speeds / SPEED_SCALE_MPS)

    def _place(self, frame: int, track_id: str) -> tuple[float, float]:
        x_m, y_m, _ = self.states.get((frame, track_id), (math.nan,) * 3)
        if not math.isfinite(x_m + y_m):
            return math.nan, math.nan
        distance_m = max(math.hypot(x_m, y_m), 0.1)
        return math.log(distance_m / DISTANCE_SCALE_M), float(bearing_deg(x_m, y_m)) / BEARING_SCALE_DEG

    def _later(self, frame: int) -> list[int]:
        """The frame at each horizon, -1 where the log has none."""
        if frame not in self.frames:
            raise StoreError(
                f"log {self.log_id} has a group at frame {frame} and no such frame: run `drive-vqa generate` again"
            )
        now_s = self.times_s[self.frames.index(frame)]
        nearest = [int(np.abs(self.times_s - now_s - horizon_s).argmin()) for horizon_s in HORIZONS_S]
        late_s = [abs(self.times_s[index] - now_s - at) for index, at in zip(nearest, HORIZONS_S, strict=True)]
        return [
            self.frames[index] if off_s <= TIME_TOLERANCE_S else -1
            for index, off_s in zip(nearest, late_s, strict=True)
        ]

    def _image(self, view: Row) -> Image.Image:
        if view["path"] not in self.images:
            image = open_image(self.store.media_path(self.log_id, view["path"]), (view["width"], view["height"]))
            self.images[view["path"]] = image.resize(self.size_px, Image.Resampling.BILINEAR, reducing_gap=2.0)
        return self.images[view["path"]]


def _number(value: float | None) -> float:
    return math.nan if value is None else value
