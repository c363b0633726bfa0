"""Coordinates of a model on a server, whose processor is not at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from drive_vqa.errors import StoreError
from drive_vqa.prompt import Message
from drive_vqa.vlm.coordinates import Scale, from_model_text, to_model_text
from drive_vqa.vlm.family import SizePx

Unit = Literal["pixels", "thousandths"]
"""Pixels of the image as it was sent (Qwen2.5-VL), or thousandths of its width and height (Qwen2-VL, Qwen3-VL)."""


@dataclass(frozen=True)
class SentUnits:
    """Coordinates of a model whose processor is not at hand, by what it counts in.

    Attributes:
        unit: see `Unit`; pixels hold where the server does not resize what it is sent.
    """

    unit: Unit

    def to_model_messages(
        self, messages: Sequence[Message], group: Mapping[str, Any], size_px: SizePx | None
    ) -> list[Message]:
        """Messages of ours as the model shall read them."""

        def turned(part: Message) -> Message:
            return (
                {**part, "text": self.to_model_text(part["text"], group, size_px)} if part["type"] == "text" else part
            )

        return [{**message, "content": [turned(part) for part in message["content"]]} for message in messages]

    def to_model_text(self, text: str, group: Mapping[str, Any], size_px: SizePx | None) -> str:
        """A text of ours as the model shall read it."""
        return to_model_text(text, group, lambda: self._scales(group, size_px), self.unit)

    def from_model_text(self, text: str, group: Mapping[str, Any], size_px: SizePx | None, *, asked: str | None) -> str:
        """A text of the model in pixels of the original images."""
        return from_model_text(text, group, lambda: self._scales(group, size_px), self.unit, asked=asked)

    def _scales(self, group: Mapping[str, Any], size_px: SizePx | None) -> list[Scale]:
        sizes = [(view["width"], view["height"]) for view in group["context"]]
        if not all(width and height for width, height in sizes):
            raise StoreError(f"group {group.get('group_id')} has an image of unknown size: leave its questions out")
        return [Scale(size, (1000, 1000) if self.unit == "thousandths" else size_px or size) for size in sizes]
