"""What cells should say."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from finetune.dense.cells import CellReading, cell_loss, cell_places, cell_targets
from finetune.dense.pictures import DISTANCE_SCALE_M, MarkedObject

THING = MarkedObject((0.0, 0.0, 0.5, 0.5), 2 * DISTANCE_SCALE_M, 45.0)


def test_targets_lie_where_the_mark_is() -> None:
    targets = cell_targets({3: THING}, 4, 6).unflatten(0, (4, 6))
    assert targets[:2, :3, 3, -1].all()
    assert targets[..., -1].sum() == 6
    assert targets[0, 0, 3].tolist() == pytest.approx([0, 0, 0.5, 0.5, math.log(2), 1.0, 1.0])


def test_a_mark_smaller_than_a_cell_is_not_lost() -> None:
    targets = cell_targets({1: MarkedObject((0.97, 0.01, 1.0, 0.03), 10.0, 0.0)}, 4, 6).unflatten(0, (4, 6))
    assert targets[..., -1].sum() == 1
    assert targets[0, 5, 1, -1] == 1


def test_perfect_answer_costs_nothing() -> None:
    targets = cell_targets({1: THING}, 4, 6)[None]
    perfect = CellReading((targets[..., -1] - 0.5) * 100, targets[..., :-1], cell_places(4, 6)[None])
    assert cell_loss(perfect, targets, 6).item() < 1e-6
    for name in ("presence", "targets", "place"):
        assert cell_loss(replace(perfect, **{name: -getattr(perfect, name)}), targets, 6).item() > 1


def test_a_large_mark_does_not_drown_a_small_one() -> None:
    small = MarkedObject((0.9, 0.9, 1.0, 1.0), DISTANCE_SCALE_M, 0.0)
    targets = cell_targets({1: THING, 2: small}, 8, 16)[None]
    assert [targets[0, :, number, -1].sum().item() for number in (1, 2)] == [32, 2]
    losses = []
    for number in (1, 2):
        wrong = targets[..., :-1].clone()
        wrong[:, :, number] += 1
        losses.append(
            cell_loss(CellReading((targets[..., -1] - 0.5) * 100, wrong, cell_places(8, 16)[None]), targets, 16)
        )
    assert losses[0] / losses[1] == pytest.approx(math.sqrt(32 / 2), rel=1e-3)
