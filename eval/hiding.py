"""Controls of evidence necessity: frames in which what an answer rests on is painted out, or as much of something else.

    evidence   in every image, the boxes of the marks that the question's evidence names
    region     the same, and these marks are not drawn: nothing is left of the region
    random     as many boxes of the same sizes at random places that touch none of those

Who needs the evidence answers worse without it, and no worse without as much of anything else. Masking all targets costs every
model on TreeBench 5 to 21 points (arXiv 2507.07999).

Boxes are painted a little larger than they are: outlines of tracks are not exact, and resizing blends neighbours. Marks are drawn
on top in `evidence` and `random`, as the question needs them to name a region: its outline and number stay, nothing of the object
does. So what an outline alone tells (where in the image, how large) is not hidden, and questions that it answers need not become
harder; what the outline is worth is `region` beside `evidence`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool
from PIL import Image

from drive_vqa.marks import Style, draw_marks, marked_frame, regions_at
from drive_vqa.plates import Box
from drive_vqa.store import Store

Hide = Literal["evidence", "region", "random"]
GREY = (128, 128, 128)

MARGIN = 0.1
"""Painted around a box on each side, as a share of its own size."""

LEAST_MARGIN = 1 / 160
"""As a share of the image's longer side: some two pixels of a small image."""


def hidden_frames(
    store: Store,
    group: Mapping[str, Any],
    marks: Collection[int],
    size_px: tuple[int, int] | None = None,
    *,
    hide: Hide,
    style: Style = "fill",
    seed: int = 0,
) -> list[Image.Image]:
    """The context images of a group with boxes painted grey, and then the marks that are left drawn on them.

    An image that shows none of the marks stays as it is.

    Args:
        store: where the log of the group lies.
        group: a row of the `groups` table.
        marks: that the evidence names.
        size_px: (width, height) to resize to; None keeps the original size.
        hide: see above.
        style: of drawn marks.
        seed: of the places of `random`, which follow from it, the group and the marks, and are the same at every size.

    Raises:
        StoreError: the log has no images, or an image file is gone.
        LogFormatError: a file is not an image, or not of the size its log states.
    """
    content = f"{seed} {group['log_id']} {group['group_id']} {sorted(marks)}"
    draw = np.random.default_rng(int.from_bytes(hashlib.sha256(content.encode()).digest()[:8], "big"))
    shown = []
    for context, view in enumerate(group["context"]):
        image = marked_frame(store, group, context, size_px, style="none")
        scale = (image.width / view["width"], image.height / view["height"])
        regions = regions_at(group, context)
        original_px = (view["width"], view["height"])
        boxes = [_painted_box(regions[mark], original_px) for mark in sorted(marks) if mark in regions]
        for box in random_boxes(boxes, original_px, draw) if hide == "random" else boxes:
            image.paste(GREY, _scaled(box, scale))
        drawn = {mark: region for mark, region in regions.items() if hide != "region" or mark not in marks}
        shown.append(image if style == "none" else draw_marks(image, drawn, scale, style=style))
    return shown


def random_boxes(boxes: Sequence[Box], size_px: tuple[int, int], draw: np.random.Generator) -> list[Box]:
    """A box of the same size for each box, inside the image and beside all of them; all such places are equally likely.

    They may overlap each other, as the boxes may. What fits nowhere is left out.

    Args:
        boxes: left, top, right, bottom in whole pixels, inside the image and not empty.
        size_px: of the image.
        draw: where places come from.
    """
    found = []
    for u0, v0, u1, v1 in boxes:
        width_px, height_px = u1 - u0, v1 - v0
        places = np.flatnonzero(_free_corners((width_px, height_px), size_px, boxes))
        if len(places):
            v, u = divmod(int(places[draw.integers(len(places))]), size_px[0] - width_px + 1)
            found.append((u, v, u + width_px, v + height_px))
    return found


def _free_corners(box_px: tuple[int, int], size_px: tuple[int, int], taken: Sequence[Box]) -> Bool[np.ndarray, "v u"]:
    """Where the upper left corner of a box of a size may lie, so that it shares no pixel with those taken."""
    (width_px, height_px), (image_width_px, image_height_px) = box_px, size_px
    free = np.ones((image_height_px - height_px + 1, image_width_px - width_px + 1), dtype=bool)
    for u0, v0, u1, v1 in taken:
        free[max(v0 - height_px + 1, 0) : v1, max(u0 - width_px + 1, 0) : u1] = False
    return free


def _painted_box(region: tuple[float, float, float, float], size_px: tuple[int, int]) -> Box:
    """A box with its margin, rounded outwards, inside the image and at least one pixel large."""
    least = LEAST_MARGIN * max(size_px)
    u0, u1 = _painted_range(region[0], region[2], least, size_px[0])
    v0, v1 = _painted_range(region[1], region[3], least, size_px[1])
    return u0, v0, u1, v1


def _painted_range(low: float, high: float, least: float, limit: int) -> tuple[int, int]:
    margin = max(MARGIN * (high - low), least)
    start = min(max(math.floor(low - margin), 0), limit - 1)
    return start, max(min(math.ceil(high + margin), limit), start + 1)


def _scaled(box: Box, scale: tuple[float, float]) -> Box:
    """In shown pixels, rounded outwards."""
    u0, v0, u1, v1 = box
    return math.floor(u0 * scale[0]), math.floor(v0 * scale[1]), math.ceil(u1 * scale[0]), math.ceil(v1 * scale[1])
