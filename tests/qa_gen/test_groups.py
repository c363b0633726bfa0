"""What is shown together: keyframes, context, marks."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drive_vqa.store import Store
from qa_gen.config import GenerateConfig
from qa_gen.generate import generate
from tests.qa_gen.world import STREET, Actor, World, make_store


def groups_of(store: Store, log_id: str = "street", kind: str = "") -> list[dict[str, Any]]:
    rows = store.read("groups", log_id).to_pylist()
    return [row for row in rows if row["group_id"].endswith(kind)]


def generated(root: Path, world: World, config: GenerateConfig | None = None, **options: Any) -> Store:
    store = make_store(root, {"street": world}, **options)
    summary = generate(store, config or GenerateConfig(), workers=1)
    assert summary.failures == ()
    return store


def test_context_ends_in_the_present(street: Store) -> None:
    sequences = groups_of(street, kind="sequence")
    assert [row["frame"] for row in sequences] == list(range(3, STREET.frames - 6))
    assert {row["kind"] for row in sequences} == {"sequence"}
    for row in sequences:
        offsets = [(image["offset_s"], image["frame"] - row["frame"]) for image in row["context"]]
        assert offsets == [(-1.5, -3), (-1.0, -2), (-0.5, -1), (0.0, 0)]
        assert [image["path"] for image in row["context"]] == [
            f"images/CAM_FRONT/{image['frame']:03d}.jpg" for image in row["context"]
        ]
    singles = groups_of(street, kind="single")
    assert [row["frame"] for row in singles] == list(range(STREET.frames))
    assert all([image["offset_s"] for image in row["context"]] == [0.0] for row in singles)


def test_keyframes_are_half_a_second_apart_in_a_10_hz_log(tmp_path: Path) -> None:
    store = generated(tmp_path / "store", replace(STREET, frames=61, step_s=0.1))
    assert [row["frame"] for row in groups_of(store, kind="single")] == list(range(0, 61, 5))
    sequences = groups_of(store, kind="sequence")
    assert [row["frame"] for row in sequences] == [15, 20, 25, 30]
    assert [image["frame"] for image in sequences[0]["context"]] == [0, 5, 10, 15]


def test_regions_are_the_boxes_of_their_frame(street: Store) -> None:
    tracks = {(row["frame"], row["track_id"]): row for row in street.read("tracks", "street").to_pylist()}
    shown = 0
    for row in groups_of(street):
        for mark in row["marks"]:
            regions = {region.pop("context"): region for region in mark["regions"]}
            for context, image in enumerate(row["context"]):
                track = tracks.get((image["frame"], mark["track_id"]))
                view = track["cameras"][0] if track and track["cameras"] else None
                if view is None or view["visible_fraction"] < 0.25:
                    assert context not in regions
                else:
                    assert regions[context] == {key: value for key, value in view.items() if key != "camera"}
                    shown += 1
    assert shown > 100


def test_marks_are_of_visible_near_large_movable_things(street: Store) -> None:
    tracks = {(row["frame"], row["track_id"]): row for row in street.read("tracks", "street").to_pylist()}
    for row in groups_of(street):
        numbers = [mark["mark"] for mark in row["marks"]]
        assert numbers == sorted(set(numbers))
        assert set(numbers) <= set(range(10))
        assert len({mark["track_id"] for mark in row["marks"]}) == len(row["marks"]) <= 6
        for mark in row["marks"]:
            track = tracks[row["frame"], mark["track_id"]]
            view = track["cameras"][0]
            assert track["category"] != "traffic_cone"
            assert view["visible_fraction"] >= 0.25
            assert min(view["u1_px"] - view["u0_px"], view["v1_px"] - view["v0_px"]) >= 12
            assert track["x_m"] ** 2 + track["y_m"] ** 2 <= 60**2


def test_moving_and_vulnerable_ones_come_first(tmp_path: Path) -> None:
    store = generated(tmp_path / "store", STREET, GenerateConfig(max_marks=1, families=("ego",)))
    chosen = {mark["track_id"] for row in groups_of(store)[:8] for mark in row["marks"]}
    assert chosen <= {"crossing", "cyclist", "leaves"}


def test_a_sequence_prefers_targets_with_all_futures(tmp_path: Path) -> None:
    store = generated(tmp_path / "store", STREET, GenerateConfig(max_marks=3))
    marked = {
        (row["group_id"].rpartition("-")[2], row["frame"]): {mark["track_id"] for mark in row["marks"]}
        for row in groups_of(store)
    }
    assert all("leaves" in marked["single", frame] for frame in (3, 4, 5, 6))
    assert all("leaves" in marked["sequence", frame] for frame in (3, 4))
    assert all("leaves" not in marked["sequence", frame] for frame in (5, 6))


@pytest.mark.parametrize(("share", "least", "most"), [(0.0, 0.0, 0.0), (0.5, 0.25, 0.75), (1.0, 1.0, 1.0)])
def test_a_share_of_the_bench_is_about_agents_that_will_be_elsewhere(
    tmp_path: Path, share: float, least: float, most: float
) -> None:
    """One goes with the ego vehicle, which passes a parked one; a parked one is chosen for nothing but that."""
    world = World(
        ego=Actor("ego", "car", 0.0, 0.0, 0.0, 5.0),
        actors=(
            Actor("lead", "car", 25.0, 3.0, 0.0, 5.0),
            Actor("parked", "car", 64.0, -6.0, 0.0, 0.0),
        ),
        frames=101,
        step_s=0.1,
    )
    config = GenerateConfig(
        kinds=("target",),
        families=("future",),
        bench_step_s=0.1,
        bench_groups=1000,
        bench_leaving_share=share,
        val_fraction=0.0,
        test_fraction=1.0,
    )
    chosen = Counter(
        mark["track_id"] for row in groups_of(generated(tmp_path / "store", world, config)) for mark in row["marks"]
    )
    assert chosen.total() > 30
    assert least <= chosen["parked"] / chosen.total() <= most


def test_numbers_say_nothing_about_the_place(tmp_path: Path) -> None:
    store = generated(
        tmp_path / "store", replace(STREET, frames=121, step_s=0.1), GenerateConfig(keyframe_step_s=0.1, max_marks=4)
    )
    numbers: dict[str, Counter[int]] = {}
    for row in groups_of(store, kind="single"):
        by_side = sorted(row["marks"], key=lambda mark: mark["regions"][0]["u0_px"])
        if len(by_side) == 4:
            numbers.setdefault("leftmost", Counter())[by_side[0]["mark"]] += 1
            numbers.setdefault("rightmost", Counter())[by_side[-1]["mark"]] += 1
    for counts in numbers.values():
        assert sum(counts.values()) > 30
        assert set(counts) == set(range(10))
        assert max(counts.values()) < 0.3 * sum(counts.values())
    assert set(numbers) == {"leftmost", "rightmost"}


def test_families_choose_the_groups(tmp_path: Path) -> None:
    store = generated(tmp_path / "store", STREET, GenerateConfig(families=("future",), horizons_s=(0, 1)))
    assert groups_of(store, kind="single") == []
    kinds = set(store.read("questions", "street")["type"].to_pylist())
    assert {"localization_t1", "approach_t1", "ego_speed_t0"} < kinds
    assert not any(kind.endswith(("_t2", "_t3")) for kind in kinds)


def test_a_moment_without_an_image_is_not_shown(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store", {"street": STREET})
    captures = store.read("sensor_data", "street")
    store.write("sensor_data", "street", captures.slice(0, 6), "fewer")
    generate(store, GenerateConfig(), workers=1)
    assert {row["frame"] for row in groups_of(store, kind="single")} == set(range(6))
    assert {row["frame"] for row in groups_of(store, kind="sequence")} == {3, 4, 5}


def test_the_front_camera_of_other_sources(tmp_path: Path) -> None:
    store = generated(tmp_path / "store", STREET, camera="front_camera")
    assert {image["camera"] for row in groups_of(store) for image in row["context"]} == {"front_camera"}


@pytest.mark.parametrize("frames", [1, 2])
def test_a_short_log_has_no_sequences(tmp_path: Path, frames: int) -> None:
    store = generated(tmp_path / "store", replace(STREET, frames=frames))
    assert len(groups_of(store, kind="single")) == frames
    assert groups_of(store, kind="sequence") == []
