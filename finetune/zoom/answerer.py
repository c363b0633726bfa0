"""Questions answered with closer looks: the same dialogues at test time as in training."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PIL import Image

from drive_vqa.marks import marked_frames
from drive_vqa.prompt import build_messages
from drive_vqa.region_forms import style_of
from drive_vqa.vlm import Sampling, Vlm
from eval.predict import Answerer, PromptedQuestion
from finetune.zoom.crops import CropPreset
from finetune.zoom.dialogue import Dialogue, hold, speaking
from finetune.zoom.session import ZoomSession
from finetune.zoom.views import group_views

Holder = Callable[[Sequence[PromptedQuestion]], list[Dialogue]]
"""Questions → their dialogues, held to their ends."""


def zoom_answerer(
    vlm: Vlm, preset: CropPreset, *, max_new_tokens: int | None = None, sampling: Sampling | None = None
) -> Answerer:
    """An answerer for `eval.predict`: what was said in a dialogue as one trace, in pixels of the original images.

    Args:
        vlm: tuned on dialogues, or a checkpoint that knows tools.
        preset: how looks are taken.
        max_new_tokens: longest turn; default: `answer_tokens`.
        sampling: None: greedy.

    Raises:
        ModelError: its chat template cannot be given tools.
    """
    holder = dialogue_holder(vlm, preset, max_new_tokens=max_new_tokens, sampling=sampling)

    def answer(batch: list[PromptedQuestion]) -> list[str]:
        return [in_pixels(vlm, asked, held) for asked, held in zip(batch, holder(batch), strict=True)]

    return answer


def dialogue_holder(
    vlm: Vlm, preset: CropPreset, *, max_new_tokens: int | None = None, sampling: Sampling | None = None
) -> Holder:
    """As `zoom_answerer`, with all of the dialogues: looks and crops too."""
    generate = speaking(vlm, max_new_tokens, sampling)

    def holder(batch: Sequence[PromptedQuestion]) -> list[Dialogue]:
        dialogues = [opening(vlm, asked, preset) for asked in batch]
        hold(dialogues, generate)
        return dialogues

    return holder


def opening(vlm: Vlm, asked: PromptedQuestion, preset: CropPreset) -> Dialogue:
    """The dialogue about a question before its first turn.

    Raises:
        StoreError: a frame is gone or of unknown size.
        LogFormatError: a frame cannot be read.
    """
    group, shown_px, style = asked.group, vlm.image_size_px, style_of(vlm.regions)
    messages = vlm.processor.to_model_messages(build_messages(group, asked.question), group, shown_px)
    frames: list[Image.Image] = marked_frames(asked.store, group, shown_px, style=style)
    views = group_views(asked.store, group, vlm.processor, shown_px, style=style)
    return Dialogue(messages, frames, ZoomSession(views, preset))


def in_pixels(vlm: Vlm, asked: PromptedQuestion, held: Dialogue) -> str:
    """What the model said, boxes and points in pixels of the original images."""
    wording = asked.question["question"]
    return vlm.processor.from_model_text(held.text, asked.group, vlm.image_size_px, asked=wording)
