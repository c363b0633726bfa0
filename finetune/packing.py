"""Shared-prefix packing: the questions about one set of images in one sequence, with the images once.

    tokens     prefix (images)   question 1, answer 1   question 2, answer 2   …   the next lesson   …   padding
    lesson     0 … 0             0 … 0                  0 … 0                      1 … 1                 -1
    segment    0 … 0             1 … 1                  2 … 2                      0 … 0  1 …            -1
    positions  0 … p-1           p, p+1 …               p, p+1 …  (M-RoPE)         0 …                   0

A lesson is one group with its questions; a row holds lessons one after another. Each question sees the prefix of its lesson and
itself, causally, and never another question, its answer or another lesson; its positions start where the prefix ends, as if it
stood alone. Logits, loss and gradients are those of the separate samples, up to the order in which floats are added (the loss
being a mean over answer tokens in both).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Int

from drive_vqa.errors import ModelError

if TYPE_CHECKING:
    from torch.nn.attention.flex_attention import BlockMask

IGNORED = -100
"""Label of a token that carries no loss."""
PADDING = -1
"""Lesson and segment of padding."""

MaskMod = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""Row, head, query and key → whether the query sees the key."""


@dataclass(frozen=True)
class Sample:
    """One question with its answer, as token ids."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Packed:
    """Samples that share a prefix, as one sequence.

    Attributes:
        input_ids: prefix, then each sample's own tokens.
        labels: the token itself where it belongs to an answer, else IGNORED.
        segment: 0 in the prefix, n ≥ 1 in the n-th sample.
        offset: place of a token in its segment, from 0.
    """

    input_ids: Int[torch.Tensor, " length"]
    labels: Int[torch.Tensor, " length"]
    segment: Int[torch.Tensor, " length"]
    offset: Int[torch.Tensor, " length"]

    @property
    def prefix_length(self) -> int:
        """Tokens of the prefix."""
        return int((self.segment == 0).sum())

    def positions(self, prefix_positions: Int[torch.Tensor, "axes prefix"]) -> Int[torch.Tensor, "axes length"]:
        """Positions of all tokens.

        Args:
            prefix_positions: the model's own positions of the prefix alone; text behind it counts on from the greatest of them
                (Qwen2-VL, arXiv 2409.12191, 2.1).
        """
        behind = prefix_positions.max() + 1 + self.offset[self.prefix_length :]
        return torch.cat([prefix_positions, behind.expand(len(prefix_positions), -1)], dim=1)


def pack(samples: Sequence[Sample], image_token_id: int) -> Packed:
    """Pack samples behind their longest common prefix.

    The last token of a prompt is never shared: its logits are the first token of the sample's own answer.

    Args:
        samples: at least one; about the same images.
        image_token_id: the placeholder that image features replace.

    Raises:
        ModelError: the samples do not share all their images, or one has no image.
    """
    return pack_behind(samples[0].prompt[: _common_length(samples, image_token_id)], samples)


def pack_behind(prefix: Sequence[int], samples: Sequence[Sample]) -> Packed:
    """Pack samples behind a prefix that all their prompts begin with."""
    input_ids, labels = list(prefix), [IGNORED] * len(prefix)
    segment, offset = [0] * len(prefix), list(range(len(prefix)))
    for number, sample in enumerate(samples, start=1):
        own = sample.prompt[len(prefix) :]
        length = len(own) + len(sample.answer)
        input_ids += [*own, *sample.answer]
        labels += [*[IGNORED] * len(own), *sample.answer]
        segment += [number] * length
        offset += range(length)
    return Packed(*(torch.tensor(values) for values in (input_ids, labels, segment, offset)))


def packed_attention(
    lesson: Int[torch.Tensor, "rows length"], segment: Int[torch.Tensor, "rows length"]
) -> Bool[torch.Tensor, "rows 1 length length"]:
    """Who (row) sees whom (column): the prefix of one's lesson and one's own sample, up to oneself."""
    same_lesson = lesson[:, :, None] == lesson[:, None, :]
    own = segment[:, :, None] == segment[:, None, :]
    prefix = segment[:, None, :] == 0
    up_to_oneself = torch.ones(segment.shape[1], segment.shape[1], dtype=torch.bool, device=segment.device).tril()
    return (same_lesson & (own | prefix) & up_to_oneself)[:, None]


def packed_block_mask(lesson: Int[torch.Tensor, "rows length"], segment: Int[torch.Tensor, "rows length"]) -> BlockMask:
    """`packed_attention` for models that are loaded with `attn_implementation="flex_attention"`.

    Blocks that nobody sees are not computed (PyTorch's FlexAttention, arXiv 2412.05496), which is most of them where a row holds
    several lessons or many questions.
    """
    from torch.nn.attention.flex_attention import create_block_mask

    rows, length = segment.shape
    return create_block_mask(sees(lesson, segment), rows, None, length, length, device=segment.device)


def sees(lesson: Int[torch.Tensor, "rows length"], segment: Int[torch.Tensor, "rows length"]) -> MaskMod:
    """The rule of `packed_attention`, for one pair at a time."""
    # a lambda, because FlexAttention counts the arguments of the bare function
    return lambda row, _head, query, key: (
        (lesson[row, query] == lesson[row, key])
        & ((segment[row, key] == 0) | (segment[row, key] == segment[row, query]))
        & (query >= key)
    )


def _common_length(samples: Sequence[Sample], image_token_id: int) -> int:
    """Tokens that all prompts begin with, without the last one of any."""
    first, *others = (sample.prompt for sample in samples)
    length = min(len(sample.prompt) for sample in samples) - 1
    for other in others:
        length = next((place for place in range(length) if first[place] != other[place]), length)
    if any(image_token_id in sample.prompt[length:] for sample in samples):
        raise ModelError("the questions of a group do not begin with the same images: set pack=false")
    if image_token_id not in first:
        raise ModelError("a question has no image: it cannot share the images of its group")
    return length
