"""What is trained: LoRA on linear layers of the language model, and whole modules where a recipe names them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from peft import LoraConfig, PeftModel, get_peft_model

from drive_vqa.errors import ConfigError
from drive_vqa.vlm import without_library_deprecations
from finetune.config import LoraSettings

LANGUAGE_LINEARS = r".*language_model\.layers\.\d+\.(self_attn\.[qkvo]_proj|mlp\.(gate|up|down)_proj)"
"""Qwen2.5-VL: all linear layers of the language model; the vision tower has layers of the same names elsewhere."""


def add_adapter(model: Any, settings: LoraSettings, base: Path) -> PeftModel:
    """Freeze a model and add a trainable adapter.

    Args:
        model: as loaded; its weights are kept and changed no more.
        settings: rank, layers and modules.
        base: folder of the model, noted in the adapter.

    Raises:
        ConfigError: the settings fit no layer or module of this model.
    """
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=settings.targets or LANGUAGE_LINEARS,
        modules_to_save=list(settings.modules_to_save) or None,
        ensure_weight_tying="embed_tokens" in settings.modules_to_save and bool(model.config.tie_word_embeddings),
        task_type="CAUSAL_LM",
    )
    _check_modules(model, settings)
    try:
        with without_library_deprecations():
            adapted = get_peft_model(model, config)
    except ValueError as error:
        raise ConfigError(f"lora.targets fits no layer of {base.name}: {' '.join(str(error).split())[:200]}") from error
    return adapted


def trainable_names(model: Any) -> list[str]:
    """Names of the parameters that training changes."""
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad]


def _check_modules(model: Any, settings: LoraSettings) -> None:
    known = {name.rpartition(".")[2] for name, _ in model.named_modules()}
    for module in settings.modules_to_save:
        if module not in known:
            raise ConfigError(f"lora.modules_to_save names {module!r}, which this model does not have")
