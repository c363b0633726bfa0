"""FLOPs of a training step, from the shapes in a model's configuration.

The convention (a multiplication and an addition are two FLOPs; N is the number of parameters in matrices that a token passes):

- 2N a token for the forward pass.
- 2N more for the way of the gradient back through the activations, of every part that the gradient must pass: the language model
  always, the vision tower and the projector only where something in or before them is trained.
- 2N more for the gradient of weights that are themselves trained.

So a frozen language model with an adapter costs 4N, what is trained in full 6N, and a vision tower that nothing is trained in 2N.
The matrices of an adapter are trained in full and counted so; of a base in 4 bits the parameters count as if it were not.
Tokens of the vision tower are patches, those of the projector merged patches, those of the language model all tokens without
padding; the head counts for tokens that carry loss. Embeddings, norms and biases do not count. What gradient checkpointing
computes twice counts once, which makes the utilization one of the model's FLOPs (MFU) and not of the hardware's (HFU); see PaLM
(arXiv 2204.02311, appendix B).

Attention is kept apart: the products of queries with keys and of weights with values are 4 FLOPs a pair, head and dimension, for
pairs that do see each other, and twice as many on the way back. MFU is stated without it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch

from drive_vqa.vlm.families import FAMILIES
from finetune.work import Work

Component = Literal["vision", "projector", "language", "head"]

_EMBEDDINGS = re.compile(r"embed_tokens|pos_embed|position_embedding|lora_embedding")


@dataclass(frozen=True)
class Matrices:
    """Matrices that the tokens of a component pass.

    Attributes:
        parameters: of the model itself.
        adapter: of an adapter beside them.
        trained: of the model itself that are trained.
        reached: whether the gradient passes the component.
    """

    parameters: int
    adapter: int = 0
    trained: int = 0
    reached: bool = False

    @property
    def flops_per_token(self) -> int:
        """Forward and backward."""
        passed = self.parameters + self.adapter
        return 2 * passed * (2 if self.reached else 1) + 2 * (self.trained + self.adapter)


@dataclass(frozen=True)
class Flops:
    """FLOPs of some work.

    Attributes:
        vision: matrices of the vision tower and the projector.
        language: matrices of the language model and its head.
        attention: of both, without matrices.
    """

    vision: float
    language: float
    attention: float


@dataclass(frozen=True)
class ModelFlops:
    """What a model costs.

    Attributes:
        components: their matrices.
        patches_per_token: patches that the projector merges into one token.
        attention_width: heads × their dimension × layers of the language model.
        vision_attention_width: heads × their dimension of the vision tower.
        grid: how patches attend to each other.
    """

    components: Mapping[Component, Matrices]
    patches_per_token: int
    attention_width: int
    vision_attention_width: int
    grid: WindowedGrid | Tiles

    def of(self, work: Work) -> Flops:
        """FLOPs of a training step that holds so much work."""
        cost = {name: matrices.flops_per_token for name, matrices in self.components.items()}
        passes = {name: 3 if matrices.reached else 1 for name, matrices in self.components.items()}
        image_tokens = work.patches / self.patches_per_token
        return Flops(
            vision=cost["vision"] * work.patches + cost["projector"] * image_tokens,
            language=cost["language"] * work.tokens + cost["head"] * work.answer_tokens,
            attention=4.0 * passes["language"] * self.attention_width * work.attended
            + 4.0 * passes["vision"] * self.vision_attention_width * work.vision_attended,
        )

    def count_vision(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The last two counts of `Work`, in its order, on the batch's device."""
        return self.grid.count(batch)


@dataclass(frozen=True)
class WindowedGrid:
    """Qwen: an image is a grid of patches; in some layers only those of one window see each other.

    Attributes:
        merge_size: patches along a side of what becomes one token.
        full_layers: in which all patches of a frame see each other.
        window_layers: the others.
        window: side of a window in merged patches.
    """

    merge_size: int
    full_layers: int
    window_layers: int
    window: int

    def count(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Patches, and pairs of them summed over layers."""
        frames, rows, columns = batch["image_grid_thw"].unbind(dim=1)
        full = frames * (rows * columns) ** 2
        windows = self._squares(rows) * self._squares(columns) * frames * self.merge_size**4
        pairs = full * self.full_layers + windows * self.window_layers
        return torch.stack([(frames * rows * columns).sum(), pairs.sum()])

    def _squares(self, patches: torch.Tensor) -> torch.Tensor:
        """Sum of the squared lengths of the windows along a side, in merged patches; the last one may be shorter."""
        merged = patches // self.merge_size
        return merged // self.window * self.window**2 + (merged % self.window) ** 2


@dataclass(frozen=True)
class Tiles:
    """Idefics3 and SmolVLM: an image is cut into tiles, and all patches of a tile see each other.

    Attributes:
        patch_size: side of a patch in pixels.
        layers: of the vision tower.
    """

    patch_size: int
    layers: int

    def count(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Patches, and pairs of them summed over layers."""
        *tiles, _, height, width = batch["pixel_values"].shape
        in_tile = (height // self.patch_size) * (width // self.patch_size)
        patches = int(torch.Size(tiles).numel()) * in_tile
        return torch.tensor([patches, patches * in_tile * self.layers], device=batch["pixel_values"].device)


def model_flops(model: Any) -> ModelFlops | None:
    """What a model costs with what is trained of it; None for a family that is not known.

    Args:
        model: ready to train, with its adapter, and not yet wrapped for several processes.
    """
    config = model.config
    if config.model_type not in FAMILIES:
        return None
    text, vision = config.get_text_config(), config.vision_config
    shapes = _idefics(config) if config.model_type in ("idefics3", "smolvlm") else _qwen(config)
    language: dict[Component, int] = {"language": _language(text), "head": text.hidden_size * text.vocab_size}
    return ModelFlops(
        components=_trained(model, {**shapes, **language}),
        patches_per_token=_merge_size(config) ** 2,
        attention_width=text.num_attention_heads * _head_dim(text) * text.num_hidden_layers,
        vision_attention_width=vision.hidden_size,
        grid=_grid(config),
    )


def _qwen(config: Any) -> dict[Component, int]:
    vision = config.vision_config
    width, merged = vision.hidden_size, vision.hidden_size * vision.spatial_merge_size**2
    # gate, up and down in Qwen2.5-VL; up and down in Qwen3-VL, which has a projector more for each deep layer
    mlp = 3 if config.model_type == "qwen2_5_vl" else 2
    projectors = 1 + len(getattr(vision, "deepstack_visual_indexes", ()))
    patch = vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
    block = 4 * width**2 + mlp * width * vision.intermediate_size
    projector = merged**2 + merged * vision.out_hidden_size
    return {"vision": patch * width + vision.depth * block, "projector": projectors * projector}


def _idefics(config: Any) -> dict[Component, int]:
    vision = config.vision_config
    block = 4 * vision.hidden_size**2 + 2 * vision.hidden_size * vision.intermediate_size
    patch = vision.num_channels * vision.patch_size**2 * vision.hidden_size
    projector = vision.hidden_size * config.scale_factor**2 * config.get_text_config().hidden_size
    return {"vision": patch + vision.num_hidden_layers * block, "projector": projector}


def _language(text: Any) -> int:
    """Queries and output, keys and values, and the gated perceptron of all layers."""
    head_dim, width = _head_dim(text), text.hidden_size
    attention = 2 * width * head_dim * (text.num_attention_heads + text.num_key_value_heads)
    return int(text.num_hidden_layers * (attention + 3 * width * text.intermediate_size))


def _head_dim(text: Any) -> int:
    return int(getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads)


def _merge_size(config: Any) -> int:
    return int(getattr(config, "scale_factor", None) or config.vision_config.spatial_merge_size)


def _grid(config: Any) -> WindowedGrid | Tiles:
    vision = config.vision_config
    if config.model_type in ("idefics3", "smolvlm"):
        return Tiles(vision.patch_size, vision.num_hidden_layers)
    full = len(vision.fullatt_block_indexes) if config.model_type == "qwen2_5_vl" else vision.depth
    cell_px = vision.patch_size * vision.spatial_merge_size
    window = getattr(vision, "window_size", cell_px) // cell_px
    return WindowedGrid(vision.spatial_merge_size, full, vision.depth - full, window)


def _trained(model: Any, shapes: Mapping[Component, int]) -> dict[Component, Matrices]:
    """The matrices with what of them is trained; the gradient passes all that comes after something trained."""
    found = {name: Matrices(parameters) for name, parameters in shapes.items()}
    for name, parameter in model.named_parameters():
        component = _component(model.config, name) if parameter.requires_grad and parameter.ndim > 1 else None
        if component is not None:
            grown = "adapter" if ".lora_" in name else "trained"
            found[component] = replace(
                found[component], **{grown: getattr(found[component], grown) + parameter.numel()}
            )
    reached = False
    for component, matrices in found.items():
        reached = reached or matrices.trained + matrices.adapter > 0
        found[component] = replace(matrices, reached=reached)
    return found


def _component(config: Any, name: str) -> Component | None:
    """Where a parameter is multiplied with tokens; None for embeddings, unless they are the head too."""
    tied = bool(config.tie_word_embeddings) and "embed_tokens" in name
    if "lm_head" in name or tied:
        return "head"
    return None if _EMBEDDINGS.search(name) else FAMILIES[config.model_type].part_of(name)
