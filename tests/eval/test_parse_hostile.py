"""No text raises or takes long, whatever is in it."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.parse import ANSWER_TYPES, Parsed, ParseFailure, parse

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


GROWTH = """
import json, sys, time
from eval.parse import parse
def least(text, answer_type):
    runs = []
    for _ in range(5):
        start = time.process_time()
        for _ in range(20):
            parse(text, answer_type, ("Region 1", "Region 12"))
        runs.append(time.process_time() - start)
    return min(runs)
grown = []
for number, piece in enumerate(json.load(sys.stdin)):
    for answer_type in sys.argv[1:]:
        short, long = (piece * (characters // len(piece)) for characters in (500, 2000))
        grown.append((least(long, answer_type) / least(short, answer_type), number, answer_type))
print(json.dumps(max(grown)))
"""

PIECES = [
    "-",
    "[",
    "(1,2)",
    "'",
    "not in the ",
    "to the right ",
    "x = ",
    "no region ",
    "<a",
    "answer: ",
    " ",
    "1 , ",
    "last ",
]
QUADRATIC = 4.0**2


def growth():
    """How many times as long the worst text takes when it is four times as long, and which that is."""
    command = [sys.executable, "-c", GROWTH, "distance", "position", "interval_box", "choice", "ranking"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, input=json.dumps(PIECES))
    return json.loads(done.stdout)


def test_time_grows_in_proportion_to_the_text():
    """Four times as long a text takes about four times as long, far from the sixteen times of work that grows with the square."""
    assert any(growth()[0] < 0.75 * QUADRATIC for _ in range(3))  # a busy machine stretches single runs


@settings(deadline=None, max_examples=300)
@given(text=st.text(alphabet=st.characters(), max_size=200), answer_type=st.sampled_from(ANSWER_TYPES))
def test_no_text_raises(text, answer_type):
    check_fields(parse(text, answer_type, ("Region 1", "Region 12")), answer_type)


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
    check_fields(parse(joint.join(words), answer_type, ("left", "right")), answer_type)


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


def given_in(answer):
    """The fields that an answer fills."""
    assert isinstance(answer, Parsed), answer
    return {name: value for name, value in answer.as_truth().items() if value is not None}
