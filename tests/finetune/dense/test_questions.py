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
    UNASKED,
    AskedHead,
    ForesightHead,
    NamedRows,
    Wording,
    asked_loss,
    change_loss,
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
Wordings = dict[str, list[Wording]]
FAR = standing((0.6, 0.6, 0.9, 0.9), (0.7, 0.4))
EGO_SPEEDS = np.array([1.1, 1.2, 1.3, np.nan])
IMAGE = Image.new("RGB", SIZE_PX)


def _question(text: str, answer: str = "12 m", type_: str = "distance", horizon_s: float = 0.0) -> Row:
    return {"type": type_, "question": text, "answer": answer, "options": None, "horizon_s": horizon_s}


LATE = _question("How far away is Region 4?")
SOON = _question("Region 1: how far?", type_="far", horizon_s=1.0)
NONE = _question("How fast am I?", type_="ego_speed", horizon_s=2.5)


@pytest.fixture(scope="module")
def wordings(processor: ChatProcessor) -> dict[str, list[Wording]]:
    """One in which the number comes late, and one in which it comes soon."""
    return {one.type: [one] for one in read_wordings([LATE, SOON], processor, IMAGE)}


def test_wordings_are_those_that_name_one_region_once_or_none(processor: ChatProcessor) -> None:
    asked = [
        _question("How far away is Region 4?"),
        _question("How far away is Region 7?"),
        _question("Which is nearer, Region 1 or Region 2?"),
        _question("What is Region 3?", "Region 3 is a bus."),
        NONE,
    ]
    wording, nameless = read_wordings(asked, processor, IMAGE)
    digits = digit_ids(processor)
    assert (nameless.type, nameless.horizon, nameless.number_at) == ("ego_speed", None, None)
    assert nameless.naming(digits[8]) == nameless.ids
    assert (wording.type, wording.horizon) == ("distance", 0)
    assert wording.number_at is not None
    assert wording.ids[wording.number_at] in digits
    said = processor.tokenizer.decode(wording.naming(digits[8]))
    assert "How far away is Region 8?" in said
    assert "12 m" in said


def test_the_order_of_questions_does_not_matter(processor: ChatProcessor, wordings: Wordings) -> None:
    turned = [{**SOON, "question": "Region 5: how far?"}, {**LATE, "question": "How far away is Region 0?"}]
    assert read_wordings(turned, processor, IMAGE) == [one for (one,) in wordings.values()]


def test_an_answer_begins_behind_all_that_is_asked(processor: ChatProcessor, wordings: Wordings) -> None:
    for (wording,) in wordings.values():
        said = processor.tokenizer.decode(wording.ids[wording.answer_at + 1 :])
        assert said.startswith("12 m")
        assert not processor.tokenizer.decode(wording.ids[: wording.answer_at + 1]).endswith("1")


def test_no_wording_is_refused(processor: ChatProcessor) -> None:
    with pytest.raises(ConfigError, match="look_steps=0"):
        read_wordings([_question("What is ahead?")], processor, IMAGE)


def test_every_token_behind_a_number_knows_its_mark(processor: ChatProcessor, wordings: Wordings) -> None:
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
    processor: ChatProcessor, wordings: Wordings
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


def test_only_some_marks_of_a_moment_are_asked_about(processor: ChatProcessor, wordings: Wordings) -> None:
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

    def loss(said: int, known: torch.Tensor, named: int = 3) -> float:
        unasked = torch.tensor([UNASKED]), torch.full((1, 4), math.nan)
        rows = NamedRows([], *(torch.tensor([0]),) * 2, torch.tensor([named]), known[None], *unasked)
        return look_loss(digits[[said]], head, digits, rows).item()

    right = loss(3, foreseen)
    assert right < 0.2
    assert loss(4, foreseen) > right + 3
    farther, unknown = foreseen.clone(), foreseen.clone()
    farther[2, 0] += 1
    unknown[2] = math.nan
    assert loss(3, farther) == pytest.approx(right + 3 * 0.95 / 4, rel=1e-4)
    assert loss(3, unknown) == pytest.approx(right)
    assert math.isfinite(loss(3, foreseen, UNASKED))  # no text of a step names a mark


def test_the_answer_s_tokens_know_what_is_asked(processor: ChatProcessor, wordings: Wordings) -> None:
    """Its type, and the place and speeds at its horizon; tokens before the answer need not."""
    prefix, digits = FramesPrefix.of(processor, IMAGE, (0.0,)), digit_ids(processor)
    rows = name_marks(
        [MarkedMoment((IMAGE,), {4: NEAR}, EGO_SPEEDS)], wordings, prefix, digits, np.random.default_rng(1)
    )
    asked = {index: rows.asked[rows.type == index] for index in range(len(wordings))}
    assert all(len(values) for values in asked.values())
    for index, (wording,) in enumerate(wordings.values()):
        assert wording.horizon is not None
        foreseen = rows.foreseen[0, wording.horizon].expand_as(asked[index])
        torch.testing.assert_close(asked[index], foreseen, equal_nan=True)
    before = rows.type == UNASKED
    assert torch.isnan(rows.asked[before]).all()
    assert int(before.sum()) == sum(
        one.answer_at - (one.number_at or 0) - 1
        for (one,) in wordings.values()
        for text in range(TEXTS_PER_MARK)
        if _asks(rows, one, text)
    )


def _asks(rows: NamedRows, wording: Wording, text: int) -> bool:
    (packed,) = rows.texts
    own = packed.input_ids[packed.segment == text + 1].tolist()
    return len(own) == len(wording.ids) and own[wording.answer_at :] == list(wording.ids[wording.answer_at :])


def test_behind_a_question_without_a_mark_the_ego_vehicle_is_known_alone(processor: ChatProcessor) -> None:
    prefix, digits = FramesPrefix.of(processor, IMAGE, (0.0,)), digit_ids(processor)
    late, nameless = read_wordings([LATE, {**NONE, "horizon_s": 2.0}], processor, IMAGE)
    moment = MarkedMoment((IMAGE,), {4: NEAR}, EGO_SPEEDS)
    rows = name_marks([moment], {nameless.type: [nameless]}, prefix, digits, np.random.default_rng(0))
    assert set(rows.number.tolist()) == {UNASKED}
    assert torch.isnan(rows.foreseen[..., :-1]).all()
    torch.testing.assert_close(rows.foreseen[0, :3, -1], torch.tensor([1.1, 1.2, 1.3]))
    assert rows.asked[:, -1].tolist() == pytest.approx([1.3] * len(rows.asked))
    assert len(rows.token) == TEXTS_PER_MARK * (len(nameless.ids) - nameless.answer_at)
    assert late.number_at is not None


def test_the_loss_of_changes_does_not_see_what_all_times_share() -> None:
    places = torch.tensor([[0.5, 0.1], [0.7, 0.2], [math.nan, math.nan]])
    shifted = torch.nan_to_num(places + 3.0)
    assert change_loss(shifted, places, now=0).item() == pytest.approx(0.0, abs=1e-6)
    farther = shifted.clone()
    farther[1, 0] += 1
    assert change_loss(farther, places, now=0).item() == pytest.approx(3 * 1.95 / 2, rel=1e-4)


def test_the_loss_wants_the_type_and_what_is_asked() -> None:
    """A distance that is off by one costs 3 · 0.95."""
    types = 3
    head = AskedHead(16, types)
    known = torch.tensor([[0.5, 0.4, 0.1, 1.0]])
    with torch.no_grad():
        head.read.weight.zero_()
        head.read.bias.copy_(torch.cat([torch.tensor([0.0, 20.0, 0.0]), known[0]]))

    def loss(type_: int, asked: torch.Tensor) -> float:
        at = torch.tensor([0])
        rows = NamedRows([], at, at, at, torch.full((1, 4, 4), math.nan), torch.tensor([type_]), asked)
        return asked_loss(torch.randn(1, 16), head, rows).item()

    assert loss(1, known) < 1e-6
    assert loss(2, known) == pytest.approx(20.0)
    farther = known.clone()
    farther[0, 0] += 1
    assert loss(1, farther) == pytest.approx(3 * 0.95, rel=1e-4)
