"""Controls that change the frames of a question's own group and nothing else.

    blank          grey frames
    no_image       no frame at all: the question alone
    shuffled       the frames in another order under the same time lines, none at its place
    hide_evidence  the boxes of the marks that the answer rests on are painted out, see `eval.hiding`
    hide_region    and their outlines and numbers with them
    hide_random    as much of something else is

Who looks at the pictures answers worse without them; who knows the order of time, with another order.
"""

from __future__ import annotations

from PIL import Image

from drive_vqa.marks import Style
from drive_vqa.prompt import Message, question_content
from eval.controls.draws import derangement, draw_of
from eval.hiding import Hide, hidden_frames
from eval.predict.asked import PromptedQuestion
from eval.predict.shown import Control, frames_with_marks, grey_frames


def blank() -> Control:
    """Grey frames of the same size."""

    def frames(asked: PromptedQuestion, size_px: tuple[int, int] | None, _style: Style) -> list[Image.Image]:
        return grey_frames(asked.store, asked.group, size_px)

    return Control("blank", frames=frames)


def no_image() -> Control:
    """Text only."""
    return Control("no_image", frames=_no_frames, messages=_question_alone)


def hide(what: Hide, seed: int = 0) -> Control:
    """Something is painted out; the seed is of random boxes."""

    def frames(asked: PromptedQuestion, size_px: tuple[int, int] | None, style: Style) -> list[Image.Image]:
        return hidden_frames(asked.store, asked.group, asked.evidence, size_px, hide=what, style=style, seed=seed)

    return Control(f"hide_{what}", frames=frames, per_question=True)


def shuffled(seed: int = 0) -> Control:
    """The frames in another order, each with its own marks; groups of a single frame are left out."""

    def frames(asked: PromptedQuestion, size_px: tuple[int, int] | None, style: Style) -> list[Image.Image]:
        in_order = frames_with_marks(asked, size_px, style)
        draw = draw_of(seed, "shuffled", asked.group["log_id"], asked.group["group_id"])
        return [in_order[place] for place in derangement(len(in_order), draw)]

    return Control("shuffled", frames=frames, turn=_several_frames)


def _several_frames(asked: PromptedQuestion) -> PromptedQuestion | None:
    return asked if len(asked.group["context"]) > 1 else None


def _no_frames(_asked: PromptedQuestion, _size_px: tuple[int, int] | None, _style: Style) -> list[Image.Image]:
    return []


def _question_alone(asked: PromptedQuestion) -> list[Message]:
    return [{"role": "user", "content": question_content(asked.question)}]
