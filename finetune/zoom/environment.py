"""The zoom as an environment of TRL's GRPOTrainer (`environment_factory`).

TRL makes a tool of every public method but `reset`, so `zoom` is the only one; the rest are properties, which it leaves alone.
What reads the model's words is `finetune.zoom.templates.RESPONSE_TEMPLATE`: it hands each call over as text, whatever it holds,
because TRL drops calls that are not valid JSON, lets some errors of its parser escape, and answers wrong arguments with the
message of an exception and without counting them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any

from drive_vqa.errors import DriveVqaError
from drive_vqa.looks import Look
from drive_vqa.prompt import Message
from finetune.zoom.calls import TOOL, json_call
from finetune.zoom.crops import CropPreset
from finetune.zoom.session import FORCED_PREFIX, ZoomSession
from finetune.zoom.views import Views

ViewsOf = Callable[[Mapping[str, Any]], Views]
"""A row of the training data → the frames that its question is about."""

CALL = "call"
"""The argument under which the response template hands over the text of a call."""


# transformers knows `self` by its lack of a type, and leaves out of the schema what it returns where that has no JSON type
def zoom(  # type: ignore[no-untyped-def]
    self,  # noqa: ANN001
    frame: int,
    coordinate: list[float] | None = None,
    box: list[float] | None = None,
) -> Sequence[Message]:
    """Shows a part of an image larger. Give coordinate or box, not both; you have few looks.

    Args:
        frame: Number of the image to look at, counted from 1 in the order shown.
        coordinate: [x, y] of what to look at, counted as you count boxes.
        box: [left, top, right, bottom] of what to look at, counted as you count boxes.
    """
    raise NotImplementedError("this is what models read; ZoomEnvironment.zoom answers")


class ZoomEnvironment:
    """One dialogue at a time; TRL keeps and reuses instances."""

    def __init__(self, views_of: ViewsOf, preset: CropPreset) -> None:
        """Prepare.

        Args:
            views_of: finds the frames of a question.
            preset: how looks are taken.
        """
        self._views_of = views_of
        self._preset = preset
        self._session: ZoomSession | None = None
        self._broken: DriveVqaError | None = None

    def reset(self, **row: Any) -> None:
        """Begin a dialogue about the question of a row."""
        self._broken = None
        self._session = ZoomSession(self._views_of(row), self._preset)

    @wraps(zoom)
    def zoom(self, **arguments: Any) -> Sequence[Message]:
        """Takes what the model asks for, whatever it is; the function of this name says what models are told."""
        call = arguments[CALL] if arguments.keys() == {CALL} else json_call(arguments)
        try:
            return self.session.look(call).content
        except DriveVqaError as error:
            # TRL would tell the model what is wrong with our files and train on
            self._broken = error
            raise

    @property
    def session(self) -> ZoomSession:
        """The looks of the dialogue.

        Raises:
            DriveVqaError: a frame could not be opened during the dialogue.
            RuntimeError: it has not begun.
        """
        if self._broken is not None:
            raise self._broken
        if self._session is None:
            raise RuntimeError(f"{TOOL} was called before reset")
        return self._session

    @property
    def looks(self) -> tuple[Look, ...]:
        """See `ZoomSession`."""
        return self.session.looks

    @property
    def forced_prefix(self) -> str:
        """What the model's next turn must begin with; empty while it may look again."""
        return FORCED_PREFIX if self.session.must_answer else ""


def tool_schema() -> dict[str, Any]:
    """What a model reads about the tool, as TRL derives it."""
    from transformers.utils import get_json_schema

    schema: dict[str, Any] = get_json_schema(ZoomEnvironment.zoom)
    return schema
