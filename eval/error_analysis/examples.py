"""Typical cases to look at: of each kind the target whose distance is the middle one, so that none is chosen for its looks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from eval.error_analysis.causes import CAUSES, OF_MOTION, Codes
from eval.error_analysis.target_answers import TargetAnswers

EXAMPLES = {
    "right": "right at all times",
    "present_wrong": "wrong at 0 s already",
    "motion_wrong": "right at 0 s, then moved the wrong way, too little or too much",
    "hardly_predictable": "right at 0 s, then wrong where constant velocity is wrong as well",
}
"""File name of a picture → what it is a case of."""


def choose_examples(answers: TargetAnswers, codes: Codes) -> dict[str, int]:
    """A target for each of EXAMPLES that occurs.

    Args:
        answers: of the model.
        codes: see `eval.error_analysis.causes.cause_codes`.
    """
    located = answers.located
    whole = located.read.all(axis=1)
    kinds = {
        "right": located.success.all(axis=1),
        "present_wrong": whole & ~located.success[:, 0],
        "motion_wrong": whole & _any_of(codes, OF_MOTION),
        "hardly_predictable": whole & _any_of(codes, ("hardly predictable",)),
    }
    return {name: _middle(answers, chosen) for name, chosen in kinds.items() if chosen.any()}


def _any_of(codes: Codes, causes: Sequence[str]) -> Bool[np.ndarray, "targets"]:
    return np.asarray(np.isin(codes, [CAUSES.index(name) for name in causes]).any(axis=1))


def _middle(answers: TargetAnswers, chosen: Bool[np.ndarray, "targets"]) -> int:
    rows = np.flatnonzero(chosen)
    by_distance = rows[np.argsort(answers.truth_m[rows, 0], kind="stable")]
    return int(by_distance[len(by_distance) // 2])
