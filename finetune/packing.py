"""Shared-prefix packing: the questions about one set of images in one sequence, with the images once.

    tokens     prefix (images)   question 1, answer 1   question 2, answer 2   …   padding
    segment    0 … 0             1 … 1                  2 … 2                      -1
    positions  0 … p-1           p, p+1 …               p, p+1 …  (M-RoPE)

Each question sees the prefix and itself, causally, and never another question or its answer; its positions start where the
prefix ends, as if it stood alone. Logits, loss and gradients are those of the separate samples, up to the order in which floats
are added (the loss being a mean over answer tokens in both).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int

from drive_vqa.errors import ModelError

IGNORED = -100
"""Label of a token that carries no loss."""
PADDING = -1
"""Segment of padding."""


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

    input_ids: Int[torch.Tensor, "length"]
    labels: Int[torch.Tensor, "length"]
    segment: Int[torch.Tensor, "length"]
    offset: Int[torch.Tensor, "length"]


def pack(samples: Sequence[Sample], prefix_end_id: int) -> Packed:
    """Pack samples behind their common prefix, which ends with the last image.

    Args:
        samples: at least one; about the same images.
        prefix_end_id: token that closes an image.

    Raises:
        ModelError: the samples do not begin alike, or one has no image.
    """
    prefix = _common_prefix(samples, prefix_end_id)
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


def packed_attention(segment: Int[torch.Tensor, "rows length"]) -> Bool[torch.Tensor, "rows 1 length length"]:
    """Who (row) sees whom (column): the prefix and one's own sample, up to oneself."""
    own = segment[:, :, None] == segment[:, None, :]
    prefix = segment[:, None, :] == 0
    up_to_oneself = torch.ones(segment.shape[1], segment.shape[1], dtype=torch.bool, device=segment.device).tril()
    return ((own | prefix) & up_to_oneself)[:, None]


def packed_positions(
    prefix_positions: Int[torch.Tensor, "3 rows length"],
    segment: Int[torch.Tensor, "rows length"],
    offset: Int[torch.Tensor, "rows length"],
) -> Int[torch.Tensor, "3 rows length"]:
    """M-RoPE positions of packed rows.

    Args:
        prefix_positions: the model's own positions (time, height, width) of the prefix; anything elsewhere.
        segment: see `Packed`.
        offset: see `Packed`; text after the prefix counts on from its greatest position (Qwen2-VL, arXiv 2409.12191, 2.1).
    """
    in_prefix = segment == 0
    prefix_end = prefix_positions.masked_fill(~in_prefix, -1).amax(dim=(0, 2)) + 1
    return torch.where(in_prefix, prefix_positions, prefix_end[:, None] + offset)


def _common_prefix(samples: Sequence[Sample], prefix_end_id: int) -> tuple[int, ...]:
    first = samples[0].prompt
    if prefix_end_id not in first:
        raise ModelError("a question has no image: it cannot share the images of its group")
    length = len(first) - first[::-1].index(prefix_end_id)
    if any(sample.prompt[:length] != first[:length] for sample in samples):
        raise ModelError("the questions of a group do not begin with the same images: set pack=false")
    return first[:length]
