"""Who proposes steps, and in which words it is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from drive_vqa.vlm.family import SizePx
from eval.predict import PromptedQuestion
from finetune.search.steps import ANSWER_TAG, MOST_CHARACTERS, with_whole_points, without_think_tags
from finetune.search.tree import Request

Ask = Callable[[Request], list[str]]
"""What a model says when asked to go on; points in pixels of the original images."""

TASK = (
    "Find the answer by looking, one step at a time. A step is one sentence about one place in an image and ends in the point of "
    "that place as (u, v) in {unit}, such as: The {thing} is on the left side ({u}, {v})"
)
EARLIER = "Where the place is in an earlier image, the sentence says when, such as: 0.5 seconds ago."
STEPS_SO_FAR = "Steps so far:"
NEXT_STEP = "Say the next step alone; it looks at a place that no step before has looked at."
OR_ANSWER = "If the steps are enough, say only the answer instead, as <answer>…</answer>."
ANSWER_NOW = "Now say the answer alone, as <answer>…</answer>."

OPEN, CLOSE = "<think>\n", "\n</think>"


@runtime_checkable
class Teacher(Protocol):
    """A model that proposes how to go on; it never sees the truth."""

    @property
    def name(self) -> str:
        """What it is called in the records."""
        ...

    @property
    def settings(self) -> Mapping[str, Any]:
        """What its proposals depend on besides its name, as JSON would give it back."""
        ...

    def about(self, asked: PromptedQuestion) -> Ask:
        """How it is asked about one question.

        Raises:
            StoreError: the question cannot be shown.
        """
        ...


def instruction(request: Request, group: Mapping[str, Any], unit: str) -> str:
    """What stands behind the question: what a step is, those there are, and what to say next; points in original pixels.

    Args:
        request: what is asked for.
        group: the row of the `groups` table that is shown.
        unit: what the model counts in, such as "pixels".
    """
    view = group["context"][-1]
    lines = [TASK.format(unit=unit, thing="car", u=(view["width"] or 0) // 4, v=(view["height"] or 0) // 2)]
    if len({one["offset_s"] for one in group["context"]}) > 1:
        lines.append(EARLIER)
    if request.steps:
        lines += [STEPS_SO_FAR, *(f"{number}. {step.line}" for number, step in enumerate(request.steps, start=1))]
    if request.must_answer:
        return "\n".join([*lines, ANSWER_NOW])
    return "\n".join([*lines, NEXT_STEP, *([OR_ANSWER] if request.steps else [])])


def as_thought(words: str, group: Mapping[str, Any], to_model_text: Callable[..., str], size_px: SizePx | None) -> str:
    """Words of ours with the points in them as the model counts; bare points are turned among thoughts only.

    Args:
        words: without tags.
        group: the row of the `groups` table that is shown.
        to_model_text: of the model's coordinates.
        size_px: (width, height) that frames are shown in; None: as they are.
    """
    return to_model_text(f"{OPEN}{words}{CLOSE}", group, size_px).removeprefix(OPEN).removesuffix(CLOSE)


def in_pixels(said: str, asked: PromptedQuestion, from_model_text: Callable[..., str], size_px: SizePx | None) -> str:
    """What a model said with its points and boxes in pixels of the original images: the way back from `as_thought`.

    Args:
        said: anything at all; what is too long to be a proposal stays as it is.
        asked: the question.
        from_model_text: of the model's coordinates.
        size_px: see `as_thought`.
    """
    if len(said) > MOST_CHARACTERS:
        return said
    thought, tag, answer = said.partition(ANSWER_TAG)
    told = f"{OPEN}{with_whole_points(without_think_tags(thought))}{CLOSE}{tag}{answer}"
    return from_model_text(told, asked.group, size_px, asked=asked.question["question"])
