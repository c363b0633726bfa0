"""Frames with objects that can be marked, and where these objects are."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from drive_vqa.errors import StoreError
from drive_vqa.geometry import bearing_deg
from drive_vqa.marks import MARK_COLORS_RGB, draw_marks, open_image, regions_at
from drive_vqa.store import Store
from finetune.lesson import Row

NUMBERS = len(MARK_COLORS_RGB)
DISTANCE_SCALE_M = 20.0
BEARING_SCALE_DEG = 45.0
TARGETS = 6
"""Regressed for each mark: box (u0, v0, u1, v1 as shares of the picture), ln(distance / 20 m), bearing / 45°."""


@dataclass(frozen=True)
class MarkedObject:
    """One object in a picture: its box as shares of width and height, and where it is in the ego frame."""

    box: tuple[float, float, float, float]
    distance_m: float
    bearing_deg: float

    def targets(self) -> list[float]:
        """See `TARGETS`."""
        log_distance = math.log(max(self.distance_m, 0.1) / DISTANCE_SCALE_M)
        return [*self.box, log_distance, self.bearing_deg / BEARING_SCALE_DEG]


@dataclass(frozen=True)
class Picture:
    """A frame without marks, resized, and the objects that can be marked in it."""

    image: Image.Image
    objects: tuple[MarkedObject, ...]


@dataclass(frozen=True)
class MarkedPicture:
    """A picture with marks drawn, and what each number marks."""

    image: Image.Image
    marked: Mapping[int, MarkedObject]


def read_pictures(store: Store, groups: Sequence[Row], size_px: tuple[int, int]) -> list[Picture]:
    """Every frame of the groups once, with all objects that are marked in it in some group.

    Args:
        store: where the groups' logs are.
        groups: rows of the `groups` table, log by log; nothing else is looked at.
        size_px: (width, height) that frames are resized to; all stay in memory, 75 kB each at 224×112.

    Raises:
        StoreError: a marked object has no finite place or box.
    """
    views: dict[tuple[str, str], tuple[Row, dict[str, MarkedObject]]] = {}
    for log_id, own in itertools.groupby(groups, key=lambda group: str(group["log_id"])):
        places = _places(store, log_id)
        for group in own:
            for context, view in enumerate(group["context"]):
                _, objects = views.setdefault((log_id, view["path"]), (view, {}))
                objects.update(_objects(group, context, view, places))
    pictures = []
    for (log_id, path), (view, objects) in views.items():
        if objects:
            image = open_image(store.media_path(log_id, path), (view["width"], view["height"]))
            resized = image.resize(size_px, Image.Resampling.BILINEAR, reducing_gap=2.0)
            pictures.append(Picture(resized, tuple(objects.values())))
    return pictures


def batches(
    pictures: Sequence[Picture], *, steps: int, batch_size: int, most_marks: int, rng: np.random.Generator
) -> Iterator[list[MarkedPicture]]:
    """Pictures in a new order at each pass, marked anew at each visit.

    Args:
        pictures: at least one.
        steps: batches in all.
        batch_size: pictures a batch.
        most_marks: drawn in one picture.
        rng: decides order, marks and mirroring.
    """
    order: list[int] = []
    for _ in range(steps):
        while len(order) < batch_size:
            order += rng.permutation(len(pictures)).tolist()
        chosen, order = order[:batch_size], order[batch_size:]
        yield [mark(pictures[index], most_marks, rng) for index in chosen]


def mark(picture: Picture, most_marks: int, rng: np.random.Generator) -> MarkedPicture:
    """Numbers dealt at random to some of the objects; mirrored at every other visit on average."""
    mirrored = bool(rng.integers(2))
    image = ImageOps.mirror(picture.image) if mirrored else picture.image
    count = min(len(picture.objects), most_marks)
    chosen = rng.choice(len(picture.objects), count, replace=False)
    numbers = rng.choice(NUMBERS, count, replace=False)
    marked = {
        int(number): mirror(picture.objects[index]) if mirrored else picture.objects[index]
        for number, index in zip(numbers, chosen, strict=True)
    }
    boxes = {number: thing.box for number, thing in marked.items()}
    return MarkedPicture(draw_marks(image, boxes, (float(image.width), float(image.height))), marked)


def mirror(thing: MarkedObject) -> MarkedObject:
    """The object in a mirrored picture."""
    u0, v0, u1, v1 = thing.box
    return MarkedObject((1 - u1, v0, 1 - u0, v1), thing.distance_m, -thing.bearing_deg)


def _places(store: Store, log_id: str) -> dict[tuple[int, str], tuple[float, float]]:
    """(x, y) in metres in the ego frame, by frame and track."""
    table = store.read("tracks", log_id, ["frame", "track_id", "x_m", "y_m"])
    frames, tracks, xs_m, ys_m = (column.to_pylist() for column in table.columns)
    return {(frame, track): (x_m, y_m) for frame, track, x_m, y_m in zip(frames, tracks, xs_m, ys_m, strict=True)}


def _objects(
    group: Row, context: int, view: Row, places: dict[tuple[int, str], tuple[float, float]]
) -> dict[str, MarkedObject]:
    tracks = {mark["mark"]: mark["track_id"] for mark in group["marks"]}
    objects = {}
    for number, (u0, v0, u1, v1) in regions_at(group, context).items():
        place = places.get((view["frame"], tracks[number]))
        if place is not None:
            box = (u0 / view["width"], v0 / view["height"], u1 / view["width"], v1 / view["height"])
            if not np.isfinite([*box, *place]).all():
                raise StoreError(
                    f"track {tracks[number]} of log {group['log_id']} has no finite box or place in frame {view['frame']}: run "
                    "`drive-vqa fuse` and `generate` again"
                )
            objects[tracks[number]] = MarkedObject(box, float(np.hypot(*place)), float(bearing_deg(*place)))
    return objects
