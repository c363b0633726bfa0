"""Detection files of three formats, against independent transforms, and on hostile files."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from nuscenes.utils.data_classes import Box
from pyquaternion import Quaternion

from drive_vqa.errors import LogFormatError
from drive_vqa.geometry import SE3
from drive_vqa.schema import TABLES, pose_to_struct, table_from_rows
from sensors.detection_files.read import read_detections
from sensors.readers.kitti import list_logs, read_log
from tests.sensors.kitti_files import RECT_FROM_EGO, detection, put, write_sequence
from tests.sensors.test_kitti import devkit_corners

NO_SENSORS = TABLES["sensor_data"].empty_table()
CORNERS = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]]) / 2


@pytest.fixture
def kitti(tmp_path: Path) -> tuple[Path, Any]:
    """The folder of detections, and the log."""
    source = write_sequence(tmp_path / "kitti")
    return source / "detections", read_log(list_logs(source)[0])


def read(path: Path, log: Any, log_id: str = "kitti-0003") -> pa.Table:
    return read_detections(path, log_id, log.frames, log.sensor_data)


# KITTI folders


def test_kitti_boxes_stand_where_the_development_kit_puts_them(kitti: tuple[Path, Any]) -> None:
    row = read(kitti[0] / "pointrcnn_Car", kitti[1]).to_pylist()[0]
    rect = devkit_corners(np.array([-4.5, 1.8435, 13.5308]), 1.9605, 1.8137, 4.7549, -2.1)
    ego = (np.linalg.inv(RECT_FROM_EGO) @ np.column_stack([rect, np.ones(8)]).T).T[:, :3]
    np.testing.assert_allclose([row["x_m"], row["y_m"], row["z_m"]], ego.mean(axis=0), atol=1e-9)
    ahead = ego[[0, 1, 4, 5]].mean(axis=0) - ego.mean(axis=0)
    assert row["yaw_rad"] == pytest.approx(np.arctan2(ahead[1], ahead[0]), abs=1e-12)
    assert (row["length_m"], row["width_m"], row["height_m"]) == (4.7549, 1.8137, 1.9605)
    assert (row["kind"], row["category"], row["source_category"], row["score"]) == ("box_3d", "car", "Car", 8.25)
    assert row["sensor"] is row["vx_mps"] is row["u0_px"] is row["lidar_points"] is None


def test_a_folder_of_folders_is_all_of_them_by_frame(kitti: tuple[Path, Any]) -> None:
    put(
        kitti[0] / "pointrcnn_Cyclist" / "0003.txt",
        detection(3, 3) + detection(0, 3, 1.0, score=2.0) + detection(0, 3, 2.0),
    )
    table = read(kitti[0], kitti[1])
    assert table.schema.equals(TABLES["detections"])
    found = [(row["frame"], row["source_category"], row["score"]) for row in table.to_pylist()]
    assert found == [
        (0, "Car", 8.25),
        (0, "Cyclist", 2.0),
        (0, "Cyclist", 8.25),
        (0, "Pedestrian", 8.25),
        (2, "Car", 8.25),
        (3, "Cyclist", 8.25),
    ]
    assert table["timestamp_ns"].to_pylist() == [frame * 100_000_000 for frame, _, _ in found]
    assert read(kitti[0] / "pointrcnn_Cyclist", kitti[1])["source_category"].to_pylist() == ["Cyclist"] * 3


def test_other_logs_have_nothing_there(kitti: tuple[Path, Any]) -> None:
    for log_id in ("kitti-0004", "scene-0003", "0003"):
        assert read(kitti[0], kitti[1], log_id).num_rows == 0
    put(kitti[0] / "pointrcnn_Car" / "0003.txt", "")
    assert read(kitti[0] / "pointrcnn_Car", kitti[1]).num_rows == 0


def test_repeated_rows_count_once(kitti: tuple[Path, Any]) -> None:
    rows = [detection(0, score=1.0), detection(0, score=2.0), detection(1, score=1.0), detection(0, 3, score=1.0)]
    put(kitti[0] / "pointrcnn_Car" / "0003.txt", "".join(rows + rows[:2] + rows[:1]))
    found = read(kitti[0] / "pointrcnn_Car", kitti[1]).to_pylist()
    assert [(row["frame"], row["source_category"], row["score"]) for row in found] == [
        (0, "Car", 1.0),
        (0, "Car", 2.0),
        (0, "Cyclist", 1.0),
        (1, "Car", 1.0),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (detection(0)[:40], "15 numbers"),
        (detection(0) + "1,2,3\n", "15 numbers"),
        (detection(0).replace("1.9605", "tall"), "15 numbers"),
        (detection(0).replace("8.25", ""), "15 numbers"),
        (detection(0) + detection(5), "line 2: there is no frame 5"),
        (detection(-1), "no frame -1"),
        (detection(0).replace("0,2", "0.5,2"), "no frame 0.5"),
        (detection(0).replace("0,2", "nan,2"), "no frame nan"),
        (detection(0, 4), "type 4"),
        (detection(0, x=float("nan")), "centre"),
        (detection(0, x=1e9), "centre"),
        (detection(0, ry=float("inf")), "yaw"),
        (detection(0, score=float("nan")), "score"),
        (detection(0).replace("4.7549", "-4.7"), "size"),
        (detection(0).replace("1.9605", "nan"), "centre|size"),
        (detection(0).replace("4.7549", "4000"), "size"),
        ("\0\0\0\0", "15 numbers"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_hostile_kitti_rows_are_named(kitti: tuple[Path, Any], text: str, message: str) -> None:
    put(kitti[0] / "pointrcnn_Car" / "0003.txt", text)
    with pytest.raises(LogFormatError, match=message) as error:
        read(kitti[0], kitti[1])
    assert "0003.txt" in str(error.value)


def test_any_flipped_bits_in_kitti_rows_give_boxes_or_a_clear_error(kitti: tuple[Path, Any]) -> None:
    path, random = kitti[0] / "pointrcnn_Car" / "0003.txt", np.random.default_rng(4)
    content = "".join(detection(frame) for frame in range(4)).encode()
    refused = 0
    for turn in range(150):
        broken = bytearray(content[: random.integers(1, len(content))] if turn % 5 == 0 else content)
        broken[random.integers(0, len(broken))] ^= 1 << int(random.integers(0, 8))
        path.write_bytes(bytes(broken))
        try:
            assert read(path.parent, kitti[1]).num_rows <= 4
        except LogFormatError:
            refused += 1
    assert 30 < refused < 150


def test_ten_thousand_boxes_in_a_frame_are_read_quickly(kitti: tuple[Path, Any]) -> None:
    put(kitti[0] / "pointrcnn_Car" / "0003.txt", "".join(detection(1, x=place / 1000) for place in range(10_000)))
    start = time.perf_counter()
    assert read(kitti[0], kitti[1]).num_rows == 10_001
    assert time.perf_counter() - start < 5.0


def test_a_log_without_kitti_calibration_is_refused(kitti: tuple[Path, Any]) -> None:
    with pytest.raises(LogFormatError, match="format kitti"):
        read_detections(kitti[0], "kitti-0003", kitti[1].frames, NO_SENSORS)


# nuScenes submissions


def frames_table(times_s: list[float], tokens: bool = True, poses: bool = True) -> pa.Table:
    """Frames of a tilted ego that drives a bend."""
    tilt = SE3.from_quaternion([1.0, 0.01, -0.02, 0.0], np.zeros(3))
    rows = [
        {
            "log_id": "scene-0103",
            "frame": frame,
            "timestamp_ns": 1_533_000_000_000_000_000 + round(second * 1e9),
            "source_frame": f"token-{frame}" if tokens else None,
            "global_SE3_ego": pose_to_struct(SE3.from_yaw(0.3 * frame - 2, [600.0 + 5 * frame, 1600.0, 1.0]) @ tilt)
            if poses
            else None,
        }
        for frame, second in enumerate(times_s)
    ]
    return table_from_rows("frames", rows)


def submission_box(place: int, **changes: Any) -> dict[str, Any]:
    box = {
        "sample_token": "",
        "translation": [610.0 + place, 1590.0 - 3 * place, 1.5],
        "size": [1.9, 4.6, 1.7],
        "rotation": Quaternion(axis=[0, 0, 1], radians=0.7 * place).q.tolist(),
        "velocity": [3.0, -1.0 * place],
        "detection_name": "car",
        "detection_score": 0.25,
        "attribute_name": "vehicle.moving",
    }
    return {**box, **changes}


def write_json(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def submission(path: Path, results: Any) -> Path:
    return write_json(path, {"meta": {"use_lidar": True}, "results": results})


def test_submissions_turn_into_the_ego_frame_as_the_devkit_turns_them(tmp_path: Path) -> None:
    frames = frames_table([0.0, 0.5, 1.0])
    results = {f"token-{k}": [submission_box(place + k) for place in range(4)] for k in (2, 0)} | {
        "elsewhere": [submission_box(1)]
    }
    table = read_detections(submission(tmp_path / "cp.json", results), "scene-0103", frames, NO_SENSORS)
    found = table.to_pylist()
    assert [row["frame"] for row in found] == [0] * 4 + [2] * 4
    for row, source in zip(found, results["token-0"] + results["token-2"], strict=True):
        pose = frames["global_SE3_ego"][row["frame"]].as_py()
        box = Box(
            source["translation"], source["size"], Quaternion(source["rotation"]), velocity=(*source["velocity"], 0.0)
        )
        box.translate(-np.array([pose["tx_m"], pose["ty_m"], pose["tz_m"]]))
        box.rotate(Quaternion([pose[name] for name in ("qw", "qx", "qy", "qz")]).inverse)
        np.testing.assert_allclose([row["x_m"], row["y_m"], row["z_m"]], box.center, atol=1e-9)
        np.testing.assert_allclose([row["vx_mps"], row["vy_mps"]], box.velocity[:2], atol=1e-9)
        ahead = box.rotation_matrix[:, 0]
        assert row["yaw_rad"] == pytest.approx(np.arctan2(ahead[1], ahead[0]), abs=1e-9)
        assert (row["width_m"], row["length_m"], row["height_m"]) == (1.9, 4.6, 1.7)
        assert (row["category"], row["score"]) == ("car", 0.25)


def test_an_unknown_velocity_is_null_and_another_log_has_nothing(tmp_path: Path) -> None:
    box = submission_box(0, velocity=[float("nan"), float("nan")], detection_name="traffic_cone")
    path = submission(tmp_path / "cp.json", {"token-1": [box]})
    row = read_detections(path, "scene-0103", frames_table([0.0, 0.5]), NO_SENSORS).to_pylist()[0]
    assert (row["vx_mps"], row["vy_mps"], row["category"]) == (None, None, "traffic_cone")
    for frames in (frames_table([0.0]), frames_table([0.0, 0.5], tokens=False)):
        assert read_detections(path, "scene-0103", frames, NO_SENSORS).num_rows == 0


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    frames = frames_table([0.0])
    for count in (1, 3):
        path = submission(tmp_path / "cp.json", {"token-0": [submission_box(place) for place in range(count)]})
        assert read_detections(path, "scene-0103", frames, NO_SENSORS).num_rows == count


@pytest.mark.parametrize(
    ("box", "message"),
    [
        (submission_box(0, translation=[1.0, 2.0]), "translation"),
        (submission_box(0, translation=[600.0, float("nan"), 0.0]), "centre"),
        (submission_box(0, translation=[600.0, 10**400, 0.0]), "translation|complete JSON"),
        (submission_box(0, translation=None), "translation"),
        (submission_box(0, size=[1.9, 0.0, 1.7]), "size"),
        (submission_box(0, size=["1.9", 4.0, 1.7]), "size"),
        (submission_box(0, rotation=[0.0, 0.0, 0.0, 0.0]), "rotation"),
        (submission_box(0, rotation=[float("inf"), 0.0, 0.0, 0.0]), "rotation"),
        (submission_box(0, velocity=[1e9, 0.0]), "velocity"),
        (submission_box(0, detection_score=True), "detection_score"),
        (submission_box(0, detection_score=float("inf")), "score"),
        (submission_box(0, detection_name="car\0"), "detection_name"),
        ("box", "must have"),
        ([], "must have"),
    ],
)
def test_hostile_submissions_are_named(tmp_path: Path, box: Any, message: str) -> None:
    path = submission(tmp_path / "cp.json", {"token-0": [submission_box(1), box]})
    with pytest.raises(LogFormatError, match=message) as error:
        read_detections(path, "scene-0103", frames_table([0.0]), NO_SENSORS)
    assert "cp.json" in str(error.value)


def test_submissions_need_poses(tmp_path: Path) -> None:
    path = submission(tmp_path / "cp.json", {"token-0": [submission_box(0)]})
    with pytest.raises(LogFormatError, match="pose"):
        read_detections(path, "scene-0103", frames_table([0.0], poses=False), NO_SENSORS)


# one scene in the ego frame


def ego_box(**changes: Any) -> dict[str, Any]:
    box = {
        "translation_ego": [12.0, -3.0, 0.8],
        "size": [1.8, 4.5, 1.6],
        "yaw_ego": 0.5,
        "detection_name": "bus",
        "detection_score": 0.5,
    }
    return {**box, **changes}


def ego_file(path: Path, results: Any, scene: str = "scene-0103") -> Path:
    return write_json(path, {"scene": scene, "meta": {}, "results": results})


def read_ego(path: Path, times_s: list[float], log_id: str = "scene-0103") -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = read_detections(
        path, log_id, frames_table(times_s, False, False), NO_SENSORS
    ).to_pylist()
    return rows


def test_keyframes_are_found_by_their_time_and_in_a_2_hz_log_by_their_number(tmp_path: Path) -> None:
    path = ego_file(tmp_path / "cp.json", {str(k): [ego_box(detection_score=k / 10)] for k in (10, 9, 0, 1)})
    at_10_hz = read_ego(path, [0.1 * frame + 0.04 * (frame % 2) for frame in range(55)])
    assert [(row["frame"], row["score"]) for row in at_10_hz] == [(0, 0.0), (5, 0.1), (45, 0.9), (50, 1.0)]
    drifting = read_ego(path, [0.52 * frame for frame in range(11)])
    assert [(row["frame"], row["score"]) for row in drifting] == [(0, 0.0), (1, 0.1), (9, 0.9), (10, 1.0)]
    row = at_10_hz[0]
    assert [row[name] for name in ("x_m", "y_m", "z_m", "width_m", "length_m", "height_m", "yaw_rad")] == [
        12.0,
        -3.0,
        0.8,
        1.8,
        4.5,
        1.6,
        0.5,
    ]
    assert (row["category"], row["vx_mps"]) == ("bus", None)


def test_a_keyframe_without_a_frame_and_another_scene(tmp_path: Path) -> None:
    path = ego_file(tmp_path / "cp.json", {"0": [], "3": [ego_box()]})
    for times_s in ([0.0, 0.1, 0.2, 1.43], [0.0, 0.5, 1.0], []):
        with pytest.raises(LogFormatError, match="frame"):
            read_ego(path, times_s)
    assert read_ego(path, [0.0, 0.1], "scene-0104") == []


@pytest.mark.parametrize("key", ["-1", "1.0", "a", "", "00000000001", "٣"])
def test_hostile_keyframe_numbers_are_named(tmp_path: Path, key: str) -> None:
    with pytest.raises(LogFormatError, match="keyframe"):
        read_ego(ego_file(tmp_path / "cp.json", {key: [ego_box()]}), [0.0, 0.5])


def test_a_keyframe_under_two_spellings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LogFormatError, match="twice"):
        read_ego(ego_file(tmp_path / "cp.json", {"1": [ego_box()], "01": [ego_box()]}), [0.0, 0.5])


# what is neither


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "complete JSON"),
        ('{"meta": {}, "results": {"a": [', "complete JSON"),
        ('{"meta": {}, "results": {"a": [], "a": []}}', "twice"),
        ("[" * 200_000, "complete JSON"),
        ('{"results": 1' + "0" * 5000 + "}", "complete JSON"),
        ("[1, 2]", "neither"),
        ('{"meta": [], "results": {}}', "neither"),
        ('{"meta": {}, "results": []}', "neither"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(LogFormatError, match=message) as error:
        read_ego(tmp_path / "x.json", [0.0])
    assert "x.json" in str(error.value)


def test_other_places_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LogFormatError, match="NNNN.txt"):
        read_ego(tmp_path, [0.0])
    with pytest.raises(LogFormatError, match="absent"):
        read_ego(tmp_path / "absent", [0.0])
    with (tmp_path / "bomb.json").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(LogFormatError, match="larger"):
        read_ego(tmp_path / "bomb.json", [0.0])


@pytest.mark.parametrize(
    "write",
    [lambda path: submission(path, {"token-0": [submission_box(0)]}), lambda path: ego_file(path, {"0": [ego_box()]})],
)
def test_any_flipped_bits_give_boxes_or_a_clear_error(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    path, random = write(tmp_path / "x.json"), np.random.default_rng(3)
    content = path.read_bytes()
    refused = 0
    for turn in range(150):
        broken = bytearray(content[: random.integers(1, len(content))] if turn % 5 == 0 else content)
        broken[random.integers(0, len(broken))] ^= 1 << int(random.integers(0, 8))
        path.write_bytes(bytes(broken))
        try:
            table = read_detections(path, "scene-0103", frames_table([0.0]), NO_SENSORS)
            assert table.num_rows <= 1
        except LogFormatError:
            refused += 1
    assert 30 < refused < 150
