"""What a batch holds: questions, tokens, and who attends to whom, counted without waiting for the device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int

from finetune.packing import IGNORED


@dataclass(frozen=True)
class Work:
    """Counts over one or more batches.

    Attributes:
        questions: that are answered.
        tokens: of language, without padding.
        places: tokens with padding.
        answer_tokens: those that carry loss; logits are needed for each of them.
        attended: pairs of a token and one that it sees, itself among them; of one layer and one head.
        patches: of the vision tower, before merging.
        vision_attended: pairs of patches that see each other, of one head, summed over all layers.
    """

    questions: int
    tokens: int
    places: int
    answer_tokens: int
    attended: int
    patches: int = 0
    vision_attended: int = 0


def count_language(batch: Mapping[str, torch.Tensor]) -> Int[torch.Tensor, "5"]:
    """The first five counts of `Work`, in its order, on the batch's device.

    Args:
        batch: of `finetune.collate.Collator`. Lessons, and segments within a lesson, are contiguous in a row.
    """
    lesson, segment = batch["lesson"], batch["segment"]
    places = torch.arange(segment.shape[1], device=segment.device).expand_as(segment)
    lesson_starts = _changes(lesson)
    starts = lesson_starts | _changes(segment)
    in_prefix = (segment == 0).long()
    prefixes_before = in_prefix.cumsum(dim=1) - in_prefix
    own_prefix = prefixes_before + in_prefix - _at_latest(lesson_starts, prefixes_before)
    own_segment = places - _at_latest(starts, places) + 1
    asked, real = segment >= 1, segment >= 0
    seen = torch.where(asked, own_prefix + own_segment, own_prefix)
    counts = (
        (starts & asked).sum(),
        real.sum(),
        torch.full((), segment.numel(), device=segment.device),
        (batch["labels"] != IGNORED).sum(),
        seen.masked_fill(~real, 0).sum(),
    )
    return torch.stack(counts)


def _changes(values: Int[torch.Tensor, "rows length"]) -> Bool[torch.Tensor, "rows length"]:
    """Where a value differs from the one before it in the row."""
    changes = torch.ones_like(values, dtype=torch.bool)
    changes[:, 1:] = values[:, 1:] != values[:, :-1]
    return changes


def _at_latest(
    marked: Bool[torch.Tensor, "rows length"], rising: Int[torch.Tensor, "rows length"]
) -> Int[torch.Tensor, "rows length"]:
    """The value of a non-decreasing sequence at the latest marked place."""
    return torch.where(marked, rising, 0).cummax(dim=1).values
