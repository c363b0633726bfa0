"""What a reward is computed from: a model's answer to one question, read, with the looks that it took on the way."""

from __future__ import annotations

from dataclasses import dataclass

from drive_vqa.looks import Look
from eval.reasoning.trace import ReadTrace


@dataclass(frozen=True)
class Completion:
    """One sampled answer.

    Attributes:
        text: all that the model itself wrote; what a tool answered is not in it.
        trace: the text as read in the dialect of the preset.
        looks: in the order taken; none without zoom.
        finished: it ended by itself, within the budget of tokens and turns.
    """

    text: str
    trace: ReadTrace
    looks: tuple[Look, ...] = ()
    finished: bool = True
