"""Qwen2.5-VL (arXiv 2502.13923).

Boxes are [left, top, right, bottom] in pixels of the image as its image processor has resized it.
"""

from __future__ import annotations

from drive_vqa.vlm.family import Family
from drive_vqa.vlm.mrope import LANGUAGE, SHARED, resized_px

QWEN2_5_VL = Family(
    name="Qwen2.5-VL",
    model_type="qwen2_5_vl",
    model_class="Qwen2_5_VLForConditionalGeneration",
    lora_targets={
        "language": LANGUAGE,
        "vision": r"(?:.*\.)?visual\.blocks\.\d+\.(?:attn\.(?:qkv|proj)|mlp\.(?:gate|up|down)_proj)",
        "projector": r"(?:.*\.)?visual\.merger\.mlp\.[02]",
    },
    extent=resized_px,
    unit_words="pixels",
    **SHARED,
)
