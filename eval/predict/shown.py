"""What is shown with a question and how it is asked: as it is stored, or as a control has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image

from drive_vqa.errors import ConfigError, StoreError
from drive_vqa.marks import Style, marked_frames
from drive_vqa.prompt import Message, build_messages
from drive_vqa.store import Store
from eval.hiding import GREY
from eval.predict.asked import PromptedQuestion

FramesOf = Callable[[PromptedQuestion, tuple[int, int] | None, Style], list[Image.Image]]
"""What is shown with a question, at a size and with regions drawn in a style."""

Turn = Callable[[PromptedQuestion], PromptedQuestion | None]
"""A question as it is asked; None: it cannot be asked so."""

MessagesOf = Callable[[PromptedQuestion], list[Message]]
"""Chat messages about a question, with a placeholder for each image that is shown."""

Told = Callable[[PromptedQuestion, PromptedQuestion, str], str]
"""The question as it is stored, the question as it was asked, what was said → that in terms of the stored question."""


def frames_with_marks(asked: PromptedQuestion, size_px: tuple[int, int] | None, style: Style) -> list[Image.Image]:
    """The context images of the question's group."""
    return marked_frames(asked.store, asked.group, size_px, style=style)


def as_stored(asked: PromptedQuestion) -> PromptedQuestion:
    """The question itself."""
    return asked


def messages_with_frames(asked: PromptedQuestion) -> list[Message]:
    """One turn of the user: frames, each after its time line, then the question."""
    return build_messages(asked.group, asked.question)


def as_said(_stored: PromptedQuestion, _asked: PromptedQuestion, text: str) -> str:
    """The text itself."""
    return text


@dataclass(frozen=True)
class Control:
    """One way to show and ask the questions of a store. They keep their ids, so that runs are compared question by question.

    Attributes:
        name: added to the name of a model, as in "model+blank"; "": nothing is changed.
        frames: what is shown with a turned question.
        turn: the question as it is asked.
        messages: the prompt of a turned question.
        told: what was said, in terms of the stored question.
        begun: how every answer is made to begin; what a model says comes behind it.
        per_question: frames depend on more than the group, so that its questions cannot share them.

    Raises:
        ConfigError: the name cannot be a part of a metric's name.
    """

    name: str
    frames: FramesOf = frames_with_marks
    turn: Turn = as_stored
    messages: MessagesOf = messages_with_frames
    told: Told = as_said
    begun: str = ""
    per_question: bool = False

    def __post_init__(self) -> None:
        if self.name and not self.name.isidentifier():
            raise ConfigError(f"a control cannot be called {self.name!r}: take letters, digits and _")

    def model_name(self, model: str) -> str:
        """What a model under this control is called."""
        return f"{model}+{self.name}" if self.name else model


NO_CONTROL = Control("")
"""Everything as it is stored."""


def grey_frames(
    _store: Store, group: Mapping[str, Any], size_px: tuple[int, int] | None, **_style: Any
) -> list[Image.Image]:
    """Frames that show nothing.

    Raises:
        StoreError: their size is not known.
    """
    if size_px is None and not all(view["width"] and view["height"] for view in group["context"]):
        raise StoreError(f"group {group.get('group_id')} has an image of unknown size: leave its questions out")
    return [Image.new("RGB", size_px or (view["width"], view["height"]), GREY) for view in group["context"]]
