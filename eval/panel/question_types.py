"""Metrics of each question type: accuracy, and how far off what it asks for is answered.

    signed error     answer - truth; positive: too much was answered
    relative error   (answer - truth) / truth, over truths of at least 0.5 m or 0.5 m/s
    angle error      wrap(answer - truth), degrees

Errors are medians over the answers that were read. Positions have the distance between answer and truth.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from drive_vqa.geometry import hours_apart, wrap_deg
from eval.panel.answered import Answered, share_at, share_of
from eval.panel.parts import parts_of
from eval.statistics import Sample

DIRECTIONS = ("bearing_deg", "yaw_deg")
OFFSETS = ("x_m", "y_m")
RELATIVE_FROM = 0.5
"""Relative errors leave out truths below this (metres, metres a second): a share of nearly nothing says nothing."""

RELATIVE = {"distance_m": "distance", "speed_mps": "speed"}


def question_types(answered: Answered) -> Iterator[tuple[str, Sample]]:
    """The metrics of every type, in order of their names."""
    for kind, rows in parts_of(answered.cases["type"]):
        name = f"type.{kind}"
        yield f"{name}.accuracy", share_at(answered.success, rows)
        yield f"{name}.accuracy_parsed_only", share_at(answered.success, rows[answered.read[rows]])
        yield from _relative_errors(answered, name, rows)
        yield from _angle_errors(answered, name, rows)
        yield from _offset_errors(answered, name, rows)
        truth, answer = _both(answered, "clock_hour", rows)
        asked = np.isfinite(truth)
        if asked.any():
            yield f"{name}.accuracy_within_one_hour", share_of(hours_apart(truth, answer)[asked] <= 1, rows[asked])


def _relative_errors(answered: Answered, name: str, rows: np.ndarray) -> Iterator[tuple[str, Sample]]:
    for field, noun in RELATIVE.items():
        truth, answer = _both(answered, field, rows)
        counts = np.isfinite(answer) & (truth >= RELATIVE_FROM)
        if np.isfinite(truth).any():
            error = (answer[counts] - truth[counts]) / truth[counts]
            yield f"{name}.median_abs_relative_error_{noun}", Sample(np.abs(error), rows[counts], "median")
            yield f"{name}.median_signed_relative_error_{noun}", Sample(error, rows[counts], "median")


def _angle_errors(answered: Answered, name: str, rows: np.ndarray) -> Iterator[tuple[str, Sample]]:
    for field in DIRECTIONS:
        truth, answer = _both(answered, field, rows)
        if np.isfinite(truth).any():
            counts = np.isfinite(answer) & np.isfinite(truth)
            error = np.asarray(wrap_deg(answer[counts] - truth[counts]))
            yield f"{name}.median_abs_error_deg", Sample(np.abs(error), rows[counts], "median")
            yield f"{name}.median_signed_error_deg", Sample(error, rows[counts], "median")


def _offset_errors(answered: Answered, name: str, rows: np.ndarray) -> Iterator[tuple[str, Sample]]:
    """Of positions the distance between answer and truth; of one offset, and of a time, the signed error too."""
    both = {field: _both(answered, field, rows) for field in (*OFFSETS, "time_s")}
    errors = {field: answer - truth for field, (truth, answer) in both.items()}
    asked = [field for field, (truth, _) in both.items() if np.isfinite(truth).any()]
    if set(OFFSETS) <= set(asked):
        error_m = np.hypot(errors["x_m"], errors["y_m"])
        counts = np.isfinite(error_m)
        yield f"{name}.median_abs_error_m", Sample(error_m[counts], rows[counts], "median")
        return
    for field in asked:
        unit, counts = field.rpartition("_")[2], np.isfinite(errors[field])
        error = errors[field][counts]
        yield f"{name}.median_abs_error_{unit}", Sample(np.abs(error), rows[counts], "median")
        yield f"{name}.median_signed_error_{unit}", Sample(error, rows[counts], "median")


def _both(answered: Answered, field: str, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return answered.truth(field)[rows], answered.answer(field)[rows]
