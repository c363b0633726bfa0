import numpy as np
import pytest
from PIL import Image

from drive_vqa.errors import LogFormatError, StoreError
from drive_vqa.marks import MARK_COLORS_RGB, draw_marks, marked_frames, open_image, regions_at
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


def test_numbers_stay_inside_the_picture():
    image = Image.new("RGB", (60, 40), GREY)
    marked = draw_marks(image, {1: (50.0, 0.0, 60.0, 10.0)})
    assert marked.size == image.size
    assert MARK_COLORS_RGB[1] in [marked.getpixel((u, v)) for u in range(45, 60) for v in range(12)]


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
    import struct
    import zlib

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    (tmp_path / "bomb.png").write_bytes(png + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT")))
    with pytest.raises(LogFormatError, match=r"bomb\.png"):
        open_image(tmp_path / "bomb.png")
