"""Packed rows are worth exactly what the separate samples are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from drive_vqa.errors import ModelError
from drive_vqa.prompt import build_messages
from drive_vqa.vlm import FAMILIES, Vlm, image_token_types
from finetune.collate import Collator
from finetune.dataset import Lesson, ShownLesson
from finetune.loss import answer_loss, forward_inputs
from finetune.packing import IGNORED, PADDING, Sample, pack, packed_attention, packed_block_mask, sees

IMAGE = 9
FIRST = [
    ("How far away is it?", "12.4 meters"),
    ("How fast is it?", "3.2 m/s"),
    ("How far away is that?", "7.0 meters"),
]
SECOND = [("On which side is it?", "left"), ("On which side is it?", "right")]


def test_no_question_sees_another() -> None:
    packed = pack([Sample((1, IMAGE, 5), (6, 7)), Sample((1, IMAGE, 8), (3,))], IMAGE)
    attention = packed_attention(torch.zeros_like(packed.segment)[None], packed.segment[None])[0, 0]
    assert packed.input_ids.tolist() == [1, IMAGE, 5, 6, 7, 8, 3]
    assert packed.labels.tolist() == [IGNORED] * 3 + [6, 7] + [IGNORED, 3]
    assert not attention[5:, 2:5].any(), "the second sample sees the first"
    assert attention[:, :2].tril().sum() == 2 * 7 - 1
    assert not attention.triu(1).any()


def test_prefix_is_as_long_as_it_can_be() -> None:
    packed = pack([Sample((1, IMAGE, 5, 6, 2), (6, 7)), Sample((1, IMAGE, 5, 4, 2), (3,))], IMAGE)
    assert packed.segment.tolist() == [0, 0, 0, 1, 1, 1, 1, 2, 2, 2]


def test_last_token_of_a_prompt_is_never_shared() -> None:
    """Its logits are the first token of the answer, of which there are two here."""
    packed = pack([Sample((1, IMAGE, 5), (6,)), Sample((1, IMAGE, 5), (7,)), Sample((1, IMAGE, 5, 5), (8,))], IMAGE)
    assert packed.segment.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 3]
    assert packed.labels.tolist() == [IGNORED, IGNORED, IGNORED, 6, IGNORED, 7, IGNORED, IGNORED, 8]
    assert pack([Sample((1, IMAGE, 5), (6,))], IMAGE).prefix_length == 2


def test_positions_start_anew_behind_the_prefix() -> None:
    packed = pack([Sample((1, IMAGE, 5), (6, 7)), Sample((1, IMAGE, 8), (3,))], IMAGE)
    assert packed.positions(torch.tensor([[0, 4]] * 3)).tolist() == [[0, 4, 5, 6, 7, 5, 6]] * 3


@pytest.mark.parametrize("prompts", [((1, IMAGE, 5), (2, IMAGE, 5)), ((1, 2), (1, 2)), ((1, IMAGE), (1, IMAGE))])
def test_samples_without_a_common_image_are_refused(prompts: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(ModelError, match="image"):
        pack([Sample(prompt, (6,)) for prompt in prompts], IMAGE)


@pytest.mark.parametrize("seed", range(3))
def test_block_mask_is_the_dense_mask(seed: int) -> None:
    """Of random rows, longer than a block, with padding; the dense one written out token by token."""
    random = np.random.default_rng(seed)
    lesson, segment = np.full((2, 300), PADDING), np.full((2, 300), PADDING)
    for row in range(2):
        place = 0
        for number in range(3):
            sizes = random.integers(1, 40, size=random.integers(2, 5))
            lesson[row, place : place + sizes.sum()] = number
            segment[row, place : place + sizes.sum()] = np.repeat(np.arange(len(sizes)), sizes)
            place += int(sizes.sum())
    wanted = np.zeros((2, 300, 300), bool)
    for row, query, key in np.ndindex(2, 300, 300):
        mine, its = (lesson[row, query], segment[row, query]), (lesson[row, key], segment[row, key])
        wanted[row, query, key] = key <= query and mine[0] == its[0] and its[1] in (0, mine[1])
    lessons, segments = torch.from_numpy(lesson), torch.from_numpy(segment)
    assert torch.equal(packed_attention(lessons, segments)[:, 0], torch.from_numpy(wanted))
    rows, queries, keys = torch.meshgrid(torch.arange(2), torch.arange(300), torch.arange(300), indexing="ij")
    assert torch.equal(sees(lessons, segments)(rows, torch.tensor(0), queries, keys), torch.from_numpy(wanted))
    blocks = packed_block_mask(lessons, segments)
    padded = np.pad(wanted, ((0, 0), (0, 84), (0, 84))).reshape(2, 3, 128, 3, 128)
    assert torch.equal(blocks.to_dense()[:, 0].bool(), torch.from_numpy(padded.any(axis=(2, 4))))
    assert wanted.any(axis=2).all(), "a query that sees nothing has no attention"


@pytest.mark.parametrize("model_type", FAMILIES)
def test_equal_to_separate_samples(family_vlm: Callable[[str], Vlm], model_type: str) -> None:
    """Logits, loss and gradients of a row of two lessons and of a shorter row, against the library's own forward pass.

    Numbers and sizes of images differ, two questions are asked in the same words, and no mask or position of ours is in the
    reference.
    """
    vlm = family_vlm(model_type)
    collator = _collator(vlm)
    lessons = [_shown(2, (112, 84), FIRST), _shown(1, (168, 112), SECOND), _shown(3, (84, 84), FIRST[:1])]
    batch = collator([lessons[:2], lessons[2:]])
    assert (batch["segment"] == PADDING).any()
    with torch.no_grad():
        logits = vlm.model(**forward_inputs(vlm.model, batch)).logits
        for (row, place), shown in zip([(0, 0), (0, 1), (1, 0)], lessons, strict=True):
            for number, alone in enumerate(_alone(vlm, collator, shown), start=1):
                own = (batch["lesson"][row] == place) & (batch["segment"][row] == number)
                expected = vlm.model(**alone).logits[0][-int(own.sum()) :]
                torch.testing.assert_close(logits[row, own], expected, atol=1e-5, rtol=1e-5)
    total, count, gradients = _graded(vlm, lambda: answer_loss(vlm.model, batch))
    alone_total, alone_count, alone_gradients = _graded(vlm, lambda: _alone_loss(vlm, collator, lessons))
    assert count == alone_count
    assert total == pytest.approx(alone_total, rel=1e-6)
    assert gradients.keys() == alone_gradients.keys()
    assert len(gradients) > 30
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, alone_gradients[name], atol=1e-5, rtol=1e-4, msg=name)


@pytest.mark.parametrize("model_type", ["qwen2_5_vl", "smolvlm"])
def test_an_answer_changes_nothing_for_others(family_vlm: Callable[[str], Vlm], model_type: str) -> None:
    vlm, collator = family_vlm(model_type), _collator(family_vlm(model_type))
    other = [FIRST[0], (FIRST[1][0], "8.9 m/s"), FIRST[2]]
    results = []
    for asked in (FIRST, other):
        batch = collator([[_shown(1, (84, 84), asked), _shown(1, (84, 84), SECOND)]])
        with torch.no_grad():
            results.append((batch, vlm.model(**forward_inputs(vlm.model, batch)).logits[0]))
    (batch, one), (changed, two) = results
    same = batch["input_ids"].shape == changed["input_ids"].shape
    changing = (batch["lesson"][0] == 0) & (batch["segment"][0] == 2)
    assert same, "the answers are equally long"
    assert not torch.equal(one[changing], two[changing])
    torch.testing.assert_close(one[~changing], two[~changing], atol=1e-6, rtol=0)


@pytest.mark.parametrize("model_type", ["qwen3_vl", "idefics3"])
def test_padding_changes_nothing(family_vlm: Callable[[str], Vlm], model_type: str) -> None:
    vlm, collator = family_vlm(model_type), _collator(family_vlm(model_type))
    rows = [[_shown(1, (84, 84), SECOND)], [_shown(2, (112, 84), FIRST)]]
    with torch.no_grad():
        total, _ = answer_loss(vlm.model, collator(rows))
        parts = [answer_loss(vlm.model, collator([row]))[0].item() for row in rows]
    assert total.item() == pytest.approx(sum(parts), rel=1e-6)


def _collator(vlm: Vlm) -> Collator:
    return Collator(vlm.processor, packed=True, max_tokens=4096, size_px=(112, 84))


def _shown(count: int, size_px: tuple[int, int], asked: Sequence[tuple[str, str]]) -> ShownLesson:
    """A lesson about `count` random images."""
    random = np.random.default_rng(count)
    frames = [
        Image.fromarray(random.integers(0, 255, (size_px[1], size_px[0], 3), dtype=np.uint8)) for _ in range(count)
    ]
    views = [
        {"camera": "front", "offset_s": 0.5 * (place - count + 1), "width": size_px[0], "height": size_px[1]}
        for place in range(count)
    ]
    group = {"group_id": f"of-{count}", "context": views, "marks": []}
    return ShownLesson(Lesson(group, tuple({"question": one, "answer": two} for one, two in asked)), tuple(frames))


def _alone(vlm: Vlm, collator: Collator, shown: ShownLesson) -> list[dict[str, Any]]:
    """Each question of a lesson as the library wants a sample: no labels, masks or positions of ours."""
    images = vlm.processor.images(shown.frames)
    inputs = []
    for question in shown.lesson.questions:
        prompt = vlm.processor.prompt_ids(build_messages(shown.lesson.group, question), images)
        ids = torch.tensor([[*prompt, *vlm.processor.answer_ids(question["answer"])]])
        typed = (
            {"mm_token_type_ids": image_token_types(ids, vlm.processor)} if vlm.processor.family.typed_tokens else {}
        )
        inputs.append({"input_ids": ids, "attention_mask": torch.ones_like(ids), **typed, **images.inputs})
    return inputs


def _alone_loss(vlm: Vlm, collator: Collator, lessons: Sequence[ShownLesson]) -> tuple[torch.Tensor, torch.Tensor]:
    total, count = torch.zeros(()), torch.zeros((), dtype=torch.long)
    for shown in lessons:
        for question, inputs in zip(shown.lesson.questions, _alone(vlm, collator, shown), strict=True):
            length = len(vlm.processor.answer_ids(question["answer"]))
            logits = vlm.model(**inputs).logits[0, -length - 1 : -1]
            targets = inputs["input_ids"][0, -length:]
            total = total + torch.nn.functional.cross_entropy(logits, targets, reduction="sum")
            count = count + length
    return total, count


def _graded(
    vlm: Vlm, loss: Callable[[], tuple[torch.Tensor, torch.Tensor]]
) -> tuple[float, int, dict[str, torch.Tensor]]:
    vlm.model.zero_grad()
    total, count = loss()
    (total / count).backward()
    named = vlm.model.named_parameters()
    gradients = {name: parameter.grad.clone() for name, parameter in named if parameter.grad is not None}
    vlm.model.zero_grad()
    return total.item(), int(count), gradients
