"""An answer that was sampled, with what it earned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PIL import Image

from eval.reasoning.trace import ReadTrace
from finetune.refine.asked import AskedQuestion


@dataclass(frozen=True, eq=False)
class SampledAnswer:
    """One answer.

    Attributes:
        asked: the question.
        text: what the model said, boxes in pixels of the original images.
        trace: the text as it was read.
        rewards: each by its name; None where it does not apply.
        total: their weighted sum.
        advantage: over the other answers to the question.
        images: what was shown: frames of the prompt, then crops.
    """

    asked: AskedQuestion
    text: str
    trace: ReadTrace
    rewards: Mapping[str, float | None]
    total: float
    advantage: float
    images: Sequence[Image.Image]
