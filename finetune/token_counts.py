"""How many tokens a question takes in a row: known before any image is opened."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from PIL import Image

from drive_vqa.errors import ModelError
from drive_vqa.prompt import Message, frame_content, question_content
from drive_vqa.vlm import ChatProcessor, Images
from finetune.lesson import Row
from finetune.zoom.crops import CropPreset
from finetune.zoom.model_units import turns_in_model_units
from finetune.zoom.tokens import observation_tokens

PROBES = ("?", "1")
"""Two questions of one token each."""

TEXTS_KEPT = 200_000
"""Texts whose counts are kept; wordings and answers come again and again, offers of numbers do not."""


class TokenCounter:
    """Counts tokens with a model's own processor.

    A question stands between the last image's closing token and the end of its turn, an answer before one: special tokens, over
    which no tokenizer joins text. So the parts of a sequence can be counted apart and added up.
    """

    def __init__(self, processor: ChatProcessor, size_px: tuple[int, int], zoom: CropPreset | None = None) -> None:
        """Prepare.

        Args:
            processor: of the model.
            size_px: (width, height) that images are shown at.
            zoom: how looks are taken, where answers are dialogues with looks.
        """
        self._observation = 0 if zoom is None else observation_tokens(processor, zoom)
        self._processor = processor
        self._size_px = size_px
        self._frames: dict[tuple[str, ...], tuple[int, int]] = {}
        self._answers: dict[str, int] = {}
        self._questions: dict[str, int] = {}

    def frame_tokens(self, group: Mapping[str, Any]) -> int:
        """Tokens that all questions of a group share: from the start to where the question begins."""
        return self._layout(group)[0]

    def question_tokens(self, questions: Sequence[Row], groups: Sequence[Mapping[str, Any]]) -> list[int]:
        """Tokens of questions with their options and answers, behind the images, up to the end of the answer.

        Args:
            questions: as they are asked.
            groups: of each.
        """
        pairs = list(zip(questions, groups, strict=True))
        asked = [self._model_text(question_content(question)[0]["text"], group) for question, group in pairs]
        replies = [self._turns(question["answer"], group) for question, group in pairs]
        self._count_questions(asked)
        self._count_answers(itertools.chain.from_iterable(replies))
        behind = {id(group): self._layout(group)[1] for group in {id(group): group for group in groups}.values()}
        return [
            behind[id(group)] + self._questions[text] + self._of_turns(turns)
            for group, text, turns in zip(groups, asked, replies, strict=True)
        ]

    def _layout(self, group: Mapping[str, Any]) -> tuple[int, int]:
        """Tokens in front of a question, and those behind it that the chat template adds."""
        content = frame_content(group)
        lines = tuple(part["text"] for part in content if part["type"] == "text")
        if lines not in self._frames:
            images = self._processor.images([Image.new("RGB", self._size_px)] * len(lines))
            one, other = (self._prompt([*content, {"type": "text", "text": text}], images) for text in PROBES)
            shared = next(place for place, pair in enumerate(zip(one, other, strict=True)) if pair[0] != pair[1])
            self._frames[lines] = (shared, len(one) - shared - 1)
        return self._frames[lines]

    def _prompt(self, content: list[Message], images: Images) -> list[int]:
        return self._processor.prompt_ids([{"role": "user", "content": content}], images)

    def _turns(self, answer: str, group: Mapping[str, Any]) -> list[str]:
        """An answer in the turns in which it is said."""
        if not self._observation:
            return [self._model_text(answer, group)]
        return turns_in_model_units(answer, group, self._processor, self._size_px)

    def _of_turns(self, turns: Sequence[str]) -> int:
        """At most: not every observation is as long as the longest."""
        return sum(self._answers[turn] for turn in turns) + (len(turns) - 1) * self._observation

    def _model_text(self, text: str, group: Mapping[str, Any]) -> str:
        return self._processor.to_model_text(text, group, self._size_px)

    def _count_questions(self, texts: Iterable[str]) -> None:
        new = _new(texts, self._questions)
        self._questions.update(zip(new, self._tokenized(new), strict=True))

    def _count_answers(self, texts: Iterable[str]) -> None:
        new = _new(texts, self._answers)
        self._answers.update(zip(new, self._processor.answer_lengths(new), strict=True))

    def _tokenized(self, texts: Sequence[str]) -> list[int]:
        if not texts:
            return []
        return [len(ids) for ids in self._processor.tokenizer(list(texts), add_special_tokens=False)["input_ids"]]


def check_digits(processor: ChatProcessor) -> None:
    """See that all mark numbers are equally long in tokens, so that numbers dealt anew change no count.

    Raises:
        ModelError: they are not.
    """
    pairs = [f"Region {one}, Region {other}?" for one in range(10) for other in range(10)]
    if len({len(ids) for ids in processor.tokenizer(pairs, add_special_tokens=False)["input_ids"]}) > 1:
        raise ModelError("this tokenizer writes some mark numbers in more tokens than others: set renumber_marks=false")


def _new(texts: Iterable[str], known: dict[str, int]) -> list[str]:
    """Texts that are not counted yet, each once; forgets all others where they have become too many."""
    texts = dict.fromkeys(texts)
    if len(known) + len(texts) > TEXTS_KEPT:
        known.clear()
    return [text for text in texts if text not in known]
