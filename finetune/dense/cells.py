"""What the vision tower should say in each of its cells: which marks cover it, where their objects are, and where it is itself.

A cell is what becomes one token of the language model. One picture teaches some hundred numbers this way, a question and its
answer only a few; without this the tiny model hardly learns to see in any time that a person would wait.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float

from finetune.dense.pictures import NUMBERS, TARGETS, MarkedObject

PRESENCE_WEIGHT = 1.0
TARGET_WEIGHTS = (1.0, 1.0, 1.0, 1.0, 3.0, 1.0)
"""Distance is the hardest of them."""
PLACE_WEIGHT = 2.0
HUBER_DELTA = 0.1
PRESENCE_PRIOR = -3.5
"""First logit: a given mark covers about one cell in thirty, and learning that takes longer than all the rest."""


@dataclass(frozen=True, eq=False)
class CellReading:
    """What the head reads out of cells.

    Attributes:
        presence: logit that a mark covers the cell.
        targets: of the mark, see `TARGETS`.
        place: of the cell itself, down and to the right, from -1 to 1.
    """

    presence: Float[torch.Tensor, "pictures cells numbers"]
    targets: Float[torch.Tensor, "pictures cells numbers targets"]
    place: Float[torch.Tensor, "pictures cells 2"]


class CellHead(torch.nn.Module):
    """Reads presence and the six targets of every mark number out of each cell, and the cell's own place."""

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
        self.place = torch.nn.Linear(width, 2)

    def forward(self, cells: Float[torch.Tensor, "pictures cells width"]) -> CellReading:
        """Read the cells of some pictures."""
        normed = self.norm(cells)
        likeness = torch.nn.functional.rms_norm(cells, cells.shape[-1:]) @ self.digits.T
        targets = self.targets(normed).unflatten(-1, (NUMBERS, TARGETS))
        return CellReading(self.sharpness * likeness + self.prior, targets, self.place(normed))


def cell_targets(
    marked: Mapping[int, MarkedObject], cells_high: int, cells_wide: int
) -> Float[torch.Tensor, "cells numbers targets_and_presence"]:
    """What the head should say: for each cell and mark number the six targets, and 1 where the mark covers the cell.

    A mark covers the cells whose centre lies in its box, and always the one with the box's centre in it.
    """
    targets = torch.zeros(cells_high, cells_wide, NUMBERS, TARGETS + 1)
    centres_v = (torch.arange(cells_high) + 0.5) / cells_high
    centres_u = (torch.arange(cells_wide) + 0.5) / cells_wide
    for number, thing in marked.items():
        u0, v0, u1, v1 = thing.box
        covered = ((centres_v >= v0) & (centres_v <= v1))[:, None] & ((centres_u >= u0) & (centres_u <= u1))[None, :]
        row, column = int((v0 + v1) / 2 * cells_high), int((u0 + u1) / 2 * cells_wide)
        covered[min(max(row, 0), cells_high - 1), min(max(column, 0), cells_wide - 1)] = True
        values = torch.tensor([*thing.targets(), 1.0])
        targets[:, :, number % NUMBERS] = torch.where(covered[..., None], values, targets[:, :, number % NUMBERS])
    return targets.flatten(0, 1)


def cell_loss(
    reading: CellReading, targets: Float[torch.Tensor, "pictures cells numbers targets_and_presence"], cells_wide: int
) -> Float[torch.Tensor, ""]:
    """Cross-entropy of presence, a Huber loss of the targets where a mark is present, and one of the cells' own places.

    A mark that covers n cells weighs √n: with n, the few near objects would be all that is learned.
    """
    present = targets[..., -1]
    found = torch.nn.functional.binary_cross_entropy_with_logits(reading.presence, present, reduction="sum")
    off = huber(reading.targets, targets[..., :-1]) @ torch.tensor(TARGET_WEIGHTS, device=present.device)
    weight = present / present.sum(dim=1, keepdim=True).clamp(min=1).sqrt()
    misplaced = huber(reading.place, cell_places(targets.shape[1] // cells_wide, cells_wide).to(present.device)).mean()
    found_of_marks = PRESENCE_WEIGHT * found / present.sum().clamp(min=1)
    return found_of_marks + (off * weight).sum() / weight.sum().clamp(min=1) + PLACE_WEIGHT * misplaced


def cell_places(cells_high: int, cells_wide: int) -> Float[torch.Tensor, "cells 2"]:
    """Where the centre of each cell is, down and to the right, from -1 to 1."""
    down, right = ((2 * torch.arange(count) + 1) / count - 1 for count in (cells_high, cells_wide))
    return torch.stack(torch.meshgrid(down, right, indexing="ij"), dim=-1).flatten(0, 1)


def huber(predicted: Float[torch.Tensor, "..."], truth: Float[torch.Tensor, "..."]) -> Float[torch.Tensor, "..."]:
    """Huber loss of each number, in units of its own delta, so that it grows by 1 a unit."""
    return (
        torch.nn.functional.huber_loss(predicted, truth.expand_as(predicted), reduction="none", delta=HUBER_DELTA)
        / HUBER_DELTA
    )
