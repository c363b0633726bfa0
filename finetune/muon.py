"""Muon for matrices, AdamW for everything else, behind one optimizer.

Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon) makes a matrix's update orthogonal, which lets a small model with
random weights learn in far fewer steps. Embeddings, norms and biases stay with AdamW, as its author advises. PyTorch has a Muon
too, which multiplies in bfloat16: on a CPU that lacks it, one step takes ten seconds instead of a tenth.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from jaxtyping import Float

MATRIX = 2
MOMENTUM = 0.95
ADAMW_BETAS = (0.9, 0.95)
"""AdamW beside Muon, as in the runs of Muon's author."""

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of the quintic that pushes all singular values towards 1."""
NEWTON_SCHULZ_STEPS = 5


def orthogonal(matrix: Float[torch.Tensor, "rows columns"]) -> Float[torch.Tensor, "rows columns"]:
    """About the nearest matrix whose singular values are all 1 (they come out between 0.7 and 1.2)."""
    a, b, c = NEWTON_SCHULZ
    is_tall = matrix.shape[0] > matrix.shape[1]
    wide: torch.Tensor = (matrix.T if is_tall else matrix) / matrix.norm().clamp(min=1e-7)
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = wide @ wide.T
        wide = a * wide + (b * gram + c * gram @ gram) @ wide
    return wide.T if is_tall else wide


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, made orthogonal, scaled for the matrix's shape."""

    def __init__(
        self,
        matrices: Iterable[torch.nn.Parameter] | Iterable[dict[str, Any]],
        learning_rate: float,
        weight_decay: float,
    ) -> None:
        """Prepare.

        Args:
            matrices: what to train, or groups of them with a `lr` and `weight_decay` of their own.
            learning_rate: where a group has none.
            weight_decay: where a group has none.
        """
        super().__init__(matrices, {"lr": learning_rate, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step."""
        del closure  # the trainers of this project do not use one
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is None:
                    continue
                state = self.state[matrix]
                momentum = state.setdefault("momentum", torch.zeros_like(matrix))
                momentum.lerp_(matrix.grad, 1 - MOMENTUM)
                update = orthogonal(matrix.grad.lerp(momentum, MOMENTUM))
                matrix.mul_(1 - group["lr"] * group["weight_decay"])
                matrix.add_(update, alpha=-group["lr"] * math.sqrt(max(1.0, matrix.shape[0] / matrix.shape[1])))


class JoinedOptimizers(torch.optim.Optimizer):
    """Several optimizers whose parameter groups stand in one list, so that a scheduler drives all."""

    def __init__(self, parts: Sequence[torch.optim.Optimizer]) -> None:
        self._parts = list(parts)
        groups = [group for part in self._parts for group in part.param_groups]
        super().__init__([{"params": group["params"]} for group in groups], {})
        self.param_groups = groups

    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step of each."""
        for part in self._parts:
            part.step(closure)

    def state_dict(self) -> dict[str, Any]:
        """The states of all."""
        return {"parts": [part.state_dict() for part in self._parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Put back what `state_dict` gave."""
        for part, state in zip(self._parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = [group for part in self._parts for group in part.param_groups]


class MuonWithAdamW(JoinedOptimizers):
    """Muon for matrices and AdamW for the rest, each with one learning rate."""

    def __init__(
        self,
        named_parameters: Iterable[tuple[str, torch.nn.Parameter]],
        *,
        learning_rate: float,
        muon_learning_rate: float,
        weight_decay: float,
    ) -> None:
        """Split the parameters.

        Args:
            named_parameters: those to train.
            learning_rate: of AdamW.
            muon_learning_rate: of Muon.
            weight_decay: of both.
        """
        named = list(named_parameters)
        matrices = [parameter for name, parameter in named if is_matrix(name, parameter)]
        rest = [parameter for name, parameter in named if not is_matrix(name, parameter)]
        parts: list[torch.optim.Optimizer] = []
        if matrices:
            parts.append(Muon(matrices, muon_learning_rate, weight_decay))
        if rest:
            parts.append(torch.optim.AdamW(rest, lr=learning_rate, betas=ADAMW_BETAS, weight_decay=weight_decay))
        super().__init__(parts)


def is_matrix(name: str, parameter: torch.nn.Parameter) -> bool:
    """Whether Muon is for it: a matrix that maps activations, not a table of embeddings or the head."""
    return parameter.ndim == MATRIX and "embed" not in name and "lm_head" not in name
