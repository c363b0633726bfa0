"""The Arrow files of nuScenes tables: equal to the JSON however that is written, and safe against what happens to files."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from drive_vqa.errors import LogFormatError, StoreError
from sensors.readers import nuscenes, nuscenes_cache, nuscenes_json
from sensors.readers.nuscenes_benchmark_data import BOXES, CAPTURES, INSTANCES, SAMPLES, SCENES, write_set
from tests.sensors.nuscenes_files import make_tables, write_tables

REPOSITORY = Path(__file__).parents[2]
VERSION = "v1.0-mini"
TABLES = ("logs", "frames", "sensor_data", "annotations")
HOUR_AGO_NS = time.time_ns() - 3_600_000_000_000


@pytest.fixture(autouse=True)
def user_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    nuscenes._version_or_error.cache_clear()
    return tmp_path / "user"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A set whose files are old enough to be trusted by their time stamps."""
    return aged(write_tables(tmp_path / "set", make_tables()))


def aged(source: Path) -> Path:
    for file in (source / VERSION).glob("*.json"):
        os.utime(file, ns=(HOUR_AGO_NS, HOUR_AGO_NS))
    return source


def everything(source: Path) -> dict[str, dict[str, pa.Table]]:
    """All that is to be read, by a reader that has not read before."""
    nuscenes._version_or_error.cache_clear()
    logs = {handle.log_id: nuscenes.read_log(handle) for handle in nuscenes.list_logs(source)}
    return {name: {table: getattr(log, table) for table in TABLES} for name, log in logs.items()}


def generations(place: Path) -> list[str]:
    return sorted(path.name for path in place.iterdir() if path.is_dir())


@pytest.mark.parametrize(
    ("piece_bytes", "style"),
    [(900, {}), (2_000, {"indent": 0}), (3_000, {"indent": 3}), (4_000, {"separators": (",", ":")}), (4 << 20, {})],
)
def test_layout_and_order_of_the_json_do_not_matter(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch, piece_bytes: int, style: dict[str, Any]
) -> None:
    """Pieces of a record or two; records and keys shuffled, so that no table stands in the order of another."""
    expected = everything(source)
    monkeypatch.setattr(nuscenes_json, "PIECE_BYTES", piece_bytes)
    shuffled, chance = tmp_path / "shuffled" / VERSION, random.Random(piece_bytes)
    shuffled.mkdir(parents=True)
    for name, rows in make_tables().items():
        rows = [dict(chance.sample(list(row.items()), len(row))) for row in chance.sample(rows, len(rows))]
        (shuffled / f"{name}.json").write_text(json.dumps(rows, **style))
    found = everything(shuffled.parent)
    assert found.keys() == expected.keys()
    for name, tables in found.items():
        for table in ("logs", "frames", "sensor_data"):
            assert tables[table].equals(expected[name][table])
        order = [("frame", "ascending"), ("track_id", "ascending")]
        assert tables["annotations"].sort_by(order).equals(expected[name]["annotations"].sort_by(order))


def test_both_parsers_read_the_same(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = everything(source)
    monkeypatch.setattr(nuscenes_json, "_parse_fast", lambda kind, content: None)
    assert everything(write_tables(tmp_path / "exact", make_tables())) == expected


def test_text_that_looks_like_the_end_of_a_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nuscenes_json, "PIECE_BYTES", 300)
    tables = make_tables()
    for row in tables["sample_data"]:
        row["filename"] = 'samples/x}, {"token": "y"}, {' + row["token"]
    log = next(iter(everything(write_tables(tmp_path / "set", tables)).values()))
    assert all(path.startswith('samples/x}, {"token": "y"}, {') for path in log["sensor_data"]["path"].to_pylist())


def test_a_later_open_hashes_nothing_and_parses_nothing(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = everything(source)
    monkeypatch.setattr(nuscenes_cache, "file_sha256", lambda path: pytest.fail(f"{path} was hashed"))
    monkeypatch.setattr(nuscenes_cache, "_build", lambda *_: pytest.fail("converted again"))
    assert everything(source) == first


def test_touched_files_are_hashed_and_not_converted(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = everything(source)
    os.utime(source / VERSION / "sample_data.json")
    monkeypatch.setattr(nuscenes_cache, "_build", lambda *_: pytest.fail("converted again"))
    assert everything(source) == first


@pytest.mark.parametrize("old", [True, False])
def test_changed_json_is_converted_again(source: Path, old: bool) -> None:
    """`old`: the change has its own time stamp; else it comes within the clock tick of the first reading."""
    file = source / VERSION / "sample_annotation.json"
    if not old:
        os.utime(file)
    stamp = file.stat().st_mtime_ns
    first = everything(source)["scene-0001"]["annotations"]["lidar_points"].to_pylist()
    text = file.read_text().replace('"num_lidar_pts": 12', '"num_lidar_pts": 97')
    file.write_text(text)
    assert len(text) == file.stat().st_size
    if not old:
        os.utime(file, ns=(stamp, stamp))
    second = everything(source)["scene-0001"]["annotations"]["lidar_points"].to_pylist()
    assert second == [97 if count == 12 else count for count in first] != first
    assert len(generations(source / VERSION / nuscenes_cache.FOLDER)) == 1


def test_a_set_that_changed_after_listing_is_refused(source: Path) -> None:
    handle = nuscenes.list_logs(source)[0]
    file = source / VERSION / "log.json"
    file.write_text(file.read_text().replace("tiny-town", "other-town"))
    with pytest.raises(LogFormatError, match="has changed since its logs were listed"):
        nuscenes.read_log(handle)


DAMAGES = ("cut", "emptied", "removed", "one bit at the start", "one bit", "one bit at the end")
DAMAGED = [
    *((name, damage) for name in ("manifest", "keyframes") for damage in DAMAGES),
    *((name, "one bit") for name in ("scenes", "calibrations", "instances", "attributes", "samples", "boxes")),
]


@pytest.mark.parametrize(("name", "damage"), DAMAGED)
def test_a_damaged_file_is_made_anew(source: Path, name: str, damage: str) -> None:
    expected = everything(source)
    (folder,) = [path for path in (source / VERSION / nuscenes_cache.FOLDER).iterdir() if path.is_dir()]
    file = next(folder.glob(f"{name}.*"))
    content = bytearray(file.read_bytes())
    place = {"one bit at the start": 1, "one bit": len(content) // 2, "one bit at the end": len(content) - 3}.get(
        damage, 0
    )
    content[place] ^= 4
    file.unlink()  # the old one stays mapped
    if damage != "removed":
        file.write_bytes({"cut": content[: len(content) // 2], "emptied": b""}.get(damage, content))
    assert everything(source) == expected
    assert generations(folder.parent) == [folder.name]
    assert file.stat().st_size == len(content)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"noted_ns": null, "files": {"a": 1}}', "[" * 100_000, "\x00"])
def test_unreadable_notes_are_written_again(source: Path, content: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = everything(source)
    (source / VERSION / nuscenes_cache.FOLDER / nuscenes_cache.SOURCES).write_text(content)
    monkeypatch.setattr(nuscenes_cache, "_build", lambda *_: pytest.fail("converted again"))
    assert everything(source) == expected


def test_a_folder_that_cannot_be_written(source: Path, user_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = everything(write_tables(source.parent / "writable", make_tables()))
    (source / VERSION / nuscenes_cache.FOLDER).write_text("in the way, also of root")
    assert everything(source) == expected
    (place,) = (user_cache / "drive-vqa" / "nuscenes").iterdir()
    assert place.name.startswith(VERSION)
    assert len(generations(place)) == 1
    monkeypatch.setattr(nuscenes_cache, "file_sha256", lambda path: pytest.fail(f"{path} was hashed"))
    assert everything(source) == expected


def test_no_folder_at_all(source: Path, user_cache: Path) -> None:
    (source / VERSION / nuscenes_cache.FOLDER).write_text("in the way")
    user_cache.write_text("in the way")
    with pytest.raises(StoreError, match="set XDG_CACHE_HOME"):
        nuscenes.list_logs(source)


READ_ALL = """
import sys, time
from pathlib import Path
from sensors.readers import nuscenes, nuscenes_cache, nuscenes_conversion
time.sleep(max(0.0, float(sys.argv[2]) - time.time()))
logs = [nuscenes.read_log(handle) for handle in nuscenes.list_logs(Path(sys.argv[1]))]
print([log.annotations.num_rows for log in logs], hash(str([log.frames.to_pylist() for log in logs])))
"""


def start(code: str, source: Path, at_s: float = 0.0) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    command = [sys.executable, "-c", code, str(source), str(at_s)]
    return subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True)


def test_two_processes_at_once_and_one_that_is_killed(source: Path) -> None:
    place = source / VERSION / nuscenes_cache.FOLDER
    die = "nuscenes_cache._finish = lambda *_: __import__('os').kill(__import__('os').getpid(), 9)\n"
    killed = start(READ_ALL.replace("time.sleep", die + "time.sleep"), source)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    (left,) = generations(place)
    assert left.startswith(nuscenes_cache.BUILDING)
    assert any((place / left).glob("*.arrow"))

    both = [start(READ_ALL, source, time.time() + 4.0) for _ in range(2)]
    said = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert said[0] == said[1] != ""
    made = generations(place)
    assert len(made) == 2
    assert left in made
    os.utime(place / left, (0, 0))  # long ago
    file = source / VERSION / "log.json"
    file.write_text(file.read_text().replace("tiny-town", "other-town"))
    assert everything(source)["scene-0001"]["logs"]["location"].to_pylist() == ["other-town"]
    assert len(generations(place)) == 1


def test_it_is_said_where_the_tables_go(source: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="sensors.readers.nuscenes_cache"):
        nuscenes.list_logs(source)
    assert str(source / VERSION / nuscenes_cache.FOLDER) in caplog.text


def test_the_benchmarks_set_has_the_size_it_says(tmp_path: Path) -> None:
    root = write_set(tmp_path / "set", 2)
    logs = [nuscenes.read_log(handle) for handle in nuscenes.list_logs(root)]
    assert sum(log.frames.num_rows for log in logs) == SAMPLES * 2 // SCENES
    assert sum(log.sensor_data.num_rows for log in logs) == 12 * (SAMPLES * 2 // SCENES)
    assert sum(log.annotations.num_rows for log in logs) == BOXES * 2 // SCENES
    assert sum(len(set(log.annotations["track_id"].to_pylist())) for log in logs) == INSTANCES * 2 // SCENES
    cache = nuscenes_cache.open_cache(root / "v1.0-trainval")
    captures = [cache.rows(table, scene).num_rows for table in ("keyframes", "sweeps") for scene in range(2)]
    assert sum(captures) == CAPTURES * 2 // SCENES
    again = write_set(tmp_path / "again", 2)
    for file in (root / "v1.0-trainval").glob("*.json"):
        assert file.read_bytes() == (again / "v1.0-trainval" / file.name).read_bytes()
