"""A model on a server that speaks OpenAI's chat completions, such as vLLM, asked many questions at a time.

Each question is one request, made as `drive_vqa.chat_request` makes it. Of the questions, no more than twice as many as are asked
at once are taken from the store in advance, and of the frames those of a few groups are kept.

Where one request is refused or gets no usable answer, its question has none; where the server refuses whoever asks (status 401,
403 or 404: no such key or model), asking ends.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from drive_vqa.chat_endpoint import ChatEndpoint, RefusalError
from drive_vqa.chat_request import TurnsMessages, chat_body, data_url
from drive_vqa.errors import ConfigError, DriveVqaError
from drive_vqa.prompt import Message
from drive_vqa.region_forms import RegionForm, style_of
from eval.predict.asked import Answer, Answering, PromptedQuestion, Unanswered
from eval.predict.batches import side_by_side
from eval.predict.once_per_group import OncePerGroup
from eval.predict.shown import NO_CONTROL, Control

if TYPE_CHECKING:
    from drive_vqa.vlm.sent_units import Unit
    from drive_vqa.vlm.tuned import Tuned

KEY_VARIABLE = "DRIVE_VQA_MODEL_KEY"
"""Environment variable with what a server wants as a bearer token."""

REFUSES_ALL = frozenset({401, 403, 404})
CONCURRENCY = 8
ANSWER_TOKENS = 256
"""Room for an answer of a model that was not tuned here: some say more than the answer."""


@runtime_checkable
class Coordinates(TurnsMessages, Protocol):
    """What turns boxes into a model's coordinates and back: a processor, or `SentUnits`."""

    def from_model_text(
        self, text: str, group: Mapping[str, Any], size_px: tuple[int, int] | None, *, asked: str | None
    ) -> str:
        """A text of the model in pixels of the original images."""
        ...


@dataclass(frozen=True)
class ServedModel:
    """A model on a server, and how it is asked.

    Attributes:
        endpoint: where it is.
        model: its name there.
        coordinates: what it counts in.
        units: the same in a word, for the record.
        size_px: (width, height) that frames are sent in; None: as they are.
        regions: how questions name regions to it.
        max_tokens: longest answer.
        temperature: of drawn answers; None: the likeliest.
        seed: of drawn answers; each question and sample has its own, which follows from this one.
    """

    endpoint: ChatEndpoint
    model: str
    coordinates: Coordinates
    units: str
    size_px: tuple[int, int] | None = None
    regions: RegionForm = "marks"
    max_tokens: int = ANSWER_TOKENS
    temperature: float | None = None
    seed: int = 0

    @property
    def settings(self) -> dict[str, Any]:
        """What its answers depend on, as JSON can hold it; not where it is."""
        size_px = None if self.size_px is None else list(self.size_px)
        drawn = {} if self.temperature is None else {"temperature": self.temperature, "seed": self.seed}
        return {"served": self.model, "units": self.units, "size_px": size_px, "max_tokens": self.max_tokens, **drawn}

    def ask(self, asked: PromptedQuestion, messages: list[Message], pictures: list[str]) -> Answer:
        """What it says to one question.

        Args:
            asked: the question.
            messages: about it, with a placeholder for each picture.
            pictures: URLs.

        Raises:
            ModelError: the server does not answer.
            StoreError: a frame has no known size.
        """
        turned = self.coordinates.to_model_messages(messages, asked.group, self.size_px)
        body = chat_body(turned, pictures, model=self.model, max_tokens=self.max_tokens)
        said = self.endpoint.completion({**body, **self._drawn(asked)})
        wording = asked.question["question"]
        text = self.coordinates.from_model_text(said.texts[0], asked.group, self.size_px, asked=wording)
        return Answer(text, None, said.latency_s, said.prompt_tokens, said.completion_tokens)

    def _drawn(self, asked: PromptedQuestion) -> dict[str, Any]:
        if self.temperature is None:
            return {}
        content = f"{self.seed} {asked.question['qa_id']} {asked.sample}"
        seed = int.from_bytes(hashlib.sha256(content.encode()).digest()[:4], "big") >> 1
        return {"temperature": self.temperature, "seed": seed}


def open_served(
    url: str,
    *,
    served_name: str | None = None,
    checkpoint: Path | None = None,
    unit: Unit | None = None,
    size_px: tuple[int, int] | None = None,
    max_tokens: int | None = None,
    temperature: float | None = None,
    seed: int = 0,
) -> ServedModel:
    """A model by the address of its server; a key is taken from the environment, see KEY_VARIABLE.

    Args:
        url: base of the server's interface, such as http://127.0.0.1:8000/v1.
        served_name: of the model there; None: the only one.
        checkpoint: folder of the model that is served, where it is at hand: says units, size, regions and length of answers.
        unit: what the model gives boxes and points in, where there is no checkpoint; None: pixels.
        size_px: (width, height) of the images that it is sent, likewise; None: as recorded.
        max_tokens: longest answer; None: what the checkpoint was tuned to need, or ANSWER_TOKENS.
        temperature: see `ServedModel`.
        seed: see `ServedModel`.

    Raises:
        ConfigError: it is no address, an option does not go with a checkpoint, or the server has several models.
        ModelError: the server does not answer, or the checkpoint is none.
    """
    if checkpoint is not None and (unit is not None or size_px is not None):
        raise ConfigError(f"--units and --size are told by {checkpoint}: leave them out")
    endpoint = ChatEndpoint(url, (os.environ.get(KEY_VARIABLE) or "").strip() or None)
    coordinates, units, tuned = _sent(unit or "pixels", size_px) if checkpoint is None else _as_tuned(checkpoint)
    return ServedModel(
        endpoint,
        served_name or endpoint.only_model(),
        coordinates,
        units,
        tuned.image_size_px,
        tuned.regions,
        max_tokens or tuned.answer_tokens,
        temperature,
        seed,
    )


def _sent(unit: Unit, size_px: tuple[int, int] | None) -> tuple[Coordinates, str, Tuned]:
    """How a model is asked of which no more is known."""
    from drive_vqa.vlm.sent_units import SentUnits
    from drive_vqa.vlm.tuned import Tuned

    return SentUnits(unit), unit, Tuned(size_px, "marks", ANSWER_TOKENS, "", None, whole=True)


def _as_tuned(checkpoint: Path) -> tuple[Coordinates, str, Tuned]:
    """How a model is asked whose folder is at hand."""
    from drive_vqa.vlm import TUNED_FILE, family_of, load_processor
    from drive_vqa.vlm.tuned import read_tuned

    processor, units = load_processor(checkpoint), family_of(checkpoint).unit_words
    record = checkpoint / TUNED_FILE
    return processor, units, read_tuned(record) if record.is_file() else _sent("pixels", None)[2]


def ask_served(served: ServedModel, *, concurrency: int = CONCURRENCY, control: Control = NO_CONTROL) -> Answering:
    """Who answers questions by asking a server.

    Args:
        served: the model; once asking was broken off, its endpoint is not asked any more.
        concurrency: requests at a time.
        control: whose frames are shown and whose messages are sent; its questions are turned by who asks.

    Raises:
        ConfigError: the control puts words into the model's mouth, which such servers have no common way to do.
    """
    if control.begun:
        raise ConfigError(
            f"control {control.name} begins answers, which a server cannot be made to: load the model here"
        )
    style = style_of(served.regions)

    def draw(asked: PromptedQuestion) -> list[str]:
        return [data_url(image) for image in control.frames(asked, served.size_px, style)]

    pictures = OncePerGroup(draw, per_question=control.per_question)

    def ask(asked: PromptedQuestion) -> Answer | Unanswered:
        try:
            return served.ask(asked, control.messages(asked), pictures.of(asked))
        except DriveVqaError as error:
            if isinstance(error, RefusalError) and error.status in REFUSES_ALL:
                raise
            return Unanswered(str(error))

    return side_by_side(ask, concurrency, served.endpoint.hang_up)
