"""Muon for matrices, AdamW for everything else, behind one optimizer.

Muon (Jordan et al. 2024) makes a matrix's update orthogonal, which lets a small model with random weights learn in far fewer
steps. Embeddings, norms and biases stay with AdamW, as its authors advise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch

MATRIX = 2


class MuonWithAdamW(torch.optim.Optimizer):
    """Two optimizers whose parameter groups stand in one list, so that a scheduler drives both."""

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
        matrices = [parameter for name, parameter in named if _is_matrix(name, parameter)]
        rest = [parameter for name, parameter in named if not _is_matrix(name, parameter)]
        self._parts: list[torch.optim.Optimizer] = []
        if matrices:
            self._parts.append(torch.optim.Muon(matrices, lr=muon_learning_rate, weight_decay=weight_decay))
        if rest:
            self._parts.append(torch.optim.AdamW(rest, lr=learning_rate, betas=(0.9, 0.95), weight_decay=weight_decay))
        super().__init__([{"params": [parameter for _, parameter in named]}], {})
        self.param_groups = [group for part in self._parts for group in part.param_groups]

    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step of both."""
        for part in self._parts:
            part.step(closure)

    def state_dict(self) -> dict[str, Any]:
        """The states of both."""
        return {"parts": [part.state_dict() for part in self._parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Put back what `state_dict` gave."""
        for part, state in zip(self._parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = [group for part in self._parts for group in part.param_groups]


def _is_matrix(name: str, parameter: torch.nn.Parameter) -> bool:
    return parameter.ndim == MATRIX and "embed_tokens" not in name and "lm_head" not in name
