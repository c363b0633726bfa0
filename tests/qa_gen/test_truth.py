"""Every stored answer is recomputed by other code; the world is turned, mirrored and reversed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drive_vqa.store import Store
from qa_gen import object_centric
from qa_gen.catalogue import TYPES
from qa_gen.config import GenerateConfig
from qa_gen.generate import generate
from qa_gen.moment import Agent
from qa_gen.question_type import Asked
from tests.qa_gen.recompute import RawLog, mismatch
from tests.qa_gen.world import STREET, World, make_store

Key = tuple[Any, ...]


def truths(store: Store, log_id: str = "street") -> dict[Key, dict[str, Any]]:
    """Typed answers by what is asked."""
    rows = store.read("questions", log_id).to_pylist()
    return {(row["frame"], row["type"], *row["track_ids"]): row["truth"] for row in rows}


def questions_of(root: Path, world: World, **options: Any) -> Store:
    store = make_store(root, {"street": world}, **options)
    assert generate(store, GenerateConfig(), workers=1).exit_status == 0
    return store


def test_every_answer_is_what_the_raw_tables_say(street: Store) -> None:
    log = RawLog(street, "street")
    assert {row["type"] for row in log.questions} == set(TYPES)
    wrong = [found for row in log.questions if (found := mismatch(log, row))]
    assert wrong == []
    assert len(log.questions) > 600


def test_the_recomputation_notices_a_wrong_answer(street: Store) -> None:
    log = RawLog(street, "street")
    for row in log.questions:
        broken = dict(row["truth"])
        key = next(key for key, value in broken.items() if value is not None)
        broken[key] = not broken[key] if key == "bool" else "up" if key == "choice" else broken[key] + 1
        assert mismatch(log, {**row, "truth": broken}) is not None


def test_answers_vary(street: Store) -> None:
    answers: dict[str, set[str]] = {}
    for row in street.read("questions", "street").to_pylist():
        answers.setdefault(row["type"], set()).add(str(row["answer"]))
    assert [name for name, texts in answers.items() if len(texts) < 2] == []
    assert answers["closing_or_receding"] == {"closing", "receding", "keeping its distance"}


@settings(max_examples=3, deadline=None)
@given(angle_rad=st.floats(-math.pi, math.pi))
def test_turning_the_world_changes_nothing(
    street: Store, tmp_path_factory: pytest.TempPathFactory, angle_rad: float
) -> None:
    turned = truths(questions_of(tmp_path_factory.mktemp("turned") / "store", STREET.turned(angle_rad)))
    for key, truth in truths(street).items():
        for name, value in truth.items():
            other = turned[key][name]
            assert other == (pytest.approx(value, abs=1e-6) if isinstance(value, float) else value), key


def test_mirroring_the_world_swaps_left_and_right(street: Store, tmp_path: Path) -> None:
    mirrored = truths(questions_of(tmp_path / "store", STREET.mirrored()))
    mirror: dict[str, Callable[[Any], Any]] = {
        "bearing_deg": lambda value: pytest.approx(-value),
        "clock_hour": lambda hour: 12 - hour % 12,
        "choice": lambda choice: {"left": "right", "right": "left"}.get(choice, choice),
    }
    originals = truths(street)
    assert originals.keys() == mirrored.keys()
    for key, truth in originals.items():
        for name, value in truth.items():
            if value is not None:
                same = pytest.approx(value) if isinstance(value, float) else value
                assert mirrored[key][name] == (mirror[name](value) if name in mirror else same), key


def test_time_reversed_turns_closing_into_receding(street: Store, tmp_path: Path) -> None:
    reversed_answers = truths(questions_of(tmp_path / "store", STREET, reverse=True))
    opposite = {"closing": "receding", "receding": "closing", "keeping its distance": "keeping its distance"}
    last, steps_a_second, compared = STREET.frames - 1, 2, 0
    for key, truth in truths(street).items():
        frame, kind, *track_ids = key
        if kind == "closing_or_receding":
            there = reversed_answers.get((last - frame - steps_a_second, kind, *track_ids))
            if there is not None:
                assert there["choice"] == opposite[truth["choice"]]
                compared += 1
    assert compared >= 10


agents = st.builds(
    Agent,
    track_id=st.just("track"),
    category=st.just("car"),
    x_m=st.floats(1, 60),
    y_m=st.floats(-40, 40),
    length_m=st.floats(0.5, 12),
    width_m=st.floats(0.5, 3),
    height_m=st.floats(0.5, 4),
    yaw_rad=st.floats(-math.pi, math.pi),
    vx_mps=st.none(),
    vy_mps=st.none(),
    speed_mps=st.none(),
    region=st.none(),
)


@settings(deadline=None)
@given(first=agents, second=agents)
def test_swapping_a_pair(first: Agent, second: Agent) -> None:
    types = {kind.name: kind for kind in object_centric.TYPES}
    one_way = Asked(("Region 1", "Region 2"), (first, second), (first, second), None)
    other_way = Asked(("Region 2", "Region 1"), (second, first), (second, first), None)
    for name in ("pair_distance", "bigger", "closer"):
        assert types[name].truth(one_way) == types[name].truth(other_way)
    swap = {"left": "right", "right": "left"}
    side, other_side = types["left_right"].truth(one_way), types["left_right"].truth(other_way)
    assert (side is None) == (other_side is None)
    assert side is None or other_side is None or swap[side["choice"]] == other_side["choice"]


@settings(deadline=None)
@given(first=agents, second=agents)
def test_two_that_look_the_same_way_see_each_other_opposite(first: Agent, second: Agent) -> None:
    second = replace(second, yaw_rad=first.yaw_rad)
    clock = next(kind for kind in object_centric.TYPES if kind.name == "pair_clock")
    there = clock.truth(Asked(("Region 1", "Region 2"), (first, second), (first, second), None))
    back = clock.truth(Asked(("Region 2", "Region 1"), (second, first), (second, first), None))
    assert there is not None
    assert back is not None
    apart = (there["clock_hour"] - back["clock_hour"]) % 12
    assert apart == 6 or math.hypot(first.x_m - second.x_m, first.y_m - second.y_m) < 1e-6


def test_too_close_to_call_is_not_asked() -> None:
    here = Agent("a", "car", 20.0, 1.0, 4.4, 1.8, 1.5, 0.0, None, None, None, None)
    near = replace(here, track_id="b", y_m=1.4)
    asked = Asked(("Region 1", "Region 2"), (here, near), (here, near), None)
    answered = {kind.name for kind in object_centric.TYPES if kind.truth(asked) is not None}
    assert answered == {"pair_distance", "pair_clock"}
    facing = TYPES["facing"]
    assert facing.truth(Asked(("Region 1",), (replace(here, yaw_rad=math.radians(50)),), (here,), None)) is None
