import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from drive_vqa.errors import ConfigError
from drive_vqa.marks import draw_marks
from finetune.zoom.crops import GREY, PRESETS, RED, CropPreset, cut, look_rectangle

FRAME_PX = (1600, 900)


def test_presets_are_the_published_ones_and_ours_fits_the_cells_of_both_families():
    vstar, web, drive = PRESETS["vstar"], PRESETS["web"], PRESETS["drive"]
    assert (vstar.side_px, vstar.shown_px, vstar.looks, vstar.dot) == (364, 672, 4, False)
    assert (web.side_px, web.shown_px, web.dot) == (100, 384, True)
    assert drive.looks == 3
    assert drive.shown_px % 28 == drive.shown_px % 32 == 0


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        ((800.0, 450.0), (618, 268, 982, 632)),
        ((0.0, 0.0), (0, 0, 364, 364)),
        ((1600.0, 900.0), (1236, 536, 1600, 900)),
        ((10.0, 450.0), (0, 268, 364, 632)),
        ((800.0, 899.0), (618, 536, 982, 900)),
    ],
)
def test_a_point_gets_a_square_that_is_shifted_inside_at_the_borders(point, expected):
    assert look_rectangle(FRAME_PX, point, PRESETS["vstar"]) == expected


def test_a_small_box_gets_the_square_of_its_middle_and_a_large_one_is_shown_whole():
    vstar = PRESETS["vstar"]
    assert look_rectangle(FRAME_PX, (790.0, 440.0, 810.0, 460.0), vstar) == look_rectangle(
        FRAME_PX, (800.0, 450.0), vstar
    )
    left, top, right, bottom = look_rectangle(FRAME_PX, (300.0, 200.0, 800.0, 400.0), vstar)
    assert (right - left, bottom - top) == (600, 600)
    assert left <= 300
    assert right >= 800


axis = st.floats(0, 1, allow_nan=False)


@given(
    axis,
    axis,
    axis,
    axis,
    st.sampled_from([(1600, 900), (1242, 375), (64, 48), (3, 5000)]),
    st.sampled_from(list(PRESETS)),
)
def test_every_rectangle_lies_in_the_frame_and_holds_what_was_asked_for(u, v, u1, v1, frame_px, name):
    wide, high = frame_px
    box = (*(min(u, u1) * wide, min(v, v1) * high), *(max(u, u1) * wide, max(v, v1) * high))
    for target, holds in (((u * wide, v * high), (u * wide, v * high) * 2), (box, box)):
        left, top, right, bottom = look_rectangle(frame_px, target, PRESETS[name])
        assert 0 <= left < right <= wide
        assert 0 <= top < bottom <= high
        assert left <= holds[0] + 1
        assert top <= holds[1] + 1
        assert right >= holds[2] - 1
        assert bottom >= holds[3] - 1


def test_a_crop_is_what_the_rectangle_says():
    rng = np.random.default_rng(0)
    frame = Image.fromarray(rng.integers(0, 255, (900, 1600, 3), dtype=np.uint8))
    preset = CropPreset(side_px=50, shown_px=50, looks=1)
    shown = cut(frame, (100, 200, 150, 250), preset)
    assert (np.asarray(shown) == np.asarray(frame)[200:250, 100:150]).all()


def test_only_a_frame_smaller_than_the_square_is_padded():
    white = Image.new("RGB", (100, 40), (255, 255, 255))
    preset = CropPreset(side_px=80, shown_px=160, looks=1)
    rectangle = look_rectangle(white.size, (0.0, 0.0), preset)
    assert rectangle == (0, 0, 80, 40)
    shown = np.asarray(cut(white, rectangle, preset))
    assert shown.shape == (160, 160, 3)
    assert (shown[:30] == GREY).all()
    assert (shown[-30:] == GREY).all()
    assert (shown[50:110] == 255).all()


@pytest.mark.parametrize("point", [(50.0, 50.0), (0.0, 100.0), (187.0, 3.0)])
def test_the_dot_lies_where_the_model_pointed_even_in_a_shifted_crop(point):
    frame = Image.new("RGB", (200, 100))
    preset = CropPreset(side_px=50, shown_px=200, looks=1, dot=True)
    rectangle = look_rectangle(frame.size, point, preset)
    red = np.argwhere((np.asarray(cut(frame, rectangle, preset, point)) == RED).all(axis=-1))
    expected = np.array([(point[1] - rectangle[1]) * 4, (point[0] - rectangle[0]) * 4])
    assert len(red) > 10
    assert np.abs(red - expected).max() <= 4


def test_marks_are_sharper_in_a_crop_than_in_the_frame_as_shown():
    """A number drawn at original size covers more pixels of the crop than of the frame at the size that a model is shown."""
    box = (800.0, 450.0, 840.0, 480.0)
    marked = draw_marks(Image.new("RGB", FRAME_PX), {1: box})
    preset = PRESETS["drive"]
    crop = cut(marked, look_rectangle(FRAME_PX, (820.0, 465.0), preset), preset)
    coloured = [int((np.asarray(image) > 40).any(axis=-1).sum()) for image in (crop, marked.resize((532, 336)))]
    assert coloured[0] > 8 * coloured[1]


@pytest.mark.parametrize("field", ["side_px", "shown_px", "looks"])
def test_a_preset_without_room_is_refused(field):
    with pytest.raises(ConfigError, match="at least 1"):
        CropPreset(**{"side_px": 10, "shown_px": 10, "looks": 1, field: 0})
