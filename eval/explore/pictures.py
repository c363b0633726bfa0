"""Images as JPEG of a few fixed widths: of a camera at a moment, and as a model saw them, with marks."""

from __future__ import annotations

import hashlib
import io
from functools import lru_cache
from pathlib import Path

from PIL import Image

from drive_vqa.errors import StoreError
from drive_vqa.marks import marked_frame, open_image
from drive_vqa.store import Store
from eval.explore.drives import open_drive, read_group

WIDTHS_PX = (320, 480, 640, 960, 1280, 1920)
JPEG_QUALITY = 82
KEPT = 256
"""Encoded images that are kept; of about 60 kB each."""


def picture_of_camera(store: Store, log_id: str, frame: int, camera: str, width_px: int) -> tuple[bytes, str]:
    """JPEG and ETag of what a camera saw; never wider than the original.

    Raises:
        StoreError: there is no such capture, or its file is gone.
        LogFormatError: the file is no image, or not of the size that its log states.
    """
    capture = open_drive(store, log_id).capture(frame, camera)
    if capture is None or capture["path"] is None:
        raise StoreError(f"log {log_id} has no image of camera {camera!r} at frame {frame}: choose another frame")
    path = store.media_path(log_id, capture["path"])
    size_px = (capture["width"], capture["height"]) if capture["width"] and capture["height"] else None
    return _scaled(path, path.stat().st_mtime_ns, size_px, width_px), _tag(path, width_px)


def picture_of_context(store: Store, log_id: str, group_id: str, context: int, width_px: int) -> tuple[bytes, str]:
    """JPEG and ETag of an image of a group with its marks, as it is shown to a model.

    Raises:
        StoreError: there is no such image, or its file is gone.
        LogFormatError: the file is no image, or not of the size that its log states.
    """
    group = read_group(store, log_id, group_id)
    if context >= len(group["context"]):
        raise StoreError(f"group {group_id} of log {log_id} has {len(group['context'])} images: ask for one of them")
    view = group["context"][context]
    if not (view["path"] and view["width"] and view["height"]):
        raise StoreError(f"image {context + 1} of group {group_id} of log {log_id} has no file: choose another")
    width_px = min(width_px, view["width"])
    size_px = (width_px, max(1, round(view["height"] * width_px / view["width"])))
    image = marked_frame(store, group, context, size_px)
    return _jpeg(image), _tag(store.media_path(log_id, view["path"]), width_px, store.path("groups", log_id), group_id)


@lru_cache(maxsize=KEPT)
def _scaled(path: Path, _written_ns: int, size_px: tuple[int, int] | None, width_px: int) -> bytes:
    """Kept until the file is written anew."""
    shown_px = None
    if size_px is not None and width_px < size_px[0]:
        shown_px = (width_px, max(1, round(size_px[1] * width_px / size_px[0])))
    image = open_image(path, size_px, shown_px=shown_px)
    if image.width > width_px:
        height_px = max(1, round(image.height * width_px / image.width))
        image = image.resize((width_px, height_px), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return _jpeg(image)


def _jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def _tag(path: Path, width_px: int, *others: Path | str) -> str:
    """Changes when a file that the image is made from does."""
    files = [f"{one}:{one.stat().st_mtime_ns}" if isinstance(one, Path) else one for one in (path, *others)]
    return hashlib.sha256("|".join([*files, str(width_px)]).encode()).hexdigest()[:24]
