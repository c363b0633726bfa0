"""Frames that follow each other, and the objects in them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from drive_vqa.errors import StoreError
from drive_vqa.marks import MARK_COLORS_RGB
from drive_vqa.schema import table_from_rows
from drive_vqa.store import Store
from finetune.dense.moments import MarkedMoment, Moment, SeenObject, draw_batch, mark, read_moments
from finetune.lesson import Row
from tests.finetune.dense.conftest import GROUPS, SIZE_PX, TAKEN_PX, box_px, standing
from tests.painted_store import LOG

UNKNOWN = np.full(4, np.nan)
SINGLE_LATER, TWO_FRAMES, LATER_TWO_FRAMES, FOUR_FRAMES = range(1, len(GROUPS))
DRIVES_AWAY, STANDS = 0, 1
"""Of the objects of a moment."""


def _place(x_m: float, y_m: float) -> list[float]:
    return [math.log(math.hypot(x_m, y_m) / 20), math.degrees(math.atan2(y_m, x_m)) / 45]


def test_moments_are_all_but_the_clip(moments: list[Moment]) -> None:
    assert [len(moment.images) for moment in moments] == [len(frames) for _, frames in GROUPS]
    assert {image.size for moment in moments for image in moment.images} == {SIZE_PX}


def test_frames_come_oldest_first(moments: list[Moment]) -> None:
    """A frame's number is painted on its objects."""
    middles = [(box_px(1, frame)[0] + 30, box_px(1, frame)[1] + 25) for frame in range(4)]
    blue = [
        image.getpixel((int(u / 2), int(v / 2)))[2]  # type: ignore[index]
        for image, (u, v) in zip(moments[FOUR_FRAMES].images, middles, strict=True)
    ]
    assert blue == [0, 10, 20, 30]


def test_objects_have_boxes_and_places_in_each_frame(moments: list[Moment]) -> None:
    away, stands = moments[FOUR_FRAMES].objects
    shares = np.array([box_px(1, frame) for frame in range(4)]) / np.tile(TAKEN_PX, 2)
    np.testing.assert_allclose(away.boxes, shares)
    np.testing.assert_allclose(away.places, [_place(10 + frame, 2) for frame in range(4)])
    assert np.isnan(stands.boxes).all(axis=1).tolist() == [True, True, False, False]


def test_an_object_that_the_last_frame_does_not_show_is_left_out(moments: list[Moment]) -> None:
    distances = [[round(20 * math.exp(thing.places[-1, 0])) for thing in moment.objects] for moment in moments]
    assert distances == [[10, 30], [13, 21], [11, 30], [12, 21], [13, 21]]


def test_futures_are_those_of_the_nearest_frame_where_it_is_near(moments: list[Moment]) -> None:
    """Frame 1, at 0.5 s, is followed by frames at 1.59 (0.09 s late), 2.5 and 3.5 s; frame 2, at 1 s, by none near 3 s."""
    thing, moment = moments[TWO_FRAMES].objects[DRIVES_AWAY], moments[TWO_FRAMES]
    np.testing.assert_allclose(thing.future_places, [_place(10 + frame, 2) for frame in (1, 3, 5, 7)])
    np.testing.assert_allclose(moment.ego_speeds, [0.1, 0.3, 0.5, 0.7])
    thing, moment = moments[LATER_TWO_FRAMES].objects[DRIVES_AWAY], moments[LATER_TWO_FRAMES]
    wanted = [_place(12, 2), _place(14, 2), [np.nan, np.nan], _place(18, 2)]
    np.testing.assert_allclose(thing.future_places, wanted)
    np.testing.assert_allclose(thing.speeds, [0.2, 0.2, np.nan, 0.2])
    np.testing.assert_allclose(moment.ego_speeds, [np.nan, 0.4, np.nan, 0.8])  # the log does not know its speed now


def test_futures_are_not_known_where_the_log_ends_or_the_track_has_a_gap(moments: list[Moment]) -> None:
    """Three seconds after the last frame, at 1.59 s, there is no frame, and the second object is not tracked in frame 5."""
    moment = moments[FOUR_FRAMES]
    np.testing.assert_allclose(
        moment.objects[DRIVES_AWAY].future_places, [*(_place(10 + frame, 2) for frame in (3, 5, 7)), [np.nan, np.nan]]
    )
    stands = moment.objects[STANDS]
    assert np.isnan(stands.future_places).all(axis=1).tolist() == [False, True, False, True]
    np.testing.assert_array_equal(stands.speeds, UNKNOWN)  # a speed that is null
    np.testing.assert_allclose(moment.ego_speeds, [0.3, 0.5, 0.7, np.nan])


def test_a_single_frame_tells_neither_speed_nor_future(moments: list[Moment]) -> None:
    single, sequence = moments[SINGLE_LATER], moments[FOUR_FRAMES]
    for alone, followed in zip(single.objects, sequence.objects, strict=True):
        np.testing.assert_array_equal(alone.boxes, followed.boxes[-1:])
        np.testing.assert_array_equal(alone.places, followed.places[-1:])
        np.testing.assert_array_equal(alone.future_places[0], followed.places[-1])
        assert np.isnan(alone.future_places[1:]).all()
        np.testing.assert_array_equal(alone.speeds, UNKNOWN)
    np.testing.assert_array_equal(single.ego_speeds, UNKNOWN)


def test_a_moment_without_objects_is_left_out(drive: Store, groups: list[Row]) -> None:
    assert not read_moments(drive, [{**group, "marks": []} for group in groups], SIZE_PX)


def test_an_object_at_the_ego_vehicle_has_a_finite_place(drive: Store, groups: list[Row]) -> None:
    (moment,) = _with_tracks(drive, groups[:1], lambda row: {**row, "x_m": 0.0, "y_m": 0.0})
    np.testing.assert_allclose([thing.places[0] for thing in moment.objects], [[math.log(0.1 / 20), 0.0]] * 2)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_place_now_that_is_no_number_is_refused(drive: Store, groups: list[Row], value: float) -> None:
    with pytest.raises(StoreError, match=f"track-1 of log {LOG} has no finite box or place in frame 0: run"):
        _with_tracks(drive, groups[:1], lambda row: {**row, "x_m": value})


def test_a_place_of_another_time_that_is_no_number_is_not_known(drive: Store, groups: list[Row]) -> None:
    def hide(row: Row) -> Row:
        return {**row, "x_m": math.nan} if row["frame"] in (1, 5) else row

    thing = _with_tracks(drive, [groups[FOUR_FRAMES]], hide)[0].objects[DRIVES_AWAY]
    assert np.isnan(thing.places).any(axis=1).tolist() == [False, True, False, False]
    assert np.isnan(thing.future_places).any(axis=1).tolist() == [False, True, False, True]
    marked = MarkedMoment((), {3: thing}, UNKNOWN)
    assert [list(marked.shown(frame)) for frame in range(4)] == [[3], [], [3], [3]]
    assert marked.shown(0)[3].tolist() == [*thing.boxes[0], *thing.places[0]]


def _with_tracks(store: Store, groups: list[Row], changed: Callable[[Row], Row]) -> list[Moment]:
    before = store.read("tracks", LOG)
    store.write("tracks", LOG, table_from_rows("tracks", [changed(row) for row in before.to_pylist()]), "test")
    try:
        return read_moments(store, groups, SIZE_PX)
    finally:
        store.write("tracks", LOG, before, "test")


def test_mirroring_turns_boxes_places_and_futures_and_leaves_speeds() -> None:
    thing = SeenObject(
        np.array([[0.1, 0.2, 0.3, 0.4], UNKNOWN]),
        np.array([[0.5, 0.2], [0.7, -0.1]]),
        np.array([[0.7, -0.1], [0.8, -0.3], [np.nan, np.nan], [1.0, 0.4]]),
        np.array([0.1, 0.2, np.nan, 0.3]),
    )
    turned = thing.mirrored()
    np.testing.assert_allclose(turned.boxes, [[0.7, 0.2, 0.9, 0.4], UNKNOWN])
    np.testing.assert_allclose(turned.places, [[0.5, -0.2], [0.7, 0.1]])
    np.testing.assert_allclose(turned.future_places, [[0.7, 0.1], [0.8, 0.3], [np.nan, np.nan], [1.0, -0.4]])
    np.testing.assert_array_equal(turned.speeds, thing.speeds)
    np.testing.assert_allclose(turned.mirrored().boxes, thing.boxes)


def test_a_mirrored_picture_is_mirrored_in_all_it_says() -> None:
    """A red object on the left, ahead to the left."""
    image = Image.new("RGB", SIZE_PX)
    image.paste((255, 0, 0), (0, 40, 60, 100))
    box = (0.0, 40 / SIZE_PX[1], 60 / SIZE_PX[0], 100 / SIZE_PX[1])
    moment = Moment((image, image), (standing(box, (0.3, 0.4), frames=2),), UNKNOWN)
    seen = set()
    for seed in range(8):
        shown = mark(moment, 1, np.random.default_rng(seed))
        (thing,) = shown.marked.values()
        for frame, (u0, v0, u1, v1) in enumerate(thing.boxes):
            middle = (int((u0 + u1) / 2 * SIZE_PX[0]), int((v0 + v1) / 2 * SIZE_PX[1]) + 20)
            red, green, blue = shown.images[frame].getpixel(middle)  # type: ignore[misc]
            assert red > 200 > 4 * max(green, blue)
            assert thing.places[frame, 1] == thing.future_places[3, 1] == (0.4 if u0 < 0.5 else -0.4)
        seen.add(thing.places[0, 1])
    assert seen == {0.4, -0.4}


def test_a_mark_keeps_its_number_in_all_frames_and_is_not_drawn_where_it_is_not_shown() -> None:
    bare = [Image.new("RGB", SIZE_PX, (0, 0, frame)) for frame in range(3)]
    left, right = standing((0.0, 0.1, 0.3, 0.9), frames=3), standing((0.6, 0.1, 0.9, 0.9), frames=3)
    hidden = replace(right, boxes=np.array([UNKNOWN, *right.boxes[1:]]))
    for seed in range(4):
        shown = mark(Moment(tuple(bare), (left, hidden), UNKNOWN), 2, np.random.default_rng(seed))
        number_of = {bool(np.isnan(thing.boxes[0]).any()): number for number, thing in shown.marked.items()}
        drawn = [{color for _, color in image.getcolors(maxcolors=SIZE_PX[0] * SIZE_PX[1])} for image in shown.images]  # type: ignore[union-attr]
        for frame, colors in enumerate(drawn):
            assert (0, 0, frame) in colors
            assert MARK_COLORS_RGB[number_of[False]] in colors
            assert (MARK_COLORS_RGB[number_of[True]] in colors) == (frame > 0)
    assert [image.getcolors() for image in bare] == [[(SIZE_PX[0] * SIZE_PX[1], (0, 0, frame))] for frame in range(3)]


def test_numbers_are_dealt_anew(moments: list[Moment]) -> None:
    rng = np.random.default_rng(0)
    dealt = {tuple(sorted(mark(moments[0], 2, rng).marked)) for _ in range(20)}
    assert len(dealt) > 5


def test_no_more_marks_than_asked_for(moments: list[Moment]) -> None:
    assert {len(moment.objects) for moment in moments} == {2}
    assert len(mark(moments[0], 1, np.random.default_rng(0)).marked) == 1


@pytest.mark.parametrize("pictures", [1, 2, 8])
def test_the_moments_of_a_batch_have_equally_many_frames(moments: list[Moment], pictures: int) -> None:
    many = moments * 8
    lengths = []
    for seed in range(30):
        batch = draw_batch(many, pictures=pictures, most_marks=2, rng=np.random.default_rng(seed))
        (frames,) = {len(moment.images) for moment in batch}
        assert len(batch) == max(1, pictures // frames)
        lengths.append(frames)
    assert set(lengths) == {1, 2, 4}
    assert lengths.count(1) < lengths.count(2) + lengths.count(4)  # of ten frames two are alone


def test_no_moment_comes_twice_in_a_batch(moments: list[Moment]) -> None:
    three = [moment.last() for moment in (moments[0], moments[1], moments[LATER_TWO_FRAMES])]
    batch = draw_batch(three, pictures=8, most_marks=2, rng=np.random.default_rng(0))
    assert len({min(thing.places[-1, 0] for thing in moment.marked.values()) for moment in batch}) == len(batch) == 3


def test_the_random_numbers_alone_decide_a_batch(moments: list[Moment]) -> None:
    def drawn(seed: int) -> list[tuple[bytes, list[int], list[float]]]:
        batch = draw_batch(moments, pictures=4, most_marks=2, rng=np.random.default_rng(seed))
        return [
            (
                b"".join(image.tobytes() for image in moment.images),
                list(moment.marked),
                [float(box) for thing in moment.marked.values() for box in thing.boxes[-1]],
            )
            for moment in batch
        ]

    assert drawn(3) == drawn(3)
    assert drawn(3) != drawn(4)
