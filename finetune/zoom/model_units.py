"""Dialogues as a model says them: thoughts and answers as all texts are turned, each call by the scale of its own frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from drive_vqa.vlm import ChatProcessor
from drive_vqa.vlm.coordinates import Scale
from finetune.zoom.calls import Call, call_text, read_call
from finetune.zoom.cold_start import turns_in
from finetune.zoom.dialogue import calls_in, without_calls
from finetune.zoom.views import frame_scales


def turns_in_model_units(
    dialogue: str, group: Mapping[str, Any], processor: ChatProcessor, shown_px: tuple[int, int] | None
) -> list[str]:
    """The turns of a dialogue that is written as one text in pixels of the original images.

    Args:
        dialogue: of `cold_start.with_looks`.
        group: row of the `groups` table that it is about.
        processor: of the model.
        shown_px: (width, height) at which frames are shown; None: as they are.

    Raises:
        StoreError: an image has no known size.
    """
    scales = frame_scales(group, processor, shown_px)
    return [_turn(turn, group, processor, shown_px, scales) for turn in turns_in(dialogue)]


def _turn(
    turn: str,
    group: Mapping[str, Any],
    processor: ChatProcessor,
    shown_px: tuple[int, int] | None,
    scales: Sequence[Scale],
) -> str:
    said = processor.to_model_text(without_calls(turn), group, shown_px)
    as_it_is = [Scale(scale.original_px, scale.original_px) for scale in scales]
    calls = [call for call in (read_call(text, as_it_is) for text in calls_in(turn)) if isinstance(call, Call)]
    return "\n".join([*([said] if said else []), *(call_text(call, scales[call.context]) for call in calls)])
