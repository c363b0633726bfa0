"""Points that are in what the answer rests on [ours]; ViGoRL's (`trace_format.with_point`) are not verified.

Every point of the trace, and the centre of every box in it, pays

    1                      inside of a true box of its image, and of the image
    exp(-½ (d / σ)²)       outside, d px from the nearest one; σ is half its shorter side, at least 8 px
    0                      outside of the image

and the reward is the mean, so that points everywhere do not pay. A point without a time may be in any image. Centres of boxes
count because the dialect `drive` anchors its steps to boxes: the reward must not ask for points beside them. Range [0, 1];
nothing pointed at: 0; None where no image shows anything that the answer rests on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from eval.evidence.truth import TrueBox, TrueEvidence
from eval.reasoning.trace import PointClaim, SeenClaim
from finetune.rewards.boxes import same_image, told_px
from finetune.rewards.completion import Completion
from finetune.rewards.truth import Truth

SIGMA_SHARE, LEAST_SIGMA_PX = 0.5, 8.0
_FAR = 40.0
"""Standard deviations at which the fall ends; what is left is nothing."""


def verified_points(completion: Completion, truth: Truth, progress: float) -> float | None:
    """See the top."""
    del progress
    if not truth.evidence.boxes:
        return None
    trace = completion.trace
    corners_px = told_px(trace.seen)
    points_px = np.array([(point.u_px, point.v_px) for point in trace.points], dtype=np.float64).reshape(-1, 2)
    anchors_px = np.concatenate([points_px, 0.5 * (corners_px[:, :2] + corners_px[:, 2:])])
    claims: tuple[PointClaim | SeenClaim, ...] = (*trace.points, *trace.seen)
    times_s = [claim.offset_s for claim in claims]
    if not len(anchors_px):
        return 0.0
    return float(pays(anchors_px, times_s, truth.evidence).mean())


def pays(
    points_px: Float[np.ndarray, "n 2"], times_s: Sequence[float | None], evidence: TrueEvidence
) -> Float[np.ndarray, "n"]:
    """What each point is worth, in [0, 1].

    Args:
        points_px: (u, v) in pixels of the original image; any numbers.
        times_s: of the image of each, from now; None: any image.
        evidence: with the true boxes.
    """
    best = np.zeros(len(points_px))
    for box, same in zip(evidence.boxes, same_image(evidence, times_s), strict=True):
        best = np.maximum(best, same * _inside_image(points_px, box, evidence) * near(points_px, box))
    return best


def near(points_px: Float[np.ndarray, "n 2"], box: TrueBox) -> Float[np.ndarray, "n"]:
    """1 inside of a box, falling like a Gaussian outside."""
    low_px, high_px = np.array(box.box_px[:2]), np.array(box.box_px[2:])
    away_px = np.hypot(*np.maximum(np.maximum(low_px - points_px, points_px - high_px), 0.0).T)
    sigma_px = max(SIGMA_SHARE * float((high_px - low_px).min()), LEAST_SIGMA_PX)
    return np.asarray(np.exp(-0.5 * np.square(np.minimum(away_px / sigma_px, _FAR))))


def _inside_image(points_px: Float[np.ndarray, "n 2"], box: TrueBox, evidence: TrueEvidence) -> np.ndarray:
    """Whether points lie in an image of the time of a box."""
    inside = np.zeros(len(points_px), dtype=bool)
    for frame in evidence.frames:
        if frame.offset_s == box.offset_s:
            inside |= ((points_px >= 0) & (points_px <= [frame.width_px, frame.height_px])).all(axis=1)
    return inside
