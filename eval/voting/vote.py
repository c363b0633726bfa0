"""Typed answers of several samples, each with a weight → one.

| answer type | how it is voted |
|---|---|
| choice, bool, clock, count, ranking, regions, undetermined | the value with the greatest weight; of equal ones the first |
| distance, speed, time, longitudinal, lateral | weighted median [ours] |
| bearing, turn | weighted median on the circle |
| localization, position | as one: weighted geometric median of the places on the ground |
| motion | distance and turn each by its median: together they are no place |
| box, interval, interval_box | the sample with the greatest weighted sum of IoU with all |

Counts and hours are voted as names and not as numbers, since they are judged by equality: the middle of two would be nobody's. A
place is voted as one, since a median of distances beside one of bearings may be a mixture of two guesses.

Samples that could not be read have no vote; where none could be read, the most frequent reason is the outcome. The weights of
confidence-aware voting are those of the code of Open-o3 Video (arXiv 2510.20579): 1.0, 0.6, 0.2 for a confidence of 2, 1, and
0 or none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from eval.answers import Parsed, ParseFailure
from eval.parse import ANSWER_TYPES
from eval.scoring import BOX, EXACT, INTERVAL, box_iou, interval_iou
from eval.voting.medians import circular_median, geometric_median, weighted_median

CONFIDENCE_WEIGHTS = {2: 1.0, 1: 0.6, 0: 0.2, None: 0.2}
"""What a sample counts, by how well its evidence supports it."""

DECIMALS = 3
"""Voted numbers are rounded to a thousandth, as truths are stored."""

MEDIAN_FIELDS = {
    "distance": "distance_m",
    "speed": "speed_mps",
    "time": "time_s",
    "longitudinal": "x_m",
    "lateral": "y_m",
}
ANGLE_FIELDS = {"bearing": "bearing_deg", "turn": "yaw_deg"}

Weights = Float[np.ndarray, " n"]
Outcome = Parsed | ParseFailure


def vote(answers: Sequence[Outcome], weights: Sequence[float], answer_type: str) -> Outcome:
    """The voted answer.

    Args:
        answers: one a sample, in order; at least one.
        weights: of each, not negative and finite; where those that were read have none, they count alike.
        answer_type: see `drive_vqa.schema.TRUTH`.

    Raises:
        ValueError: there is no answer, a weight is wrong, or the type is not known.
    """
    if answer_type not in _VOTERS:
        raise ValueError(f"answer type {answer_type!r} is not one of {', '.join(_VOTERS)}")
    if not answers or len(answers) != len(weights) or not all(0 <= weight < math.inf for weight in weights):
        raise ValueError("a vote needs at least one answer and for each a finite weight of at least 0")
    read = [(answer, weight) for answer, weight in zip(answers, weights, strict=True) if isinstance(answer, Parsed)]
    if not read:
        return _failure(answers, weights)
    counts = np.array([weight for _, weight in read], dtype=np.float64)
    return _VOTERS[answer_type]([answer for answer, _ in read], counts if counts.sum() > 0 else np.ones(len(read)))


def _failure(answers: Sequence[Outcome], weights: Sequence[float]) -> ParseFailure:
    """The first failure of the reason with the greatest weight."""
    failures = [answer for answer in answers if isinstance(answer, ParseFailure)]
    first = {failure.reason: failure for failure in reversed(failures)}
    heavy = {
        reason: math.fsum(w for one, w in zip(failures, weights, strict=True) if one.reason == reason)
        for reason in dict.fromkeys(failure.reason for failure in failures)
    }
    return first[max(heavy, key=lambda reason: heavy[reason])]


def _most(field: str) -> Callable[[Sequence[Parsed], Weights], Parsed]:
    """The value with the greatest weight; sums are rounded, so that the order of samples decides between equals alone."""

    def choose(answers: Sequence[Parsed], weights: Weights) -> Parsed:
        values = [getattr(answer, field) for answer in answers]
        heavy = {
            value: round(math.fsum(w for one, w in zip(values, weights.tolist(), strict=True) if one == value), 9)
            for value in dict.fromkeys(values)
        }
        return answers[values.index(max(heavy, key=lambda value: heavy[value]))]

    return choose


def _median(**fields: Callable[[np.ndarray, np.ndarray], float]) -> Callable[[Sequence[Parsed], Weights], Parsed]:
    """Each field by a median of its own."""

    def choose(answers: Sequence[Parsed], weights: Weights) -> Parsed:
        voted: dict[str, Any] = {
            name: _rounded(median(_column(answers, name), weights)) for name, median in fields.items()
        }
        return Parsed(**voted)

    return choose


def _localization(answers: Sequence[Parsed], weights: Weights) -> Parsed:
    distance_m, bearing_rad = _column(answers, "distance_m"), np.radians(_column(answers, "bearing_deg"))
    x_m, y_m = geometric_median(
        distance_m[:, None] * np.stack([np.cos(bearing_rad), np.sin(bearing_rad)], axis=1), weights
    ).tolist()
    alike = math.hypot(x_m, y_m) < 10**-DECIMALS  # at the origin only the samples know a bearing
    bearing_deg = circular_median(np.degrees(bearing_rad), weights) if alike else math.degrees(math.atan2(y_m, x_m))
    return Parsed(distance_m=_rounded(math.hypot(x_m, y_m)), bearing_deg=_angle(bearing_deg))


def _position(answers: Sequence[Parsed], weights: Weights) -> Parsed:
    places_m = np.stack([_column(answers, "x_m"), _column(answers, "y_m")], axis=1)
    x_m, y_m = geometric_median(places_m, weights).tolist()
    return Parsed(x_m=_rounded(x_m), y_m=_rounded(y_m))


def _overlapping(*fields: tuple[str, ...]) -> Callable[[Sequence[Parsed], Weights], Parsed]:
    """The sample that overlaps most with all."""

    def choose(answers: Sequence[Parsed], weights: Weights) -> Parsed:
        agreement = np.zeros(len(answers))
        for names in fields:
            extents = np.stack([_column(answers, name) for name in names], axis=1)
            iou = interval_iou if names == INTERVAL else box_iou
            for own in range(len(answers)):
                agreement[own] += iou(np.repeat(extents[own : own + 1], len(answers), axis=0), extents) @ weights
        return answers[int(np.argmax(np.round(agreement, 9)))]

    return choose


def _column(answers: Sequence[Parsed], name: str) -> Float[np.ndarray, " n"]:
    return np.array([getattr(answer, name) for answer in answers], dtype=np.float64)


def _rounded(value: float) -> float:
    return round(value, DECIMALS) + 0.0


def _angle(value_deg: float) -> float:
    """Rounded, and still in (-180, 180]."""
    rounded = _rounded(value_deg)
    return 180.0 if rounded <= -180.0 else rounded


def _angle_median(angles_deg: np.ndarray, weights: np.ndarray) -> float:
    return _angle(circular_median(angles_deg, weights))


_VOTERS: dict[str, Callable[[Sequence[Parsed], Weights], Parsed]] = {
    **{kind: _most(field) for kind, field in EXACT.items()},
    **{kind: _median(**{field: weighted_median}) for kind, field in MEDIAN_FIELDS.items()},
    **{kind: _median(**{field: _angle_median}) for kind, field in ANGLE_FIELDS.items()},
    "localization": _localization,
    "position": _position,
    "motion": _median(distance_m=weighted_median, yaw_deg=_angle_median),
    "interval": _overlapping(INTERVAL),
    "box": _overlapping(BOX),
    "interval_box": _overlapping(INTERVAL, BOX),
}
assert set(_VOTERS) == set(ANSWER_TYPES)
