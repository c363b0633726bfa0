"""What is asked: wordings, evidence, ids, slices."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from drive_vqa.store import Store
from qa_gen.catalogue import TYPES, catalogue, list_types
from qa_gen.config import GenerateConfig
from qa_gen.generate import generate
from qa_gen.preview import preview
from qa_gen.question_type import QuestionType, bearing_text
from tests.qa_gen.world import STREET, make_store

UNITS = {
    "distance": "meters",
    "bearing": "degrees, 0 straight ahead, positive to the left",
    "speed": "meters per second",
    "clock": "o'clock",
}
MUST_SAY = {**{kind: (unit,) for kind, unit in UNITS.items()}, "localization": ("meters", UNITS["bearing"])}
FUTURE = [kind for kind in TYPES.values() if kind.horizon_s > 0 and kind.name != "closing_or_receding"]


@pytest.fixture(scope="module")
def rows(street: Store) -> list[dict[str, Any]]:
    return list(street.read("questions", "street").to_pylist())


@pytest.mark.parametrize("kind", TYPES.values(), ids=TYPES)
def test_wordings_are_plain_sentences(kind: QuestionType) -> None:
    assert len(set(kind.wordings)) >= 4
    for wording in kind.wordings:
        text = kind.fill(wording, ("Region 7", "Region 9"))
        assert re.fullmatch(r"[A-Z][^{}\n]*[?.]", text)
        assert re.search(r"  | ,| \?", text) is None
        assert [name in text for name in ("Region 7", "Region 9")] == [kind.marks > 0, kind.marks > 1]
        for words in MUST_SAY.get(kind.answer_type, ()):
            assert words in text
        for option in kind.options:
            assert kind.fill(option, ("Region 7", "Region 9")) in text


@pytest.mark.parametrize("kind", FUTURE, ids=lambda kind: kind.name)
def test_wordings_of_the_future_name_the_time(kind: QuestionType) -> None:
    seconds = "1 second" if kind.horizon_s == 1 else f"{kind.horizon_s:.0f} seconds"
    for wording in kind.wordings:
        assert re.search(rf"\b{seconds}\b", wording)
        assert kind.answer_type != "localization" or " then" in wording or "at that time" in wording


def test_at_least_four_types_a_family() -> None:
    families = [row["family"] for row in catalogue()]
    assert {family: families.count(family) >= 4 for family in families} == {"object": True, "ego": True, "future": True}
    assert all(name in list_types() for name in TYPES)


def test_ids_are_unique_and_stable(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    ids = [row["qa_id"] for row in rows]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch("[0-9a-f]{16}", qa_id) for qa_id in ids)
    again = make_store(tmp_path / "elsewhere", {"street": STREET})
    generate(again, GenerateConfig(), workers=1)
    assert again.read("questions", "street")["qa_id"].to_pylist() == ids


def test_all_wordings_are_used(rows: list[dict[str, Any]]) -> None:
    used = {(row["type"], row["template"]) for row in rows}
    assert len(used) > 0.9 * sum(len(kind.wordings) for kind in TYPES.values())


def test_options_hold_the_answer_in_no_fixed_place(rows: list[dict[str, Any]]) -> None:
    choices = [row for row in rows if row["answer_type"] == "choice"]
    assert all(row["answer"] in row["options"] for row in choices)
    assert all(row["options"] == [] for row in rows if row["answer_type"] != "choice")
    sides = [row["options"].index(row["answer"]) for row in choices if row["type"] == "bigger"]
    assert 0.2 < sum(sides) / len(sides) < 0.8


def test_evidence_is_where_the_regions_are(rows: list[dict[str, Any]], street: Store) -> None:
    groups = {row["group_id"]: row for row in street.read("groups", "street").to_pylist()}
    for row in rows:
        regions = {
            (mark["mark"], region["context"])
            for mark in groups[row["group_id"]]["marks"]
            for region in mark["regions"]
            if mark["mark"] in row["marks"]
        }
        evidence = [(entry["mark"], entry["context"]) for entry in row["evidence"]]
        assert len(evidence) == len(set(evidence))
        assert set(evidence) == regions
        present = len(groups[row["group_id"]]["context"]) - 1
        assert {(mark, present) for mark in row["marks"]} <= regions


def test_slices_are_those_of_the_first_mark(rows: list[dict[str, Any]], street: Store) -> None:
    tracks = {(row["frame"], row["track_id"]): row for row in street.read("tracks", "street").to_pylist()}
    for row in rows:
        slices = row["slices"]
        if not row["track_ids"]:
            assert set(slices.values()) == {None}
            continue
        now, then = (tracks[row[frame], row["track_ids"][0]] for frame in ("frame", "truth_frame"))
        assert slices["category"] == now["category"]
        assert slices["distance_m"] == pytest.approx((now["x_m"] ** 2 + now["y_m"] ** 2) ** 0.5)
        assert slices["visible_fraction"] == now["cameras"][0]["visible_fraction"]
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


def test_the_text_of_a_bearing() -> None:
    texts = [bearing_text(angle) for angle in (-0.4, 0.4, -179.7, 180.0, 1.2, -1.2, -12.6)]
    expected = ["0 degrees", "0 degrees", "180 degrees", "180 degrees", "1 degree", "-1 degree", "-13 degrees"]
    assert texts == expected


def test_preview_shows_every_type_without_writing(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store", {"street": STREET})
    text = preview(store, GenerateConfig(), len(TYPES))
    assert [name for name in TYPES if f" {name} " not in text] == []
    assert text.count("  Q: ") == text.count("  A: ") == len(TYPES)
    assert store.log_ids("questions") == []
    assert preview(store, GenerateConfig(families=("ego",)), 3).count("ego ") == 3
