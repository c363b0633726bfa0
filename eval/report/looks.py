"""Where a model looked closer: the frame with what it looked at, the crop that it got, and what of the truth is in the crop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from drive_vqa.data_uri import jpeg_uri
from drive_vqa.looks import BoxPx, Look
from eval.evidence.drawing import draw_look
from eval.evidence.points import inside
from eval.evidence.truth import TrueBox
from eval.report.shown import WIDTH_PX, Shown

CROP_PX = 224
"""Longer side of a crop."""

MOST_BOXES = 6
"""Told of one look."""


@dataclass(frozen=True)
class LookPicture:
    """A closer look.

    Attributes:
        frame: with the outline of the crop, the point and the true boxes; all but the crop is dimmed.
        crop: what was cropped from the original frame; without the marks that the model saw in it.
        caption: which look, when, where, and how much of the frame it is: a crop of nearly all of it shows everything.
        verdicts: words about each true box that it shows, and whether it aims there (None: nothing is known to be true).
        alt: the frame in words.
    """

    frame: str
    crop: str
    caption: str
    verdicts: tuple[tuple[str, bool | None], ...]
    alt: str


def look_picture(number: int, look: Look, shown: Shown) -> LookPicture | None:
    """A look as it is shown.

    Args:
        number: of the look, from 1.
        look: at anything.
        shown: the question.

    Returns:
        None where the question has no such frame, crop or point lie outside of it, or the image cannot be read.
    """
    image = shown.image(look.context) if _is_inside(look, shown) else None
    if image is None:
        return None
    size_px, when, (u_px, v_px) = image.size, shown.when(look.context), look.aim_px
    true = [box for box in shown.evidence.boxes if box.context == look.context]
    frame = image.resize((WIDTH_PX, max(1, round(WIDTH_PX * size_px[1] / size_px[0]))), reducing_gap=2.0)
    whole = share_shown(look.box_px, (0.0, 0.0, float(size_px[0]), float(size_px[1])))
    caption = (
        f"Look {number}: {when[0].lower()}{when[1:]}, around ({u_px:.0f}, {v_px:.0f}), {100 * whole:.0f} % of the frame"
    )
    verdicts = _verdicts(look, shown)
    alt = f"{caption}; true boxes: {len(true)}; {', '.join(words for words, _ in verdicts)}"
    return LookPicture(
        jpeg_uri(draw_look(frame, size_px, look, true)), jpeg_uri(_crop(image, look)), caption, verdicts, alt
    )


def share_shown(crop_px: BoxPx, box_px: BoxPx) -> float:
    """How much of a box, which has an area, a crop of the same frame holds."""
    sides = [
        max(min(crop_px[axis + 2], box_px[axis + 2]) - max(crop_px[axis], box_px[axis]), 0.0)
        / (box_px[axis + 2] - box_px[axis])
        for axis in (0, 1)
    ]
    return sides[0] * sides[1]


def _is_inside(look: Look, shown: Shown) -> bool:
    if not 0 <= look.context < len(shown.group["context"]):
        return False
    (u0, v0, u1, v1), (u, v), (width, height) = look.box_px, look.aim_px, shown.size_px(look.context)
    return all(0 <= value <= width for value in (u0, u, u1)) and all(0 <= value <= height for value in (v0, v, v1))


def _crop(image: Image.Image, look: Look) -> Image.Image:
    u0, v0, u1, v1 = map(int, look.box_px)
    part = image.crop((u0, v0, max(u1, u0 + 1), max(v1, v0 + 1)))
    width, height = (max(round(side * CROP_PX / max(part.size)), 1) for side in part.size)
    return part.resize((width, height), Image.Resampling.BICUBIC)


def _verdicts(look: Look, shown: Shown) -> tuple[tuple[str, bool | None], ...]:
    """What of each true box of its frame it shows, and whether it aims at that box."""
    if not shown.evidence.boxes:
        return (("no true box to show", None),)
    true = [box for box in shown.evidence.boxes if box.context == look.context]
    told = [_verdict(look, box) for box in true if share_shown(look.box_px, box.box_px) > 0]
    return tuple(told[:MOST_BOXES]) or (("shows no true box", False),)


def _verdict(look: Look, box: TrueBox) -> tuple[str, bool]:
    share = share_shown(look.box_px, box.box_px)
    aims = bool(inside(np.array([look.aim_px], dtype=np.float64), np.array([box.box_px], dtype=np.float64))[0, 0])
    return f"shows {100 * share:.0f} % of Region {box.mark}, {'aims at it' if aims else 'aims beside it'}", aims
