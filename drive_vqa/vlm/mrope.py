"""What Qwen's families share: images as patches in any number, positions in time, height and width (M-RoPE).

M-RoPE: Qwen2-VL, arXiv 2409.12191, section 2.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Int
from PIL import Image
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

from drive_vqa.errors import ModelError
from drive_vqa.vlm.family import Layout, SizePx, Tensors

IMAGE_TOKEN = "<|image_pad|>"  # noqa: S105 - a token of text
VISION_END = "<|vision_end|>"
END_OF_TURN = "<|im_end|>"

LANGUAGE = r"(?:.*\.)?language_model\.layers\.\d+\.(?:self_attn\.[qkvo]_proj|mlp\.(?:gate|up|down)_proj)"


def cell_px(config: Any) -> int:
    """Side of the square of pixels that becomes one language token: merged patches."""
    return int(config.vision_config.patch_size * config.vision_config.spatial_merge_size)


def process(image_processor: Any, images: Sequence[Image.Image], cell_px: int) -> tuple[Tensors, list[Layout]]:
    """Patches of all images, and the rows and columns of tokens of each.

    Raises:
        ModelError: the image processor is not that of the model.
    """
    own_px = image_processor.patch_size * image_processor.merge_size
    if own_px != cell_px:
        raise ModelError(
            f"the image processor makes a token of {own_px} pixels square and the model one of {cell_px}: "
            "copy the preprocessor_config.json that came with the checkpoint"
        )
    features = image_processor(images=list(images), return_tensors="pt")
    merge = image_processor.merge_size
    layouts: list[Layout] = [
        (rows // merge, columns // merge) for _, rows, columns in features["image_grid_thw"].tolist()
    ]
    return {"pixel_values": features["pixel_values"], "image_grid_thw": features["image_grid_thw"]}, layouts


def layout(image_processor: Any, size_px: SizePx, cell_px: int) -> Layout:
    """Rows and columns of tokens of an image."""
    wide, high = resized_px(image_processor, size_px)
    return high // cell_px, wide // cell_px


def expand(layout: Layout) -> str:
    """A placeholder for each token; the chat template has written what stands around them."""
    return IMAGE_TOKEN * (layout[0] * layout[1])


def positions(
    is_image: Bool[torch.Tensor, " length"], inputs: Tensors, image_processor: Any
) -> Int[torch.Tensor, "3 length"]:
    """Text counts on all three axes alike; an image counts its rows and columns, and text goes on after its longer side."""
    merge = int(image_processor.merge_size)
    numbered = torch.zeros(3, len(is_image), dtype=torch.long)
    steps = (~is_image).long()
    places, taken = is_image.nonzero().flatten().tolist(), 0
    begins = []
    for _, rows, columns in inputs["image_grid_thw"].tolist() if inputs else ():
        high, wide = rows // merge, columns // merge
        start = places[taken]
        inside = slice(start, start + high * wide)
        numbered[1, inside] = torch.arange(high).repeat_interleave(wide)
        numbered[2, inside] = torch.arange(wide).repeat(high)
        steps[start] = max(high, wide)
        begins.append(inside)
        taken += high * wide
    before = steps.cumsum(0) - steps
    for inside in begins:
        before[inside] = before[inside.start].clone()
    return numbered + before


def resized_px(image_processor: Any, size_px: SizePx) -> SizePx:
    """(width, height) of an image after the image processor's own rule.

    Raises:
        ModelError: the image is too narrow for it.
    """
    try:
        high, wide = smart_resize(
            size_px[1],
            size_px[0],
            factor=image_processor.patch_size * image_processor.merge_size,
            min_pixels=image_processor.size["shortest_edge"],
            max_pixels=image_processor.size["longest_edge"],
        )
    except ValueError as error:
        raise ModelError(f"an image of {size_px[0]}×{size_px[1]} pixels cannot be shown: {error}") from error
    return wide, high


SHARED: dict[str, Any] = {
    "image_processor": ("transformers.models.qwen2_vl.image_processing_pil_qwen2_vl", "Qwen2VLImageProcessorPil"),
    "image_token": IMAGE_TOKEN,
    "image_end": VISION_END,
    "end_of_turn": END_OF_TURN,
    "other_tokens": (),
    "typed_tokens": True,
    "image_axis": 0,
    "part_patterns": {
        "projector": r"(?:^|\.)visual\.(?:merger|deepstack_merger_list)(?:\.|$)",
        "vision": r"(?:^|\.)visual(?:\.|$)",
        "language": r"(?:^|\.)(?:language_model|lm_head)(?:\.|$)",
    },
    "kept_precise": ("visual", "lm_head"),
    "cell_px": cell_px,
    "process": process,
    "layout": layout,
    "expand": expand,
    "positions": positions,
}
"""The fields of `Family` in which Qwen2.5-VL and Qwen3-VL are the same."""
