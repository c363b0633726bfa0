"""How far off answers are: medians over answers that could be read.

relative error   (d̂ - d) / d, of true distances from 0.4 m on; its absolute value where it has no sign
bearing error    |wrap(θ̂ - θ)|, degrees
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from drive_vqa.geometry import wrap_deg
from eval.error_analysis.target_answers import Numbers, TargetAnswers
from eval.localization import NEAR_M
from eval.panel.parts import Parts


@dataclass(frozen=True)
class Median:
    """A median with the number of answers that it is taken over; NaN where there are none."""

    value: float
    n: int


def relative_error(answers: TargetAnswers) -> Numbers:
    """Signed: positive where the target is said to be too far; NaN where there is none."""
    far_enough = answers.truth_m >= NEAR_M
    return np.divide(
        answers.said_m - answers.truth_m, answers.truth_m, out=np.full_like(answers.truth_m, np.nan), where=far_enough
    )


def bearing_error_deg(answers: TargetAnswers) -> Numbers:
    """How far off each bearing is, in [0, 180]."""
    return np.asarray(np.abs(wrap_deg(answers.said_deg - answers.truth_deg)))


def median_of(values: Float[np.ndarray, "*n"]) -> Median:
    """Median of the numbers among them."""
    known = values[np.isfinite(values)]
    return Median(float(np.median(known)) if known.size else float("nan"), int(known.size))


def medians_by_part(values: Numbers, parts: Parts) -> dict[str, list[Median]]:
    """For each part of the cells, taken row by row, the median at each horizon."""
    codes = parts.codes.reshape(values.shape)
    return {
        name: [median_of(values[codes[:, at] == code, at]) for at in range(values.shape[1])]
        for code, name in enumerate(parts.names)
    }
