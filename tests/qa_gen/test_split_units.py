"""Splits by recording and place: nothing that belongs together is on two sides."""

from __future__ import annotations

import logging
import math
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import Float
from shapely.geometry import LineString

from drive_vqa.schema import table_from_rows
from drive_vqa.store import Store
from qa_gen import places
from qa_gen.split import SplitPlan, plan_splits, split_units

FRACTIONS = {"val_fraction": 0.15, "test_fraction": 0.15}


def drive(
    store: Store,
    log_id: str,
    way_m: Any,
    recording: str | None = None,
    place: str | None = "boston-seaport",
    source_format: str = "nuscenes",
) -> None:
    """A log whose ego is at these points, half a second apart; None: a frame without a pose."""
    log = {"log_id": log_id, "recording": recording, "source_format": source_format, "location": place}
    frames = [
        {
            "log_id": log_id,
            "frame": frame,
            "timestamp_ns": frame * 500_000_000,
            "global_SE3_ego": None
            if point is None
            else {"qw": 1.0, "qx": 0.0, "qy": 0.0, "qz": 0.0, "tx_m": point[0], "ty_m": point[1], "tz_m": 0.0},
        }
        for frame, point in enumerate(way_m)
    ]
    store.write("logs", log_id, table_from_rows("logs", [log]), "made")
    store.write("frames", log_id, table_from_rows("frames", frames), "made")


def straight(x_m: float, y_m: float, length_m: float = 200.0, turn_deg: float = 0.0, points: int = 41) -> Any:
    at = np.linspace(0, length_m, points)
    turn = math.radians(turn_deg)
    return [(x_m + a * math.cos(turn), y_m + a * math.sin(turn)) for a in at.tolist()]


def plan(store: Store, seed: int = 0, **settings: float) -> SplitPlan:
    return plan_splits(store, seed=seed, **{**FRACTIONS, **settings})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(tmp_path / "store")


def apart(store: Store, count: int, **options: Any) -> None:
    for number in range(count):
        drive(store, f"far-{number:02d}", straight(10_000.0 + 1_000 * number, 0.0), f"drive {number}", **options)


def test_logs_of_one_recording_and_of_one_road_are_one_unit(store: Store) -> None:
    drive(store, "a", straight(0, 0), "monday")
    drive(store, "b", straight(0, 5_000), "monday")  # elsewhere
    drive(store, "c", straight(30, 5_012), "tuesday")  # the road of b
    drive(store, "d", straight(0, 5_000), "friday", place="singapore-onenorth")  # the same numbers, another town
    apart(store, 6)
    made = plan(store)
    assert made.rule == "recordings-and-places"
    assert [made.units[name] for name in "abcd"] == ["a", "a", "a", "d"]
    assert len(set(made.units.values())) == 8
    assert set(made.split_of.values()) == {"train", "val", "test"}


@pytest.mark.parametrize(
    ("source_format", "place", "joined"),
    [
        ("nuscenes", "harbour", True),
        ("av2", "PIT", True),
        ("scenarionet", "singapore-queenstown", True),
        ("scenarionet", "us-nv-las-vegas-strip", False),
        ("scenarionet", None, False),
        ("pandaset", None, False),
        ("kitti", None, False),
        ("nuscenes", "unknown", False),
        ("nuscenes", None, False),
    ],
)
def test_paths_are_compared_where_frames_are(store: Store, source_format: str, place: str | None, joined: bool) -> None:
    for name in "abc":
        drive(store, name, straight(0, 0), f"drive {name}", place, source_format)
    drive(store, "d", straight(9_000, 0), "drive d", place, source_format)
    assert len(set(plan(store).units.values())) == (2 if joined else 4)


def test_more_than_the_overlap_of_the_shorter_path_joins(store: Store) -> None:
    drive(store, "long", straight(0, 0, 1_000), "1")
    drive(store, "short", straight(0, 0, 100, turn_deg=90), "2")  # leaves the road after 20 m
    drive(store, "parked", [(500.0, 9.0)] * 5, "3")
    drive(store, "no-pose", [None] * 5, "4")
    made = plan(store)
    assert made.units == {"long": "long", "short": "short", "parked": "long", "no-pose": "no-pose"}
    assert plan(store, place_overlap=0.1).units["short"] == "long"


def test_odd_poses_are_no_road(store: Store) -> None:
    drive(store, "jump", [(0.0, 0.0), (1e7, 0.0), None, (5.0, 0.0)], "1")
    drive(store, "between", straight(5e6, 0), "2")
    drive(store, "wild", [(float("nan"), 0.0), (float("inf"), 1.0), (1e300, -1e300)], "3")
    drive(store, "other", straight(9_000, 0), "4")
    assert len(set(plan(store).units.values())) == 4


def test_the_rule_grows_weaker_with_a_warning(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    def rule() -> tuple[str, int]:
        caplog.clear()
        return plan(store).rule, len(caplog.records)

    caplog.set_level(logging.WARNING)
    drive(store, "a", straight(0, 0), "monday")
    assert rule() == ("time-within-log", 1)
    assert plan(store).split_of == {"a": "time-within-log"}
    drive(store, "b", straight(0, 0), "monday")
    assert rule() == ("whole-logs", 1)
    assert sorted(plan(store).split_of.values()) == ["test", "train"]
    drive(store, "c", straight(0, 3), "tuesday")
    assert rule() == ("recordings", 2)  # and there is nothing left for val
    drive(store, "d", straight(0, 3_000), "friday")
    assert rule() == ("recordings-and-places", 1)  # two units: nothing for val
    assert plan(store).units == {"a": "a", "b": "a", "c": "a", "d": "d"}
    drive(store, "e", straight(0, 6_000), "sunday")
    assert rule() == ("recordings-and-places", 0)


def test_logs_that_name_no_recording_are_recordings_of_their_own(store: Store) -> None:
    for name in "abc":
        drive(store, name, straight(0, 0), None, None)
    assert len(set(plan(store).units.values())) == 3


def test_a_town_of_one_unit_trains_and_the_rest_tests(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(30):
        drive(store, f"near-{number:02d}", straight(100.0 * number, 0), f"town {number}")  # a chain
    apart(store, 3)
    made = plan(store)
    counts = Counter(made.split_of.values())
    assert {made.split_of[name] for name in made.split_of if name.startswith("near")} == {"train"}
    assert counts["test"] + counts["val"] == 3
    assert min(counts["test"], counts["val"]) >= 1


def brute(paths: list[Any], near_m: float, overlap: float) -> set[tuple[int, int]]:
    """Pairs of paths by exact distances, in a way of its own: shares of length by shapely."""
    lines = [LineString(path) for path in paths]
    found = set()
    for one in range(len(paths)):
        for other in range(one):
            short, long = sorted((one, other), key=lambda place: lines[place].length)
            share = lines[short].intersection(lines[long].buffer(near_m, 64)).length / lines[short].length
            if share > overlap:
                found.add((other, one))
    return found


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 10_000))
def test_roads_agree_with_exact_geometry_to_a_cell(seed: int) -> None:
    draw = np.random.default_rng(seed)
    ways = [np.cumsum(draw.normal(0, 12, (20, 2)) + draw.normal(0, 8, 2), axis=0) for _ in range(7)]
    paths = [places.Path(str(number), places.along(way)) for number, way in enumerate(ways)]
    joined = places.overlapping(paths, 0.5).tocoo()
    ours = {(min(pair), max(pair)) for pair in zip(joined.row.tolist(), joined.col.tolist(), strict=True)}
    ours = {pair for pair in ours if pair[0] != pair[1]}
    slack_m = math.sqrt(2) * places.CELL_M + 0.1
    least, most = brute(ways, places.NEAR_M - slack_m, 0.56), brute(ways, places.NEAR_M + slack_m, 0.45)
    assert least <= ours <= most


def test_points_are_a_metre_apart_along_the_way() -> None:
    points: Float[np.ndarray, "n 2"] = places.along(np.array([[0.0, 0.0], [3.0, 0.0], [3.0, 0.0], [3.0, 4.0]]))
    np.testing.assert_allclose(points, [[0, 0], [1, 0], [2, 0], [3, 0], [3, 1], [3, 2], [3, 3], [3, 4]], atol=1e-9)


@settings(max_examples=8, deadline=None, derandomize=True)
@given(st.integers(0, 10_000))
def test_nothing_that_belongs_together_is_parted(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    """Random towns: recordings and roads on one side; the same for more frames, and for logs in any order."""
    draw = random.Random(seed)
    one, more = (Store.create(tmp_path_factory.mktemp("splits") / name) for name in ("one", "more"))
    logs = []
    for number in range(24):
        way = straight(draw.uniform(0, 2_000), draw.uniform(0, 2_000), draw.uniform(0, 300), draw.choice([0, 90, 33]))
        logs.append((f"log-{number:02d}", way, f"recording {draw.randrange(16)}"))
    for store, shuffled in ((one, logs), (more, draw.sample(logs, len(logs)))):
        for name, way, recording in shuffled:
            denser = [
                point
                for a, b in zip(way, way[1:] + way[-1:], strict=True)
                for point in (a, ((a[0] + b[0]) / 2, (a[1] + b[1]) / 2))
            ]
            drive(store, name, way if store is one else denser, recording)
    made = plan(one, seed)
    assert plan(more, seed) == made
    recorded = {(recording, made.split_of[name]) for name, _, recording in logs}
    assert len(recorded) == len({recording for recording, _ in recorded})
    ways = [way for _, way, _ in logs]
    for first, second in brute(ways, places.NEAR_M - 7.2, 0.53):
        assert made.split_of[logs[first][0]] == made.split_of[logs[second][0]]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=25),
    st.integers(0, 99),
    st.sampled_from([(0.15, 0.15), (0.0, 0.1), (0.3, 0.1), (0.4, 0.5)]),
)
def test_every_split_has_a_unit_and_shares_are_kept(
    sizes: list[int], seed: int, fractions: tuple[float, float]
) -> None:
    units = {f"u{unit}-{number}": f"u{unit}-0" for unit, size in enumerate(sizes) for number in range(size)}
    val_fraction, test_fraction = fractions
    options: Any = {"seed": seed, "val_fraction": val_fraction, "test_fraction": test_fraction}
    split_of = split_units(units, **options)
    assert split_of == split_units(dict(reversed(units.items())), **options)
    assert all(split_of[log] == split_of[unit] for log, unit in units.items())
    if len(units) == 1:
        assert set(split_of.values()) == {"time-within-log"}
        return
    assert len(set(split_of.values())) == min(len(sizes), 3)
    counts = Counter(split_of.values())
    largest = max(sizes)
    assert counts["test"] <= max(round(test_fraction * len(units)), largest)
    assert counts["val"] <= max(round(val_fraction * len(units)), largest)
    wanted = max(1, round(test_fraction * len(units)))
    if largest == 1 and wanted + max(1, round(val_fraction * len(units))) < len(sizes):  # training needs one too
        assert counts["test"] == wanted


def test_another_seed_is_another_split_and_a_new_log_moves_few(store: Store) -> None:
    apart(store, 40)
    made = plan(store)
    assert Counter(made.split_of.values()) == {"train": 28, "val": 6, "test": 6}
    assert plan(store, seed=1).split_of != made.split_of
    drive(store, "new", straight(0, 0), "new")
    after = plan(store).split_of
    assert sum(after[name] != split for name, split in made.split_of.items()) <= 2


def test_a_plan_that_parts_a_unit_is_refused() -> None:
    with pytest.raises(ValueError, match="one unit"):
        SplitPlan("recordings", {"a": "test", "b": "train"}, {"a": "a", "b": "a"})
    with pytest.raises(ValueError, match="needs a split"):
        SplitPlan("recordings", {"a": "test"}, {})


def test_a_store_for_tests_alone_has_every_log_in_the_test(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    for name in "ab":
        drive(store, name, straight(0, 0), "monday")
        made = plan(store, val_fraction=0.0, test_fraction=1.0)
        assert made.rule == "tests-alone"
        assert set(made.split_of.values()) == {"test"}
    assert made.split_of.keys() == {"a", "b"}
    assert not caplog.records
