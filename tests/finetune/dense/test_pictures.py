"""Frames and the objects in them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from drive_vqa.store import Store
from finetune.dataset import Row
from finetune.dense.pictures import DISTANCE_SCALE_M, MarkedObject, batches, mark, mirror, read_pictures
from tests.finetune.dense.conftest import SIZE_PX


def test_pictures_know_their_objects(tracked: Store, groups: list[Row]) -> None:
    pictures = read_pictures(tracked, groups, SIZE_PX)
    assert len(pictures) == 6
    assert {picture.image.size for picture in pictures} == {SIZE_PX}
    assert sorted(thing.distance_m for thing in pictures[2].objects) == pytest.approx(
        [math.hypot(10, 1), math.hypot(20, 1)]
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
