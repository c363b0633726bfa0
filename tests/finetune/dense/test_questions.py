"""Questions that name a mark, and what is to be known behind its number."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from drive_vqa.errors import ConfigError
from drive_vqa.vlm import ChatProcessor
from finetune.dense.numbers import NumberHead, digit_ids
from finetune.dense.pictures import MarkedObject, MarkedPicture, Picture
from finetune.dense.questions import PLACE, TEXTS_PER_MARK, NamedRows, look_loss, name_marks, read_wordings
from finetune.dense.rows import FramesPrefix

NEAR = MarkedObject((0.1, 0.1, 0.3, 0.3), 10.0, -9.0)
FAR = MarkedObject((0.6, 0.6, 0.9, 0.9), 40.0, 18.0)


def _question(text: str, answer: str = "12 m", **more: object) -> dict[str, object]:
    return {"question": text, "answer": answer, "options": None, **more}


def test_wordings_are_those_that_name_one_region_once(processor: ChatProcessor, pictures: list[Picture]) -> None:
    asked = [
        _question("How far away is Region 4?"),
        _question("How far away is Region 7?"),
        _question("Which is nearer, Region 1 or Region 2?"),
        _question("What is Region 3?", "Region 3 is a bus."),
        _question("What is ahead?"),
    ]
    (wording,) = read_wordings(asked, processor, pictures[0].image)
    digits = digit_ids(processor)
    assert wording.ids[wording.number_at] in digits
    said = processor.tokenizer.decode(wording.naming(digits[8]))
    assert said.startswith("How far away is Region 8?") or "How far away is Region 8?" in said
    assert "12 m" in said


def test_no_wording_is_refused(processor: ChatProcessor, pictures: list[Picture]) -> None:
    with pytest.raises(ConfigError, match="look_steps=0"):
        read_wordings([_question("What is ahead?")], processor, pictures[0].image)


def test_every_token_behind_a_number_knows_its_mark(processor: ChatProcessor, pictures: list[Picture]) -> None:
    image = pictures[0].image
    wordings = read_wordings(
        [_question("How far away is Region 4?"), _question("Region 1: how far?")], processor, image
    )
    prefix, digits = FramesPrefix.of(processor, image, (0.0,)), digit_ids(processor)
    shown = [MarkedPicture(image, {4: NEAR, 0: FAR}), MarkedPicture(image, {9: FAR})]
    rows = name_marks(shown, wordings, prefix, digits, np.random.default_rng(0))
    assert [int(packed.segment.max()) for packed in rows.texts] == [2 * TEXTS_PER_MARK, TEXTS_PER_MARK]
    assert set(rows.number[rows.picture == 0].tolist()) == {4, 0}
    truth = {4: NEAR, 0: FAR, 9: FAR}
    for row, token, number, place in zip(rows.picture, rows.token, rows.number, rows.place, strict=True):
        packed = rows.texts[int(row)]
        own = packed.segment == packed.segment[token]
        before = packed.input_ids[own & (torch.arange(len(own)) < token)].tolist()
        assert digits[int(number)] in before
        assert place.tolist() == pytest.approx(truth[int(number)].targets()[PLACE])
    tokens = set(zip(rows.picture.tolist(), rows.token.tolist(), strict=True))
    assert len(tokens) == len(rows.token)
    for row, packed in enumerate(rows.texts):
        for segment in range(1, int(packed.segment.max()) + 1):
            own = (packed.segment == segment).nonzero().flatten().tolist()
            at = next(token for token in own if int(packed.input_ids[token]) in digits)
            assert {(row, token) for token in own if token > at} <= tokens
            assert not {(row, token) for token in own if token <= at} & tokens


def test_the_loss_wants_the_number_and_the_place() -> None:
    width = 16
    digits = torch.eye(10, width)
    head = NumberHead(width)
    with torch.no_grad():
        head.read.weight.zero_()
        head.read.bias[PLACE] = torch.tensor([math.log(2), 0.4])
    rows = NamedRows([], *(torch.tensor([0]),) * 2, torch.tensor([3]), torch.tensor([[math.log(2), 0.4]]))
    right = look_loss(digits[[3]], head, digits, rows).item()
    assert right < 0.2
    assert look_loss(digits[[4]], head, digits, rows).item() > right + 3
    elsewhere = NamedRows([], rows.picture, rows.token, rows.number, rows.place + 1)
    assert look_loss(digits[[3]], head, digits, elsewhere).item() == pytest.approx(right + 4 * 0.95, rel=0.01)
