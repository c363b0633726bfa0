"""Truth and answer side by side: one row a target, one column a horizon of 0, 1, 2 and 3 s."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from eval.cases import find_targets
from eval.localization import HORIZONS_S
from eval.panel import Answered
from eval.panel.located import Located, locate

Numbers = Float[np.ndarray, "targets horizons"]
PLACE = ("distance_m", "bearing_deg")


@dataclass(frozen=True, eq=False)
class TargetAnswers:
    """Targets that were asked about at all horizons.

    Attributes:
        answered: the questions and their answers.
        located: what became of each target at each horizon.
        truth_m: true distance in the ego frame of the horizon's time.
        truth_deg: true bearing in that frame.
        said_m: answered distance; NaN where no answer could be read.
        said_deg: answered bearing, likewise.
        left_out: targets that were not asked about at all horizons.
    """

    answered: Answered
    located: Located
    truth_m: Numbers
    truth_deg: Numbers
    said_m: Numbers
    said_deg: Numbers
    left_out: int

    def __post_init__(self) -> None:
        if self.truth_m.shape != (len(self), len(HORIZONS_S)):
            raise ValueError(f"one number a target and horizon is needed, got shape {self.truth_m.shape}")

    def __len__(self) -> int:
        """How many targets there are."""
        return len(self.located.anchors)


def target_answers(answered: Answered) -> TargetAnswers:
    """The targets of the localization questions among those that were asked."""
    targets = find_targets(answered.cases)
    whole = targets.take((targets.rows >= 0).all(axis=1))
    located = locate(answered, whole)
    truth_m, truth_deg = (answered.truth(field)[whole.rows] for field in PLACE)
    said_m, said_deg = (np.where(located.read, answered.answer(field)[whole.rows], np.nan) for field in PLACE)
    return TargetAnswers(answered, located, truth_m, truth_deg, said_m, said_deg, len(targets) - len(whole))
