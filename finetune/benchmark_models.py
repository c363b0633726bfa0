"""Models of real shape and random weights for benchmarks: speed does not depend on what a model has learned.

The shapes are those of the published configurations of Qwen2.5-VL-3B-Instruct and -7B-Instruct (arXiv 2502.13923, table 1).
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2Tokenizer
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from drive_vqa.vlm import FAMILIES, ChatProcessor
from finetune.tiny import PIXELS, build_tiny_model

Shape = Literal["tiny", "3b", "7b"]

VISION = {
    "depth": 32,
    "hidden_size": 1280,
    "intermediate_size": 3420,
    "num_heads": 16,
    "patch_size": 14,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
    "window_size": 112,
    "fullatt_block_indexes": [7, 15, 23, 31],
}
TEXT = {
    "max_position_embeddings": 128000,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1_000_000.0, "mrope_section": [16, 24, 24]},
}
SHAPES: dict[str, dict[str, Any]] = {
    "3b": {
        "hidden_size": 2048,
        "intermediate_size": 11008,
        "num_hidden_layers": 36,
        "num_attention_heads": 16,
        "num_key_value_heads": 2,
        "vocab_size": 151936,
    },
    "7b": {
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "vocab_size": 152064,
    },
}
TIED = {"3b": True, "7b": False}


def build_model(shape: Shape, tokenizer: Qwen2Tokenizer, device: torch.device) -> Any:
    """A model with random weights, made where it will be trained: in bfloat16 on CUDA, else in float32.

    Args:
        shape: see SHAPES.
        tokenizer: whose ids the model knows; its vocabulary is the beginning of the published one's size.
        device: cpu, cuda or meta.
    """
    if shape == "tiny":
        return build_tiny_model(tokenizer, seed=0).to(device)
    dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
    torch.manual_seed(0)
    with torch.device(device):
        return Qwen2_5_VLForConditionalGeneration._from_config(model_config(shape, tokenizer), dtype=dtype)


def model_config(shape: Literal["3b", "7b"], tokenizer: Qwen2Tokenizer) -> Qwen2_5_VLConfig:
    """The configuration of a published shape."""
    token = tokenizer.convert_tokens_to_ids
    text = {**TEXT, **SHAPES[shape], "bos_token_id": token("<|endoftext|>"), "eos_token_id": token("<|im_end|>")}
    return Qwen2_5_VLConfig(
        text_config={**text, "pad_token_id": token("<|endoftext|>")},
        vision_config={**VISION, "out_hidden_size": SHAPES[shape]["hidden_size"]},
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=TIED[shape],
    )


def build_processor(tokenizer: Qwen2Tokenizer) -> ChatProcessor:
    """The processor of all these models."""
    return ChatProcessor(tokenizer, Qwen2VLImageProcessorPil(size=PIXELS), FAMILIES["qwen2_5_vl"], cell_px=28)
