"""Tiny models with random weights of each known family, saved as ordinary model folders: for tests of everything but learning."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import AddedToken
from transformers import PreTrainedTokenizerFast

from drive_vqa.vlm import FAMILIES, ChatProcessor
from finetune.tiny_tokenizer import build_tokenizer

TINY_TYPES = tuple(FAMILIES)
TEXT = {
    "num_hidden_layers": 2,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 4096,
    "initializer_range": 0.15,
}
MROPE = {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [2, 3, 3]}
"""Halves of the head dimension for time, height and width."""
QWEN_VISION = {
    "depth": 2,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_heads": 2,
    "out_hidden_size": TEXT["hidden_size"],
    "initializer_range": 0.15,
}

IDEFICS_TOKENS = (
    "<image>",
    "<fake_token_around_image>",
    "<global-img>",
    "<end_of_utterance>",
    *(f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)),
)
IDEFICS_TEMPLATE = (
    "%s{%% for message in messages %%}{{ message['role'] | capitalize }}"
    "{%% if message['content'][0]['type'] == 'image' %%}{{ ':' }}{%% else %%}{{ ': ' }}{%% endif %%}"
    "{%% for part in message['content'] %%}"
    "{%% if part['type'] == 'text' %%}{{ part['text'] }}{%% elif part['type'] == 'image' %%}{{ '<image>' }}{%% endif %%}"
    "{%% endfor %%}<end_of_utterance>\n{%% endfor %%}{%% if add_generation_prompt %%}{{ 'Assistant:' }}{%% endif %%}"
)
"""The layout of Idefics3 and SmolVLM: the answer follows "Assistant:" after a blank. They differ in how a text begins."""


def make_tiny_family(model_type: str, out: Path, seed: int = 0, texts: Iterable[str] = ()) -> Path:
    """Write a model folder of a family, with config, weights, tokenizer, chat template and image processor.

    Args:
        model_type: one of TINY_TYPES.
        out: the folder.
        seed: of the weights.
        texts: what the tokenizer shall know the common phrases of.
    """
    family = FAMILIES[model_type]
    tokenizer, config, settings = _RECIPES[model_type](texts)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = getattr(transformers, family.model_class)(config)
    model.save_pretrained(str(out))
    module, name = family.image_processor
    image_processor = getattr(importlib.import_module(module), name)(**settings)
    ChatProcessor(tokenizer, image_processor, family, family.cell_px(config)).save(out)
    return out


def _qwen2_5_vl(texts: Iterable[str]) -> tuple[Any, Any, dict[str, Any]]:
    tokenizer = build_tokenizer(texts)
    vision = {**QWEN_VISION, "fullatt_block_indexes": [1], "window_size": 56}
    config = transformers.Qwen2_5_VLConfig(
        text_config=_qwen_text(tokenizer), vision_config=vision, tie_word_embeddings=True, **_qwen_ids(tokenizer)
    )
    return tokenizer, config, {"size": {"shortest_edge": 56 * 56, "longest_edge": 28 * 28 * 64}}


def _qwen3_vl(texts: Iterable[str]) -> tuple[Any, Any, dict[str, Any]]:
    tokenizer = build_tokenizer(texts)
    vision = {**QWEN_VISION, "num_position_embeddings": 64, "deepstack_visual_indexes": [0, 1]}
    config = transformers.Qwen3VLConfig(
        text_config=_qwen_text(tokenizer), vision_config=vision, tie_word_embeddings=True, **_qwen_ids(tokenizer)
    )
    settings = {"patch_size": 16, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    return tokenizer, config, {"size": {"shortest_edge": 64 * 64, "longest_edge": 32 * 32 * 64}, **settings}


def _qwen_text(tokenizer: Any) -> dict[str, Any]:
    ids = {"vocab_size": len(tokenizer), "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    return {**TEXT, **ids, "bos_token_id": None, "rope_parameters": MROPE}


def _qwen_ids(tokenizer: Any) -> dict[str, int]:
    names = {
        "image_token_id": "<|image_pad|>",
        "video_token_id": "<|video_pad|>",
        "vision_start_token_id": "<|vision_start|>",
        "vision_end_token_id": "<|vision_end|>",
    }
    return {name: tokenizer.convert_tokens_to_ids(token) for name, token in names.items()}


def _idefics(config_class: str, begin: str) -> Callable[[Iterable[str]], tuple[Any, Any, dict[str, Any]]]:
    def build(texts: Iterable[str]) -> tuple[Any, Any, dict[str, Any]]:
        tokenizer = _idefics_tokenizer(begin, texts)
        text = {
            **TEXT,
            "model_type": "llama",
            "vocab_size": len(tokenizer),
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        }
        vision = {
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 56,
            "patch_size": 14,
            "initializer_range": 0.15,
        }
        config = getattr(transformers, config_class)(
            text_config=text,
            vision_config=vision,
            scale_factor=2,
            image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
            pad_token_id=tokenizer.pad_token_id,
            tie_word_embeddings=True,
        )
        return tokenizer, config, {"size": {"longest_edge": 112}, "max_image_size": {"longest_edge": 56}}

    return build


def _idefics_tokenizer(begin: str, texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """The vocabulary of the tiny Qwen, with these families' own tokens and layout."""
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=build_tokenizer(texts).backend_tokenizer,
        bos_token=begin,
        eos_token="<end_of_utterance>",
        pad_token="<|endoftext|>",
        model_max_length=8192,
    )
    tokenizer.add_special_tokens(
        {"additional_special_tokens": [AddedToken(token, normalized=False, special=True) for token in IDEFICS_TOKENS]}
    )
    tokenizer.chat_template = IDEFICS_TEMPLATE % begin
    return tokenizer


_RECIPES: dict[str, Callable[[Iterable[str]], tuple[Any, Any, dict[str, Any]]]] = {
    "qwen2_5_vl": _qwen2_5_vl,
    "qwen3_vl": _qwen3_vl,
    "idefics3": _idefics("Idefics3Config", "<|begin_of_text|>"),
    "smolvlm": _idefics("SmolVLMConfig", "<|im_start|>"),
}
