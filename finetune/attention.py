"""How a packed row's attention is computed: with a dense mask (SDPA), or in blocks without what nobody sees (FlexAttention).

Both give the same numbers. In a row of many lessons most pairs see nothing of each other: blocks save their work, which is about
a third of all for 8,192 tokens of a model of 3 billion parameters (computed, not measured). FlexAttention has no backward pass
on the CPU, so training with it has only been tried as far as its forward pass.
"""

from __future__ import annotations

from typing import Any

import torch

from drive_vqa.errors import ConfigError
from finetune.packing import packed_attention, packed_block_mask

FLEX = "flex_attention"


def use_flex_attention(model: Any, device: torch.device) -> None:
    """Switch the language model of a model to train; see `to_flex_attention`.

    Raises:
        ConfigError: the device cannot train so.
    """
    if device.type != "cuda":
        raise ConfigError(f"attention={FLEX} needs CUDA to train: use attention=sdpa")
    to_flex_attention(model)


def to_flex_attention(model: Any) -> None:
    """Switch the language model; the vision tower stays as it is.

    Set where the attention layers look it up: the library's own switch refuses Qwen2.5-VL as a whole, whose language model takes
    it. The check of packed against plain losses before training would show a mask that is not heeded.
    """
    model.config.get_text_config()._attn_implementation = FLEX


def attention_mask(model: Any, batch: dict[str, torch.Tensor]) -> Any:
    """The mask of a batch in the form that the model takes.

    Args:
        model: plain, with an adapter, or wrapped for several processes.
        batch: of `finetune.collate.Collator`.
    """
    config = getattr(model, "module", model).config.get_text_config()
    build = packed_block_mask if config._attn_implementation == FLEX else packed_attention
    return build(batch["lesson"], batch["segment"])
