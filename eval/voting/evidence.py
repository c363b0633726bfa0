"""What a sample says that it has seen, cut from the frames that it speaks of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drive_vqa.prompt import time_line
from eval.evidence.placing import claimed_context
from eval.reasoning.trace import PointClaim, ReadTrace, SeenClaim

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_VIEWS = 4
"""As many as ViGoRL's closer looks."""

POINT_SIDE_PX = 364
"""Of the square around a point; ViGoRL's for V*."""

MARGIN = 0.2
"""Shown around a box on each side, as a share of its own size: what it is beside often tells what it is."""

LEAST_SIDE_PX, MOST_SIDE_PX = 112, 672

Crop = tuple[int, int, int, int]


@dataclass(frozen=True)
class EvidenceView:
    """A part of a frame.

    Attributes:
        context: place in `group["context"]`.
        crop_px: u0, v0, u1, v1 in whole pixels of the original image; inside it and not empty.
        words: what stands before it, such as "Region 3, 0.5 seconds ago:".
    """

    context: int
    crop_px: Crop
    words: str


def evidence_views(trace: ReadTrace, group: Mapping[str, Any]) -> list[EvidenceView]:
    """The parts of the frames that a trace rests on: boxes, else points; the last ones, each once, in the order of the text.

    Args:
        trace: what a model said.
        group: the row of the `groups` table that it was shown.
    """
    claims: Sequence[SeenClaim | PointClaim] = trace.seen or trace.points
    views = [view for claim in claims if (view := _view(claim, group)) is not None]
    distinct = {(view.context, view.crop_px): view for view in views}
    return list(distinct.values())[-MOST_VIEWS:]


def cut(view: EvidenceView, frame: Image) -> Image:
    """The part of a frame of original size, no smaller and no larger than a model can look at."""
    from PIL import Image as Pillow

    part = frame.crop(view.crop_px)
    factor = max(LEAST_SIDE_PX / min(part.size), 1.0)
    factor = min(factor, MOST_SIDE_PX / max(part.size))
    size = tuple(max(round(side * factor), 28) for side in part.size)
    return part.resize((size[0], size[1]), Pillow.Resampling.BICUBIC)


def _view(claim: SeenClaim | PointClaim, group: Mapping[str, Any]) -> EvidenceView | None:
    """None where nothing of it lies in the image."""
    name = claim.name if isinstance(claim, SeenClaim) else None
    context = claimed_context(claim, group)
    view = group["context"][context]
    crop_px = _crop(claim, (view["width"] or 0, view["height"] or 0))
    if crop_px is None:
        return None
    when = time_line(view["offset_s"])
    return EvidenceView(context, crop_px, when if name is None else f"{name[:40]}, {when[0].lower()}{when[1:]}")


def _crop(claim: SeenClaim | PointClaim, size_px: tuple[int, int]) -> Crop | None:
    """What is shown of a claim; nothing where the claim itself lies outside."""
    if isinstance(claim, PointClaim):
        u_px, v_px, half = claim.u_px, claim.v_px, POINT_SIDE_PX / 2
        is_there = 0 <= u_px < size_px[0] and 0 <= v_px < size_px[1]
        return _inside((u_px - half, v_px - half, u_px + half, v_px + half), size_px) if is_there else None
    box = _inside(claim.box_px, size_px)
    if box is None:
        return None
    u0, v0, u1, v1 = box
    across, down = MARGIN * (u1 - u0), MARGIN * (v1 - v0)
    return _inside((u0 - across, v0 - down, u1 + across, v1 + down), size_px)


def _inside(extent: tuple[float, float, float, float], size_px: tuple[int, int]) -> Crop | None:
    low = [max(round(edge), 0) for edge in extent[:2]]
    high = [min(round(edge), side) for edge, side in zip(extent[2:], size_px, strict=True)]
    return (low[0], low[1], high[0], high[1]) if low[0] < high[0] and low[1] < high[1] else None
