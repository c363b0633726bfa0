"""How well told boxes agree with true ones, in [0, 1], higher is better.

    recall      mean over true boxes of the best IoU with a told box: TreeBench's published mIoU, which listing boxes inflates
    precision   mean over told boxes of the best IoU with a true box: duplicates of a good box are free here
    matched     greatest sum of IoU of a one-to-one assignment, divided by the greater of both counts: nothing is free

Sources: TreeBench and TreeVGR (arXiv 2507.07999), recall and its dual with precision; matched is ours. Where nothing is told, or
nothing is true, all that is there counts 0; where both are none, and in a recall without true boxes, the number is NaN: there is
nothing to judge. A box without area (empty, inverted, or with a number that is not finite) has IoU 0 with every box and still
counts as told. A box that leaves the image is compared as it is.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment

from drive_vqa.boxes import image_iou

MOST_PX = 1e7
"""Corners beyond it are moved there: no image is as large, and areas stay finite."""


def pairwise_iou(a_px: Float[np.ndarray, "n 4"], b_px: Float[np.ndarray, "m 4"]) -> Float[np.ndarray, "n m"]:
    """IoU of every box with every other, left, top, right, bottom in pixels of one image; any numbers are taken."""
    return image_iou(_usable(a_px), _usable(b_px))


def iou_recall(true_px: Float[np.ndarray, "n 4"], told_px: Float[np.ndarray, "m 4"]) -> float:
    """TreeBench's mIoU; NaN without true boxes."""
    return recall_of(pairwise_iou(true_px, told_px))


def iou_precision(true_px: Float[np.ndarray, "n 4"], told_px: Float[np.ndarray, "m 4"]) -> float:
    """The dual of TreeBench's mIoU: 0 where nothing is told; NaN where nothing is true either."""
    return precision_of(pairwise_iou(true_px, told_px))


def iou_matched(true_px: Float[np.ndarray, "n 4"], told_px: Float[np.ndarray, "m 4"]) -> float:
    """Mean IoU of the best one-to-one assignment, with 0 for boxes that have no partner; NaN without any box."""
    return matched_of(pairwise_iou(true_px, told_px))


def recall_of(iou: Float[np.ndarray, "true told"]) -> float:
    """`iou_recall` where the IoU of true and told boxes is known, such as 0 for boxes of different images."""
    return float(iou.max(axis=1, initial=0.0).mean()) if iou.shape[0] else float("nan")


def precision_of(iou: Float[np.ndarray, "true told"]) -> float:
    """`iou_precision` where the IoU is known."""
    if iou.shape[1]:
        return float(iou.max(axis=0, initial=0.0).mean())
    return 0.0 if iou.shape[0] else float("nan")


def matched_of(iou: Float[np.ndarray, "true told"]) -> float:
    """`iou_matched` where the IoU is known."""
    if not iou.size:
        return 0.0 if max(iou.shape) else float("nan")
    rows, columns = linear_sum_assignment(iou, maximize=True)
    return float(iou[rows, columns].sum() / max(iou.shape))


def _usable(boxes_px: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n 4"]:
    """Boxes whose areas can be taken; those with a number that is not finite become empty."""
    finite = np.isfinite(boxes_px).all(axis=1, keepdims=True)
    return np.asarray(np.clip(np.where(finite, boxes_px, 0.0), -MOST_PX, MOST_PX))
