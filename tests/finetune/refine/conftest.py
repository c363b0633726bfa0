"""Prompts and dialogues about painted frames, for tiny models of each family."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from drive_vqa.prompt import Message
from drive_vqa.vlm import ChatProcessor, Vlm
from drive_vqa.vlm.dialogues import Dialogue, Prompt

SIZE_PX = (112, 84)


def picture(seed: int, size_px: tuple[int, int] = SIZE_PX) -> Image.Image:
    """Noise."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (size_px[1], size_px[0], 3), dtype=np.uint8))


def prompt(processor: ChatProcessor, text: str, seeds: tuple[int, ...]) -> Prompt:
    """Frames and a question."""
    images = processor.images([picture(seed) for seed in seeds])
    content: list[Message] = [*({"type": "image"} for _ in seeds), {"type": "text", "text": text}]
    return Prompt(tuple(processor.prompt_ids([{"role": "user", "content": content}], images)), images)


def said(processor: ChatProcessor, text: str, prompt_number: int, crop: int | None = None) -> Dialogue:
    """What was said behind a prompt; with a crop shown in the middle of it, noise of a seed."""
    ids = processor.answer_ids(text)
    if crop is None:
        return Dialogue(prompt_number, tuple(ids))
    images = processor.images([picture(crop, (56, 56))])
    asked: list[Message] = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Look closer."}]}]
    return Dialogue(prompt_number, (*ids, *processor.prompt_ids(asked, images), *processor.answer_ids("2 m")), images)


@pytest.fixture(params=["qwen2_5_vl", "qwen3_vl", "idefics3"])
def any_vlm(request: pytest.FixtureRequest, family_vlm: Callable[[str], Vlm]) -> Vlm:
    """A tiny model of each family."""
    return family_vlm(request.param)


@pytest.fixture
def prompts(any_vlm: Vlm) -> list[Prompt]:
    """Of different lengths and numbers of frames."""
    processor = any_vlm.processor
    return [
        prompt(processor, "How far?", (1, 2)),
        prompt(processor, "Where is Region 2 in two seconds from now?", (3,)),
    ]


@pytest.fixture
def dialogues(any_vlm: Vlm) -> list[Dialogue]:
    """Of different lengths, mixed, two of them with crops."""
    processor = any_vlm.processor
    return [
        said(processor, "12.5 meters", 0),
        said(processor, "To the left, I think.", 1, crop=7),
        said(processor, "9 m", 0, crop=8),
        said(processor, "Nowhere", 1),
        said(processor, "It is 33.1 meters away", 0),
    ]
