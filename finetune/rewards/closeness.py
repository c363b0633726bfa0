"""How close a typed answer is to the truth, part by part.

    number      1 where the score calls it right, else exp(-½ (e / e0)²) with the error e and the band e0 of the score: 0.61 just
                outside, 0.14 at two bands
    interval    temporal IoU
    box         IoU

What is right is what `eval.scoring` says, whose bands these are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from drive_vqa.geometry import wrap_deg
from eval.localization import BEARING_BAND_DEG, RELATIVE_SPEED, SLOW_BAND_MPS, SLOW_MPS, distance_band_m
from eval.scoring import OFFSET_LEAST_M, OFFSET_SHARE, PARTS, TIME_LEAST_S, TIME_SHARE, box_iou, interval_iou

DISTANCE = "distance_ok"
"""Name of the part in `eval.scoring.PARTS` that is a distance."""

_FAR = 40.0
"""Bands beyond which nothing is left."""


@dataclass(frozen=True)
class Part:
    """A part of an answer.

    Attributes:
        right: by the score.
        closeness: in [0, 1].
    """

    right: bool
    closeness: float


def judge_parts(answer_type: str, truth: Mapping[str, Any], answer: Mapping[str, Any]) -> dict[str, Part]:
    """Each part that answers of a type have, by its name in `eval.scoring.PARTS`; none for exact types.

    Args:
        answer_type: see `drive_vqa.schema.TRUTH`.
        truth: typed.
        answer: typed; a part that it lacks is not right, with closeness 0.
    """
    found = {}
    for name, part in PARTS.items():
        if answer_type in part.types:
            true, told = (np.array([[one[field] for field in part.fields]], np.float64) for one in (truth, answer))
            several = slice(None) if len(part.fields) > 1 else 0
            right = bool(part.ok(true[:, several], told[:, several])[0])
            found[name] = Part(right, _closeness(name, true, told, right=right))
    return found


def _closeness(name: str, true: np.ndarray, told: np.ndarray, *, right: bool) -> float:
    if name in _IOUS:
        return float(np.nan_to_num(_IOUS[name](true, told)[0]))
    if right:
        return 1.0
    bands = float(_BANDS[name](true[0], told[0]))
    return math.exp(-0.5 * min(max(bands, 1.0), _FAR) ** 2) if math.isfinite(bands) else 0.0


def _distance(true: np.ndarray, told: np.ndarray) -> float:
    return float((np.abs(told - true) / distance_band_m(true))[0])


def _bearing(true: np.ndarray, told: np.ndarray) -> float:
    return float(np.abs(wrap_deg(told - true))[0]) / BEARING_BAND_DEG


def _speed(true: np.ndarray, told: np.ndarray) -> float:
    band_mps = SLOW_BAND_MPS if true[0] < SLOW_MPS else RELATIVE_SPEED * true[0]
    return float(np.abs(told - true)[0] / band_mps)


def _offset(true: np.ndarray, told: np.ndarray) -> float:
    """Of one number, or of a position."""
    return float(np.hypot.reduce(told - true) / max(OFFSET_SHARE * np.hypot.reduce(true), OFFSET_LEAST_M))


def _time(true: np.ndarray, told: np.ndarray) -> float:
    return float(np.abs(told - true)[0] / max(TIME_SHARE * abs(true[0]), TIME_LEAST_S))


_BANDS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    DISTANCE: _distance,
    "bearing_ok": _bearing,
    "speed_ok": _speed,
    "turn_ok": _bearing,
    "longitudinal_ok": _offset,
    "lateral_ok": _offset,
    "position_ok": _offset,
    "time_ok": _time,
}
"""Error in bands, from the fields of a part."""

_IOUS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {"interval_ok": interval_iou, "box_ok": box_iou}
