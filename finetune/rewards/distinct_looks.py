"""A bonus for looking at several places: U is the number of looks at least 10 px from all earlier ones at the same image.

    format_with_looks   1 + 0.2 max(0, U - 1) where the format holds, else 0; looks need not show anything, wrong answers get it
                        too, and nothing caps it but the budget of looks   (ViGoRL, multi-turn; range [0, 1 + 0.2 (looks - 1)])
    distinct_looks      min(max(0, U - 1), 3) / 3 for a right answer, else 0; U over looks that aim at a true box of their
                        image                                              [ours; range [0, 1]]

The second is None where no image shows anything that the answer rests on; it takes the looks in an order of its own.
"""

from __future__ import annotations

import numpy as np

from drive_vqa.looks import Look
from eval.evidence.points import inside
from eval.evidence.truth import TrueBox
from finetune.rewards.accuracy import is_right
from finetune.rewards.boxes import true_px
from finetune.rewards.completion import Completion
from finetune.rewards.trace_format import think_answer
from finetune.rewards.truth import Truth
from finetune.zoom.distinct import distinct

BONUS = 0.2
MOST_EXTRA = 3


def format_with_looks(completion: Completion, truth: Truth, progress: float) -> float:
    """As published."""
    extra = max(0, len(distinct(completion.looks)) - 1)
    return think_answer(completion, truth, progress) * (1.0 + BONUS * extra)


def distinct_looks(completion: Completion, truth: Truth, progress: float) -> float | None:
    """Ours."""
    del progress
    boxes = truth.evidence.boxes
    if not boxes:
        return None
    if not is_right(completion, truth):
        return 0.0
    verified = [
        look for look in completion.looks if _shows(look, [box for box in boxes if box.context == look.context])
    ]
    ordered = sorted(verified, key=lambda look: (look.context, look.aim_px))
    return min(max(0, len(distinct(ordered)) - 1), MOST_EXTRA) / MOST_EXTRA


def _shows(look: Look, boxes: list[TrueBox]) -> bool:
    return bool(inside(np.array([look.aim_px], dtype=np.float64), true_px(boxes)).any())
