"""The oracle itself: it agrees with answers found by hand, and it finds whatever is changed in a stored question."""

from __future__ import annotations

import ast
import copy
import math
import random
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drive_vqa.schema import table_from_rows
from drive_vqa.store import Store
from qa_gen.config import GenerateConfig
from qa_gen.generate import generate
from tests.qa_gen.oracle.case import Case, NotAsked, OnTheEdge
from tests.qa_gen.oracle.check import CATALOGUE, check_log, question_faults
from tests.qa_gen.oracle.raw import RawLog, Row
from tests.qa_gen.oracle.world import (
    CAMERAS,
    SIZES_M,
    Actor,
    Looks,
    Motion,
    Traffic,
    constant,
    make_traffic,
    write_traffic,
)

# --- by hand ----------------------------------------------------------------------------------------------------------
#
# I drive 10 m/s along the global y axis, one frame a second. Places are those of the first frame, forward and left.
#   a: a car 20 m ahead, 6 m to the left, which keeps my way and speed
#   b: a truck 50 m ahead, 4 m to the left, which comes towards me at 5 m/s
#   c: a pedestrian 35 m ahead, 6 m to the right, who walks to my left at 2.5 m/s
#   d: a car 30 m ahead, 8 m to the right, which stands and faces right

SECONDS = 8


def _moves(x_m: float, y_m: float, heading_deg: float, speed_mps: float) -> Motion:
    """In my directions of now, as a motion in the global frame, where ahead is y and left is -x."""
    heading = math.radians(heading_deg)
    velocity = complex(math.cos(heading), math.sin(heading)) * speed_mps
    places = [1j * (complex(x_m, y_m) + velocity * second) + complex(100.0, 50.0) for second in range(SECONDS)]
    return constant(places, heading + math.pi / 2, speed_mps)


BY_HAND_TRAFFIC = Traffic(
    time_s=np.arange(SECONDS, dtype=np.float64),
    ego=_moves(0.0, 0.0, 0.0, 10.0),
    actors=tuple(
        Actor(name, category, SIZES_M[category], z_m, motion, np.ones(SECONDS, dtype=bool))
        for name, category, z_m, motion in (
            ("a", "car", 0.8, _moves(20.0, 6.0, 0.0, 10.0)),
            ("b", "truck", 1.6, _moves(50.0, 4.0, 180.0, 5.0)),
            ("c", "pedestrian", 0.9, _moves(35.0, -6.0, 90.0, 2.5)),
            ("d", "car", 0.8, _moves(30.0, -8.0, -90.0, 0.0)),
        )
    ),
    lanes=(),
)

NOT_ASKED = "not asked"
BY_HAND: list[tuple[str, str, Any]] = [
    ("distance", "a", math.sqrt(436.0)),
    ("bearing", "a", math.degrees(math.atan2(6, 20))),
    ("clock", "a", 11),  # 16.7°: past 15°
    ("clock", "c", 12),  # -9.7°
    ("side", "a", "left"),
    ("side", "b", NOT_ASKED),  # 4.6°
    ("lateral", "c", -6.0),
    ("longitudinal", "b", 50.0),
    ("gap", "a", math.hypot(20 - 2.25 - 3.7, 6 - 0.925 - 0.95)),
    ("in_my_path", "a", False),
    ("facing", "b", "opposite way"),
    ("facing", "d", "across"),
    ("heading", "d", -90.0),
    ("longer_than_me", "b", True),
    ("longer_than_me", "a", NOT_ASKED),  # 4.5 m against 4.6 m
    ("left_right", "ac", "left"),
    ("left_right", "ca", "right"),
    ("closer", "ab", "a"),
    ("farther_ahead", "bd", "b"),
    ("front_behind", "ab", "in front"),
    ("front_behind", "ba", "in front"),
    ("front_behind", "dc", "behind"),  # d faces right, c is to the left of it: 2 m against 5 m ahead of me
    ("left_right_own", "bc", "left"),  # from b, who comes: 15 m in front, 10 m to its left
    ("left_right_own", "ab", NOT_ASKED),  # 3.8° off straight ahead
    ("above_below", "bc", "higher"),
    ("above_below", "ca", NOT_ASKED),  # 0.1 m
    ("pair_clock", "da", 5),  # d faces right: a is 14 m behind it and 10 m to its right
    ("pair_bearing", "ad", math.degrees(math.atan2(-14, 10))),
    ("pair_distance", "ad", math.hypot(10, 14)),
    ("pair_lateral", "ad", -14.0),
    ("pair_longitudinal", "ad", 10.0),
    ("pair_gap", "ad", math.hypot(10 - 2.25 - 0.925, 14 - 0.925 - 2.25)),
    ("taller", "ab", "b"),
    ("bigger", "cd", "d"),
    ("wider", "ad", NOT_ASKED),
    ("height", "b", 3.2),
    ("pair_heading", "ab", "opposite ways"),
    ("pair_heading", "ad", "across each other"),
    ("relative_heading", "ad", -90.0),
    ("relative_heading", "da", 90.0),
    ("nearest_to", "d", "c"),
    ("farthest_from", "a", "b"),
    ("order_from", "d", "cab"),  # 5.4, 17.2 and 23.3 m
    ("between", "abd", False),
    ("closer_to", "dac", "c"),
    ("category", "c", "pedestrian"),
    ("same_category", "ad", True),
    ("same_category", "ab", False),
    ("localization_t2", "b", {"distance_m": math.hypot(20, 4), "bearing_deg": math.degrees(math.atan2(4, 20))}),
    ("position_then_t3", "d", {"x_m": 0.0, "y_m": -8.0}),
    ("position_now_t2", "c", {"x_m": 35.0, "y_m": -1.0}),
    ("ego_speed_t1", "", 10.0),
    ("target_speed_t2", "b", 5.0),
    ("relative_speed_t1", "b", 15.0),
    ("relative_speed_t1", "c", math.hypot(10, 2.5)),
    ("approach_t1", "a", "keeping its distance"),
    ("approach_t3", "b", "closing"),
    ("motion_state", "a", "moving"),
    ("motion_state", "d", "parked"),
    ("speed_change_t2", "a", "keeping its speed"),
    ("turning_t3", "b", "going straight"),
    ("turning_t3", "d", "standing still"),
    ("ego_turning_t3", "", "going straight"),
    ("ego_turn_t2", "", 0.0),
    ("ego_displacement_t3", "", 30.0),
    ("manoeuvre", "b", NOT_ASKED),  # 5 m ahead after 3 s, not yet past
    ("manoeuvre", "a", "keeping station"),
    ("manoeuvre", "c", "crossing"),
    ("closest_distance", "b", math.hypot(5, 4)),
    ("closest_time", "d", NOT_ASKED),  # at 3 s, the end
    ("time_to_collision", "b", NOT_ASKED),  # it passes to the left: 4 m against 0.95 m and 1.25 m
    ("collision_course", "d", False),
    ("enters_path_t3", "c", True),  # after 2 s it is 1 m to the right of my line, 15 m ahead
    ("faster", "ab", "a"),
]


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory: pytest.TempPathFactory) -> RawLog:
    store = Store.create(tmp_path_factory.mktemp("hand") / "store")
    write_traffic(store, "hand", BY_HAND_TRAFFIC)
    return RawLog(store.root, "hand")


@pytest.mark.parametrize(("name", "tracks", "answer"), BY_HAND)
def test_answers_found_by_hand(by_hand: RawLog, name: str, tracks: str, answer: Any):
    marks = [{"mark": number, "track_id": track, "regions": []} for number, track in enumerate("abcd")]
    group = {"frame": 0, "kind": "single", "marks": marks, "context": []}
    row = {"marks": ["abcd".index(track) for track in tracks], "track_ids": list(tracks), "parameter": None}
    try:
        true = CATALOGUE[name][3](Case(by_hand, group, row))
    except NotAsked:
        true = {"": NOT_ASKED}
    numbers = {f"Region {number}": track for number, track in enumerate("abcd")}
    if "marks" in true:
        true = {"marks": "".join("abcd"[mark] for mark in true["marks"])}
    wanted = answer if isinstance(answer, dict) else dict.fromkeys(true, answer)
    assert true.keys() == wanted.keys()
    for field, value in true.items():
        told = numbers.get(value, value) if isinstance(value, str) else value
        assert told == (pytest.approx(wanted[field], abs=1e-6) if isinstance(told, float) else wanted[field])


# --- changed questions ------------------------------------------------------------------------------------------------

Change = Callable[[Row, random.Random], bool]
"""Changes a question; False where it does not apply."""


def _truth_number(row: Row, dice: random.Random) -> bool:
    names = [name for name, value in row["truth"].items() if isinstance(value, float)]
    if not names:
        return False
    row["truth"][dice.choice(names)] += dice.choice([-0.01, 0.01])
    return True


def _truth_choice(row: Row, dice: random.Random) -> bool:
    others = [option for option in row["options"] or () if option != row["answer"]]
    if not others:
        return False
    row["answer"] = row["truth"]["choice"] = dice.choice(others)
    return True


def _truth_bool(row: Row, _: random.Random) -> bool:
    if row["truth"]["bool"] is None:
        return False
    row["truth"]["bool"] = not row["truth"]["bool"]
    row["answer"] = "yes" if row["truth"]["bool"] else "no"
    return True


def _truth_whole(row: Row, _: random.Random) -> bool:
    for name in ("clock_hour", "count"):
        if row["truth"][name] is not None:
            row["truth"][name] += 1
            row["answer"] = re.sub(r"\d+", str(row["truth"][name]), row["answer"])
            return True
    return False


def _truth_marks(row: Row, _: random.Random) -> bool:
    if row["truth"]["marks"] is None:
        return False
    marks = row["truth"]["marks"]
    row["truth"]["marks"] = (
        marks[::-1] if row["answer_type"] == "ranking" else [*marks[1:], *([0] if not marks else [])]
    )
    row["answer"] = ", ".join(f"Region {mark}" for mark in row["truth"]["marks"]) or "none"
    return True


def _answer_number(row: Row, _: random.Random) -> bool:
    if row["form"] != "open" or not re.search(r"\d\.\d", row["answer"]):
        return False
    row["answer"] = re.sub(r"\d\.\d", lambda found: f"{float(found[0]) + 0.2:.1f}", row["answer"], count=1)
    return True


def _answer_unit(row: Row, _: random.Random) -> bool:
    if row["form"] == "yes_no" or "meters" not in row["answer"]:
        return False
    row["answer"] = row["answer"].replace("meters", "m")
    return True


def _text_region(row: Row, _: random.Random) -> bool:
    if not row["marks"] or not re.search(r"Region \d", row["question"]):
        return False
    row["question"] = re.sub(r"Region \d", "Region 77", row["question"], count=1)
    return True


def _text_horizon(row: Row, _: random.Random) -> bool:
    if row["family"] != "future" or not re.search(r"_t[123]$", row["type"]):
        return False
    row["question"] = re.sub(r"\d seconds?", "4 seconds", row["question"])
    return "4 seconds" in row["question"]


def _text_claim(row: Row, _: random.Random) -> bool:
    if row["form"] != "yes_no" or not re.match(r"-?\d+(\.\d+)? ", row["parameter"] or ""):
        return False
    row["question"] = row["question"].replace(row["parameter"], "98765 " + row["parameter"].split()[-1])
    return True


def _text_roles(row: Row, _: random.Random) -> bool:
    if row["form"] != "open" or row["type"] not in ("pair_clock", "pair_bearing", "pair_lateral", "relative_heading"):
        return False
    a, b = (f"Region {mark}" for mark in row["marks"])
    row["question"] = row["question"].replace(a, "A").replace(b, a).replace("A", b, 9)
    return "A" not in row["question"]


def _options_twice(row: Row, _: random.Random) -> bool:
    if not row["options"]:
        return False
    row["options"] = [*row["options"], row["options"][0]]
    return True


def _options_without_the_answer(row: Row, _: random.Random) -> bool:
    if len(row["options"] or ()) < 3:
        return False
    row["options"] = [option for option in row["options"] if option != row["answer"]]
    return True


def _marks_exchanged(row: Row, _: random.Random) -> bool:
    if len(row["marks"]) < 2:
        return False
    row["marks"] = row["marks"][::-1]
    return True


def _evidence_elsewhere(row: Row, _: random.Random) -> bool:
    if not row["evidence"]:
        return False
    row["evidence"][0]["context"] += 50
    return True


def _slice_distance(row: Row, _: random.Random) -> bool:
    if row["slices"]["distance_m"] is None:
        return False
    row["slices"]["distance_m"] += 0.1
    return True


CHANGES: tuple[Change, ...] = (
    _truth_number, _truth_choice, _truth_bool, _truth_whole, _truth_marks, _answer_number, _answer_unit, _text_region,
    _text_horizon, _text_claim, _text_roles, _options_twice, _options_without_the_answer, _marks_exchanged,
    _evidence_elsewhere, _slice_distance,
)  # fmt: skip


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> tuple[RawLog, list[Row]]:
    """A log without mistakes."""
    store = Store.create(tmp_path_factory.mktemp("changed") / "store")
    write_traffic(store, "drive", make_traffic(5, seconds=10.0), Looks(tuple(CAMERAS)))
    assert not generate(store, GenerateConfig(), workers=1).failures
    result = check_log(store, "drive")
    assert result.mismatches == []
    log = RawLog(store.root, "drive")
    return log, log.questions()


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__.strip("_"))
def test_every_change_is_found(generated: tuple[RawLog, list[Row]], change: Change):
    log, rows = generated
    dice = random.Random(change.__name__)
    changed, missed = 0, Counter[str]()
    for row in dice.sample(rows, len(rows)):
        other = copy.deepcopy(row)
        if not change(other, dice):
            continue
        changed += 1
        try:
            found = list(question_faults(log, other))
        except OnTheEdge:
            continue
        if not found:
            missed[f"{row['type']}/{row['form']}"] += 1
        if changed >= 100:
            break
    assert changed > 10
    assert missed == {}


def test_a_region_that_is_not_the_tracks_is_found(tmp_path: Path):
    store = Store.create(tmp_path / "store")
    write_traffic(store, "drive", make_traffic(5, seconds=8.0))
    assert not generate(store, GenerateConfig(families=("object",)), workers=1).failures
    rows = store.read("groups", "drive").to_pylist()
    rows[0]["marks"][0]["regions"][0]["u0_px"] += 1.0
    store.write("groups", "drive", table_from_rows("groups", rows), "changed")
    assert any("the track has" in fault for fault in check_log(store, "drive").mismatches)


def test_the_oracle_shares_nothing_with_what_it_judges():
    folder = Path(__file__).parent
    modules = [path for path in folder.glob("*.py") if not path.name.startswith("test_")]
    allowed = {"drive_vqa.categories", "drive_vqa.schema", "drive_vqa.store"}
    for path in modules:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                ours = name.split(".")[0] in ("qa_gen", "drive_vqa", "sensors", "eval", "finetune")
                assert not ours or name in allowed, f"{path.name} imports {name}"
    assert len(modules) > 10
