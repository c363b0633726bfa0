"""The first look: what the second layer of the language model should say at a mark's number behind frames.

In which of the frames is this number shown, and where is its object there? A question names a mark by its number, so an answer
begins with this look, which questions alone hardly teach; and how an object moves shows in nothing but its places in several
frames. Numbers that are not shown are asked for too: without them nothing was found in the time that taught it (docs/tiny.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float

from drive_vqa.errors import ConfigError
from drive_vqa.vlm import ChatProcessor
from finetune.dense.cells import TARGET_WEIGHTS, TARGETS, Readout, known_huber
from finetune.dense.moments import MOST_FRAMES, NUMBERS, MarkedMoment
from finetune.dense.rows import FramesPrefix
from finetune.packing import Packed, Sample, pack_behind

PRESENCE_WEIGHT = 2.0
FARTHEST = 20
"""Text tokens between the frames and a number, at most: about as many as a question has before its mark."""
READ = TARGETS + 1
"""Of a mark in a frame: its targets, and a logit that it is shown."""


class NumberHead(Readout):
    """Reads a mark's targets and its presence in each frame out of what the language model holds at a token; now comes last."""

    def __init__(self, width: int) -> None:
        """Prepare for hidden states of a width."""
        super().__init__(width, MOST_FRAMES * READ)

    def forward(self, hidden: Float[torch.Tensor, "... width"]) -> Float[torch.Tensor, "... frames read"]:
        """Read at some tokens."""
        return super().forward(hidden).view(*hidden.shape[:-1], MOST_FRAMES, READ)


def digit_ids(processor: ChatProcessor) -> list[int]:
    """The token of each mark number.

    Raises:
        ConfigError: the tokenizer writes a digit in several tokens.
    """
    written = [processor.tokenizer(str(number), add_special_tokens=False)["input_ids"] for number in range(NUMBERS)]
    if any(len(ids) != 1 for ids in written):
        raise ConfigError(
            "dense_pretraining needs a tokenizer with a token for each digit: set dense_pretraining.steps=0"
        )
    return [ids[0] for ids in written]


def every_number(prefix: FramesPrefix, digits: Sequence[int]) -> Packed:
    """Behind frames every number, each alone."""
    return pack_behind(prefix.ids, [Sample((*prefix.ids, digit), ()) for digit in digits])


def number_targets(moments: Sequence[MarkedMoment]) -> Float[torch.Tensor, "moments numbers frames read"]:
    """What the head should say: the targets of the object that a number marks, and 1; only 0 where it marks none.

    NaN where there is nothing to be said: frames that the moment does not have, and targets of what is not shown.
    """
    targets = np.full((len(moments), NUMBERS, MOST_FRAMES, READ), np.nan, dtype=np.float32)
    for own, moment in zip(targets, moments, strict=True):
        frames = len(moment.images)
        own[:, -frames:, -1] = 0.0
        for frame in range(frames):
            for number, values in moment.shown(frame).items():
                own[number % NUMBERS, frame - frames] = [*values, 1.0]
    return torch.from_numpy(targets)


def number_loss(
    reading: Float[torch.Tensor, "moments numbers frames read"],
    targets: Float[torch.Tensor, "moments numbers frames read"],
) -> Float[torch.Tensor, ""]:
    """Cross-entropy of presence over all numbers, and a Huber loss of the targets where they are shown."""
    asked = torch.isfinite(targets[..., -1])
    found = torch.nn.functional.binary_cross_entropy_with_logits(reading[..., -1][asked], targets[..., -1][asked])
    weights = torch.tensor(TARGET_WEIGHTS, device=targets.device)
    return PRESENCE_WEIGHT * found + known_huber(reading[..., :-1], targets[..., :-1], weights)
