"""A teacher that is loaded here: a checkpoint, with or without an adapter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from drive_vqa.errors import ConfigError
from drive_vqa.marks import marked_frames
from drive_vqa.prompt import Message, build_messages
from drive_vqa.vlm import Sampling, Vlm
from drive_vqa.vlm.tuned import TRACE_TOKENS
from eval.predict import PromptedQuestion
from finetune.search.steps import ANSWER_TAG
from finetune.search.teacher import CLOSE, OPEN, Ask, as_thought, in_pixels, instruction
from finetune.search.tree import Request

STEP_TOKENS = 128


@dataclass(frozen=True, eq=False)
class LocalTeacher:
    """A loaded model.

    One that was tuned on traces is not instructed: its thought is begun with the steps so far, and it goes on as it was taught.

    Attributes:
        vlm: the model.
        name: in the records.
        temperature: of its sampling.

    Raises:
        ConfigError: it was tuned on questions that name regions in another way than by marks.
    """

    vlm: Vlm
    name: str
    temperature: float = 1.0
    _turn: Lock = field(default_factory=Lock, repr=False)

    def __post_init__(self) -> None:
        if self.vlm.regions != "marks":
            raise ConfigError(
                f"{self.name} was tuned with regions={self.vlm.regions} and search shows drawn marks: give another teacher"
            )

    @property
    def settings(self) -> Mapping[str, Any]:
        """Its temperature."""
        return {"temperature": self.temperature}

    def about(self, asked: PromptedQuestion) -> Ask:
        """How it is asked about one question; frames are drawn once."""
        vlm, size_px = self.vlm, self.vlm.image_size_px
        frames = marked_frames(asked.store, asked.group, size_px)
        messages = vlm.processor.to_model_messages(build_messages(asked.group, asked.question), asked.group, size_px)

        def ask(wanted: Request) -> list[str]:
            put = self._goes_on if self._thinks else self._follows
            conversation, begun = put(messages, wanted, asked)
            with self._turn:  # random numbers belong to the process, and draws of two questions must not mix
                texts = vlm.generate(
                    [conversation] * wanted.count,
                    [frames] * wanted.count,
                    STEP_TOKENS,
                    sampling=Sampling(self.temperature, seed=wanted.seed),
                    begun=None if begun is None else [begun] * wanted.count,
                )
            texts = [_first_line(text, wanted) for text in texts] if begun is not None else texts
            return [in_pixels(text, asked, vlm.processor.from_model_text, size_px) for text in texts]

        return ask

    @property
    def _thinks(self) -> bool:
        """Whether it was tuned to say its thoughts."""
        return self.vlm.answer_tokens >= TRACE_TOKENS

    def _follows(
        self, messages: list[Message], wanted: Request, asked: PromptedQuestion
    ) -> tuple[list[Message], str | None]:
        """The question with an instruction behind it."""
        processor = self.vlm.processor
        words = instruction(wanted, asked.group, processor.family.unit_words)
        told = as_thought(words, asked.group, processor.to_model_text, self.vlm.image_size_px)
        [turn] = messages
        return [{**turn, "content": [*turn["content"], {"type": "text", "text": told}]}], None

    def _goes_on(
        self, messages: list[Message], wanted: Request, asked: PromptedQuestion
    ) -> tuple[list[Message], str | None]:
        """The question alone, and the reply begun with the steps so far.

        The bracket that closes the last point is left to the model: what it says next may share a token with it, and a text that
        is cut within a token is none that it was taught.
        """
        if not wanted.steps:
            return messages, ""
        lines = "\n".join(step.line for step in wanted.steps)
        told = as_thought(lines, asked.group, self.vlm.processor.to_model_text, self.vlm.image_size_px)
        end = f"){CLOSE}\n{ANSWER_TAG}" if wanted.must_answer else ""
        return messages, f"{OPEN}{told.removesuffix(')')}{end}"


def _first_line(text: str, wanted: Request) -> str:
    """Of a thought that goes on and on the next step, or the answer where that comes next; nothing where no point was closed."""
    if wanted.must_answer:
        return f"{ANSWER_TAG}{text}"
    start = ")" if wanted.steps else OPEN.strip()
    rest = text.removeprefix(start).lstrip() if text.startswith(start) else ""
    return rest if rest.startswith((CLOSE.strip(), ANSWER_TAG)) else rest.split("\n", 1)[0]
