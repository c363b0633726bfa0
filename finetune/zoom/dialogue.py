"""Turns of a model and observations in alternation, with any model, until it answers.

A turn with a tool call is answered with observations; one without ends the dialogue. After the last look the answer is forced:
the next turn begins with `<answer>`. A model that calls again even there is stopped, and the dialogue is not finished.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from PIL import Image

from drive_vqa.looks import TracedLook
from drive_vqa.prompt import Message
from drive_vqa.vlm import Sampling, Vlm
from eval.reasoning.read import read_trace
from finetune.zoom.calls import CALL_CLOSE, CALL_OPEN
from finetune.zoom.session import FORCED_PREFIX, ZoomSession
from finetune.zoom.templates import tool_processor

THINK_OPEN = "<think>\n"
THINK_CLOSE = "</think>"


Generate = Callable[[Sequence[Sequence[Message]], Sequence[Sequence[Image.Image]], Sequence[str]], list[str]]
"""Says the next turns: conversations that end with a turn of the user or of the tool, the images of each in the order of their
placeholders, and how each turn begins → what the model says behind that."""


def speaking(vlm: Vlm, max_new_tokens: int | None = None, sampling: Sampling | None = None) -> Generate:
    """A loaded model that can be asked for turns.

    Args:
        vlm: its processor may or may not know the zoom.
        max_new_tokens: longest turn; default: `answer_tokens`.
        sampling: each time with a seed that follows from this one and from how often it was asked before; None: greedy.

    Raises:
        ModelError: its chat template cannot be given tools.
    """
    asked = itertools.count()
    knowing = vlm if vlm.processor.tools else replace(vlm, processor=tool_processor(vlm.processor))

    def generate(
        messages: Sequence[Sequence[Message]], images: Sequence[Sequence[Image.Image]], begun: Sequence[str]
    ) -> list[str]:
        drawn = None if sampling is None else _another(sampling, next(asked))
        return knowing.generate(messages, images, max_new_tokens, sampling=drawn, begun=begun)

    return generate


def _another(sampling: Sampling, number: int) -> Sampling:
    """Other draws each time: with one seed a question that is asked again would be answered by the same words."""
    content = f"{sampling.seed} {number}"
    return replace(sampling, seed=int.from_bytes(hashlib.sha256(content.encode()).digest()[:4], "big"))


@dataclass(eq=False)
class Dialogue:
    """One dialogue, as far as it has come.

    Attributes:
        messages: for the chat template; images are placeholders where the opening has placeholders.
        images: all that were shown: frames, then crops.
        session: the looks.
        turns: what the model said, each with what was put into its mouth.
        finished: its last turn calls for nothing; whether that turn was cut short, only who generated it knows.
    """

    messages: list[Message]
    images: list[Image.Image]
    session: ZoomSession
    turns: list[str] = field(default_factory=list)
    finished: bool = False
    _looks: list[TracedLook] = field(default_factory=list, repr=False)

    @property
    def text(self) -> str:
        """All that the model said as one trace, in its own units."""
        return one_trace(self.turns)

    @property
    def looks(self) -> tuple[TracedLook, ...]:
        """Those that showed something."""
        return tuple(self._looks)

    @property
    def is_open(self) -> bool:
        """Whether it goes on."""
        return not self.finished and not self.session.refused

    def add(self, said: str) -> None:
        """Take a turn of the model and answer it.

        Args:
            said: the whole turn, with what it was begun with.
        """
        self.turns.append(said)
        self.messages.append({"role": "assistant", "content": [{"type": "text", "text": said}]})
        calls = calls_in(said)
        self.finished = not calls
        for call in calls[: self.session.preset.looks + 1]:
            observation = self.session.look(call)
            self.messages.append(observation.message)
            self.images += [] if observation.crop is None else [observation.crop]
        step = steps_told(self.turns)
        taken = self.session.looks[len(self._looks) :]
        self._looks += [TracedLook(look.context, look.box_px, look.aim_px, step) for look in taken]


def hold(dialogues: Sequence[Dialogue], generate: Generate) -> None:
    """Let all dialogues go on to their ends, those that are open together in each round.

    Args:
        dialogues: with their opening messages and images.
        generate: the model.
    """
    while waiting := [dialogue for dialogue in dialogues if dialogue.is_open]:
        begun = [FORCED_PREFIX if dialogue.session.must_answer else "" for dialogue in waiting]
        said = generate([dialogue.messages for dialogue in waiting], [dialogue.images for dialogue in waiting], begun)
        for dialogue, start, text in zip(waiting, begun, said, strict=True):
            dialogue.add(start + text)


def calls_in(turn: str) -> list[str]:
    """What stands between the tags of the tool calls of a turn; the last may lack its closing tag."""
    return [part.partition(CALL_CLOSE)[0].strip() for part in turn.split(CALL_OPEN)[1:]]


def without_calls(turn: str) -> str:
    """The rest of a turn."""
    first, *parts = turn.split(CALL_OPEN)
    return (first + "".join(part.partition(CALL_CLOSE)[2] for part in parts)).strip()


def one_trace(turns: Iterable[str]) -> str:
    """The turns of a dialogue as one reasoned answer: all thoughts in one block, then what the last turn says besides.

    Turns that say anything but a thought and calls, or a last one that says more than a thought and an answer, are joined as they
    are, for the reader of traces to see what is wrong with them.
    """
    said = [turn for turn in map(without_calls, turns) if turn]
    parts = [_thought(turn) for turn in said]
    if any(not thought or rest for thought, rest in parts[:-1]):
        return "\n".join(said)
    lines = "".join(thought for thought, _ in parts)
    answer = parts[-1][1] if parts else ""
    return f"{THINK_OPEN}{lines}{THINK_CLOSE}\n{answer}" if lines else answer


def steps_told(turns: Iterable[str]) -> int:
    """How many steps a reader of traces finds in turns; in every dialect a step is a line of a thought, so it may be any."""
    return len(read_trace(one_trace(turns), "drive").steps)


def _thought(said: str) -> tuple[str, str]:
    """The lines that a turn begins with as a thought, and what follows; all follows where it does not begin with a whole one."""
    inside, closed, rest = said.removeprefix(THINK_OPEN).partition(THINK_CLOSE)
    whole = said.startswith(THINK_OPEN) and bool(closed) and THINK_OPEN.strip() not in inside
    return (inside, rest.lstrip("\n")) if whole else ("", said)


def said_in(completion: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the model said in each turn of a dialogue in TRL's form, calls taken out already."""
    return [str(message.get("content") or "") for message in completion if message["role"] == "assistant"]
