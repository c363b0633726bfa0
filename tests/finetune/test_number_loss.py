"""How far digits are from what is right."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from drive_vqa.errors import ConfigError
from drive_vqa.vlm import ChatProcessor, Vlm
from finetune.collate import Collator
from finetune.config import FinetuneConfig
from finetune.dataset import LessonDataset, Visit
from finetune.loss import answer_loss
from finetune.number_loss import NumberLoss, digit_ids

DIGITS = tuple(range(20, 30))
LOSS = NumberLoss(DIGITS, 0.5)


def _saying(*shares: tuple[int, float]) -> torch.Tensor:
    logits = torch.full((1, 40), -100.0)
    for token, share in shares:
        logits[0, token] = torch.tensor(share).log()
    return logits


def test_the_distance_is_what_is_expected() -> None:
    said = _saying((23, 0.75), (27, 0.25))
    assert LOSS.summed(said, torch.tensor([23])).item() == pytest.approx(0.5 * 0.25 * 4)
    assert LOSS.summed(said, torch.tensor([29])).item() == pytest.approx(0.5 * (0.75 * 6 + 0.25 * 2))


def test_only_digits_count() -> None:
    said = _saying((23, 1.0)).repeat(3, 1)
    assert LOSS.summed(said, torch.tensor([5, -100, 39])).item() == 0
    assert LOSS.summed(said, torch.tensor([5, 24, 39])).item() == pytest.approx(0.5)


def test_what_other_tokens_weigh_changes_nothing() -> None:
    said = _saying((23, 0.5), (25, 0.5))
    louder = said.clone()
    louder[0, 3] = 50.0
    right = torch.tensor([24])
    assert LOSS.summed(louder, right).item() == pytest.approx(LOSS.summed(said, right).item())


def test_unsure_the_middle_digit_is_best() -> None:
    """Cross-entropy alone would take the most frequent one."""
    logits = torch.zeros(1, 40, requires_grad=True)
    seen = [21, 21, 21, 24, 25, 26, 27]
    optimizer = torch.optim.Adam([logits], lr=0.1)
    for _ in range(300):
        loss = sum((LOSS.summed(logits, torch.tensor([digit])) for digit in seen), torch.zeros(()))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert int(logits.argmax()) == 24


def test_it_is_added_to_the_loss_of_answers(vlm: Vlm, dataset: LessonDataset, config: FinetuneConfig) -> None:
    batch = Collator.of(vlm.processor, config, 4096)([dataset[(Visit(0, 0),)]])
    plain, count = answer_loss(vlm.model, batch)
    numbers = NumberLoss.of(vlm.processor, 1.0)
    assert numbers is not None
    more, same_count = answer_loss(vlm.model, batch, numbers)
    labels = batch["labels"]
    digits = sum(int((labels == digit).sum()) for digit in digit_ids(vlm.processor))
    assert count == same_count
    assert 0 < (more - plain).item() <= 9 * digits
    assert NumberLoss.of(vlm.processor, 0.0) is None


def test_a_negative_weight_is_refused(config: FinetuneConfig) -> None:
    with pytest.raises(ValueError, match="number_loss_weight"):
        replace(config, number_loss_weight=-1.0)


def test_digits_of_several_tokens_are_refused(processor: ChatProcessor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(processor.tokenizer), "__call__", lambda *_, **__: {"input_ids": [1, 2]})
    with pytest.raises(ConfigError, match="token for each digit"):
        digit_ids(processor)
