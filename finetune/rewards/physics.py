"""Physics [ours]: what a trace states fits together, and with the answer.

    ½ stated + ½ result

    stated   the worst agreement of all statements of `statements`: a position with its distance and bearing and with the
             claimed place, a displacement with its rate and with the claimed places, where the rate leads to. 0 where the
             statement that the question calls for is missing: of a motion for a later time, if several images show it, else of
             anything
    result   the worst agreement of the length and the angle stated last with those of the answer; 0 where none is stated

So what is true pays more than silence, what is false costs, and repeating what is true adds nothing. Whether the claimed places
are true is not judged here but in `places`. Range [0, 1]; None for questions that do not ask for a place or a distance from the
ego, or whose evidence has no known place.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from eval.safety import EGO_FAMILIES
from finetune.rewards.accuracy import read_answer
from finetune.rewards.completion import Completion
from finetune.rewards.statements import TOLD_M, Reasoning, agreement, angle_agreement, read_reasoning
from finetune.rewards.truth import Truth

_PLACES = frozenset({"localization", "distance", "bearing", "position"})


def physics(completion: Completion, truth: Truth, progress: float) -> float | None:
    """See the top."""
    del progress
    known = any(box.distance_m is not None for box in truth.evidence.boxes)
    if truth.family not in EGO_FAMILIES or truth.answer_type not in _PLACES or not known:
        return None
    reasoning, answer = read_reasoning(completion.trace), read_answer(completion, truth)
    return 0.5 * (_stated(reasoning, truth) + (0.0 if answer is None else _result(reasoning, answer)))


def _stated(reasoning: Reasoning, truth: Truth) -> float:
    moves = truth.horizon_s and len(truth.evidence.key_times_s) > 1
    stated = (*reasoning.polar, *reasoning.motion)
    return min((*stated, *reasoning.repeats)) if (reasoning.motion if moves else stated) else 0.0


def _result(reasoning: Reasoning, answer: Mapping[str, Any]) -> float:
    """Agreement of what is stated last with each part of the answer."""
    agreed = []
    if answer["distance_m"] is not None:
        length_m = reasoning.length_m
        agreed.append(0.0 if length_m is None else agreement(length_m, answer["distance_m"], TOLD_M))
    if answer["bearing_deg"] is not None:
        angle = reasoning.angle_deg
        agreed.append(0.0 if angle is None else angle_agreement(angle, answer["bearing_deg"]))
    if answer["x_m"] is not None and answer["y_m"] is not None:
        position_m = reasoning.position_m
        away_m = math.inf if position_m is None else math.dist(position_m, (answer["x_m"], answer["y_m"]))
        agreed.append(agreement(away_m, 0.0, math.sqrt(2) * TOLD_M))
    return min(agreed, default=0.0)
