"""Muon's orthogonal step, and that both optimizers move together."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.muon import MuonWithAdamW, orthogonal


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 24), st.integers(1, 24), st.integers(0, 99), st.floats(1e-4, 1e4))
def test_singular_values_come_near_one(rows: int, columns: int, seed: int, scale: float) -> None:
    matrix = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))
    singular = torch.linalg.svdvals(matrix)
    clear = singular > 0.05 * singular.max()
    values = torch.linalg.svdvals(orthogonal(matrix * scale))
    assert values.max() < 1.25
    assert values[clear].min() > 0.5


def test_directions_are_kept() -> None:
    """For a symmetric positive matrix the nearest orthogonal one is the identity."""
    root = torch.randn(6, 6, generator=torch.Generator().manual_seed(1))
    matrix = root @ root.T + torch.eye(6)
    result = orthogonal(matrix)
    assert torch.diagonal(result).min() > 0.6
    torch.testing.assert_close(result, result.T, atol=1e-4, rtol=0)


def test_zero_gradient_moves_nothing() -> None:
    assert not orthogonal(torch.zeros(3, 5)).any()


def test_both_kinds_learn_and_follow_the_schedule() -> None:
    model = _model()
    optimizer = _optimizer(model)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.0 if step else 1.0)
    before = [parameter.clone() for parameter in model.parameters()]
    losses = []
    for _ in range(3):
        losses.append(_step(model, optimizer))
        scheduler.step()
    assert losses[1] < losses[0]
    assert losses[2] == losses[1], "at a learning rate of 0 nothing moves"
    assert all(not torch.equal(parameter, old) for parameter, old in zip(model.parameters(), before, strict=True))


def test_state_goes_on_where_it_was() -> None:
    one, other = _model(), _model()
    first = _optimizer(one)
    for _ in range(3):
        _step(one, first)
    other.load_state_dict(one.state_dict())
    second = _optimizer(other)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    assert _step(one, first) == pytest.approx(_step(other, second))
    for parameter, twin in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(parameter, twin)


def _model() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))


def _optimizer(model: torch.nn.Module) -> MuonWithAdamW:
    return MuonWithAdamW(model.named_parameters(), learning_rate=1e-2, muon_learning_rate=1e-2, weight_decay=0.0)


def _step(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> float:
    inputs = torch.linspace(-1, 1, 20).reshape(5, 4)
    loss = (model(inputs) - inputs[:, :2].square()).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
