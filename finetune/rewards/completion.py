"""What a reward is computed from: a model's answer to one question, read, with the looks that it took on the way."""

from __future__ import annotations

from dataclasses import dataclass

from drive_vqa.looks import Look
from drive_vqa.traces import Dialect
from eval.reasoning.read import read_trace
from eval.reasoning.trace import ReadTrace


@dataclass(frozen=True)
class Completion:
    """One sampled answer.

    Attributes:
        text: all that the model itself wrote; what a tool answered is not in it.
        trace: the text as the preset reads it, see `read_text`.
        looks: in the order taken; none without zoom.
        finished: it ended by itself, within the budget of tokens and turns.
    """

    text: str
    trace: ReadTrace
    looks: tuple[Look, ...] = ()
    finished: bool = True


def read_text(text: str, dialect: Dialect | None, *, first_s: float = 0.0) -> ReadTrace:
    """What a model said; no text raises.

    Args:
        text: all of it.
        dialect: of its traces. None: there need be none; all of the text is the answer, which `eval.parse` reads as in the score.
        first_s: time of the first image from now, seconds.
    """
    if dialect is None:
        return ReadTrace((), (), (), (), text, ())
    return read_trace(text, dialect, first_s=first_s)
