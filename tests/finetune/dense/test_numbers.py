"""What the language model should say at a mark's number."""

from __future__ import annotations

import math

import pytest
from PIL import Image

from drive_vqa.errors import ConfigError
from drive_vqa.vlm import ChatProcessor
from finetune.dense.numbers import digit_ids, number_loss, number_targets
from finetune.dense.pictures import MarkedObject, MarkedPicture
from tests.finetune.dense.conftest import SIZE_PX


def test_what_is_to_be_said() -> None:
    thing = MarkedObject((0.1, 0.2, 0.3, 0.4), 20.0 * math.e, 90.0)
    targets = number_targets([MarkedPicture(Image.new("RGB", SIZE_PX), {4: thing})])
    assert targets[0, 4].tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4, 1.0, 2.0, 1.0])
    assert targets.abs().sum(dim=2).nonzero().tolist() == [[0, 4]]
    perfect = targets.clone()
    perfect[..., -1] = (targets[..., -1] - 0.5) * 100
    assert number_loss(perfect, targets).item() < 1e-6
    absent, wrong = perfect.clone(), perfect.clone()
    absent[0, 5, -1] = 50
    wrong[0, 4, 4] += 1
    assert number_loss(absent, targets).item() > 5
    assert number_loss(wrong, targets).item() == pytest.approx(3 * 0.95, rel=0.01)


def test_digits_of_several_tokens_are_refused(processor: ChatProcessor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(processor.tokenizer), "__call__", lambda *_, **__: {"input_ids": [1, 2]})
    with pytest.raises(ConfigError, match="token for each digit"):
        digit_ids(processor)
