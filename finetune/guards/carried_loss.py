"""What carries loss, seen by decoding it: a sample file that a person reads, and a check that does not trust the collator.

Labels are decoded back to text and compared with the answers as the questions' rows have them. A mask that is one token off, a
template whose end of turn is not learned, an answer that was cut: each changes the decoded text.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import torch

from drive_vqa.errors import ModelError
from drive_vqa.store import replacing
from drive_vqa.vlm import ChatProcessor
from finetune.dataset import ShownLesson
from finetune.guards.batch_images import Batch
from finetune.packing import IGNORED

NEW_LINE = "⏎"
CARRIES = "▶"

Run = tuple[bool, list[int]]
"""Whether tokens carry loss, and the tokens."""


@dataclass(frozen=True)
class Carried:
    """One question of a batch, decoded.

    Attributes:
        row: of the batch, from 0.
        lesson: of the row, from 0.
        segment: of the lesson, from 1.
        images: what all questions of the lesson begin with, to the end of the last image; a run of image placeholders is written
            `<image ×228>`.
        parts: from there on, shared or not, by turns: whether it carries loss, and the text. In a dialogue observations stand
            between what carries loss.
    """

    row: int
    lesson: int
    segment: int
    images: str
    parts: tuple[tuple[bool, str], ...]

    @property
    def asked(self) -> str:
        """What stands before all that carries loss."""
        learned, text = self.parts[0]
        return "" if learned else text

    @property
    def learned(self) -> str:
        """All that carries loss."""
        return "".join(text for learned, text in self.parts if learned)


def decode_batch(batch: Batch, processor: ChatProcessor) -> list[Carried]:
    """Every question of a batch, in the order of rows, lessons and segments.

    Raises:
        ModelError: loss is carried where no answer can be: in a prefix, in padding, in the middle of a turn, or by a label that
            is not its token.
    """
    return [
        carried
        for row in range(len(batch["input_ids"]))
        for carried in _decode_row(
            {name: batch[name][row] for name in ("input_ids", "labels", "lesson", "segment")}, row, processor
        )
    ]


def check_carried(carried: Sequence[Carried], answers: Sequence[str], processor: ChatProcessor) -> None:
    """Refuse a batch whose loss is not carried by the answers and their ends of turn, exactly.

    Args:
        carried: the decoded batch.
        answers: texts that the questions of the batch teach, in its order, as the model shall say them. A chat template may put a
            blank before an answer.
        processor: of the model.

    Raises:
        ModelError: another text carries loss, or there are more or fewer questions.
    """
    if len(carried) != len(answers):
        raise ModelError(
            f"a batch carries loss for {len(carried)} questions and has {len(answers)}: lessons were lost or doubled in packing"
        )
    for one, answer in zip(carried, answers, strict=True):
        wanted = unicodedata.normalize("NFC", f"{answer}{processor.family.end_of_turn}")  # as Qwen's tokenizer does
        if unicodedata.normalize("NFC", one.learned).removeprefix(" ") != wanted.removeprefix(" "):
            raise ModelError(
                f"question {one.segment} of lesson {one.lesson + 1} in row {one.row + 1} would learn {one.learned!r} "
                f"and its answer is {wanted!r}: the mask of the loss does not fit the chat template of this model"
            )


def write_samples(carried: Sequence[Carried], lessons: Sequence[ShownLesson], path: Path) -> None:
    """Write a file that shows what is learned, complete or not at all.

    Args:
        carried: a decoded batch.
        lessons: of the batch, in its order; they name groups and questions.
        path: a Markdown file.
    """
    ids = [
        (str(shown.lesson.group["group_id"]), str(asked["qa_id"]))
        for shown in lessons
        for asked in shown.lesson.questions
    ]
    if len(ids) != len(carried):
        raise ModelError(
            f"{len(carried)} decoded questions came with the names of {len(ids)}: give the lessons of the batch"
        )
    named = list(zip(carried, ids, strict=True))
    parts = [
        "# What carries loss\n\n"
        f"The first rows of the training, decoded from the tokens that the model gets. Only lines with {CARRIES} carry loss, "
        f"to their end. {NEW_LINE} is a line break that is a token; `<image ×N>` stands for N tokens of an image.\n"
    ]
    for row, of_row in groupby(named, key=lambda item: item[0].row):
        parts.append(f"\n## Row {row + 1}\n")
        for _, of_lesson in groupby(of_row, key=lambda item: (item[0].lesson, item[1][0])):
            parts.append(_lesson_text(list(of_lesson)))
    with replacing(path) as temporary:
        temporary.write_text("".join(parts), encoding="utf-8")


def shorten_images(ids: Sequence[int], processor: ChatProcessor) -> str:
    """Decode tokens, with each run of image placeholders as `<image ×N>`."""
    image_id = processor.image_token_id
    text = ""
    for is_image, run in groupby(ids, key=lambda token: token == image_id):
        tokens = list(run)
        text += f"<image ×{len(tokens)}>" if is_image else _decode(tokens, processor)
    return text


def _decode_row(row: Batch, number: int, processor: ChatProcessor) -> Iterator[Carried]:
    carries = row["labels"] != IGNORED
    where = f"row {number + 1} of a batch"
    if bool((carries & (row["segment"] < 1)).any()):
        raise ModelError(
            f"{where} carries loss in images, in what its questions share or in padding: the mask of the loss is wrong"
        )
    if bool((row["labels"][carries] != row["input_ids"][carries]).any()):
        raise ModelError(
            f"{where} has a label that is not its own token: labels and tokens are shifted against each other"
        )
    for lesson in range(int(row["lesson"].max()) + 1):
        own = row["lesson"] == lesson
        images, text = _split_prefix(row["input_ids"][own & (row["segment"] == 0)].tolist(), processor)
        for segment in range(1, int(row["segment"][own].max()) + 1):
            at = own & (row["segment"] == segment)
            runs = _runs(row["input_ids"][at], carries[at], processor.end_id, where)
            told = [(learned, shorten_images(tokens, processor)) for learned, tokens in _behind(text, runs)]
            yield Carried(number, lesson, segment, shorten_images(images, processor), tuple(told))


def _split_prefix(ids: list[int], processor: ChatProcessor) -> tuple[list[int], list[int]]:
    """A shared prefix up to its last image, and the words behind it with which all questions happen to begin."""
    images = max((place + 1 for place, token in enumerate(ids) if token == processor.image_token_id), default=0)
    end = images + int(ids[images : images + 1] == [processor.image_end_id])
    return ids[:end], ids[end:]


def _runs(ids: torch.Tensor, carries: torch.Tensor, end_id: int, where: str) -> list[Run]:
    """Tokens without loss and those with in alternation; what carries loss must end with a turn."""
    pairs = groupby(zip(carries.tolist(), ids.tolist(), strict=True), key=lambda pair: pair[0])
    runs = [(learned, [token for _, token in run]) for learned, run in pairs]
    if any(learned and tokens[-1] != end_id for learned, tokens in runs[:-1]):
        raise ModelError(f"{where} carries loss in the middle of a question: the mask of the loss is wrong")
    return runs


def _behind(text: list[int], runs: list[Run]) -> list[Run]:
    """The runs behind words that carry no loss."""
    first, *others = runs
    return [(False, [*text, *first[1]]), *others] if not first[0] else [(False, text), *runs]


def _lesson_text(questions: Sequence[tuple[Carried, tuple[str, str]]]) -> str:
    first, (group_id, _) = questions[0]
    lines = [_indented(first.images, "")]
    for carried, (_, qa_id) in questions:
        lines += [
            "",
            f"[{carried.segment}] {_in_a_line(qa_id)}",
            *(_indented(text, f"  {CARRIES} " if learned else "    ") for learned, text in carried.parts),
        ]
    body = "\n".join(lines)
    fence = "`" * max(3, 1 + max((len(list(run)) for tick, run in groupby(body) if tick == "`"), default=0))
    return f"\n### Lesson {first.lesson + 1}: group {_in_a_line(group_id)}\n\n{fence}text\n{body}\n{fence}\n"


def _in_a_line(name: str) -> str:
    """Names are of whoever made the store, and may hold line breaks."""
    return " ".join(name.split())


def _indented(text: str, indent: str) -> str:
    """Each line behind the indent, with its line break to be seen; a break at the end opens no new line."""
    lines = text.replace("\n", f"{NEW_LINE}\n").removesuffix("\n").split("\n")
    return "\n".join(f"{indent}{line}" for line in lines)


def _decode(ids: Sequence[int], processor: ChatProcessor) -> str:
    return str(processor.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))
