"""Texts of models and what they must be read as: METRICS section 8 first, then what else was met or thought of."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.parse import Parsed, ParseFailure, parse

ANSWER_TYPES = (
    *("localization", "distance", "bearing", "speed", "clock", "choice", "bool", "count", "turn", "lateral"),
    *("longitudinal", "time", "position", "motion", "ranking", "regions", "interval", "box", "interval_box"),
    "undetermined",
)

SPEEDS = {
    "10m/s": 10.0,
    "36km/h": 10.0,
    "22 mph": 9.835,
    "10 m/s": 10.0,
    "10.0 m/s.": 10.0,
    "5 meters per second": 5.0,
    "5 metres per second": 5.0,
    "5 meters/second": 5.0,
    "5 m / s": 5.0,
    "5 m/sec": 5.0,
    "5 mps": 5.0,
    "36 kph": 10.0,
    "36 kmh": 10.0,
    "36 kilometers per hour": 10.0,
    "36 km / hr": 10.0,
    "ten miles per hour": 4.4704,
    "10 miles an hour": 4.4704,
    "10 ft/s": 3.048,
    "10 knots": 5.1444,
    "0 m/s": 0.0,
    "The car moves at 7.5 m/s (27 km/h).": 7.5,
    "In 2 seconds I will be driving 8.3 m/s": 8.3,
    '{"speed_mps": 4.5}': 4.5,
    "speed in m/s: 4.5": 4.5,
    "５ｍ/ｓ": 5.0,
    "**4.5 m/s**": 4.5,
    "$4.5\\,\\text{m/s}$": 4.5,
    "Region 2 is 12 m away and moves at 3 m/s": 3.0,
}

DISTANCES = {
    "Region 0 in 1 second is 7.2 meters": 7.2,
    "In 1 second, Region 3 in front is 7.2 meters": 7.2,
    "1,200 m": 1200.0,
    "1.2 km": 1200.0,
    "3.2 miles": 5149.9,
    "12 feet": 3.658,
    "12'": 3.658,
    "1e1 meters": 10.0,
    "ten meters": 10.0,
    "10 metres": 10.0,
    "10 mètres": 10.0,
    "１０ m": 10.0,
    "10 m": 10.0,
    "10m": 10.0,
    "10 M": 10.0,
    "10 meters.": 10.0,
    "10. meters": 10.0,
    ".5 m": 0.5,
    "0 meters": 0.0,
    "+10 m": 10.0,
    "10 mtrs": 10.0,
    "7,2 meters": 7.2,
    "1,234,567.5 mm": 1234.5675,
    "1\u202f200 m": 1200.0,
    "1\u00a0200 m": 1200.0,
    "2½ m": 2.5,
    "2 ½ m": 2.5,
    "½ mile": 804.672,
    "half a mile": 804.672,
    "two and a half meters": 2.5,
    "2 and a half meters": 2.5,
    "twenty-five meters": 25.0,
    "twenty five meters": 25.0,
    "one hundred and twenty meters": 120.0,
    "a hundred meters": 100.0,
    "two thousand three hundred meters": 2300.0,
    "seven point two meters": 7.2,
    "zero meters": 0.0,
    "one meter": 1.0,
    "250 cm": 2.5,
    "12 yards": 10.9728,
    "12 yd": 10.9728,
    "5'10\"": 1.778,
    "5 feet 10 inches": 1.778,
    "5 ft, 10 inches": 1.778,
    "12 ft.": 3.658,
    "12’": 3.658,
    "12′": 3.658,
    "7.2 meters (23.6 feet)": 7.2,
    "7.2 m, so the answer is 7.2 meters": 7.2,
    "It was 10 m away. It comes 2 m closer. Final answer: 8 m": 8.0,
    "<think>maybe 10 m, maybe 20 m</think>15 m": 15.0,
    "<think>10 m</think><answer>15 m</answer> or 20 m": 15.0,
    "so \\boxed{15 m}": 15.0,
    "Regions 1 and 2 are 5 m apart": 5.0,
    "Object #3 is 5 m away": 5.0,
    "mark [2]: 5 m": 5.0,
    "region 3: 5 m": 5.0,
    "Region-3 is 5 m away": 5.0,
    "at t=2 s it is 5 m away": 5.0,
    "at t = 2 it is 5 m away": 5.0,
    "within 3 seconds: 5 m": 5.0,
    "in one second it will be 5 m away": 5.0,
    "in 1 to 2 seconds it will be 5 m away": 5.0,
    "the one in front is 5 m away": 5.0,
    "1. The target is a car\n2. It is 5 m away": 5.0,
    "- 5 m": 5.0,
    "Distance - 5 m": 5.0,
    "Distance: 5 m\nBearing: 30 degrees": 5.0,
    "a 5-meter gap": 5.0,
    "5-meters": 5.0,
    "The 2nd car is 5 m away": 5.0,
    '{"distance_m": 5}': 5.0,
    "{'distance_m': 5.0, 'bearing_deg': -30}": 5.0,
    "distance (m): 5": 5.0,
    "distance in meters: 5": 5.0,
    "distance in meters is 5": 5.0,
    "~5 m": 5.0,
    "≈5 m": 5.0,
    "about 5 meters": 5.0,
    "10 m\x00\x00": 10.0,
    "1\u200b0 m": 10.0,
    "10\u200e m\ud800": 10.0,
    "١٠ m": 10.0,
    "10米": 10.0,
    "I cannot tell exactly, but about 10 meters": 10.0,
    "  \n 10 m \n": 10.0,
    "`10 m`": 10.0,
    "<b>10 m</b>": 10.0,
}

BEARINGS = {
    "−30 degrees": -30.0,
    "− 30 degrees": -30.0,
    "–30 degrees": -30.0,
    "minus 10 degrees": -10.0,
    "negative 10 degrees": -10.0,
    "minus ten degrees": -10.0,
    "30 degrees to the right": -30.0,
    "30 degrees to the left": 30.0,
    "185 degrees": -175.0,
    "-190°": 170.0,
    "180 degrees": 180.0,
    "-180 degrees": 180.0,
    "360 degrees": 0.0,
    "-30": None,
    "-30°": -30.0,
    "-30º": -30.0,
    "30 deg": 30.0,
    "-30 degrees to the right": -30.0,
    "30° to the right": -30.0,
    "30° right": -30.0,
    "30° R": -30.0,
    "30°L": 30.0,
    "right 30 degrees": -30.0,
    "Right by 30 degrees": -30.0,
    "to the right at 30 degrees": -30.0,
    "It is to my right, at about 30 degrees": -30.0,
    "to the front right, 30 degrees": -30.0,
    "30 degrees to the front right": -30.0,
    "30 degrees (to the right)": -30.0,
    "30 degrees clockwise": -30.0,
    "30 degrees counter-clockwise": 30.0,
    "30 degrees counterclockwise": 30.0,
    "30 degrees to my left": 30.0,
    "The one on the left is 30 degrees to the right": -30.0,
    "The car in the right lane is at 30 degrees": 30.0,
    "The right answer is 30 degrees": 30.0,
    "0 degrees to the right": 0.0,
    "30 degrees to the right (-30 degrees)": -30.0,
    "0.5 rad": 28.6479,
    "30^\\circ": 30.0,
    "$-30^{\\circ}$": -30.0,
    "bearing: -30 degrees": -30.0,
    "bearing = - 30 degrees": -30.0,
    "bearing is - 30 degrees": -30.0,
    '{"bearing_deg": -30}': -30.0,
    "thirty degrees to the right": -30.0,
    "12 m away, -30 degrees": -30.0,
    "a 30-degree bearing": 30.0,
}

LOCALIZATIONS = {
    "7.2 meters, -30 degrees": (7.2, -30.0),
    "12.4 meters, 180 degrees": (12.4, 180.0),
    "7.2 m at 30 degrees to the right": (7.2, -30.0),
    "30 degrees to the right, 7.2 m away": (7.2, -30.0),
    "To the right at 7.2 meters, 30 degrees": (7.2, -30.0),
    "7.2 meters (23.6 feet) at 30° to the right": (7.2, -30.0),
    '{"distance_m": 7.2, "bearing_deg": -30}': (7.2, -30.0),
    "Distance: 7.2 m\nBearing: -30°": (7.2, -30.0),
    "In 2 seconds Region 1 will be 7.2 m away at a bearing of -30 degrees.": (7.2, -30.0),
    "(7.2 m, -30°)": (7.2, -30.0),
    "7.2m,-30deg": (7.2, -30.0),
    "seven meters, minus thirty degrees": (7.0, -30.0),
}

CLOCKS = {
    "2 o'clock": 2,
    "2 o’clock": 2,
    "2 oclock": 2,
    "2 o clock": 2,
    "two o'clock": 2,
    "At 12 o'clock, straight ahead": 12,
    "It is in the 10 o'clock direction.": 10,
    "Region 1 is at 3 o'clock": 3,
    "twelve o'clock": 12,
    "3": 3,
    "three": 3,
    "one o'clock": 1,
    "one": 1,
    "2:00": 2,
    "02:00 o'clock": 2,
    "11 O'CLOCK": 11,
    "10 m away at 2 o'clock": 2,
}

COUNTS = {
    "3": 3,
    "three": 3,
    "There are 3 cars.": 3,
    "one": 1,
    "0": 0,
    "none": 0,
    "No cars": 0,
    "3.0": 3,
    "I count twelve pedestrians": 12,
    "３": 3,
}

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

LEFT_RIGHT = ("left", "right")
REGIONS = ("Region 1", "Region 12")
WAYS = ("same way", "opposite way", "across")
APPROACH = ("closing", "receding", "keeping its distance")
FAR = ("12.4 meters", "4 meters", "2.4 meters")
TURNED = ("-8 degrees", "8 degrees", "12 degrees")
HOW_MANY = ("2", "3", "12")
CHOICES = [
    ("12.4 meters", FAR, "12.4 meters"),
    ("2.4 meters", FAR, "2.4 meters"),
    ("It is 4 meters away.", FAR, "4 meters"),
    ("B", FAR, "4 meters"),
    ("C. 2.4 meters", FAR, "2.4 meters"),
    ("12.4 m", FAR, "12.4 meters"),
    ("2.4", FAR, "2.4 meters"),
    ("240 cm", FAR, "2.4 meters"),
    ("22.4 meters", FAR, None),
    ("0.4 meters", FAR, None),
    ("12.4 degrees", FAR, None),
    ("-8 degrees", TURNED, "-8 degrees"),
    ("8 degrees", TURNED, "8 degrees"),
    ("-8°", TURNED, "-8 degrees"),
    ("-12 degrees", TURNED, None),
    ("2", HOW_MANY, "2"),
    ("12", HOW_MANY, "12"),
    ("2.5", HOW_MANY, None),
    ("1 m" * 30, FAR, None),
    ("left", LEFT_RIGHT, "left"),
    ("Left.", LEFT_RIGHT, "left"),
    ("LEFT", LEFT_RIGHT, "left"),
    ("It is on the left.", LEFT_RIGHT, "left"),
    ("B", LEFT_RIGHT, "right"),
    ("(b)", LEFT_RIGHT, "right"),
    ("B.", LEFT_RIGHT, "right"),
    ("B. right", LEFT_RIGHT, "right"),
    ("B) right", LEFT_RIGHT, "right"),
    ("Option B", LEFT_RIGHT, "right"),
    ("The answer is B.", LEFT_RIGHT, "right"),
    ("Answer: right", LEFT_RIGHT, "right"),
    ("Right, because it is not on the left", LEFT_RIGHT, "right"),
    ("It is not on the left but on the right", LEFT_RIGHT, "right"),
    ("Left: seen from me it is left of the right lane", LEFT_RIGHT, "left"),
    ("Region 1", REGIONS, "Region 1"),
    ("region 12", REGIONS, "Region 12"),
    ("1", REGIONS, "Region 1"),
    ("12.", REGIONS, "Region 12"),
    ("#12", REGIONS, "Region 12"),
    ("Region １２", REGIONS, "Region 12"),
    ("opposite way", WAYS, "opposite way"),
    ("It faces the opposite way.", WAYS, "opposite way"),
    ("C", WAYS, "across"),
    ("keeping its distance", APPROACH, "keeping its distance"),
    ("It is closing.", APPROACH, "closing"),
    ("A. closing", APPROACH, "closing"),
    ("both", LEFT_RIGHT, None),
    ("left or right", LEFT_RIGHT, None),
    ("not left", LEFT_RIGHT, None),
    ("A. right", LEFT_RIGHT, None),
    ("C", LEFT_RIGHT, None),
    ("leftover bright", LEFT_RIGHT, None),
    ("3", REGIONS, None),
    ("Region 1 or Region 12", REGIONS, None),
    ("5 meters", LEFT_RIGHT, None),
    ("left", (), None),
]

BOOLS = [
    ("yes", True),
    ("Yes.", True),
    ("YES!", True),
    ("yeah", True),
    ("true", True),
    ("y", True),
    ("A", True),
    ("A. yes", True),
    ("Yes, it is in my path", True),
    ("Yes, there is no doubt", True),
    ("The answer is yes.", True),
    ("no", False),
    ("No, it is not", False),
    ("False", False),
    ("B", False),
    ("(B)", False),
    ("B. no", False),
    ("There is no car in my path", False),
    ("**No**", False),
    ("ｎｏ", False),
    ("yes and no", None),
    ("maybe", None),
    ("nothing", None),
    ("A. no", None),
    ("42", None),
]


@pytest.mark.parametrize(("text", "speed_mps"), SPEEDS.items())
def test_speed(text, speed_mps):
    assert given_in(parse(text, "speed")) == {"speed_mps": pytest.approx(speed_mps, rel=1e-4)}


@pytest.mark.parametrize(("text", "distance_m"), DISTANCES.items())
def test_distance(text, distance_m):
    assert given_in(parse(text, "distance")) == {"distance_m": pytest.approx(distance_m, rel=2e-4)}


@pytest.mark.parametrize(("text", "bearing_deg"), BEARINGS.items())
def test_bearing(text, bearing_deg):
    if bearing_deg is None:
        assert parse(text, "bearing").kept == Parsed(bearing_deg=-30.0)
    else:
        assert given_in(parse(text, "bearing")) == {"bearing_deg": pytest.approx(bearing_deg, rel=1e-4)}


@pytest.mark.parametrize(("text", "place"), LOCALIZATIONS.items())
def test_localization(text, place):
    distance_m, bearing_deg = place
    expected = {"distance_m": pytest.approx(distance_m), "bearing_deg": pytest.approx(bearing_deg)}
    assert given_in(parse(text, "localization")) == expected


@pytest.mark.parametrize(("text", "hour"), CLOCKS.items())
def test_clock(text, hour):
    assert parse(text, "clock") == Parsed(clock_hour=hour)


@pytest.mark.parametrize(("text", "count"), COUNTS.items())
def test_count(text, count):
    assert parse(text, "count") == Parsed(count=count)


@pytest.mark.parametrize(
    ("text", "answer_type", "reason"), FAILURES, ids=lambda value: str(value)[:40].encode("ascii", "backslashreplace")
)
def test_failure(text, answer_type, reason):
    failure = parse(text, answer_type, LEFT_RIGHT)
    assert isinstance(failure, ParseFailure)
    assert failure.reason == reason


@pytest.mark.parametrize(("text", "options", "choice"), CHOICES)
def test_choice(text, options, choice):
    answer = parse(text, "choice", options)
    assert answer == Parsed(choice=choice) if choice else isinstance(answer, ParseFailure)


@pytest.mark.parametrize(("text", "value"), BOOLS)
def test_bool(text, value):
    answer = parse(text, "bool", ("yes", "no"))
    assert answer == Parsed(bool=value) if value is not None else isinstance(answer, ParseFailure)


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


HOSTILE = [
    "1" * 1_000_000,
    "<a>" * 100_000,
    "<answer>" * 100_000,
    "</think>" * 100_000,
    "\x00" * 1_000_000,
    "\ud800" * 1_000_000,
    " " * 1_000_000,
    "1 " * 255,
    "1," * 255,
    "1." * 255,
    "-" * 2047,
    "ten " * 255,
    "hundred and " * 170,
    "twenty-" * 292,
    "region 1 and 2 " * 136,
    "not not " * 255,
    "to the right " * 157,
    "answer: " * 255,
    "30 degrees " * 186,
    "1 m 2 deg " * 204,
    "<" * 2047,
    "<a" * 255,
    "'" * 2047,
    "e" * 2047,
    "1e" * 255,
    "½" * 2047,
    "\n" * 1000 + "a" + "\n" * 1000 + "b",
    "ﷺ" * 227,
    "right," * 340,
    "[" * 2047,
    "[1" * 1000,
    "[1, 2, 3, " * 200,
    "(1,2)" * 400,
    "(1,2),(" * 290,
    "1 , " * 500,
    "x1=1 " * 400,
    "region " * 290,
    "region one " * 180,
    "1. region " * 200,
    "1) " * 680,
    "2 > " * 500,
    "from 1 to 2 s ago " * 110,
    "1 s ago " * 250,
    "ahead 1 m " * 200,
    "x 1 m y 1 m " * 170,
    "x = " * 500,
    "not in the " * 180,
    "no region " * 200,
    "last " * 400,
    "0" * 2047,
    "-1" * 1000,
    "<box>" * 400,
    "([" * 1000 + "1 m",
]


TIMING = """
import json, sys, time
from eval.parse import parse
slowest = []
for number, text in enumerate(json.load(sys.stdin)):
    for answer_type in sys.argv[1:]:
        runs = []
        for _ in range(3):  # the least of three: other processes share the machine
            start = time.process_time()
            parse(text, answer_type, ("Region 1", "Region 12"))
            runs.append(time.process_time() - start)
        slowest.append((min(runs), number, answer_type))
print(json.dumps(max(slowest)))
"""


def test_hostile_text_is_answered_at_once():
    """In a process of its own, since the run-time type checker of this one slows every call down."""
    command = [sys.executable, "-c", TIMING, *ANSWER_TYPES]
    done = subprocess.run(command, check=True, capture_output=True, text=True, input=json.dumps(HOSTILE))
    seconds, number, answer_type = json.loads(done.stdout)
    assert seconds < 0.05, (HOSTILE[number][:20], answer_type)


@settings(deadline=None, max_examples=300)
@given(text=st.text(alphabet=st.characters(), max_size=200), answer_type=st.sampled_from(ANSWER_TYPES))
def test_no_text_raises(text, answer_type):
    check_fields(parse(text, answer_type, REGIONS), answer_type)


WORDS = st.sampled_from(
    [
        *(
            "1",
            "-2",
            "3.5",
            "1,200",
            "1e1",
            "1e999",
            "−7",
            "½",
            "²",
            "ten",
            "half a",
            "hundred",
            "nan",
            "inf",
            "minus",
            "and",
        ),
        *(
            "to",
            "or",
            "-",
            ",",
            ".",
            ":",
            "(",
            ")",
            "'",
            '"',
            "°",
            "m",
            "meters",
            "km",
            "ft",
            "in",
            "m/s",
            "km/h",
            "degrees",
        ),
        *(
            "right",
            "left",
            "o'clock",
            "region",
            "#",
            "t=",
            "answer is",
            "yes",
            "no",
            "A",
            "B",
            "second",
            "not",
            "between",
            "ago",
            "ahead",
            "behind",
            "now",
            "x",
            "y",
            "none",
            "[",
            "]",
            ">",
            "x1",
            "px",
            "last",
        ),
        *("\n", "\x00", "\ud800", "<answer>", "</think>"),
    ]
)


@settings(deadline=None, max_examples=400)
@given(words=st.lists(WORDS, max_size=14), joint=st.sampled_from(["", " "]), answer_type=st.sampled_from(ANSWER_TYPES))
def test_no_mixture_of_known_words_raises(words, joint, answer_type):
    check_fields(parse(joint.join(words), answer_type, LEFT_RIGHT), answer_type)


FIELDS = {
    "localization": {"distance_m", "bearing_deg"},
    "distance": {"distance_m"},
    "bearing": {"bearing_deg"},
    "speed": {"speed_mps"},
}
FIELDS |= {
    "turn": {"yaw_deg"},
    "lateral": {"y_m"},
    "longitudinal": {"x_m"},
    "time": {"time_s"},
    "position": {"x_m", "y_m"},
    "motion": {"distance_m", "yaw_deg"},
    "ranking": {"marks"},
    "regions": {"marks"},
    "interval": {"start_s", "end_s"},
    "box": {"u0_px", "v0_px", "u1_px", "v1_px"},
    "interval_box": {"start_s", "end_s", "u0_px", "v0_px", "u1_px", "v1_px"},
    "undetermined": {"undetermined"},
}
FIELDS |= {"clock": {"clock_hour"}, "choice": {"choice"}, "bool": {"bool"}, "count": {"count"}}


def given_in(answer):
    """The fields that an answer fills."""
    assert isinstance(answer, Parsed), answer
    return {name: value for name, value in answer.as_truth().items() if value is not None}


def check_fields(answer, answer_type):
    """Exactly the asked fields are filled, each in its range."""
    if isinstance(answer, ParseFailure):
        return
    given = given_in(answer)
    assert set(given) == FIELDS[answer_type]
    assert given.get("distance_m", 0) >= 0
    assert -180 < given.get("bearing_deg", 0) <= 180
    assert given.get("speed_mps", 0) >= 0
    assert 1 <= given.get("clock_hour", 1) <= 12
    assert given.get("count", 0) >= 0
    assert -180 < given.get("yaw_deg", 0) <= 180
    assert given.get("time_s", 0) >= 0
    assert len(set(given.get("marks", []))) == len(given.get("marks", []))
    assert given.get("start_s", 0) <= given.get("end_s", 0)
    assert given.get("u0_px", 0) < given.get("u1_px", 1)
    assert given.get("v0_px", 0) < given.get("v1_px", 1)
    assert all(math.isfinite(value) for value in given.values() if isinstance(value, float))


@settings(deadline=None, max_examples=100)
@given(distance_m=st.floats(0, 1000), bearing_deg=st.integers(-179, 180))
def test_answers_as_they_are_taught_are_read_back(distance_m, bearing_deg):
    answer = parse(f"{distance_m:.1f} meters, {bearing_deg} degrees", "localization")
    assert given_in(answer) == {"distance_m": pytest.approx(distance_m, abs=0.051), "bearing_deg": bearing_deg}


def test_the_parser_is_light():
    code = "import sys, eval.parse; print({'torch', 'pandas', 'numpy', 'pyarrow', 'scipy'} & set(sys.modules))"
    assert (
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
        == "set()"
    )
