"""The loss of a packed batch: negative log-likelihood of the answers, nothing else."""

from __future__ import annotations

from typing import Any

import torch

from drive_vqa.errors import ModelError
from finetune.attention import attention_mask
from finetune.packing import IGNORED

Batch = dict[str, torch.Tensor]

NOT_FOR_THE_MODEL = frozenset({"labels", "lesson", "segment"})


def answer_loss(model: Any, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Summed negative log-likelihood of the answer tokens, in nats, and their number.

    Logits are made only where some row's next token is an answer's, since a vocabulary is far wider than the model.

    Args:
        model: plain, with an adapter, or wrapped for several processes.
        batch: of `finetune.collate.Collator`, on the model's device.

    Raises:
        ModelError: nothing in the batch carries loss.
    """
    labels = batch["labels"]
    kept = (labels[:, 1:] != IGNORED).any(dim=0).nonzero().flatten()
    if len(kept) == 0:
        raise ModelError("a batch has no answer to learn from: its questions have empty answers")
    logits = model(**forward_inputs(model, batch), logits_to_keep=kept).logits
    targets = labels[:, kept + 1]
    total = torch.nn.functional.cross_entropy(
        logits.float().flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="sum"
    )
    return total, (targets != IGNORED).sum()


def forward_inputs(model: Any, batch: Batch) -> dict[str, Any]:
    """Arguments of the model's forward pass; the mask is made here, on the model's device."""
    inputs: dict[str, Any] = {name: value for name, value in batch.items() if name not in NOT_FOR_THE_MODEL}
    return {**inputs, "attention_mask": attention_mask(model, batch), "use_cache": False}
