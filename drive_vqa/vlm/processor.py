"""Chat messages and images → token ids and tensors, with the placeholders of images written out.

Placeholders are written here, because the library's combined processors insist on torchvision and video processors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, cast

import torch
from jaxtyping import Int
from PIL import Image
from transformers import PreTrainedTokenizerBase

from drive_vqa.errors import ModelError
from drive_vqa.prompt import Message
from drive_vqa.vlm.coordinates import Scale, from_model_text, to_model_text
from drive_vqa.vlm.family import Family, Images, Layout, SizePx, Tensors
from drive_vqa.vlm.qwen2_5_vl import QWEN2_5_VL

PROBE = "answer"


@dataclass(frozen=True, eq=False)
class ChatProcessor:
    """Turns chat messages into token ids and images into what the model takes.

    Attributes:
        tokenizer: of the model folder.
        image_processor: of the model folder.
        family: of the model.
        cell_px: side of the square of pixels that becomes one language token.
        tools: schemas of what the model may call; listed in every conversation where its chat template lists tools.
    """

    tokenizer: PreTrainedTokenizerBase
    image_processor: Any
    family: Family = QWEN2_5_VL
    cell_px: int = 28
    tools: tuple[Mapping[str, Any], ...] = ()
    _written: dict[Layout, list[int]] = field(default_factory=dict, repr=False)

    @property
    def image_token_id(self) -> int:
        """The placeholder that image features replace."""
        return self.token_id(self.family.image_token)

    @property
    def image_end_id(self) -> int:
        """The token that closes an image."""
        return self.token_id(self.family.image_end)

    @property
    def end_id(self) -> int:
        """The token that ends an answer."""
        return self.token_id(self.family.end_of_turn)

    @property
    def merge_size(self) -> int:
        """Qwen: patches along a side of the square that becomes one language token."""
        return int(self.image_processor.merge_size)

    def token_id(self, token: str) -> int:
        """The id of a token."""
        return int(self.tokenizer.convert_tokens_to_ids(token))

    def images(self, images: Sequence[Image.Image]) -> Images:
        """The images of one sample as the model takes them.

        Raises:
            ModelError: there is no image; every question of this project is about one.
        """
        if not images:
            raise ModelError(
                "a question came without an image: its group has no context frames, generate the store again"
            )
        inputs, layouts = self.family.process(self.image_processor, images, self.cell_px)
        return Images(inputs, [self._written_out(layout) for layout in layouts])

    def join_images(self, images: Sequence[Images]) -> Tensors:
        """The model's arguments for all images of a batch, in the order of their placeholders."""
        shown = [some.inputs for some in images if some.inputs]
        return {
            name: torch.cat([inputs[name] for inputs in shown], dim=self.family.image_axis)
            for name in (shown[0] if shown else ())
        }

    def image_tokens(self, size_px: SizePx) -> int:
        """How many tokens stand for an image of (width, height)."""
        return len(self._written_out(self.family.layout(self.image_processor, size_px, self.cell_px)))

    def prompt_ids(self, messages: Sequence[Message], images: Images) -> list[int]:
        """Token ids of a conversation up to where the assistant starts to answer, image placeholders written out.

        Raises:
            ModelError: the text does not have one placeholder for each image.
        """
        text = self._render(messages, open_answer=True)
        ids = self._tokenize(text)
        found = ids.count(self.image_token_id)
        if found != len(images.expansions):
            raise ModelError(
                f"{found} image placeholders for {len(images.expansions)} images in the prompt that ends {text[-80:]!r}"
            )
        image_token_id, expansions = self.image_token_id, iter(images.expansions)
        return [one for token in ids for one in (next(expansions) if token == image_token_id else (token,))]

    def answer_ids(self, answer: str) -> list[int]:
        """Token ids of an answer and of the end of its turn: all that carries loss."""
        return [*self._tokenize(self._lead + answer), self.end_id]

    def answer_lengths(self, answers: Sequence[str]) -> list[int]:
        """How many tokens `answer_ids` gives for each, counted together, which is many times as fast."""
        if not answers:
            return []
        tokens = self.tokenizer([self._lead + answer for answer in answers], add_special_tokens=False)["input_ids"]
        return [len(own) + 1 for own in tokens]

    def positions(self, input_ids: Sequence[int], images: Images) -> Int[torch.Tensor, "axes length"]:
        """Positions of one sequence without padding, as the model itself would number it, without the model.

        Args:
            input_ids: the sequence, with all its images.
            images: of the sequence, in order.

        Raises:
            ModelError: placeholders and image features are not equal in number.
        """
        ids = torch.tensor(input_ids, dtype=torch.long)
        check_image_tokens(ids, images, self)
        return self.family.positions(ids == self.image_token_id, images.inputs, self.image_processor)

    def to_model_text(self, text: str, group: Mapping[str, Any], size_px: SizePx | None) -> str:
        """A text of ours as the model shall read or say it: boxes and points in the model's units.

        Args:
            text: a question, an option, an answer or a trace.
            group: row of the `groups` table that it is about.
            size_px: (width, height) that images are resized to before they are processed; None: as they are.

        Raises:
            ModelError: the text has a box, and an image of the group has no size or one that the model cannot be shown.
        """
        return to_model_text(text, group, partial(self._scales, group, size_px), self.family.unit_words)

    def from_model_text(
        self, text: str, group: Mapping[str, Any], size_px: SizePx | None, *, asked: str | None = None
    ) -> str:
        """A text of the model in pixels of the original images: the way back from `to_model_text`.

        Args:
            text: what the model said.
            group: see `to_model_text`.
            size_px: see `to_model_text`.
            asked: the question, see `coordinates.from_model_text`.

        Raises:
            ModelError: as for `to_model_text`.
        """
        scales = partial(self._scales, group, size_px)
        return from_model_text(text, group, scales, self.family.unit_words, asked=asked)

    def to_model_messages(
        self, messages: Sequence[Message], group: Mapping[str, Any], size_px: SizePx | None
    ) -> list[Message]:
        """Chat messages of `drive_vqa.prompt` with `to_model_text` on every text in them."""

        def turned(part: Message) -> Message:
            if part["type"] != "text":
                return part
            return {**part, "text": self.to_model_text(part["text"], group, size_px)}

        return [{**message, "content": [turned(part) for part in message["content"]]} for message in messages]

    def save(self, folder: Path) -> None:
        """Write the tokenizer and the image processor into a model folder."""
        self.tokenizer.save_pretrained(str(folder))
        self.image_processor.save_pretrained(str(folder))

    @cached_property
    def _lead(self) -> str:
        """What the chat template puts between the opening of the assistant's turn and its answer, such as a blank."""
        asked: list[Message] = [{"role": "user", "content": [{"type": "text", "text": PROBE}]}]
        reply: Message = {"role": "assistant", "content": [{"type": "text", "text": PROBE}]}
        prompt = self._render(asked, open_answer=True)
        told = self._render([*asked, reply], open_answer=False)
        return told[len(prompt) :].partition(PROBE)[0] if told.startswith(prompt) else ""

    def _scales(self, group: Mapping[str, Any], size_px: SizePx | None) -> list[Scale]:
        sizes = [(view["width"], view["height"]) for view in group["context"]]
        if not sizes or any(None in size for size in sizes):
            raise ModelError(
                f"a text has a box and group {group.get('group_id')} no image of a known size: leave its questions out"
            )
        return [Scale(size, self.family.extent(self.image_processor, size_px or size)) for size in sizes]

    def _written_out(self, layout: Layout) -> list[int]:
        if layout not in self._written:
            self._written[layout] = self._tokenize(self.family.expand(layout))
        return self._written[layout]

    def _render(self, messages: Sequence[Message], *, open_answer: bool) -> str:
        rendered = self.tokenizer.apply_chat_template(
            list(messages), tools=list(self.tools) or None, tokenize=False, add_generation_prompt=open_answer
        )
        return cast(str, rendered)

    def _tokenize(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])


def image_token_types(input_ids: Int[torch.Tensor, "..."], processor: ChatProcessor) -> Int[torch.Tensor, "..."]:
    """1 where a token is an image's, else 0; Qwen's models number their positions by it."""
    return (input_ids == processor.image_token_id).int()


def padding_id(processor: ChatProcessor) -> int:
    """The token that fills short rows; masked everywhere."""
    padding = processor.tokenizer.pad_token_id
    return processor.end_id if padding is None else int(padding)


def check_image_tokens(input_ids: Int[torch.Tensor, "..."], images: Images, processor: ChatProcessor) -> None:
    """Refuse a sequence in which images were cut or doubled.

    Raises:
        ModelError: placeholders and image features are not equal in number.
    """
    placeholders = int((input_ids == processor.image_token_id).sum())
    features = sum(expansion.count(processor.image_token_id) for expansion in images.expansions)
    if placeholders != features:
        raise ModelError(
            f"a sequence has {placeholders} image placeholders for {features} image features: it was cut or doubled"
        )


def left_padded(
    prompts: Sequence[Sequence[int]], images: Sequence[Images], processor: ChatProcessor
) -> dict[str, torch.Tensor]:
    """A batch for generation: every prompt ends at the right edge."""
    longest = max(len(prompt) for prompt in prompts)
    padding = padding_id(processor)
    input_ids = torch.tensor([[padding] * (longest - len(prompt)) + list(prompt) for prompt in prompts])
    attention_mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    batch = {"input_ids": input_ids, "attention_mask": attention_mask, **processor.join_images(images)}
    if processor.family.typed_tokens:
        batch["mm_token_type_ids"] = image_token_types(input_ids, processor)
    return batch
