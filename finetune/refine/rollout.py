"""What a batch of sampled answers was shown, kept until it is learned on.

Images are processed once, and prompts are found again by their tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from drive_vqa.errors import ModelError
from drive_vqa.prompt import Message
from drive_vqa.vlm import ChatProcessor, Images
from drive_vqa.vlm.dialogues import Dialogue, Prompt
from finetune.refine.frames import ShownFrame, image_of

Shown = ShownFrame | Image.Image
"""A frame of the prompt, or a crop that a dialogue was shown."""


@dataclass(eq=False)
class Rollout:
    """Answers of one batch of questions, while they are sampled and learned on.

    Attributes:
        processor: of the model.
        shown: images of each answer, those of its prompt first; set when all is sampled.
    """

    processor: ChatProcessor
    shown: list[list[Shown]] = field(default_factory=list)
    _processed: dict[tuple[int, ...], tuple[Sequence[Shown], Images]] = field(default_factory=dict, repr=False)
    _prompts: dict[tuple[int, ...], list[Prompt]] = field(default_factory=dict, repr=False)

    def prompt(self, messages: Sequence[Message]) -> tuple[Prompt, list[Shown]]:
        """Messages with their images as tokens; the same frames are processed once.

        Raises:
            ModelError: there is no image.
        """
        parts = [part for message in messages for part in message["content"]]
        frames: list[Shown] = [part["image"] for part in parts if part["type"] == "image"]
        images = self._images(frames)
        prompt = Prompt(tuple(self.processor.prompt_ids(messages, images)), images)
        known = self._prompts.setdefault(_key(frames), [])
        for one in known:
            if one.ids == prompt.ids:
                return one, frames
        known.append(prompt)
        return prompt, frames

    def dialogues(
        self, sequences: Sequence[Sequence[int]], shown: Sequence[Sequence[Shown]]
    ) -> tuple[list[Prompt], list[Dialogue]]:
        """Whole sequences as prompts, each once, and what stands behind them.

        Args:
            sequences: token ids, each beginning with a prompt of this rollout.
            shown: images of each, as in `shown`.

        Raises:
            ModelError: a sequence begins with no known prompt.
        """
        places: dict[int, int] = {}
        prompts: list[Prompt] = []
        dialogues = []
        for ids, images in zip(sequences, shown, strict=True):
            frames = [one for one in images if isinstance(one, ShownFrame)]
            prompt = self._found(ids, frames)
            place = places.setdefault(id(prompt), len(prompts))
            if place == len(prompts):
                prompts.append(prompt)
            crops = images[len(frames) :]
            behind = tuple(ids[len(prompt.ids) :])
            dialogues.append(Dialogue(place, behind, self._images(crops) if crops and behind else None))
        return prompts, dialogues

    def _found(self, ids: Sequence[int], frames: Sequence[Shown]) -> Prompt:
        own = tuple(ids)
        for prompt in self._prompts.get(_key(frames), ()):
            if own[: len(prompt.ids)] == prompt.ids:
                return prompt
        raise ModelError(
            "a sampled answer stands behind no prompt of its batch: an image was lost or doubled on the way"
        )

    def _images(self, shown: Sequence[Shown]) -> Images:
        """Processed; the images are held on to, so that no other takes their identity."""
        key = _key(shown)
        if key not in self._processed:
            self._processed[key] = (list(shown), self.processor.images([image_of(one) for one in shown]))
        return self._processed[key][1]


def _key(shown: Sequence[Any]) -> tuple[int, ...]:
    return tuple(map(id, shown))
