"""Answers of the types beyond distance, bearing and speed: turns, offsets, times, places, refusals."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.parse import Parsed, ParseFailure, parse

TURNS = {
    "-8 degrees": -8.0,
    "1 degree": 1.0,
    "8 degrees to the right": -8.0,
    "8 degrees to the left": 8.0,
    "It turns 30° left": 30.0,
    "It turns right by 30 degrees": -30.0,
    "turned 90 degrees clockwise": -90.0,
    "90 degrees counter-clockwise": 90.0,
    "0 degrees": 0.0,
    "-190 degrees": 170.0,
    "thirty degrees to the right": -30.0,
    "Region 2 is turned -12 degrees from Region 1": -12.0,
    "0.5 rad": 28.6479,
    '{"yaw_deg": -30}': -30.0,
    "a right turn of 30 degrees": -30.0,
    "30 degrees rightwards": -30.0,
}

LATERALS = {
    "2.3 meters": 2.3,
    "-2.3 meters": -2.3,
    "2.3 meters to the left": 2.3,
    "2.3 meters to the right": -2.3,
    "-2.3 meters to the right": -2.3,
    "2.3 m left": 2.3,
    "2.3 m right": -2.3,
    "left 2.3 m": 2.3,
    "To the right by 2.3 meters": -2.3,
    "Region 3 is 2.3 meters to the right of Region 1": -2.3,
    "Region 3 lies to the right of Region 1, by 2.3 meters": -2.3,
    "2.3 m away to the right": -2.3,
    "7.55 feet to the left": 2.3012,
    "2.3 m (7.5 ft) to the left": 2.3,
    "230 cm to the right": -2.3,
    "0 meters": 0.0,
    '{"y_m": -2.3}': -2.3,
    "two meters to my right": -2.0,
    "−2.3 m": -2.3,
}

LONGITUDINALS = {
    "12.4 meters": 12.4,
    "-12.4 meters": -12.4,
    "12.4 meters ahead": 12.4,
    "12.4 meters behind": -12.4,
    "12.4 m farther ahead": 12.4,
    "12.4 m further ahead": 12.4,
    "12.4 meters behind Region 2": -12.4,
    "12.4 m in front of me": 12.4,
    "12.4 m to the rear": -12.4,
    "behind by 12.4 meters": -12.4,
    "Region 1 is ahead of Region 0 by 12.4 meters": 12.4,
    "Region 1 is behind Region 0, 12.4 m": -12.4,
    "-12.4 m behind": -12.4,
    "12.4 m away, behind me": -12.4,
    "12.4 m straight ahead": 12.4,
    "0.0124 km ahead": 12.4,
    "0 meters ahead": 0.0,
    "twelve meters back": -12.0,
}

TIMES = {
    "2.3 seconds": 2.3,
    "1 second": 1.0,
    "2.3 s": 2.3,
    "2.3s": 2.3,
    "in 2.3 seconds": 2.3,
    "2300 ms": 2.3,
    "2300 milliseconds": 2.3,
    "After about 2.3 seconds.": 2.3,
    "2.3 seconds from now": 2.3,
    "t = 2 s": 2.0,
    "at t=2 s": 2.0,
    "two and a half seconds": 2.5,
    "half a second": 0.5,
    "0 seconds": 0.0,
    "Region 3 is closest in 1.5 seconds": 1.5,
    "Over the next 3 seconds it is closest at 1.2 seconds": 1.2,
    "It collides 8 m ahead after 2 s": 2.0,
    '{"time_s": 2.3}': 2.3,
    "0.1 minutes": 6.0,
    "2.3 s (2300 ms)": 2.3,
}

POSITIONS = {
    "x 12.4 meters, y -3.1 meters": (12.4, -3.1),
    "x -12.4 meters, y 3.1 meters": (-12.4, 3.1),
    "x = 12.4 m, y = -3.1 m": (12.4, -3.1),
    "x: 12.4 m; y: -3.1 m": (12.4, -3.1),
    "y -3.1 meters, x 12.4 meters": (12.4, -3.1),
    "12.4 meters ahead and 3.1 meters to the right": (12.4, -3.1),
    "12.4 meters ahead, 3.1 meters to the left": (12.4, 3.1),
    "3.1 meters to the right and 12.4 meters ahead": (12.4, -3.1),
    "12.4 m behind and 3.1 m to the left": (-12.4, 3.1),
    "ahead 12.4 m, right 3.1 m": (12.4, -3.1),
    "12.4 m ahead, 3.1 m right": (12.4, -3.1),
    "12.4 meters ahead, -3.1 meters": (12.4, -3.1),
    "(12.4, -3.1) m": (12.4, -3.1),
    "(12, 3) meters": (12.0, 3.0),
    "(12,3) m": (12.0, 3.0),
    "[12.4 m, -3.1 m]": (12.4, -3.1),
    "12.4, -3.1 m": (12.4, -3.1),
    "12.4 meters, -3.1 meters": (12.4, -3.1),
    '{"x_m": 12.4, "y_m": -3.1}': (12.4, -3.1),
    "12.4 m ahead (40.7 feet) and 3.1 m to the right (10.2 feet)": (12.4, -3.1),
    "Region 2 will be at x 12.4 meters, y -3.1 meters in 2 seconds": (12.4, -3.1),
    "x 12.4 meters, y 0.0 meters": (12.4, 0.0),
    "x 12.4 meters, y 3.1 meters to the right": (12.4, -3.1),
    "(x, y) = (12.4, -3.1) meters": (12.4, -3.1),
    "x (m): 12.4, y (m): -3.1": (12.4, -3.1),
    "12.4 m forward; 3.1 m rightward": (12.4, -3.1),
    "The x coordinate is 12.4 m and the y coordinate is -3.1 m": (12.4, -3.1),
}

MOTIONS = {
    "12.4 meters, -4 degrees": (12.4, -4.0),
    "12.4 meters, 0 degrees": (12.4, 0.0),
    "12.4 m and 4 degrees to the right": (12.4, -4.0),
    "I drive 12.4 meters and turn 4° left": (12.4, 4.0),
    "4 degrees to the left, 12.4 m": (12.4, 4.0),
    '{"distance_m": 12.4, "yaw_deg": -4}': (12.4, -4.0),
    "0.0 meters, 0 degrees": (0.0, 0.0),
    "Distance: 12.4 m\nTurn: -4°": (12.4, -4.0),
    "(12.4 m, -4°)": (12.4, -4.0),
    "twelve meters, minus four degrees": (12.0, -4.0),
    "40.7 feet, -4 degrees": (12.405, -4.0),
    "In 3 seconds I will have moved 12.4 meters and turned -4 degrees.": (12.4, -4.0),
}


UNDETERMINED = {
    "cannot be determined": True,
    "It cannot be determined.": True,
    "I cannot tell": True,
    "I can't see Region 7.": True,
    "There is no such region": True,
    "There is no Region 7 in the images.": True,
    "Region 7 does not exist": True,
    "It is not visible": True,
    "Region 7 is not marked.": True,
    "Region 7 isn't shown in the 4 frames": True,
    "not in the image": True,
    "unknown": True,
    "N/A": True,
    "Region 7 is absent.": True,
    "No region is labelled 7": True,
    "I see no Region 7": True,
    "There isn't enough information": True,
    "I don't know.": True,
    "The question is unanswerable.": True,
    "Only regions 1 and 2 are marked, so this is impossible to say": True,
    "12.4 meters": False,
    "-8 degrees": False,
    "2 o'clock": False,
    "yes": False,
    "left": False,
    "Region 3": False,
    "I cannot tell exactly, but about 10 meters": False,
    "The car is not in my path": False,
}

FAILURES = [
    ("8 degrees or 20 degrees", "turn", "several_values"),
    ("8 degrees to the left, -8 degrees", "turn", "contradiction"),
    ("-8 degrees to the left", "turn", "contradiction"),
    ("8", "turn", "missing_unit"),
    ("8 meters", "turn", "wrong_unit"),
    ("500 degrees", "turn", "out_of_range"),
    ("cannot be determined", "turn", "refusal"),
    ("-2.3 meters to the left", "lateral", "contradiction"),
    ("2.3", "lateral", "missing_unit"),
    ("2.3 degrees", "lateral", "wrong_unit"),
    ("2 to 3 meters to the left", "lateral", "several_values"),
    ("to the left", "lateral", "no_answer"),
    ("1e9 m", "lateral", "out_of_range"),
    ("nan meters", "lateral", "not_a_number"),
    ("-2.3 meters ahead", "longitudinal", "contradiction"),
    ("2.3 m/s", "longitudinal", "wrong_unit"),
    ("I cannot tell", "longitudinal", "refusal"),
    ("2.3", "time", "missing_unit"),
    ("2.3 meters", "time", "wrong_unit"),
    ("-2.3 s", "time", "out_of_range"),
    ("2.3 seconds ago", "time", "out_of_range"),
    ("+2.3 seconds ago", "time", "contradiction"),
    ("2 to 3 seconds", "time", "several_values"),
    ("99999 s", "time", "out_of_range"),
    ("soon", "time", "no_answer"),
    ("unknown", "time", "refusal"),
    ("x 12.4, y -3.1", "position", "missing_unit"),
    ("(12.4, -3.1)", "position", "missing_unit"),
    ("12.4 m, -3.1", "position", "missing_unit"),
    ("x 12.4 meters", "position", "incomplete"),
    ("12.4 meters", "position", "incomplete"),
    ("12.4 degrees, 3.1 degrees", "position", "wrong_unit"),
    ("x 12 meters, y 3 meters, z 1 meter", "position", "several_values"),
    ("x 12 meters, x 13 meters, y 3 meters", "position", "several_values"),
    ("12.4 m ahead, -3.1 m to the left", "position", "contradiction"),
    ("x 1e9 m, y 1 m", "position", "out_of_range"),
    ("x nan m, y 1 m", "position", "not_a_number"),
    ("ahead on the left", "position", "no_answer"),
    ("cannot be determined", "position", "refusal"),
    ("12.4 m", "motion", "incomplete"),
    ("-4 degrees", "motion", "incomplete"),
    ("12.4, -4", "motion", "missing_unit"),
    ("I don't know", "motion", "refusal"),
    ("Region 2, Region 0, Region 2", "ranking", "contradiction"),
    ("2 > 0 > 2", "ranking", "contradiction"),
    ("none", "ranking", "no_answer"),
    ("left to right", "ranking", "no_answer"),
    ("I cannot rank Region 2", "ranking", "refusal"),
    ("Region 99999", "ranking", "out_of_range"),
    ("cannot be determined", "regions", "refusal"),
    ("all", "regions", "no_answer"),
    ("12 meters", "regions", "no_answer"),
    ("{}", "regions", "empty"),
    ("1.5 seconds ago", "interval", "incomplete"),
    ("-1.5 to -0.5", "interval", "missing_unit"),
    ("now", "interval", "no_answer"),
    ("10 meters", "interval", "wrong_unit"),
    ("from 1 to 2 to 3 seconds ago", "interval", "several_values"),
    ("from +1.5 seconds ago to now", "interval", "contradiction"),
    ("from 99999 s ago to now", "interval", "out_of_range"),
    ("cannot be determined", "interval", "refusal"),
    ("[480, 300, 412, 372]", "box", "contradiction"),
    ("[412, 372, 480, 300]", "box", "contradiction"),
    ("[412, 300, 412, 372]", "box", "contradiction"),
    ("[412, 300, 480]", "box", "incomplete"),
    ("[1, 2, 3, 4, 5]", "box", "incomplete"),
    ("1, 2, 3, 4, 5", "box", "incomplete"),
    ("[1, 2, 3, 4] or [5, 6, 7, 8]", "box", "several_values"),
    ("[0, 0, 1000000, 10]", "box", "out_of_range"),
    ("in the middle", "box", "no_answer"),
    ("not visible", "box", "refusal"),
    ("from 1.5 to 1.0 seconds ago", "interval_box", "incomplete"),
    ("[412, 300, 480, 372]", "interval_box", "incomplete"),
    ("from 1.5 to 1.0 seconds ago, [480, 300, 412, 372]", "interval_box", "contradiction"),
    ("cannot be determined", "interval_box", "refusal"),
    ("", "undetermined", "empty"),
    ("...", "undetermined", "empty"),
    ("x" * 5000, "undetermined", "too_long"),
]


@pytest.mark.parametrize(
    ("answer_type", "field", "cases"),
    [
        ("turn", "yaw_deg", TURNS),
        ("lateral", "y_m", LATERALS),
        ("longitudinal", "x_m", LONGITUDINALS),
        ("time", "time_s", TIMES),
    ],
)
def test_one_number(answer_type, field, cases):
    expected = {text: {field: pytest.approx(value, rel=1e-3)} for text, value in cases.items()}
    assert {text: fields(parse(text, answer_type)) for text in cases} == expected


@pytest.mark.parametrize(
    ("answer_type", "names", "cases"),
    [
        ("position", ("x_m", "y_m"), POSITIONS),
        ("motion", ("distance_m", "yaw_deg"), MOTIONS),
    ],
)
def test_several_numbers(answer_type, names, cases):
    expected = {text: dict(zip(names, map(near, values), strict=True)) for text, values in cases.items()}
    assert {text: fields(parse(text, answer_type)) for text in cases} == expected


def test_refusals_are_the_answer_where_there_is_none():
    found = {text: parse(text, "undetermined") for text in UNDETERMINED}
    assert found == {text: Parsed(undetermined=value) for text, value in UNDETERMINED.items()}


@pytest.mark.parametrize(("text", "answer_type", "reason"), FAILURES, ids=lambda value: str(value)[:40])
def test_failure(text, answer_type, reason):
    failure = parse(text, answer_type)
    assert isinstance(failure, ParseFailure), failure
    assert failure.reason == reason


@pytest.mark.parametrize(
    ("text", "answer_type", "kept"),
    [
        ("-8", "turn", Parsed(yaw_deg=-8.0)),
        ("2.3 to the right", "lateral", Parsed(y_m=-2.3)),
        ("2.3", "time", Parsed(time_s=2.3)),
        ("x 12.4, y -3.1", "position", Parsed(x_m=12.4, y_m=-3.1)),
        ("12.4, -4", "motion", Parsed(distance_m=12.4, yaw_deg=-4.0)),
        ("-1.5 to -0.5", "interval", Parsed(start_s=-1.5, end_s=-0.5)),
        ("12.4 m", "motion", Parsed(distance_m=12.4)),
    ],
)
def test_what_lacks_a_unit_or_a_part_is_kept(text, answer_type, kept):
    assert parse(text, answer_type).kept == kept


@settings(deadline=None, max_examples=100)
@given(
    metres=st.integers(-9999, 9999).map(lambda tenths: tenths / 10),
    other=st.integers(-9999, 9999).map(lambda tenths: tenths / 10),
    degrees=st.integers(-179, 180),
    times=st.tuples(st.integers(0, 7), st.integers(0, 7)).map(lambda pair: sorted(half / 2 for half in pair)),
    marks=st.lists(st.integers(0, 9), min_size=2, max_size=5, unique=True),
    corner=st.tuples(st.integers(0, 1500), st.integers(0, 800)),
    size=st.tuples(st.integers(1, 400), st.integers(1, 400)),
)
def test_answers_as_they_are_written_are_read_back(metres, other, degrees, times, marks, corner, size):
    box = (*corner, corner[0] + size[0], corner[1] + size[1])
    box_fields = dict(zip(("u0_px", "v0_px", "u1_px", "v1_px"), map(float, box), strict=True))
    interval = f"from {times[1]:.1f} to {times[0]:.1f} seconds ago"
    interval_fields = {"start_s": -times[1] + 0.0, "end_s": -times[0] + 0.0}
    position = f"x {metres:.1f} meters, y {other:.1f} meters"
    ranking = ", ".join(f"Region {mark}" for mark in marks)
    assert fields(parse(f"{metres:.1f} meters", "lateral")) == {"y_m": metres}
    assert fields(parse(f"{metres:.1f} meters", "longitudinal")) == {"x_m": metres}
    assert fields(parse(f"{degrees} degrees", "turn")) == {"yaw_deg": degrees}
    assert fields(parse(f"{times[1]:.1f} seconds", "time")) == {"time_s": times[1]}
    assert fields(parse(position, "position")) == {"x_m": metres, "y_m": other}
    assert fields(parse(interval, "interval")) == interval_fields
    assert fields(parse(str(list(box)), "box")) == box_fields
    assert fields(parse(f"{interval}, {list(box)}", "interval_box")) == interval_fields | box_fields
    assert parse(ranking, "ranking") == Parsed(marks=tuple(marks))
    assert parse(ranking, "regions") == Parsed(marks=tuple(sorted(marks)))


def near(value):
    return pytest.approx(value, rel=1e-3, abs=1e-9)


def fields(answer):
    """The fields that an answer fills, or the failure itself."""
    if isinstance(answer, ParseFailure):
        return answer
    return {name: value for name, value in answer.as_truth().items() if value is not None}
