"""How well told times agree with true ones, in [0, 1], higher is better (V-STaR).

    temporal_iou   overlap of what two sets of intervals cover, divided by all that they cover
    seconds_iou    the same for sets of moments: annotated seconds, or the times of images
    visual_iou     mean over annotated seconds of the IoU of boxes; a second without a told box counts 0

Nothing told counts 0; nothing true and nothing told is NaN, and so is a visual IoU without an annotated second.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from jaxtyping import Float

from eval.evidence.boxes import iou_matched

NO_BOXES = np.zeros((0, 4))
MOST_S = 1e9
"""Times beyond it are moved there: no log lasts as long, and lengths stay finite."""


def temporal_iou(true_s: Float[np.ndarray, "n 2"], told_s: Float[np.ndarray, "m 2"]) -> float:
    """Temporal IoU of two sets of intervals (start, end), seconds.

    Intervals of one set may overlap and come in any order. Those that end before they start, or have a number that is not finite,
    cover nothing. Moments alone have no length: where both sets are nothing else, they agree fully or not at all, as in
    `eval.scoring.interval_iou`.
    """
    true_s, told_s = _merged(true_s), _merged(told_s)
    if not len(true_s) and not len(told_s):
        return float("nan")
    union_s = _length_s(_merged(np.concatenate([true_s, told_s])))
    if union_s == 0.0:
        return float(np.array_equal(true_s, told_s))
    overlap_s = _length_s(true_s) + _length_s(told_s) - union_s
    return float(max(overlap_s, 0.0) / union_s)


def seconds_iou(true_s: Collection[float], told_s: Collection[float]) -> float:
    """Moments that both sets hold, of all that either holds; repeats do not count."""
    both, either = set(true_s) & set(told_s), set(true_s) | set(told_s)
    return len(both) / len(either) if either else float("nan")


def visual_iou(
    true_px: Mapping[float, Float[np.ndarray, "n 4"]], told_px: Mapping[float, Float[np.ndarray, "m 4"]]
) -> float:
    """Mean over annotated seconds of the IoU of told and true boxes (V-STaR's S).

    V-STaR has one box a second. Several are assigned one-to-one, so that listing boxes does not pay; told boxes of seconds that
    are not annotated do not count, as published.

    Args:
        true_px: annotated second → boxes.
        told_px: second → boxes.
    """
    shares = [iou_matched(boxes_px, told_px.get(second, NO_BOXES)) for second, boxes_px in true_px.items()]
    return float(np.mean(shares)) if shares else float("nan")


def _merged(intervals_s: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "m 2"]:
    """What a set of intervals covers as intervals apart from each other, ascending."""
    finite = np.clip(intervals_s[np.isfinite(intervals_s).all(axis=1)], -MOST_S, MOST_S)
    ordered = finite[finite[:, 0] <= finite[:, 1]]
    ordered = ordered[np.lexsort((ordered[:, 1], ordered[:, 0]))]
    reached_s = np.maximum.accumulate(ordered[:, 1]) if len(ordered) else ordered[:, 1]
    first = np.ones(len(ordered), dtype=bool)
    first[1:] = ordered[1:, 0] > reached_s[:-1]
    last = np.append(np.flatnonzero(first)[1:] - 1, len(ordered) - 1) if len(ordered) else np.zeros(0, dtype=np.int64)
    return np.stack([ordered[first, 0], reached_s[last]], axis=1)


def _length_s(apart_s: Float[np.ndarray, "n 2"]) -> float:
    return float((apart_s[:, 1] - apart_s[:, 0]).sum())
