"""The pictures of an export: the context images of a group with its marks drawn on them, once a group."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from drive_vqa.marks import marked_frames
from drive_vqa.store import replacing
from qa_gen.export.job import LogJob

JPEG_QUALITY = 92
FOLDER = "images"


def image_names(group: Mapping[str, Any]) -> list[str]:
    """Where the images of a group lie, relative to the export, oldest first."""
    return [f"{FOLDER}/{group['group_id']}/{context}.jpg" for context in range(len(group["context"]))]


def draw_images(log: LogJob, group: Mapping[str, Any], folder: Path) -> list[str]:
    """Write the images of a group, and say where: `image_names`.

    Args:
        log: whose group it is.
        group: a row of the `groups` table.
        folder: that the names are relative to.

    Raises:
        StoreError: an image file is gone.
        LogFormatError: an image file cannot be read.
    """
    names = image_names(group)
    for name, image in zip(names, marked_frames(log.job.store, group, log.job.size_px), strict=True):
        write_image(folder / name, jpeg(image))
    return names


def write_image(path: Path, content: bytes) -> None:
    """Write an image file, complete or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def jpeg(image: Image.Image) -> bytes:
    """An image as a JPEG file."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()
