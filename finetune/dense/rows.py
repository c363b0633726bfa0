"""Texts behind frames, as the first layers of a language model take them: each text sees the frames and itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from PIL import Image

from drive_vqa.prompt import Message, frame_content
from drive_vqa.vlm import ChatProcessor
from finetune.dense.moments import MOST_FRAMES
from finetune.packing import PADDING, Packed, packed_attention

Offsets = tuple[float, ...]
"""When the frames of a row were taken, seconds before the present, which comes last."""


@dataclass(frozen=True, eq=False)
class FramesPrefix:
    """Frames in a chat, up to where a question begins: the same for all frames of a size.

    Attributes:
        ids: tokens.
        positions: of them.
        is_cell: which of them stand for cells of the frames.
        frames: how many.
    """

    ids: tuple[int, ...]
    positions: Int[torch.Tensor, "axes prefix"]
    is_cell: Bool[torch.Tensor, " prefix"]
    frames: int

    @classmethod
    def of(cls, processor: ChatProcessor, image: Image.Image, offsets_s: Offsets) -> FramesPrefix:
        """Of frames like this one."""
        images = processor.images([image] * len(offsets_s))
        ids = processor.prompt_ids(frame_messages(offsets_s, ""), images)
        ids = ids[: len(ids) - ids[::-1].index(processor.image_end_id)]
        is_cell = torch.tensor(ids) == processor.image_token_id
        return cls(tuple(ids), processor.positions(ids, images), is_cell, len(offsets_s))


def frame_messages(offsets_s: Offsets, text: str) -> list[Message]:
    """A chat in which a text stands behind frames of one camera."""
    frames = frame_content({"context": [{"offset_s": offset_s, "camera": None} for offset_s in offsets_s]})
    return [{"role": "user", "content": [*frames, {"type": "text", "text": text}]}]


def shown_offsets(groups: Iterable[Mapping[str, Any]]) -> list[Offsets]:
    """How frames of one camera follow each other in some groups, each way once."""
    found: set[Offsets] = set()
    for group in groups:
        if is_of_one_camera(group) and len(group["context"]) <= MOST_FRAMES:
            found.add(tuple(round(float(view["offset_s"]), 1) for view in group["context"]))
    return sorted(found)


def is_of_one_camera(group: Mapping[str, Any]) -> bool:
    """Whether all frames of a group are of one camera; a bearing cannot be told from a picture that any camera may have taken."""
    return len({view["camera"] for view in group["context"]}) == 1


@dataclass(frozen=True, eq=False)
class Rows:
    """Frames with texts behind them.

    Attributes:
        embedded: what the first layer takes: cells in the places of the frames, embeddings elsewhere.
        positions: of all tokens.
        mask: who sees whom.
    """

    embedded: Float[torch.Tensor, "moments length width"]
    positions: Int[torch.Tensor, "axes moments length"]
    mask: Bool[torch.Tensor, "moments 1 length length"]


def rows_behind(
    prefix: FramesPrefix,
    texts: Sequence[Packed],
    cells: Float[torch.Tensor, "moments cells width"],
    embeddings: torch.nn.Module,
    shift: Int[torch.Tensor, "moments length"] | None = None,
) -> Rows:
    """Put texts behind the frames of moments.

    Args:
        prefix: of the frames.
        texts: of each moment, packed behind the prefix.
        cells: of all frames of each moment.
        embeddings: of tokens.
        shift: added to the positions of each token.
    """
    device = cells.device
    pad = torch.nn.utils.rnn.pad_sequence
    input_ids = pad([packed.input_ids for packed in texts], batch_first=True).to(device)
    segment = pad([packed.segment for packed in texts], batch_first=True, padding_value=PADDING).to(device)
    positions = pad([packed.positions(prefix.positions).T for packed in texts], batch_first=True).permute(2, 0, 1)
    embedded = embeddings(input_ids).clone()
    embedded[:, : len(prefix.ids)][:, prefix.is_cell] = cells.to(embedded.dtype)
    mask = packed_attention(segment.clamp(max=0), segment)  # padding is a lesson of its own
    return Rows(embedded, (positions if shift is None else positions + shift).to(device), mask)


def after_layers(language: Any, rows: Rows, hidden: torch.Tensor, layers: slice) -> torch.Tensor:
    """What some layers of a language model make of hidden states.

    Args:
        language: Qwen's: `layers` and `rotary_emb` are used.
        rows: where the states stand.
        hidden: (moments, length, width) before the layers; `rows.embedded` before the first.
        layers: which.
    """
    rotation = language.rotary_emb(hidden, rows.positions)
    for layer in language.layers[layers]:
        hidden = layer(hidden, attention_mask=rows.mask, position_embeddings=rotation)
    return hidden
