"""Contradictions in one run, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from drive_vqa.geometry import clock_hour
from eval.consistency import consistency_samples
from eval.consistency.single_run import clock_hours
from tests.eval.consistency.answered import journey, question, run

STRAIGHT = [(30.0, 0.0), (28.0, 0.0), (26.0, 0.0), (24.0, 0.0)]
NAMES = {
    "consistency.implausible_speed_rate",
    "consistency.implausible_acceleration_rate",
    "consistency.joint_single.distance",
    "consistency.joint_single.bearing",
    "consistency.clock_degrees",
}


def told(rows):
    return {
        name: (sample.values.tolist(), sample.rows.tolist()) for name, sample in consistency_samples(run(rows)).items()
    }


def rate(rows, name):
    values, _ = told(rows)[f"consistency.implausible_{name}_rate"]
    return values


def test_without_a_case_all_metrics_are_there_and_empty():
    found = told([question("side", "choice", {"choice": "left"}, family="ego")])
    assert set(found) == NAMES
    assert all(values == [] for values, _ in found.values())


def test_all_are_shares():
    assert {sample.statistic for sample in consistency_samples(run(journey(STRAIGHT, [5.0] * 4))).values()} == {"share"}


def test_motion_that_is_possible_is_plausible():
    rows = journey(STRAIGHT, [5.0] * 4)
    assert rate(rows, "speed") == [0.0, 0.0, 0.0]
    assert rate(rows, "acceleration") == [0.0, 0.0]


def test_the_limit_is_that_of_the_class():
    """25 m in a second beside an ego that drives 5: at least 20 m/s."""
    places = [(40.0, 0.0), (15.0, 0.0), (15.0, 0.0), (15.0, 0.0)]
    for category, speed in {
        "pedestrian": 1.0,
        "bicycle": 1.0,
        "animal": 0.0,
        "truck": 0.0,
        "car": 0.0,
        None: 0.0,
    }.items():
        assert rate(journey(places, [5.0] * 4, category), "speed") == [speed, 0.0, 0.0], category
    assert rate(journey(places, [5.0] * 4, "car"), "acceleration") == [0.0, 0.0]
    assert rate(journey([(10.0, 0.0), (60.0, 0.0), (10.0, 0.0), (10.0, 0.0)], [5.0] * 4), "acceleration") == [1.0, 1.0]


def test_the_speed_that_the_ego_answered_counts():
    places = [(80.0, 0.0), (20.0, 0.0), (20.0, 0.0), (20.0, 0.0)]
    assert rate(journey(places, [5.0] * 4), "speed") == [1.0, 0.0, 0.0]
    assert rate(journey(places, [30.0, 5.0, 5.0, 5.0]), "speed") == [0.0, 0.0, 0.0]


def test_nothing_is_said_where_the_egos_speed_or_a_place_was_not_read():
    rows = journey(STRAIGHT, [5.0, 5.0, None, 5.0])
    assert rate(rows, "speed") == [0.0]
    assert rate(rows, "acceleration") == []
    assert rate(journey(STRAIGHT, []), "speed") == []
    rows = journey(STRAIGHT, [5.0] * 4)
    rows[0]["answer"] = None
    assert rate(rows, "speed") == [0.0, 0.0]
    assert rate(rows, "acceleration") == [0.0]


def test_each_target_has_the_ego_of_its_own_group():
    far = [(80.0, 0.0), (20.0, 0.0), (20.0, 0.0), (20.0, 0.0)]
    rows = journey(far, [5.0] * 4, group="g") + journey(far, [30.0] * 4, group="h")
    values, at = told(rows)["consistency.implausible_speed_rate"]
    assert values == [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    assert at == [3, 3, 3, 11, 11, 11]


def test_a_place_agrees_with_its_distance_and_bearing_asked_alone():
    def pair(kind, answer_type, answer, **fields):
        return question(kind, answer_type, answer, **fields)

    rows = [
        pair("localization_t1", "localization", {"distance_m": 20.0, "bearing_deg": 170.0}),
        pair("distance_t1", "distance", {"distance_m": 25.0}),
        pair("bearing_t1", "bearing", {"bearing_deg": -179.0}),
        pair("localization_t2", "localization", {"distance_m": 20.0, "bearing_deg": 0.0}),
        pair("distance_t2", "distance", {"distance_m": 25.1}),
        pair("bearing_t2", "bearing", None),
        pair("localization_t1", "localization", {"distance_m": 1.0, "bearing_deg": 0.0}, mark=2),
        pair("distance_t1", "distance", {"distance_m": 1.0}, mark=2, group_id="h"),
        pair("distance_t1", "distance", {"distance_m": 9.0}, mark=2, form="choice"),
    ]
    found = told(rows)
    assert found["consistency.joint_single.distance"] == ([1.0, 0.0], [0, 3])
    assert found["consistency.joint_single.bearing"] == ([0.0], [0])
    rows[2]["answer"] = {"bearing_deg": 180.0}
    assert told(rows)["consistency.joint_single.bearing"] == ([1.0], [0])


def test_the_clock_agrees_with_the_degrees_of_the_same_mark():
    def ask(kind, answer, **fields):
        return question(kind, {"clock": "clock", "bearing": "bearing"}[kind], answer, family="ego", **fields)

    rows = [
        ask("clock", {"clock_hour": 11}),
        ask("bearing", {"bearing_deg": 16.0}),
        ask("clock", {"clock_hour": 12}, mark=2),
        ask("bearing", {"bearing_deg": 16.0}, mark=2),
        ask("clock", {"clock_hour": 3}, mark=3),
        ask("bearing", None, mark=3),
        ask("clock", {"clock_hour": 3}, mark=4),
    ]
    assert told(rows)["consistency.clock_degrees"] == ([1.0, 0.0], [0, 2])


def test_a_question_that_stands_there_twice_is_compared_once():
    rows = [
        question("localization_t0", "localization", {"distance_m": 20.0, "bearing_deg": 0.0}),
        question("distance_t0", "distance", {"distance_m": 20.0}),
        question("distance_t0", "distance", {"distance_m": 90.0}),
    ]
    assert told(rows)["consistency.joint_single.distance"] == ([1.0], [0])


def test_hours_are_those_of_the_geometry():
    bearings = np.arange(-720, 720.5, 0.5)
    assert clock_hours(bearings).tolist() == [clock_hour(bearing) for bearing in bearings]
    assert np.isnan(clock_hours(np.array([np.nan]))).all()


@pytest.mark.parametrize("distance_m", [0.0, 1e12])
def test_absurd_distances_are_judged_too(distance_m):
    rows = journey([(distance_m, 0.0), (5.0, 0.0), (5.0, 180.0), (5.0, -179.0)], [0.0] * 4)
    assert rate(rows, "speed")[0] == float(distance_m > 5)
