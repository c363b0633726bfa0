"""Dialogues with looks as batches: as `finetune.collate`, with the observations of each question in its own part of the sequence.

    shared         frames and what all questions begin with
    question 1     question, turn, observation with its crop, turn, …
    question 2     …

Only what the model is to say carries loss: its turns and their ends, neither observations nor the `<answer>` that is put into its
mouth after the last look. The images of a lesson are its frames and then all crops, in the order of their placeholders.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool, Int

from drive_vqa.marks import Style
from drive_vqa.prompt import build_messages
from drive_vqa.store import Store
from drive_vqa.vlm import ChatProcessor, Images
from finetune.collate import Collator, PackedLesson, check_each_image
from finetune.dataset import Row, ShownLesson
from finetune.packing import IGNORED, Sample, pack
from finetune.zoom.crops import CropPreset
from finetune.zoom.dialogue import calls_in
from finetune.zoom.model_units import turns_in_model_units
from finetune.zoom.session import FORCED_PREFIX, ZoomSession
from finetune.zoom.tokens import observation_ids, processed_crops
from finetune.zoom.views import Views, group_views


@dataclass(frozen=True, eq=False)
class Spoken:
    """A question with its dialogue, as tokens.

    Attributes:
        sample: the prompt; and all behind it, observations among it.
        learned: which tokens behind the prompt carry loss.
        crops: that it was shown.
    """

    sample: Sample
    learned: tuple[bool, ...]
    crops: Images


@dataclass(frozen=True, eq=False)
class ZoomCollator(Collator):
    """Builds batches of dialogues; the answers of its lessons are written by `ZoomAnswers`, its processor is a `tool_processor`.

    Attributes:
        store: with the original frames.
        preset: how looks are taken.
        style: how marks are drawn.
    """

    store: Store
    preset: CropPreset
    style: Style = "fill"

    def taught(self, lessons: Sequence[ShownLesson]) -> list[str]:
        """What the questions of lessons teach the model to say, boxes in its own units, without the last end of a turn."""
        end = self.processor.family.end_of_turn
        taught = []
        for shown in lessons:
            for question in shown.lesson.questions:
                *called, last = self._turns(question, shown.lesson.group)
                forced = sum(len(calls_in(turn)) for turn in called) >= self.preset.looks
                taught.append(end.join([*called, last.removeprefix(FORCED_PREFIX) if forced else last]))
        return taught

    def _lessons(self, shown: ShownLesson) -> list[PackedLesson]:
        frames = self.processor.images(shown.frames)
        views = group_views(self.store, shown.lesson.group, self.processor, self.size_px, style=self.style)
        spoken = [self._spoken(question, shown.lesson.group, frames, views) for question in shown.lesson.questions]
        parts = [spoken] if self.packed else [[one] for one in spoken]
        return [self._joined(part, frames, shown.lesson.group["group_id"]) for part in parts]

    def _joined(self, spoken: Sequence[Spoken], frames: Images, group_id: str) -> PackedLesson:
        packed = pack([one.sample for one in spoken], self.processor.image_token_id)
        learned = _learned(spoken, packed.prefix_length)
        packed = replace(packed, labels=torch.where(learned, packed.input_ids, IGNORED))
        images = join(self.processor, [frames, *(one.crops for one in spoken)])
        check_each_image(packed.input_ids, images, self.processor, group_id)
        self._check_length(packed, group_id)
        return PackedLesson(packed, self._positions(spoken, frames, packed.prefix_length), images)

    def _positions(self, spoken: Sequence[Spoken], frames: Images, prefix: int) -> Int[torch.Tensor, "axes length"]:
        """Each question goes on behind the prefix as if it stood there alone, its crops with places of their own."""
        alone = [
            self.processor.positions(
                [*one.sample.prompt, *one.sample.answer], join(self.processor, [frames, one.crops])
            )
            for one in spoken
        ]
        return torch.cat([alone[0][:, :prefix], *(own[:, prefix:] for own in alone)], dim=1)

    def _spoken(self, question: Row, group: Row, frames: Images, views: Views) -> Spoken:
        asked = self._in_model_units({**question, "answer": ""}, group)
        prompt = self.processor.prompt_ids(build_messages(group, asked), frames)
        parts = list(self._said_and_observed(self._turns(question, group), ZoomSession(views, self.preset)))
        ids = [token for said, observed, _ in parts for token in (*said, *observed)]
        learned = [own for said, observed, _ in parts for own in (*[True] * len(said), *[False] * len(observed))]
        crops = join(self.processor, [shown for _, _, shown in parts])
        return Spoken(Sample(tuple(prompt), tuple(ids)), tuple(learned), crops)

    def _said_and_observed(
        self, turns: Sequence[str], session: ZoomSession
    ) -> Iterator[tuple[list[int], list[int], Images]]:
        """Tokens of each turn, those of what answers it, and its crops; a forced prefix belongs to the answer before it."""
        for turn in turns:
            forced = FORCED_PREFIX if session.must_answer else ""
            said = self.processor.answer_ids(turn.removeprefix(forced))
            observations = [session.look(call) for call in calls_in(turn)]
            crops = processed_crops(self.processor, observations)
            yield said, observation_ids(self.processor, observations, crops) if observations else [], crops

    def _turns(self, question: Row, group: Row) -> list[str]:
        return turns_in_model_units(question["answer"], group, self.processor, self.size_px)


def join(processor: ChatProcessor, images: Sequence[Images]) -> Images:
    """Images one behind the other."""
    some = [one for one in images if one.expansions]
    inputs: dict[str, Any] = processor.join_images(some) if some else {}
    return Images(inputs, [expansion for one in some for expansion in one.expansions])


def _learned(spoken: Sequence[Spoken], prefix: int) -> Bool[torch.Tensor, " length"]:
    """Which tokens of a packed lesson carry loss."""
    own = [[False] * (len(one.sample.prompt) - prefix) + list(one.learned) for one in spoken]
    return torch.tensor([False] * prefix + [one for part in own for one in part])
