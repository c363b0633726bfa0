"""The KITTI reader on a tiny sequence in the real layout, against KITTI's own formulas, and on hostile sequences."""

from __future__ import annotations

import pickle
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drive_vqa.errors import CalibrationError, LogFormatError
from drive_vqa.geometry import SE3, wrap_rad
from drive_vqa.schema import pose_from_struct
from sensors.readers.kitti import list_logs, read_log, read_velodyne
from sensors.readers.kitti_boxes import (
    bottoms_to_rect,
    centres_to_ego,
    rotations_to_ego,
    rotations_y_to_rect,
    yaws_to_ego,
    yaws_to_rect,
)
from sensors.readers.kitti_calibration import rect_camera, rect_mounting
from tests.sensors.kitti_files import (
    FRAMES,
    IMAGE_SIZE,
    IMU_TO_VELO,
    P2,
    P3,
    RECT,
    RECT_FROM_EGO,
    SPEED_MPS,
    VELO_TO_CAM,
    YAW_RATE,
    calibration_text,
    detection,
    label,
    put,
    write_sequence,
    write_sweep,
)

EGO_FROM_RECT = np.linalg.inv(RECT_FROM_EGO)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_sequence(tmp_path / "kitti")


def read(source: Path) -> Any:
    (handle,) = list_logs(source)
    return read_log(handle)


def rows(table: Any) -> list[dict[str, Any]]:
    return table.to_pylist()


def devkit_corners(bottom_m: np.ndarray, height: float, width: float, length: float, ry: float) -> np.ndarray:
    """Corners in the rectified camera frame as KITTI's MATLAB development kit makes them."""
    turn = np.array([[np.cos(ry), 0, np.sin(ry)], [0, 1, 0], [-np.sin(ry), 0, np.cos(ry)]])
    x = length / 2 * np.array([1, 1, -1, -1, 1, 1, -1, -1])
    y = height * np.array([0, 0, 0, 0, -1, -1, -1, -1.0])
    z = width / 2 * np.array([1, -1, -1, 1, 1, -1, -1, 1])
    return (turn @ np.stack([x, y, z])).T + bottom_m


def test_a_log_is_a_calibration(source: Path) -> None:
    put(source / "training" / "calib" / "0011.txt", calibration_text())
    handles = list_logs(source)
    assert [handle.log_id for handle in handles] == ["kitti-0003", "kitti-0011"]
    assert handles == list_logs(source / "training") == pickle.loads(pickle.dumps(handles))
    assert read_log(handles[0]).logs["recording"].to_pylist() == ["0003"]
    with pytest.raises(LogFormatError, match="nothing else"):
        read_log(handles[1])
    with pytest.raises(LogFormatError, match="calib"):
        list_logs(source / "detections")


def test_label_boxes_have_the_corners_of_the_development_kit(source: Path) -> None:
    box = next(row for row in rows(read(source).annotations) if row["track_id"] == "7" and row["frame"] == 0)
    rect = devkit_corners(np.array([2.0, 1.8, 13.4]), 2.0, 1.8, 4.4, -1.4)
    expected = (EGO_FROM_RECT @ np.column_stack([rect, np.ones(8)]).T).T[:, :3]
    ego_SE3_box = pose_from_struct(box["ego_SE3_box"])
    local = ego_SE3_box.inverse() @ expected
    half = np.array([box["length_m"], box["width_m"], box["height_m"]]) / 2
    np.testing.assert_allclose(np.abs(local), np.broadcast_to(half, (8, 3)), atol=1e-9)
    front, below = local[[0, 1, 4, 5]], local[:4]
    assert (front[:, 0] > 0).all()
    assert (below[:, 2] < 0).all()


def test_labels_keep_their_names_and_leave_out_dont_care(source: Path) -> None:
    found = [
        (row["frame"], row["track_id"], row["category"], row["source_category"])
        for row in rows(read(source).annotations)
    ]
    assert found == [(0, "7", "car", "Car"), (0, "2", "pedestrian", "Pedestrian"), (1, "7", "car", "Car")]
    kinds = ["Van", "Truck", "Person_sitting", "Cyclist", "Tram", "Misc"]
    put(
        source / "training" / "label_02" / "0003.txt",
        "".join(label(0, n, kind, occluded=2) for n, kind in enumerate(kinds)),
    )
    found = rows(read(source).annotations)
    assert [row["category"] for row in found] == ["car", "truck", "pedestrian", "bicycle", "other", "other"]
    assert [row["source_category"] for row in found] == kinds
    assert {row["attribute"] for row in found} == {"truncated=0,occluded=2"}
    assert {row["observed"] for row in found} == {True}


def test_points_in_boxes_are_counted_where_there_is_a_sweep(source: Path) -> None:
    assert [row["lidar_points"] for row in rows(read(source).annotations)] == [10, 0, None]


def test_both_spellings_are_one_calibration(source: Path) -> None:
    before = read(source).sensor_data
    put(source / "training" / "calib" / "0003.txt", calibration_text("tracking"))
    assert read(source).sensor_data.equals(before)


def test_cameras_and_lidar_stand_where_the_matrices_say(source: Path) -> None:
    shutil.copytree(source / "training" / "image_02", source / "training" / "image_03")
    by_sensor = {row["sensor"]: row for row in rows(read(source).sensor_data)}
    velo = pose_from_struct(by_sensor["velodyne"]["ego_SE3_sensor"])
    np.testing.assert_allclose(velo.matrix, np.linalg.inv(IMU_TO_VELO), atol=1e-9)
    rect = np.array([1.5, 0.7, 20.0])
    ego = (EGO_FROM_RECT @ [*rect, 1.0])[:3]
    for name, projection in (("image_02", P2), ("image_03", P3)):
        camera = pose_from_struct(by_sensor[name]["ego_SE3_sensor"]).inverse() @ ego
        u, v, w = np.array(by_sensor[name]["intrinsics"]).reshape(3, 3) @ camera
        x, y, z = projection @ [*rect, 1.0]
        assert (u / w, v / w) == pytest.approx((x / z, y / z), abs=1e-8)


def test_the_rectified_frame_and_p2_come_back_from_the_table(source: Path) -> None:
    sensor_data = read(source).sensor_data
    camera = rect_camera(sensor_data)
    np.testing.assert_allclose(camera.projection, P2, atol=1e-9)
    np.testing.assert_allclose(camera.rect_SE3_ego.matrix, RECT_FROM_EGO, atol=1e-9)
    assert (camera.width, camera.height) == IMAGE_SIZE
    assert rect_mounting(sensor_data.slice(0, 0)) is None
    with pytest.raises(CalibrationError, match="format kitti"):
        rect_camera(sensor_data.slice(0, 0))


def test_every_frame_has_a_calibration_and_only_what_exists_a_path(source: Path) -> None:
    found = rows(read(source).sensor_data)
    assert Counter(row["sensor"] for row in found) == {"image_00": FRAMES, "image_02": FRAMES, "velodyne": 2}
    assert [(row["frame"], row["path"]) for row in found if row["path"]] == [
        (0, "velodyne/0003/000000.bin"),
        (1, "image_02/0003/000001.png"),
        (3, "velodyne/0003/000003.bin"),
    ]
    sizes = {row["frame"]: (row["width"], row["height"]) for row in found if row["sensor"] == "image_02"}
    assert sizes == {frame: IMAGE_SIZE if frame == 1 else (None, None) for frame in range(FRAMES)}


def test_gps_and_imu_become_poses(source: Path) -> None:
    frames = rows(read(source).frames)
    poses = [pose_from_struct(row["global_SE3_ego"]) for row in frames]
    for frame, pose in enumerate(poses):
        np.testing.assert_allclose(pose.translation_m, [0.0, 1.0 * frame, 0.0], atol=1e-4)
        ahead, left, up = pose.rotation.T
        np.testing.assert_allclose(ahead, [0.0, np.cos(0.01), np.sin(0.01)], atol=1e-9)  # pitch -0.01: nose up
        assert up[0] == pytest.approx(np.cos(0.01) * np.sin(0.02), abs=1e-3)  # roll 0.02: leans to the right, east
        assert left[0] < -0.999
    assert [row["timestamp_ns"] for row in frames] == [frame * 100_000_000 for frame in range(FRAMES)]
    assert [row["speed_mps"] for row in frames] == [SPEED_MPS] * FRAMES
    assert [row["yaw_rate_radps"] for row in frames] == [YAW_RATE] * FRAMES
    assert [row["accel_mps2"] for row in frames] == pytest.approx([0.0] * FRAMES)


def test_without_gps_there_are_no_poses(source: Path) -> None:
    shutil.rmtree(source / "training" / "oxts")
    log = read(source)
    assert log.frames["global_SE3_ego"].null_count == log.frames["speed_mps"].null_count == log.frames.num_rows == 4
    assert log.sensor_data["global_SE3_ego"].null_count == log.sensor_data.num_rows


def test_without_the_imu_the_ego_is_the_velodyne(source: Path) -> None:
    put(source / "training" / "calib" / "0003.txt", calibration_text(imu=False))
    log = read(source)
    velo = next(row for row in rows(log.sensor_data) if row["sensor"] == "velodyne")
    np.testing.assert_array_equal(pose_from_struct(velo["ego_SE3_sensor"]).matrix, np.eye(4))
    np.testing.assert_allclose(rect_camera(log.sensor_data).rect_SE3_ego.matrix, RECT @ VELO_TO_CAM, atol=1e-9)
    assert log.frames["global_SE3_ego"].null_count == FRAMES  # poses are the IMU's, whose place is not known


@pytest.mark.parametrize(
    ("add", "count"),
    [
        (lambda root: put(root / "training" / "label_02" / "0003.txt", label(11, 1)), 12),
        (lambda root: put(root / "training" / "label_02" / "0003.txt", "9 -1 DontCare" + " -1" * 14), 10),
        (lambda root: put(root / "detections" / "other" / "0003.txt", detection(7) + detection(3)), 8),
        (lambda root: write_sweep(root / "training" / "velodyne" / "0003" / "000020.bin", np.ones((3, 4))), 21),
        (lambda root: None, 4),
    ],
)
def test_frames_go_to_the_last_that_anything_knows(source: Path, add: Callable[[Path], object], count: int) -> None:
    shutil.rmtree(source / "training" / "oxts")
    add(source)
    assert read(source).frames["frame"].to_pylist() == list(range(count))


def test_detections_alone_make_a_log(source: Path) -> None:
    for folder in ("label_02", "oxts", "image_02", "velodyne"):
        shutil.rmtree(source / "training" / folder)
    log = read(source)
    assert (log.frames.num_rows, log.annotations.num_rows) == (3, 0)
    lacks = "without labels, poses, images, sweeps, time stamps (nominal 10 Hz)"
    assert log.logs["description"].to_pylist() == [lacks]
    assert set(log.sensor_data["sensor"].to_pylist()) == {"image_00", "image_02"}


def test_time_stamps_are_read_where_there_are_such(source: Path) -> None:
    stamps = [f"2011-09-26 13:02:25.{100 + 103 * frame}000007" for frame in range(FRAMES)]
    file = put(source / "training" / "image_02" / "0003" / "timestamps.txt", "\n".join(stamps) + "\n")
    log = read(source)
    assert log.logs["description"].to_pylist() == [None]
    times = log.frames["timestamp_ns"].to_numpy()
    assert np.diff(times).tolist() == [103_000_000] * (FRAMES - 1)
    assert times[0] == np.datetime64("2011-09-26T13:02:25.100000007").astype(np.int64)
    for broken in ("\n".join(stamps[:-1]), "\n".join(stamps[::-1]), "\n".join(["noon"] * FRAMES)):
        file.write_text(broken)
        with pytest.raises(LogFormatError, match="timestamps"):
            read(source)


def test_the_digest_follows_the_content_not_the_place(source: Path, tmp_path: Path) -> None:
    shutil.copytree(source, tmp_path / "elsewhere")
    digest = list_logs(source)[0].digest
    assert list_logs(tmp_path / "elsewhere")[0].digest == digest
    for file in (
        "training/label_02/0003.txt",
        "training/velodyne/0003/000003.bin",
        "detections/pointrcnn_Car/0003.txt",
    ):
        content = (source / file).read_bytes()
        (source / file).write_bytes(content[:-16])
        assert list_logs(source)[0].digest != digest
        (source / file).write_bytes(content)
    sweep = source / "training" / "velodyne" / "0003" / "000003.bin"
    content = sweep.read_bytes()
    sweep.write_bytes(content[:-20] + b"\0" * 20)
    assert list_logs(source)[0].digest != digest
    sweep.write_bytes(content)
    assert list_logs(source)[0].digest == digest


angles = st.floats(-np.pi, np.pi)
places = st.tuples(st.floats(-50, 50), st.floats(-3, 5), st.floats(0.5, 90))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(places, angles, st.floats(0.3, 5)), min_size=1, max_size=5),
    st.lists(st.floats(-0.1, 0.1), min_size=3, max_size=3),
)
def test_boxes_come_back_from_the_ego_frame(boxes: list[Any], tilt: list[float]) -> None:
    lean = SE3.from_quaternion([1.0, *tilt], np.zeros(3))
    rect_SE3_ego = SE3.from_matrix(RECT_FROM_EGO) @ lean
    ego_SE3_rect = rect_SE3_ego.inverse()
    bottom_m = np.array([box[0] for box in boxes])
    ry = np.array([box[1] for box in boxes])
    height_m = np.array([box[2] for box in boxes])
    back_m = bottoms_to_rect(centres_to_ego(bottom_m, height_m, ego_SE3_rect), height_m, rect_SE3_ego)
    np.testing.assert_allclose(back_m, bottom_m, atol=1e-9)
    for there, back in ((rotations_to_ego, rotations_y_to_rect), (yaws_to_ego, yaws_to_rect)):
        found = back(there(ry, ego_SE3_rect), rect_SE3_ego)
        np.testing.assert_allclose(wrap_rad(found - ry), 0.0, atol=1e-9)
    full = rotations_to_ego(ry, ego_SE3_rect)[:, :, 0]
    np.testing.assert_allclose(yaws_to_ego(ry, ego_SE3_rect), np.arctan2(full[:, 1], full[:, 0]), atol=1e-9)


def replaced(old: str, new: str) -> Callable[[str], str]:
    return lambda text: text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("calib", lambda text: "", "P2"),
        ("calib", replaced("R0_rect", "R9_rect"), "R_rect"),
        ("calib", replaced("P2: 7", "P2: x"), "not a number"),
        ("calib", replaced("P2: 7.0", "P2: nan 7.0"), "12 finite"),
        ("calib", replaced("P2: 7.0", "P2: -7.0"), "f > 0"),
        ("calib", lambda text: text + text, "twice"),
        ("calib", lambda text: text.replace("Tr_velo_to_cam: ", "Tr_velo_to_cam: 9"), "rotation"),
        ("calib", lambda text: "ä", "text"),
        ("calib", lambda text: "P9: 1\n" * 400_000, "too large"),
        ("label_02", lambda text: text[:-20], "columns"),
        ("label_02", lambda text: text + label(0, 7), "twice"),
        ("label_02", replaced("0 7 Car", "0.5 7 Car"), "whole"),
        ("label_02", replaced("0 7 Car", "-3 7 Car"), "frame number"),
        ("label_02", replaced("0 7 Car", "99999999 7 Car"), "frame number"),
        ("label_02", replaced("0 7 Car", "1e300 7 Car"), "not finite"),
        ("label_02", replaced("0 7 Car", "0 -2 Car"), "negative"),
        ("label_02", replaced("2.0 1.8 4.4", "0 1.8 4.4"), "volume"),
        ("label_02", replaced("2.0 1.8 4.4", "2.0 nan 4.4"), "not finite"),
        ("label_02", replaced("2.0 1.8 4.4", "2.0 1.8 4e4"), "volume"),
        ("label_02", replaced("13.4", "inf"), "not finite"),
        ("label_02", replaced("13.4", "ahead"), "not a number"),
        ("oxts", lambda text: text[: len(text) // 2], "30 numbers"),
        ("oxts", lambda text: "".join(text.splitlines(True)[:2]), "2 rows"),
        ("oxts", replaced("49.0", "89.0"), "latitude"),
        ("oxts", replaced("0.02", "nan"), "not finite"),
    ],
)
def test_hostile_texts_are_named(source: Path, file: str, change: Callable[[str], str], message: str) -> None:
    path = source / "training" / file / "0003.txt"
    path.write_text(change(path.read_text()), encoding="utf-8")
    with pytest.raises(LogFormatError, match=message) as error:
        read(source)
    assert "0003" in str(error.value)


def test_a_frame_number_beyond_reason_is_refused(source: Path) -> None:
    put(source / "detections" / "other" / "0003.txt", detection(999_999_999))
    with pytest.raises(LogFormatError, match="999999999"):
        read(source)


def test_an_image_that_is_none_is_named(source: Path) -> None:
    (source / "training" / "image_02" / "0003" / "000001.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 40)
    with pytest.raises(LogFormatError, match="000001.png"):
        read(source)


@pytest.mark.parametrize(
    "content", [b"\0" * 15, np.full(8, np.nan, "<f4").tobytes(), np.full(4, 1e30, "<f4").tobytes()]
)
def test_hostile_sweeps_are_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "000000.bin"
    path.write_bytes(content)
    with pytest.raises(LogFormatError, match="000000.bin"):
        read_velodyne(path)


def test_sweeps_of_no_points_too_many_points_and_none_at_all(tmp_path: Path) -> None:
    assert read_velodyne(write_sweep(tmp_path / "empty.bin", np.empty((0, 4)))).shape == (0, 4)
    with (tmp_path / "bomb.bin").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(LogFormatError, match="bomb"):
        read_velodyne(tmp_path / "bomb.bin")
    with pytest.raises(LogFormatError, match="absent"):
        read_velodyne(tmp_path / "absent.bin")


def test_any_flipped_bits_give_a_log_or_a_clear_error(source: Path) -> None:
    random = np.random.default_rng(5)
    files = [source / "training" / name / "0003.txt" for name in ("calib", "label_02", "oxts")]
    files += [
        source / "training" / "velodyne" / "0003" / "000000.bin",
        source / "detections" / "pointrcnn_Car" / "0003.txt",
    ]
    outcomes: Counter[str] = Counter()
    for turn in range(120):
        file = files[turn % len(files)]
        content = file.read_bytes()
        broken = bytearray(content[: random.integers(1, len(content))] if turn % 3 == 0 else content)
        for place in random.integers(0, len(broken), 4):
            broken[place] ^= 1 << int(random.integers(0, 8))
        file.write_bytes(bytes(broken))
        try:
            read(source)
            outcomes["read"] += 1
        except LogFormatError:
            outcomes["refused"] += 1
        file.write_bytes(content)
    assert min(outcomes["read"], outcomes["refused"]) > 10
