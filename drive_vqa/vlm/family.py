"""What one family of models has of its own: names, tokens, image inputs, positions, parts and units of boxes.

A family is data and a few functions; everything else in this package is the same for all of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from PIL import Image

from drive_vqa.errors import ModelError

Part = Literal["language", "vision", "projector"]
PARTS: tuple[Part, ...] = get_args(Part)
"""The language model with its embeddings and head; the vision tower; what joins them."""

SizePx = tuple[int, int]
"""(width, height)."""

Tensors = dict[str, torch.Tensor]
Layout = tuple[int, ...]
"""How an image is laid out in tokens. Qwen: rows and columns of tokens. Idefics: rows and columns of tiles, tokens a tile."""


@dataclass(frozen=True, eq=False)
class Images:
    """Processed images of one sample.

    Attributes:
        inputs: the model's own arguments for them.
        expansions: for each image the token ids that stand for it; its features replace the image tokens among them.
    """

    inputs: Tensors
    expansions: list[list[int]]


@dataclass(frozen=True)
class Family:
    """A family of models.

    Attributes:
        name: as people call it.
        model_type: as config.json calls it.
        model_class: name of the class in transformers.
        image_processor: module and class, one that needs no torchvision.
        image_token: the placeholder that image features replace; the chat template writes one for each image.
        image_end: the token that closes an image.
        end_of_turn: the token that ends an answer.
        other_tokens: more tokens that stand around images.
        typed_tokens: whether the model must be told which tokens are an image's when it numbers positions itself.
        image_axis: of the tensors in `Images.inputs`, the one along which images follow one another.
        part_patterns: a regular expression for each part, searched for in names of parameters in this order.
        lora_targets: for each part a regular expression over whole module names: all its linear layers but the head.
        kept_precise: modules that stay as they are in a model of 4 bits.
        cell_px: configuration of a model → side of the square of pixels that becomes one language token.
        process: image processor, images, cell_px → the model's arguments, and the layout of each image.
        layout: image processor, size of an image, cell_px → its layout.
        expand: layout → the text that stands for the image.
        positions: image mask of a sequence (length,), the model's arguments, image processor → positions (axes, length).
        extent: image processor, size of the shown image → the (width, height) in which boxes are counted.
        unit_words: what boxes are counted in, such as "pixels".
    """

    name: str
    model_type: str
    model_class: str
    image_processor: tuple[str, str]
    image_token: str
    image_end: str
    end_of_turn: str
    other_tokens: tuple[str, ...]
    typed_tokens: bool
    image_axis: int
    part_patterns: Mapping[Part, str]
    lora_targets: Mapping[Part, str]
    kept_precise: tuple[str, ...]
    cell_px: Callable[[Any], int]
    process: Callable[[Any, Sequence[Image.Image], int], tuple[Tensors, list[Layout]]]
    layout: Callable[[Any, SizePx, int], Layout]
    expand: Callable[[Layout], str]
    positions: Callable[[torch.Tensor, Tensors, Any], torch.Tensor]
    extent: Callable[[Any, SizePx], SizePx]
    unit_words: str

    @property
    def named_tokens(self) -> tuple[str, ...]:
        """The tokens that the tokenizer must know as tokens; all but the end of a turn are never an answer."""
        return (self.image_token, self.image_end, self.end_of_turn, *self.other_tokens)

    def part_of(self, name: str) -> Part:
        """The part that a parameter or module belongs to, also behind the prefixes of peft and of data parallelism.

        Raises:
            ModelError: no part of this family has such a name.
        """
        plain = re.sub(r"\.(?:modules_to_save\.\w+|original_module)(?=\.|$)", "", name)  # peft's copies
        for part, pattern in self.part_patterns.items():
            if re.search(pattern, plain):
                return part
        raise ModelError(f"{name} is in no part of {self.name} that is known: use a model of that family")
