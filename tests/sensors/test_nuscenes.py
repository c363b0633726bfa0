"""The nuScenes reader: values of a hand-made set, and a table of what hostile sets do."""

from __future__ import annotations

import json
import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drive_vqa.errors import LogFormatError
from drive_vqa.schema import pose_from_struct
from sensors.reader import list_logs, read_log
from sensors.readers import nuscenes
from tests.sensors.nuscenes_files import MOUNTS, SCENES, START_US, STEP_US, Tables, make_tables, write_tables


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_tables(tmp_path / "set", make_tables())


def read(source: Path, name: str = "scene-0001") -> Any:
    handle = next(handle for handle in list_logs(source, "nuscenes") if handle.log_id == name)
    return read_log(handle)


def test_handles_are_scenes_and_survive_pickling(source: Path) -> None:
    handles = list_logs(source, "nuscenes")
    assert [handle.log_id for handle in handles] == list(SCENES)
    assert pickle.loads(pickle.dumps(handles)) == handles


@pytest.mark.parametrize(("logfile", "recording"), [("n1", "n1"), ("", "log"), (None, "log")])
def test_scenes_of_one_recording_name_it(tmp_path: Path, logfile: str | None, recording: str) -> None:
    tables = make_tables()
    tables["log"][0]["logfile"] = logfile
    source = write_tables(tmp_path / "set", tables)
    assert [read(source, name).logs["recording"].to_pylist() for name in SCENES] == [[recording]] * len(SCENES)


def test_times_are_exact_nanoseconds(source: Path) -> None:
    expected = [(START_US + frame * STEP_US) * 1000 for frame in range(4)]
    assert read(source).frames["timestamp_ns"].to_pylist() == expected


def test_only_keyframes_of_every_channel(source: Path) -> None:
    rows = read(source).sensor_data.to_pylist()
    assert [(row["frame"], row["sensor"]) for row in rows] == [(f, name) for f in range(4) for name in sorted(MOUNTS)]
    for row in rows:
        assert row["path"].startswith("samples/")
        assert row["timestamp_ns"] == (START_US + row["frame"] * STEP_US - MOUNTS[row["sensor"]][1]) * 1000
    camera = next(row for row in rows if row["sensor"] == "CAM_FRONT")
    assert (camera["width"], camera["height"], camera["distortion"]) == (1600, 900, [])
    assert camera["intrinsics"] == [1266.4, 0.0, 816.3, 0.0, 1265.9, 491.5, 0.0, 0.0, 1.0]
    assert next(row for row in rows if row["sensor"] == "LIDAR_TOP")["intrinsics"] is None


def test_boxes_keep_their_numbers(source: Path) -> None:
    car, walker = read(source).annotations.to_pylist()[2:4]
    assert (car["length_m"], car["width_m"], car["height_m"]) == (4.6, 1.9, 1.6)
    assert (car["track_id"], car["category"], car["source_category"]) == ("scene-0001-car", "car", "vehicle.car")
    assert (car["attribute"], car["lidar_points"], car["radar_points"]) == ("vehicle.moving", 12, 1)
    assert (walker["category"], walker["attribute"]) == ("pedestrian", None)


def test_ego_motion_is_that_of_the_drive(source: Path) -> None:
    row = read(source).frames.to_pylist()[1]
    seconds = STEP_US * 1e-6
    assert row["speed_mps"] == pytest.approx(np.hypot(7.0, 5.0 + 0.8 * seconds), abs=1e-6)
    assert row["yaw_rate_radps"] == pytest.approx(np.radians(8.0), abs=2e-3)  # a tilted x axis turns a little otherwise


def test_one_frame_has_no_motion(tmp_path: Path) -> None:
    tables = make_tables()
    keep = {"scene-0001-0", *(sample["token"] for sample in tables["sample"] if sample["scene_token"] != "scene-0001")}
    tables["sample"] = [row for row in tables["sample"] if row["token"] in keep]
    for name in ("sample_data", "sample_annotation"):
        tables[name] = [row for row in tables[name] if row["sample_token"] in keep]
    (row,) = read(write_tables(tmp_path / "set", tables)).frames.to_pylist()
    assert row["speed_mps"] is row["accel_mps2"] is row["yaw_rate_radps"] is None


def test_a_test_split_without_labels_reads(tmp_path: Path) -> None:
    tables = {**make_tables(), "sample_annotation": [], "instance": []}
    log = read(write_tables(tmp_path / "set", tables, "v1.0-test"))
    assert (log.frames.num_rows, log.annotations.num_rows) == (4, 0)


@pytest.mark.parametrize("version", ["v1.0-test", "v1.0-mini"])
def test_tables_of_labels_may_be_absent_in_a_test_split_only(tmp_path: Path, version: str) -> None:
    tables = {name: rows for name, rows in make_tables().items() if name not in ("sample_annotation", "instance")}
    source = write_tables(tmp_path / "set", tables, version)
    if version == "v1.0-mini":
        with pytest.raises(LogFormatError, match=r"(instance|sample_annotation)\.json is missing"):
            read(source)
        return
    log = read(source)
    assert (log.frames.num_rows, log.sensor_data.num_rows, log.annotations.num_rows) == (4, 16, 0)


def test_frames_know_their_samples_and_boxes_are_observed(source: Path) -> None:
    log = read(source, "scene-0002")
    assert log.frames["source_frame"].to_pylist() == [f"scene-0002-{frame}" for frame in range(3)]
    assert set(log.annotations["observed"].to_pylist()) == {True}


def with_more_sweeps() -> Tables:
    """A second sweep of every channel before each keyframe, and one of the lidar far before the first keyframe."""
    tables = make_tables()
    sweeps = [row for row in tables["sample_data"] if not row["is_key_frame"]]
    for row in sweeps:
        token, time_us = row["token"] + "-2", row["timestamp"] - 100_000
        pose = next(pose for pose in tables["ego_pose"] if pose["token"] == row["ego_pose_token"])
        tables["sample_data"].append({**row, "token": token, "timestamp": time_us, "ego_pose_token": "e-" + token})
        shifted = [pose["translation"][0] + 1.0, *pose["translation"][1:]]
        tables["ego_pose"].append({**pose, "token": "e-" + token, "translation": shifted})
    return tables


@pytest.mark.parametrize("frame", [0, 1, 3])
def test_sweeps_between_keyframes(tmp_path: Path, frame: int) -> None:
    tables = with_more_sweeps()
    handle = list_logs(write_tables(tmp_path / "set", tables), "nuscenes")[0]
    rows = nuscenes.read_sweeps(handle, frame)
    assert [(row["sensor"], row["frame"]) for row in rows] == [
        (n, frame) for n in ("LIDAR_TOP", "RADAR_FRONT") for _ in "ab"
    ]
    of_token = {row["token"]: row for row in tables["sample_data"]}
    poses = {row["token"]: row for row in tables["ego_pose"]}
    for row, ending in zip(rows, ("sweep-2", "sweep", "sweep-2", "sweep"), strict=True):
        source_row = of_token[f"scene-0001-{frame}-{row['sensor']}-{ending}"]
        assert (row["timestamp_ns"], row["path"]) == (source_row["timestamp"] * 1000, source_row["filename"])
        pose = poses[source_row["ego_pose_token"]]
        ours = pose_from_struct(row["global_SE3_ego"])
        np.testing.assert_allclose(ours.translation_m, pose["translation"])
        assert ours.quaternion_wxyz == pytest.approx(np.array(pose["rotation"]) * np.sign(pose["rotation"][0]))


def test_sweeps_are_found_by_time_whatever_sample_they_name(tmp_path: Path) -> None:
    tables = with_more_sweeps()
    handle = list_logs(write_tables(tmp_path / "one", tables), "nuscenes")[0]
    expected = nuscenes.read_sweeps(handle, 2)
    for row in tables["sample_data"]:
        if not row["is_key_frame"] and row["sample_token"] == "scene-0001-2":
            row["sample_token"] = "scene-0001-1"
    handle = list_logs(write_tables(tmp_path / "other", tables), "nuscenes")[0]
    assert nuscenes.read_sweeps(handle, 2) == expected != []


def test_a_wrong_sweep_stops_the_sweeps_alone(tmp_path: Path) -> None:
    tables = make_tables()
    sweep = next(row for row in tables["sample_data"] if not row["is_key_frame"])
    sweep["filename"] = "/etc/passwd"
    handles = list_logs(write_tables(tmp_path / "set", tables), "nuscenes")
    assert read_log(handles[0]).frames.num_rows == 4
    with pytest.raises(LogFormatError, match=f"{sweep['token']}.*'/etc/passwd' must be relative"):
        nuscenes.read_sweeps(handles[0], 1)
    assert len(nuscenes.read_sweeps(handles[1], 1)) == 2


@pytest.mark.parametrize("frame", [-1, 4])
def test_there_are_no_sweeps_of_a_frame_that_is_not(source: Path, frame: int) -> None:
    with pytest.raises(LogFormatError, match="give one from 0 to 3"):
        nuscenes.read_sweeps(list_logs(source, "nuscenes")[0], frame)


def test_cycles_of_links_do_not_matter(tmp_path: Path) -> None:
    tables = make_tables()
    for row in tables["sample"] + tables["sample_annotation"]:
        row["next"] = row["prev"] = row["token"]
    assert read(write_tables(tmp_path / "set", tables)).frames.num_rows == 4


def test_equal_content_has_an_equal_digest_and_a_change_another(tmp_path: Path) -> None:
    tables = make_tables()
    one, same = (write_tables(tmp_path / name, tables) for name in ("one", "same"))
    tables["sample_annotation"][0]["translation"][0] += 0.01
    other = write_tables(tmp_path / "other", tables)
    digests = [list_logs(source, "nuscenes")[0].digest for source in (one, same, other)]
    assert digests[0] == digests[1] != digests[2]
    poses = [pose_from_struct(read(source).annotations["ego_SE3_box"][0].as_py()) for source in (one, other)]
    moved_m = np.linalg.norm(poses[1].translation_m - poses[0].translation_m)
    assert moved_m == pytest.approx(0.01)  # the changed file is read, not a cached one


def test_scenes_of_one_name_in_two_versions_are_refused(source: Path) -> None:
    write_tables(source, make_tables(), "v1.0-trainval")
    with pytest.raises(LogFormatError, match="more than one log named 'scene-0001'.*--version v1.0-trainval"):
        list_logs(source, "nuscenes")
    handles = nuscenes.list_logs(source, "v1.0-trainval")
    assert [(handle.log_id, handle.version) for handle in handles] == [(name, "v1.0-trainval") for name in SCENES]
    assert read_log(handles[0]).frames.num_rows == 4
    with pytest.raises(LogFormatError, match="no version 'v1.0-test'.*v1.0-mini or v1.0-trainval"):
        nuscenes.list_logs(source, "v1.0-test")


def test_versions_with_scenes_of_their_own_are_listed_together(source: Path) -> None:
    other = json.loads(json.dumps(make_tables()).replace("scene-000", "scene-100"))
    write_tables(source, other, "v1.0-test")
    handles = list_logs(source, "nuscenes")
    assert [handle.log_id for handle in handles] == ["scene-0001", "scene-0002", "scene-1001", "scene-1002"]
    assert [handle.version for handle in handles] == ["v1.0-mini"] * 2 + ["v1.0-test"] * 2
    assert [read_log(handle).frames.num_rows for handle in handles] == [4, 3, 4, 3]


@pytest.mark.parametrize(
    ("name", "category"),
    [
        ("vehicle.car", "car"),
        ("vehicle.bus.bendy", "bus"),
        ("vehicle.emergency.police", "emergency_vehicle"),
        ("vehicle.cargo", "other"),
        ("human.pedestrian.stroller", "other"),
        ("human.pedestrian.wheelchair", "pedestrian"),
        ("movable_object.trafficcone", "traffic_cone"),
        ("static_object.bicycle_rack", "other"),
    ],
)
def test_categories(name: str, category: str) -> None:
    assert nuscenes._category(name) == category


def put(table: str, key: str, value: Any) -> Callable[[Tables], None]:
    """Change one key of the first record, which belongs to scene-0001."""

    def change(tables: Tables) -> None:
        tables[table][0][key] = value

    return change


def drop(table: str, key: str) -> Callable[[Tables], None]:
    def change(tables: Tables) -> None:
        del tables[table][0][key]

    return change


ONE_SCENE = {  # what is wrong with one record: a change, and words of the message
    "NaN pose": (put("ego_pose", "translation", [float("nan"), 0, 0]), "ego_pose.json.*translation must be 3 finite"),
    "infinite pose": (put("ego_pose", "translation", [float("inf"), 0, 0]), "ego_pose.json.*3 finite"),
    "huge pose": (put("ego_pose", "translation", [10**400, 0, 0]), "ego_pose.json.*3 finite"),
    "zero quaternion": (put("ego_pose", "rotation", [0, 0, 0, 0]), "ego_pose.json.*rotation must be 4"),
    "number as text": (put("ego_pose", "translation", ["1.0", 0, 0]), "ego_pose.json.*3 finite"),
    "true as number": (put("ego_pose", "translation", [True, 0, 0]), "ego_pose.json.*3 finite"),
    "no rotation": (drop("ego_pose", "rotation"), "ego_pose.json.*rotation.*absent"),
    "dangling pose": (
        put("sample_data", "ego_pose_token", "gone"),
        "sample_data.json names token 'gone'.*ego_pose.json",
    ),
    "dangling sensor": (put("sample_data", "calibrated_sensor_token", "gone"), "'gone'.*calibrated_sensor.json"),
    "dangling instance": (put("sample_annotation", "instance_token", "gone"), "'gone'.*instance.json"),
    "dangling attribute": (put("sample_annotation", "attribute_tokens", ["gone"]), "'gone'.*attribute.json"),
    "attributes not a list": (
        put("sample_annotation", "attribute_tokens", "moving"),
        "attribute_tokens must be a list",
    ),
    "box without width": (
        put("sample_annotation", "size", [0, 4, 2]),
        "sample_annotation.json.*size must be 3 numbers above 0",
    ),
    "negative points": (put("sample_annotation", "num_lidar_pts", -1), "num_lidar_pts must be a whole number"),
    "too many points": (put("sample_annotation", "num_lidar_pts", 2**31), "num_lidar_pts must be a whole number"),
    "time as text": (
        put("sample", "timestamp", "1533151603512404"),
        "sample.json.*timestamp must be whole microseconds",
    ),
    "time too great": (put("sample", "timestamp", 2**63), "sample.json.*timestamp must be whole microseconds"),
    "path climbs out": (put("sample_data", "filename", "../../etc/passwd"), "'../../etc/passwd' must be relative"),
    "path absolute": (put("sample_data", "filename", "/etc/passwd"), "'/etc/passwd' must be relative"),
    "path empty": (put("sample_data", "filename", ""), "must be relative"),
    "keyframe not a flag": (put("sample_data", "is_key_frame", "yes"), "is_key_frame must be true or false"),
    "no lidar keyframe": (put("sample_data", "is_key_frame", False), "no LIDAR_TOP capture"),
}


@pytest.mark.parametrize("case", ONE_SCENE)
def test_a_wrong_record_stops_its_scene_and_no_other(tmp_path: Path, case: str) -> None:
    change, words = ONE_SCENE[case]
    tables = make_tables()
    change(tables)
    source = write_tables(tmp_path / "set", tables)
    with pytest.raises(LogFormatError, match=words):
        read(source)
    assert read(source, "scene-0002").frames.num_rows == 3


WHOLE_SET = {  # what is wrong with a table
    "token twice": (
        lambda tables: tables["sample"].append(tables["sample"][0]),
        "sample.json: token 'scene-0001-0' stands twice",
    ),
    "no token": (drop("sample", "token"), "sample.json, record 0: token must be a token"),
    "token not text": (put("sample_data", "sample_token", ["x"]), "sample_data.json, record 0: sample_token"),
    "sample of no scene": (put("sample", "scene_token", "gone"), "scene_token 'gone' is not in scene.json"),
    "box of no sample": (put("sample_annotation", "sample_token", "gone"), "sample_token 'gone' is not in sample.json"),
    "no scenes in list": (lambda tables: tables.update(sample={"a": 1}), "sample.json"),
    "records are numbers": (lambda tables: tables.update(sample=[1, 2]), "sample.json: an entry is 1"),
    "records are null": (lambda tables: tables.update(sample=[None]), "sample.json: an entry is None"),
}


@pytest.mark.parametrize("case", WHOLE_SET)
def test_a_wrong_table_is_named(tmp_path: Path, case: str) -> None:
    change, words = WHOLE_SET[case]
    tables = make_tables()
    change(tables)
    with pytest.raises(LogFormatError, match=words):
        read(write_tables(tmp_path / "set", tables))


@pytest.mark.parametrize("table", ["scene", "sample", "sample_data", "ego_pose", "sample_annotation", "instance"])
@pytest.mark.parametrize("content", ["cut", "", "[" * 100_000, '{"token": "x"}', None])
def test_listing_refuses_a_damaged_file(source: Path, table: str, content: str | None) -> None:
    file = source / "v1.0-mini" / f"{table}.json"
    if content is None:
        file.unlink()
    else:
        file.write_text(file.read_text()[:-20] if content == "cut" else content)
    with pytest.raises(LogFormatError, match=rf"\b{table}\.json"):
        list_logs(source, "nuscenes")


def test_a_version_folder_as_source_says_what_to_give(source: Path) -> None:
    with pytest.raises(LogFormatError, match="give its parent"):
        list_logs(source / "v1.0-mini", "nuscenes")


def test_frames_must_move_on_in_time(tmp_path: Path) -> None:
    tables = make_tables()
    tables["sample"][1]["timestamp"] = tables["sample"][0]["timestamp"]
    with pytest.raises(LogFormatError, match="not later than the one before"):
        read(write_tables(tmp_path / "set", tables))


def test_json_with_nan_literals_is_read_as_such(source: Path) -> None:
    file = source / "v1.0-mini" / "calibrated_sensor.json"
    rows = json.loads(file.read_text())
    rows[0]["translation"][2] = float("nan")
    file.write_text(json.dumps(rows))
    with pytest.raises(LogFormatError, match="calibrated_sensor.json, token 'k-LIDAR_TOP'"):
        read(source)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_damaged_bytes_are_an_error_or_a_clean_log(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    """Bytes flipped, or a span doubled or left out, in one of the tables."""
    chance = random.Random(seed)
    source = write_tables(tmp_path_factory.mktemp("fuzz") / "set", make_tables())
    file = (
        source / "v1.0-mini" / f"{chance.choice(['sample_data', 'ego_pose', 'sample_annotation', *make_tables()])}.json"
    )
    content = bytearray(file.read_bytes())
    start = chance.randrange(len(content))
    span = content[start : start + chance.choice([1, 8, 400])]
    match chance.randrange(3):
        case 0:
            content[start] = chance.choice(b'0123456789-.eE,:[]{}"\\nNaul \xff')
        case 1:
            content[start:start] = span
        case 2:
            del content[start : start + len(span)]
    file.write_bytes(content)
    try:
        handles = list_logs(source, "nuscenes")
    except LogFormatError:
        return
    for handle in handles:
        try:
            log = read_log(handle)
            nuscenes.read_sweeps(handle, 0)
        except LogFormatError:
            continue
        for pose in (*log.frames["global_SE3_ego"].to_pylist(), *log.annotations["ego_SE3_box"].to_pylist()):
            assert np.isfinite(pose_from_struct(pose).matrix).all()
