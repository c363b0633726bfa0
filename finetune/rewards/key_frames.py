"""Recall over key frames [ours]: the share of the times of the evidence at which a claim shows some of it.

A claim shows a true box if it is about the same image, names no other region, and has an IoU of at least 0.5 (PASCAL VOC).
Listing boxes raises this one alone: `dual_iou.one_to_one` takes it back. Range [0, 1]; None where no image shows anything that
the answer rests on.
"""

from __future__ import annotations

import numpy as np

from eval.scoring import LEAST_IOU
from finetune.rewards.boxes import iou_in_image
from finetune.rewards.completion import Completion
from finetune.rewards.truth import Truth


def key_frame_recall(completion: Completion, truth: Truth, progress: float) -> float | None:
    """See the top."""
    del progress
    boxes = truth.evidence.boxes
    if not boxes:
        return None
    shown = iou_in_image(truth.evidence, completion.trace.seen).max(axis=1, initial=0.0) >= LEAST_IOU
    times_s = np.array([box.offset_s for box in boxes])
    return len(np.unique(times_s[shown])) / len(np.unique(times_s))
