"""Idefics3 (arXiv 2408.12637) and SmolVLM (arXiv 2504.05299): an image is cut into square tiles, and shown as a whole besides.

No convention for boxes was published with these models, so we set one: from 0 to 1000 over the width and over the height of the
whole image, whatever its tiles, as Qwen3-VL has it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from PIL import Image

from drive_vqa.vlm.family import Family, Layout, SizePx, Tensors
from drive_vqa.vlm.qwen3_vl import thousandths

IMAGE_TOKEN = "<image>"  # noqa: S105 - a token of text
AROUND_IMAGE = "<fake_token_around_image>"
GLOBAL_IMAGE = "<global-img>"
END_OF_TURN = "<end_of_utterance>"
LONGEST_PX = 4096
"""The image processor makes no side longer, whatever its settings."""

ALMOST_ZERO = 1e-6
"""The model takes a tile of zeros for padding and drops it; this is no zero in any float type of 16 bits."""


def cell_px(config: Any) -> int:
    """Side of the square of pixels that becomes one language token: patches that pixel shuffle joins."""
    return int(config.vision_config.patch_size * config.scale_factor)


def process(image_processor: Any, images: Sequence[Image.Image], cell_px: int) -> tuple[Tensors, list[Layout]]:
    """All tiles of all images in one row, each image's own row by row and the whole image after them.

    One row for all, because the model fills placeholders in order whatever rows they stand in, and tiles that pad a row would
    cost time. The processor makes every tile a square of `max_image_size`, so no tile is padded either.
    """
    features = image_processor(images=[list(images)], return_row_col_info=True, return_tensors="pt")
    tiles = _without_zeros(features["pixel_values"][0])[None]
    mask = torch.ones_like(tiles[:, :, 0], dtype=torch.bool)
    tokens = _tokens_per_tile(image_processor, cell_px)
    layouts: list[Layout] = [
        (rows, columns, tokens) for rows, columns in zip(features["rows"][0], features["cols"][0], strict=True)
    ]
    return {"pixel_values": tiles, "pixel_attention_mask": mask}, layouts


def layout(image_processor: Any, size_px: SizePx, cell_px: int) -> Layout:
    """Rows and columns of tiles of an image, 0 and 0 where it is one tile; and tokens a tile.

    The processor's own count (get_number_of_image_patches) is off where `size` is no multiple of a tile.
    """
    tokens = _tokens_per_tile(image_processor, cell_px)
    tile_px = int(image_processor.max_image_size["longest_edge"])
    if not image_processor.do_image_splitting:
        return 0, 0, tokens
    wide, high = (
        _resized_px(size_px, int(image_processor.size["longest_edge"])) if image_processor.do_resize else size_px
    )
    aspect = wide / high
    if wide >= high:
        columns = math.ceil(wide / tile_px)
        rows = math.ceil(int(columns * tile_px / aspect) / tile_px)
    else:
        rows = math.ceil(high / tile_px)
        columns = math.ceil(int(rows * tile_px * aspect) / tile_px)
    return (rows, columns, tokens) if max(rows, columns) > 1 else (0, 0, tokens)


def expand(layout: Layout) -> str:
    """The text for an image, character for character as the library's processor writes it (Idefics3Processor)."""
    rows, columns, tokens = layout
    tile = IMAGE_TOKEN * tokens
    whole = f"{AROUND_IMAGE}{GLOBAL_IMAGE}{tile}{AROUND_IMAGE}"
    if not rows:
        return whole
    lines = [
        "".join(f"{AROUND_IMAGE}<row_{row + 1}_col_{column + 1}>{tile}" for column in range(columns))
        for row in range(rows)
    ]
    return "\n".join([*lines, "", whole])


def positions(
    is_image: Bool[torch.Tensor, " length"], _inputs: Tensors, _image_processor: Any
) -> Int[torch.Tensor, "1 length"]:
    """Every token counts one."""
    return torch.arange(len(is_image))[None]


def _without_zeros(tiles: Float[torch.Tensor, "tiles 3 side side"]) -> Float[torch.Tensor, "tiles 3 side side"]:
    """Tiles of which none is all zeros; a black image is, where a processor does not shift its values."""
    empty = (tiles == 0).flatten(1).all(dim=1)
    tiles[empty, 0, 0, 0] = ALMOST_ZERO
    return tiles


def _tokens_per_tile(image_processor: Any, cell_px: int) -> int:
    return (int(image_processor.max_image_size["longest_edge"]) // cell_px) ** 2


def _resized_px(size_px: SizePx, longest_px: int) -> SizePx:
    """(width, height) of an image whose longer side is made `longest_px`, and the shorter one even."""
    wide, high = size_px
    aspect = wide / high
    if wide >= high:
        wide, high = longest_px, _even(int(longest_px / aspect))
    else:
        wide, high = _even(int(longest_px * aspect)), longest_px
    return _bounded(max(wide, 1), max(high, 1))


def _bounded(wide: int, high: int) -> SizePx:
    aspect = wide / high
    if wide >= high and wide > LONGEST_PX:
        return LONGEST_PX, max(int(LONGEST_PX / aspect), 1)
    if high > LONGEST_PX:
        return max(int(LONGEST_PX * aspect), 1), LONGEST_PX
    return wide, high


def _even(side_px: int) -> int:
    return side_px + side_px % 2


IDEFICS3 = Family(
    name="Idefics3",
    model_type="idefics3",
    model_class="Idefics3ForConditionalGeneration",
    image_processor=("transformers.models.idefics3.image_processing_pil_idefics3", "Idefics3ImageProcessorPil"),
    image_token=IMAGE_TOKEN,
    image_end=AROUND_IMAGE,
    end_of_turn=END_OF_TURN,
    other_tokens=(GLOBAL_IMAGE, *(f"<row_{row}_col_{column}>" for row in range(1, 5) for column in range(1, 5))),
    typed_tokens=False,
    image_axis=1,
    part_patterns={
        "projector": r"(?:^|\.)connector(?:\.|$)",
        "vision": r"(?:^|\.)vision_model(?:\.|$)",
        "language": r"(?:^|\.)(?:text_model|lm_head)(?:\.|$)",
    },
    lora_targets={
        "language": r"(?:.*\.)?text_model\.layers\.\d+\.(?:self_attn\.[qkvo]_proj|mlp\.(?:gate|up|down)_proj)",
        "vision": r"(?:.*\.)?vision_model\.encoder\.layers\.\d+\.(?:self_attn\.(?:[qkv]|out)_proj|mlp\.fc[12])",
        "projector": r"(?:.*\.)?connector\.modality_projection\.proj",
    },
    kept_precise=("vision_model", "connector", "lm_head"),
    cell_px=cell_px,
    process=process,
    layout=layout,
    expand=expand,
    positions=positions,
    extent=thousandths,
    unit_words="thousandths",
)

SMOLVLM = replace(
    IDEFICS3,
    name="SmolVLM",
    model_type="smolvlm",
    model_class="SmolVLMForConditionalGeneration",
    image_processor=("transformers.models.smolvlm.image_processing_pil_smolvlm", "SmolVLMImageProcessorPil"),
)
