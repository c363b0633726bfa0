"""The images of a batch: one feature for each placeholder, and copies of the batch that show something else."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from drive_vqa.errors import ModelError
from drive_vqa.vlm import ChatProcessor

Batch = dict[str, torch.Tensor]
"""What the collator makes: tensors about tokens, and those that the model takes for images."""

PIXELS = "pixel_values"
GRID = "image_grid_thw"
IMAGE_KEYS = (PIXELS, GRID, "pixel_attention_mask")
"""How the known families call what they take for images."""

GREY = 1 / 255
"""A blank image, after the processor took off its mean colour. Not 0: Idefics3 and SmolVLM take a tile of zeros for padding and
leave it out, and then have fewer features than placeholders."""


def check_batch_images(batch: Batch, processor: ChatProcessor) -> None:
    """Refuse a batch in which images were cut, doubled or lost on the way to the model.

    The numbers are taken from what the model gets, not from what the collator meant: placeholders from the tokens that are not
    padding, features from the shapes of the joined images.

    Args:
        batch: as the model gets it.
        processor: of the model.

    Raises:
        ModelError: placeholders and features are not equal in number, or there are no images.
    """
    shown = (batch["input_ids"] == processor.image_token_id) & (batch["lesson"] >= 0)
    placeholders, features = int(shown.sum()), feature_count(batch, processor)
    if placeholders != features:
        raise ModelError(
            f"a batch has {placeholders} image placeholders for {features} image features: images were cut, doubled or lost, "
            "so generate the store again or use a smaller image_size_px"
        )


def feature_count(batch: Batch, processor: ChatProcessor) -> int:
    """Vectors that the vision tower makes of the images of a batch, from their shapes.

    Qwen merges squares of patches; Idefics3 and SmolVLM make as many vectors of each tile, (rows, tiles, 3, height, width).
    """
    tensors = image_tensors(batch)
    if GRID in tensors:
        return int(tensors[GRID].prod(dim=1).sum()) // processor.merge_size**2
    rows, tiles, _, height, width = tensors[PIXELS].shape
    return rows * tiles * (height // processor.cell_px) * (width // processor.cell_px)


def image_tensors(batch: Mapping[str, torch.Tensor]) -> Batch:
    """What a batch holds for the vision tower.

    Raises:
        ModelError: it has no images.
    """
    if PIXELS not in batch:
        raise ModelError("a batch came without images: every question is about one, so generate the store again")
    return {key: batch[key] for key in IMAGE_KEYS if key in batch}


def swappable(one: Batch, other: Batch) -> bool:
    """Whether two batches can take each other's images, and would then show something else."""
    ours, theirs = image_tensors(one), image_tensors(other)
    if {key: value.shape for key, value in ours.items()} != {key: value.shape for key, value in theirs.items()}:
        return False
    same_grid = GRID not in ours or torch.equal(ours[GRID], theirs[GRID])
    return same_grid and not torch.equal(ours[PIXELS], theirs[PIXELS])


def with_images_of(batch: Batch, other: Batch) -> Batch:
    """A batch that asks the same about the images of another."""
    return {**batch, **image_tensors(other)}


def blank_images(batch: Batch) -> Batch:
    """A batch that asks the same about images of one colour, the mean one of the image processor."""
    return {**batch, PIXELS: torch.full_like(image_tensors(batch)[PIXELS], GREY)}
