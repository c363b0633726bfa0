"""Questions about the same images: what they share is read once, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from drive_vqa.vlm import Images, Sampling, Vlm, image_token_types
from drive_vqa.vlm.prefixes import share_prefixes
from tests.finetune.tiny_families import TINY_TYPES

QUESTIONS = ("How far away is Region 1?", "Where?", "How fast is Region 2 in two seconds from now?", "Where?")


def frames(count: int, seed: int) -> list[Image.Image]:
    noise = np.random.default_rng(seed).integers(0, 255, (count, 84, 112, 3), dtype=np.uint8)
    return [Image.fromarray(one) for one in noise]


def asked(images: int, question: str) -> list[dict[str, Any]]:
    return [
        {"role": "user", "content": [*({"type": "image"} for _ in range(images)), {"type": "text", "text": question}]}
    ]


def library_greedy(vlm: Vlm, messages: list[dict[str, Any]], shown: list[Image.Image], tokens: int) -> str:
    """One question at a time through the library's own `generate`."""
    images = vlm.processor.images(shown)
    ids = torch.tensor([vlm.processor.prompt_ids(messages, images)])
    inputs: dict[str, Any] = {"input_ids": ids, **images.inputs}
    if vlm.family.typed_tokens:
        inputs["mm_token_type_ids"] = image_token_types(ids, vlm.processor)
    config = vlm.generation_config()
    config.max_new_tokens = tokens
    with torch.inference_mode():
        output = vlm.model.generate(**inputs, generation_config=config)
    return str(vlm.processor.tokenizer.decode(output[0, ids.shape[1] :], skip_special_tokens=True)).strip()


@pytest.mark.parametrize("name", TINY_TYPES)
def test_questions_of_groups_are_answered_as_the_library_answers_each_alone(
    family_vlm: Callable[[str], Vlm], name: str
) -> None:
    vlm = family_vlm(name)
    groups = [frames(2, 1), frames(1, 2)]
    batch = [(asked(len(shown), question), shown) for shown in groups for question in QUESTIONS]
    together = vlm.generate([messages for messages, _ in batch], [shown for _, shown in batch], 6)
    assert together == [library_greedy(vlm, messages, shown, 6) for messages, shown in batch]
    assert len(set(together)) > 1


@pytest.mark.parametrize("name", TINY_TYPES)
def test_frames_of_a_group_go_through_the_model_once(family_vlm: Callable[[str], Vlm], name: str) -> None:
    vlm = family_vlm(name)
    shown = frames(2, 1)
    read: list[int] = []
    image_id = vlm.processor.image_token_id
    hook = vlm.model.register_forward_pre_hook(
        lambda _model, _given, named: read.append(int((named["input_ids"] == image_id).sum())), with_kwargs=True
    )
    try:
        vlm.generate([asked(2, question) for question in QUESTIONS], [shown] * len(QUESTIONS), 3)
    finally:
        hook.remove()
    of_the_group = sum(one.count(image_id) for one in vlm.processor.images(shown).expansions)
    assert sum(read) == of_the_group


def test_several_answers_to_one_question_differ_and_come_again(vlm: Vlm) -> None:
    shown = frames(2, 1)
    first, again = (
        vlm.generate([asked(2, "Where?")] * 4, [shown] * 4, 6, sampling=Sampling(1.5, seed=3)) for _ in range(2)
    )
    assert first == again
    assert len(set(first)) > 1


def test_a_question_without_images_is_answered_from_its_text(vlm: Vlm) -> None:
    texts = vlm.generate([asked(0, "Where?"), asked(0, "How far away is Region 1?")], [[], []], 6)
    alone = vlm.generate([asked(0, "How far away is Region 1?")], [[]], 6)
    assert texts[1:] == alone


def test_what_differs_before_the_last_image_is_read_apart() -> None:
    images = Images({}, [])
    prompts, dialogues = share_prefixes([[1, 9, 5, 6], [2, 9, 5, 7]], [images, images], image_token_id=9)
    assert [prompt.ids for prompt in prompts] == [(1, 9, 5), (2, 9, 5)]
    assert [(one.prompt, one.ids) for one in dialogues] == [(0, (6,)), (1, (7,))]


def test_equal_sequences_leave_one_token_to_read() -> None:
    images, others = Images({}, []), Images({}, [])
    prompts, dialogues = share_prefixes([[1, 9, 5], [1, 9, 5], [1, 9, 5, 6]], [images, images, others], 9)
    assert [prompt.ids for prompt in prompts] == [(1, 9), (1, 9, 5)]
    assert [(one.prompt, one.ids) for one in dialogues] == [(0, (5,)), (0, (5,)), (1, (6,))]
