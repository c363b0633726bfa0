"""What is sampled from and learned on: prompts that several dialogues share, and how each dialogue goes on behind its prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int

from drive_vqa.vlm.family import Images
from drive_vqa.vlm.processor import ChatProcessor


@dataclass(frozen=True, eq=False)
class Prompt:
    """Frames and a question, as tokens up to where the model begins to speak.

    Attributes:
        ids: tokens, image placeholders written out.
        images: the frames, processed once for all dialogues.
    """

    ids: tuple[int, ...]
    images: Images


@dataclass(frozen=True, eq=False)
class Dialogue:
    """What stands behind a prompt: what the model said, and what it was shown then.

    Attributes:
        prompt: place of its prompt.
        ids: tokens behind the prompt; none before the model has said anything.
        images: crops among them, in order; None where there are none.
    """

    prompt: int
    ids: tuple[int, ...] = ()
    images: Images | None = None


def positions_behind(prompt: Prompt, dialogue: Dialogue, processor: ChatProcessor) -> Int[torch.Tensor, "axes own"]:
    """Positions of the tokens of a dialogue, as the model itself would number them behind the prompt.

    Raises:
        ModelError: placeholders and image features are not equal in number.
    """
    images = [prompt.images] if dialogue.images is None else [prompt.images, dialogue.images]
    every = Images(processor.join_images(images), [one for some in images for one in some.expansions])
    return processor.positions([*prompt.ids, *dialogue.ids], every)[:, len(prompt.ids) :]


def left_padded_rows(rows: Sequence[torch.Tensor], value: int) -> torch.Tensor:
    """Rows (..., length) of different lengths as one tensor (rows, ..., length), each ending at the right edge."""
    longest = max(row.shape[-1] for row in rows)
    return torch.stack([torch.nn.functional.pad(row, (longest - row.shape[-1], 0), value=value) for row in rows])


def as_model_takes(positions: Int[torch.Tensor, "rows axes length"]) -> Int[torch.Tensor, "..."]:
    """(axes, rows, length) for M-RoPE, else (rows, length)."""
    return positions.transpose(0, 1).contiguous() if positions.shape[1] > 1 else positions[:, 0]


def on_device(inputs: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """Tensors where the model is."""
    return {name: value.to(device) if isinstance(value, torch.Tensor) else value for name, value in inputs.items()}
