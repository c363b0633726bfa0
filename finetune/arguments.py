"""A recipe in the words of transformers' trainer."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments

from finetune.config import FinetuneConfig


def training_arguments(
    config: FinetuneConfig, checkpoints: Path, device: torch.device, steps: int
) -> TrainingArguments:
    """Our settings for the library.

    Args:
        config: a recipe.
        checkpoints: folder for them.
        device: where the model is.
        steps: of the whole training.
    """
    rates = config.learning_rates
    return TrainingArguments(
        output_dir=str(checkpoints),
        per_device_train_batch_size=config.batch_size,
        gradient_accumulation_steps=config.gradient_accumulation,
        max_steps=steps,
        learning_rate=max(rate for rate in (rates.language, rates.vision, rates.projector) if rate is not None),
        lr_scheduler_type=config.schedule,
        warmup_steps=config.warmup_fraction,
        weight_decay=config.weight_decay,
        max_grad_norm=config.max_grad_norm,
        bf16=config.precision == "bf16" or (config.precision == "auto" and device.type == "cuda"),
        use_cpu=device.type == "cpu",
        logging_steps=config.log_steps,
        logging_nan_inf_filter=False,
        save_steps=config.checkpoint_steps,
        dataloader_num_workers=config.workers,
        dataloader_pin_memory=device.type == "cuda",
        remove_unused_columns=False,
        label_names=["labels"],
        report_to="none",
        disable_tqdm=True,
        seed=config.seed,
        data_seed=config.seed,
        **_looks(config),
        **recomputation(enabled=config.gradient_checkpointing),
    )


def _looks(config: FinetuneConfig) -> dict[str, Any]:
    """Looks at held-out questions; the weights of the lowest loss are kept."""
    if not config.evaluation.steps:
        return {}
    return {
        "eval_strategy": "steps",
        "eval_steps": config.evaluation.steps,
        "metric_for_best_model": "loss",
        "greater_is_better": False,
        "load_best_model_at_end": True,
    }


def recomputation(*, enabled: bool) -> dict[str, bool]:
    """Gradient checkpointing, which transformers 5.23 renamed."""
    names = {field.name for field in fields(TrainingArguments)}
    name = "activation_checkpointing" if "activation_checkpointing" in names else "gradient_checkpointing"
    return {name: enabled}
