"""The families of models that are known, by what config.json calls them."""

from __future__ import annotations

from drive_vqa.vlm.family import Family
from drive_vqa.vlm.idefics3 import IDEFICS3, SMOLVLM
from drive_vqa.vlm.qwen2_5_vl import QWEN2_5_VL
from drive_vqa.vlm.qwen3_vl import QWEN3_VL

FAMILIES: dict[str, Family] = {family.model_type: family for family in (QWEN2_5_VL, QWEN3_VL, IDEFICS3, SMOLVLM)}
