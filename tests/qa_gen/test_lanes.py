from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from shapely import LineString, Point

from qa_gen.drive import Lanes
from qa_gen.relations.lanes import RELATIONS, lane_relation
from tests.qa_gen.by_hand import lanes_of

Line = list[tuple[float, float]]

ONE = np.zeros(1, dtype=np.int64)
MINE: Line = [(-20.0, 0.0), (10.0, 0.0), (60.0, 0.0)]
LEFT: Line = [(-20.0, 3.5), (60.0, 3.5)]
RIGHT: Line = [(-20.0, -3.5), (60.0, -3.5)]
ONCOMING: Line = [(60.0, 7.0), (-20.0, 7.0)]
CROSSING: Line = [(30.0, -60.0), (30.0, -10.0)]
STREET = [MINE, LEFT, RIGHT, ONCOMING, CROSSING]


def relation(
    lines: list[Line], place: tuple[float, float], ego: tuple[float, float, float] = (0.0, 0.0, 0.0)
) -> str | None:
    """`ego`: x, y, heading in degrees."""
    found = lane_relation(lanes_of(lines), np.array([ego[:2]]), np.array([ego[2]]), ONE, np.array([place]))[0]
    return None if found < 0 else RELATIONS[found]


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ((30.0, 0.0), "my lane"),
        ((30.0, 1.1), "my lane"),
        ((-15.0, -1.1), "my lane"),
        ((30.0, 1.3), None),
        ((30.0, 2.2), None),
        ((30.0, 2.4), "the lane to my left"),
        ((30.0, 4.6), "the lane to my left"),
        ((30.0, 5.0), None),
        ((30.0, -3.0), "the lane to my right"),
        ((30.0, 7.5), "a lane of oncoming traffic"),
        ((30.0, 8.9), "a lane of oncoming traffic"),
        ((30.0, 9.1), None),
        ((31.5, -30.0), "a crossing lane"),
        ((61.0, 0.0), None),  # beyond the end of my lane, yet within reach of it
        ((-20.5, 3.5), None),
    ],
)
def test_relations_on_a_street(place: tuple[float, float], expected: str | None) -> None:
    assert relation(STREET, place) == expected


@pytest.mark.parametrize("turn_deg", [0.0, 37.0, -120.0, 180.0])
def test_the_street_may_lie_anywhere(turn_deg: float) -> None:
    turn = np.exp(1j * math.radians(turn_deg))

    def moved(x_m: float, y_m: float) -> tuple[float, float]:
        place = turn * complex(x_m, y_m) + complex(700.0, -2e6)
        return place.real, place.imag

    street = [[moved(*point) for point in line] for line in STREET]
    ego = (*moved(-5.0, 0.3), turn_deg)

    answers = [relation(street, (35.0, y_m), ego) for y_m in (-0.3, 3.2, -3.8, 6.7, 30.0)]

    assert answers == ["my lane", "the lane to my left", "the lane to my right", "a lane of oncoming traffic", None]


def test_an_ego_without_a_lane_of_its_heading_has_no_relations() -> None:
    assert relation(STREET, (0.0, 3.5), ego=(0.0, 20.0, 0.0)) is None
    assert relation([MINE, ONCOMING], (30.0, 0.0), ego=(0.0, 0.0, 50.0)) is None
    assert relation([MINE, LEFT], (20.0, 3.5 - 20.0 * math.tan(math.radians(5))), ego=(0.0, 0.0, 5.0)) is not None
    assert relation([ONCOMING], (30.0, 0.0), ego=(0.0, 7.0, 0.0)) is None


def test_where_two_lanes_cross_it_is_not_clear_which_one_an_agent_is_in() -> None:
    across: Line = [(30.0, -40.0), (30.0, 40.0)]

    assert relation([MINE, across], (30.5, 0.5)) is None
    assert relation([MINE, across], (33.0, 0.5)) == "my lane"
    assert relation([MINE, [(30.0, 0.0), (40.0, 8.0)]], (30.5, 0.2)) == "my lane"  # 39 degrees


def test_two_lanes_that_are_alike_with_mine_but_not_with_each_other_make_a_junction() -> None:
    fork: list[Line] = [[(30.0, 0.0), (40.0, 5.0)], [(30.0, 0.0), (40.0, -5.0)]]  # 27 degrees to either side

    assert relation([MINE, fork[0]], (30.2, 0.0)) == "my lane"
    assert relation([MINE, *fork], (30.2, 0.0)) is None


def test_my_lane_is_followed_around_a_curve() -> None:
    bend = [(30.0 * math.sin(angle), 30.0 - 30.0 * math.cos(angle)) for angle in np.linspace(-0.3, 1.4, 60)]
    on_it = (30.0 * math.sin(0.7), 30.0 - 30.0 * math.cos(0.7))

    assert relation([bend], on_it) == "my lane"
    late = (30.0 * math.sin(1.2), 30.0 - 30.0 * math.cos(1.2))
    assert relation([bend], late) == "a crossing lane"  # it heads 69 degrees to my left by then


def test_no_map_no_pose_and_broken_lines_give_no_answer() -> None:
    nothing = Lanes(np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0, dtype=np.int64))
    place = np.array([[10.0, 0.0]])

    assert lane_relation(nothing, np.zeros((1, 2)), np.zeros(1), ONE, place).tolist() == [-1]
    street = lanes_of(STREET)
    assert lane_relation(street, np.full((1, 2), np.nan), np.zeros(1), ONE, place).tolist() == [-1]
    assert lane_relation(street, np.zeros((1, 2)), np.array([np.nan]), ONE, place).tolist() == [-1]
    assert lane_relation(street, np.zeros((1, 2)), np.zeros(1), ONE, np.full((1, 2), np.nan)).tolist() == [-1]
    broken: list[Line] = [
        [(0.0, 0.0), (0.0, 0.0), (np.inf, 1.0)],
        [(0.0, 1.0), (1e7, 1.0)],
        [(np.nan, 0.0), (9.0, 0.0)],
    ]
    assert relation(broken, (10.0, 0.0)) is None


class Street:
    """The definition, lane by lane, with shapely's distances."""

    def __init__(self, lines: list[Line], ego: tuple[float, float, float]) -> None:
        self.lines, self.ego = lines, ego
        self.segments = [[LineString(pair) for pair in itertools.pairwise(line)] for line in lines]
        near = [one for one in self.candidates(complex(*ego[:2])) if one[0] <= 2.0]
        self.own = [one for one in near if self.off_deg(one[1], ego[2]) <= 45.0]

    @staticmethod
    def off_deg(one_deg: float, other_deg: float) -> float:
        return abs(math.remainder(one_deg - other_deg, 360.0))

    def candidates(self, place: complex) -> list[tuple[float, float, int, LineString]]:
        """Of each lane: distance, heading, number, nearest segment; nearest first."""
        point, found = Point(place.real, place.imag), []
        for lane, segments in enumerate(self.segments):
            distances = [segment.distance(point) for segment in segments]
            near = segments[distances.index(min(distances))]
            (x0, y0), (x1, y1) = near.coords
            found.append((min(distances), math.degrees(math.atan2(y1 - y0, x1 - x0)), lane, near))
        return sorted(found, key=lambda one: one[:3])

    def relation(self, place: tuple[float, float]) -> str | None:
        here = complex(*self.ego[:2]) + np.exp(1j * math.radians(self.ego[2])) * complex(*place)
        each = self.candidates(here)
        its = [one for one in each if one[0] <= 2.0]
        if not self.own or not its:
            return None
        if any(self.off_deg(a[1], b[1]) > 45.0 for a, b in itertools.combinations(its, 2)):
            return None
        turned_deg = self.off_deg(its[0][1], self.ego[2])
        if turned_deg >= 45.0:
            return RELATIONS[3] if turned_deg > 135.0 else RELATIONS[4]
        _, heading_deg, lane, segment = next(one for one in each if one[2] == self.own[0][2])
        (x0, y0), (x1, y1) = segment.coords
        local = (here - complex(x0, y0)) * np.exp(-1j * math.radians(heading_deg))
        first, last = (x0, y0) == self.lines[lane][0], (x1, y1) == self.lines[lane][-1]
        if (first and local.real < 0.0) or (last and local.real > abs(complex(x1 - x0, y1 - y0))):
            return None
        if abs(local.imag) < 1.2:
            return RELATIONS[0]
        if 2.3 < abs(local.imag) < 4.7:
            return RELATIONS[1] if local.imag > 0 else RELATIONS[2]
        return None


def test_random_streets_agree_with_the_definition() -> None:
    random = np.random.default_rng(8)
    counts = dict.fromkeys([*RELATIONS, None], 0)
    for _ in range(60):
        lines: list[Line] = []
        for lane in range(9):
            heading = random.choice([0.0, 0.0, 0.1, np.pi, 1.5]) + random.normal(0.0, 0.05)
            steps = np.exp(1j * (heading + np.cumsum(random.normal(0.0, 0.06, 7)))) * random.uniform(3.0, 15.0, 7)
            start = complex(-30.0 * np.cos(heading), 3.5 * (lane - 4)) + (0 if np.cos(heading) ** 2 > 0.5 else 20 - 30j)
            points = start + np.r_[0, np.cumsum(steps)]
            lines.append([(float(point.real), float(point.imag)) for point in points])
        ego = (*random.uniform(-4.0, 4.0, 2).tolist(), float(random.normal(0.0, 12.0)))
        places = random.uniform([-20.0, -15.0], [50.0, 15.0], (25, 2))
        found = lane_relation(
            lanes_of(lines), np.array([ego[:2]]), np.array([ego[2]]), np.zeros(25, dtype=np.int64), places
        )
        street = Street(lines, ego)
        expected = [street.relation(tuple(place)) for place in places]
        assert [None if one < 0 else RELATIONS[one] for one in found] == expected
        for one in expected:
            counts[one] += 1
    assert min(counts.values()) >= 3, counts
