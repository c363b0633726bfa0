"""The step as a whole: splits, resume, determinism, failures."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from drive_vqa.config import load_config
from drive_vqa.errors import ConfigError
from drive_vqa.schema import TABLES
from drive_vqa.store import Store
from qa_gen.ask import ask
from qa_gen.config import GenerateConfig
from qa_gen.drive import cameras_of, read_drive
from qa_gen.generate import generate
from qa_gen.split import start_of_test_ns
from tests.qa_gen.oracle.world import Looks, make_traffic, write_traffic
from tests.qa_gen.world import STREET, make_store

SHORT = replace(STREET, frames=10)
CONFIG = GenerateConfig()


def contents(store: Store) -> dict[str, bytes]:
    files = [path for path in sorted(store.root.rglob("*")) if path.is_file()]
    return {path.relative_to(store.root).as_posix(): path.read_bytes() for path in files}


def test_same_bytes_with_one_and_two_workers(tmp_path: Path) -> None:
    worlds = {"a": SHORT, "b": SHORT.mirrored()}
    one, two = (make_store(tmp_path / name, worlds) for name in ("one", "two"))
    assert generate(one, CONFIG, workers=1).done == generate(two, CONFIG, workers=2).done == ("a", "b")
    assert contents(one) == contents(two)


def test_only_what_is_missing_is_made(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store", {"a": SHORT, "b": SHORT.mirrored()})
    generate(store, CONFIG, workers=1)
    before = contents(store)
    assert generate(store, CONFIG, workers=1).skipped == ("a", "b")
    store.path("questions", "b").unlink()
    assert generate(store, CONFIG, workers=1).done == ("b",)
    assert contents(store) == before
    assert generate(store, replace(CONFIG, seed=1), workers=1).done == ("a", "b")
    assert contents(store) != before


def test_a_new_log_leaves_the_others_alone_unless_their_split_changes(tmp_path: Path) -> None:
    names = ["a", "b", "c", "d", "e"]
    store = make_store(tmp_path / "store", dict.fromkeys(names[:-1], SHORT))
    generate(store, CONFIG, workers=1)
    old = store.manifest()["steps"]["generate"]["split"]["logs"]
    make_store(tmp_path / "store", {"e": SHORT})
    done = set(generate(store, CONFIG, workers=1).done)
    new = store.manifest()["steps"]["generate"]["split"]["logs"]
    changed = {name for name in names if old.get(name) != new[name]}
    assert done == changed
    assert changed < set(names)


def test_a_broken_log_does_not_stop_the_others(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store", {"good": SHORT, "no-tracks": SHORT})
    make_store(tmp_path / "store", {"no-camera": SHORT}, camera="rear")
    store.path("tracks", "no-tracks").unlink()
    summary = generate(store, CONFIG, workers=1)
    assert (summary.done, summary.exit_status) == (("good",), 1)
    lines = (store.root / "errors-generate.jsonl").read_text().splitlines()
    messages = {error["log_id"]: error["message"] for error in map(json.loads, lines)}
    assert messages.keys() == {"no-camera", "no-tracks"}
    assert "(it has rear): set cameras=[rear]" in messages["no-camera"]
    assert "drive-vqa fuse" in messages["no-tracks"]
    assert store.log_ids("questions") == store.log_ids("groups") == ["good"]


def test_a_track_twice_in_a_frame_is_refused(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store", {"a": SHORT})
    tracks = store.read("tracks", "a")
    store.write("tracks", "a", tracks.take([0, *range(tracks.num_rows)]), "twice")
    (failure,) = generate(store, CONFIG, workers=1).failures
    assert "track lead twice in a frame" in failure.message


def test_questions_and_groups_carry_the_split_of_their_log(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store", {"a": SHORT, "b": SHORT, "c": SHORT})
    generate(store, CONFIG, workers=1)
    manifest = store.manifest()["steps"]["generate"]["split"]
    assert manifest["rule"] == "recordings-and-places"
    assert sorted(manifest["logs"].values()) == ["test", "train", "val"]
    for table in ("groups", "questions"):
        for log_id, split in manifest["logs"].items():
            assert set(store.read(table, log_id)["split"].to_pylist()) == {split}


def test_one_log_is_split_by_time_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = make_store(tmp_path / "store", {"a": STREET})
    with caplog.at_level(logging.WARNING):
        generate(store, CONFIG, workers=1)
    assert "only one log" in caplog.text
    assert store.manifest()["steps"]["generate"]["split"]["rule"] == "time-within-log"
    rows = store.read("groups", "a").to_pylist()
    last_train = max(row["frame"] for row in rows if row["split"] == "train")
    first_test = min(row["frame"] for row in rows if row["split"] == "test")
    assert (last_train, first_test) == (7, 8)  # of the sequences, which are at frames 3 to 10
    asked = {(row["split"], row["family"]) for row in store.read("questions", "a").to_pylist()}
    both = {(split, family) for split in ("train", "test") for family in ("object", "ego", "future", "unanswerable")}
    assert asked - {("train", "when_where"), ("test", "when_where")} == both | {("bench", "future")}


def test_one_log_may_be_for_tests_alone(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store", {"a": STREET})
    generate(store, load_config(GenerateConfig, overrides=["val_fraction=0", "test_fraction=1"]), workers=1)
    assert store.manifest()["steps"]["generate"]["split"]["rule"] == "tests-alone"
    assert set(store.read("questions", "a")["split"].to_pylist()) == {"test", "bench"}
    frames = {row["frame"] for row in store.read("groups", "a").to_pylist() if row["kind"] == "sequence"}
    assert frames == set(range(3, 11))


@pytest.mark.parametrize(("moments", "train"), [(1, 1), (2, 1), (3, 2), (8, 5), (10, 7)])
def test_first_part_is_for_training(moments: int, train: int) -> None:
    times_ns = list(range(0, 500 * moments, 500))
    assert sum(time_ns < start_of_test_ns(times_ns) for time_ns in times_ns) == train


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("families=[object,lidar]", "object, ego, future"),
        ("horizons_s=[0,4]", "horizons_s"),
        ("context_offsets_s=[-0.5,-1.0,0.0]", "context_offsets_s"),
        ("context_offsets_s=[-1.0]", "context_offsets_s"),
        ("max_marks=0", "max_marks"),
        ("test_fraction=0.9", "leave some logs to train on; for tests alone set val_fraction=0 and test_fraction=1"),
        ("test_fraction=1", "leave some logs to train on"),
        ("val_fraction=1.0", "leave some logs to train on"),
        ("flatten=.nan", "flatten"),
        ("max_pairs=-1", "max_pairs"),
        ("max_distance_m=.inf", "max_distance_m"),
        ("clip_images=1", "clip_images"),
        ("maks=3", "unknown key 'maks'"),
    ],
)
def test_settings_are_checked(override: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        load_config(GenerateConfig, overrides=[override])


def test_a_log_about_which_nothing_can_be_asked_has_no_questions(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store", {"a": SHORT, "empty": SHORT})
    tracks = store.read("tracks", "empty")
    store.write("tracks", "empty", tracks.slice(0, 0), "nothing")
    assert generate(store, CONFIG, workers=1).failures == ()
    assert store.read("questions", "empty").num_rows == store.read("groups", "empty").num_rows == 0
    assert store.read("questions", "a").num_rows > 100


def test_logs_with_other_images_are_not_worked_on_together(tmp_path: Path) -> None:
    """One log has images of all cameras, the other of the front alone."""
    looks = Looks(cameras=("CAM_FRONT", "CAM_BACK"))
    together, alone = (Store.create(tmp_path / name) for name in ("together", "alone"))
    for store, log_ids in ((together, ("full", "half")), (alone, ("half",))):
        for log_id in log_ids:
            write_traffic(store, log_id, make_traffic(4), looks)
        captures = store.read("sensor_data", "half")
        path = pc.if_else(pc.equal(captures["sensor"], "CAM_BACK"), pa.scalar(None, pa.string()), captures["path"])
        index = captures.schema.get_field_index("path")
        store.write("sensor_data", "half", captures.set_column(index, captures.schema.field(index), path), "half")
    splits = {"full": "train", "half": "train"}
    drives = {store: [read_drive(store, log_id) for log_id in store.log_ids()] for store in (together, alone)}
    assert len({cameras_of(drive) for drive in drives[together]}) == 2
    assert "surround" not in set(ask(drives[alone][0], [splits["half"]], CONFIG)[0]["kind"].to_pylist())
    assert "surround" in set(ask(drives[together][0], [splits["full"]], CONFIG)[0]["kind"].to_pylist())


def test_questions_of_logs_that_failed_or_are_gone_do_not_stay(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store", {"a": SHORT, "b": SHORT.mirrored(), "c": SHORT})
    generate(store, CONFIG, workers=1)
    store.path("tracks", "b").write_bytes(b"PAR1")
    store.path("logs", "c").unlink()
    summary = generate(store, CONFIG, workers=1)
    assert [failure.log_id for failure in summary.failures] == ["b"]
    assert store.log_ids("questions") == store.log_ids("groups") == ["a"]
    assert set(store.manifest()["steps"]["generate"]["split"]["logs"]) == {"a", "b"}


def test_a_damaged_frame_table_stops_its_own_log_only(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store", {"a": SHORT, "b": SHORT.mirrored(), "c": SHORT})
    store.path("frames", "b").write_bytes(b"PAR1")
    summary = generate(store, CONFIG, workers=1)
    assert (summary.done, [failure.log_id for failure in summary.failures]) == (("a", "c"), ["b"])


def test_values_that_no_road_has_are_unknown(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store", {"a": SHORT})
    tracks = store.read("tracks", "a").to_pandas()
    tracks.loc[::2, "speed_mps"], tracks.loc[::3, "height_m"] = 1e300, -1.0
    store.write("tracks", "a", pa.Table.from_pandas(tracks, schema=TABLES["tracks"], preserve_index=False), "hostile")
    assert generate(store, CONFIG, workers=1).failures == ()
    rows = store.read("questions", "a").to_pylist()
    assert {"target_speed_t0", "height"} < {row["type"] for row in rows}
    assert all(0 <= row["truth"]["speed_mps"] < 150 for row in rows if row["truth"]["speed_mps"] is not None)
    assert all(row["truth"]["distance_m"] > 0 for row in rows if row["type"] == "height" and row["form"] == "open")
