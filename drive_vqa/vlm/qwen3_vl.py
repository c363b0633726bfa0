"""Qwen3-VL (arXiv 2511.21631).

Boxes are [left, top, right, bottom] from 0 to 1000 over the width and over the height of the image. The vision tower hands
features on at several depths, each through a merger of its own; all mergers belong to the projector.
"""

from __future__ import annotations

from typing import Any

from drive_vqa.vlm.family import Family, SizePx
from drive_vqa.vlm.mrope import LANGUAGE, SHARED

THOUSANDTHS: SizePx = (1000, 1000)


def thousandths(_image_processor: Any, _shown_px: SizePx) -> SizePx:
    """Boxes are counted in thousandths of the width and of the height, whatever the image."""
    return THOUSANDTHS


QWEN3_VL = Family(
    name="Qwen3-VL",
    model_type="qwen3_vl",
    model_class="Qwen3VLForConditionalGeneration",
    lora_targets={
        "language": LANGUAGE,
        "vision": r"(?:.*\.)?visual\.blocks\.\d+\.(?:attn\.(?:qkv|proj)|mlp\.linear_fc[12])",
        "projector": r"(?:.*\.)?visual\.(?:merger|deepstack_merger_list\.\d+)\.linear_fc[12]",
    },
    extent=thousandths,
    unit_words="thousandths",
    **SHARED,
)
