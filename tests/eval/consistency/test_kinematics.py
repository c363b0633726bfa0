"""What answered places imply of speed and acceleration, by hand and on motion that is possible."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drive_vqa.categories import CATEGORIES
from eval.consistency.kinematics import (
    EGO_ACCELERATION_MPS2,
    LIGHT,
    LIMITS,
    MAX_YAW_RATE_RADPS,
    implied_acceleration_mps2,
    implied_speed_mps,
    limits_of,
    turn_limit_rad,
)


def xy(*places):
    """Distance and bearing in degrees."""
    return np.array([[(far * math.cos(math.radians(deg)), far * math.sin(math.radians(deg))) for far, deg in places]])


def speeds(*values):
    return np.array([values], dtype=np.float64)


def test_an_ego_that_stands_explains_nothing():
    places = xy((10.0, 0.0), (10.0, 90.0), (30.0, 90.0), (30.0, 90.0))
    assert implied_speed_mps(places, speeds(0, 0, 0, 0))[0] == pytest.approx([10 * math.sqrt(2), 20.0, 0.0])
    second = [math.hypot(10 + 0, 30 - 20) - EGO_ACCELERATION_MPS2, 20.0 - EGO_ACCELERATION_MPS2]
    assert implied_acceleration_mps2(places, speeds(0, 0, 0, 0))[0] == pytest.approx(second)


def test_the_egos_way_is_taken_off():
    """Of both ends the faster."""
    places = xy((100.0, 0.0), (60.0, 0.0))
    assert implied_speed_mps(places, speeds(10, 25))[0] == pytest.approx([15.0])
    assert implied_speed_mps(places, speeds(25, 10))[0] == pytest.approx([15.0])
    assert implied_speed_mps(places, speeds(50, 0))[0] == pytest.approx([0.0])


def test_the_egos_turn_is_taken_off():
    """At 2 m/s no more than 2/5 rad; what is left of 60 degrees is on a circle of 20 m."""
    places = xy((20.0, 30.0), (20.0, -30.0))
    left_rad = math.radians(60) - 0.4
    assert implied_speed_mps(places, speeds(2, 2))[0] == pytest.approx([40 * math.sin(left_rad / 2) - 2.0])
    assert implied_speed_mps(xy((20.0, 10.0), (20.0, -10.0)), speeds(2, 2))[0] == pytest.approx([0.0])
    assert implied_speed_mps(xy((20.0, 179.0), (20.0, -179.0)), speeds(0, 0))[0] == pytest.approx(
        [40 * math.sin(math.radians(1))]
    )


def test_how_far_a_car_turns_in_a_second():
    assert turn_limit_rad(np.array([0.0, 1.0, 4.75, 5.0, 10.0, 48.9])) == pytest.approx(
        [0.0, 0.2, MAX_YAW_RATE_RADPS, MAX_YAW_RATE_RADPS, 0.489, 0.1]
    )


def test_there_and_back_needs_an_acceleration_that_no_turn_explains():
    """20, 40 and 20 m at 10 m/s: 40 m of change, whichever way the ego turns."""
    zigzag = implied_acceleration_mps2(xy((20.0, 0.0), (40.0, 0.0), (20.0, 0.0)), speeds(10, 10, 10))
    assert zigzag[0] == pytest.approx([40.0 - EGO_ACCELERATION_MPS2])
    passed_by = implied_acceleration_mps2(xy((40.0, 0.0), (20.0, 0.0), (40.0, 180.0)), speeds(10, 10, 10))
    assert passed_by[0] == pytest.approx([0.0])


@pytest.mark.parametrize("hole", [(0, 0), (1, 0), (2, 1)])
def test_nothing_is_implied_where_something_is_missing(hole):
    places = xy((10.0, 0.0), (10.0, 0.0), (10.0, 0.0))
    places[0][hole] = np.nan
    steps = {0: [True, False], 1: [True, True], 2: [False, True]}[hole[0]]
    assert np.isnan(implied_speed_mps(places, speeds(1, 1, 1)))[0].tolist() == steps
    assert np.isnan(implied_acceleration_mps2(places, speeds(1, 1, 1))).all()
    unknown = implied_speed_mps(xy((10.0, 0.0), (10.0, 0.0), (10.0, 0.0)), speeds(1, np.nan, 1))
    assert np.isnan(unknown).all()


def test_no_targets_imply_nothing():
    none, still = np.zeros((0, 4, 2)), np.zeros((0, 4))
    assert implied_speed_mps(none, still).shape == (0, 3)
    assert implied_acceleration_mps2(none, still).shape == (0, 2)


def test_every_category_has_a_limit():
    limit_mps, limit_mps2 = limits_of(np.array([*CATEGORIES, None, "unheard of", float("nan")], dtype=object))
    assert len(limit_mps) == len(CATEGORIES) + 3
    assert set(LIMITS) <= set(CATEGORIES)
    of = dict(zip(CATEGORIES, zip(limit_mps, limit_mps2, strict=False), strict=False))
    assert of["pedestrian"] == (10.0, 6.0)
    assert of["bus"] == of["trailer"] == (30.0, 8.0)
    assert (limit_mps[-3:] == LIGHT.speed_mps).all()


@given(
    start=st.tuples(st.floats(-40, 40), st.floats(-40, 40)),
    velocity=st.tuples(st.floats(-12, 12), st.floats(-12, 12)),
    braking=st.floats(0, 6),
    speed=st.floats(0, 25),
    rate=st.floats(-1, 1),
    gain=st.floats(-4, 2),
)
def test_possible_motion_is_never_above_what_it_was(start, velocity, braking, speed, rate, gain):
    """An agent that accelerates evenly, seen from an ego that drives an arc and gains or loses speed."""
    time_s = np.linspace(0, 3, 3001)
    ego_mps = np.maximum(speed + gain * time_s, 0.0)
    turn = np.where(ego_mps > 0, turn_limit_rad(np.minimum(ego_mps, 25.0)) * 0.9, 0.0) * rate
    turn = np.minimum(np.abs(turn), 0.9 * 4.0 / np.maximum(ego_mps, 0.1)) * np.sign(rate)
    yaw = np.concatenate([[0.0], np.cumsum(turn[:-1]) * 1e-3])
    ego = np.cumsum(np.stack([np.cos(yaw), np.sin(yaw)], axis=1) * ego_mps[:, None], axis=0) * 1e-3
    away = (
        np.array(start) + time_s[:, None] * np.array(velocity) + 0.5 * time_s[:, None] ** 2 * braking * np.array([0, 1])
    )
    whole = [0, 1000, 2000, 3000]
    apart, yaw = (away - ego)[whole], yaw[whole]
    seen = np.stack(
        [
            np.cos(yaw) * apart[:, 0] + np.sin(yaw) * apart[:, 1],
            np.cos(yaw) * apart[:, 1] - np.sin(yaw) * apart[:, 0],
        ],
        axis=1,
    )[None]
    way_mps = np.hypot(*np.moveaxis(np.diff(away[whole], axis=0), -1, 0))
    told_mps = ego_mps[whole][None]
    assert (implied_speed_mps(seen, told_mps)[0] <= way_mps + 0.1).all()
    assert (implied_acceleration_mps2(seen, told_mps)[0] <= braking + 0.1).all()
