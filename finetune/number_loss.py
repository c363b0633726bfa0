"""The number token loss: how far a digit that is said may be from the digit that is right.

To cross-entropy a 2 in the place of a 3 is as wrong as a 9, so a model that is not sure of a digit says the most frequent one.
Added to it at the tokens of numbers is the expected distance between the digits (the Wasserstein-1 form of the number token loss,
Zausinger et al. 2025, "Regress, Don't Guess", arXiv 2411.02083). It is least at the median of the digits that are possible.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int

from drive_vqa.errors import ConfigError
from drive_vqa.vlm import ChatProcessor


@dataclass(frozen=True)
class NumberLoss:
    """Added to the loss of the answers.

    Attributes:
        digit_ids: tokens of the digits 0 to 9.
        weight: of an expected distance of one digit, in nats.
    """

    digit_ids: tuple[int, ...]
    weight: float

    @classmethod
    def of(cls, processor: ChatProcessor, weight: float) -> NumberLoss | None:
        """For a tokenizer, or None without weight.

        Raises:
            ConfigError: the tokenizer writes a digit in several tokens.
        """
        return cls(tuple(digit_ids(processor)), weight) if weight else None

    def summed(self, logits: Float[torch.Tensor, "n vocabulary"], targets: Int[torch.Tensor, " n"]) -> torch.Tensor:
        """Over all targets that are digits, weighted; nats."""
        digits = torch.tensor(self.digit_ids, device=targets.device)
        values = torch.arange(len(digits), device=targets.device)
        is_digit = targets[:, None] == digits
        said = torch.softmax(logits[:, digits].float(), dim=1)
        right = (is_digit * values).sum(dim=1, keepdim=True)
        distance = (said * (values - right).abs()).sum(dim=1)
        return self.weight * (distance * is_digit.any(dim=1)).sum()


def digit_ids(processor: ChatProcessor) -> list[int]:
    """The token of each digit.

    Raises:
        ConfigError: the tokenizer writes a digit in several tokens.
    """
    written = [processor.tokenizer(str(digit), add_special_tokens=False)["input_ids"] for digit in range(10)]
    if any(len(ids) != 1 for ids in written):
        raise ConfigError(
            "this tokenizer has no token for each digit: set number_loss_weight=0 and dense_pretraining.steps=0"
        )
    return [ids[0] for ids in written]
