"""A vision-language model of ours or of the library that answers questions, batched."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image

from drive_vqa.prompt import Message
from drive_vqa.region_forms import RegionForm, style_of
from eval.predict.asked import Answer, Answerer, PromptedQuestion
from eval.predict.once_per_group import OncePerGroup
from eval.predict.shown import NO_CONTROL, Control

if TYPE_CHECKING:
    from drive_vqa.vlm import Sampling, Vlm

OF_THE_RUN = ("tiny", "scratch")
"""Names of a base that a run knows itself."""


class VlmAnswerer(NamedTuple):
    """A model that answers.

    Attributes:
        answer: asks it.
        name: what it is called.
        regions: how questions name regions to it.
    """

    answer: Answerer
    name: str
    regions: RegionForm


def vlm_answerer(
    model: str,
    adapter: Path | None = None,
    *,
    device: str | None = None,
    max_new_tokens: int | None = None,
    control: Control = NO_CONTROL,
    sampling: Sampling | None = None,
) -> VlmAnswerer:
    """An answerer that asks a vision-language model.

    Boxes are turned into what the model counts in and back, so questions and answers are in pixels of the original images.

    Args:
        model: folder of a checkpoint, its name on the hub, or `tiny`: the base that the run in `adapter` was tuned from, or the
            model that comes with this package.
        adapter: output folder of `drive-vqa finetune`.
        device: torch device; the best one by default.
        max_new_tokens: longest answer; default: what the model was tuned to need.
        control: whose frames are shown and whose messages are sent; its questions are turned by who asks.
        sampling: how answers are drawn, each batch with a seed that follows from this one and from what is asked; None: greedy.

    Raises:
        ModelError: there is no such model.
    """
    vlm, name = open_vlm(model, adapter, device)
    return VlmAnswerer(_asking(vlm, max_new_tokens, control, sampling), control.model_name(name), vlm.regions)


def open_vlm(model: str, adapter: Path | None = None, device: str | None = None) -> tuple[Vlm, str]:
    """A model as the command line names it, and what it is called; arguments and errors as for `vlm_answerer`."""
    from drive_vqa.vlm import load_run, load_vlm

    if adapter is None:
        return load_vlm(model, device=device), Path(model).name
    vlm = load_run(adapter, None if model in OF_THE_RUN else model, device=device)
    return vlm, f"{Path(model).name}+{adapter.name}"


def _asking(vlm: Vlm, max_new_tokens: int | None, control: Control, sampling: Sampling | None) -> Answerer:
    def frames(asked: PromptedQuestion) -> list[Image.Image]:
        return control.frames(asked, vlm.image_size_px, style_of(vlm.regions))

    shown = OncePerGroup(frames, per_question=control.per_question)

    def messages(asked: PromptedQuestion) -> list[Message]:
        return vlm.processor.to_model_messages(control.messages(asked), asked.group, vlm.image_size_px)

    def in_pixels(asked: PromptedQuestion, text: str) -> str:
        wording = asked.question["question"]
        return vlm.processor.from_model_text(text, asked.group, vlm.image_size_px, asked=wording)

    def answer(batch: list[PromptedQuestion]) -> list[Answer]:
        texts = vlm.generate(
            [messages(asked) for asked in batch],
            [shown.of(asked) for asked in batch],
            max_new_tokens,
            sampling=None if sampling is None else _of_batch(sampling, batch),
            begun=[control.begun] * len(batch) if control.begun else None,
        )
        return [Answer(in_pixels(asked, control.begun + text)) for asked, text in zip(batch, texts, strict=True)]

    return answer


def _of_batch(sampling: Sampling, batch: Sequence[PromptedQuestion]) -> Sampling:
    """The sampling of one batch follows from the first asked in it: who goes on after a whole batch draws as if never stopped."""
    content = f"{sampling.seed} {batch[0].question['qa_id']} {batch[0].sample}"
    return replace(sampling, seed=int.from_bytes(hashlib.sha256(content.encode()).digest()[:4], "big"))
