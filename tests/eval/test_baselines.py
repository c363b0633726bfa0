"""Baselines in a world where constant velocity is the truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from eval.baselines import answer_from_state, answer_from_training, baseline_answers, median_bearing_deg, present_state
from eval.cases import find_targets, read_cases
from eval.scoring import judge


@pytest.fixture(scope="module")
def cases(world):
    return read_cases(world, ["test"])


@pytest.fixture(scope="module")
def answers(world, cases):
    return baseline_answers(world, cases, read_cases(world, ["train"]))


def row(cases, qa_id):
    return int(cases.index[cases["qa_id"] == qa_id][0])


def test_the_present_is_that_of_the_first_mark(world, cases):
    state = present_state(world, cases)
    crossing = state.loc[row(cases, "b-1-localization_t2-2")]
    # at frame 1 the pedestrian is at (25 - 5, -8 + 1.5)
    assert crossing.tolist() == pytest.approx([20.0, -6.5, 0.0, 1.5, 1.5, 5.0])
    ego = state.loc[row(cases, "b-1-ego_speed_t2-None")]
    assert np.isnan(ego["x_m"])
    assert ego["ego_speed_mps"] == 5.0


def test_constant_velocity_is_right_about_everything_it_answers(cases, answers):
    found = answers["constant_velocity"]
    success = judge(cases, found)["success"]
    assert success[found["answered"]].all()
    assert set(cases["type"][found["answered"]]) == {
        *(f"localization_t{time_s}" for time_s in range(4)),
        *(f"ego_speed_t{time_s}" for time_s in range(4)),
        "closing_or_receding",
    }


def test_constant_velocity_by_hand(cases, answers):
    # the oncoming truck, frame 0: (45, 6) moves (-4 - 5, 0) relative to the ego; after 3 s it is at (18, 6)
    found = answers["constant_velocity"].loc[row(cases, "a-0-localization_t3-1")]
    assert found["distance_m"] == pytest.approx(np.hypot(18, 6))
    assert found["bearing_deg"] == pytest.approx(np.degrees(np.arctan2(6, 18)))


def test_constant_position_repeats_the_present(cases, answers):
    found = answers["constant_position"]
    targets = find_targets(cases)
    distance_m = targets.values(found["distance_m"], np.nan)
    truth_m = targets.values(cases["truth_distance_m"], np.nan)
    assert distance_m == pytest.approx(np.repeat(truth_m[:, :1], 4, axis=1))
    assert found.loc[row(cases, "a-0-closing_or_receding-0"), "choice"] == "keeping its distance"


def test_the_present_is_not_given_away_outside_the_future_family(cases, answers):
    for name in ("constant_velocity", "constant_position"):
        assert not answers[name]["answered"][cases["family"] != "future"].any()


def test_an_unknown_velocity_stands_still():
    cases = pd.DataFrame(
        {"family": ["future"], "mark_count": [1], "horizon_s": [2.0], "answer_type": ["localization"], "options": [()]}
    )
    state = pd.DataFrame(
        {
            "x_m": [20.0],
            "y_m": [0.0],
            "vx_mps": [np.nan],
            "vy_mps": [np.nan],
            "speed_mps": [np.nan],
            "ego_speed_mps": [5.0],
        }
    )
    found = answer_from_state(cases, state, moves=True)
    assert found["distance_m"].tolist() == [10.0]


def test_class_median_by_hand():
    training = pd.DataFrame(
        {
            "type": ["distance"] * 5 + ["left_right"] * 3,
            "slice_category": ["car", "car", "car", "bus", "bus", "car", "car", "bus"],
            "truth_distance_m": [10.0, 20.0, 90.0, 30.0, 50.0, *[np.nan] * 3],
            "truth_choice": [*[None] * 5, "left", "right", "right"],
            **{f"truth_{name}": [np.nan] * 8 for name in ("bearing_deg", "speed_mps", "clock_hour", "count")},
            "truth_bool": [None] * 8,
        }
    )
    cases = pd.DataFrame(
        {
            "type": ["distance", "distance", "distance", "left_right", "left_right", "clock"],
            "slice_category": ["car", "bus", "animal", "car", "bus", "car"],
        }
    )
    found = answer_from_training(cases, training)
    assert found["distance_m"].tolist()[:3] == [20.0, 40.0, 30.0]
    assert found["choice"].tolist()[3:5] == ["left", "right"]
    assert found["answered"].tolist() == [True] * 5 + [False]


def test_no_training_split_gives_no_class_median(cases):
    found = answer_from_training(cases, cases.iloc[:0])
    assert not found["answered"].any()


def test_directions_have_a_median_across_the_back():
    assert median_bearing_deg(np.array([170.0, 178.0, -178.0])) == pytest.approx(178.0)
    assert median_bearing_deg(np.array([-10.0, 0.0, 20.0])) == pytest.approx(0.0)


def test_missing_horizons_are_marked(cases):
    without = cases[cases["qa_id"] != "a-0-localization_t2-1"].reset_index(drop=True)
    targets = find_targets(without)
    assert len(targets) == 36
    assert (targets.rows < 0).sum() == 1
    hole = np.argwhere(targets.rows < 0)[0]
    assert hole[1] == 2
    anchor = without.loc[targets.anchors[hole[0]]]
    assert (anchor["group_id"], anchor["mark"]) == ("a-0", 1)
