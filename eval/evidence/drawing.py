"""What is true, claimed and looked at, drawn on an image.

True boxes are solid and green, claims dashed and orange; what was looked at is outlined in violet, and the rest dimmed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw

from drive_vqa.looks import Look
from eval.evidence.placing import ClaimedFrame
from eval.evidence.truth import BoxPx, TrueBox
from eval.reasoning.trace import SeenClaim

TRUE_RGB, CLAIMED_RGB, LOOK_RGB = (53, 196, 149), (255, 107, 53), (190, 110, 255)
LINE_PX = 2
DASH_PX = 5
RADIUS_PX = 6
"""Of the ring around a claimed point, and of the cross on one that was looked at."""
DIMMED = 0.45
"""How much darker it is where nobody looked."""


def draw_claims(image: Image.Image, size_px: tuple[int, int], frame: ClaimedFrame) -> Image.Image:
    """A copy of an image with boxes and points; those that a model puts outside are moved to its border.

    Args:
        image: RGB, of any size.
        size_px: width and height of the original image, in whose pixels boxes and points are.
        frame: what to draw.
    """
    drawn = image.copy()
    pen, scale = ImageDraw.Draw(drawn), (image.width / size_px[0], image.height / size_px[1])
    _outline_true(pen, frame.true, scale, image.size)
    for judged in frame.claims:
        claim = judged.claim
        if isinstance(claim, SeenClaim):
            _dashed(pen, _shown(claim.box_px, scale, image.size))
        else:
            _ring(pen, _shown((claim.u_px, claim.v_px, claim.u_px, claim.v_px), scale, image.size)[:2])
    return drawn


def draw_look(image: Image.Image, size_px: tuple[int, int], look: Look, true: Sequence[TrueBox]) -> Image.Image:
    """A copy of an image with what a model looked at in it; what lies outside is moved to its border.

    Args:
        image: RGB, of any size.
        size_px: width and height of the original image, in whose pixels look and boxes are.
        look: at this image.
        true: boxes of this image.
    """
    scale = (image.width / size_px[0], image.height / size_px[1])
    u0, v0, u1, v1 = _shown(look.box_px, scale, image.size)
    drawn = Image.blend(image, Image.new("RGB", image.size), DIMMED)
    bright = (int(u0), int(v0), math.ceil(u1), math.ceil(v1))
    drawn.paste(image.crop(bright), bright[:2])
    pen = ImageDraw.Draw(drawn)
    _outline_true(pen, true, scale, image.size)
    pen.rectangle((u0, v0, u1, v1), outline=LOOK_RGB, width=LINE_PX)
    _cross(pen, _shown((*look.aim_px, *look.aim_px), scale, image.size)[:2])
    return drawn


def _outline_true(
    pen: ImageDraw.ImageDraw, true: Sequence[TrueBox], scale: tuple[float, float], size: tuple[int, int]
) -> None:
    for box in true:
        pen.rectangle(_shown(box.box_px, scale, size), outline=TRUE_RGB, width=LINE_PX)


def _shown(box_px: BoxPx, scale: tuple[float, float], size: tuple[int, int]) -> BoxPx:
    """In shown pixels, inside the picture, corners in order; a model may claim anything."""
    u0, u1 = sorted(min(max(value * scale[0], 0.0), size[0] - 1.0) for value in box_px[0::2])
    v0, v1 = sorted(min(max(value * scale[1], 0.0), size[1] - 1.0) for value in box_px[1::2])
    return u0, v0, u1, v1


def _dashed(pen: ImageDraw.ImageDraw, box: BoxPx) -> None:
    u0, v0, u1, v1 = box
    corners = ((u0, v0), (u1, v0), (u1, v1), (u0, v1))
    for start, end in zip(corners, (*corners[1:], corners[0]), strict=True):
        length = math.dist(start, end)
        for dash in range(0, int(length) + 1, 2 * DASH_PX):
            shares = [min(place / max(length, 1.0), 1.0) for place in (dash, dash + DASH_PX)]
            pen.line([_between(start, end, share) for share in shares], fill=CLAIMED_RGB, width=LINE_PX)


def _between(start: tuple[float, float], end: tuple[float, float], share: float) -> tuple[float, float]:
    return start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share


def _ring(pen: ImageDraw.ImageDraw, centre: tuple[float, float]) -> None:
    u, v = centre
    pen.ellipse((u - RADIUS_PX, v - RADIUS_PX, u + RADIUS_PX, v + RADIUS_PX), outline=CLAIMED_RGB, width=LINE_PX)
    pen.ellipse((u - 1, v - 1, u + 1, v + 1), fill=CLAIMED_RGB)


def _cross(pen: ImageDraw.ImageDraw, centre: tuple[float, float]) -> None:
    u, v = centre
    pen.line((u - RADIUS_PX, v, u + RADIUS_PX, v), fill=LOOK_RGB, width=LINE_PX)
    pen.line((u, v - RADIUS_PX, u, v + RADIUS_PX), fill=LOOK_RGB, width=LINE_PX)
