"""Boxes from sweeps over known boxes: the truth is exact, and the sweep is cast by the test."""

import numpy as np
import pytest

from drive_vqa.errors import ConfigError
from sensors.detection.accuracy import BoxSet, centre_error, join, match_frame
from sensors.detection.box_fit import fit_angle
from sensors.detection.clusters import cluster_scales
from sensors.detection.ground import fit_ground
from sensors.detection.lidar import LidarConfig, detect_lidar
from tests.sensors.swept_boxes import SENSOR_M, sweep

CAR = (0.15, 4.5, 1.85, 1.45)  # bottom, length, width, height: a sweep sees a little below it


def car(x: float, y: float, yaw_deg: float = 0.0) -> tuple[float, ...]:
    bottom, length, width, height = CAR
    return (x, y, bottom, length, width, height, np.radians(yaw_deg))


def person(x: float, y: float) -> tuple[float, ...]:
    return (x, y, 0.0, 0.6, 0.55, 1.72, 0.3)


def nearest(found, x, y):
    distance = np.hypot(found.centre_m[:, 0] - x, found.centre_m[:, 1] - y)
    place = int(np.argmin(distance))
    return place, float(distance[place])


def test_ground_follows_a_slope_below_things_and_goes_on_where_it_is_not_seen():
    rng = np.random.default_rng(0)
    xy = rng.uniform(-40, 40, (30000, 2))
    true_m = 0.12 * xy[:, 0] - 0.05 * xy[:, 1] - 1.7
    z = true_m + rng.normal(0, 0.02, len(xy))
    on_wall = (np.abs(xy[:, 0] - 15) < 1.5) & (np.abs(xy[:, 1]) < 8)
    z[on_wall] += 2.0
    seen = ~((np.abs(xy[:, 0] + 20) < 5) & (np.abs(xy[:, 1]) < 5))
    z[:20] -= 4.0  # reflections below the ground
    ground = fit_ground(np.column_stack([xy, z])[seen], np.zeros(2))
    assert np.abs(ground.at(xy) - true_m).max() < 0.1


def test_ground_of_nothing_is_flat():
    assert fit_ground(np.zeros((0, 3)), np.zeros(2)).at(np.array([[3.0, 4.0]])).tolist() == [0.0]


@pytest.mark.parametrize("yaw_deg", [0, 20, 45, 70, 89])
def test_angle_of_two_seen_sides(yaw_deg):
    long, short = np.linspace(0, 4.4, 60), np.linspace(0, 1.8, 25)
    corner = np.concatenate([np.stack([long, 0 * long], 1), np.stack([0 * short, short], 1)])
    turn = np.radians(yaw_deg)
    xy = corner @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    shifted = xy + 15.0 * np.array([np.cos(turn + 0.6), np.sin(turn + 0.6)])  # both sides face the sensor
    error = (np.degrees(fit_angle(shifted)) - yaw_deg + 45) % 90 - 45
    assert abs(error) <= 1.0


def test_scales_are_nested_and_tell_neighbours_apart():
    two = np.concatenate([np.random.default_rng(0).uniform([10, y], [10.4, y + 0.4], (50, 2)) for y in (0.0, 1.1)])
    coarse, fine = cluster_scales(two, (0.9, 0.3))
    assert len(set(coarse.tolist())) == 1
    assert len(set(fine.tolist())) == 2
    assert set(fine[:50].tolist()).isdisjoint(fine[50:].tolist())


@pytest.mark.parametrize("yaw_deg", [0.0, 30.0, 90.0, 135.0])
@pytest.mark.parametrize(("x", "y"), [(-12.0, 8.0), (21.0, -1.0)])
def test_a_car_is_found_where_it_is_though_its_far_sides_are_not_seen(x, y, yaw_deg):
    found = detect_lidar(sweep([car(x, y, yaw_deg)]), SENSOR_M)
    place, distance_m = nearest(found, x, y)
    assert found.category[place] == "car"
    assert found.score[place] > 0.3
    assert distance_m < 0.35
    assert abs(np.degrees(found.yaw_rad[place]) - yaw_deg + 90) % 180 - 90 == pytest.approx(0, abs=4)
    assert found.centre_m[place, 2] == pytest.approx(0.8, abs=0.15)
    assert len(found) == 1


def test_no_bias_towards_the_sensor():
    spots = [(r * np.cos(a), r * np.sin(a), yaw) for r, a, yaw in [
        (12, 0.1, 5), (18, 0.9, 40), (25, -0.7, 80), (15, 2.2, 120), (21, -2.4, 160), (16, 3.1, 0), (13, 1.6, 90)
    ]]  # fmt: skip
    found = detect_lidar(sweep([car(*spot) for spot in spots], noise_m=0.02), SENSOR_M)
    rows = np.column_stack([found.centre_m, found.size_lwh_m, found.yaw_rad])
    labels = np.array([[x, y, 0.8, 4.5, 1.85, 1.6, np.radians(yaw)] for x, y, yaw in spots])
    everything = np.ones(len(found), dtype=bool)
    matches = match_frame(BoxSet(rows, found.score, everything), BoxSet(labels, np.zeros(7), np.ones(7, dtype=bool)))
    recall, precision, _ = matches.at(0.3)
    error = centre_error(*matches.pairs(0.3))
    assert (recall, precision) == (1.0, 1.0)
    assert abs(error.away_m) < 0.1
    assert error.median_m < 0.15


def test_people_are_people():
    spots = [(8.0, 3.0), (12.0, -6.0), (-9.0, 4.0)]
    found = detect_lidar(sweep([person(*spot) for spot in spots]), SENSOR_M)
    assert found.category == ("pedestrian",) * 3
    assert all(nearest(found, *spot)[1] < 0.2 for spot in spots)


def test_structure_is_no_road_user():
    wall = (15.0, 12.0, 0.0, 40.0, 0.3, 6.0, 0.0)
    pole = (9.0, -4.0, 0.0, 0.15, 0.15, 6.0, 0.0)
    low_wall = (-9.0, -12.0, 0.0, 14.0, 0.3, 1.2, 0.2)
    kerb = (0.0, 5.0, 0.0, 60.0, 0.5, 0.15, 0.0)
    found = detect_lidar(sweep([wall, pole, low_wall, kerb]), SENSOR_M)
    assert (found.score < 0.3).all()


def test_a_car_beside_a_wall_is_told_from_it():
    wall = (15.0, 9.0, 0.0, 60.0, 0.3, 4.0, 0.0)
    found = detect_lidar(sweep([wall, car(14.0, 7.2)]), SENSOR_M)
    place, distance_m = nearest(found, 14.0, 7.2)
    assert found.category[place] == "car"
    assert distance_m < 0.4


def test_a_half_hidden_car_grows_behind_what_hides_it():
    hider, hidden = car(9.0, 4.5, 90.0), car(19.0, 4.3, 90.0)
    found = detect_lidar(sweep([hider, hidden]), SENSOR_M)
    assert [nearest(found, *box[:2])[1] < 0.5 for box in (hider, hidden)] == [True, True]


def test_on_a_slope_boxes_stand_on_the_ground():
    found = detect_lidar(sweep([car(15.0, 4.0), car(-13.0, -3.0, 20.0)], slope=0.08), SENSOR_M)
    for x, y in ((15.0, 4.0), (-13.0, -3.0)):
        place, distance_m = nearest(found, x, y)
        assert distance_m < 0.4
        assert found.centre_m[place, 2] == pytest.approx(0.08 * x + 0.8, abs=0.2)


def test_the_frame_may_lie_anywhere():
    points = sweep([car(14.0, 5.0, 30.0), person(8.0, -3.0)])
    turn, shift = np.radians(67.0), np.array([130.0, -40.0, 12.0])
    rotation = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1.0]])
    here = detect_lidar(points, SENSOR_M)
    there = detect_lidar(points @ rotation.T + shift, rotation @ SENSOR_M + shift)
    assert there.category == here.category
    np.testing.assert_allclose(there.centre_m, here.centre_m @ rotation.T + shift, atol=0.12)


def test_order_of_points_and_points_that_are_not_numbers_change_nothing():
    points = sweep([car(14.0, 5.0, 30.0), person(8.0, -3.0)])
    mixed = np.random.default_rng(3).permutation(np.concatenate([points, [[np.nan, 0, 0], [np.inf, 1, 1]]]))
    first, second = detect_lidar(points, SENSOR_M), detect_lidar(mixed, SENSOR_M)
    np.testing.assert_array_equal(first.centre_m, second.centre_m)
    np.testing.assert_array_equal(first.score, second.score)


def test_the_ego_itself_is_not_found():
    roof = np.random.default_rng(0).uniform([-1.0, -0.8, 0.4], [2.8, 0.8, 1.5], (500, 3))
    assert len(detect_lidar(np.concatenate([sweep([]), roof]), SENSOR_M)) == 0


@pytest.mark.parametrize("points", [np.zeros((0, 3)), np.zeros((50, 3)), np.full((40, 3), np.nan), np.ones((3, 3))])
def test_nothing_to_see(points):
    assert len(detect_lidar(points, SENSOR_M)) == 0


@pytest.mark.parametrize(
    "wrong", [{"max_range_m": 0.0}, {"min_points": 2}, {"min_score": 1.5}, {"reaches_m": (0.3, 0.9)}, {"reaches_m": ()}]
)
def test_settings_are_checked(wrong):
    with pytest.raises(ConfigError):
        LidarConfig(**wrong)


def test_matching_leaves_out_what_is_not_asked_for():
    row = [10.0, 0, 0, 4, 2, 1.5, 0]
    labels = np.array([row, [20.0, 0, 0, 4, 2, 1.5, 0]])
    found = np.array([[10.5, 0, 0, 4, 2, 1.5, np.pi], [20.1, 0, 0, 4, 2, 1.5, 0], [40.0, 0, 0, 4, 2, 1.5, 0]])
    matches = match_frame(
        BoxSet(found, np.array([0.9, 0.8, 0.7]), np.ones(3, dtype=bool)),
        BoxSet(labels, np.zeros(2), np.array([True, False])),
    )
    both = join([matches, matches])
    assert both.at(0.0) == (1.0, 0.5, 4)
    error = centre_error(*both.pairs(0.0))
    assert (error.pairs, error.away_m, error.yaw_deg) == (2, pytest.approx(0.5), pytest.approx(0.0, abs=1e-9))
