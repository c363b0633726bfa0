"""Every manoeuvre from an explicit trajectory, and trajectories just beside its conditions."""

import math

import numpy as np
import pytest

from qa_gen.relations.manoeuvres import MANOEUVRES, manoeuvre_codes
from tests.qa_gen.paths import STANDING, Agent, circle, shifting, straight, subjects, write_paths

EGO = straight(0.0, 0.0, 0.0, 10.0)


def name_of(tmp_path, agent, ego=EGO, **options):
    store = write_paths(tmp_path / "store", {"a": agent}, ego, **options)
    code = manoeuvre_codes(subjects(store, ["a"]))
    assert code.shape == (1,)
    return MANOEUVRES[code[0]] if code[0] >= 0 else None


def mirrored(course):
    def at(time_s):
        state = course(time_s)
        return None if state is None else (state[0], -state[1], -state[2], state[3])

    return at


CASES = [
    # oncoming: after 2 s it is at 30 - 20 - 20 = -10
    ("oncoming pass", straight(30.0, 3.5, 180.0, 10.0), EGO),
    (None, straight(100.0, 3.5, 180.0, 10.0), EGO),
    ("oncoming pass", straight(10.0, 3.5, 140.0, 10.0), EGO),
    (None, straight(30.0, 3.5, 180.0, 0.9), EGO),
    # 6 m/s slower over 3 s: from 10 m ahead to 8 m behind
    ("being overtaken by me", straight(10.0, -3.5, 0.0, 4.0), EGO),
    (None, straight(10.0, -11.0, 0.0, 4.0), EGO),
    (None, straight(10.0, -3.5, 0.0, 0.5), EGO),
    ("overtaking me", straight(-10.0, 3.5, 0.0, 16.0), EGO),
    (None, straight(-10.0, 10.5, 0.0, 16.0), EGO),
    # cuts in from the left lane: 3.5 m to the side, shifts 3.5 m to the right
    ("cutting in", shifting(straight(15.0, 3.5, 0.0, 10.0), -3.5), EGO),
    ("cutting in", shifting(straight(15.0, -3.5, 0.0, 10.0), 2.5), EGO),
    ("cutting in", shifting(straight(15.0, 2.4, 0.0, 10.0), -1.6), EGO),
    ("keeping station", shifting(straight(15.0, 2.4, 0.0, 10.0), -1.4), EGO),
    ("changing lane", shifting(straight(45.0, 3.5, 0.0, 10.0), -3.5), EGO),
    ("changing lane", shifting(straight(15.0, 3.5, 0.0, 10.0), -2.2), EGO),
    # the ego itself comes over behind it: no shift of its own
    ("keeping station", straight(15.0, 3.5, 0.0, 10.0), shifting(EGO, 3.5)),
    # crosses 20 m ahead from the right; or after the ego has passed the point
    ("crossing", straight(20.0, -10.0, 90.0, 6.0), EGO),
    ("crossing", straight(20.0, 10.0, -90.0, 6.0), STANDING),
    ("crossing", straight(39.9, 10.0, -90.0, 6.0), STANDING),
    (None, straight(40.1, 10.0, -90.0, 6.0), STANDING),
    (None, straight(20.0, -10.0, 90.0, 3.0), EGO),
    (None, straight(20.0, 10.0, 90.0, 6.0), EGO),
    (None, straight(-5.0, -10.0, 90.0, 6.0), EGO),
    ("changing lane", shifting(straight(25.0, 0.0, 0.0, 10.0), 3.5), EGO),
    ("changing lane", shifting(straight(25.0, 7.0, 20.0, 10.0), 4.9), EGO),
    ("pulling away", shifting(straight(25.0, 0.0, 0.0, 12.0), 5.2), EGO),
    ("keeping station", shifting(straight(25.0, 0.0, 0.0, 10.0), 1.9), EGO),
    ("diverging at a junction", circle(12.0, 0.0, 0.0, 8.0, 12.0), EGO),
    ("diverging at a junction", circle(12.0, 0.0, 0.0, 8.0, -30.0), EGO),
    # both on one circle, 12 m apart: neither diverges nor changes lane
    ("keeping station", circle(12.0, 12.0**2 / 2 / 38.2, 18.0, 8.0, 12.0), circle(0.0, 0.0, 0.0, 8.0, 12.0)),
    ("pulling away", straight(12.0, 0.0, 0.0, 12.0), EGO),
    (None, straight(12.0, 0.0, 0.0, 11.0), EGO),
    ("keeping station", straight(12.0, 0.0, 0.0, 10.5), EGO),
    (None, straight(12.0, 0.0, 0.0, 8.0), EGO),
    (None, straight(12.0, 0.0), STANDING),
]


@pytest.mark.parametrize("side", ["as told", "mirrored"])
@pytest.mark.parametrize("ego", dict.fromkeys(ego for _, _, ego in CASES))
def test_manoeuvre(tmp_path, ego, side):
    turn = mirrored if side == "mirrored" else lambda course: course
    expected = {f"{number:02d}": name for number, (name, _, own) in enumerate(CASES) if own is ego}
    agents = {name: Agent(turn(CASES[int(name)][1])) for name in expected}
    store = write_paths(tmp_path / "store", agents, turn(ego), heading_deg=73.0)
    together = manoeuvre_codes(subjects(store, *([name] for name in agents)))
    found = {name: MANOEUVRES[code] if code >= 0 else None for name, code in zip(agents, together, strict=True)}
    assert found == expected
    pairs = subjects(store, *zip(agents, reversed(list(agents)), strict=True))
    assert manoeuvre_codes(pairs, role=1).tolist() == together.tolist()[::-1]


@pytest.mark.parametrize(
    ("category", "expected"), [("bicycle", "cutting in"), ("bus", "cutting in"), ("pedestrian", None), ("animal", None)]
)
def test_only_vehicles_cut_in(tmp_path, category, expected):
    course = shifting(straight(15.0, 3.5, 0.0, 10.0), -3.5)
    assert name_of(tmp_path, Agent(course, category)) == expected


def test_a_pedestrian_crosses(tmp_path):
    assert name_of(tmp_path, Agent(straight(20.0, -2.0, 90.0, 1.4), "pedestrian")) == "crossing"


def test_a_turning_ego_is_crossed_where_it_goes(tmp_path):
    """It turns left onto a way along which the other has not yet come; straight on it would have been crossed."""
    ego = circle(0.0, 0.0, 0.0, 6.0, 30.0)
    radius_m = 6.0 / math.radians(30.0)
    crossing = Agent(straight(radius_m + 5.0, 20.0, 180.0 - 50.0 - 90.0, 1.5))
    assert name_of(tmp_path / "late", crossing, ego) != "crossing"
    meets = Agent(straight(radius_m - 1.5, 18.0, 50.0, 2.0))
    assert name_of(tmp_path / "meets", meets, ego) == "crossing"


def test_unknown_is_no_manoeuvre(tmp_path):
    passing = straight(30.0, 3.5, 180.0, 10.0)

    def broken(time_s):
        return None if time_s == 2.0 else passing(time_s)

    assert name_of(tmp_path / "whole", Agent(passing)) == "oncoming pass"
    assert name_of(tmp_path / "broken", Agent(broken)) is None
    assert name_of(tmp_path / "no-poses", Agent(passing), poses=False) is None
    assert name_of(tmp_path / "no-speed", Agent(lambda time_s: (*passing(time_s)[:3], None))) is None
    assert name_of(tmp_path / "no-ego-speed", Agent(passing), lambda time_s: (*EGO(time_s)[:3], None)) is None
    assert name_of(tmp_path / "short", Agent(passing), times_s=np.arange(-2.0, 2.6, 0.5)) is None
