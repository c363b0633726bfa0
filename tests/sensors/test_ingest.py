"""The step `ingest`: same bytes however it is run, one broken log stops no other, nothing half-written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from drive_vqa.errors import ConfigError, LogFormatError
from drive_vqa.store import Store
from sensors.ingest import ingest
from tests.sensors.nuscenes_files import SCENES, make_tables, write_tables
from tests.sensors.pandaset_files import write_sequence


def contents(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_a_store_has_four_tables_a_log_and_a_manifest(tmp_path: Path) -> None:
    summary = ingest(write_tables(tmp_path / "set", make_tables()), "nuscenes", tmp_path / "store", workers=1)
    assert summary.done == tuple(SCENES)
    store = Store.open(tmp_path / "store")
    for table in ("logs", "frames", "sensor_data", "annotations"):
        assert store.log_ids(table) == list(SCENES)
        assert set(store.read_all(table)["log_id"].to_pylist()) == set(SCENES)
    assert store.source_root("scene-0001") == (tmp_path / "set").resolve()
    assert store.manifest()["steps"]["ingest"] == {
        "source_format": "nuscenes",
        "source_root": "../set",
        "rate_hz": None,
    }
    assert not (store.root / "errors-ingest.jsonl").exists()


def test_the_same_bytes_for_any_place_and_number_of_workers(tmp_path: Path) -> None:
    for place, workers in (("one", 1), ("elsewhere/two", 2)):
        source = write_tables(tmp_path / place / "set", make_tables())
        assert ingest(source, "nuscenes", tmp_path / place / "store", workers=workers).exit_status == 0
    assert contents(tmp_path / "one" / "store") == contents(tmp_path / "elsewhere" / "two" / "store")


def test_a_second_run_skips_and_a_change_does_again(tmp_path: Path) -> None:
    write_sequence(tmp_path / "set" / "001")
    write_sequence(tmp_path / "set" / "002")
    store = tmp_path / "store"
    ingest(tmp_path / "set", "pandaset", store, workers=1)
    before = contents(store)
    assert ingest(tmp_path / "set", "pandaset", store, workers=1).skipped == ("pandaset-001", "pandaset-002")
    assert contents(store) == before
    (tmp_path / "set" / "002" / "camera" / "front_camera" / "00.jpg").unlink()
    again = ingest(tmp_path / "set", "pandaset", store, workers=1)
    assert (again.done, again.skipped) == (("pandaset-002",), ("pandaset-001",))


def test_a_log_that_was_not_finished_is_done_again(tmp_path: Path) -> None:
    write_sequence(tmp_path / "set" / "001")
    store = tmp_path / "store"
    ingest(tmp_path / "set", "pandaset", store, workers=1)
    whole = contents(store)
    (store / "annotations" / "pandaset-001.parquet").unlink()
    assert ingest(tmp_path / "set", "pandaset", store, workers=1).done == ("pandaset-001",)
    assert contents(store) == whole


def test_a_moved_source_changes_only_where_the_log_is(tmp_path: Path) -> None:
    write_sequence(tmp_path / "set" / "001")
    store = tmp_path / "store"
    ingest(tmp_path / "set", "pandaset", store, workers=1)
    before = contents(store)
    shutil.move(tmp_path / "set", tmp_path / "moved")
    assert ingest(tmp_path / "moved", "pandaset", store, workers=1).done == ("pandaset-001",)
    changed = {path for path, content in contents(store).items() if before[path] != content}
    assert changed == {"logs/pandaset-001.parquet", "manifest.json"}


@pytest.mark.parametrize("workers", [1, 2])
def test_one_broken_log_stops_no_other(tmp_path: Path, workers: int) -> None:
    write_sequence(tmp_path / "set" / "001")
    broken = write_sequence(tmp_path / "set" / "002")
    (broken / "lidar" / "poses.json").write_text("[")
    summary = ingest(tmp_path / "set", "pandaset", tmp_path / "store", workers=workers)
    assert (summary.done, summary.exit_status) == (("pandaset-001",), 1)
    (line,) = (tmp_path / "store" / "errors-ingest.jsonl").read_text().splitlines()
    failure = json.loads(line)
    assert (failure["log_id"], failure["error"], failure["trace"]) == ("pandaset-002", "LogFormatError", "")
    assert "poses.json" in failure["message"]
    assert not [path for path in contents(tmp_path / "store") if "002" in path]


def test_mended_logs_clear_the_error_file(tmp_path: Path) -> None:
    poses = write_sequence(tmp_path / "set" / "001") / "lidar" / "poses.json"
    whole = poses.read_text()
    poses.write_text("[")
    ingest(tmp_path / "set", "pandaset", tmp_path / "store", workers=1)
    poses.write_text(whole)
    assert ingest(tmp_path / "set", "pandaset", tmp_path / "store", workers=1).exit_status == 0
    assert not (tmp_path / "store" / "errors-ingest.jsonl").exists()


def test_a_scene_name_that_is_a_path_is_refused(tmp_path: Path) -> None:
    tables = make_tables()
    tables["scene"][0]["name"] = "../../escape"
    summary = ingest(
        write_tables(tmp_path / "a" / "b" / "set", tables), "nuscenes", tmp_path / "a" / "b" / "store", workers=1
    )
    assert [failure.log_id for failure in summary.failures] == ["../../escape"]
    assert summary.done == ("scene-0002",)
    assert not list(tmp_path.glob("**/escape*"))


@pytest.mark.parametrize("table", ["sample", "sample_annotation"])
def test_a_source_that_cannot_be_listed_leaves_nothing_behind(tmp_path: Path, table: str) -> None:
    source = write_tables(tmp_path / "set", make_tables())
    file = source / "v1.0-mini" / f"{table}.json"
    file.write_text(file.read_text()[:-40])
    with pytest.raises(LogFormatError, match=f"{table}.json"):
        ingest(source, "nuscenes", tmp_path / "store", workers=1)
    assert not (tmp_path / "store").exists()


def test_wrong_use_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown log format 'waymo': choose one of nuscenes, pandaset"):
        ingest(tmp_path, "waymo", tmp_path / "store")
    with pytest.raises(LogFormatError, match="gone is not a folder"):
        ingest(tmp_path / "gone", "nuscenes", tmp_path / "store")
    for name in ("nuscenes", "pandaset"):
        with pytest.raises(LogFormatError, match="give the"):
            ingest(tmp_path, name, tmp_path / "store")
    assert not (tmp_path / "store").exists()
