"""What became of the questions that were asked, and what it cost."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from drive_vqa.errors import ConfigError


@dataclass(frozen=True)
class Prices:
    """What a server takes.

    Attributes:
        prompt: for a million tokens that it is sent, in any currency.
        completion: for a million tokens that it says.

    Raises:
        ConfigError: a price is below 0 or no number.
    """

    prompt: float = 0.0
    completion: float = 0.0

    def __post_init__(self) -> None:
        if not all(math.isfinite(price) and price >= 0 for price in (self.prompt, self.completion)):
            raise ConfigError(f"prices must be at least 0, are {self.prompt} and {self.completion}")

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Of so many tokens."""
        return (self.prompt * prompt_tokens + self.completion * completion_tokens) / 1e6


@dataclass(frozen=True)
class Outcome:
    """What became of the questions.

    Attributes:
        path: of the predictions file; it is there where anything was answered.
        answered: answers in it.
        resumed: of these, answered before.
        failed: asked without an answer, listed beside it.
        prompt_tokens: that servers counted in what they were sent for the answers; 0 where none counts.
        completion_tokens: likewise, in what they said.
        cost: by the prices that were given; None: none were.
    """

    path: Path
    answered: int
    resumed: int
    failed: int
    prompt_tokens: int
    completion_tokens: int
    cost: float | None

    @property
    def exit_status(self) -> int:
        """1 where questions have no answer."""
        return 1 if self.failed else 0

    def as_told(self) -> dict[str, float | None]:
        """What is kept beside the answers; the same however often asking was interrupted."""
        names = ("answered", "failed", "prompt_tokens", "completion_tokens", "cost")
        return {name: getattr(self, name) for name in names}

    def sentence(self) -> str:
        """For people."""
        told = f"{self.answered} answers, {self.resumed} of them from before, {self.failed} questions failed"
        if self.prompt_tokens or self.completion_tokens:
            told += f"; {self.prompt_tokens} tokens sent, {self.completion_tokens} received"
        return told if self.cost is None else f"{told}, cost {self.cost:.4f}"
