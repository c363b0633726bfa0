"""The first look: what the language model's first layer should say at a mark's number behind a picture.

Is this number shown, and where is its object? A question names a mark by its number, so an answer begins with this look, which
questions alone hardly teach. Numbers that are not shown are asked for too: without them nothing was found in the time that taught
it (docs/tiny.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float

from drive_vqa.errors import ConfigError
from drive_vqa.vlm import ChatProcessor
from finetune.dense.cells import TARGET_WEIGHTS, huber
from finetune.dense.pictures import NUMBERS, TARGETS, MarkedPicture
from finetune.dense.rows import FramesPrefix
from finetune.packing import Packed, Sample, pack_behind

PRESENCE_WEIGHT = 2.0
FARTHEST = 20
"""Text tokens between the picture and a number, at most: about as many as a question has before its mark."""
READ_STD = 0.02


class NumberHead(torch.nn.Module):
    """Reads a mark's six targets and its presence out of what the language model holds at a token."""

    def __init__(self, width: int) -> None:
        """Prepare for hidden states of a width."""
        super().__init__()
        self.read = torch.nn.Linear(width, TARGETS + 1)
        torch.nn.init.normal_(self.read.weight, std=READ_STD)
        torch.nn.init.zeros_(self.read.bias)

    def forward(self, hidden: Float[torch.Tensor, "... width"]) -> Float[torch.Tensor, "... targets_and_presence"]:
        """Read at some tokens; presence is a logit."""
        reading: torch.Tensor = self.read(torch.nn.functional.rms_norm(hidden, hidden.shape[-1:]))
        return reading


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


def number_targets(pictures: Sequence[MarkedPicture]) -> Float[torch.Tensor, "pictures numbers targets_and_presence"]:
    """What the head should say: the six targets of the object that a number marks, and 1; zeros where it marks none."""
    targets = torch.zeros(len(pictures), NUMBERS, TARGETS + 1)
    for own, picture in zip(targets, pictures, strict=True):
        for number, thing in picture.marked.items():
            own[number % NUMBERS] = torch.tensor([*thing.targets(), 1.0])
    return targets


def number_loss(
    reading: Float[torch.Tensor, "pictures numbers targets_and_presence"],
    targets: Float[torch.Tensor, "pictures numbers targets_and_presence"],
) -> Float[torch.Tensor, ""]:
    """Cross-entropy of presence over all numbers, and a Huber loss of the targets of those that are shown."""
    present = targets[..., -1]
    found = torch.nn.functional.binary_cross_entropy_with_logits(reading[..., -1], present)
    off = huber(reading[..., :-1], targets[..., :-1]) @ torch.tensor(TARGET_WEIGHTS, device=present.device)
    return PRESENCE_WEIGHT * found + (off * present).sum() / present.sum().clamp(min=1)
