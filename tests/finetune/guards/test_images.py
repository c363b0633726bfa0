"""Guards of images, against models and batches that are broken on purpose."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import finetune.attention
import finetune.loss
from drive_vqa.errors import ConfigError, ModelError
from drive_vqa.vlm import Vlm
from finetune.adapter import prepare
from finetune.collate import Collator
from finetune.config import LoraSettings
from finetune.guards.batch_images import blank_images, check_batch_images, feature_count, with_images_of
from finetune.guards.image_probe import BLANK, SWAPPED, ImageProbe, ProbeResult, ratio_of_means, spread_lessons
from finetune.loss import answer_loss
from finetune.packing import IGNORED
from tests.finetune.guards.painted_lessons import CPU, LANGUAGE_ONLY, LESSONS, collator_of
from tests.finetune.tiny_families import TINY_TYPES


@pytest.fixture(scope="module")
def trained(fresh: Vlm, collator: Collator) -> Vlm:
    """Knows the four pictures."""
    model = copy.deepcopy(fresh.model)
    batch = collator([(shown,) for shown in LESSONS])
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0.0)
    for _ in range(24):
        optimizer.zero_grad()
        total, count = answer_loss(model, batch)
        (total / count).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    optimizer.zero_grad()
    return Vlm(model.eval(), fresh.processor)


def test_a_model_that_looks_is_not_complained_about(trained: Vlm, batches: list[Any]) -> None:
    result = ImageProbe(batches).measure(trained.model, CPU)
    metrics = result.metrics()
    assert metrics[SWAPPED] > 2
    assert metrics[BLANK] > 2
    assert result.complaint(learned=True) is None
    total, count = answer_loss(trained.model, batches[0])
    assert result.right[0] == pytest.approx((total / count).item())


@pytest.mark.parametrize("learned", [True, False])
def test_images_that_do_not_reach_the_loss_are_complained_about_at_any_step(
    fresh: Vlm, batches: list[Any], learned: bool
) -> None:
    model = copy.deepcopy(fresh.model)
    with torch.no_grad():
        for parameter in model.model.visual.merger.parameters():
            parameter.zero_()
    complaint = ImageProbe(batches).measure(model, CPU).complaint(learned=learned)
    assert complaint is not None
    assert "do not reach the loss" in complaint
    assert ImageProbe(batches).measure(fresh.model, CPU).complaint(learned=False) is None


def test_images_that_do_not_help_are_complained_about_once_the_model_should_know(
    trained: Vlm, batches: list[Any]
) -> None:
    """All images look nearly alike to this model."""
    model = copy.deepcopy(trained.model)
    last = model.model.visual.merger.mlp[2]
    with torch.no_grad():
        last.weight.mul_(1e-4)
        last.bias.fill_(1.0)
    result = ImageProbe(batches).measure(model, CPU)
    assert result.right != result.blank, "the images do reach the loss"
    assert result.complaint(learned=False) is None
    assert "ignores the images" in (result.complaint(learned=True) or "")


@pytest.mark.parametrize(
    ("swapped", "complains"),
    [((1.0, 1.001, 1.002), True), ((1.05, 1.06, 1.04), False), ((1.3, 0.7, 1.0), False), ((0.95, 0.96, 0.94), True)],
)
def test_a_complaint_needs_a_sure_ratio(swapped: tuple[float, ...], complains: bool) -> None:
    """No gain, a gain, a noise that could hide one, and images that mislead."""
    result = ProbeResult((1.0, 1.0, 1.0), swapped, (1.1, 1.2, 1.1))
    assert (result.complaint(learned=True) is not None) == complains


def test_standard_error_of_a_ratio() -> None:
    """Against the ratio's spread over many draws of the same kind."""
    rng = np.random.default_rng(0)
    first = rng.uniform(1, 2, (2000, 12))
    second = first * 1.3 + rng.normal(0, 0.2, first.shape)
    pairs = [
        ratio_of_means(list(zip(one.tolist(), other.tolist(), strict=True)))
        for one, other in zip(first, second, strict=True)
    ]
    ratios, errors = np.array(pairs).T
    assert np.mean(errors) == pytest.approx(np.std(ratios), rel=0.1)
    assert ratio_of_means([(2.0, 3.0)])[0] == 1.5


def test_probing_leaves_no_trace(fresh: Vlm, batches: list[Any]) -> None:
    """Training with dropout, with looks between the steps and without: the same losses and weights, to the last bit."""
    losses, weights = [], []
    for probed in (True, False):
        torch.manual_seed(0)
        model = prepare(
            copy.deepcopy(fresh.model), fresh.family, replace(LANGUAGE_ONLY, lora=LoraSettings(dropout=0.5)), Path("x")
        )
        model.train()
        model.base_model.model.lm_head.eval()  # an odd one out must stay so
        optimizer, probe = (
            torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.01),
            ImageProbe(batches[:2]),
        )
        for batch in batches[:2]:
            total, _ = answer_loss(model, batch)
            total.backward()
            if probed:
                first, second = probe.measure(model, CPU), probe.measure(model, CPU)
                assert first == second, "dropout is on"
            optimizer.step()
            optimizer.zero_grad()
            losses.append(total.item())
        assert model.training
        assert not model.base_model.model.lm_head.training
        weights.append([parameter.detach().clone() for parameter in model.parameters()])
    assert losses[:2] == losses[2:]
    assert all(torch.equal(one, other) for one, other in zip(*weights, strict=True))


def test_lessons_about_one_group_do_not_swap(collator: Collator) -> None:
    twice = [collator([(LESSONS[0],)]), collator([(LESSONS[0],)])]
    with pytest.raises(ConfigError, match="probe_steps=0"):
        ImageProbe(twice)


def test_probed_lessons_are_spread() -> None:
    assert spread_lessons(3) == [0, 1, 2]
    assert spread_lessons(80) == list(range(0, 80, 10))


def test_swapped_and_blank_images_change_what_is_answered(trained: Vlm, collator: Collator) -> None:
    """Total variation between the distributions of the first answer token: 1 where no token is likely under both."""
    batch = collator([(shown,) for shown in LESSONS])
    opposite = collator([(shown,) for shown in reversed(LESSONS)])  # the other side and the other shade
    right = _first_answers(trained, batch)
    swapped, blank = (
        (right - _first_answers(trained, other)).abs().sum(dim=-1) / 2
        for other in (with_images_of(batch, opposite), blank_images(batch))
    )
    assert swapped[:, :2].mean() > 0.5, swapped
    assert blank[:, :2].mean() > 0.1, blank
    assert swapped[:, 2].mean() < 0.3, "the answer that is always yes"


@pytest.mark.parametrize("kind", TINY_TYPES)
def test_swapped_and_blank_images_change_the_loss_of_each_family(families: dict[str, Vlm], kind: str) -> None:
    vlm = families[kind]
    collate = collator_of(vlm.processor)
    result = ImageProbe([collate([(shown,)]) for shown in LESSONS[:2]]).measure(vlm.model, CPU)
    assert all(
        abs(other - right) > 1e-4
        for right, other in zip(result.right, result.swapped, strict=True)
        if other is not None
    )
    assert all(abs(other - right) > 1e-4 for right, other in zip(result.right, result.blank, strict=True))
    assert result.complaint(learned=False) is None


@pytest.mark.parametrize("kind", TINY_TYPES)
def test_lost_and_doubled_images_are_refused(families: dict[str, Vlm], kind: str) -> None:
    processor = families[kind].processor
    batch = collator_of(processor)([(LESSONS[0], LESSONS[1]), (LESSONS[2],)])
    check_batch_images(batch, processor)
    check_batch_images(blank_images(batch), processor)
    assert feature_count(batch, processor) == int((batch["input_ids"] == processor.image_token_id).sum())
    cut = {**batch, "input_ids": batch["input_ids"].clone()}
    cut["input_ids"][0, (batch["input_ids"][0] == processor.image_token_id).nonzero()[0]] = processor.end_id
    one_lesson = collator_of(processor)([(LESSONS[0],)])
    for broken in (cut, with_images_of(batch, one_lesson)):
        with pytest.raises(ModelError, match=r"\d+ image placeholders for \d+ image features"):
            check_batch_images(broken, processor)
    with pytest.raises(ModelError, match="without images"):
        check_batch_images({name: value for name, value in batch.items() if name != "pixel_values"}, processor)


def _first_answers(vlm: Vlm, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Distribution of the first answer token of each question, for rows of one lesson: (rows, questions, vocabulary)."""
    with torch.no_grad():
        logits = vlm.model(**finetune.loss.forward_inputs(vlm.model, batch)).logits
    carries = (batch["labels"] != IGNORED).long()
    begins = carries[:, 1:] > carries[:, :-1]
    return torch.stack([row[at].softmax(dim=-1) for row, at in zip(logits[:, :-1], begins, strict=True)])
