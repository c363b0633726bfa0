from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from qa_gen.families.object_centric import TYPES
from tests.qa_gen.by_hand import NUMBERS, Scene, Thing, answer
from tests.qa_gen.wording_rules import faults

KINDS = {kind.name: kind for kind in TYPES}


def told(name: str, *things: Thing, roles: Sequence[int] | None = None, parameter: int = 0) -> Any:
    kind = KINDS[name]
    asked = Scene(things).asked(range(kind.roles) if roles is None else roles, parameter)
    return answer(kind, kind.truth(asked))


def at_bearing(bearing_deg: float, distance_m: float = 10.0, **options: Any) -> Thing:
    turn_rad = np.radians(bearing_deg)
    return Thing(distance_m * np.cos(turn_rad), distance_m * np.sin(turn_rad), **options)


NORTH = Thing(20.0, 0.0, yaw_deg=90.0)
"""Looks to my left: what is farther ahead of me is on its right."""


@pytest.mark.parametrize(
    ("name", "things", "expected"),
    [
        ("left_right", [at_bearing(10.0), at_bearing(7.5)], "left"),
        ("left_right", [at_bearing(-10.0, 50.0), at_bearing(-7.5)], "right"),
        ("left_right", [at_bearing(10.0), at_bearing(8.5)], None),
        ("closer", [Thing(10.0), Thing(11.1)], "{a}"),
        ("closer", [Thing(11.1), Thing(-10.0)], "{b}"),
        ("closer", [Thing(10.0), Thing(10.9)], None),
        ("farther_ahead", [Thing(11.1, 30.0), Thing(10.0)], "{a}"),
        ("farther_ahead", [Thing(10.0), Thing(11.1)], "{b}"),
        ("farther_ahead", [Thing(10.0), Thing(10.9)], None),
        ("front_behind", [NORTH, Thing(22.0, 0.2)], None),  # 84 degrees off
        ("front_behind", [NORTH, Thing(22.0, -0.2)], None),
        ("front_behind", [NORTH, Thing(22.0, 0.5)], "in front"),  # 76 degrees off
        ("front_behind", [NORTH, Thing(21.0, -1.0)], "behind"),
        ("front_behind", [Thing(20.0), Thing(25.0)], "in front"),
        ("front_behind", [Thing(20.0, yaw_deg=180.0), Thing(25.0)], "behind"),
        ("left_right_own", [NORTH, Thing(25.0)], "right"),
        ("left_right_own", [NORTH, Thing(15.0)], "left"),
        ("left_right_own", [NORTH, Thing(20.5, 10.0)], None),  # 3 degrees off its heading
        ("left_right_own", [NORTH, Thing(20.5, -10.0)], None),
        ("left_right_own", [Thing(20.0, yaw_deg=180.0), Thing(20.0, 5.0)], "right"),
        ("above_below", [Thing(z_m=1.6), Thing(z_m=1.0)], "higher"),
        ("above_below", [Thing(z_m=1.0), Thing(z_m=1.6)], "lower"),
        ("above_below", [Thing(z_m=1.0), Thing(z_m=1.4)], None),
        ("pair_clock", [NORTH, Thing(25.0)], 3),
        ("pair_clock", [NORTH, Thing(20.0, 5.0)], 12),
        ("pair_clock", [NORTH, Thing(15.0)], 9),
        ("pair_clock", [NORTH, Thing(20.0, -5.0)], 6),
        ("pair_clock", [NORTH, Thing(15.0, 5.0 * 3**0.5)], 11),
        ("pair_bearing", [NORTH, Thing(25.0)], -90.0),
        ("pair_bearing", [NORTH, Thing(15.0, 5.0)], 45.0),
        ("pair_distance", [Thing(10.0, 5.0), Thing(13.0, 1.0)], 5.0),
        ("pair_gap", [Thing(10.0), Thing(20.0, yaw_deg=90.0)], 10.0 - 2.2 - 0.9),
        ("pair_gap", [Thing(10.0), Thing(13.0 + 4.4, 4.0 + 1.8)], 5.0),  # corner to corner: 3, 4
        ("pair_gap", [Thing(10.0), Thing(14.6)], None),
        ("pair_gap", [Thing(10.0), Thing(11.0)], None),
        ("pair_lateral", [Thing(10.0, -2.0), Thing(30.0, 3.5)], 5.5),
        ("pair_lateral", [Thing(10.0, 2.0, 180.0), Thing(30.0, -3.5, 90.0)], -5.5),
        ("pair_longitudinal", [Thing(10.0), Thing(30.0, 3.5)], 20.0),
        ("pair_longitudinal", [Thing(30.0, 8.0, 180.0), Thing(10.0)], -20.0),
        ("taller", [Thing(size_m=(1, 1, 1.7)), Thing(size_m=(9, 9, 1.5))], "{a}"),
        ("taller", [Thing(size_m=(1, 1, 1.5)), Thing(size_m=(9, 9, 1.7))], "{b}"),
        ("taller", [Thing(size_m=(1, 1, 1.5)), Thing(size_m=(9, 9, 1.6))], None),
        ("wider", [Thing(size_m=(1, 2.5, 1)), Thing(size_m=(9, 1.9, 9))], "{a}"),
        ("wider", [Thing(size_m=(1, 1.9, 1)), Thing(size_m=(9, 2.0, 9))], None),
        ("longer", [Thing(size_m=(4.4, 9, 9)), Thing(size_m=(5.0, 1, 1))], "{b}"),
        ("longer", [Thing(size_m=(4.4, 9, 9)), Thing(size_m=(4.8, 1, 1))], None),
        ("bigger", [Thing(size_m=(2, 2, 2)), Thing(size_m=(1, 1, 6.6))], "{a}"),
        ("bigger", [Thing(size_m=(2, 2, 2)), Thing(size_m=(1, 1, 6.7))], None),
        ("bigger", [Thing(size_m=(2, 2, 2)), Thing(size_m=(1, 1, 9.7))], "{b}"),
        ("height", [Thing(size_m=(4.0, 3.0, 2.0))], 2.0),
        ("width", [Thing(size_m=(4.0, 3.0, 2.0))], 3.0),
        ("length", [Thing(size_m=(4.0, 3.0, 2.0))], 4.0),
        ("pair_heading", [Thing(yaw_deg=170.0), Thing(yaw_deg=-165.0)], "the same way"),
        ("pair_heading", [Thing(yaw_deg=170.0), Thing(yaw_deg=-155.0)], None),
        ("pair_heading", [Thing(yaw_deg=10.0), Thing(yaw_deg=-165.0)], "opposite ways"),
        ("pair_heading", [Thing(yaw_deg=10.0), Thing(yaw_deg=-80.0)], "across each other"),
        ("pair_heading", [Thing(yaw_deg=10.0), Thing(yaw_deg=135.0)], None),
        ("relative_heading", [Thing(yaw_deg=10.0), Thing(yaw_deg=50.0)], 40.0),
        ("relative_heading", [Thing(yaw_deg=170.0), Thing(yaw_deg=-165.0)], 25.0),
        ("category", [Thing(category="bus")], "bus"),
        ("category", [Thing(category="construction_vehicle")], "construction vehicle"),
        ("category", [Thing(category="animal")], None),
        ("category", [Thing(category="other")], None),
        ("same_category", [Thing(category="bus"), Thing(category="bus")], True),
        ("same_category", [Thing(category="bus"), Thing(category="car")], False),
        ("between", [Thing(10.0), Thing(20.0), Thing(15.0, 1.9)], True),
        ("between", [Thing(10.0), Thing(20.0), Thing(15.0, -2.2)], None),
        ("between", [Thing(10.0), Thing(20.0), Thing(15.0, -2.6)], False),
        ("between", [Thing(10.0), Thing(20.0), Thing(10.5)], None),
        ("between", [Thing(10.0), Thing(20.0), Thing(9.4)], False),
        ("between", [Thing(10.0), Thing(20.0), Thing(20.6)], False),
        ("between", [Thing(10.0), Thing(11.9), Thing(30.0)], None),
        ("between", [Thing(10.0, 10.0), Thing(20.0, 20.0), Thing(14.0, 16.0)], True),
        ("closer_to", [Thing(10.0), Thing(10.0, 5.0), Thing(16.0)], "{b}"),
        ("closer_to", [Thing(10.0), Thing(10.0, 5.0), Thing(14.0)], "{c}"),
        ("closer_to", [Thing(10.0), Thing(10.0, 5.0), Thing(15.4)], None),
    ],
)
def test_the_truth_of_pairs_is_as_computed_by_hand(name: str, things: list[Thing], expected: Any) -> None:
    found = told(name, *things)

    assert found == (pytest.approx(expected, abs=1e-9) if isinstance(expected, float) else expected)


ROW = [Thing(10.0), Thing(10.0, 4.0), Thing(10.0, -6.0), Thing(22.0), Thing(10.0, 9.0)]
"""Seen from the first: 4, 6, 12 and 9 m away."""


def test_nearest_and_farthest_are_chosen_among_the_other_marks() -> None:
    assert told("nearest_to", *ROW) == NUMBERS[1]
    assert told("farthest_from", *ROW) == NUMBERS[3]
    assert told("nearest_to", *ROW, roles=[4]) == NUMBERS[1]  # 5 m; to the first 9
    assert told("nearest_to", *ROW[:2]) is None
    assert told("nearest_to", Thing(10.0), Thing(14.0), Thing(10.0, 4.3)) is None
    assert told("nearest_to", Thing(10.0), Thing(14.0), Thing(10.0, 4.5)) == NUMBERS[1]
    assert told("farthest_from", Thing(10.0), Thing(14.0), Thing(10.0, 4.3)) is None


def test_options_are_the_other_marks() -> None:
    truth = KINDS["nearest_to"].truth(Scene(ROW[:3]).asked([1]))

    assert sorted(number for number in truth["options"][0] if number >= 0) == [NUMBERS[0], NUMBERS[2]]


def test_order_lists_the_others_nearest_first_where_each_step_is_clear() -> None:
    assert told("order_from", *ROW) == [NUMBERS[1], NUMBERS[2], NUMBERS[4], NUMBERS[3]]
    assert told("order_from", *ROW, Thing(40.0)) is None  # five others
    assert told("order_from", *ROW[:2]) is None
    assert told("order_from", Thing(10.0), Thing(11.0), Thing(10.0, 1.2)) is None  # 20 % more, but only 0.2 m
    assert told("order_from", Thing(10.0), Thing(11.0), Thing(10.0, 1.35)) == [NUMBERS[1], NUMBERS[2]]


@pytest.mark.parametrize(("parameter", "expected"), [(0, 1), (1, 3), (2, 4)])
def test_count_within_counts_the_others_in_the_radius(parameter: int, expected: int) -> None:
    assert told("count_within", *ROW, parameter=parameter) == expected
    assert KINDS["count_within"].parameters[parameter] == f"{(5, 10, 20)[parameter]} meters"


def test_count_within_is_not_asked_where_one_is_near_the_circle() -> None:
    assert told("count_within", *ROW, Thing(10.0, 5.2)) is None
    assert told("count_within", Thing(10.0), Thing(11.0)) is None


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.name)
def test_what_is_not_known_is_not_asked(kind: Any) -> None:
    nothing = Thing(np.nan, np.nan, np.nan, (np.nan,) * 3, np.nan, "unheard-of")
    asked = Scene([nothing] * 4).asked(range(kind.roles))

    assert answer(kind, kind.truth(asked)) is None


@pytest.mark.parametrize("name", ["nearest_to", "farthest_from", "order_from", "count_within"])
def test_one_unknown_place_makes_a_comparison_with_all_others_unclear(name: str) -> None:
    assert told(name, *ROW) is not None
    assert told(name, *ROW[:3], Thing(np.nan)) is None


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.name)
def test_a_lone_mark_makes_no_trouble(kind: Any) -> None:
    asked = Scene([Thing()]).asked([0] * kind.roles, empty_places=0)

    assert set(kind.truth(asked)) <= {"distance_m", "bearing_deg", "yaw_deg", "x_m", "y_m", "clock_hour", "count"} | {
        "choice", "bool", "mark", "marks", "options", "asked"
    }  # fmt: skip


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.name)
def test_texts_are_well_formed(kind: Any) -> None:
    assert faults(kind) == []
    assert kind.family == "object"
