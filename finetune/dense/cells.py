"""What is to be said in each cell of a frame: which marks cover it, where their objects are, and where it is itself.

A cell is what becomes one token of the language model. One picture teaches some hundred numbers this way, a question and its
answer only a few; without this the tiny model hardly learns to see in any time that a person would wait.

Two heads read cells. Out of the vision tower: marks, their boxes as seen from the cell, and distances. The tower knows of places
only as far as the picture shows them (its positions are relative), so boxes in the picture and bearings are read behind the first
layer of the language model, which hears where a cell is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from finetune.dense.moments import NUMBERS

TARGETS = 6
"""Of a mark: box (u0, v0, u1, v1 as shares of the picture), ln(distance / 20 m), bearing / 45°."""
BOX, DISTANCE = slice(0, 4), 4
TARGET_WEIGHTS = (1.0, 1.0, 1.0, 1.0, 3.0, 1.0)
"""Distance is the hardest of them."""
TOWER_WEIGHTS = (1.0, 1.0, 1.0, 1.0, 3.0, 0.0)
"""Without the bearing."""
PLACE_WEIGHT = 2.0
HUBER_DELTA = 0.1
PRESENCE_PRIOR = -3.5
"""First logit: a given mark covers about one cell in thirty, and learning that takes longer than all the rest."""
READ_STD = 0.02


class Readout(torch.nn.Module):
    """Reads numbers out of hidden states, whatever their scale."""

    def __init__(self, width: int, numbers: int) -> None:
        """Prepare for hidden states of a width."""
        super().__init__()
        self.read = torch.nn.Linear(width, numbers)
        torch.nn.init.normal_(self.read.weight, std=READ_STD)
        torch.nn.init.zeros_(self.read.bias)

    def forward(self, hidden: Float[torch.Tensor, "... width"]) -> Float[torch.Tensor, "... numbers"]:
        """Read at some tokens."""
        reading: torch.Tensor = self.read(torch.nn.functional.rms_norm(hidden, hidden.shape[-1:]))
        return reading


@dataclass(frozen=True, eq=False)
class TowerReading:
    """What is read out of cells of the vision tower.

    Attributes:
        presence: logit that a mark covers the cell.
        targets: of the mark; its box counts from the middle of the cell.
    """

    presence: Float[torch.Tensor, "pictures cells numbers"]
    targets: Float[torch.Tensor, "pictures cells numbers targets"]


class TowerHead(torch.nn.Module):
    """Reads out of each cell of the vision tower: a logit that a mark covers it, and the mark's targets as seen from there."""

    def __init__(self, digits: Float[torch.Tensor, "numbers width"]) -> None:
        """Prepare.

        Args:
            digits: embeddings of the mark numbers in the language model at the beginning; the head keeps these.
        """
        super().__init__()
        width = digits.shape[1]
        self.digits: torch.Tensor
        self.register_buffer("digits", torch.nn.functional.normalize(digits.detach().float(), dim=1))
        self.sharpness = torch.nn.Parameter(torch.ones(()))
        self.prior = torch.nn.Parameter(torch.full((NUMBERS,), PRESENCE_PRIOR))
        self.norm = torch.nn.LayerNorm(width)
        self.targets = torch.nn.Linear(width, NUMBERS * TARGETS)

    def forward(self, cells: Float[torch.Tensor, "pictures cells width"]) -> TowerReading:
        """Read the cells of some pictures."""
        likeness = torch.nn.functional.rms_norm(cells, cells.shape[-1:]) @ self.digits.T
        targets = self.targets(self.norm(cells)).view(*cells.shape[:-1], NUMBERS, TARGETS)
        return TowerReading(self.sharpness * likeness + self.prior, targets)


class PlaceHead(Readout):
    """Reads out of each cell behind the first layer: every mark's targets, and the cell's own place, from -1 to 1."""

    def __init__(self, width: int) -> None:
        """Prepare for hidden states of a width."""
        super().__init__(width, NUMBERS * TARGETS + 2)


@dataclass(frozen=True, eq=False)
class CellTargets:
    """What is to be said in the cells of some pictures.

    Attributes:
        present: 1 where a mark covers a cell.
        targets: of the mark, see `TARGETS`.
        middles: of cells, (u, v) as shares of the picture.
    """

    present: Float[torch.Tensor, "pictures cells numbers"]
    targets: Float[torch.Tensor, "pictures cells numbers targets"]
    middles: Float[torch.Tensor, "cells 2"]

    def weights(self) -> Float[torch.Tensor, "pictures cells numbers"]:
        """A mark that covers n cells weighs √n: with n, the few near objects would be all that is learned."""
        return self.present / self.present.sum(dim=1, keepdim=True).clamp(min=1).sqrt()

    def to(self, device: torch.device) -> CellTargets:
        """The same elsewhere."""
        return CellTargets(self.present.to(device), self.targets.to(device), self.middles.to(device))


def cell_targets(
    shown: Sequence[Mapping[int, Float[np.ndarray, " targets"]]], cells_high: int, cells_wide: int
) -> CellTargets:
    """What is to be said of some pictures, given the targets of the marks that each shows.

    A mark covers the cells whose middle lies in its box, and always the one with the box's middle in it.
    """
    along = [(torch.arange(count) + 0.5) / count for count in (cells_high, cells_wide)]
    v, u = (axis.flatten() for axis in torch.meshgrid(*along, indexing="ij"))
    present = torch.zeros(len(shown), cells_high * cells_wide, NUMBERS)
    targets = torch.zeros(*present.shape, TARGETS)
    for picture, marks in enumerate(shown):
        for number, values in marks.items():
            u0, v0, u1, v1 = values[BOX]
            covered = (v >= v0) & (v <= v1) & (u >= u0) & (u <= u1)
            row, column = int((v0 + v1) / 2 * cells_high), int((u0 + u1) / 2 * cells_wide)
            covered[min(max(row, 0), cells_high - 1) * cells_wide + min(max(column, 0), cells_wide - 1)] = True
            present[picture, covered, number % NUMBERS] = 1.0
            targets[picture, covered, number % NUMBERS] = torch.as_tensor(values, dtype=torch.float32)
    return CellTargets(present, targets, torch.stack([u, v], dim=-1))


def tower_loss(reading: TowerReading, true: CellTargets) -> Float[torch.Tensor, ""]:
    """Cross-entropy of presence, and a Huber loss of the targets where a mark is present."""
    found = torch.nn.functional.binary_cross_entropy_with_logits(reading.presence, true.present, reduction="sum")
    seen = true.targets.clone()
    seen[..., BOX] -= true.middles.repeat(1, 2)[None, :, None]
    return found / true.present.sum().clamp(min=1) + _of_marks(reading.targets, seen, TOWER_WEIGHTS, true)


def place_loss(
    reading: Float[torch.Tensor, "pictures cells numbers_and_place"], true: CellTargets
) -> Float[torch.Tensor, ""]:
    """A Huber loss of the targets where a mark is present, and one of the cells' own places."""
    targets = reading[..., :-2].reshape(*reading.shape[:-1], NUMBERS, TARGETS)
    misplaced = huber(reading[..., -2:], (2 * true.middles - 1).expand_as(reading[..., -2:])).mean()
    return _of_marks(targets, true.targets, TARGET_WEIGHTS, true) + PLACE_WEIGHT * misplaced


def _of_marks(
    targets: torch.Tensor, wanted: torch.Tensor, weights: tuple[float, ...], true: CellTargets
) -> Float[torch.Tensor, ""]:
    off, shares = huber(targets, wanted) @ torch.tensor(weights, device=targets.device), true.weights()
    return (off * shares).sum() / shares.sum().clamp(min=1)


def huber(predicted: Float[torch.Tensor, "..."], truth: Float[torch.Tensor, "..."]) -> Float[torch.Tensor, "..."]:
    """Huber loss of each number, in units of its own delta, so that it grows by 1 a unit."""
    return torch.nn.functional.huber_loss(predicted, truth, delta=HUBER_DELTA, reduction="none") / HUBER_DELTA


def known_huber(
    predicted: Float[torch.Tensor, "..."], truth: Float[torch.Tensor, "..."], weights: Float[torch.Tensor, "..."]
) -> Float[torch.Tensor, ""]:
    """Sum over the last axis of the weighted Huber losses, mean over all else; NaN is not known and does not count.

    Args:
        predicted: what is read.
        truth: what is to be read.
        weights: of the numbers on the last axis.
    """
    known = torch.isfinite(truth) * weights
    off = huber(predicted, torch.where(torch.isfinite(truth), truth, 0.0)) * known
    return weights.sum() * off.sum() / known.sum().clamp(min=1)
