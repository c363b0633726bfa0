"""Answers with a margin: what is too near the edge between two answers is -1, not asked.

Comparisons with NaN are false, so what is not known is -1 as well.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int


def first_that_holds(*conditions: Bool[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
    """Index of the first condition that holds; -1 where none does."""
    index = np.full(conditions[0].shape, -1)
    for number in range(len(conditions) - 1, -1, -1):
        index[conditions[number]] = number
    return index


def yes_no(yes: Bool[np.ndarray, "n"], no: Bool[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
    """1 where `yes` holds, 0 where only `no` does, else -1."""
    return np.where(yes, 1, no - 1)


def side(value: Float[np.ndarray, "n"], margin: float) -> Int[np.ndarray, "n"]:
    """0 where a value is `margin` or more, 1 where it is `-margin` or less, else -1."""
    return first_that_holds(value >= margin, value <= -margin)


def greater(first: Float[np.ndarray, "n"], second: Float[np.ndarray, "n"], ratio: float) -> Int[np.ndarray, "n"]:
    """0 where the first is at least `ratio` times the second, 1 where it is the other way round, else -1.

    Both are 0 or more; two zeros are alike.
    """
    return first_that_holds((first >= ratio * second) & (first > second), (second >= ratio * first) & (second > first))


def clock_hours(bearing_deg: Float[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
    """The nearest hour of each bearing, as `drive_vqa.geometry.clock_hour`; -1 for NaN."""
    hour = np.floor(bearing_deg / -30.0 + 0.5) % 12.0
    hour[hour == 0.0] = 12.0
    hour[np.isnan(hour)] = -1.0
    return np.asarray(hour.astype(np.int64))
