"""What is true and what is claimed, drawn on an image: true boxes solid and green, claims dashed and orange."""

from __future__ import annotations

import math

from PIL import Image, ImageDraw

from eval.evidence.placing import ClaimedFrame
from eval.evidence.truth import BoxPx
from eval.reasoning.trace import SeenClaim

TRUE_RGB, CLAIMED_RGB = (53, 196, 149), (255, 107, 53)
LINE_PX = 2
DASH_PX = 5
RADIUS_PX = 6
"""Of the ring around a claimed point."""


def draw_claims(image: Image.Image, size_px: tuple[int, int], frame: ClaimedFrame) -> Image.Image:
    """A copy of an image with boxes and points; those that a model puts outside are moved to its border.

    Args:
        image: RGB, of any size.
        size_px: width and height of the original image, in whose pixels boxes and points are.
        frame: what to draw.
    """
    drawn = image.copy()
    pen, scale = ImageDraw.Draw(drawn), (image.width / size_px[0], image.height / size_px[1])
    for box in frame.true:
        pen.rectangle(_shown(box.box_px, scale, image.size), outline=TRUE_RGB, width=LINE_PX)
    for judged in frame.claims:
        claim = judged.claim
        if isinstance(claim, SeenClaim):
            _dashed(pen, _shown(claim.box_px, scale, image.size))
        else:
            _ring(pen, _shown((claim.u_px, claim.v_px, claim.u_px, claim.v_px), scale, image.size)[:2])
    return drawn


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
