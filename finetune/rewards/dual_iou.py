"""Boxes that are claimed against boxes that are true.

    dual_iou     ½ (recall + precision): the mean over true boxes of the best IoU with a claimed one, and the mean over claimed
                 boxes of the best IoU with a true one; nothing claimed: 0                                  (TreeVGR's paper)
    one_to_one   the greatest sum of IoU of a one-to-one assignment, divided by the greater of both counts  [ours]

Duplicates of a good box are free in the first, and every image is taken for the same; in the second each costs, and a box counts
only for the image and the region that are named with it. A box that the trace takes back later counts like any other: if it did
not, listing would be free again. Range [0, 1].
"""

from __future__ import annotations

import math

from eval.evidence.boxes import matched_of, pairwise_iou, precision_of, recall_of
from finetune.rewards.boxes import iou_in_image, told_px, true_px
from finetune.rewards.completion import Completion
from finetune.rewards.truth import Truth


def dual_iou(completion: Completion, truth: Truth, progress: float) -> float | None:
    """As published; None for a question without true boxes, of which TreeVGR has none."""
    del progress
    if not truth.evidence.boxes:
        return None
    iou = pairwise_iou(true_px(truth.evidence.boxes), told_px(completion.trace.seen))
    return 0.5 * (recall_of(iou) + precision_of(iou))


def one_to_one(completion: Completion, truth: Truth, progress: float) -> float:
    """Ours; where nothing is to be seen, 1 if nothing is claimed to be seen."""
    del progress
    value = matched_of(iou_in_image(truth.evidence, completion.trace.seen))
    return 1.0 if math.isnan(value) else value
