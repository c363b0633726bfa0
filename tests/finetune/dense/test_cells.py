"""What cells should say."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from finetune.dense.cells import (
    DISTANCE,
    PRESENCE_PRIOR,
    CellTargets,
    PlaceHead,
    TowerHead,
    TowerReading,
    cell_targets,
    known_huber,
    place_loss,
    tower_loss,
)
from finetune.dense.moments import NUMBERS

THING = np.array([0.0, 0.0, 0.5, 0.5, math.log(2), 1.0])
SMALL = np.array([0.9, 0.9, 1.0, 1.0, 0.0, 0.0])


def _seen_by_tower(true: CellTargets, targets: torch.Tensor | None = None) -> TowerReading:
    """Sure of all marks."""
    return TowerReading((true.present - 0.5) * 100, _from_cells(true) if targets is None else targets)


def _from_cells(true: CellTargets) -> torch.Tensor:
    """Targets whose boxes count from the middles of the cells."""
    u, v = true.middles.T
    zero = torch.zeros_like(u)
    return true.targets - torch.stack([u, v, u, v, zero, zero], dim=-1)[None, :, None]


def _heard(true: CellTargets) -> torch.Tensor:
    """What is perfect behind the first layer."""
    places = (2 * true.middles - 1).expand(len(true.targets), -1, -1)
    return torch.cat([true.targets.flatten(2), places], dim=-1)


def test_targets_lie_where_the_mark_is() -> None:
    true = cell_targets([{}, {3: THING}], 4, 6)
    present = true.present.unflatten(1, (4, 6))
    assert present[1, :2, :3, 3].all()
    assert present.sum() == 6
    assert true.targets.unflatten(1, (4, 6))[1, 1, 2, 3].tolist() == pytest.approx(THING)
    assert not true.targets[0].any()
    assert true.middles.unflatten(0, (4, 6))[1, 2].tolist() == pytest.approx([2.5 / 6, 1.5 / 4])


def test_a_mark_smaller_than_a_cell_is_not_lost() -> None:
    present = cell_targets([{1: np.array([0.97, 0.01, 1.0, 0.03, 0.0, 0.0])}], 4, 6).present.unflatten(1, (4, 6))
    assert present.sum() == 1
    assert present[0, 0, 5, 1] == 1


@pytest.mark.parametrize("box", [(0.98, 0.98, 1.02, 1.02), (-0.1, -0.1, 0.0, 0.0)])
def test_a_mark_at_the_border_is_not_lost(box: tuple[float, ...]) -> None:
    assert cell_targets([{1: np.array([*box, 0.0, 0.0])}], 4, 6).present.sum() == 1


def test_the_tower_tells_boxes_from_the_middle_of_the_cell() -> None:
    true = cell_targets([{1: THING}], 4, 6)
    said = _from_cells(true)
    assert said.unflatten(1, (4, 6))[0, 1, 2, 1, :4].tolist() == pytest.approx([-2.5 / 6, -0.375, 0.5 / 6, 0.125])
    assert tower_loss(_seen_by_tower(true, said), true).item() < 1e-6
    assert tower_loss(_seen_by_tower(true, true.targets), true).item() > 0.5
    assert true.targets.unflatten(1, (4, 6))[0, 1, 2, 1].tolist() == pytest.approx(THING)  # left as they were


def test_the_tower_is_asked_for_marks_and_distances_and_not_for_bearings() -> None:
    true = cell_targets([{1: THING}], 4, 6)
    right = _seen_by_tower(true)
    assert tower_loss(TowerReading(-right.presence, right.targets), true).item() > 1
    for column, weight in ((DISTANCE, 3.0), (5, 0.0)):
        targets = right.targets.clone()
        targets[..., column] += 1
        assert tower_loss(_seen_by_tower(true, targets), true).item() == pytest.approx(weight * 0.95, abs=1e-4)


def test_behind_the_first_layer_boxes_bearings_and_cells_are_told_absolutely() -> None:
    true = cell_targets([{1: THING}], 4, 6)
    right = _heard(true)
    assert place_loss(right, true).item() < 1e-6
    for column, weight in ((0, 1.0), (DISTANCE, 3.0), (5, 1.0)):
        wrong = right.clone()
        wrong[..., 6 + column] += 1  # of mark 1
        assert place_loss(wrong, true).item() == pytest.approx(weight * 0.95, rel=1e-4)
    elsewhere = right.clone()
    elsewhere[..., -2] += 1  # half of what is said of a place
    assert place_loss(elsewhere, true).item() == pytest.approx(2.0 * 0.95 / 2, rel=1e-4)
    of_absent = right.clone()
    of_absent[..., 12:18] += 1  # of mark 2
    assert place_loss(of_absent, true).item() < 1e-6


def test_a_large_mark_does_not_drown_a_small_one() -> None:
    true = cell_targets([{1: THING, 2: SMALL}], 8, 16)
    assert true.present.sum(dim=1)[0, 1:3].tolist() == [32, 2]
    losses = []
    for number in (1, 2):
        wrong = _from_cells(true)
        wrong[:, :, number] += 1
        losses.append(tower_loss(_seen_by_tower(true, wrong), true).item())
    assert losses[0] / losses[1] == pytest.approx(math.sqrt(32 / 2), rel=1e-3)


def test_pictures_without_marks_have_a_loss() -> None:
    true = cell_targets([{}, {}], 4, 6)
    reading = TowerReading(torch.zeros_like(true.present), torch.ones_like(true.targets))
    assert tower_loss(reading, true).item() == pytest.approx(2 * 24 * NUMBERS * math.log(2), rel=1e-4)
    assert place_loss(_heard(true), true).item() == 0


def test_a_cell_that_is_like_a_number_s_embedding_shows_its_mark() -> None:
    digits = torch.nn.Parameter(3 * torch.eye(NUMBERS, 16))
    head = TowerHead(digits)
    with torch.no_grad():
        cells = 7 * digits[[4, 2]][None]
        digits.zero_()
        presence = head(cells).presence
    assert presence.argmax(dim=-1).tolist() == [[4, 2]]
    assert presence.max().item() == pytest.approx(4 + PRESENCE_PRIOR, abs=1e-3)
    assert presence.min().item() == pytest.approx(PRESENCE_PRIOR, abs=1e-3)
    assert head(torch.randn(2, 24, 16)).targets.shape == (2, 24, NUMBERS, 6)


def test_a_readout_does_not_depend_on_scale() -> None:
    hidden = torch.randn(3, 16)
    head = PlaceHead(16)
    assert torch.allclose(head(hidden), head(50 * hidden), atol=1e-5)


def test_what_is_not_known_does_not_count() -> None:
    """Of four numbers one is not known; two of those of weight 3 are off by one, and cost 0.95 each."""
    predicted = torch.ones(2, 2, requires_grad=True)
    truth, weights = torch.tensor([[0.0, math.nan], [0.0, 1.0]]), torch.tensor([3.0, 1.0])
    loss = known_huber(predicted, truth, weights)
    assert loss.item() == pytest.approx((3 + 1) * (3 * 0.95 + 3 * 0.95) / (3 + 3 + 1))
    loss.backward()  # type: ignore[no-untyped-call]
    assert predicted.grad is not None
    assert torch.isfinite(predicted.grad).all()
    assert (predicted.grad == 0).tolist() == [[False, True], [False, True]]
    assert known_huber(predicted, torch.full((2, 2), math.nan), weights).item() == 0
