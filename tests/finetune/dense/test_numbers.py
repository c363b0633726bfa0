"""What the language model should say at a mark's number."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image

from drive_vqa.errors import ConfigError
from drive_vqa.vlm import ChatProcessor
from finetune.dense.moments import MOST_FRAMES, NUMBERS, MarkedMoment, SeenObject
from finetune.dense.numbers import NumberHead, digit_ids, number_loss, number_targets
from tests.finetune.dense.conftest import SIZE_PX, standing

BOX = (0.1, 0.2, 0.3, 0.4)
PLACE = (1.0, 2.0)
BEFORE, NOW = -2, -1
"""The last two of four frames."""


def _moment(frames: int, thing: SeenObject) -> MarkedMoment:
    return MarkedMoment((Image.new("RGB", SIZE_PX),) * frames, {4: thing}, np.full(4, np.nan))


@pytest.fixture
def targets() -> torch.Tensor:
    """Of two frames, the first of which does not show the mark."""
    thing = standing(BOX, PLACE, frames=2)
    thing.boxes[0] = np.nan
    return number_targets([_moment(2, thing)])


def test_what_is_to_be_said_of_a_shown_mark(targets: torch.Tensor) -> None:
    assert targets.shape == (1, NUMBERS, MOST_FRAMES, 7)
    assert targets[0, 4, NOW].tolist() == pytest.approx([*BOX, *PLACE, 1.0])


def test_of_what_is_not_shown_only_that_is_to_be_said(targets: torch.Tensor) -> None:
    assert targets[0, 4, BEFORE, -1] == 0
    assert (targets[0, :, BEFORE:, -1] == 1).nonzero().tolist() == [[4, 1]]
    targets[0, 4, NOW, :-1] = math.nan
    assert torch.isnan(targets[..., :-1]).all()


def test_nothing_is_to_be_said_of_frames_that_a_moment_does_not_have(targets: torch.Tensor) -> None:
    assert torch.isnan(targets[:, :, :BEFORE]).all()
    whole = number_targets([_moment(1, standing(BOX)), _moment(4, standing(BOX, frames=4))])
    assert torch.isfinite(whole[:, 0, :, -1]).tolist() == [[False, False, False, True], [True] * 4]


def test_the_loss_wants_presence_and_places(targets: torch.Tensor) -> None:
    """Of twenty presences one sure false alarm costs 50 / 20, twice; a distance that is off by one costs 3 · 0.95."""
    perfect = torch.where(torch.isfinite(targets), targets, 7.0)
    perfect[:, :, BEFORE:, -1] = (targets[:, :, BEFORE:, -1] - 0.5) * 100
    assert number_loss(perfect, targets).item() < 1e-6
    absent, wrong = perfect.clone(), perfect.clone()
    absent[0, 5, NOW, -1] = 50
    wrong[0, 4, NOW, 4] += 1
    assert number_loss(absent, targets).item() == pytest.approx(2 * 50 / 20)
    assert number_loss(wrong, targets).item() == pytest.approx(3 * 0.95, rel=1e-4)


def test_a_reading_has_what_is_to_be_said() -> None:
    assert NumberHead(16)(torch.randn(2, NUMBERS, 16)).shape == (2, NUMBERS, MOST_FRAMES, 7)


def test_digits_of_several_tokens_are_refused(processor: ChatProcessor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(processor.tokenizer), "__call__", lambda *_, **__: {"input_ids": [1, 2]})
    with pytest.raises(ConfigError, match="token for each digit"):
        digit_ids(processor)
