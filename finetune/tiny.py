"""A tiny Qwen2.5-VL with seeded random weights, saved as an ordinary model folder.

The architecture is the library's own at the smallest shape that learned to see distance and bearing on two CPU cores: 14-pixel
patches, so one language token covers 28×28 pixels; full attention in the vision tower, because windows of 112 pixels are most
of such a small picture. Embeddings and head are apart, so that the head can learn while the embeddings stay as they are.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import torch
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2Tokenizer
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.utils import logging as transformers_logging

from drive_vqa.vlm import ChatProcessor
from finetune.tiny_tokenizer import build_tokenizer

VISION = {
    "depth": 4,
    "hidden_size": 128,
    "intermediate_size": 336,
    "num_heads": 4,
    "patch_size": 14,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
    "window_size": 112,
    "fullatt_block_indexes": [0, 1, 2, 3],
    "out_hidden_size": 192,
}
TEXT = {
    "num_hidden_layers": 6,
    "hidden_size": 192,
    "intermediate_size": 576,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 8192,
    "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [6, 9, 9]},
}
PIXELS = {"shortest_edge": 56 * 56, "longest_edge": 28 * 28 * 1280}


def make_tiny_base(out: Path, seed: int, texts: Iterable[str] = ()) -> Path:
    """Write the model folder, or keep the one that is there.

    Args:
        out: folder that shall hold config, weights, tokenizer and image processor; it appears only when complete.
        seed: of the random weights.
        texts: questions and answers whose common phrases the tokenizer shall know.
    """
    if out.exists():
        return out
    partial = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    partial.mkdir(parents=True)
    transformers_logging.disable_progress_bar()
    try:
        tokenizer = build_tokenizer(texts)
        build_tiny_model(tokenizer, seed).save_pretrained(str(partial))
        ChatProcessor(tokenizer, Qwen2VLImageProcessorPil(size=PIXELS)).save(partial)
        partial.replace(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return out


def build_tiny_model(tokenizer: Qwen2Tokenizer, seed: int) -> Qwen2_5_VLForConditionalGeneration:
    """The model with random weights that depend on `seed` alone."""
    token = tokenizer.convert_tokens_to_ids
    text = {
        **TEXT,
        "vocab_size": len(tokenizer),
        "bos_token_id": token("<|endoftext|>"),
        "eos_token_id": token("<|im_end|>"),
        "pad_token_id": token("<|endoftext|>"),
    }
    config = Qwen2_5_VLConfig(
        text_config=text,
        vision_config=dict(VISION),
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=False,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Qwen2_5_VLForConditionalGeneration(config)
