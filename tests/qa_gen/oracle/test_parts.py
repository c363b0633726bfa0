"""The parts of the oracle that are more than a line, against other ways to find the same."""

from __future__ import annotations

import cmath
import random

import pytest
from shapely import LineString, affinity
from shapely.geometry import Point

from tests.qa_gen.oracle.answers import parse, says
from tests.qa_gen.oracle.case import OnTheEdge, clock, wrap
from tests.qa_gen.oracle.collision import collision_s
from tests.qa_gen.oracle.crossing import first_crossing
from tests.qa_gen.oracle.raw import ego_box, rectangle


def test_collision_is_the_first_step_at_which_polygons_share_area():
    dice = random.Random(3)
    hits = 0
    for _ in range(150):
        place = complex(dice.uniform(-20, 40), dice.uniform(-12, 12))
        heading, length_m, width_m = dice.uniform(-4, 4), dice.uniform(0.5, 12), dice.uniform(0.5, 3)
        velocity = complex(dice.uniform(-14, 6), dice.uniform(-8, 8)) * dice.choice([0, 1, 1, 1])
        found = collision_s(place, heading, length_m, width_m, velocity)
        ground = rectangle(place, cmath.rect(1, heading), length_m, width_m)
        stepped = None
        for step in range(101):
            at = affinity.translate(ground, velocity.real * step / 10, velocity.imag * step / 10)
            if at.intersection(ego_box()).area > 1e-9:
                stepped = step / 10
                break
        assert found == stepped
        hits += found is not None
    assert 10 < hits < 140


def test_the_first_crossing_is_where_lines_meet():
    dice = random.Random(5)
    crossings = 0
    for _ in range(300):
        one, other = ([complex(dice.uniform(0, 9), dice.uniform(0, 9)) for _ in range(4)] for _ in range(2))
        found = first_crossing(one, other)
        lines = [LineString([(p.real, p.imag) for p in path]) for path in (one, other)]
        assert (found is not None) == lines[0].intersects(lines[1])
        if found is not None:
            crossings += 1
            k = int(found.first)
            at = one[k] + (found.first - k) * (one[k + 1] - one[k])
            assert lines[1].distance(Point(at.real, at.imag)) < 1e-9
            before = LineString([(p.real, p.imag) for p in [*one[: k + 1], at - 1e-6 * (at - one[k])]])
            assert not before.intersects(lines[1])
    assert 50 < crossings < 295


def test_angles_and_hours():
    assert [wrap(angle) for angle in (180.0, -180.0, 190.0, -190.0, 720.0)] == [180.0, 180.0, -170.0, 170.0, 0.0]
    assert [clock(angle) for angle in (0.0, 14.9, 15.1, -90.0, 90.0, 179.0, -31.0)] == [12, 12, 11, 3, 9, 6, 1]
    with pytest.raises(OnTheEdge):
        clock(15.0)


@pytest.mark.parametrize(
    ("answer_type", "text"),
    [
        ("distance", "12 meters"), ("distance", "-0.0 meters"), ("bearing", "-180 degrees"), ("bearing", "1 degrees"),
        ("bearing", "21 degree"), ("bearing", "-0 degrees"), ("speed", "3.2 mps"), ("interval", "from -1.5 to 0.0 seconds ago"),
        ("regions", "Region 1 and Region 2"), ("undetermined", "unknown"), ("bool", "Yes"), ("box", "[1.0, 2, 3, 4]"),
    ],
)  # fmt: skip
def test_ill_written_answers_do_not_parse(answer_type: str, text: str):
    assert parse(answer_type, text) is None


@pytest.mark.parametrize(
    ("answer_type", "text", "truth"),
    [
        ("distance", "12.4 meters", {"distance_m": 12.44}),
        ("bearing", "180 degrees", {"bearing_deg": -179.7}),
        ("bearing", "1 degree", {"bearing_deg": 0.6}),
        ("bearing", "-11 degrees", {"bearing_deg": -11.2}),
        ("position", "x 12.4 meters, y -3.1 meters", {"x_m": 12.4, "y_m": -3.12}),
        ("ranking", "Region 2, Region 0", {"marks": [2, 0]}),
        ("regions", "none", {"marks": []}),
        ("interval", "from 1.5 to 0.0 seconds ago", {"start_s": -1.5, "end_s": 0.0}),
        (
            "interval_box",
            "from 1.5 to 1.0 seconds ago, [412, 300, 480, 372]",
            {"start_s": -1.5, "end_s": -1.0, "u0_px": 412.0, "v0_px": 300.0, "u1_px": 480.0, "v1_px": 372.0},
        ),
    ],
)
def test_well_written_answers_say_what_is_true(answer_type: str, text: str, truth: dict[str, object]):
    assert says(answer_type, text, truth)
    assert not says(
        answer_type, text.replace("1", "7").replace("Region 2", "Region 4").replace("none", "Region 1"), truth
    )
