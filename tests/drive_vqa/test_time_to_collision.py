"""Time to collision against hand-made cases, against steps of 0.1 s one by one, and against shapely."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import affinity, box

from drive_vqa.time_to_collision import time_to_collision_s, ttc_bins

EGO_BOX = np.array([1.4, 0.0, 4.6, 1.9, 0.0])


def ttc_s(ego_mps, target, velocity):
    times_s = time_to_collision_s(
        EGO_BOX, np.array([float(ego_mps)]), np.array([target], dtype=float), *np.array(velocity, dtype=float)[:, None]
    )
    assert times_s.shape == (1,)
    return float(times_s[0])


@pytest.mark.parametrize(
    ("ego_mps", "target", "velocity", "expected_s"),
    [
        (10.0, (23.7, 0.0, 4.0, 2.0, 0.0), (0.0, 0.0), 1.9),  # gap 18 m: reached after 1.8 s, overlapping at 1.9 s
        (10.0, (23.7, 0.0, 4.0, 2.0, 0.0), (10.0, 0.0), math.inf),  # same speed
        (0.0, (41.7, 0.0, 4.0, 2.0, math.pi), (-8.0, 0.0), 4.6),  # oncoming, gap 36 m
        (10.0, (23.7, 2.1, 4.0, 2.0, 0.0), (0.0, 0.0), math.inf),  # next lane
        (0.0, (2.0, 8.0, 0.6, 0.6, 0.0), (0.0, -1.5), 4.6),  # walks into the side, gap 6.75 m
        (0.0, (2.0, 0.5, 2.0, 1.0, 0.3), (0.0, 0.0), 0.0),  # touches already
        (1.0, (23.7, 0.0, 4.0, 2.0, 0.0), (0.0, 0.0), math.inf),  # in 18 s: beyond the horizon
        (1.0, (15.65, 0.0, 4.0, 2.0, 0.0), (0.0, 0.0), 10.0),  # gap 9.95 m: at the horizon
        (1.0, (15.75, 0.0, 4.0, 2.0, 0.0), (0.0, 0.0), math.inf),  # gap 10.05 m: just beyond it
        (0.0, (10.0, 20.0, 0.6, 0.6, 0.0), (-70.0, -220.0), math.inf),  # flies past between two steps
        (math.nan, (23.7, 0.0, 4.0, 2.0, 0.0), (0.0, 0.0), math.nan),
        (10.0, (23.7, 0.0, 4.0, math.nan, 0.0), (0.0, 0.0), math.nan),
        (10.0, (23.7, 0.0, 4.0, 2.0, 0.0), (math.nan, 0.0), math.nan),
    ],
)
def test_cases(ego_mps, target, velocity, expected_s):
    assert ttc_s(ego_mps, target, velocity) == pytest.approx(expected_s, abs=0, nan_ok=True)


def _by_steps(ego_box, ego_mps, target, velocity):
    """Corner by corner on each side's normal, step by step."""
    for step in range(101):
        moved = [(ego_box, ego_mps * step / 10, 0.0), (target, velocity[0] * step / 10, velocity[1] * step / 10)]
        corners = []
        for (x_m, y_m, length_m, width_m, yaw_rad), dx_m, dy_m in moved:
            turn = complex(math.cos(yaw_rad), math.sin(yaw_rad))
            corners.append(
                [
                    complex(x_m + dx_m, y_m + dy_m) + turn * complex(sx * length_m / 2, sy * width_m / 2)
                    for sx, sy in ((1, 1), (1, -1), (-1, -1), (-1, 1))
                ]
            )
        sides = [points[k] - points[k - 1] for points in corners for k in (0, 1)]
        apart = False
        for side in sides:
            along = [[(point * side.conjugate()).imag / abs(side) for point in points] for points in corners]
            apart |= max(along[0]) <= min(along[1]) + 1e-9 or max(along[1]) <= min(along[0]) + 1e-9
        if not apart:
            return step / 10
    return math.inf


def test_many_equal_steps_one_by_one():
    random = np.random.default_rng(4)
    count = 300
    ego_mps = random.uniform(0, 15, count)
    places = random.uniform((-10, -8, 0.5, 0.5, -4), (30, 8, 9, 3, 4), (count, 5))
    velocity = random.uniform((-10, -3), (10, 3), (count, 2)).T
    velocity[:, ::7] = 0.0
    found_s = time_to_collision_s(EGO_BOX, ego_mps, places, *velocity)
    expected_s = [_by_steps(EGO_BOX, ego_mps[k], places[k], velocity[:, k]) for k in range(count)]
    assert found_s.tolist() == expected_s
    assert 40 < np.isfinite(found_s).sum() < 260
    assert 5 < (found_s == 0).sum() < 100


def test_each_with_its_own_ego_box():
    boxes = np.array([EGO_BOX, [0.0, 0.0, 10.0, 2.5, 0.0]])
    targets = np.array([[23.7, 0.0, 4.0, 2.0, 0.0]] * 2)
    found_s = time_to_collision_s(boxes, np.full(2, 10.0), targets, np.zeros(2), np.zeros(2))
    assert found_s.tolist() == [1.9, 1.7]  # gaps of 18.0 and 16.7 m
    none = time_to_collision_s(EGO_BOX, np.zeros(0), np.zeros((0, 5)), np.zeros(0), np.zeros(0))
    assert none.shape == (0,)


@settings(deadline=None, max_examples=60)
@given(
    st.floats(0, 20),
    st.floats(-30, 50),
    st.floats(-20, 20),
    st.floats(-3.1, 3.1),
    st.floats(-15, 15),
    st.floats(-15, 15),
)
def test_equals_shapely(ego_mps, x_m, y_m, yaw_rad, vx_mps, vy_mps):
    ego = box(-0.9, -0.95, 3.7, 0.95)
    target = affinity.translate(affinity.rotate(box(-2.2, -0.9, 2.2, 0.9), yaw_rad, (0, 0), use_radians=True), x_m, y_m)
    found_s = ttc_s(ego_mps, (x_m, y_m, 4.4, 1.8, yaw_rad), (vx_mps, vy_mps))

    def overlap_m2(time_s):
        moved = affinity.translate(target, vx_mps * time_s, vy_mps * time_s)
        return float(affinity.translate(ego, ego_mps * time_s, 0).intersection(moved).area)

    before = range(101) if found_s == math.inf else range(round(10 * found_s))
    assert all(overlap_m2(step / 10) < 1e-6 for step in before)
    if found_s != math.inf:
        moved = affinity.translate(target, vx_mps * found_s, vy_mps * found_s)
        assert affinity.translate(ego, ego_mps * found_s, 0).distance(moved) < 1e-6


def test_bins():
    times_s = np.array([0.0, 0.9, 1.0, 1.4, 1.5, 2.9, 3.0, 5.9, 6.0, 6.1, 10.0, math.inf, math.nan])
    expected = ["<0.95"] * 2 + ["0.95-1.5"] * 2 + ["1.5-3"] * 2 + ["3-6"] * 3 + [">6"] * 2 + ["none", None]
    assert ttc_bins(times_s).tolist() == expected
