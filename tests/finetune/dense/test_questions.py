"""Questions that name a mark, and what is to be known behind its number."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image

from drive_vqa.errors import ConfigError
from drive_vqa.vlm import ChatProcessor
from finetune.dense.moments import MarkedMoment, SeenObject
from finetune.dense.numbers import digit_ids
from finetune.dense.questions import (
    MOST_ASKED,
    TEXTS_PER_MARK,
    ForesightHead,
    NamedRows,
    Wording,
    look_loss,
    name_marks,
    read_wordings,
)
from finetune.dense.rows import FramesPrefix
from finetune.lesson import Row
from tests.finetune.dense.conftest import SIZE_PX, standing

NEAR = SeenObject(
    np.array([[0.1, 0.1, 0.3, 0.3]]),
    np.array([[-0.7, -0.2]]),
    np.array([[-0.7, -0.2], [-0.6, -0.1], [np.nan, np.nan], [-0.4, 0.1]]),
    np.array([0.1, 0.2, np.nan, 0.4]),
)
FAR = standing((0.6, 0.6, 0.9, 0.9), (0.7, 0.4))
EGO_SPEEDS = np.array([1.1, 1.2, 1.3, np.nan])
IMAGE = Image.new("RGB", SIZE_PX)


def _question(text: str, answer: str = "12 m") -> Row:
    return {"question": text, "answer": answer, "options": None}


@pytest.fixture(scope="module")
def wordings(processor: ChatProcessor) -> list[Wording]:
    """One in which the number comes late, and one in which it comes soon."""
    return read_wordings([_question("How far away is Region 4?"), _question("Region 1: how far?")], processor, IMAGE)


def test_wordings_are_those_that_name_one_region_once(processor: ChatProcessor) -> None:
    asked = [
        _question("How far away is Region 4?"),
        _question("How far away is Region 7?"),
        _question("Which is nearer, Region 1 or Region 2?"),
        _question("What is Region 3?", "Region 3 is a bus."),
        _question("What is ahead?"),
    ]
    (wording,) = read_wordings(asked, processor, IMAGE)
    digits = digit_ids(processor)
    assert wording.ids[wording.number_at] in digits
    said = processor.tokenizer.decode(wording.naming(digits[8]))
    assert "How far away is Region 8?" in said
    assert "12 m" in said


def test_the_order_of_questions_does_not_matter(processor: ChatProcessor, wordings: list[Wording]) -> None:
    turned = [_question("Region 5: how far?"), _question("How far away is Region 0?")]
    assert read_wordings(turned, processor, IMAGE) == wordings


def test_no_wording_is_refused(processor: ChatProcessor) -> None:
    with pytest.raises(ConfigError, match="look_steps=0"):
        read_wordings([_question("What is ahead?")], processor, IMAGE)


def test_every_token_behind_a_number_knows_its_mark(processor: ChatProcessor, wordings: list[Wording]) -> None:
    prefix, digits = FramesPrefix.of(processor, IMAGE, (0.0,)), digit_ids(processor)
    shown = [MarkedMoment((IMAGE,), {4: NEAR, 0: FAR}, EGO_SPEEDS), MarkedMoment((IMAGE,), {9: FAR}, EGO_SPEEDS)]
    rows = name_marks(shown, wordings, prefix, digits, np.random.default_rng(0))
    assert [int(packed.segment.max()) for packed in rows.texts] == [2 * TEXTS_PER_MARK, TEXTS_PER_MARK]
    assert set(rows.number[rows.moment == 0].tolist()) == {4, 0}
    for row, token, number in zip(rows.moment, rows.token, rows.number, strict=True):
        packed = rows.texts[int(row)]
        own = packed.segment == packed.segment[token]
        before = packed.input_ids[own & (torch.arange(len(own)) < token)].tolist()
        assert digits[int(number)] in before
    tokens = set(zip(rows.moment.tolist(), rows.token.tolist(), strict=True))
    assert len(tokens) == len(rows.token)
    for row, packed in enumerate(rows.texts):
        for segment in range(1, int(packed.segment.max()) + 1):
            own = (packed.segment == segment).nonzero().flatten().tolist()
            at = next(token for token in own if int(packed.input_ids[token]) in digits)
            assert {(row, token) for token in own if token > at} <= tokens
            assert not {(row, token) for token in own if token <= at} & tokens


def test_what_is_foreseen_is_the_mark_s_future_and_its_and_the_ego_vehicle_s_speed(
    processor: ChatProcessor, wordings: list[Wording]
) -> None:
    prefix, digits = FramesPrefix.of(processor, IMAGE, (0.0,)), digit_ids(processor)
    moment = MarkedMoment((IMAGE,), {4: NEAR, 0: FAR}, EGO_SPEEDS)
    rows = name_marks([moment], wordings, prefix, digits, np.random.default_rng(0))
    near = torch.tensor(
        [
            [-0.7, -0.2, 0.1, 1.1],
            [-0.6, -0.1, 0.2, 1.2],
            [math.nan, math.nan, math.nan, 1.3],
            [-0.4, 0.1, 0.4, math.nan],
        ]
    )
    far = torch.tensor([[0.7, 0.4, 0.0, speed] for speed in EGO_SPEEDS.tolist()])
    assert rows.foreseen.dtype == torch.float32
    for number, foreseen in zip(rows.number.tolist(), rows.foreseen, strict=True):
        torch.testing.assert_close(foreseen, near if number == 4 else far, equal_nan=True)


def test_only_some_marks_of_a_moment_are_asked_about(processor: ChatProcessor, wordings: list[Wording]) -> None:
    prefix, digits = FramesPrefix.of(processor, IMAGE, (0.0,)), digit_ids(processor)
    crowd = MarkedMoment((IMAGE,), dict.fromkeys(range(8), FAR), EGO_SPEEDS)
    asked = [name_marks([crowd], wordings, prefix, digits, np.random.default_rng(seed)) for seed in range(2)]
    assert [int(rows.texts[0].segment.max()) for rows in asked] == [MOST_ASKED * TEXTS_PER_MARK] * 2
    numbers = [set(rows.number.tolist()) for rows in asked]
    assert [len(some) for some in numbers] == [MOST_ASKED] * 2
    assert numbers[0] != numbers[1]


def test_the_loss_wants_the_number_and_what_is_foreseen() -> None:
    """A distance that is off by one at one of four horizons costs 3 · 0.95 / 4, where all is known."""
    width = 16
    digits = torch.eye(10, width)
    foreseen = torch.tensor([[math.log(2), 0.4, 0.1, 1.0]] * 4)
    head = ForesightHead(width)
    with torch.no_grad():
        head.read.weight.zero_()
        head.read.bias.copy_(foreseen.flatten())

    def loss(said: int, known: torch.Tensor) -> float:
        rows = NamedRows([], *(torch.tensor([0]),) * 2, torch.tensor([3]), known[None])
        return look_loss(digits[[said]], head, digits, rows).item()

    right = loss(3, foreseen)
    assert right < 0.2
    assert loss(4, foreseen) > right + 3
    farther, unknown = foreseen.clone(), foreseen.clone()
    farther[2, 0] += 1
    unknown[2] = math.nan
    assert loss(3, farther) == pytest.approx(right + 3 * 0.95 / 4, rel=1e-4)
    assert loss(3, unknown) == pytest.approx(right)
