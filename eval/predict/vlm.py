"""A vision-language model of ours or of the library that answers questions, batched."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image

from drive_vqa.errors import ModelError
from drive_vqa.prompt import Message, build_messages
from drive_vqa.region_forms import RegionForm, style_of
from eval.hiding import Hide
from eval.predict.asked import Answer, Answerer, PromptedQuestion
from eval.predict.shown import FramesOf, frames_shown

if TYPE_CHECKING:
    from drive_vqa.vlm import Sampling, Vlm

KEPT_GROUPS = 8
"""Groups whose frames stay decoded; their questions come one after another."""

TINY = "tiny"


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
    blank: bool = False,
    hide: Hide | None = None,
    seed: int = 0,
    sampling: Sampling | None = None,
) -> VlmAnswerer:
    """An answerer that asks a vision-language model.

    Boxes are turned into what the model counts in and back, so questions and answers are in pixels of the original images.

    Args:
        model: folder of a checkpoint, or its name on the hub; "tiny" for the base that the run in `adapter` was tuned from.
        adapter: output folder of `drive-vqa finetune`.
        device: torch device; the best one by default.
        max_new_tokens: longest answer; default: what the model was tuned to need.
        blank: a control: show grey images of the same size in place of the frames.
        hide: a control: paint out the evidence, or random boxes, see `eval.hiding`.
        seed: of random boxes.
        sampling: how answers are drawn, each batch with a seed that follows from this one and from what is asked; None: greedy.

    Raises:
        ConfigError: both controls at once.
        ModelError: there is no such model.
    """
    frames_of, control = frames_shown(blank=blank, hide=hide, seed=seed)
    vlm, name = open_vlm(model, adapter, device)
    answer = _asking(vlm, max_new_tokens, frames_of, sampling, by_evidence=hide is not None)
    return VlmAnswerer(answer, f"{name}{control}", vlm.regions)


def open_vlm(model: str, adapter: Path | None = None, device: str | None = None) -> tuple[Vlm, str]:
    """A model as the command line names it, and what it is called; arguments and errors as for `vlm_answerer`."""
    from drive_vqa.vlm import load_run, load_vlm

    if adapter is None and model == TINY:
        raise ModelError(
            "the tiny model knows nothing before it is tuned: give the run of `drive-vqa finetune` as --adapter"
        )
    if adapter is None:
        return load_vlm(model, device=device), Path(model).name
    vlm = load_run(adapter, None if model == TINY else model, device=device)
    return vlm, f"{Path(model).name}+{adapter.name}"


def _asking(
    vlm: Vlm, max_new_tokens: int | None, frames_of: FramesOf, sampling: Sampling | None, *, by_evidence: bool
) -> Answerer:
    """Questions of a group share its frames; where these depend on the evidence, only those with the same."""
    batches: dict[str, int] = {}
    shown: dict[tuple[Path, str, str, tuple[int, ...]], list[Image.Image]] = {}

    def frames(asked: PromptedQuestion) -> list[Image.Image]:
        evidence = asked.evidence if by_evidence else ()
        key = (asked.store.root, asked.group["log_id"], asked.group["group_id"], evidence)
        if key not in shown:
            if len(shown) >= KEPT_GROUPS:
                shown.pop(next(iter(shown)))  # the oldest: groups come one after another
            shown[key] = frames_of(asked, vlm.image_size_px, style_of(vlm.regions))
        return shown[key]

    def messages(asked: PromptedQuestion) -> list[Message]:
        ours = build_messages(asked.group, asked.question)
        return vlm.processor.to_model_messages(ours, asked.group, vlm.image_size_px)

    def in_pixels(asked: PromptedQuestion, text: str) -> str:
        wording = asked.question["question"]
        return vlm.processor.from_model_text(text, asked.group, vlm.image_size_px, asked=wording)

    def answer(batch: list[PromptedQuestion]) -> list[Answer]:
        texts = vlm.generate(
            [messages(asked) for asked in batch],
            [frames(asked) for asked in batch],
            max_new_tokens,
            sampling=None if sampling is None else _of_batch(sampling, batch, batches),
        )
        return [Answer(in_pixels(asked, text)) for asked, text in zip(batch, texts, strict=True)]

    return answer


def _of_batch(sampling: Sampling, batch: Sequence[PromptedQuestion], batches: dict[str, int]) -> Sampling:
    """The sampling of one batch: other draws for other questions, and for the same ones asked again."""
    first = batch[0].question["qa_id"]
    batches[first] = batches.get(first, -1) + 1
    content = f"{sampling.seed} {first} {batches[first]}"
    return replace(sampling, seed=int.from_bytes(hashlib.sha256(content.encode()).digest()[:4], "big"))
