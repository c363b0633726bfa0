"""The library's trainer with our loss: packed rows, answers only, and nothing silently wrong."""

from __future__ import annotations

from typing import Any, cast

import torch
from transformers import Trainer

from drive_vqa.errors import ModelError
from finetune.adapter import trainable_names
from finetune.config import FinetuneConfig
from finetune.meter import Meter
from finetune.muon import MuonWithAdamW
from finetune.packing import IGNORED, packed_attention, packed_positions

Batch = dict[str, torch.Tensor]


class PackedTrainer(Trainer):  # type: ignore[misc]
    """Trains on batches of `finetune.collate.Collator`."""

    def __init__(self, *, config: FinetuneConfig, meter: Meter, image_token_id: int, **options: Any) -> None:
        """Prepare.

        Args:
            config: which optimizer and how fast.
            meter: told what each batch held.
            image_token_id: of the model.
            options: of `transformers.Trainer`.
        """
        super().__init__(**options)
        self._config = config
        self._meter = meter
        self._image_token_id = image_token_id
        self.model_accepts_loss_kwargs = (
            True  # so that the trainer hands over the number of answer tokens of a whole step
        )

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: Batch,
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Mean negative log-likelihood of the answer tokens of a whole step, in nats.

        Raises:
            ModelError: it is not a finite number.
        """
        del return_outputs  # there is no evaluation loop
        self._meter.count(inputs)
        total, count = answer_loss(model, inputs, self._image_token_id)
        loss = total / (count if num_items_in_batch is None else num_items_in_batch)
        if not torch.isfinite(loss):
            step = self.state.global_step
            raise ModelError(
                f"the loss of step {step + 1} is {loss.item()}: lower learning_rate, or set precision=fp32"
            )
        return loss * self.accelerator.num_processes if self.args.average_tokens_across_devices else loss

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        """The optimizer that the recipe asks for."""
        if self._config.optimizer == "adamw":
            return cast(torch.optim.Optimizer, super().create_optimizer(model))
        trained = self.model if model is None else model
        self.optimizer: torch.optim.Optimizer = MuonWithAdamW(
            [(name, parameter) for name, parameter in trained.named_parameters() if parameter.requires_grad],
            learning_rate=self._config.learning_rate,
            muon_learning_rate=self._config.muon_learning_rate,
            weight_decay=self._config.weight_decay,
        )
        return self.optimizer


def answer_loss(model: Any, batch: Batch, image_token_id: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Summed negative log-likelihood of the answer tokens and their number.

    Logits are made only where some row's next token is an answer's, since a vocabulary is far wider than the model.
    """
    labels = batch["labels"]
    kept = (labels[:, 1:] != IGNORED).any(dim=0).nonzero().flatten()
    if len(kept) == 0:
        raise ModelError("a batch has no answer to learn from")
    logits = model(**forward_inputs(model, batch, image_token_id), logits_to_keep=kept).logits
    targets = labels[:, kept + 1]
    total = torch.nn.functional.cross_entropy(
        logits.float().flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="sum"
    )
    return total, (targets != IGNORED).sum()


def forward_inputs(model: Any, batch: Batch, image_token_id: int) -> dict[str, Any]:
    """Arguments of the model's forward pass: masks and positions are made here, on the model's device."""
    segment, input_ids = batch["segment"], batch["input_ids"]
    prefix_positions, _ = _rope_index(model)(
        input_ids,
        mm_token_type_ids=(input_ids == image_token_id).int(),
        image_grid_thw=batch["image_grid_thw"],
        attention_mask=(segment == 0).long(),
    )
    return {
        "input_ids": input_ids,
        "position_ids": packed_positions(prefix_positions, segment, batch["offset"]),
        "attention_mask": packed_attention(segment),
        "pixel_values": batch["pixel_values"],
        "image_grid_thw": batch["image_grid_thw"],
        "use_cache": False,
    }


def _rope_index(model: Any) -> Any:
    """The model's own rule for positions, wherever wrappers have put it."""
    for module in model.modules():
        if hasattr(module, "get_rope_index"):
            return module.get_rope_index
    raise ModelError("the model has no M-RoPE positions: only Qwen2.5-VL is known")


def count_trainable(model: Any) -> int:
    """Parameters that training changes."""
    names = set(trainable_names(model))
    return sum(parameter.numel() for name, parameter in model.named_parameters() if name in names)
