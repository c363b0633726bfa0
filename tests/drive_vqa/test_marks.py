import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from drive_vqa.errors import LogFormatError, StoreError
from drive_vqa.marks import MARK_COLORS_RGB, draw_marks, marked_frames, open_image, regions_at, text_color
from drive_vqa.schema import table_from_rows
from drive_vqa.store import Store

GREY = (100, 100, 100)


@pytest.fixture
def store(tmp_path):
    Image.new("RGB", (80, 40), GREY).save(tmp_path / "image.png")
    store = Store.create(tmp_path / "store")
    row = {"log_id": "log", "source_format": "x", "source_root": ".."}
    store.write("logs", "log", table_from_rows("logs", [row]), "f")
    return store


def _group(path="image.png", width=80):
    region = {"context": 0, "u0_px": 20.0, "v0_px": 20.0, "u1_px": 40.0, "v1_px": 36.0, "visible_fraction": 1.0}
    view = {"frame": 0, "offset_s": 0.0, "camera": "CAM_FRONT", "path": path, "width": width, "height": 40}
    mark = {"mark": 3, "track_id": "t", "category": "car", "regions": [region]}
    return {"log_id": "log", "context": [view, {**view, "offset_s": 0.5}], "marks": [mark]}


def test_regions_are_drawn_where_they_are_and_only_there(store):
    marked, bare = marked_frames(store, _group())
    assert marked.getpixel((20, 30)) == MARK_COLORS_RGB[3]
    inside = np.array(marked.getpixel((30, 30)))
    assert np.allclose(inside, 0.8 * np.array(GREY) + 0.2 * np.array(MARK_COLORS_RGB[3]), atol=2)
    assert marked.getpixel((70, 35)) == GREY
    assert set(bare.getdata() if not hasattr(bare, "get_flattened_data") else bare.get_flattened_data()) == {GREY}


def test_regions_follow_the_resize(store):
    marked, _ = marked_frames(store, _group(), size_px=(160, 120))
    assert marked.size == (160, 120)
    assert marked.getpixel((40, 90)) == MARK_COLORS_RGB[3]
    assert marked.getpixel((30, 90)) == GREY


def test_regions_at():
    assert regions_at(_group(), 0) == {3: (20.0, 20.0, 40.0, 36.0)}
    assert regions_at(_group(), 1) == {}


@pytest.mark.parametrize("corner", [float("nan"), float("inf"), None])
def test_a_box_that_is_none_is_named(store, corner):
    group = _group()
    group["marks"][0]["regions"][0]["u1_px"] = corner
    with pytest.raises(StoreError, match=r"Region 3 in image 1 of group .* has the box .* generate"):
        marked_frames(store, group)


def test_numbers_stay_inside_the_picture():
    image = Image.new("RGB", (60, 40), GREY)
    marked = draw_marks(image, {1: (50.0, 0.0, 60.0, 10.0)})
    assert marked.size == image.size
    assert MARK_COLORS_RGB[1] in [marked.getpixel((u, v)) for u in range(45, 60) for v in range(12)]


def test_an_outline_leaves_the_object_as_it_is_and_no_style_leaves_the_image(store):
    box, _ = marked_frames(store, _group(), style="box")
    assert box.getpixel((20, 30)) == MARK_COLORS_RGB[3]
    assert box.getpixel((30, 30)) == GREY
    for bare in marked_frames(store, _group(), style="none"):
        assert bare.getcolors() == [(80 * 40, GREY)]


def test_a_log_without_images_cannot_be_shown(store):
    group = _group() | {"group_id": "log-00000-single"}
    group["context"] = [
        {**view, "path": None, "camera": None, "width": None, "height": None} for view in group["context"]
    ]
    with pytest.raises(StoreError, match=r"log-00000-single.*no images"):
        marked_frames(store, group)


def test_images_of_different_sizes_are_scaled_each_by_its_own(store, tmp_path):
    Image.new("RGB", (40, 80), GREY).save(tmp_path / "tall.png")
    group = _group()
    group["context"][1] |= {"path": "tall.png", "width": 40, "height": 80, "camera": "CAM_LEFT", "offset_s": 0.0}
    group["marks"][0]["regions"].append({**group["marks"][0]["regions"][0], "context": 1})
    wide, tall = marked_frames(store, group, size_px=(160, 160), style="box")
    assert wide.getpixel((40, 110)) == MARK_COLORS_RGB[3]
    assert tall.getpixel((80, 55)) == MARK_COLORS_RGB[3]
    assert tall.getpixel((40, 110)) == GREY


def test_a_jpeg_decoded_small_shows_the_same(tmp_path):
    ramp = np.linspace(0, 255, 1600)[None, :, None] + np.zeros((900, 1, 3))
    Image.fromarray(ramp.astype(np.uint8)).save(tmp_path / "ramp.jpg", quality=95)
    size = (532, 336)
    whole = open_image(tmp_path / "ramp.jpg", (1600, 900)).resize(size, Image.Resampling.BILINEAR)
    small = open_image(tmp_path / "ramp.jpg", (1600, 900), shown_px=size)
    assert small.size == (800, 450)
    difference = np.abs(np.asarray(whole, int) - np.asarray(small.resize(size, Image.Resampling.BILINEAR), int))
    assert difference.max() <= 3


def _luminance(color):
    srgb = np.array(color) / 255
    linear = np.where(srgb <= 0.03928, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("number", range(10))
def test_numbers_stand_out_from_their_plates(number):
    background = MARK_COLORS_RGB[number]
    dark, light = sorted([_luminance(background), _luminance(text_color(background))])
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_ten_marks_have_ten_colours():
    colors = np.array(MARK_COLORS_RGB)
    apart = np.abs(colors[:, None] - colors[None]).sum(axis=-1)
    assert len(colors) == 10
    assert apart[~np.eye(10, dtype=bool)].min() >= 80


SIZES = [(112, 64), (266, 168), (532, 336), (1242, 375), (1920, 1080)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("style", ["box", "fill"])
def test_six_numbers_close_together_are_all_whole(size, style):
    """Each plate is whole: its colour and its digit's colour fill a rectangle, found without knowing where it was put."""
    width, height = size
    regions = {
        number: (0.48 * width + 0.01 * width * place, 0.5 * height, 0.52 * width + 0.01 * width * place, 0.56 * height)
        for place, number in enumerate((3, 0, 7, 5, 9, 1))
    }
    pixels = np.asarray(draw_marks(Image.new("RGB", size, GREY), regions, style=style)).astype(int)
    alone = {}
    for number in regions:
        far = {number: (0.1 * width, 0.6 * height, 0.15 * width, 0.7 * height)}
        alone[number] = _plate(
            np.asarray(draw_marks(Image.new("RGB", size, GREY), far, style=style)).astype(int), number
        )
    for number, plate in alone.items():
        mask = (pixels == MARK_COLORS_RGB[number]).all(axis=-1)
        down, along = len(plate) - 1, plate.shape[1] - 1
        upper, lower = mask[: height - down], mask[down:]
        corners = np.argwhere(
            upper[:, : width - along] & upper[:, along:] & lower[:, : width - along] & lower[:, along:]
        )
        assert any(np.array_equal(pixels[v : v + len(plate), u : u + plate.shape[1]], plate) for v, u in corners), (
            number
        )


def _plate(pixels, number):
    """The picture of the number's plate above a lone box: rows of its colour above the box's upper edge, without the edge."""
    rows, columns = np.nonzero((pixels == MARK_COLORS_RGB[number]).all(axis=-1))
    top, left = rows.min(), columns[rows == rows.min()].min()
    right = columns[rows == top].max()
    bottom = top
    while bottom + 1 < pixels.shape[0] and (pixels[bottom + 1, [left, right]] == MARK_COLORS_RGB[number]).all():
        bottom += 1
    bottom = min(bottom, int(0.6 * pixels.shape[0]) - 1)
    return pixels[top : bottom + 1, left : right + 1]


@pytest.mark.parametrize("size", SIZES)
def test_ten_marks_anywhere_stay_inside_and_visible(size):
    random = np.random.default_rng(0)
    width, height = size
    for _ in range(5 if width < 1000 else 1):
        centre = random.uniform(0, 1, (10, 2)) * size
        half = random.uniform(0.005, 0.2, (10, 2)) * size
        low, high = np.clip(centre - half, 0, size), np.clip(centre + half, 0, size)
        regions = {number: (*low[number].tolist(), *high[number].tolist()) for number in range(10)}
        marked = draw_marks(Image.new("RGB", (width, height), GREY), regions)
        assert marked.size == size
        pixels = np.asarray(marked)
        assert all((pixels == color).all(axis=-1).sum() >= 60 for color in MARK_COLORS_RGB)


def test_a_region_of_no_size_and_one_outside_are_drawn_at_all():
    marked = draw_marks(
        Image.new("RGB", (60, 40), GREY), {1: (30.0, 20.0, 30.0, 20.0), 2: (-50.0, -50.0, -20.0, -20.0)}
    )
    colors = {color for _, color in marked.getcolors()}
    assert {MARK_COLORS_RGB[1], MARK_COLORS_RGB[2]} <= colors


def test_unreadable_images_are_named(store, tmp_path):
    (tmp_path / "text.png").write_text("not an image")
    data = (tmp_path / "image.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(data[: len(data) // 2])
    for name in ("text.png", "cut.png"):
        with pytest.raises(LogFormatError, match=name):
            marked_frames(store, _group(name))
    with pytest.raises(LogFormatError, match="80×40"):
        marked_frames(store, _group(width=81))
    with pytest.raises(StoreError, match=r"gone\.png"):
        marked_frames(store, _group("gone.png"))


def test_huge_images_are_refused_before_decoding(tmp_path):
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    (tmp_path / "bomb.png").write_bytes(png + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT")))
    with pytest.raises(LogFormatError, match=r"bomb\.png"):
        open_image(tmp_path / "bomb.png")
