"""Clusters of radar returns against returns of known targets."""

import numpy as np
import pytest

from drive_vqa.errors import ConfigError
from sensors.detection.radar import RadarConfig, detect_radar


def returns(*targets):
    """Targets as (x, y, vx, vy, dyn_prop): the radar sees the radial part of the velocity."""
    xy = np.array([target[:2] for target in targets], dtype=float)
    ray = xy / np.linalg.norm(xy, axis=1, keepdims=True)
    velocity = np.array([target[2:4] for target in targets], dtype=float)
    radial = ray * (ray * velocity).sum(axis=1, keepdims=True)
    return xy, radial, np.array([target[4] for target in targets]), np.full(len(targets), 5.0)


def test_returns_of_one_car_are_one_measurement():
    found = detect_radar(*returns((20, 2, -8, 0, 2), (20.6, 2.4, -8, 0, 2), (21, 1.5, -8, 0, 2)))
    assert len(found) == 1
    assert found.returns.tolist() == [3]
    assert found.range_m[0] == pytest.approx(20.4, abs=0.4)
    assert found.azimuth_rad[0] == pytest.approx(np.arctan2(1.97, 20.5), abs=0.01)
    assert found.range_rate_mps[0] == pytest.approx(-8 * np.cos(0.096), abs=0.05)
    assert found.moving.tolist() == [True]


def test_what_moves_is_apart_from_what_stands_beside_it():
    found = detect_radar(*returns((20, 2, 6, 0, 0), (20.3, 2.9, 0, 0, 1), (20.2, 3.4, 0, 0, 1)))
    assert sorted(zip(found.moving.tolist(), found.returns.tolist(), strict=True)) == [(False, 2), (True, 1)]


def test_neighbours_of_unlike_speed_are_two():
    assert len(detect_radar(*returns((20, 2, 6, 0, 0), (20.5, 2.8, 12, 0, 0)))) == 2


def test_left_is_positive_and_behind_is_behind():
    found = detect_radar(*returns((0, 10, 0, 3, 0), (-5, 0, 3, 0, 0)))
    assert found.azimuth_rad.tolist() == pytest.approx([np.pi, np.pi / 2])
    assert found.range_rate_mps.tolist() == pytest.approx([-3, 3])


def test_order_of_returns_changes_nothing():
    xy, velocity, prop, rcs = returns((20, 2, -8, 0, 2), (20.6, 2.4, -8, 0, 2), (9, -4, 0, 0, 1), (30, 0, 5, 0, 0))
    first = detect_radar(xy, velocity, prop, rcs)
    second = detect_radar(xy[::-1], velocity[::-1], prop[::-1], rcs[::-1])
    np.testing.assert_allclose(first.range_m, second.range_m)
    np.testing.assert_allclose(first.azimuth_rad, second.azimuth_rad)


def test_no_returns_and_returns_that_are_not_numbers():
    assert len(detect_radar(np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0, dtype=int), np.zeros(0))) == 0
    assert len(detect_radar(np.full((2, 2), np.nan), np.zeros((2, 2)), np.zeros(2, dtype=int), np.zeros(2))) == 0


def test_settings_are_checked():
    with pytest.raises(ConfigError):
        RadarConfig(reach_m=0.0)
