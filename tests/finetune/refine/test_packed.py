"""Dialogues behind a shared prompt have the log-probabilities and gradients of separate sequences."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch

from drive_vqa.errors import ModelError
from drive_vqa.vlm import Vlm
from drive_vqa.vlm.dialogues import Dialogue, Prompt
from finetune.loss import forward_inputs
from finetune.packing import IGNORED
from finetune.refine.packed import PackedDialogues, pack_dialogues
from tests.finetune.refine.conftest import picture
from tests.finetune.refine.reference import plain_logps


def packed_logps(model: Any, packed: PackedDialogues) -> torch.Tensor:
    logits = model(**forward_inputs(model, packed.batch)).logits.float()
    told = logits[:, :-1].log_softmax(dim=-1)
    following = packed.batch["input_ids"][:, 1:, None]
    return packed.of_dialogues(told.gather(2, following)[:, :, 0], max(packed.lengths))


def test_log_probabilities_are_those_of_separate_sequences(
    any_vlm: Vlm, prompts: list[Prompt], dialogues: list[Dialogue]
) -> None:
    packed = pack_dialogues(prompts, dialogues, any_vlm.processor)
    with torch.no_grad():
        together = packed_logps(any_vlm.model, packed)
        for own, dialogue in zip(together, dialogues, strict=True):
            alone = plain_logps(any_vlm, prompts[dialogue.prompt], dialogue)
            torch.testing.assert_close(own[: len(alone)], alone, rtol=1e-4, atol=1e-4)
            assert not own[len(alone) :].any()


def test_gradients_are_those_of_separate_sequences(
    any_vlm: Vlm, prompts: list[Prompt], dialogues: list[Dialogue]
) -> None:
    one, other = copy.deepcopy(any_vlm.model), copy.deepcopy(any_vlm.model)
    packed_logps(one, pack_dialogues(prompts, dialogues, any_vlm.processor)).sum().backward()
    vlm = replace(any_vlm, model=other)
    sum(plain_logps(vlm, prompts[dialogue.prompt], dialogue).sum() for dialogue in dialogues).backward()
    for (name, own), alone in zip(one.named_parameters(), other.parameters(), strict=True):
        assert (own.grad is None) == (alone.grad is None), name
        if own.grad is not None:
            torch.testing.assert_close(
                own.grad, alone.grad, rtol=1e-3, atol=1e-3 * float(alone.grad.abs().max()) + 1e-5
            )


def test_a_crop_is_seen_by_its_dialogue_alone(any_vlm: Vlm, prompts: list[Prompt], dialogues: list[Dialogue]) -> None:
    processor = any_vlm.processor
    with_other_crop = replace(dialogues[1], images=processor.images([picture(99, (56, 56))]))
    changed = [dialogues[0], with_other_crop, *dialogues[2:]]
    with torch.no_grad():
        before, after = (
            packed_logps(any_vlm.model, pack_dialogues(prompts, some, processor)) for some in (dialogues, changed)
        )
    moved = (before - after).abs().amax(dim=1)
    assert moved[1] > 1e-3
    assert moved[[0, 2, 3, 4]].max() < 1e-5


def test_labels_are_all_that_stands_behind_a_prompt(
    any_vlm: Vlm, prompts: list[Prompt], dialogues: list[Dialogue]
) -> None:
    labels = pack_dialogues(prompts, dialogues, any_vlm.processor).batch["labels"]
    for row in range(len(prompts)):
        behind = [token for dialogue in dialogues if dialogue.prompt == row for token in dialogue.ids]
        assert labels[row][labels[row] != IGNORED].tolist() == behind


def test_a_dialogue_without_tokens_has_nothing(any_vlm: Vlm, prompts: list[Prompt], dialogues: list[Dialogue]) -> None:
    packed = pack_dialogues(prompts, [*dialogues, Dialogue(0)], any_vlm.processor)
    with torch.no_grad():
        told = packed_logps(any_vlm.model, packed)
    assert not told[-1].any()
    assert packed.lengths[-1] == 0


def test_a_prompt_without_dialogues_is_refused(any_vlm: Vlm, prompts: list[Prompt], dialogues: list[Dialogue]) -> None:
    with pytest.raises(ModelError, match="nothing to learn"):
        pack_dialogues(prompts, [dialogues[0]], any_vlm.processor)
