"""Set-of-mark frames: the context images of a group with numbered regions drawn on them.

A mark number has one fixed colour, so that a number is bound to a look, and both are the same in every image of a group.
Regions are drawn after resizing, so that lines and numbers stay sharp at every size. Nothing drawn is ever stored.

What a region is: the tracks know boxes, not outlines, so both styles mark the object's box in the image. `box` draws its outline
and leaves the object as it is; `fill` also tints it. A tinted box is no segmentation mask: it covers more than the object.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

from PIL import Image, ImageDraw, ImageFont

from drive_vqa.errors import LogFormatError, StoreError
from drive_vqa.plates import Box, place_plates
from drive_vqa.store import Store

Rgb = tuple[int, int, int]
Regions = Mapping[int, tuple[float, float, float, float]]
"""Mark number → (u0, v0, u1, v1) in pixels of the original image."""

Style = Literal["box", "fill", "none"]
"""Outline; outline and tint; the bare image, for questions that name regions by words or by boxes in the text."""

STYLES: tuple[Style, ...] = get_args(Style)

MARK_COLORS_RGB: tuple[Rgb, ...] = (
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
ROUNDING = 0.15
"""Corner radius of a tinted region as a share of its shorter side."""

SIZE_PER_LINE = 320
SIZE_PER_LETTER = 30
"""An image of size s (the root of its area, pixels) has lines s / 320 wide and digits in a font of size s / 30."""

MIN_FONT_PX = 11
"""Digits in a smaller font cannot be told apart."""

MAX_PIXELS = 60_000_000
"""Larger images are refused before they are decoded."""


def marked_frames(
    store: Store, group: Mapping[str, Any], size_px: tuple[int, int] | None = None, *, style: Style = "fill"
) -> list[Image.Image]:
    """The context images of a group, oldest first, with its marks drawn on them.

    Args:
        store: where the log of the group lies.
        group: a row of the `groups` table.
        size_px: (width, height) to resize to; None keeps the original size.
        style: see `Style`.

    Raises:
        StoreError: the log has no images, an image file is gone, or a box is none.
        LogFormatError: a file is not an image, or not of the size its log states.
    """
    return [marked_frame(store, group, index, size_px, style=style) for index in range(len(group["context"]))]


def marked_frame(
    store: Store,
    group: Mapping[str, Any],
    context: int,
    size_px: tuple[int, int] | None = None,
    *,
    style: Style = "fill",
) -> Image.Image:
    """One of the images of `marked_frames`; `context` is its place in the group."""
    view = group["context"][context]
    if view["path"] is None:
        raise StoreError(
            f"group {group.get('group_id')} of log {group['log_id']} has no image {context + 1}: its log holds no images, so it "
            "cannot be shown to a model; take logs with images, or leave its questions out"
        )
    original_px = (view["width"], view["height"])
    path = store.media_path(group["log_id"], view["path"])
    image = open_image(path, original_px, shown_px=size_px)
    shown_px = original_px if size_px is None else size_px
    if image.size != shown_px:
        image = image.resize(shown_px, Image.Resampling.BILINEAR, reducing_gap=2.0)
    scale = (shown_px[0] / original_px[0], shown_px[1] / original_px[1])
    return image if style == "none" else draw_marks(image, regions_at(group, context), scale, style=style)


def regions_at(group: Mapping[str, Any], context: int) -> dict[int, tuple[float, float, float, float]]:
    """Mark number → (u0, v0, u1, v1) in pixels of the original image, of the marks that this context image shows.

    Raises:
        StoreError: a box has a corner that is no number.
    """
    found = {
        mark["mark"]: (region["u0_px"], region["v0_px"], region["u1_px"], region["v1_px"])
        for mark in group["marks"]
        for region in mark["regions"]
        if region["context"] == context
    }
    for number, box in found.items():
        if not all(corner is not None and math.isfinite(corner) for corner in box):
            which = f"Region {number} in image {context + 1} of group {group.get('group_id')}"
            raise StoreError(f"{which} has the box {list(box)}: run `drive-vqa generate STORE` again")
    return found


def draw_marks(
    image: Image.Image, regions: Regions, scale: tuple[float, float] = (1.0, 1.0), *, style: Style = "fill"
) -> Image.Image:
    """A copy of the image with every region outlined, tinted if asked for, and numbered.

    Large regions are drawn first, so that none hides a smaller one; numbers come last.

    Args:
        image: RGB.
        regions: what to mark.
        scale: shown pixels per original pixel, in u and v.
        style: `box` or `fill`.
    """
    marked = image.copy()
    pen = ImageDraw.Draw(marked)
    size = (image.width * image.height) ** 0.5
    line_px = max(1, round(size / SIZE_PER_LINE))
    boxes = {number: _shown_box(region, scale, image.size) for number, region in regions.items()}
    order = sorted(boxes, key=lambda number: (-_side(boxes[number], max), number))
    for number in order:
        if style == "fill":
            _tint(marked, boxes[number], mark_color(number))
        _outline(pen, boxes[number], mark_color(number), line_px, ROUNDING if style == "fill" else 0.0)
    font = _font(max(MIN_FONT_PX, round(size / SIZE_PER_LETTER)))
    _number(pen, {number: boxes[number] for number in order}, font, image.size)
    return marked


def mark_color(number: int) -> Rgb:
    """The colour of a mark."""
    return MARK_COLORS_RGB[number % len(MARK_COLORS_RGB)]


def text_color(background: Rgb) -> Rgb:
    """Black or white, whichever differs more from the background: never less than 4.5 : 1 (WCAG 2.1, relative luminance)."""
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in _unit(background)]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return (0, 0, 0) if (luminance + 0.05) ** 2 > 1.05 * 0.05 else (255, 255, 255)


def _unit(color: Rgb) -> list[float]:
    return [channel / 255 for channel in color]


def _shown_box(region: tuple[float, float, float, float], scale: tuple[float, float], picture: tuple[int, int]) -> Box:
    """The box in shown pixels, inside the picture and at least one pixel large."""
    u0, u1 = _shown_range(region[0] * scale[0], region[2] * scale[0], picture[0])
    v0, v1 = _shown_range(region[1] * scale[1], region[3] * scale[1], picture[1])
    return u0, v0, u1, v1


def _shown_range(low: float, high: float, limit: int) -> tuple[int, int]:
    start = min(max(round(low), 0), limit - 1)
    return start, max(min(round(high), limit), start + 1)


def _side(box: Box, which: Any) -> int:
    return int(which(box[2] - box[0], box[3] - box[1]))


def _tint(image: Image.Image, box: Box, color: Rgb) -> None:
    mask = Image.new("L", (box[2] - box[0], box[3] - box[1]))
    inside = (0, 0, mask.width - 1, mask.height - 1)
    radius = ROUNDING * min(mask.size)
    ImageDraw.Draw(mask).rounded_rectangle(inside, radius, fill=round(255 * FILL_ALPHA))
    image.paste(color, box[:2], mask)


def _outline(pen: ImageDraw.ImageDraw, box: Box, color: Rgb, line_px: int, rounding: float) -> None:
    """A line along the inner edge of the box; around a small box, so that something of the object remains to be seen."""
    around = line_px if _side(box, min) < 8 * line_px else 0
    edges = (box[0] - around, box[1] - around, box[2] - 1 + around, box[3] - 1 + around)
    pen.rounded_rectangle(edges, rounding * _side(box, min), outline=color, width=line_px)


def _number(
    pen: ImageDraw.ImageDraw, boxes: Mapping[int, Box], font: ImageFont.FreeTypeFont, picture: tuple[int, int]
) -> None:
    """The numbers on plates of their colours, each tied to its box by a line where it could not lie beside it."""
    texts = {number: pen.textbbox((0, 0), str(number), font=font, anchor="lt") for number in boxes}
    pad_px = max(1, round(font.size * 0.14))
    sizes = {
        number: (min(int(text[2]) + 2 * pad_px + 1, picture[0]), min(int(text[3]) + 2 * pad_px + 1, picture[1]))
        for number, text in texts.items()
    }
    plates = place_plates(boxes, sizes, picture)
    for number, plate in plates.items():
        pen.line(_tie(plate, boxes[number]), fill=mark_color(number))
    for number, plate in plates.items():
        pen.rectangle((plate[0], plate[1], plate[2] - 1, plate[3] - 1), fill=mark_color(number))
        at = (plate[0] + pad_px, plate[1] + pad_px)
        pen.text(at, str(number), fill=text_color(mark_color(number)), font=font, anchor="lt")


def _tie(plate: Box, box: Box) -> tuple[int, int, int, int]:
    """From the middle of the plate to the nearest point of the box; hidden under the plate where they touch."""
    u, v = (plate[0] + plate[2]) // 2, (plate[1] + plate[3]) // 2
    return u, v, min(max(u, box[0]), box[2] - 1), min(max(v, box[1]), box[3] - 1)


@lru_cache(maxsize=64)
def _font(size_px: int) -> ImageFont.FreeTypeFont:
    """Pillow's own font; it is decoded anew at every call, which costs more than drawing all marks of an image."""
    font = ImageFont.load_default(size=size_px)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise StoreError(
            "this Pillow has no FreeType, so numbers cannot be drawn: pip install --force-reinstall pillow"
        )
    return font


def open_image(
    path: Path, size_px: tuple[int, int] | None = None, *, shown_px: tuple[int, int] | None = None
) -> Image.Image:
    """Open an image from outside as RGB.

    Args:
        path: the file.
        size_px: (width, height) that its log states, checked where given.
        shown_px: (width, height) that it will be resized to; a JPEG is then decoded at a half, a quarter or an eighth of its
            size where that is no smaller, which is several times as fast.

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
            if shown_px is not None:
                image.draft("RGB", shown_px)
            return image.convert("RGB")
    except (OSError, ValueError, SyntaxError, RuntimeError, Image.DecompressionBombError) as error:
        raise LogFormatError(f"{path} is not a readable image ({error}): restore the file") from error
