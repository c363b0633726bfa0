"""Marks by their distance: the nearest, the farthest, the order, how many within a radius; -1 or false where it is not clear.

All take distances `(n, marks)` and which marks are meant; one that is meant and whose distance is NaN makes the answer unclear.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

from qa_gen.question_type import Truth

ORDER_RATIO = 1.1
"""The next must be this many times as far."""
RADIUS_SHARE = 0.05
"""So near to the radius, as a share of it, it is not clear whether a mark lies within."""


def nearest(
    distance_m: Float[np.ndarray, "n m"], meant: Bool[np.ndarray, "n m"], numbers: Int[np.ndarray, "n m"]
) -> Int[np.ndarray, "n"]:
    """Number of the nearest of two or more marks; -1 where the second is not clearly farther."""
    if distance_m.shape[1] < 2:
        return np.full(len(distance_m), -1)
    of_meant_m = np.where(meant, distance_m, np.inf)
    least_m, second_m = np.sort(of_meant_m, axis=1)[:, :2].T
    clear = np.isfinite(second_m) & (second_m >= ORDER_RATIO * least_m) & (second_m > least_m)
    clear &= ~np.isnan(of_meant_m).any(axis=1)
    return _chosen(numbers, of_meant_m.argmin(axis=1), clear)


def farthest(
    distance_m: Float[np.ndarray, "n m"], meant: Bool[np.ndarray, "n m"], numbers: Int[np.ndarray, "n m"]
) -> Int[np.ndarray, "n"]:
    """Number of the farthest of two or more marks; -1 where it is not clearly farther than the second."""
    if distance_m.shape[1] < 2:
        return np.full(len(distance_m), -1)
    of_meant_m = np.where(meant, distance_m, -np.inf)
    second_m, greatest_m = np.sort(of_meant_m, axis=1)[:, -2:].T
    clear = np.isfinite(second_m) & (greatest_m >= ORDER_RATIO * second_m) & (greatest_m > second_m)
    return _chosen(numbers, of_meant_m.argmax(axis=1), clear)


def in_order(
    distance_m: Float[np.ndarray, "n m"],
    meant: Bool[np.ndarray, "n m"],
    numbers: Int[np.ndarray, "n m"],
    most: int,
    step_m: float = 0.0,
) -> Truth:
    """Two to `most` marks, nearest first; asked where each next one is clearly, and at least `step_m`, farther."""
    of_meant_m = np.where(meant, distance_m, np.inf)
    order = of_meant_m.argsort(axis=1, kind="stable")
    row = np.arange(len(order))[:, None]
    sorted_m = of_meant_m[row, order]
    before_m, next_m = sorted_m[:, :-1], sorted_m[:, 1:]
    count = meant.sum(axis=1)
    clear = ((next_m >= ORDER_RATIO * before_m) & (next_m >= before_m + step_m)).all(axis=1)
    marks = np.where(np.isfinite(sorted_m), numbers[row, order], -1)
    return {"marks": marks, "asked": clear & (count >= 2) & (count <= most)}


def within(
    distance_m: Float[np.ndarray, "n m"], meant: Bool[np.ndarray, "n m"], radius_m: Float[np.ndarray, "n"]
) -> tuple[Bool[np.ndarray, "n m"], Bool[np.ndarray, "n"]]:
    """Which of the marks that are meant lie within the radius, and whether that is clear for all of them."""
    clear = np.abs(distance_m - radius_m[:, None]) > RADIUS_SHARE * radius_m[:, None]
    return meant & (distance_m <= radius_m[:, None]), (clear | ~meant).all(axis=1)


def _chosen(numbers: np.ndarray, place: np.ndarray, clear: np.ndarray) -> np.ndarray:
    return np.where(clear, numbers[np.arange(len(numbers)), place], -1)
