"""Questions answered with closer looks: the same dialogues at test time as in training."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from drive_vqa.errors import ModelError
from drive_vqa.region_forms import style_of
from drive_vqa.vlm import RUN_FILE, Sampling, Vlm
from eval.predict import Answer, Answerer, PromptedQuestion, VlmAnswerer, open_vlm
from eval.predict.shown import NO_CONTROL, Control, frames_with_marks
from finetune.zoom.crops import PRESETS, CropPreset
from finetune.zoom.dialogue import Dialogue, hold, speaking
from finetune.zoom.session import ZoomSession
from finetune.zoom.views import group_views, image_views

Holder = Callable[[Sequence[PromptedQuestion]], list[Dialogue]]
"""Questions → their dialogues, held to their ends."""


def zoom_answerer(
    vlm: Vlm,
    preset: CropPreset,
    *,
    control: Control = NO_CONTROL,
    max_new_tokens: int | None = None,
    sampling: Sampling | None = None,
) -> Answerer:
    """An answerer for `eval.predict`: what was said in a dialogue as one trace, with its looks, in pixels of the original images.

    Args:
        vlm: tuned on dialogues, or a checkpoint that knows tools.
        preset: how looks are taken.
        control: what is shown, looked at and asked; its questions are turned by who asks.
        max_new_tokens: longest turn; default: `answer_tokens`.
        sampling: None: greedy.

    Raises:
        ModelError: its chat template cannot be given tools.
    """
    holder = dialogue_holder(vlm, preset, control=control, max_new_tokens=max_new_tokens, sampling=sampling)

    def answer(batch: list[PromptedQuestion]) -> list[Answer]:
        dialogues = holder(batch)
        return [Answer(in_pixels(vlm, asked, held), held.looks) for asked, held in zip(batch, dialogues, strict=True)]

    return answer


def open_zoom_answerer(
    model: str,
    adapter: Path | None,
    preset: CropPreset,
    *,
    device: str | None = None,
    max_new_tokens: int | None = None,
    control: Control = NO_CONTROL,
    sampling: Sampling | None = None,
) -> VlmAnswerer:
    """As `eval.predict.vlm_answerer`, with looks; controls change what is looked at too.

    Args:
        model: see there.
        adapter: see there.
        preset: how looks are taken, see `tuned_zoom`.
        device: see there.
        max_new_tokens: longest turn; default: what the model was tuned to need.
        control: see there.
        sampling: None: greedy.

    Raises:
        ModelError: there is no such model, or its chat template cannot be given tools.
    """
    vlm, name = open_vlm(model, adapter, device)
    answer = zoom_answerer(vlm, preset, control=control, max_new_tokens=max_new_tokens, sampling=sampling)
    return VlmAnswerer(answer, control.model_name(f"{name}+zoom"), vlm.regions)


def tuned_zoom(run: Path) -> CropPreset | None:
    """How looks were taken when a run was tuned or refined; None: it knows none.

    Raises:
        ModelError: there is no such run, its record is damaged, or it names a preset that is not known.
    """
    path = run / RUN_FILE
    try:
        name = json.loads(path.read_text(encoding="utf-8")).get("zoom")
        return None if name is None else PRESETS[name]
    except FileNotFoundError as error:
        missing = path if run.exists() else run
        raise ModelError(
            f"{missing} does not exist: give the folder of a finished run of `drive-vqa finetune` or `refine`"
        ) from error
    except (OSError, ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(f"{path} does not say how looks were taken: give the folder of a finished run") from error


def dialogue_holder(
    vlm: Vlm,
    preset: CropPreset,
    *,
    control: Control = NO_CONTROL,
    max_new_tokens: int | None = None,
    sampling: Sampling | None = None,
) -> Holder:
    """As `zoom_answerer`, with all of the dialogues: looks and crops too."""
    generate = speaking(vlm, max_new_tokens, sampling)

    def holder(batch: Sequence[PromptedQuestion]) -> list[Dialogue]:
        dialogues = [opening(vlm, asked, preset, control) for asked in batch]
        hold(dialogues, generate)
        return dialogues

    return holder


def opening(vlm: Vlm, asked: PromptedQuestion, preset: CropPreset, control: Control = NO_CONTROL) -> Dialogue:
    """The dialogue about a question before its first turn; where answers are begun for the model, no look is left.

    Args:
        vlm: the model.
        asked: the question.
        preset: how looks are taken.
        control: see `zoom_answerer`.

    Raises:
        StoreError: a frame is gone or of unknown size.
        LogFormatError: a frame cannot be read.
    """
    group, shown_px, style = asked.group, vlm.image_size_px, style_of(vlm.regions)
    messages = vlm.processor.to_model_messages(control.messages(asked), group, shown_px)
    if control.frames is frames_with_marks:
        views = group_views(asked.store, group, vlm.processor, shown_px, style=style)
    else:
        views = image_views(control.frames(asked, None, style), vlm.processor, shown_px)
    session = ZoomSession(views, preset, spent=preset.looks if control.begun else 0)
    return Dialogue(messages, control.frames(asked, shown_px, style), session)


def in_pixels(vlm: Vlm, asked: PromptedQuestion, held: Dialogue) -> str:
    """What the model said, boxes and points in pixels of the original images."""
    wording = asked.question["question"]
    return vlm.processor.from_model_text(held.text, asked.group, vlm.image_size_px, asked=wording)
