"""Where a closer look is taken, and what it shows: a square of the original frame, resized for the model.

A point gets a square of the preset's side around it. A box is shown whole, with a tenth of its longer side on all sides, in a
square no smaller than a point's. A square that reaches over the border of the frame is shifted inside. Only where the frame
itself is smaller than the square in one direction is what remains padded with grey, so that every crop of a preset has the same
size, the same scale in both directions, and the same number of tokens.

Crops are cut from frames that had their marks drawn at original size, so that numbers stay sharp.
"""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image, ImageDraw

from drive_vqa.errors import ConfigError
from drive_vqa.looks import BoxPx, PointPx

Rectangle = tuple[int, int, int, int]
"""Whole pixels of the original frame, inside it: u0 and v0 belong to it, u1 and v1 do not."""

AROUND_BOX = 1.2
"""Side of the square of a box, over the box's longer side."""
GREY = (128, 128, 128)
RED = (230, 0, 0)
DOT_SHARE = 1 / 64
"""Radius of the dot over the side of the shown crop; ours, the paper gives none."""


@dataclass(frozen=True)
class CropPreset:
    """How closer looks are taken.

    Attributes:
        side_px: side of the square around a point, in pixels of the original frame.
        shown_px: side of the square that the model is shown.
        looks: that a dialogue may take; after the last one the answer is forced.
        dot: draw a red dot where the model pointed.

    Raises:
        ConfigError: a number is not positive.
    """

    side_px: int
    shown_px: int
    looks: int
    dot: bool = False

    def __post_init__(self) -> None:
        if min(self.side_px, self.shown_px, self.looks) < 1:
            raise ConfigError(f"a zoom needs side_px, shown_px and looks of at least 1, got {self}")


PRESETS: dict[str, CropPreset] = {
    "vstar": CropPreset(side_px=364, shown_px=672, looks=4),
    "web": CropPreset(side_px=100, shown_px=384, looks=4, dot=True),
    "drive": CropPreset(side_px=320, shown_px=448, looks=3),
    "tiny": CropPreset(side_px=320, shown_px=112, looks=2),
}
"""vstar and web are ViGoRL's (arXiv 2505.23678, multi-turn): at most five turns, so four crops.

drive is ours, for six cameras of 1600×900 that are shown at about 532×336. A fifth of the width, some 14° of a nuScenes front
camera, holds a car from about 20 m on; nearer ones fill their frame already, and a box shows them whole. 448 is a multiple of 28
and of 32, the cells of Qwen2.5-VL and of Qwen3-VL, so nothing is resampled twice, and a crop costs 256 or 196 tokens, what one
more frame would: there an object is four times as large as in the frame. Three looks (now, before, the other agent) cost half
of what six frames do; questions name one or two agents, so a fourth would mostly repeat one.

tiny is for the tiny model's frames of 224×112: 16 tokens a crop, two and a half times as large.
"""


def look_rectangle(frame_px: tuple[int, int], target: PointPx | BoxPx, preset: CropPreset) -> Rectangle:
    """The part of a frame that a look shows.

    Args:
        frame_px: (width, height) of the original frame.
        target: a point, or a box with its corners in order; finite, inside the frame or at its border.
        preset: how looks are taken.

    Returns:
        A square; where the frame is smaller than that in one direction, all of the frame in this direction.
    """
    if len(target) == 2:
        centre, side_px = (target[0], target[1]), preset.side_px
    else:
        u0, v0, u1, v1 = target
        centre = ((u0 + u1) / 2, (v0 + v1) / 2)
        side_px = max(preset.side_px, round(AROUND_BOX * max(u1 - u0, v1 - v0)))
    (left, right), (top, bottom) = (_inside(*axis, side_px) for axis in zip(centre, frame_px, strict=True))
    return left, top, right, bottom


def cut(frame: Image.Image, rectangle: Rectangle, preset: CropPreset, point_px: PointPx | None = None) -> Image.Image:
    """What the model is shown.

    Args:
        frame: the original frame, RGB, marks drawn.
        rectangle: of `look_rectangle`.
        preset: how looks are taken.
        point_px: where the model pointed; dotted where the preset says so.

    Returns:
        RGB, `shown_px` wide and high.
    """
    part = frame.crop(rectangle)
    side_px = max(part.size)
    square = Image.new("RGB", (side_px, side_px), GREY)
    at = ((side_px - part.width) // 2, (side_px - part.height) // 2)
    square.paste(part, at)
    shown = square.resize((preset.shown_px, preset.shown_px), Image.Resampling.BICUBIC)
    if preset.dot and point_px is not None:
        scale = preset.shown_px / side_px
        u, v = ((point_px[axis] - rectangle[axis] + at[axis]) * scale for axis in (0, 1))
        ImageDraw.Draw(shown).circle((u, v), DOT_SHARE * preset.shown_px, fill=RED)
    return shown


def _inside(centre_px: float, length_px: int, side_px: int) -> tuple[int, int]:
    """Start and end of a stretch of an axis, shifted to lie within it."""
    side_px = min(side_px, length_px)
    start = min(max(round(centre_px - side_px / 2), 0), length_px - side_px)
    return start, start + side_px
