"""Numbers with their units, hours and counts, in the many ways that models write them."""

from __future__ import annotations

import pytest

from eval.parse import Parsed, parse

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


def given_in(answer):
    """The fields that an answer fills."""
    assert isinstance(answer, Parsed), answer
    return {name: value for name, value in answer.as_truth().items() if value is not None}
