"""Packed rows are worth exactly what the separate samples are."""

from __future__ import annotations

import pytest
import torch

from drive_vqa.errors import ModelError
from drive_vqa.vlm import Vlm, image_token_types
from finetune.collate import Collator
from finetune.dataset import LessonDataset, ShownLesson
from finetune.packing import IGNORED, PADDING, Sample, pack, packed_attention, packed_positions
from finetune.trainer import answer_loss, forward_inputs

END = 9


def test_no_question_sees_another() -> None:
    packed = pack([Sample((1, END, 5), (6, 7)), Sample((1, END, 8), (3,))], END)
    attention = packed_attention(packed.segment[None])[0, 0]
    assert packed.input_ids.tolist() == [1, END, 5, 6, 7, 8, 3]
    assert packed.labels.tolist() == [IGNORED] * 3 + [6, 7] + [IGNORED, 3]
    assert not attention[5:, 2:5].any(), "the second sample sees the first"
    assert attention[:, 0].all()
    assert not attention.triu(1).any()


def test_positions_start_anew_behind_the_prefix() -> None:
    packed = pack([Sample((1, END, 5), (6, 7)), Sample((1, END, 8), (3,))], END)
    model_positions = torch.tensor([[0, 4, 0, 0, 0, 0, 0]]).expand(3, 1, -1)
    positions = packed_positions(model_positions, packed.segment[None], packed.offset[None])
    assert positions[:, 0].tolist() == [[0, 4, 5, 6, 7, 5, 6]] * 3


@pytest.mark.parametrize("prompts", [((1, END, 5), (2, END, 5)), ((1, 2), (1, 2))])
def test_samples_without_a_common_image_are_refused(prompts: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(ModelError, match="image"):
        pack([Sample(prompt, (6,)) for prompt in prompts], END)


def test_logits_equal_the_plain_model(vlm: Vlm, dataset: LessonDataset) -> None:
    """Against the library's own forward pass of each sample alone: no mask and no positions of ours."""
    collator = Collator(vlm.processor, packed=True, max_tokens=8192)
    lessons = [dataset[0], dataset[1]]
    batch = collator(lessons)
    with torch.inference_mode():
        together = vlm.model(**forward_inputs(vlm.model, batch, vlm.processor.image_token_id)).logits
        for row, shown in enumerate(lessons):
            for number, alone in enumerate(_plain_logits(vlm, collator, shown), start=1):
                own = together[row, batch["segment"][row] == number]
                torch.testing.assert_close(own, alone[-len(own) :], atol=1e-5, rtol=0)


def test_loss_and_gradients_equal_separate_samples(vlm: Vlm, dataset: LessonDataset) -> None:
    lessons = [dataset[0], dataset[2]]
    results = []
    for packed in (True, False):
        vlm.model.zero_grad()
        batch = Collator(vlm.processor, packed=packed, max_tokens=8192)(lessons)
        total, count = answer_loss(vlm.model, batch, vlm.processor.image_token_id)
        (total / count).backward()
        gradients = [parameter.grad.clone() for parameter in vlm.model.parameters() if parameter.grad is not None]
        results.append((total.item(), count.item(), gradients))
    (packed_total, packed_count, packed_gradients), (total, count, gradients) = results
    assert packed_count == count
    assert packed_total == pytest.approx(total, rel=1e-6)
    assert len(gradients) == len(packed_gradients) > 50
    for one, other in zip(packed_gradients, gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_padding_changes_nothing(vlm: Vlm, dataset: LessonDataset) -> None:
    collator = Collator(vlm.processor, packed=True, max_tokens=8192)
    lessons = [dataset[0], ShownLesson(_first_question_only(dataset[1]), dataset[1].frames)]
    both = collator(lessons)
    assert (both["segment"] == PADDING).any()
    with torch.inference_mode():
        total, _ = answer_loss(vlm.model, both, vlm.processor.image_token_id)
        parts = [answer_loss(vlm.model, collator([one]), vlm.processor.image_token_id)[0] for one in lessons]
    assert total.item() == pytest.approx(sum(part.item() for part in parts), rel=1e-6)


def _first_question_only(shown: ShownLesson) -> object:
    from dataclasses import replace

    return replace(shown.lesson, questions=shown.lesson.questions[:1])


def _plain_logits(vlm: Vlm, collator: Collator, shown: ShownLesson) -> list[torch.Tensor]:
    images = vlm.processor.images(shown.frames)
    logits = []
    for sample in collator.samples(shown, images):
        input_ids = torch.tensor([[*sample.prompt, *sample.answer]])
        output = vlm.model(
            input_ids=input_ids,
            attention_mask=torch.ones_like(input_ids),
            mm_token_type_ids=image_token_types(input_ids, vlm.processor),
            pixel_values=images.pixel_values,
            image_grid_thw=images.grid_thw,
        )
        logits.append(output.logits[0])
    return logits
