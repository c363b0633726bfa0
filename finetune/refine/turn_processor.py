"""What TRL's trainers ask a processor for, answered by ours: the tokens of training and prediction, and no pixels.

TRL processes the images of every single answer. Here they are processed where they are needed, once a prompt (`Rollout`), so TRL
gets empty ones to count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from transformers import ProcessorMixin

from drive_vqa.prompt import Message
from drive_vqa.vlm import ChatProcessor
from finetune.refine.frames import image_of


class TurnProcessor(ProcessorMixin):  # type: ignore[misc]
    """Turns messages into tokens, image placeholders written out."""

    def __init__(self, chat: ChatProcessor) -> None:
        """Prepare; nothing of the library's own processors is set up.

        Args:
            chat: of the model; with a zoom, a `finetune.zoom.templates.tool_processor`.
        """
        self.chat = chat
        self.tokenizer = chat.tokenizer
        self.image_processor = no_pixels
        self.image_token = chat.family.image_token
        self.chat_template = chat.tokenizer.chat_template

    def __call__(self, *, images: Sequence[Sequence[Any]], **_: Any) -> dict[str, torch.Tensor]:
        """What TRL would keep of the images of some answers."""
        return no_pixels([one for own in images for one in own or ()])

    def apply_chat_template(
        self,
        conversation: Sequence[Message],
        chat_template: str | None = None,
        *,
        tokenize: bool = False,
        add_generation_prompt: bool = False,
        return_dict: bool = False,
        tools: Sequence[Any] | None = None,
        **_: Any,
    ) -> Any:
        """One conversation as text, or as a list of one list of tokens."""
        text = self.tokenizer.apply_chat_template(
            list(conversation),
            tools=list(tools or self.chat.tools) or None,
            chat_template=chat_template,
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
        )
        if not tokenize:
            return text
        ids = [self._written_out(text, conversation)]
        return {"input_ids": ids} if return_dict else ids

    def batch_decode(self, *arguments: Any, **options: Any) -> list[str]:
        """Tokens as texts."""
        texts: list[str] = self.tokenizer.batch_decode(*arguments, **options)
        return texts

    def _written_out(self, text: str, conversation: Sequence[Message]) -> list[int]:
        ids = list(self.tokenizer(text, add_special_tokens=False)["input_ids"])
        shown = [part["image"] for message in conversation for part in _parts(message) if part["type"] == "image"]
        if not shown:
            return ids
        expansions = iter(self.chat.images([image_of(one) for one in shown]).expansions)
        image_token_id = self.chat.image_token_id
        return [one for token in ids for one in (next(expansions) if token == image_token_id else (token,))]


def no_pixels(images: Sequence[Any], **_: Any) -> dict[str, torch.Tensor]:
    """A row without a number for each image."""
    return {"pixel_values": torch.empty(len(images), 0)}


def _parts(message: Mapping[str, Any]) -> Sequence[Message]:
    content = message.get("content")
    return content if isinstance(content, list) else []
