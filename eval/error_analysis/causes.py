"""Kinds and causes of wrong answers; each wrong answer has one kind and, from 1 s on, one cause: the first that holds.

    present wrong        the answer about the same target at 0 s is wrong already
    not readable         no answer, or one that could not be read
    hardly predictable   constant velocity from the true state at 0 s is wrong as well
    bearing alone        the distance is right
    wrong way            said and true change of distance since 0 s have opposite signs
    too little, too much the said change is less than half, or more than one and a half times the true one
    rest                 the distance changes about as it should; small errors add up

A said change counts as right while it is off by no more than half of the true one or 0.5 m, whichever is more: half of nearly
nothing lets nothing pass.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from eval.baselines import KEEPS_DISTANCE_M
from eval.error_analysis.target_answers import Numbers, TargetAnswers
from eval.localization import ROUNDING
from eval.panel.located import Cells, Located

Codes = Int[np.ndarray, "targets horizons"]

KINDS = ("distance alone", "bearing alone", "both", "not readable")
CAUSES = (
    "present wrong",
    "not readable",
    "hardly predictable",
    "bearing alone",
    "wrong way",
    "too little",
    "too much",
    "rest",
)
OF_MOTION = ("wrong way", "too little", "too much")
"""Causes that are a wrong idea of how the distance changes."""

MOTION_SHARE = 0.5
"""Of the true change of distance, that the said one may be off."""


def kind_codes(located: Located) -> Codes:
    """Index into KINDS of each wrong answer, -1 where it is right."""
    conditions = [
        located.success,
        ~located.read,
        located.bearing_ok,
        located.distance_ok,
    ]
    codes = (-1, KINDS.index("not readable"), KINDS.index("distance alone"), KINDS.index("bearing alone"))
    return np.select(conditions, codes, KINDS.index("both"))


def cause_codes(answers: TargetAnswers, predictable: Cells) -> Codes:
    """Index into CAUSES of each wrong answer from 1 s on; -1 where it is right, and at 0 s.

    Args:
        answers: of the model.
        predictable: constant velocity is right there.
    """
    located = answers.located
    true_m, said_m = (since_present(values) for values in (answers.truth_m, answers.said_m))
    moves_well = np.abs(said_m - true_m) <= np.maximum(MOTION_SHARE * np.abs(true_m), KEEPS_DISTANCE_M) + ROUNDING
    at_present = np.arange(true_m.shape[1]) == 0
    conditions = {
        "present wrong": ~located.success[:, :1],
        "not readable": ~located.read,
        "hardly predictable": ~predictable,
        "bearing alone": located.distance_ok,
        "rest": moves_well,
        "wrong way": said_m * true_m < 0,
        "too little": np.abs(said_m) < np.abs(true_m),
    }
    codes = [-1, *map(CAUSES.index, conditions)]
    shape = located.success.shape
    choices = [np.broadcast_to(one, shape) for one in (located.success | at_present, *conditions.values())]
    return np.select(choices, codes, CAUSES.index("too much"))


def since_present(values: Numbers) -> Numbers:
    """How much each value differs from that at 0 s."""
    return np.asarray(values - values[:, :1])
