"""What a reward is.

Every reward is bounded, raises for no text, takes time linear in the text, and does not depend on the order of claims, of looks
(but for ViGoRL's published bonus) or of the other completions of a batch. Whether it is None follows from the truth alone, never
from what was said: otherwise silence would take a question out of the sum.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from finetune.rewards.completion import Completion
from finetune.rewards.truth import Truth

Reward = Callable[[Completion, Truth, float], float | None]
"""From a completion, the truth and the share of the training done, 0 to 1. None: the question has nothing to judge by it."""


@dataclass(frozen=True)
class NamedReward:
    """A reward in a preset.

    Attributes:
        name: under which it is logged.
        weight: of it in the sum.
        reward: the function.
    """

    name: str
    weight: float
    reward: Reward
