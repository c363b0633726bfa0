"""Pairs of ground-plane boxes, many at once: whether they share area, and how far apart they are.

Rows are `(x_m, y_m, length_m, width_m, yaw_rad)`, as in `drive_vqa.boxes`, which does the same for one pair. Each pair is seen
from both boxes: in the frame of a box, its own sides are the axes, so the separating axes of the pair are the axes of the two
frames, and the distance of a corner of the other box is that of a point from an upright rectangle. Places and directions are
complex numbers, x + iy.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Complex, Float


class _Seen(NamedTuple):
    """A box in the frame of another one."""

    half_length_m: Float[np.ndarray, "n"]
    """Of the box from which it is seen, as is the next."""
    half_width_m: Float[np.ndarray, "n"]
    centre: Complex[np.ndarray, "n"]
    front: Complex[np.ndarray, "n"]
    """From its centre to the middle of its front."""
    side: Complex[np.ndarray, "n"]
    """From its centre to the middle of its left side."""

    def shares_area(self) -> Bool[np.ndarray, "n"]:
        """Whether neither axis of the box from which it is seen separates the two."""
        reach_x_m = self.half_length_m + np.abs(self.front.real) + np.abs(self.side.real)
        reach_y_m = self.half_width_m + np.abs(self.front.imag) + np.abs(self.side.imag)
        return np.asarray((np.abs(self.centre.real) < reach_x_m) & (np.abs(self.centre.imag) < reach_y_m))

    def corner_distance2_m2(self) -> Float[np.ndarray, "n"]:
        """Least squared distance of its corners from the box from which it is seen."""
        left, right = self.front + self.side, self.front - self.side
        corners = self.centre + np.stack([left, right, -left, -right])
        outside_x_m = np.maximum(np.abs(corners.real) - self.half_length_m, 0.0)
        outside_y_m = np.maximum(np.abs(corners.imag) - self.half_width_m, 0.0)
        return np.asarray((outside_x_m * outside_x_m + outside_y_m * outside_y_m).min(axis=0))


def overlap(first: Float[np.ndarray, "n 5"], second: Float[np.ndarray, "#n 5"]) -> Bool[np.ndarray, "n"]:
    """Whether each pair shares area, by the separating axis theorem; false where a value is NaN.

    Args:
        first: boxes.
        second: the box that each is paired with, or one for all.
    """
    one, other = _seen(first, second)
    return np.asarray(one.shares_area() & other.shares_area())


def gap_m(first: Float[np.ndarray, "n 5"], second: Float[np.ndarray, "#n 5"]) -> Float[np.ndarray, "n"]:
    """Distance from surface to surface of each pair; 0 where they share area, NaN where a value is NaN.

    Args:
        first: boxes.
        second: the box that each is paired with, or one for all.
    """
    one, other = _seen(first, second)
    apart_m = np.sqrt(np.minimum(one.corner_distance2_m2(), other.corner_distance2_m2()))
    return np.where(one.shares_area() & other.shares_area(), 0.0, apart_m)


def _seen(first: Float[np.ndarray, "n 5"], second: Float[np.ndarray, "m 5"]) -> tuple[_Seen, _Seen]:
    """Each second box from the first, and the other way round."""
    x_m, y_m, length_m, width_m, yaw_rad = first.T
    other_x_m, other_y_m, other_length_m, other_width_m, other_yaw_rad = second.T
    offset = (other_x_m - x_m) + 1j * (other_y_m - y_m)
    heading, other_heading = np.exp(-1j * yaw_rad), np.exp(-1j * other_yaw_rad)
    turn = heading * other_heading.conj()
    half_m, other_half_m = (0.5 * length_m, 0.5 * width_m), (0.5 * other_length_m, 0.5 * other_width_m)
    forth = _Seen(*half_m, offset * heading, turn * other_half_m[0], 1j * turn * other_half_m[1])
    back = _Seen(*other_half_m, -offset * other_heading, turn.conj() * half_m[0], 1j * turn.conj() * half_m[1])
    return forth, back
