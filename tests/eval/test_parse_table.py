"""The published table of texts that parsers of answers misread: one test a row."""

from __future__ import annotations

import pytest

from eval.parse import ParseFailure, parse

READ = [
    ("10m/s", "speed", {"speed_mps": 10.0}),
    ("36km/h", "speed", {"speed_mps": 10.0}),
    ("22 mph", "speed", {"speed_mps": 9.835}),
    ("Region 0 in 1 second is 7.2 meters", "distance", {"distance_m": 7.2}),
    ("In 1 second, Region 3 in front is 7.2 meters", "distance", {"distance_m": 7.2}),
    ("\u221230 degrees", "bearing", {"bearing_deg": -30.0}),
    ("minus 10 degrees", "bearing", {"bearing_deg": -10.0}),
    ("30 degrees to the right", "bearing", {"bearing_deg": -30.0}),
    ("1,200 m", "distance", {"distance_m": 1200.0}),
    ("1.2 km", "distance", {"distance_m": 1200.0}),
    ("3.2 miles", "distance", {"distance_m": 5149.9}),
    ("12 feet", "distance", {"distance_m": 3.658}),
    ("12'", "distance", {"distance_m": 3.658}),
    ("1e1 meters", "distance", {"distance_m": 10.0}),
    ("ten meters", "distance", {"distance_m": 10.0}),
    ("10 metres", "distance", {"distance_m": 10.0}),
    ("10 m\u00e8tres", "distance", {"distance_m": 10.0}),
    ("\uff11\uff10 m", "distance", {"distance_m": 10.0}),
    ("2 o'clock", "clock", {"clock_hour": 2}),
    ("185 degrees", "bearing", {"bearing_deg": -175.0}),
    ("-190\u00b0", "bearing", {"bearing_deg": 170.0}),
]

FAILED = [
    ("about 20 to 25 meters", "distance", "several_values"),
    ("-5 meters", "distance", "out_of_range"),
    ("I cannot tell.", "distance", "refusal"),
    ("at 14 o'clock", "clock", "out_of_range"),
    ("NaN meters", "distance", "not_a_number"),
    ("inf", "distance", "not_a_number"),
    ("1" * 1_000_000, "distance", "too_long"),
    ("<a>" * 100_000, "distance", "too_long"),
    ("\ud800\udfff", "distance", "empty"),
    ("\x00" * 2_000, "distance", "empty"),
]


@pytest.mark.parametrize(("text", "answer_type", "expected"), READ)
def test_row_is_read(text, answer_type, expected):
    read = {name: value for name, value in parse(text, answer_type).as_truth().items() if value is not None}
    assert read == pytest.approx(expected, rel=2e-4)


@pytest.mark.parametrize(("text", "answer_type", "reason"), FAILED, ids=[reason for _, _, reason in FAILED])
def test_row_is_a_failure(text, answer_type, reason):
    failure = parse(text, answer_type)
    assert isinstance(failure, ParseFailure)
    assert failure.reason == reason


def test_a_range_keeps_its_ends():
    assert parse("about 20 to 25 meters", "distance").value_range == (20.0, 25.0)
