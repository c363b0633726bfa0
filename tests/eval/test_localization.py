"""Success in place and speed against numbers worked out by hand and against the formulas written another way."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.localization import bearing_ok, consistent, distance_ok, lsr, mlsr, speed_ok, tlc


def one(function, *values):
    return bool(function(*(np.array([value]) for value in values))[0])


@pytest.mark.parametrize(
    ("truth_m", "answer_m", "expected"),
    [
        (10.0, 12.5, True),
        (10.0, 12.51, False),
        (10.0, 7.5, True),
        (10.0, 7.49, False),
        (10.0, 12.6, False),
        (0.7, 0.875, True),  # 0.875 - 0.7 is above 0.175 in binary
        (0.4, 0.5, True),
        (0.4, 0.51, False),
        (0.2, 0.3, True),
        (0.2, 0.31, False),
        (0.0, 0.1, True),
        (0.0, 0.11, False),
        (10.0, math.nan, False),
    ],
)
def test_distance(truth_m, answer_m, expected):
    assert one(distance_ok, truth_m, answer_m) is expected


@pytest.mark.parametrize(
    ("truth_deg", "answer_deg", "expected"),
    [
        (30.0, 40.0, True),
        (30.0, 40.1, False),
        (30.0, 19.9, False),
        (175.0, -175.0, True),
        (175.0, -174.9, False),
        (-180.0, 180.0, True),
        (0.0, 360.0, True),
        (0.0, math.nan, False),
    ],
)
def test_bearing_wraps(truth_deg, answer_deg, expected):
    assert one(bearing_ok, truth_deg, answer_deg) is expected


@pytest.mark.parametrize(
    ("truth_mps", "answer_mps", "expected"),
    [
        (10.0, 12.0, True),
        (10.0, 12.1, False),
        (10.0, 8.0, True),
        (10.0, 7.9, False),
        (0.0, 0.1, True),
        (0.0, 0.11, False),
        (0.49, 0.59, True),
        (0.49, 0.6, False),
        (0.5, 0.6, True),
        (0.5, 0.61, False),
        (3.0, math.nan, False),
    ],
)
def test_speed(truth_mps, answer_mps, expected):
    assert one(speed_ok, truth_mps, answer_mps) is expected


SUCCESS = np.array(
    [
        [True, True, True, True],
        [True, True, False, True],
        [True, False, True, True],
        [False, False, False, False],
    ]
)


def test_consistency_in_time_by_hand():
    assert lsr(SUCCESS).tolist() == [0.75, 0.5, 0.5, 0.75]
    assert mlsr(SUCCESS) == 10 / 16
    assert tlc(SUCCESS) == tlc(SUCCESS, 3) == 0.25
    assert [tlc(SUCCESS, k) for k in range(4)] == [0.75, 0.5, 0.25, 0.25]
    assert consistent(SUCCESS, 1).tolist() == [True, True, False, False]


def test_no_targets_have_no_value():
    empty = np.zeros((0, 4), dtype=bool)
    assert math.isnan(mlsr(empty))
    assert math.isnan(tlc(empty))
    assert np.isnan(lsr(empty)).all()


@settings(deadline=None)
@given(
    truth_m=st.floats(0.4, 200),
    answer_m=st.floats(0, 300),
    truth_deg=st.floats(-180, 180),
    answer_deg=st.floats(-180, 180),
)
def test_the_formula_of_the_paper(truth_m, answer_m, truth_deg, answer_deg):
    """Relative error up to 0.25 and angle between directions up to 10°, here by the scalar product."""
    share = abs(answer_m - truth_m) / truth_m
    cosine = math.cos(math.radians(truth_deg)) * math.cos(math.radians(answer_deg))
    cosine += math.sin(math.radians(truth_deg)) * math.sin(math.radians(answer_deg))
    angle_deg = math.degrees(math.acos(max(-1.0, min(1.0, cosine))))
    if abs(share - 0.25) > 1e-6 and abs(angle_deg - 10) > 1e-4:
        assert one(distance_ok, truth_m, answer_m) == (share <= 0.25)
        assert one(bearing_ok, truth_deg, answer_deg) == (angle_deg <= 10)


@settings(deadline=None)
@given(st.lists(st.tuples(*[st.booleans()] * 4), min_size=1, max_size=20))
def test_consistency_only_falls_with_time_and_never_exceeds_success(rows):
    success = np.array(rows)
    by_k = [tlc(success, k) for k in range(4)]
    assert by_k == sorted(by_k, reverse=True)
    assert by_k[0] == lsr(success)[0]
    assert tlc(success) <= min(lsr(success)) <= mlsr(success)
