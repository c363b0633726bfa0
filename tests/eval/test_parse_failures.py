"""Texts that are no answer, and why; what is kept of them."""

from __future__ import annotations

import pytest

from eval.parse import Parsed, ParseFailure, parse

FAILURES = [
    ("at 14 o'clock", "clock", "out_of_range"),
    ("0 o'clock", "clock", "out_of_range"),
    ("2.5 o'clock", "clock", "out_of_range"),
    ("2 or 3 o'clock", "clock", "several_values"),
    ("between 2 and 3 o'clock", "clock", "several_values"),
    ("2-3 o'clock", "clock", "several_values"),
    ("2:30", "clock", "out_of_range"),
    ("straight ahead", "clock", "no_answer"),
    ("about 20 to 25 meters", "distance", "several_values"),
    ("20-25 m", "distance", "several_values"),
    ("20 - 25 m", "distance", "several_values"),
    ("20 – 25 m", "distance", "several_values"),
    ("20 −25 m", "distance", "several_values"),
    ("20~25 m", "distance", "several_values"),
    ("between 20 and 25 meters", "distance", "several_values"),
    ("20 m to 25 m", "distance", "several_values"),
    ("5 or 6 meters", "distance", "several_values"),
    ("ten to twelve meters", "distance", "several_values"),
    ("10 ± 2 m", "distance", "several_values"),
    ("10 m at first, then 5 m", "distance", "several_values"),
    ("10,20,30 m", "distance", "several_values"),
    ("1 m " * 50 + "2 m", "distance", "several_values"),
    ("20 to 25", "distance", "several_values"),
    ("-5 meters", "distance", "out_of_range"),
    ("minus five meters", "distance", "out_of_range"),
    ("-5 m/s", "speed", "out_of_range"),
    ("1e9 m", "distance", "out_of_range"),
    ("1e400 m", "distance", "not_a_number"),
    ("99999 m/s", "speed", "out_of_range"),
    ("400 degrees", "bearing", "out_of_range"),
    ("-1", "count", "out_of_range"),
    ("2.5", "count", "out_of_range"),
    ("99999999999999", "count", "out_of_range"),
    ("2 or 3", "count", "several_values"),
    ("NaN meters", "distance", "not_a_number"),
    ("inf", "distance", "not_a_number"),
    ("infinity meters", "distance", "not_a_number"),
    ("-inf degrees", "bearing", "not_a_number"),
    ("1.2.3 m", "distance", "not_a_number"),
    ("10² m", "distance", "not_a_number"),
    ("10^2 m", "distance", "not_a_number"),
    ("I cannot tell.", "distance", "refusal"),
    ("I can't determine the distance of Region 1.", "distance", "refusal"),
    ("I’m sorry, I can’t help with that", "distance", "refusal"),
    ("As an AI, I am unable to measure", "speed", "refusal"),
    ("It is impossible to say without 3D data", "distance", "refusal"),
    ("unknown", "bearing", "refusal"),
    ("N/A", "bearing", "refusal"),
    ("I don't know", "choice", "refusal"),
    ("cannot be determined", "bool", "refusal"),
    ("Not enough information in frame 2", "localization", "refusal"),
    ("", "distance", "empty"),
    ("   \n\t", "distance", "empty"),
    ("...", "bool", "empty"),
    ("\x00\x00", "distance", "empty"),
    ("\ud800\udfff", "distance", "empty"),
    ("<answer></answer> 5 m", "distance", "empty"),
    ("far away", "distance", "no_answer"),
    ("Region 3", "distance", "no_answer"),
    ("in 2 seconds", "distance", "no_answer"),
    ("the 3rd one", "distance", "no_answer"),
    ("7.2", "distance", "missing_unit"),
    ("7.2 car lengths", "distance", "missing_unit"),
    ("30", "bearing", "missing_unit"),
    ("5", "speed", "missing_unit"),
    ("7.2, -30", "localization", "missing_unit"),
    ("7.2 m, -30", "localization", "missing_unit"),
    ("7.2, -30 degrees", "localization", "missing_unit"),
    ("[7.2, -30.5]", "localization", "missing_unit"),
    ("7.2 m", "localization", "incomplete"),
    ("-30 degrees", "localization", "incomplete"),
    ("7.2 m, between 10 and 20 degrees", "localization", "several_values"),
    ("10 m/s", "distance", "wrong_unit"),
    ("10 meters", "speed", "wrong_unit"),
    ("10 m/s²", "speed", "no_answer"),
    ("30 degrees", "distance", "wrong_unit"),
    ("2 o'clock", "bearing", "wrong_unit"),
    ("-30 degrees to the left", "bearing", "contradiction"),
    ("+30 degrees to the right", "bearing", "contradiction"),
    ("1" * 1_000_000, "distance", "too_long"),
    ("<a>" * 100_000, "distance", "too_long"),
    ("<answer>" * 100_000, "distance", "empty"),
    ("10 m " + "and so on " * 1000, "distance", "too_long"),
    ("ﷺ" * 2048, "distance", "too_long"),
]


@pytest.mark.parametrize(
    ("text", "answer_type", "reason"), FAILURES, ids=lambda value: str(value)[:40].encode("ascii", "backslashreplace")
)
def test_failure(text, answer_type, reason):
    failure = parse(text, answer_type, ("left", "right"))
    assert isinstance(failure, ParseFailure)
    assert failure.reason == reason


@pytest.mark.parametrize(
    ("text", "answer_type", "low", "high"),
    [
        ("about 20 to 25 meters", "distance", 20.0, 25.0),
        ("20-25 km/h", "speed", 20 / 3.6, 25 / 3.6),
        ("-10 to 10 degrees", "bearing", -10.0, 10.0),
        ("2 or 3 o'clock", "clock", 2.0, 3.0),
    ],
)
def test_a_range_is_kept(text, answer_type, low, high):
    assert parse(text, answer_type).value_range == pytest.approx((low, high))


@pytest.mark.parametrize(
    ("text", "answer_type", "kept"),
    [
        ("7.2", "distance", Parsed(distance_m=7.2)),
        ("12, 30", "localization", Parsed(distance_m=12.0, bearing_deg=30.0)),
        ("12 m, 30", "localization", Parsed(distance_m=12.0, bearing_deg=30.0)),
        ("12, 30 degrees to the right", "localization", Parsed(distance_m=12.0, bearing_deg=-30.0)),
        ("Region 1: 7.2", "distance", Parsed(distance_m=7.2)),
    ],
)
def test_what_lacks_a_unit_is_kept(text, answer_type, kept):
    failure = parse(text, answer_type)
    assert (failure.reason, failure.kept) == ("missing_unit", kept)


def test_an_answer_type_that_is_not_known_is_the_callers_mistake():
    with pytest.raises(ValueError, match="'weight'"):
        parse("5 kg", "weight")
