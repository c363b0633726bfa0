"""Time to collision against hand-made cases and against shapely."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import affinity, box

from qa_gen.conflict import time_to_collision_s, ttc_bin

EGO_BOX = np.array([1.4, 0.0, 4.6, 1.9, 0.0])


@pytest.mark.parametrize(
    ("ego_mps", "target", "velocity", "expected_s"),
    [
        (10.0, (23.7, 0.0, 4.0, 2.0, 0.0), (0.0, 0.0), 1.9),  # gap 18 m: reached after 1.8 s, overlapping at 1.9 s
        (10.0, (23.7, 0.0, 4.0, 2.0, 0.0), (10.0, 0.0), None),  # same speed
        (0.0, (41.7, 0.0, 4.0, 2.0, math.pi), (-8.0, 0.0), 4.6),  # oncoming, gap 36 m
        (10.0, (23.7, 2.1, 4.0, 2.0, 0.0), (0.0, 0.0), None),  # next lane
        (0.0, (2.0, 8.0, 0.6, 0.6, 0.0), (0.0, -1.5), 4.6),  # walks into the side, gap 6.75 m
        (0.0, (2.0, 0.5, 2.0, 1.0, 0.3), (0.0, 0.0), 0.0),  # touches already
        (1.0, (23.7, 0.0, 4.0, 2.0, 0.0), (0.0, 0.0), None),  # in 18 s: beyond the horizon
    ],
)
def test_cases(
    ego_mps: float, target: tuple[float, ...], velocity: tuple[float, float], expected_s: float | None
) -> None:
    assert time_to_collision_s(EGO_BOX, ego_mps, np.array(target), *velocity) == expected_s


@settings(deadline=None, max_examples=60)
@given(
    st.floats(0, 20),
    st.floats(-30, 50),
    st.floats(-20, 20),
    st.floats(-3.1, 3.1),
    st.floats(-15, 15),
    st.floats(-15, 15),
)
def test_equals_shapely(ego_mps: float, x_m: float, y_m: float, yaw_rad: float, vx_mps: float, vy_mps: float) -> None:
    ego = box(-0.9, -0.95, 3.7, 0.95)
    target = affinity.translate(affinity.rotate(box(-2.2, -0.9, 2.2, 0.9), yaw_rad, (0, 0), use_radians=True), x_m, y_m)
    found_s = time_to_collision_s(EGO_BOX, ego_mps, np.array([x_m, y_m, 4.4, 1.8, yaw_rad]), vx_mps, vy_mps)

    def overlap_m2(time_s: float) -> float:
        moved = affinity.translate(target, vx_mps * time_s, vy_mps * time_s)
        return float(affinity.translate(ego, ego_mps * time_s, 0).intersection(moved).area)

    before = range(101) if found_s is None else range(round(10 * found_s))
    assert all(overlap_m2(step / 10) < 1e-6 for step in before)
    if found_s is not None:
        moved = affinity.translate(target, vx_mps * found_s, vy_mps * found_s)
        assert affinity.translate(ego, ego_mps * found_s, 0).distance(moved) < 1e-6


def test_bins() -> None:
    times_s = (0.0, 0.9, 1.0, 1.4, 1.5, 2.9, 3.0, 5.9, 6.0, 6.1, 10.0, None)
    names = [ttc_bin(time_s) for time_s in times_s]
    expected = ["<0.95"] * 2 + ["0.95-1.5"] * 2 + ["1.5-3"] * 2 + ["3-6"] * 3 + [">6"] * 2 + ["none"]
    assert names == expected
