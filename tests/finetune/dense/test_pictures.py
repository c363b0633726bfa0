"""Frames and the objects in them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image

from drive_vqa.errors import StoreError
from drive_vqa.marks import regions_at
from drive_vqa.schema import table_from_rows
from drive_vqa.store import Store
from finetune.dataset import Row
from finetune.dense.pictures import DISTANCE_SCALE_M, MarkedObject, Picture, batches, mark, mirror, read_pictures
from tests.finetune.dense.conftest import SIZE_PX
from tests.painted_store import LOG


def test_pictures_know_their_objects(tracked: Store, groups: list[Row]) -> None:
    pictures = read_pictures(tracked, groups, SIZE_PX)
    assert len(pictures) == 6
    assert {picture.image.size for picture in pictures} == {SIZE_PX}
    near, far = sorted(pictures[2].objects, key=lambda thing: thing.distance_m)
    assert (near.distance_m, far.distance_m) == pytest.approx((math.hypot(10, 1), math.hypot(20, 1)))
    assert near.bearing_deg == pytest.approx(math.degrees(math.atan2(1, 10)))  # y is to the left
    width, height = groups[1]["context"][0]["width"], groups[1]["context"][0]["height"]
    boxes = regions_at(groups[1], 0)
    assert near.box == pytest.approx(
        [side / length for side, length in zip(boxes[1], (width, height) * 2, strict=True)]
    )


def test_mirror_image_has_mirrored_truth() -> None:
    mirrored = mirror(MarkedObject((0.1, 0.2, 0.3, 0.4), 5.0, 20.0))
    assert mirrored.box == pytest.approx((0.7, 0.2, 0.9, 0.4))
    assert mirrored.bearing_deg == -20.0
    assert mirrored.distance_m == 5.0


def test_numbers_are_dealt_anew(tracked: Store, groups: list[Row]) -> None:
    picture = read_pictures(tracked, groups, SIZE_PX)[0]
    rng = np.random.default_rng(0)
    dealt = {tuple(sorted(mark(picture, 2, rng).marked)) for _ in range(20)}
    assert len(dealt) > 5


def test_targets_are_near_one() -> None:
    thing = MarkedObject((0.0, 0.0, 0.5, 0.5), 2 * DISTANCE_SCALE_M, 45.0)
    assert thing.targets() == pytest.approx([0, 0, 0.5, 0.5, math.log(2), 1.0])
    assert math.isfinite(MarkedObject(thing.box, 0.0, 0.0).targets()[4])


def test_no_more_marks_than_asked_for(tracked: Store, groups: list[Row]) -> None:
    pictures = read_pictures(tracked, groups, SIZE_PX)
    assert {len(picture.objects) for picture in pictures} == {2}
    assert len(mark(pictures[0], 1, np.random.default_rng(0)).marked) == 1


def test_every_picture_comes_once_a_pass(tracked: Store, groups: list[Row]) -> None:
    pictures = read_pictures(tracked, groups, SIZE_PX)
    shown = list(batches(pictures, steps=4, batch_size=3, most_marks=2, rng=np.random.default_rng(0)))
    assert [len(batch) for batch in shown] == [3] * 4
    distances = [sorted(thing.distance_m for thing in picture.marked.values()) for batch in shown for picture in batch]
    every = sorted(sorted(thing.distance_m for thing in picture.objects) for picture in pictures)
    assert sorted(distances[:6]) == every
    assert sorted(distances[6:]) == every


def test_a_mirrored_picture_is_mirrored_in_all_it_says() -> None:
    """A red object on the left, ahead to the left."""
    image = Image.new("RGB", SIZE_PX)
    image.paste((255, 0, 0), (0, 40, 60, 100))
    box = (0.0, 40 / SIZE_PX[1], 60 / SIZE_PX[0], 100 / SIZE_PX[1])
    picture = Picture(image, (MarkedObject(box, 10.0, 20.0),))
    seen = set()
    for seed in range(8):
        shown = mark(picture, 1, np.random.default_rng(seed))
        (thing,) = shown.marked.values()
        u0, v0, u1, v1 = thing.box
        middle = (int((u0 + u1) / 2 * SIZE_PX[0]), int((v0 + v1) / 2 * SIZE_PX[1]) + 20)
        red, green, blue = shown.image.getpixel(middle)  # type: ignore[misc]
        assert red > 200 > 4 * max(green, blue)
        assert (thing.bearing_deg > 0) == (u0 < 0.5)
        seen.add(thing.bearing_deg)
    assert seen == {20.0, -20.0}


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_place_that_is_no_number_is_refused(tracked: Store, groups: list[Row], value: float) -> None:
    before = tracked.read("tracks", LOG)
    rows = [{**row, "x_m": value} for row in before.to_pylist()]
    tracked.write("tracks", LOG, table_from_rows("tracks", rows), "test")
    try:
        with pytest.raises(StoreError, match=f"track-.* of log {LOG} .* in frame"):
            read_pictures(tracked, groups, SIZE_PX)
    finally:
        tracked.write("tracks", LOG, before, "test")
