"""Packed rows against the plain model."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import finetune.attention
import finetune.loss
from drive_vqa.errors import ModelError
from drive_vqa.vlm import Vlm
from finetune.collate import Collator
from finetune.guards.parity import check_parity
from tests.finetune.guards.painted_lessons import CPU, LESSONS, collator_of
from tests.finetune.tiny_families import TINY_TYPES


@pytest.mark.parametrize("kind", TINY_TYPES)
def test_packed_rows_are_worth_what_the_library_says(families: dict[str, Vlm], kind: str) -> None:
    vlm = families[kind]
    collate = collator_of(vlm.processor)
    parity = check_parity(vlm.model, vlm.processor, collate, LESSONS[:3], CPU)
    assert len(parity.packed) == 3
    assert parity.difference < 1e-5


@pytest.mark.parametrize("leak", ["questions", "lessons", "future", "positions"])
def test_a_leak_between_questions_is_refused(
    fresh: Vlm, collator: Collator, leak: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = finetune.attention.packed_attention

    def leaky(lesson: torch.Tensor, segment: torch.Tensor) -> torch.Tensor:
        allowed = original(lesson, segment)
        causal = torch.ones_like(allowed).tril()
        same_lesson = (lesson[:, :, None] == lesson[:, None, :])[:, None]
        return {
            "questions": causal & same_lesson,
            "lessons": causal & (allowed | ~same_lesson),
            "future": allowed | allowed.mT,
        }[leak]

    def shifted(rows: Any) -> dict[str, torch.Tensor]:
        batch = collator(rows)
        places = batch["position_ids"] + (batch["segment"] > 0).long() * 1
        return {**batch, "position_ids": places}

    if leak != "positions":
        monkeypatch.setattr(finetune.attention, "packed_attention", leaky)
    with pytest.raises(ModelError, match=r"the loss [\d.]+ in its packed row and [\d.]+ alone"):
        check_parity(fresh.model, fresh.processor, shifted if leak == "positions" else collator, LESSONS[:2], CPU)


def test_parity_leaves_no_trace(adapted: Any, fresh: Vlm, collator: Collator) -> None:
    adapted.train()
    state = torch.get_rng_state()
    check_parity(adapted, fresh.processor, collator, LESSONS[:1], CPU, questions=1)
    assert torch.equal(state, torch.get_rng_state())
    assert adapted.training
    assert all(parameter.grad is None for parameter in adapted.parameters())
