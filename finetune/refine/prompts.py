"""Questions as the prompts that TRL draws: messages with frames in them, read when they are drawn."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from drive_vqa.errors import ConfigError
from drive_vqa.marks import marked_frames
from drive_vqa.prompt import Message, build_messages
from drive_vqa.region_forms import style_of
from drive_vqa.store import Store
from drive_vqa.vlm import Vlm
from eval.predict import grey_frames
from finetune.refine.asked import Asked, AskedQuestion
from finetune.refine.frames import ShownFrame
from finetune.zoom.views import Views, group_views

KEPT_GROUPS = 32
"""Groups whose frames stay decoded: all answers to a question, and its several updates, come one after another."""


@dataclass(eq=False)
class Prompts:
    """Makes prompts of questions.

    Attributes:
        store: where the questions are from.
        known: by qa_id.
        vlm: whose units, image size and names of regions they are written in.
        blind: show grey images.
    """

    store: Store
    known: Mapping[str, AskedQuestion]
    vlm: Vlm
    blind: bool = False
    _kept: OrderedDict[str, list[ShownFrame]] = field(default_factory=OrderedDict, repr=False)

    def dataset(self, asked: Asked) -> Any:
        """A `datasets.Dataset` of `prompt` and `qa_id`, one row a question."""
        from datasets import Dataset

        ids = [str(one.question["qa_id"]) for one in asked.questions]
        return Dataset.from_dict({"qa_id": ids}).with_transform(self._drawn)

    def messages(self, one: AskedQuestion) -> list[Message]:
        """The user's turn, frames in it.

        Raises:
            StoreError: a frame is missing.
            LogFormatError: a file is not the image that its log states.
        """
        plain = build_messages(one.group, {**one.question, "answer": None})
        written = self.vlm.processor.to_model_messages(plain, one.group, self.vlm.image_size_px)
        frames = iter(self._frames(one))

        def shown(part: Message) -> Message:
            return {**part, "image": next(frames)} if part["type"] == "image" else part

        return [{**message, "content": [shown(part) for part in message["content"]]} for message in written]

    def in_pixels(self, text: str, qa_id: str) -> str:
        """What the model said about a question, boxes and points in pixels of the original images."""
        one = self.known[qa_id]
        wording = str(one.question["question"])
        return self.vlm.processor.from_model_text(text, one.group, self.vlm.image_size_px, asked=wording)

    def views(self, row: Any) -> Views:
        """What a zoom may look at.

        Raises:
            ConfigError: images are grey, so a closer look would show what is hidden.
        """
        if self.blind:
            raise ConfigError("blind=true and a zoom contradict each other: set zoom=none")
        one, vlm = self.known[row["qa_id"]], self.vlm
        style = style_of(vlm.regions)
        return group_views(self.store, one.group, vlm.processor, vlm.image_size_px, style=style)

    def _drawn(self, batch: dict[str, list[str]]) -> dict[str, list[Any]]:
        return {"prompt": [self.messages(self.known[qa_id]) for qa_id in batch["qa_id"]], "qa_id": batch["qa_id"]}

    def _frames(self, one: AskedQuestion) -> list[ShownFrame]:
        key = f"{one.group['log_id']}/{one.group['group_id']}"
        if key not in self._kept:
            while len(self._kept) >= KEPT_GROUPS:
                self._kept.popitem(last=False)
            self._kept[key] = [ShownFrame(image) for image in self._images(one)]
        self._kept.move_to_end(key)
        return self._kept[key]

    def _images(self, one: AskedQuestion) -> list[Image.Image]:
        frames_of = grey_frames if self.blind else marked_frames
        style = style_of(self.vlm.regions)
        return frames_of(self.store, one.group, self.vlm.image_size_px, style=style)
