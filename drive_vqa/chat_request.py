"""A question about marked frames as a request to a server that speaks OpenAI's chat completions, such as vLLM.

The same prompt and the same pictures as in training: `drive_vqa.prompt` and `drive_vqa.marks` make both.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from PIL import Image

from drive_vqa.errors import StoreError
from drive_vqa.marks import marked_frames
from drive_vqa.prompt import Message, build_messages
from drive_vqa.region_forms import RegionForm, style_of
from drive_vqa.store import Store

ABOUT_BOXES = "[left, top, right, bottom]"
"""With these words questions ask for boxes, or tell how those in them are written."""


@runtime_checkable
class TurnsMessages(Protocol):
    """What turns boxes in messages into a model's coordinates: `drive_vqa.vlm.ChatProcessor`, which needs torch, or its like."""

    def to_model_messages(
        self, messages: Sequence[Message], group: Mapping[str, Any], size_px: tuple[int, int] | None
    ) -> list[Message]:
        """The messages with all boxes turned."""
        ...


def chat_request(
    store: Store,
    group: Mapping[str, Any],
    question: Mapping[str, Any],
    *,
    model: str,
    size_px: tuple[int, int] | None,
    regions: RegionForm = "marks",
    processor: TurnsMessages | None = None,
    max_tokens: int = 64,
) -> dict[str, Any]:
    """The body of a POST to /v1/chat/completions.

    Images are PNG data URLs, so that the server sees the very pixels that were drawn.

    Args:
        store: where the log of the group lies.
        group: a row of the `groups` table.
        question: a row of the `questions` table.
        model: the name that the server knows the model by.
        size_px: (width, height) that the model was tuned on; None keeps the original size.
        regions: how regions are named, as in training.
        processor: of the model: turns boxes in the question into its coordinates. `processor.from_model_text` turns those in the
            answer back. Questions without boxes need none.
        max_tokens: longest answer.

    Raises:
        StoreError: the group has no images, the question cannot be asked in this form, or it is about boxes and there is no
            processor.
    """
    messages = build_messages(group, question, regions=regions)
    if processor is not None:
        messages = processor.to_model_messages(messages, group, size_px)
    elif any(ABOUT_BOXES in part.get("text", "") for part in messages[0]["content"]):
        raise StoreError(
            f"question {question.get('qa_id')} is about boxes, which models give in coordinates of their own: give the processor "
            "of the model (drive_vqa.vlm.load_processor)"
        )
    pictures = [data_url(image) for image in marked_frames(store, group, size_px, style=style_of(regions))]
    return chat_body(messages, pictures, model=model, max_tokens=max_tokens)


def chat_body(messages: Sequence[Message], pictures: Sequence[str], *, model: str, max_tokens: int) -> dict[str, Any]:
    """The body of a request that has its messages and pictures already.

    Args:
        messages: with a placeholder for each picture, boxes in the model's coordinates.
        pictures: URLs, see `data_url`: those of a group need be drawn only once.
        model: see `chat_request`.
        max_tokens: see `chat_request`.
    """
    urls = iter(pictures)
    turns = [{**message, "content": [_with_picture(part, urls) for part in message["content"]]} for message in messages]
    return {"model": model, "messages": turns, "temperature": 0, "max_tokens": max_tokens}


def _with_picture(part: Message, urls: Iterator[str]) -> Message:
    return {"type": "image_url", "image_url": {"url": next(urls)}} if part["type"] == "image" else part


def data_url(image: Image.Image) -> str:
    """An image as a PNG in a URL; nothing is lost. Packed lightly: in a quarter of the time it is a fifth larger."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=1)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
