"""Baselines in a world where constant velocity is the truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from eval.baselines import answer_from_state, approach, baseline_answers
from eval.cases import answer_columns, find_targets, read_cases, read_training
from eval.present import present_state
from eval.scoring import judge
from eval.usual import CLASS_MEDIAN, MAJORITY, TEXT_ONLY, Usual, median_bearing_deg, usual_answers


@pytest.fixture(scope="module")
def cases(world):
    return read_cases(world, ["test"])


@pytest.fixture(scope="module")
def answers(world, cases):
    return baseline_answers(world, cases, read_training(world))


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
        "approach_t1",
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
    assert found.loc[row(cases, "a-0-approach_t1-1"), "choice"] == "keeping its distance"


def test_the_present_is_not_given_away_outside_the_future_family(cases, answers):
    for name in ("constant_velocity", "constant_position"):
        assert not answers[name]["answered"][cases["family"] != "future"].any()


def test_an_unknown_velocity_stands_still():
    cases = pd.DataFrame(
        {"family": ["future"], "form": ["open"], "horizon_s": [2.0], "type": ["localization_t2"], "options": [()]}
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


TRAINING = [  # type, form, answer type, category, truth
    *[("distance", "open", "distance", category, {"distance_m": value}) for category, value in
      (("car", 10.0), ("car", 20.0), ("car", 90.0), ("bus", 30.0), ("bus", 50.0))],
    *[("distance", "choice", "choice", "car", {"choice": text}) for text in ("5 meters", "7 meters", "7 meters")],
    *[("left_right", "choice", "choice", category, {"choice": text}) for category, text in
      (("car", "left"), ("car", "right"), ("car", "left"), ("bus", "right"))],
    *[("between", "yes_no", "bool", "car", {"bool": value}) for value in (True, False, False)],
    *[("heading", "open", "turn", "car", {"yaw_deg": value}) for value in (170.0, 178.0, -178.0)],
    *[("clock", "open", "clock", "car", {"clock_hour": hour}) for hour in (12, 11, 11, 12)],
    *[("count_class", "open", "count", "car", {"count": count}) for count in (1, 2, 2, 3)],
    *[("order_from", "open", "ranking", "car", {"marks": marks}) for marks in ([2, 0], [2, 0], [0, 2])],
    *[("where_starts", "open", "box", "car", {"u0_px": 1.0, "v0_px": 2.0, "u1_px": float(u1), "v1_px": 9.0})
      for u1 in (5, 6, 9)],
    ("absent_mark", "open", "undetermined", "car", {"undetermined": True}),
]  # fmt: skip


def table(rows):
    """Training or cases from rows as above; options stand in place of the truth where they are a tuple."""
    truths = [row[4] if isinstance(row[4], dict) else {} for row in rows]
    nothing = dict.fromkeys(answer_columns([]).columns)
    frame = pd.DataFrame([row[:4] for row in rows], columns=["type", "form", "answer_type", "slice_category"])
    frame["options"] = [row[4] if isinstance(row[4], tuple) else () for row in rows]
    return pd.concat([frame, answer_columns([nothing | truth for truth in truths]).add_prefix("truth_")], axis=1)


def usual(*row):
    found = usual_answers(table([row]), Usual(table(TRAINING)), CLASS_MEDIAN).iloc[0].to_dict()
    return {name: value for name, value in found.items() if not pd.api.types.is_scalar(value) or pd.notna(value)}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (("distance", "open", "distance", "car", ()), {"distance_m": 20.0}),
        (("distance", "open", "distance", "bus", ()), {"distance_m": 40.0}),
        (("distance", "open", "distance", "animal", ()), {"distance_m": 30.0}),
        (("distance", "open", "distance", None, ()), {"distance_m": 30.0}),
        (("distance", "choice", "choice", "car", ("5 meters", "7 meters")), {"choice": "7 meters"}),
        (("distance", "choice", "choice", "car", ("9 meters", "5 meters")), {"choice": "5 meters"}),
        (("distance", "choice", "choice", "car", ("9 meters", "8 meters")), {"choice": "9 meters"}),
        (("left_right", "choice", "choice", "car", ("right", "left")), {"choice": "left"}),
        (("left_right", "choice", "choice", "bus", ("left", "right")), {"choice": "right"}),
        (("between", "yes_no", "bool", "car", ()), {"bool": False}),
        (("heading", "open", "turn", "car", ()), {"yaw_deg": pytest.approx(178.0)}),
        (("clock", "open", "clock", "car", ()), {"clock_hour": 11.0}),
        (("count_class", "open", "count", "bus", ()), {"count": 2.0}),
        (("order_from", "open", "ranking", "car", ()), {"marks": (2, 0)}),
        (("where_starts", "open", "box", "car", ()), {"u0_px": 1.0, "v0_px": 2.0, "u1_px": 6.0, "v1_px": 9.0}),
    ],
)
def test_the_usual_answer_by_hand(row, expected):
    assert usual(*row) == {**expected, "answered": True}


def test_the_wording_alone_tells_the_parameter_and_not_the_class():
    training = table(TRAINING).assign(parameter=["10 m" if number % 2 else "20 m" for number in range(len(TRAINING))])
    asked = table([("distance", "open", "distance", "bus", ())] * 3).assign(parameter=["10 m", "20 m", None])
    told = {alike: usual_answers(asked, Usual(training), by)["distance_m"].tolist()
            for alike, by in (("text", TEXT_ONLY), ("majority", MAJORITY))}  # fmt: skip
    assert told == {"text": [25.0, 50.0, 30.0], "majority": [30.0, 30.0, 30.0]}


@pytest.mark.parametrize(
    "row",
    [
        ("absent_mark", "open", "undetermined", "car", ()),
        ("distance", "yes_no", "bool", "car", ()),
        ("speed", "open", "speed", "car", ()),
    ],
)
def test_what_has_no_usual_answer(row):
    assert usual(*row) == {"answered": False}


def test_no_training_split_gives_no_usual_answer(cases):
    found = usual_answers(cases, Usual(table([])), CLASS_MEDIAN)
    assert not found["answered"].any()
    assert len(found) == len(cases)


def test_an_approach_takes_the_nearest_of_what_is_shown():
    three = ("closing", "receding", "keeping its distance")
    change_m = np.array([-3.0, -0.5, -0.4, 0.0, 0.4, 0.5, 3.0])
    words = [
        *("closing", "closing", "keeping its distance", "keeping its distance", "keeping its distance"),
        *("receding", "receding"),
    ]
    options = np.empty(7, dtype=object)
    for index in range(7):
        options[index] = three
    assert approach(change_m, options).tolist() == words
    shown = np.empty(4, dtype=object)
    for index, given in enumerate((three[:2], three[1:], ("keeping its distance", "closing"), ("yes", "no"))):
        shown[index] = given
    found = approach(np.array([-0.2, -3.0, 3.0, 3.0]), shown)
    assert found.tolist() == ["closing", "keeping its distance", "keeping its distance", None]


FUTURE = {
    "localization_t2": {"distance_m": 10.0, "bearing_deg": 0.0},
    "distance_t2": {"distance_m": 10.0},
    "bearing_t2": {"bearing_deg": 0.0},
    "position_then_t2": {"x_m": 10.0, "y_m": 0.0},
    "target_speed_t2": {"speed_mps": 0.0},
    "ego_speed_t2": {"speed_mps": 5.0},
    "relative_speed_t2": {},
    "ego_displacement_t2": {},
    "closest_distance": {},
    "position_now_t2": {},
}


def test_what_the_present_tells_about_each_type():
    """A standing target 20 m ahead, the ego at 5 m/s, 2 s later."""
    count = len(FUTURE)
    cases = pd.DataFrame({"type": list(FUTURE), "family": "future", "form": "open", "horizon_s": 2.0})
    cases["options"] = [()] * count
    values = {"x_m": 20.0, "y_m": 0.0, "vx_mps": 0.0, "vy_mps": 0.0, "speed_mps": 0.0, "ego_speed_mps": 5.0}
    state = pd.DataFrame([values] * count)
    found = answer_from_state(cases, state, moves=True)
    given = [{name: row[name] for name in row.index if pd.notna(row[name])} for _, row in found.iterrows()]
    assert given == [{**expected, "answered": bool(expected)} for expected in FUTURE.values()]
    assert not answer_from_state(cases.assign(form="yes_no"), state, moves=True)["answered"].any()
    assert not answer_from_state(cases.assign(family="ego"), state, moves=True)["answered"].any()


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
