"""Boxes that pay only near the time of a key frame (Open-o3 Video): the mean over claims of gate · IoU.

A claim is compared with the true boxes of the nearest key frame that its gate lets through (of both, where two are as near), and
has the best IoU with them; with no such frame, or without a time, it has 0. Gates:

    P      |t* - t| ≤ 3 s
    C      t* - t < 1 s, without the absolute value: a claim 48 s late passes (flag `one_sided`)
    ours   |t* - t| ≤ 0.5 s, and a claim that names another region has 0 (flag `named`)

Range [0, 1]; no claims: 0; None where no image shows anything that the answer rests on.
"""

from __future__ import annotations

import numpy as np

from eval.evidence.boxes import pairwise_iou
from finetune.rewards.boxes import names_agree, told_px, true_px
from finetune.rewards.completion import Completion
from finetune.rewards.truth import Truth

PUBLISHED_GATE_S, CODE_GATE_S, GATE_S = 3.0, 1.0, 0.5
_ROUNDING_S = 0.06
"""Times in traces are told to a tenth of a second; in `drive` half a second must pass though it is told so."""


def gated_iou(
    completion: Completion,
    truth: Truth,
    progress: float,
    *,
    gate_s: float = GATE_S + _ROUNDING_S,
    one_sided: bool = False,
    named: bool = True,
) -> float | None:
    """See the top.

    Args:
        completion: with boxes and times.
        truth: with evidence.
        progress: does not matter.
        gate_s: τ.
        one_sided: as in the released code.
        named: names of regions count.
    """
    del progress
    boxes, seen = truth.evidence.boxes, [claim for claim in completion.trace.seen if claim.offset_s is not None]
    if not boxes:
        return None
    if not seen:
        return 0.0
    true_s = np.array([box.offset_s for box in boxes])[:, None]
    told_s = np.array([claim.offset_s for claim in seen], dtype=np.float64)[None]
    passes = true_s - told_s < gate_s if one_sided else np.abs(true_s - told_s) <= gate_s
    away_s = np.where(passes, np.abs(true_s - told_s), np.inf)
    nearest = passes & (away_s == away_s.min(axis=0))
    iou = pairwise_iou(true_px(boxes), told_px(seen)) * nearest
    best = (iou * names_agree(boxes, seen) if named else iou).max(axis=0)
    return float(best.sum() / len(completion.trace.seen))
