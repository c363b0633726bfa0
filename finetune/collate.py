"""Batches: rows of lessons → token ids with labels on answers only; padding on the right, nothing is ever cut.

With packing, the lessons of a row stand one after another, each with its images once. Without, each question is a row of its own
with its own copy of the images: the reference that packing must equal.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int

from drive_vqa.errors import ModelError
from drive_vqa.prompt import build_messages
from drive_vqa.vlm import ChatProcessor, Images, padding_id
from finetune.config import FinetuneConfig
from finetune.dataset import Row, ShownLesson
from finetune.packing import IGNORED, PADDING, Packed, Sample, pack


@dataclass(frozen=True, eq=False)
class PackedLesson:
    """A lesson as tokens.

    Attributes:
        packed: prefix and questions.
        positions: of all tokens; axes as the family has them.
        images: that the prefix shows.
    """

    packed: Packed
    positions: Int[torch.Tensor, "axes length"]
    images: Images


BatchRow = Sequence[PackedLesson]


@dataclass(frozen=True, eq=False)
class Collator:
    """Builds a batch from rows of lessons; picklable, so that workers do it.

    Attributes:
        processor: of the model.
        packed: all lessons of a row in one sequence, or each question in one of its own.
        max_tokens: longest sequence that the model can take; positions start anew with each lesson, so a row may be longer.
        size_px: (width, height) of the frames as they are shown.
    """

    processor: ChatProcessor
    packed: bool
    max_tokens: int
    size_px: tuple[int, int]

    @classmethod
    def of(cls, processor: ChatProcessor, config: FinetuneConfig, max_tokens: int) -> Collator:
        """The collator of a recipe."""
        return cls(processor, config.pack, max_tokens, config.image_size_px)

    def __call__(self, rows: Sequence[Sequence[ShownLesson]]) -> dict[str, torch.Tensor]:
        """A batch.

        Args:
            rows: as the data set gives them; no row is empty.

        Returns:
            `input_ids`, `labels`, `lesson` and `segment` (rows, length), see finetune.packing; `position_ids` in the shape that
            the model takes; the images of all rows under the model's own names.

        Raises:
            ModelError: image placeholders and image features do not match, or a question is too long.
        """
        lessons = [self._sequences(row) for row in rows]
        sequences = [sequence for row in lessons for sequence in row]
        positions = [_joined_positions(sequence) for sequence in sequences]
        fills = {"input_ids": padding_id(self.processor), "labels": IGNORED, "segment": PADDING}
        images = [lesson.images for sequence in sequences for lesson in sequence]
        return {
            **{
                name: _padded([_joined(sequence, name) for sequence in sequences], fill) for name, fill in fills.items()
            },
            "lesson": _padded([_lesson_numbers(sequence) for sequence in sequences], PADDING),
            "position_ids": _as_model_takes(_padded(positions, 0)),
            **self.processor.join_images(images),
        }

    def taught(self, lessons: Sequence[ShownLesson]) -> list[str]:
        """What the questions of lessons teach the model to say, boxes in its own units, without the last end of a turn."""
        return [
            self._in_model_units(question, shown.lesson.group)["answer"]
            for shown in lessons
            for question in shown.lesson.questions
        ]

    def samples(self, shown: ShownLesson, images: Images) -> list[Sample]:
        """Each question of a lesson as token ids."""
        group = shown.lesson.group
        asked = [self._in_model_units(question, group) for question in shown.lesson.questions]
        return [
            Sample(
                tuple(self.processor.prompt_ids(build_messages(group, question), images)),
                tuple(self.processor.answer_ids(question["answer"])),
            )
            for question in asked
        ]

    def _in_model_units(self, question: Row, group: Row) -> Row:
        """Question, options and answer with their boxes as the family writes them."""

        def turned(text: str) -> str:
            return self.processor.to_model_text(text, group, self.size_px)

        options = [turned(option) for option in question.get("options") or ()]
        return {"question": turned(question["question"]), "options": options, "answer": turned(question["answer"])}

    def _sequences(self, row: Sequence[ShownLesson]) -> list[list[PackedLesson]]:
        lessons = [lesson for shown in row for lesson in self._lessons(shown)]
        return [lessons] if self.packed else [[lesson] for lesson in lessons]

    def _lessons(self, shown: ShownLesson) -> list[PackedLesson]:
        """The lesson; without packing, a lesson for each question."""
        images = self.processor.images(shown.frames)
        samples = self.samples(shown, images)
        parts = [samples] if self.packed else [[sample] for sample in samples]
        return [self._lesson(part, images, shown.lesson.group["group_id"]) for part in parts]

    def _lesson(self, samples: Sequence[Sample], images: Images, group_id: str) -> PackedLesson:
        packed = pack(samples, self.processor.image_token_id)
        check_each_image(packed.input_ids, images, self.processor, group_id)
        self._check_length(packed, group_id)
        prefix = packed.input_ids[: packed.prefix_length]
        return PackedLesson(packed, packed.positions(self.processor.positions(prefix.tolist(), images)), images)

    def _check_length(self, packed: Packed, group_id: str) -> None:
        """A lesson's longest sample decides, since positions start anew with each."""
        longest = packed.prefix_length + int(packed.offset[packed.segment > 0].max()) + 1
        if longest > self.max_tokens:
            raise ModelError(
                f"a question of group {group_id} has {longest} tokens, the model takes {self.max_tokens}: use a smaller "
                "image_size_px"
            )


def check_each_image(
    input_ids: Int[torch.Tensor, " length"], images: Images, processor: ChatProcessor, group_id: str
) -> None:
    """Refuse a sequence in which an image was cut, doubled or run into another.

    Raises:
        ModelError: placeholders do not come in the portions that the images fill.
    """
    image_token_id = processor.image_token_id
    runs = [len(list(run)) for token, run in itertools.groupby(input_ids.tolist()) if token == image_token_id]
    counts = [expansion.count(image_token_id) for expansion in images.expansions]
    ends = set(itertools.accumulate(runs))
    if sum(runs) != sum(counts) or not ends.issuperset(itertools.accumulate(counts)):
        raise ModelError(
            f"the sequence of group {group_id} has image placeholders in portions of {runs}, for images that fill {counts}: an "
            "image was cut or doubled"
        )


def _joined(lessons: BatchRow, name: str) -> Int[torch.Tensor, " length"]:
    return torch.cat([getattr(lesson.packed, name) for lesson in lessons])


def _lesson_numbers(lessons: BatchRow) -> Int[torch.Tensor, " length"]:
    lengths = torch.tensor([len(lesson.packed.input_ids) for lesson in lessons])
    return torch.arange(len(lessons)).repeat_interleave(lengths)


def _joined_positions(lessons: BatchRow) -> Int[torch.Tensor, "length axes"]:
    return torch.cat([lesson.positions for lesson in lessons], dim=1).T


def _as_model_takes(positions: Int[torch.Tensor, "rows length axes"]) -> Int[torch.Tensor, "..."]:
    """(axes, rows, length) for M-RoPE, else (rows, length)."""
    return positions.permute(2, 0, 1).contiguous() if positions.shape[2] > 1 else positions[:, :, 0]


def _padded(rows: Sequence[torch.Tensor], value: int) -> Int[torch.Tensor, "rows length ..."]:
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=value)
