"""What is asked: wordings, evidence, ids, slices."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pytest

from drive_vqa.store import Store
from qa_gen.answers import angle_texts
from qa_gen.ask import ask
from qa_gen.catalogue import TYPES, catalogue, list_types
from qa_gen.config import FAMILIES, GenerateConfig
from qa_gen.counts import count_questions
from qa_gen.drive import join_drives, read_drive
from qa_gen.generate import generate
from tests.qa_gen.oracle.world import Motion, make_traffic, write_traffic
from tests.qa_gen.world import STREET, make_store

ABOUT_ALL = {
    name
    for name, kind in TYPES.items()
    if kind.answer_type in ("count", "ranking", "regions") or (kind.answer_type == "choice" and not kind.choices)
}


def stopped(ego: Motion) -> Motion:
    """The ego stays where it begins."""
    return Motion(
        *(np.full_like(values, values[0]) for values in (ego.x_m, ego.y_m, ego.heading_rad)), 0.0 * ego.speed_mps
    )


@pytest.fixture(scope="module")
def rows(street: Store) -> list[dict[str, Any]]:
    return list(street.read("questions", "street").to_pylist())


def test_the_catalogue_is_large_enough() -> None:
    families = [row["family"] for row in catalogue()]
    assert set(families) == set(FAMILIES)
    assert len(TYPES) >= 60
    assert all(row["wordings"] >= 8 for row in catalogue())
    assert all(name in list_types(FAMILIES) for name in TYPES)


def test_ids_are_unique_and_stable(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    ids = [row["qa_id"] for row in rows]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch("[0-9a-f]{16}", qa_id) for qa_id in ids)
    again = make_store(tmp_path / "elsewhere", {"street": STREET})
    generate(again, GenerateConfig(), workers=1)
    assert again.read("questions", "street")["qa_id"].to_pylist() == ids


def test_options_hold_the_answer_in_no_fixed_place(rows: list[dict[str, Any]]) -> None:
    choices = [row for row in rows if row["form"] == "choice"]
    assert all(row["answer"] in row["options"] and len(set(row["options"])) == len(row["options"]) for row in choices)
    assert all(row["options"] == [] for row in rows if row["form"] != "choice")
    sides = [row["options"].index(row["answer"]) for row in choices if len(row["options"]) == 2]
    assert 0.4 < sum(sides) / len(sides) < 0.6


def test_all_wordings_are_used(rows: list[dict[str, Any]]) -> None:
    often = Counter(row["type"] for row in rows if row["form"] == "open")
    for kind, count in often.items():
        if count >= 100:
            assert len({row["template"] for row in rows if row["type"] == kind and row["form"] == "open"}) >= 8


def test_evidence_is_where_the_regions_are(rows: list[dict[str, Any]], street: Store) -> None:
    groups = {row["group_id"]: row for row in street.read("groups", "street").to_pylist()}
    for row in rows:
        by_all = row["type"] in ABOUT_ALL
        regions = {
            (mark["mark"], region["context"])
            for mark in groups[row["group_id"]]["marks"]
            for region in mark["regions"]
            if by_all or mark["mark"] in row["marks"]
        }
        evidence = [(entry["mark"], entry["context"]) for entry in row["evidence"]]
        assert len(evidence) == len(set(evidence))
        assert set(evidence) == regions
        present = len(groups[row["group_id"]]["context"]) - 1
        there = [mark for mark, track_id in zip(row["marks"], row["track_ids"], strict=True) if track_id is not None]
        assert {(mark, present) for mark in there} <= regions


def test_slices_are_those_of_the_first_mark(rows: list[dict[str, Any]], street: Store) -> None:
    tracks = {(row["frame"], row["track_id"]): row for row in street.read("tracks", "street").to_pylist()}
    for row in rows:
        slices = row["slices"]
        if not row["track_ids"] or row["track_ids"][0] is None:
            assert set(slices.values()) == {None}
            continue
        now, then = (tracks[row[frame], row["track_ids"][0]] for frame in ("frame", "truth_frame"))
        assert slices["category"] == now["category"]
        assert slices["distance_m"] == pytest.approx((now["x_m"] ** 2 + now["y_m"] ** 2) ** 0.5, abs=6e-3)
        assert slices["visible_fraction"] == pytest.approx(now["cameras"][0]["visible_fraction"], abs=6e-3)
        assert slices["moving"] == (now["speed_mps"] > 0.5)
        assert slices["in_view_at_t"] == bool(then["cameras"])
    assert {row["slices"]["in_view_at_t"] for row in rows if row["horizon_s"] == 3} >= {True, False}
    assert len({row["slices"]["ttc_bin"] for row in rows}) >= 4


def test_nothing_is_asked_of_a_future_that_is_not_labelled(rows: list[dict[str, Any]]) -> None:
    left_after_frame = 10
    horizons = {row["horizon_s"] for row in rows if row["track_ids"] == ["leaves"] and row["family"] == "future"}
    assert horizons == {0.0, 1.0, 2.0, 3.0}
    for row in rows:
        if "leaves" in row["track_ids"]:
            assert row["truth_frame"] <= left_after_frame
            assert row["truth_frame"] == row["frame"] + 2 * row["horizon_s"]


def test_the_text_of_an_angle() -> None:
    texts = angle_texts(np.array([-0.4, 0.4, -179.7, 180.0, 1.2, -1.2, -12.6])).to_pylist()
    assert texts == ["0 degrees", "0 degrees", "180 degrees", "180 degrees", "1 degree", "-1 degree", "-13 degrees"]


def test_logs_together_give_what_each_gives_alone(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "store")
    for seed in range(4):
        write_traffic(store, f"log-{seed}", make_traffic(seed))
    drives = [read_drive(store, log_id) for log_id in store.log_ids()]
    splits, config = ["train", "test", "val", "train"], GenerateConfig()
    together = ask(join_drives(drives), splits, config, bench_groups=5)
    alone = [ask(drive, [split], config, bench_groups=5) for drive, split in zip(drives, splits, strict=True)]
    for number, table in enumerate(together):
        for log_id, parts in zip(store.log_ids(), alone, strict=True):
            own = table.filter(pc.equal(table["log_id"], log_id))
            assert own.num_rows > 20
            assert own.equals(parts[number])


def test_nothing_is_asked_again_before_something_has_changed(tmp_path: Path) -> None:
    """A parked car before a standing ego: the same picture every half second."""
    still = replace(make_traffic(3), ego=stopped(make_traffic(3).ego))
    store = Store.create(tmp_path / "store")
    write_traffic(store, "still", still)
    generate(store, GenerateConfig(forms=("open",)), workers=1)
    rows = store.read("questions", "still").to_pylist()
    speed = {(row["frame"], row["track_id"]): row["speed_mps"] for row in store.read("tracks", "still").to_pylist()}
    asked = sorted((row["track_ids"][0], row["frame"]) for row in rows if row["type"] == "distance")
    parked = [(track, frame) for track, frame in asked if speed[frame, track] == 0]
    gaps = [later - frame for (track, frame), (other, later) in pairwise(parked) if track == other]
    assert len(gaps) >= 3
    assert min(gaps) >= 6  # 3 s at 2 Hz


def test_a_question_takes_at_most_30_bytes(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "store")
    for seed in range(3):
        write_traffic(store, f"log-{seed}", make_traffic(seed, seconds=30.0, agents=80))
    generate(store, GenerateConfig(), workers=1)
    size = sum(store.path("questions", log_id).stat().st_size for log_id in store.log_ids())
    assert size <= 30 * store.read_all("questions", ["qa_id"]).num_rows


def test_others_read_the_tables(street: Store) -> None:
    import datasets
    import duckdb

    path = str(street.path("questions", "street"))
    rows = street.read("questions", "street")
    shards = street.root / "questions" / "*.parquet"
    ((count, distance_m),) = duckdb.sql(f"select count(*), sum(truth.distance_m) from '{shards}'").fetchall()
    assert count == rows.num_rows
    assert distance_m == pytest.approx(pc.sum(pc.struct_field(rows["truth"], "distance_m")).as_py())
    loaded = datasets.load_dataset(
        "parquet", data_files=path, split="train", cache_dir=str(street.root.parent / "cache")
    )
    assert loaded[5] == rows.slice(5, 1).to_pylist()[0]


def test_counts_in_the_manifest_are_those_of_the_tables(street: Store) -> None:
    counts = street.manifest()["steps"]["generate"]["counts"]
    assert counts == count_questions(street)
    assert sum(counts["type"].values()) == street.read("questions", "street").num_rows


def test_yes_and_no_and_every_option_are_right_equally_often(street: Store) -> None:
    rows = street.read("questions", "street").to_pylist()
    balance = Counter(
        (row["split"], row["type"], row["parameter"], row["slices"]["category"], row["answer"])
        for row in rows
        if (row["form"] == "yes_no" and row["parameter"] is None) or "Region" not in str(row["parameter"])
        if row["form"] == "yes_no"
    )
    for (*cell, answer), count in balance.items():
        if answer == "yes":
            assert balance[(*cell, "no")] == count
    offers = Counter(
        (row["split"], row["type"], frozenset(row["options"]), row["answer"]) for row in rows if row["form"] == "choice"
    )
    fixed = {
        name for name, kind in TYPES.items() if kind.choices and "{a}" not in kind.choices and "{b}" not in kind.choices
    }
    compared = 0
    for (split, kind, options, _), count in offers.items():
        if kind in fixed:
            assert {offers[split, kind, options, option] for option in options} == {count}
            compared += 1
    assert compared > 50


def test_the_queries_of_the_documents_run(street: Store) -> None:
    import duckdb

    text = (Path(__file__).parents[2] / "docs" / "tables.md").read_text()
    (block,) = re.findall(r"```sql\n(.*?)```", text, re.DOTALL)
    queries = [query for query in block.replace("STORE", str(street.root)).split(";") if query.strip()]
    found = [duckdb.sql(query).fetchall() for query in queries]
    assert len(found) == 4
    assert len(found[0]) > 100
    assert len(found[3]) > 1000
