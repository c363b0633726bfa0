"""A loaded model that answers: batched answers, greedy ones the same as one at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from PIL import Image
from transformers import GenerationConfig

from drive_vqa.errors import ModelError
from drive_vqa.prompt import Message
from drive_vqa.region_forms import RegionForm
from drive_vqa.vlm.family import Family
from drive_vqa.vlm.processor import ChatProcessor, left_padded, padding_id
from drive_vqa.vlm.tuned import PLAIN_TOKENS


@dataclass(frozen=True)
class Sampling:
    """How answers are drawn, where the likeliest one alone is not wanted.

    Attributes:
        temperature: above 0.
        top_p: the likeliest tokens of this share are drawn from; 1: all.
        seed: the same one gives the same answers to the same batch on the same machine.

    Raises:
        ValueError: a number is out of range.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not (0 < self.temperature < math.inf and 0 < self.top_p <= 1 and 0 <= self.seed < 2**63):
            raise ValueError("sampling needs temperature above 0, top_p in (0, 1] and seed in [0, 2**63)")


@dataclass(frozen=True, eq=False)
class Vlm:
    """A model with its processor, ready to answer.

    Attributes:
        model: with the adapter, where there is one; in evaluation mode after loading.
        processor: of the same folder.
        image_size_px: (width, height) that the model was tuned on; None for an untuned model.
        regions: how questions named regions when it was tuned.
        answer_tokens: room that its answers need.
    """

    model: Any
    processor: ChatProcessor
    image_size_px: tuple[int, int] | None = None
    regions: RegionForm = "marks"
    answer_tokens: int = PLAIN_TOKENS

    @property
    def family(self) -> Family:
        """What kind of model it is."""
        return self.processor.family

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return cast(torch.device, next(self.model.parameters()).device)

    def generate(
        self,
        messages_list: Sequence[Sequence[Message]],
        images_list: Sequence[Sequence[Image.Image]],
        max_new_tokens: int | None = None,
        *,
        sampling: Sampling | None = None,
        begun: Sequence[str] | None = None,
    ) -> list[str]:
        """Answers, batched with padding on the left.

        Args:
            messages_list: one conversation a question, ending with the user's turn.
            images_list: the images of each, in the order of their placeholders.
            max_new_tokens: longest answer; default: `answer_tokens`.
            sampling: None: greedy.
            begun: how each answer begins; what follows is returned. None: nothing is given.

        Raises:
            ModelError: placeholders and images do not match.
        """
        if len(messages_list) != len(images_list):
            raise ModelError(f"{len(messages_list)} conversations came with the images of {len(images_list)}")
        if not messages_list:
            return []
        processed = {
            id(some): self.processor.images(some) for some in images_list
        }  # a group's questions share its frames
        images = [processed[id(some)] for some in images_list]
        prompts = [self.processor.prompt_ids(*pair) for pair in zip(messages_list, images, strict=True)]
        if begun is not None:
            prompts = [prompt + self.processor.answer_ids(own)[:-1] for prompt, own in zip(prompts, begun, strict=True)]
        inputs = {key: value.to(self.device) for key, value in left_padded(prompts, images, self.processor).items()}
        config = self.generation_config(max_new_tokens or self.answer_tokens, sampling)
        with torch.inference_mode(), _seeded(sampling, self.device):
            output = self.model.generate(**inputs, generation_config=config)
        answers = output[:, inputs["input_ids"].shape[1] :]
        return [text.strip() for text in self.processor.tokenizer.batch_decode(answers, skip_special_tokens=True)]

    def generation_config(self, max_new_tokens: int | None, sampling: Sampling | None = None) -> GenerationConfig:
        """Greedy unless sampled; tokens of pictures or turns are never an answer, and only the end of a turn ends one."""
        end_id = self.processor.end_id
        added = self.processor.tokenizer.added_tokens_decoder
        special = {token_id for token_id, token in added.items() if token.special}
        named = {self.processor.token_id(token) for token in self.family.named_tokens}
        drawn: dict[str, Any] = {"do_sample": False}
        if sampling is not None:
            drawn = {"do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}
        return GenerationConfig(
            max_new_tokens=max_new_tokens,
            **drawn,
            eos_token_id=end_id,
            pad_token_id=padding_id(self.processor),
            suppress_tokens=sorted((special | named) - {end_id}),
        )


@contextmanager
def _seeded(sampling: Sampling | None, device: torch.device) -> Iterator[None]:
    """Random numbers of a seed, those of everybody else left alone."""
    if sampling is None:
        yield
        return
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(sampling.seed)
        yield
