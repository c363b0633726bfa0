"""Set-of-mark frames: the context images of a group with numbered regions drawn on them.

A mark number has one fixed colour, so that a number is bound to a look. Regions are drawn after resizing, so that lines and
numbers stay sharp at every size.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from drive_vqa.errors import LogFormatError
from drive_vqa.store import Store

MARK_COLORS_RGB = (
    (230, 57, 70),
    (29, 120, 216),
    (255, 183, 3),
    (46, 160, 67),
    (170, 68, 204),
    (0, 190, 196),
    (255, 112, 20),
    (240, 98, 170),
    (150, 190, 40),
    (140, 100, 70),
)
"""Colour of mark number n is entry n modulo the length."""

FILL_ALPHA = 0.2
MAX_PIXELS = 60_000_000
"""Larger images are refused before they are decoded."""


def marked_frames(store: Store, group: Mapping[str, Any], size_px: tuple[int, int] | None = None) -> list[Image.Image]:
    """The context images of a group, oldest first, with its marks drawn on them.

    Args:
        store: where the log of the group lies.
        group: a row of the `groups` table.
        size_px: (width, height) to resize to; None keeps the original size.

    Raises:
        StoreError: an image file is gone.
        LogFormatError: a file is not an image, or not of the size its log states.
    """
    frames = []
    for index, view in enumerate(group["context"]):
        image = open_image(store.media_path(group["log_id"], view["path"]), (view["width"], view["height"]))
        scale = (
            1.0 if size_px is None else size_px[0] / view["width"],
            1.0 if size_px is None else size_px[1] / view["height"],
        )
        if size_px is not None:
            image = image.resize(size_px, Image.Resampling.BILINEAR, reducing_gap=2.0)
        frames.append(draw_marks(image, regions_at(group, index), scale))
    return frames


def regions_at(group: Mapping[str, Any], context: int) -> dict[int, tuple[float, float, float, float]]:
    """Mark number → (u0, v0, u1, v1) in pixels of the original image, of the marks that this context image shows."""
    return {
        mark["mark"]: (region["u0_px"], region["v0_px"], region["u1_px"], region["v1_px"])
        for mark in group["marks"]
        for region in mark["regions"]
        if region["context"] == context
    }


def draw_marks(
    image: Image.Image,
    regions: Mapping[int, tuple[float, float, float, float]],
    scale: tuple[float, float] = (1.0, 1.0),
) -> Image.Image:
    """A copy of the image with every region tinted, outlined and numbered.

    Args:
        image: RGB.
        regions: mark number → box in original pixels.
        scale: shown pixels per original pixel, in u and v.
    """
    overlay = Image.new("RGBA", image.size)
    pen = ImageDraw.Draw(overlay)
    line_px = max(1, round(image.height / 220))
    font = ImageFont.load_default(size=max(9, image.height // 22))
    boxes = {
        number: (u0 * scale[0], v0 * scale[1], u1 * scale[0], v1 * scale[1])
        for number, (u0, v0, u1, v1) in regions.items()
    }
    for number in sorted(boxes):
        color = MARK_COLORS_RGB[number % len(MARK_COLORS_RGB)]
        pen.rectangle(boxes[number], fill=(*color, round(255 * FILL_ALPHA)), outline=(*color, 255), width=line_px)
    for number in sorted(boxes):
        _draw_number(pen, number, boxes[number], font, image.size)
    return Image.alpha_composite(image.convert("RGBA"), overlay).convert("RGB")


def _draw_number(
    pen: ImageDraw.ImageDraw,
    number: int,
    box: tuple[float, float, float, float],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    size_px: tuple[int, int],
) -> None:
    """The number on a plate of its colour above the box; inside the picture where the box touches its edge."""
    left, top, right, bottom = pen.textbbox((0, 0), str(number), font=font)
    width, height = right - left + 4, bottom - top + 4
    u = min(max(box[0], 0), size_px[0] - width)
    v = min(max(box[1] - height, 0), size_px[1] - height)
    pen.rectangle((u, v, u + width, v + height), fill=(*MARK_COLORS_RGB[number % len(MARK_COLORS_RGB)], 255))
    pen.text((u + 2 - left, v + 2 - top), str(number), fill=(255, 255, 255, 255), font=font)


def open_image(path: Path, size_px: tuple[int, int] | None = None) -> Image.Image:
    """Open an image from outside as RGB.

    Args:
        path: the file.
        size_px: (width, height) that its log states, checked where given.

    Raises:
        LogFormatError: it is not an image, too large, truncated, or of another size.
    """
    try:
        with Image.open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                raise LogFormatError(
                    f"{path} has {image.width}×{image.height} pixels, more than {MAX_PIXELS}: not opened"
                )
            if size_px is not None and image.size != size_px:
                stated = f"{size_px[0]}×{size_px[1]}"
                raise LogFormatError(
                    f"{path} has {image.width}×{image.height} pixels, its log states {stated}: ingest it again"
                )
            return image.convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise LogFormatError(f"{path} is not a readable image ({error}): restore the file") from error
