"""Batches: lessons → token ids with labels on answers only; padding on the right, nothing is ever cut.

With packing, a lesson is one row. Without, each of its questions is a row of its own with its own copy of the images: the
reference that packing must equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int

from drive_vqa.errors import ModelError
from drive_vqa.prompt import build_messages
from drive_vqa.vlm import ChatProcessor, Images, check_image_tokens, padding_id
from finetune.dataset import ShownLesson
from finetune.packing import IGNORED, PADDING, Packed, Sample, pack

VISION_END = "<|vision_end|>"


@dataclass(frozen=True, eq=False)
class Collator:
    """Builds a batch from lessons; picklable, so that workers do it.

    Attributes:
        processor: of the model.
        packed: one row a lesson, or one a question.
        max_tokens: longest row that the model can take.
    """

    processor: ChatProcessor
    packed: bool
    max_tokens: int

    def __call__(self, lessons: Sequence[ShownLesson]) -> dict[str, torch.Tensor]:
        """Rows as `input_ids`, `labels`, `segment`, `offset` (see finetune.packing) with their images.

        Raises:
            ModelError: image placeholders and image features are not equal in number, or a row is too long.
        """
        pairs = [pair for shown in lessons for pair in self._rows(shown)]
        rows = [row for row, _ in pairs]
        return {
            "input_ids": _padded([row.input_ids for row in rows], padding_id(self.processor)),
            "labels": _padded([row.labels for row in rows], IGNORED),
            "segment": _padded([row.segment for row in rows], PADDING),
            "offset": _padded([row.offset for row in rows], 0),
            "pixel_values": torch.cat([images.pixel_values for _, images in pairs]),
            "image_grid_thw": torch.cat([images.grid_thw for _, images in pairs]),
        }

    def samples(self, shown: ShownLesson, images: Images) -> list[Sample]:
        """Each question of a lesson as token ids."""
        group = shown.lesson.group
        return [
            Sample(
                tuple(self.processor.prompt_ids(build_messages(group, question), images)),
                tuple(self.processor.answer_ids(question["answer"])),
            )
            for question in shown.lesson.questions
        ]

    def _rows(self, shown: ShownLesson) -> list[tuple[Packed, Images]]:
        images = self.processor.images(shown.frames)
        samples = self.samples(shown, images)
        end_id = int(self.processor.tokenizer.convert_tokens_to_ids(VISION_END))
        parts = [samples] if self.packed else [[sample] for sample in samples]
        rows = [(pack(part, end_id), images) for part in parts]
        for row, _ in rows:
            check_image_tokens(row.input_ids, images, self.processor)
            self._check_length(row, shown)
        return rows

    def _check_length(self, row: Packed, shown: ShownLesson) -> None:
        """A row's longest sample decides, since positions start anew with each."""
        prefix = int((row.segment == 0).sum())
        longest = prefix + int(row.offset[row.segment > 0].max()) + 1
        if longest > self.max_tokens:
            group_id = shown.lesson.group["group_id"]
            sizes = f"{longest} tokens, the model takes {self.max_tokens}"
            raise ModelError(f"a question of group {group_id} has {sizes}: use a smaller image_size_px")


def _padded(rows: Sequence[torch.Tensor], value: int) -> Int[torch.Tensor, "rows length"]:
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=value)
