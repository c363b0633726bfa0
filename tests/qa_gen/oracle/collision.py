"""When two boxes that keep their velocities first share area, in closed form."""

from __future__ import annotations

import cmath
import math

from tests.qa_gen.oracle.case import EDGE, OnTheEdge

STEP_S, HORIZON_S = 0.1, 10.0
EGO_CENTRE, EGO_HALF = complex(1.4, 0.0), (2.3, 0.95)


def collision_s(place: complex, heading_rad: float, length_m: float, width_m: float, velocity: complex) -> float | None:
    """First multiple of 0.1 s up to 10 s at which the boxes of ego and target share area.

    The boxes overlap while their shadows overlap on all four directions of their sides; on each, that is an interval of time.

    Args:
        place: centre of the target, ego frame, forward + left·j.
        heading_rad: of the target, ego frame.
        length_m: of the target.
        width_m: of the target.
        velocity: of the target relative to the ego.
    """
    begin, end = 0.0, math.inf
    turn = cmath.rect(1.0, heading_rad)
    sides = (1 + 0j, 1j, turn, turn * 1j)
    for side in sides:
        reach = _reach(EGO_HALF, 1 + 0j, side) + _reach((length_m / 2, width_m / 2), turn, side)
        offset, speed = _along(place - EGO_CENTRE, side), _along(velocity, side)
        if abs(speed) < 1e-12:
            if abs(abs(offset) - reach) < EDGE:
                raise OnTheEdge
            if abs(offset) > reach:
                return None
            continue
        low, high = sorted(((-reach - offset) / speed, (reach - offset) / speed))
        begin, end = max(begin, low), min(end, high)
    return _first_step(begin, end)


def _first_step(begin_s: float, end_s: float) -> float | None:
    """First multiple of the step strictly inside an interval of time."""
    for step in range(round(HORIZON_S / STEP_S) + 1):
        at_s = step * STEP_S
        if abs(at_s - end_s) < EDGE or (abs(at_s - begin_s) < EDGE and begin_s > 0):
            if begin_s <= end_s + EDGE:
                raise OnTheEdge
            return None
        if begin_s <= at_s < end_s:
            return round(at_s, 6)
    return None


def _along(vector: complex, side: complex) -> float:
    return vector.real * side.real + vector.imag * side.imag


def _reach(half: tuple[float, float], front: complex, side: complex) -> float:
    return abs(_along(front, side)) * half[0] + abs(_along(front * 1j, side)) * half[1]
