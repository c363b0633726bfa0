"""The cost of errors by how dangerous they are [ours]: 0 for a right distance, down to -1.

    - weight · direction · (1 - closeness)

    weight      1 for a critical target (time to collision below 3 s, or nearer than 10 m), else ½
    direction   1 for an answer that is too far, ½ for one that is too near
    closeness   1 inside of the band of LSR, else falling with the error (`closeness`)

Far is the dangerous way (`eval.safety`); for a later time it is closing slower than true as well. An answer that is missing or
cannot be read costs as much as one that is far too far, so that silence does not pay. Range [-1, 0]; None for questions that do
not ask how far from the ego one mark is.
"""

from __future__ import annotations

from eval.safety import EGO_FAMILIES, RANGE_BINS_M
from finetune.rewards.accuracy import read_answer
from finetune.rewards.closeness import DISTANCE, judge_parts
from finetune.rewards.completion import Completion
from finetune.rewards.truth import Truth

CRITICAL_TTC_BINS = frozenset({"<0.95", "0.95-1.5", "1.5-3"})
"""As `qa_gen` names them in slices."""

CRITICAL_M = RANGE_BINS_M[1]
CALM_WEIGHT = 0.5
TOO_NEAR = 0.5

_DISTANCES = frozenset({"localization", "distance"})


def safety(completion: Completion, truth: Truth, progress: float) -> float | None:
    """See the top."""
    del progress
    if truth.family not in EGO_FAMILIES or truth.answer_type not in _DISTANCES or len(truth.marks) != 1:
        return None
    weight = 1.0 if is_critical(truth) else CALM_WEIGHT
    answer, true_m = read_answer(completion, truth), truth.answer["distance_m"]
    if answer is None:
        return -weight
    direction = 1.0 if answer["distance_m"] > true_m else TOO_NEAR
    closeness = judge_parts(truth.answer_type, truth.answer, answer)[DISTANCE].closeness
    return weight * direction * (closeness - 1.0)


def is_critical(truth: Truth) -> bool:
    """Whether the target may soon be hit, or is near."""
    distance_m = truth.slices.get("distance_m")
    return truth.slices.get("ttc_bin") in CRITICAL_TTC_BINS or (distance_m is not None and distance_m < CRITICAL_M)
