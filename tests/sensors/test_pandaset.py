"""The PandaSet reader on a tiny sequence in the real layout, and a table of what hostile sequences do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drive_vqa.errors import LogFormatError
from drive_vqa.geometry import SE3
from drive_vqa.schema import pose_from_struct
from sensors.reader import list_logs, read_log
from tests.sensors.pandaset_files import (
    BOXES,
    FRAMES,
    START_S,
    STEP_S,
    cuboids,
    pose,
    table,
    write_gz,
    write_json,
    write_sequence,
)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_sequence(tmp_path / "set" / "007").parent


def read(source: Path) -> Any:
    (handle,) = list_logs(source, "pandaset")
    return read_log(handle)


def test_a_sequence_and_the_folder_above_it_are_the_same_log(source: Path) -> None:
    assert list_logs(source, "pandaset") == list_logs(source / "007", "pandaset")
    assert [handle.log_id for handle in list_logs(source, "pandaset")] == ["pandaset-007"]
    assert read(source).logs["recording"].to_pylist() == ["007"]


def test_frames_look_along_the_lidar_y_axis(source: Path) -> None:
    frames = read(source).frames.to_pylist()
    assert [row["timestamp_ns"] for row in frames] == [
        round(round(START_S + f * STEP_S, 6) * 1e6) * 1000 for f in range(FRAMES)
    ]
    for row in frames:
        global_SE3_ego = pose_from_struct(row["global_SE3_ego"])
        assert np.degrees(global_SE3_ego.yaw_rad) == pytest.approx(45.0)  # lidar x at -45°, so its y at 45°
        assert row["speed_mps"] == pytest.approx(1.0 / STEP_S, rel=1e-4)
        assert row["accel_mps2"] == pytest.approx(0.0, abs=0.01)
    ahead_m = pose_from_struct(frames[0]["global_SE3_ego"]).inverse() @ np.array(
        [frames[2]["global_SE3_ego"][k] for k in ("tx_m", "ty_m", "tz_m")]
    )
    np.testing.assert_allclose(ahead_m, [2.0, 0.0, 0.0], atol=1e-9)


def test_only_what_exists_has_rows(source: Path) -> None:
    rows = read(source).sensor_data.to_pylist()
    assert [(row["frame"], row["sensor"], row["path"]) for row in rows] == [
        (0, "front_camera", "camera/front_camera/00.jpg"),
        (0, "lidar", "lidar/00.pkl.gz"),
        (2, "front_camera", "camera/front_camera/02.jpg"),
    ]
    assert (rows[0]["width"], rows[0]["height"], rows[0]["intrinsics"][4]) == (32, 18, 1971.0)


def test_camera_poses_are_those_of_the_files_and_the_mounting_is_constant(source: Path) -> None:
    cameras = [row for row in read(source).sensor_data.to_pylist() if row["modality"] == "camera"]
    for row in cameras:
        global_SE3_cam = pose_from_struct(row["global_SE3_ego"]) @ pose_from_struct(row["ego_SE3_sensor"])
        expected = pose(row["frame"] - 0.5, height_m=1.8)
        np.testing.assert_allclose(global_SE3_cam.translation_m, list(expected["position"].values()), atol=1e-9)
        np.testing.assert_allclose(global_SE3_cam.quaternion_wxyz, list(expected["heading"].values()), atol=1e-9)
        mounting = [row["ego_SE3_sensor"][key] for key in ("tx_m", "ty_m", "tz_m")]
        np.testing.assert_allclose(mounting, [0.0, 0.0, 1.8], atol=1e-3)  # frame 0 lies before the first lidar stamp


def ego_pose_of(log: Any, frame: int) -> SE3:
    return pose_from_struct(log.frames["global_SE3_ego"][frame].as_py())


def test_boxes_point_where_they_drive(source: Path) -> None:
    log = read(source)
    car, walker = log.annotations.to_pylist()[:2]
    assert (ego_pose_of(log, 0) @ pose_from_struct(car["ego_SE3_box"])).yaw_rad == pytest.approx(0.3 + np.pi / 2)
    assert (car["length_m"], car["width_m"], car["height_m"]) == (4.0, 2.0, 1.5)
    assert (car["category"], car["attribute"]) == ("car", "Moving")
    assert (walker["category"], walker["source_category"], walker["attribute"]) == ("pedestrian", "Pedestrian", None)


def test_siblings_are_one_object(source: Path) -> None:
    log = read(source)
    rows = log.annotations.to_pylist()
    tracks = {frame: sorted(row["track_id"] for row in rows if row["frame"] == frame) for frame in range(FRAMES)}
    whole = ["car", "cut-0", "left-0", "self", "walker"]
    assert tracks == {0: whole, 1: whole, 2: whole}
    boxes = [(row["frame"], pose_from_struct(row["ego_SE3_box"])) for row in rows if row["track_id"] == "left-0"]
    at_y_m = [(ego_pose_of(log, frame) @ box).translation_m[1] for frame, box in boxes]
    assert at_y_m == pytest.approx([9.0, 9.2, 9.0])  # frame 1 has the box of the other lidar only


def test_points_are_counted_where_there_is_a_sweep(source: Path) -> None:
    counts = {(row["frame"], row["track_id"]): row["lidar_points"] for row in read(source).annotations.to_pylist()}
    assert (counts[0, "car"], counts[0, "walker"], counts[0, "self"]) == (2, 1, 0)
    assert {counts[frame, track] for frame, track in counts if frame > 0} == {None}


def test_changes_of_content_change_the_digest(source: Path) -> None:
    before = list_logs(source, "pandaset")[0].digest
    (source / "007" / "camera" / "front_camera" / "02.jpg").unlink()
    assert list_logs(source, "pandaset")[0].digest != before


def edit(file: str, change: Callable[[Any], Any]) -> Callable[[Path], None]:
    def apply(root: Path) -> None:
        content = json.loads((root / file).read_text())
        write_json(root / file, change(content))

    return apply


def boxes(**changes: Any) -> Callable[[Path], None]:
    """Change columns of the first frame's boxes."""

    def apply(root: Path) -> None:
        columns = cuboids(BOXES)
        for key, values in changes.items():
            columns[key.replace("__", ".")] = values
        write_gz(root / "annotations" / "cuboids" / "00.pkl.gz", table(columns))

    return apply


def numbers(value: float) -> np.ndarray:
    return np.array([value] * len(BOXES))


def nan_pose(content: Any) -> Any:
    content[1]["position"]["x"] = float("nan")
    return content


def no_axis(content: Any) -> Any:
    del content[1]["heading"]["w"]
    return content


HOSTILE = {
    "cut JSON": (lambda root: (root / "lidar/poses.json").write_text("[{"), "lidar/poses.json is not complete JSON"),
    "not a list": (edit("lidar/timestamps.json", lambda _: {"a": 1}), "timestamps.json must hold a list"),
    "no frames": (edit("lidar/timestamps.json", lambda _: []), "timestamps.json must hold a list"),
    "text time": (edit("lidar/timestamps.json", lambda c: ["1", *c[1:]]), "timestamps.json: time stamp 0"),
    "huge time": (edit("lidar/timestamps.json", lambda c: [*c[:2], 10**400]), "timestamps.json: time stamp 2"),
    "time stands": (edit("lidar/timestamps.json", lambda c: [c[0], c[0], c[2]]), "frame 1 is not later"),
    "NaN pose": (edit("lidar/poses.json", nan_pose), "lidar/poses.json, pose 1 holds a value that is not a finite"),
    "pose without w": (edit("lidar/poses.json", no_axis), "lidar/poses.json, pose 1 lacks"),
    "pose is a number": (edit("lidar/poses.json", lambda c: [1, 2, 3]), "lidar/poses.json, pose 0 lacks"),
    "too few poses": (edit("camera/front_camera/poses.json", lambda c: c[:2]), "front_camera/poses.json has 2 poses"),
    "far camera time": (
        edit("camera/front_camera/timestamps.json", lambda c: [1.0, *c[1:]]),
        "more than a frame outside",
    ),
    "no focal length": (
        edit("camera/front_camera/intrinsics.json", lambda c: {**c, "fx": 0}),
        "intrinsics.json.*focal",
    ),
    "no cx": (edit("camera/front_camera/intrinsics.json", lambda c: {"fx": 1}), "intrinsics.json must hold fx"),
    "no image": (lambda root: (root / "camera/front_camera/00.jpg").write_text("no"), "00.jpg is not a readable image"),
    "no boxes file": (lambda root: (root / "annotations/cuboids/01.pkl.gz").unlink(), "cuboids/01.pkl.gz is missing"),
    "os.system": (
        lambda root: write_gz(root / "annotations/cuboids/01.pkl.gz", b"cos\nsystem\n(S'true'\ntR."),
        "cuboids/01.pkl.gz .*os.system",
    ),
    "cut sweep": (lambda root: (root / "lidar/00.pkl.gz").write_bytes(b"\x1f\x8b"), "lidar/00.pkl.gz is truncated"),
    "NaN centre": (boxes(position__x=numbers(float("nan"))), "00.pkl.gz: column 'position.x'"),
    "huge centre": (boxes(position__x=numbers(1e300)), "00.pkl.gz: column 'position.x'"),
    "no width": (boxes(dimensions__x=numbers(0.0)), "'dimensions.x' holds a length that is not above 0"),
    "text yaw": (boxes(yaw=np.array(["0"] * len(BOXES), dtype=object)), "column 'yaw'"),
    "number label": (boxes(label=np.array([[]] + [1] * (len(BOXES) - 1), dtype=object)), "column 'label'"),
    "uuid twice": (boxes(uuid=np.array(["a"] * len(BOXES), dtype=object)), "a uuid stands twice"),
    "text sensor": (boxes(cuboids__sensor_id=np.array(["0"] * len(BOXES), dtype=object)), "'cuboids.sensor_id'"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_sequence_is_one_clear_sentence(source: Path, case: str) -> None:
    change, words = HOSTILE[case]
    change(source / "007")
    with pytest.raises(LogFormatError, match=words):
        read(source)


def test_a_missing_column_is_named(source: Path) -> None:
    columns = cuboids(BOXES)
    del columns["yaw"]
    write_gz(source / "007" / "annotations" / "cuboids" / "00.pkl.gz", table(columns))
    with pytest.raises(LogFormatError, match="has no column 'yaw'"):
        read(source)
