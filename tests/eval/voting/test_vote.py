"""Votes by hand and by property, for every answer type; and that what is voted can be written and read again."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from eval.answers import Parsed, ParseFailure
from eval.parse import ANSWER_TYPES, parse
from eval.scoring import BOX
from eval.voting.medians import circular_median, geometric_median, weighted_median
from eval.voting.vote import CONFIDENCE_WEIGHTS, vote
from eval.voting.wording import answer_text

REFUSAL, EMPTY = ParseFailure("refusal"), ParseFailure("empty")


def equal(answers: list[Any], answer_type: str) -> Parsed | ParseFailure:
    return vote(answers, [1.0] * len(answers), answer_type)


def box(u0: float, v0: float, u1: float, v1: float) -> dict[str, float]:
    return dict(zip(BOX, (u0, v0, u1, v1), strict=True))


@pytest.mark.parametrize(
    ("values", "weights", "median"),
    [
        ([3.0], [0.1], 3.0),
        ([1.0, 2.0, 9.0], [1.0, 1.0, 1.0], 2.0),
        ([1.0, 2.0], [1.0, 1.0], 1.5),
        ([9.0, 1.0, 2.0, 4.0], [1.0] * 4, 3.0),
        ([1.0, 2.0, 9.0], [1.0, 0.6, 2.0], 9.0),
        ([1.0, 2.0, 9.0], [1.0, 0.0, 1.0], 5.0),
        ([1.0, 2.0, 3.0, 4.0, 5.0], [0.2] * 5, 3.0),
        ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [0.1] * 6, 3.5),
    ],
)
def test_weighted_medians(values: list[float], weights: list[float], median: float) -> None:
    assert weighted_median(np.array(values), np.array(weights)) == pytest.approx(median)


@pytest.mark.parametrize(
    ("angles_deg", "weights", "median"),
    [
        ([170.0, -170.0, 180.0], [1.0, 1.0, 1.0], 180.0),
        ([170.0, -170.0], [1.0, 1.0], 180.0),
        ([179.0, -175.0], [1.0, 1.0], -178.0),
        ([10.0, 20.0, 90.0], [1.0, 1.0, 1.0], 20.0),
        ([10.0, 20.0, 30.0, 40.0], [1.0] * 4, 25.0),
        ([-170.0, 175.0, 0.0], [1.0, 1.0, 1.9], -170.0),
        ([0.0, 180.0], [0.2, 1.0], 180.0),
        ([-180.0], [1.0], 180.0),
    ],
)
def test_medians_on_the_circle(angles_deg: list[float], weights: list[float], median: float) -> None:
    found = circular_median(np.array(angles_deg), np.array(weights))
    assert (found - median) % 360.0 == pytest.approx(0.0, abs=1e-6)
    assert -180 < found <= 180


def test_geometric_medians() -> None:
    square = np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0]])
    assert geometric_median(square, np.ones(4)) == pytest.approx([1.0, 1.0])
    line = np.array([[0.0, 0.0], [1.0, 1.0], [50.0, 50.0]])
    assert geometric_median(line, np.ones(3)) == pytest.approx([1.0, 1.0])
    assert geometric_median(line, np.array([1.0, 1.0, 2.1])) == pytest.approx([50.0, 50.0])
    assert geometric_median(line[:1], np.array([0.2])) == pytest.approx([0.0, 0.0])
    triangle = np.array([[0.0, 0.0], [4.0, 0.0], [2.0, math.sqrt(12)]])
    assert geometric_median(triangle, np.ones(3)) == pytest.approx([2.0, math.sqrt(12) / 3])  # Fermat's point


POINTS = st.lists(
    st.tuples(st.floats(-50, 50), st.floats(-50, 50), st.sampled_from([0.2, 0.6, 1.0])), min_size=1, max_size=9
)


@example([(0.0, 0.0, 1.0)] * 2 + [(0.0, 20.0, 1.0)] * 2 + [(0.0, 20.0, 0.2), (0.03125, 20.0, 0.2), (27.0, 2.0, 0.6)])
@given(POINTS)
def test_nothing_is_nearer_to_all_than_the_geometric_median(points: list[tuple[float, float, float]]) -> None:
    places, weights = np.array(points)[:, :2], np.array(points)[:, 2]
    found = geometric_median(places, weights)

    def cost(at: np.ndarray) -> float:
        return float(np.linalg.norm(places - at, axis=1) @ weights)

    around = [found + 0.05 * np.array([math.cos(angle), math.sin(angle)]) for angle in np.linspace(0, 6, 12)]
    assert cost(found) <= min(cost(at) for at in [*around, *places]) + 1e-4


@pytest.mark.parametrize(
    ("answer_type", "answers", "voted"),
    [
        ("distance", [10.0, 12.0, 90.0], Parsed(distance_m=12.0)),
        ("speed", [3.0, 4.0], Parsed(speed_mps=3.5)),
        ("time", [0.0, 1.0, 1.0], Parsed(time_s=1.0)),
        ("longitudinal", [-5.0, 2.0, 3.0], Parsed(x_m=2.0)),
        ("lateral", [-5.0, -2.0, 3.0], Parsed(y_m=-2.0)),
        ("bearing", [179.0, -179.0], Parsed(bearing_deg=180.0)),
        ("turn", [-179.9996, 179.9998], Parsed(yaw_deg=180.0)),
        ("count", [2, 3, 3, 9], Parsed(count=3)),
        ("count", [2, 9], Parsed(count=2)),
        ("clock", [12, 1, 1], Parsed(clock_hour=1)),
        ("choice", ["b", "a", "b"], Parsed(choice="b")),
        ("bool", [True, False, False], Parsed(bool=False)),
        ("ranking", [(2, 1), (1, 2), (1, 2)], Parsed(marks=(1, 2))),
        ("regions", [(), (1,), ()], Parsed(marks=())),
        ("undetermined", [True, False, True], Parsed(undetermined=True)),
    ],
)
def test_one_field(answer_type: str, answers: list[Any], voted: Parsed) -> None:
    [field] = [name for name, value in vars(voted).items() if value is not None]
    assert equal([Parsed(**{field: value}) for value in answers], answer_type) == voted


def test_a_place_is_voted_as_one() -> None:
    """Two guesses about the place, three against two: medians of each part would take this distance and that bearing."""
    near = [Parsed(distance_m=10.0, bearing_deg=bearing) for bearing in (30.0, 30.0, 30.0)]
    far = [Parsed(distance_m=40.0, bearing_deg=-20.0)] * 2
    assert equal([*far, *near], "localization") == Parsed(distance_m=10.0, bearing_deg=30.0)
    behind = [Parsed(distance_m=10.0, bearing_deg=bearing) for bearing in (179.0, -179.0, 180.0)]
    assert equal(behind, "localization") == Parsed(distance_m=10.0, bearing_deg=180.0)
    assert equal([Parsed(distance_m=0.0, bearing_deg=40.0)], "localization") == Parsed(distance_m=0.0, bearing_deg=40.0)
    places = [Parsed(x_m=1.0, y_m=1.0), Parsed(x_m=1.0, y_m=1.0), Parsed(x_m=30.0, y_m=-9.0)]
    assert equal(places, "position") == Parsed(x_m=1.0, y_m=1.0)


def test_motion_has_two_medians() -> None:
    answers = [
        Parsed(distance_m=10.0, yaw_deg=90.0),
        Parsed(distance_m=12.0, yaw_deg=0.0),
        Parsed(distance_m=99.0, yaw_deg=5.0),
    ]
    assert equal(answers, "motion") == Parsed(distance_m=12.0, yaw_deg=5.0)


def test_what_is_judged_by_overlap_is_chosen_by_it() -> None:
    boxes = [Parsed(**box(0, 0, 10, 10)), Parsed(**box(100, 100, 120, 120)), Parsed(**box(1, 1, 11, 11))]
    assert equal(boxes, "box") == boxes[0]
    assert vote(boxes, [0.2, 1.0, 0.2], "box") == boxes[1]
    times = [Parsed(start_s=-3.0, end_s=-2.0), Parsed(start_s=-1.5, end_s=0.0), Parsed(start_s=-1.0, end_s=0.0)]
    assert equal(times, "interval") == times[1]
    both = [Parsed(start_s=-1.0, end_s=0.0, **box(0, 0, 10, 10)), Parsed(start_s=-3.0, end_s=-2.0, **box(0, 0, 10, 9))]
    assert equal([*both, Parsed(start_s=-3.0, end_s=-2.5, **box(50, 50, 60, 60))], "interval_box") == both[1]


def test_confidence_outweighs_number() -> None:
    sides = [Parsed(choice="left")] * 3 + [Parsed(choice="right")]
    assert vote(sides, [CONFIDENCE_WEIGHTS[0]] * 3 + [CONFIDENCE_WEIGHTS[2]], "choice") == Parsed(choice="right")
    assert vote(sides, [CONFIDENCE_WEIGHTS[1]] * 3 + [CONFIDENCE_WEIGHTS[2]], "choice") == Parsed(choice="left")
    assert CONFIDENCE_WEIGHTS[None] == CONFIDENCE_WEIGHTS[0] == 0.2


def test_equal_weights_leave_the_choice_to_the_first() -> None:
    assert sum([0.2] * 3) > 0.6  # in floats
    one_against_three = [Parsed(choice="b"), *[Parsed(choice="a")] * 3]
    assert vote(one_against_three, [0.6, 0.2, 0.2, 0.2], "choice") == Parsed(choice="b")
    assert vote(one_against_three[::-1], [0.2, 0.2, 0.2, 0.6], "choice") == Parsed(choice="a")


def test_what_cannot_be_read_has_no_vote() -> None:
    assert vote([REFUSAL, REFUSAL, Parsed(count=4)], [1.0, 1.0, 0.2], "count") == Parsed(count=4)
    assert equal([EMPTY, REFUSAL, REFUSAL], "count") == REFUSAL
    assert equal([EMPTY, REFUSAL], "count") == EMPTY
    assert vote([EMPTY, REFUSAL, Parsed(count=3), Parsed(count=2)], [1.0, 1.0, 0.0, 0.0], "count") == Parsed(count=3)


def test_wrong_use() -> None:
    for answers, weights in (
        ([], []),
        ([EMPTY], [-1.0]),
        ([EMPTY], [math.nan]),
        ([EMPTY], [math.inf]),
        ([EMPTY], [1.0, 1.0]),
    ):
        with pytest.raises(ValueError, match="a vote needs"):
            vote(answers, weights, "count")
    with pytest.raises(ValueError, match="answer type 'mood'"):
        vote([EMPTY], [1.0], "mood")
    with pytest.raises(ValueError, match="cannot be written"):
        answer_text(Parsed(), "distance")
    with pytest.raises(ValueError, match="cannot be written"):
        answer_text(Parsed(), "choice")


FRACTIONS = {
    name: st.floats(low, high).map(lambda value: round(value, 3) + 0.0)
    for name, low, high in (
        ("distance_m", 0, 5000),
        ("speed_mps", 0, 90),
        ("x_m", -500, 500),
        ("y_m", -500, 500),
        ("time_s", 0, 3000),
        ("bearing_deg", -179.999, 180),
        ("yaw_deg", -179.999, 180),
    )
}
EDGES = st.tuples(*(st.integers(0, 900) for _ in range(4))).map(
    lambda e: box(e[0], e[1], e[0] + e[2] + 1, e[1] + e[3] + 1)
)
TIMES = st.tuples(st.integers(-40, 40), st.integers(0, 40)).map(
    lambda t: {"start_s": t[0] / 10, "end_s": (t[0] + t[1]) / 10}
)
MARKS = st.lists(st.integers(0, 9), unique=True, min_size=1, max_size=5)
OPTIONS = ("left", "right", "keeping its distance", "Region 3", "12.4 meters")
ANSWERS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "distance": st.fixed_dictionaries({"distance_m": FRACTIONS["distance_m"]}),
    "bearing": st.fixed_dictionaries({"bearing_deg": FRACTIONS["bearing_deg"]}),
    "turn": st.fixed_dictionaries({"yaw_deg": FRACTIONS["yaw_deg"]}),
    "speed": st.fixed_dictionaries({"speed_mps": FRACTIONS["speed_mps"]}),
    "longitudinal": st.fixed_dictionaries({"x_m": FRACTIONS["x_m"]}),
    "lateral": st.fixed_dictionaries({"y_m": FRACTIONS["y_m"]}),
    "time": st.fixed_dictionaries({"time_s": FRACTIONS["time_s"]}),
    "localization": st.fixed_dictionaries({name: FRACTIONS[name] for name in ("distance_m", "bearing_deg")}),
    "motion": st.fixed_dictionaries({name: FRACTIONS[name] for name in ("distance_m", "yaw_deg")}),
    "position": st.fixed_dictionaries({name: FRACTIONS[name] for name in ("x_m", "y_m")}),
    "clock": st.fixed_dictionaries({"clock_hour": st.integers(1, 12)}),
    "count": st.fixed_dictionaries({"count": st.integers(0, 40)}),
    "choice": st.fixed_dictionaries({"choice": st.sampled_from(OPTIONS)}),
    "bool": st.fixed_dictionaries({"bool": st.booleans()}),
    "ranking": st.fixed_dictionaries({"marks": MARKS.map(tuple)}),
    "regions": st.fixed_dictionaries({"marks": st.one_of(MARKS.map(lambda m: tuple(sorted(m))), st.just(()))}),
    "interval": TIMES,
    "box": EDGES,
    "interval_box": st.tuples(TIMES, EDGES).map(lambda both: {**both[0], **both[1]}),
    "undetermined": st.fixed_dictionaries({"undetermined": st.booleans()}),
}


def test_every_answer_type_is_drawn() -> None:
    assert set(ANSWERS) == set(ANSWER_TYPES)


@pytest.mark.parametrize("answer_type", ANSWER_TYPES)
@settings(max_examples=30)
@given(data=st.data())
def test_a_voted_answer_reads_back_and_agreement_wins(answer_type: str, data: st.DataObject) -> None:
    drawn = data.draw(st.lists(ANSWERS[answer_type], min_size=1, max_size=8))
    answers = [Parsed(**fields) for fields in drawn]
    weights = data.draw(st.lists(st.sampled_from([0.2, 0.6, 1.0]), min_size=len(answers), max_size=len(answers)))
    voted = vote(answers, weights, answer_type)
    assert isinstance(voted, Parsed)
    assert vote(answers, [2 * weight for weight in weights], answer_type) == voted
    text = answer_text(voted, answer_type)
    assert same(parse(text, answer_type, OPTIONS if answer_type == "choice" else ()), voted, 1e-9), text
    majority = [answers[0]] * 3 + answers[1:2]
    assert same(vote(majority, [1.0] * len(majority), answer_type), answers[0], 2e-3)


def same(first: Parsed | ParseFailure, second: Parsed, within: float) -> bool:
    """Equal, numbers to so much."""
    pairs = ((getattr(first, name, None), value) for name, value in vars(second).items())
    return all(math.isclose(a, b, rel_tol=0, abs_tol=within) if isinstance(b, float) else a == b for a, b in pairs)
