"""A teacher behind an OpenAI-compatible address, such as vLLM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from drive_vqa.chat_endpoint import ChatEndpoint
from drive_vqa.chat_request import chat_request
from drive_vqa.prompt import Message
from drive_vqa.vlm.family import SizePx
from drive_vqa.vlm.sent_units import SentUnits
from eval.predict import PromptedQuestion
from finetune.search.teacher import Ask, as_thought, in_pixels, instruction
from finetune.search.tree import Request

STEP_TOKENS = 256


@dataclass(frozen=True)
class ServedTeacher:
    """A model on a server.

    Attributes:
        endpoint: where it is.
        model: its name there.
        units: what it counts in.
        size_px: (width, height) that frames are sent in; None: as they are.
        temperature: of its sampling.
    """

    endpoint: ChatEndpoint
    model: str
    units: SentUnits
    size_px: SizePx | None = None
    temperature: float = 1.0

    @property
    def name(self) -> str:
        """The model's."""
        return self.model

    @property
    def settings(self) -> Mapping[str, Any]:
        """Units, size of the images and temperature."""
        size_px = None if self.size_px is None else list(self.size_px)
        return {"units": self.units.unit, "size_px": size_px, "temperature": self.temperature}

    def about(self, asked: PromptedQuestion) -> Ask:
        """How it is asked about one question; frames are drawn once."""
        request = chat_request(
            asked.store,
            asked.group,
            asked.question,
            model=self.model,
            size_px=self.size_px,
            processor=self.units,
            max_tokens=STEP_TOKENS,
        )

        def ask(wanted: Request) -> list[str]:
            body = {**request, "messages": self._messages(request["messages"], wanted, asked.group)}
            texts = self._choices(body, wanted)
            return [in_pixels(text, asked, self.units.from_model_text, self.size_px) for text in texts]

        return ask

    def _messages(self, messages: list[Message], wanted: Request, group: Mapping[str, Any]) -> list[Message]:
        [turn] = messages
        words = as_thought(instruction(wanted, group, self.units.unit), group, self.units.to_model_text, self.size_px)
        return [{**turn, "content": [*turn["content"], {"type": "text", "text": words}]}]

    def _choices(self, body: Mapping[str, Any], wanted: Request) -> list[str]:
        """So many texts, also of a server that gives one at a time whatever it is asked for."""
        texts: list[str] = []
        for attempt in range(wanted.count):
            drawn = {"n": wanted.count - len(texts), "temperature": self.temperature, "seed": wanted.seed + attempt}
            texts += self.endpoint.complete({**body, **drawn})
            if len(texts) >= wanted.count:
                break
        return texts[: wanted.count]
