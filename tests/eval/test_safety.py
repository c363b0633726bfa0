"""Which way an answer is wrong: tiny examples by hand, and what must hold for all."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval import safety, trajectory
from eval.localization import distance_ok


def verdict(judged):
    """True, False, or None where the case does not apply."""
    return [
        bool(hit) if counts else None
        for hit, counts in zip(judged.happened.ravel(), judged.applies.ravel(), strict=True)
    ]


def test_far_is_dangerous_and_near_is_cautious():
    truth_m = np.array([10.0, 10.0, 10.0, 10.0, 10.0, 0.2, 0.2])
    answer_m = np.array([12.6, 12.5, 7.5, 7.4, math.nan, 0.31, 0.05])
    assert verdict(safety.dangerous_far(truth_m, answer_m)) == [True, False, False, False, None, True, False]
    assert verdict(safety.over_cautious(truth_m, answer_m)) == [False, False, False, True, None, False, True]


@settings(deadline=None)
@given(st.floats(0, 200), st.floats(0, 400))
def test_an_answer_is_right_or_far_or_near(truth_m, answer_m):
    truth, answer = np.array([truth_m]), np.array([answer_m])
    outcomes = [safety.dangerous_far(truth, answer).happened, safety.over_cautious(truth, answer).happened]
    assert sum(int(one[0]) for one in [*outcomes, distance_ok(truth, answer)]) == 1


def test_slow_closing_and_missed_approach():
    truth_m = np.array([[30.0, 25.0, 20.0, 19.8]])  # closing at 5, 5 and 0.2 m/s; the last is not closing
    answer_m = np.array([[30.0, 26.1, 27.0, 20.0]])  # 3.9 is too slow, then it recedes
    assert verdict(safety.dangerous_slow_closing(truth_m, answer_m)) == [True, True, None]
    assert verdict(safety.missed_approach(truth_m, answer_m)) == [False, True, None]
    exact_m = np.array([[30.0, 26.0, 22.0, math.nan]])
    assert verdict(safety.dangerous_slow_closing(truth_m, exact_m)) == [False, False, None]


def test_a_missing_horizon_is_not_a_slow_closing():
    truth_m = np.array([[30.0, 20.0, 10.0, 5.0]])
    answer_m = np.array([[30.0, math.nan, 10.0, 5.0]])
    assert verdict(safety.dangerous_slow_closing(truth_m, answer_m)) == [None, None, False]


def test_left_and_right_are_flipped():
    truth_deg = np.array([30.0, 30.0, -30.0, 5.0, 175.0, 150.0, 30.0, 330.0])
    answer_deg = np.array([-30.0, 20.0, 2.0, -5.0, -175.0, -150.0, math.nan, 30.0])
    assert verdict(safety.left_right_flip(truth_deg, answer_deg)) == [True, False, True, None, None, True, None, True]


def test_the_corridor():
    xy_m = np.array([[10.0, 0.0], [10.0, 1.8], [10.0, 1.81], [60.0, -1.0], [60.1, 0.0], [0.0, 0.0], [-5.0, 0.0]])
    assert safety.in_corridor(xy_m).tolist() == [True, True, False, True, False, False, False]
    answers = np.array([[20.0, 0.0], [10.0, 3.0], [10.0, 0.0], [np.nan, 0.0], [70.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    assert verdict(safety.corridor_swap(xy_m, answers)) == [False, True, True, None, False, False, True]


def test_range_bins():
    distance_m = np.array([0.0, 9.99, 10.0, 39.0, 79.9, 80.0, 500.0, math.nan])
    assert safety.range_bin(distance_m).tolist() == ["0_10", "0_10", "10_20", "20_40", "40_80", "80_up", "80_up", ""]


def test_polar_becomes_ego_axes():
    xy_m = trajectory.positions_m(np.array([10.0, 10.0, 10.0]), np.array([0.0, 90.0, -90.0]))
    assert xy_m == pytest.approx(np.array([[10.0, 0.0], [0.0, 10.0], [0.0, -10.0]]), abs=1e-12)


def test_displacement_by_hand():
    truth = np.array([[[10.0, 0.0], [10.0, 0.0], [10.0, 0.0]]] * 3)
    answer = truth + np.array(
        [[[1.0, 0.0]] * 3, [[0.0, 0.0], [0.0, 0.0], [3.0, 4.0]], [[0.0, 0.0], [np.nan, 0.0], [0.0, 0.0]]]
    )
    errors_m = trajectory.displacement_m(truth, answer)
    assert trajectory.average_displacement_m(errors_m)[:2] == pytest.approx([1.0, 5 / 3])
    assert np.isnan(trajectory.average_displacement_m(errors_m)[2])
    assert trajectory.final_displacement_m(errors_m) == pytest.approx([1.0, 5.0, 0.0])
    assert trajectory.missed(errors_m).tolist() == [False, True, True]
