"""Which instance masks belong to which projected boxes: filters as in STRIDE-QA's labelling (arXiv 2508.10427).

A segmenter, given an image, returns masks of which some are cut off, spill over or show what stands before the object. A mask is
kept for a box where the boxes around both overlap (IoU > 0.3), nearly all of the mask lies within the projected box
(coverage > 0.8) and the segmenter is sure of it (score > 0.8). No mask and no box is used twice.

Masks are boolean images or run lengths as in COCO: pixels column by column, first the zeros, then the ones, and so on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.optimize import linear_sum_assignment

from drive_vqa.boxes import image_iou
from drive_vqa.errors import ConfigError, LogFormatError

MAX_PIXELS = 1 << 28


@dataclass(frozen=True)
class MaskLimits:
    """What a mask needs, each a share in [0, 1] that it must exceed.

    Attributes:
        iou: overlap of the box around the mask and the projected box.
        coverage: share of the mask's pixels inside the projected box.
        score: the segmenter's own.

    Raises:
        ConfigError: one is out of range.
    """

    iou: float = 0.3
    coverage: float = 0.8
    score: float = 0.8

    def __post_init__(self) -> None:
        for name in ("iou", "coverage", "score"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ConfigError(f"the least {name} of a mask is a share in [0, 1], got {getattr(self, name)}")


@dataclass(frozen=True, eq=False)
class MaskMatches:
    """Masks with the boxes that they belong to, by rising box.

    Attributes:
        box, mask: indices.
        iou, coverage: of each pair.
    """

    box: Int[np.ndarray, "k"]
    mask: Int[np.ndarray, "k"]
    iou: Float[np.ndarray, "k"]
    coverage: Float[np.ndarray, "k"]


def match_masks(
    boxes_px: Float[np.ndarray, "n 4"],
    masks: Bool[np.ndarray, "m h w"],
    scores: Float[np.ndarray, "m"],
    limits: MaskLimits | None = None,
) -> MaskMatches:
    """Pair projected boxes with masks of the same image: the most pairs possible and, among those, the greatest sum of IoU.

    Args:
        boxes_px: (u0, v0, u1, v1) of 3D boxes in the image; NaN rows (out of view) get no mask.
        masks: of instances, whatever their class.
        scores: of the masks; NaN is refused as too low.
        limits: default those of STRIDE-QA.
    """
    limits = limits or MaskLimits()
    usable = np.isfinite(boxes_px).all(axis=1)
    safe_px = np.where(usable[:, None], boxes_px, 0.0)
    around_px = mask_boxes(masks)
    iou = image_iou(safe_px, np.nan_to_num(around_px))
    coverage = mask_coverage(masks, safe_px).T
    allowed = (iou > limits.iou) & (coverage > limits.coverage) & (scores > limits.score)[None] & usable[:, None]
    box, mask = linear_sum_assignment(
        np.where(allowed, 1.0 + iou / (1 + min(iou.shape, default=0)), 0.0), maximize=True
    )
    kept = allowed[box, mask]
    box, mask = box[kept], mask[kept]
    return MaskMatches(box, mask, iou[box, mask], coverage[box, mask])


def mask_boxes(masks: Bool[np.ndarray, "m h w"]) -> Float[np.ndarray, "m 4"]:
    """The smallest box around each mask, edges outside its pixels; NaN for an empty one."""
    found = np.full((len(masks), 4), np.nan)
    for index, mask in enumerate(masks):
        columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
        if len(columns):
            found[index] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    return found


def mask_coverage(masks: Bool[np.ndarray, "m h w"], boxes_px: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "m n"]:
    """Share of each mask inside each box, by the centres of its pixels; 0 for an empty mask.

    Args:
        masks: boolean images.
        boxes_px: (u0, v0, u1, v1), finite.
    """
    height, width = masks.shape[1:]
    edges = np.clip(np.ceil(boxes_px - 0.5), 0, [width, height, width, height]).astype(np.int64)
    edges[:, 2:] = np.maximum(edges[:, 2:], edges[:, :2])
    u0, v0, u1, v1 = edges.T
    shares = np.zeros((len(masks), len(boxes_px)))
    for index, mask in enumerate(masks):
        total = np.zeros((height + 1, width + 1), dtype=np.int64)  # of all pixels above and left
        np.cumsum(np.cumsum(mask, axis=0, dtype=np.int64), axis=1, out=total[1:, 1:])
        inside = total[v1, u1] - total[v0, u1] - total[v1, u0] + total[v0, u0]
        shares[index] = inside / max(int(total[-1, -1]), 1)
    return shares


def decode_mask(
    height: int, width: int, counts: Sequence[Any] | str | bytes, where: str = "a mask"
) -> Bool[np.ndarray, "h w"]:
    """A boolean image from COCO run lengths, plain numbers or the compressed text of pycocotools.

    Args:
        height, width: of the image, pixels.
        counts: run lengths.
        where: file and record, for the message.

    Raises:
        LogFormatError: the runs do not fill the image exactly.
    """
    runs = _decompress(counts, where) if isinstance(counts, str | bytes) else list(counts)
    if min(height, width) <= 0 or height * width > MAX_PIXELS:
        raise LogFormatError(f"{where}: an image of {width}×{height} pixels cannot be: mend that record")
    whole = all(isinstance(run, int | np.integer) and 0 <= run <= height * width for run in runs)
    if not whole or sum(int(run) for run in runs) != height * width:
        raise LogFormatError(f"{where}: the run lengths do not fill {width}×{height} pixels: mend that record")
    values = np.arange(len(runs)) % 2 == 1
    return np.asarray(np.repeat(values, np.array(runs, dtype=np.int64)).reshape(width, height).T)


def _decompress(text: str | bytes, where: str) -> list[int]:
    """Run lengths from COCO's text: five bits a character, the sixth says that more follow.

    From the fourth run on the numbers are differences to the last run but one.
    """
    runs: list[int] = []
    value, shift = 0, 0
    for code in text.encode("utf-8") if isinstance(text, str) else text:
        bits = code - 48
        if not 0 <= bits < 64 or shift > 40:
            raise LogFormatError(f"{where}: the run lengths are not COCO's compressed text: mend that record")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift  # negative
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value, shift = 0, 0
    if shift:
        raise LogFormatError(f"{where}: the run lengths end within a number: mend that record")
    return runs
