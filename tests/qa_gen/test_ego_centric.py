from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from drive_vqa.geometry import clock_hour
from drive_vqa.prompt import camera_words
from qa_gen.families.ego_centric import TYPES
from qa_gen.families.ego_view import CAMERAS
from qa_gen.relations.margins import clock_hours
from tests.qa_gen.by_hand import NUMBERS, Scene, Thing, answer
from tests.qa_gen.wording_rules import faults

KINDS = {kind.name: kind for kind in TYPES}
RING = ("CAM_FRONT", "CAM_FRONT_LEFT", "CAM_BACK")


def told(name: str, *things: Thing, parameter: int = 0, **scene: Any) -> Any:
    kind = KINDS[name]
    asked = Scene(things, **scene).asked(range(kind.roles), parameter)
    return answer(kind, kind.truth(asked))


def polar(bearing_deg: float, distance_m: float = 20.0, **options: Any) -> Thing:
    turn_rad = np.radians(bearing_deg)
    return Thing(distance_m * np.cos(turn_rad), distance_m * np.sin(turn_rad), **options)


@pytest.mark.parametrize(
    ("name", "thing", "expected"),
    [
        ("distance", Thing(3.0, -4.0), 5.0),
        ("gap", Thing(20.0), 20.0 - 2.2 - 1.4 - 2.3),
        ("gap", Thing(-10.0), 10.0 - 2.2 + 1.4 - 2.3),
        ("gap", Thing(1.4, 5.0, yaw_deg=90.0), 5.0 - 2.2 - 0.95),
        ("gap", Thing(1.4, 2.1), None),
        ("bearing", polar(-30.0), -30.0),
        ("bearing", Thing(-10.0, -0.0), 180.0),
        ("clock", polar(14.0), 12),
        ("clock", polar(16.0), 11),
        ("clock", polar(-91.0), 3),
        ("clock", polar(180.0), 6),
        ("side", polar(6.0), "left"),
        ("side", polar(-6.0), "right"),
        ("side", polar(4.0), None),
        ("side", polar(176.0), None),
        ("side", polar(-176.0), None),
        ("side", polar(-174.0), "right"),
        ("ahead_behind", Thing(5.1, 30.0), "ahead"),
        ("ahead_behind", Thing(-3.1, 30.0), "behind"),
        ("ahead_behind", Thing(4.9), None),
        ("ahead_behind", Thing(-2.9), None),
        ("lateral", Thing(10.0, -3.0), -3.0),
        ("longitudinal", Thing(-10.0, -3.0), -10.0),
        ("in_my_path", Thing(30.0, 2.6), True),  # its side is at 1.7
        ("in_my_path", Thing(30.0, 2.8), False),
        ("in_my_path", Thing(30.0, 3.9, yaw_deg=90.0), True),
        ("in_my_path", Thing(62.1), True),
        ("in_my_path", Thing(62.3), False),
        ("in_my_path", Thing(-2.3), False),
        ("facing", Thing(yaw_deg=-34.0), "same way"),
        ("facing", Thing(yaw_deg=36.0), None),
        ("facing", Thing(yaw_deg=56.0), "across"),
        ("facing", Thing(yaw_deg=-124.0), "across"),
        ("facing", Thing(yaw_deg=126.0), None),
        ("facing", Thing(yaw_deg=-146.0), "opposite way"),
        ("heading", Thing(yaw_deg=-146.0), -146.0),
        ("heading", Thing(yaw_deg=190.0), -170.0),
        ("longer_than_me", Thing(size_m=(5.1, 2.0, 2.0)), True),
        ("longer_than_me", Thing(size_m=(5.0, 2.0, 2.0)), None),
        ("longer_than_me", Thing(size_m=(4.3, 2.0, 2.0)), None),
        ("longer_than_me", Thing(size_m=(4.1, 2.0, 2.0)), False),
    ],
)
def test_the_truth_about_one_agent_is_as_computed_by_hand(name: str, thing: Thing, expected: Any) -> None:
    found = told(name, thing)

    assert found == (pytest.approx(expected, abs=1e-9) if isinstance(expected, float) else expected)


def test_hours_are_those_of_the_core() -> None:
    bearings_deg = np.r_[np.arange(-179.5, 180.5, 0.5), np.nan]

    assert clock_hours(bearings_deg).tolist() == [*(clock_hour(one) for one in bearings_deg[:-1]), -1]


def test_lane_relation_reads_the_map_and_the_pose() -> None:
    lanes = [[(100.0, 0.0), (100.0, 90.0)], [(96.5, 0.0), (96.5, 90.0)]]
    scene = {"ego_x_m": 100.0, "ego_y_m": 10.0, "ego_yaw_deg": 90.0, "lanes": lanes}

    assert told("lane_relation", Thing(20.0, 3.4), **scene) == "the lane to my left"
    assert told("lane_relation", Thing(20.0, 0.4), **scene) == "my lane"
    assert told("lane_relation", Thing(20.0, 0.4), **{**scene, "lanes": None}) is None
    assert told("lane_relation", Thing(20.0, 0.4), **{**scene, "ego_yaw_deg": np.nan}) is None


def view(fraction: float, box: Sequence[float] = (100.0, 100.0, 300.0, 300.0)) -> tuple[float, ...]:
    return (*box, fraction)


@pytest.mark.parametrize(
    ("fraction", "box", "expected"),
    [
        (0.69, (100, 100, 300, 300), True),
        (0.71, (100, 100, 300, 300), None),
        (0.94, (100, 100, 300, 300), None),
        (0.96, (100, 100, 300, 300), False),
        (0.5, (1, 100, 300, 300), None),
        (0.5, (100, 2, 300, 300), None),
        (0.5, (100, 100, 1599, 300), None),
        (0.5, (100, 100, 300, 898), None),
        (0.5, (3, 3, 1597, 897), True),
    ],
)
def test_partly_hidden_is_not_asked_at_the_border(fraction: float, box: tuple[float, ...], expected: Any) -> None:
    assert told("partly_hidden", Thing(views={"CAM_FRONT": view(fraction, box)})) is expected


def test_partly_hidden_needs_a_region_and_the_size_of_the_image() -> None:
    assert told("partly_hidden", Thing()) is None
    assert told("partly_hidden", Thing(views={"CAM_FRONT": view(0.5)}), width=None) is None


def test_partly_hidden_is_judged_in_the_image_that_shows_most() -> None:
    views = {"CAM_FRONT": view(0.4), "CAM_BACK": view(0.99)}

    assert told("partly_hidden", Thing(views=views), kind="surround", cameras=RING) is False


def test_best_camera_must_be_clearly_better_than_the_second() -> None:
    def best(views: dict[str, float], cameras: tuple[str, ...] = RING) -> Any:
        shown = {camera: view(fraction) for camera, fraction in views.items()}
        return told("best_camera", Thing(views=shown), kind="surround", cameras=cameras)

    assert best({"CAM_FRONT_LEFT": 0.9, "CAM_FRONT": 0.7}) == "front left camera"
    assert best({"CAM_FRONT_LEFT": 0.9, "CAM_FRONT": 0.75}) is None
    assert best({"CAM_BACK": 0.3}) == "back camera"
    assert best({"CAM_BACK": 0.29, "CAM_FRONT": 0.24}) is None  # the second is too little to be marked, yet counts
    assert best({}) is None
    assert best({"fish_eye": 0.9}, ("CAM_FRONT", "fish_eye")) is None
    assert best({"ring_rear_left": 0.9}, ("ring_front_center", "ring_rear_left")) == "back left camera"


def test_all_camera_words_are_choices() -> None:
    rings = ("front_center", "front_left", "front_right", "side_left", "side_right", "rear_left", "rear_right")
    words = {camera_words(f"ring_{name}") for name in rings} | {camera_words("CAM_BACK")}
    assert words == set(CAMERAS) == set(KINDS["best_camera"].choices)


MIXED = (
    Thing(12.0),
    Thing(20.0, 8.0),
    Thing(30.0, category="pedestrian"),
    Thing(9.0, -1.0, category="pedestrian"),
    Thing(40.0, -5.0, category="bicycle"),
)
"""Cars at 12.0 and 21.5 m, pedestrians at 30 and 9.06 m, a bicycle at 40.3 m."""


def test_nearest_of_class_asks_about_a_class_with_two_marks_and_another() -> None:
    kind = KINDS["nearest_of_class"]
    asked = {kind.parameters[kind.truth(Scene(MIXED).asked((), draw))["parameter"][0]] for draw in range(9)}
    by_class = {
        kind.parameters[truth["parameter"][0]]: truth["mark"][0]
        for truth in (kind.truth(Scene(MIXED).asked((), draw)) for draw in range(9))
    }

    assert asked == {"car", "pedestrian"}
    assert by_class == {"car": NUMBERS[0], "pedestrian": NUMBERS[3]}
    assert told("nearest_of_class", *MIXED[:2]) is None
    assert told("nearest_of_class", MIXED[0], MIXED[2], MIXED[4]) is None
    assert told("nearest_of_class", Thing(20.0), Thing(21.0), MIXED[2]) is None


def test_nearest_and_rank_of_all_marks() -> None:
    assert told("nearest_mark", *MIXED) == NUMBERS[3]
    assert told("nearest_mark", MIXED[0]) is None
    assert told("nearest_mark", Thing(20.0), Thing(21.9)) is None
    assert told("rank_by_distance", *MIXED) == [NUMBERS[place] for place in (3, 0, 1, 2, 4)]
    assert told("rank_by_distance", *MIXED, Thing(55.0)) is None
    assert told("rank_by_distance", MIXED[0]) is None
    assert told("rank_by_distance", *MIXED[:3], Thing(31.0)) is None


@pytest.mark.parametrize(
    ("parameter", "things", "expected"),
    [
        (0, MIXED, [6]),
        (1, MIXED, [1, 6]),
        (2, MIXED[:2], [1, 3]),
        (2, MIXED, None),  # one at 30 m
        (0, MIXED[4:], []),
        (1, [Thing(20.9)], None),
        (1, [Thing(21.1)], []),
        (1, [Thing(18.9)], [1]),
    ],
)
def test_marks_within(parameter: int, things: Sequence[Thing], expected: Any) -> None:
    assert told("marks_within", *things, parameter=parameter) == expected


def test_counts_by_class() -> None:
    things = (*MIXED, Thing(category="motorcycle"))

    assert [told("count_class", *things, parameter=choice) for choice in range(3)] == [3, 2, 2]
    assert [told("count_class", *MIXED[:1], parameter=choice) for choice in range(3)] == [1, 0, 0]


def test_counts_by_side() -> None:
    things = (polar(20.0), polar(2.1), polar(-40.0))

    assert [told("count_sector", *things, parameter=choice) for choice in range(2)] == [2, 1]
    assert told("count_sector", *things, polar(-1.9)) is None


def test_counts_by_quarter() -> None:
    bearings = (0.0, 41.0, -41.0, 49.0, -131.0, 180.0)
    names = KINDS["count_sector_around"].parameters
    found = {
        name: told("count_sector_around", *map(polar, bearings), parameter=place) for place, name in enumerate(names)
    }

    assert found == {"ahead of me": 3, "behind me": 1, "to my left": 1, "to my right": 1}
    assert told("count_sector_around", polar(43.0)) is None
    assert told("count_sector_around", polar(-137.0)) is None


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.name)
def test_what_is_not_known_is_not_asked(kind: Any) -> None:
    nothing = Thing(np.nan, np.nan, np.nan, (np.nan,) * 3, np.nan, "unheard-of")
    asked = Scene([nothing] * 4, lanes=[[(0.0, 0.0), (50.0, 0.0)]]).asked(range(kind.roles))

    assert answer(kind, kind.truth(asked)) is None


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.name)
def test_a_lone_mark_makes_no_trouble(kind: Any) -> None:
    asked = Scene([Thing()], kind="surround").asked([0] * kind.roles, empty_places=0)

    assert all(len(values) == 1 for values in kind.truth(asked).values())


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.name)
def test_texts_are_well_formed(kind: Any) -> None:
    assert faults(kind) == []
    assert kind.family == "ego"
