"""A loaded model that answers: batched answers, greedy ones the same as one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from PIL import Image
from transformers import GenerationConfig

from drive_vqa.errors import ModelError
from drive_vqa.prompt import Message
from drive_vqa.region_forms import RegionForm
from drive_vqa.vlm.family import Family, Images
from drive_vqa.vlm.prefixes import share_prefixes
from drive_vqa.vlm.processor import ChatProcessor, padding_id
from drive_vqa.vlm.sampling import Decoding, Sampling, sample
from drive_vqa.vlm.tuned import PLAIN_TOKENS


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
        """Answers, batched; conversations about the same images (the same list) read what they share once.

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
        # A group's questions share its frames, so these are processed once; what they share is read once.
        processed = {id(some): self._processed(some) for some in images_list}
        images = [processed[id(some)] for some in images_list]
        sequences = [self.processor.prompt_ids(*pair) for pair in zip(messages_list, images, strict=True)]
        if begun is not None:
            begins = [self.processor.answer_ids(own)[:-1] for own in begun]
            sequences = [ids + own for ids, own in zip(sequences, begins, strict=True)]
        prompts, dialogues = share_prefixes(sequences, images, self.processor.image_token_id)
        said = sample(self.model, self.processor, prompts, dialogues, self.decoding(max_new_tokens, sampling))
        texts = self.processor.tokenizer.batch_decode([one.ids for one in said], skip_special_tokens=True)
        return [text.strip() for text in texts]

    def decoding(self, max_new_tokens: int | None = None, sampling: Sampling | None = None) -> Decoding:
        """Greedy unless sampled; tokens of pictures or turns are never an answer, and only the end of a turn ends one.

        Args:
            max_new_tokens: longest answer; default: `answer_tokens`.
            sampling: None: greedy.
        """
        end_id = self.processor.end_id
        added = self.processor.tokenizer.added_tokens_decoder
        special = {token_id for token_id, token in added.items() if token.special}
        named = {self.processor.token_id(token) for token in self.family.named_tokens}
        never = tuple(sorted((special | named) - {end_id}))
        return Decoding(max_new_tokens or self.answer_tokens, never, (end_id,), sampling)

    def generation_config(self) -> GenerationConfig:
        """The same for the library's own `generate`, greedy; how long an answer may be is left open."""
        decoding = self.decoding()
        return GenerationConfig(
            do_sample=False,
            eos_token_id=self.processor.end_id,
            pad_token_id=padding_id(self.processor),
            suppress_tokens=list(decoding.suppressed),
        )

    def _processed(self, images: Sequence[Image.Image]) -> Images:
        """Images as the model takes them; a control may show none."""
        return self.processor.images(images) if images else Images({}, [])
