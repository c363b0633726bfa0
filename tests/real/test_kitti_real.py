"""Recorded KITTI tracking sequences and detections: counts, boxes on lidar points, poses that turn sweeps onto each other."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from drive_vqa.geometry import wrap_rad
from drive_vqa.schema import POSE, TABLES, pose_from_struct, table_from_rows
from sensors.detection_files.read import read_detections
from sensors.export.kitti_tracking import project_boxes, result_lines
from sensors.readers.kitti import list_logs, read_log, read_velodyne
from sensors.readers.kitti_boxes import bottoms_to_rect, rotations_y_to_rect
from sensors.readers.kitti_calibration import rect_camera

ROOT = Path(os.environ.get("DRIVE_VQA_REAL_DATA", Path(__file__).parents[3] / "shared" / "data"))
DATA = ROOT / "kitti_tracking"
CENTERPOINT = ROOT / "nuscenes_detections" / "centerpoint_scene-0103.json"
FRAMES = [154, 447, 233, 144, 314, 297, 270, 800, 390, 803, 294, 373, 78, 340, 106, 376, 209, 145, 339, 1059, 837]
"""Of each training sequence, as its publisher counts."""
POSE_NAMES = [field.name for field in POSE]
needs_kitti = pytest.mark.skipif(not DATA.is_dir(), reason=f"no recorded driving at {DATA} (set DRIVE_VQA_REAL_DATA)")


@pytest.fixture(scope="module")
def logs() -> dict[str, Any]:
    return {handle.log_id: read_log(handle) for handle in list_logs(DATA)}


def labels(sequence: str) -> list[list[str]]:
    """Rows of a label file but `DontCare`."""
    lines = (DATA / "training" / "label_02" / f"{sequence}.txt").read_text().splitlines()
    return [words for words in map(str.split, lines) if words[2] != "DontCare"]


@needs_kitti
def test_the_counts_are_those_of_the_set(logs: dict[str, Any]) -> None:
    assert [log.frames.num_rows for log in logs.values()] == FRAMES
    counts = {log_id: log.annotations.num_rows for log_id, log in logs.items() if log.annotations.num_rows}
    tracks = sum(len(set(log.annotations["track_id"].to_pylist())) for log in logs.values())
    assert (len(counts), sum(counts.values()), tracks) == (10, 23_211, 478)
    kinds = Counter(kind for log in logs.values() for kind in log.annotations["source_category"].to_pylist())
    assert (kinds["Car"], kinds["Van"], kinds["Pedestrian"], kinds["Cyclist"]) == (17_750, 2_001, 1_346, 529)
    sweeps = [row["frame"] for row in logs["kitti-0000"].sensor_data.to_pylist() if row["modality"] == "lidar"]
    assert sweeps == [*range(32), 35, 40, 45, 50, 55, 59]
    assert [log_id for log_id, log in logs.items() if log.frames["global_SE3_ego"].null_count == 0] == ["kitti-0000"]


@needs_kitti
def test_every_label_comes_back_from_the_ego_frame(logs: dict[str, Any]) -> None:
    for log_id, log in logs.items():
        if not log.annotations.num_rows:
            continue
        expected = np.array([words[10:17] for words in labels(log_id[-4:])], dtype=np.float64)
        rect_SE3_ego = rect_camera(log.sensor_data).rect_SE3_ego
        pose = {
            name: np.array(values)
            for name, values in zip(POSE_NAMES, log.annotations["ego_SE3_box"].combine_chunks().flatten(), strict=True)
        }
        rotation = Rotation.from_quat(np.stack([pose[name] for name in ("qx", "qy", "qz", "qw")], axis=-1)).as_matrix()
        centres_m = np.stack([pose[name] for name in ("tx_m", "ty_m", "tz_m")], axis=-1)
        bottoms_m = bottoms_to_rect(centres_m, log.annotations["height_m"].to_numpy(), rect_SE3_ego)
        np.testing.assert_allclose(bottoms_m, expected[:, 3:6], atol=1e-6)
        ry = rotations_y_to_rect(rotation, rect_SE3_ego)
        np.testing.assert_allclose(wrap_rad(ry - expected[:, 6]), 0.0, atol=1e-6)


@needs_kitti
def test_boxes_hold_points_and_fit_the_2d_labels(logs: dict[str, Any]) -> None:
    points = {
        frame: [row["lidar_points"] for row in logs["kitti-0000"].annotations.to_pylist() if row["frame"] == frame]
        for frame in (0, 30, 59)
    }
    assert all(200 < count < 1_100 for counts in points.values() for count in counts)
    overlaps = []
    for log_id in ("kitti-0000", "kitti-0011", "kitti-0020"):
        clear = [words for words in labels(log_id[-4:]) if words[2] == "Car" and words[3:5] == ["0", "0"]]
        numbers = np.array([words[6:17] for words in clear], dtype=np.float64)
        camera = rect_camera(logs[log_id].sensor_data)
        boxes = project_boxes(numbers[:, 7:10], numbers[:, [6, 5, 4]], numbers[:, 10], camera)
        overlaps.append(iou(boxes, numbers[:, :4]))
    assert np.median(np.concatenate(overlaps)) > 0.9


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    size = np.clip(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]), 0, None).prod(axis=1)
    union = (a[:, 2:] - a[:, :2]).prod(axis=1) + (b[:, 2:] - b[:, :2]).prod(axis=1) - size
    return np.asarray(size / union)


@needs_kitti
@pytest.mark.parametrize(("start", "end"), [(0, 5), (20, 30)])
def test_poses_turn_sweeps_onto_each_other(logs: dict[str, Any], start: int, end: int) -> None:
    rows = {row["frame"]: row for row in logs["kitti-0000"].sensor_data.to_pylist() if row["modality"] == "lidar"}
    turned, raw = {}, {}
    for frame in (start, end):
        points_m = read_velodyne(DATA / "training" / rows[frame]["path"])[:, :3]
        range_m = np.linalg.norm(points_m[:, :2], axis=1)
        points_m = points_m[(range_m > 3) & (range_m < 30) & (points_m[:, 2] > -1.2)]  # the ground fits anywhere
        raw[frame] = pose_from_struct(rows[frame]["ego_SE3_sensor"]) @ points_m
        turned[frame] = pose_from_struct(rows[frame]["global_SE3_ego"]) @ raw[frame]
    with_poses = np.median(cKDTree(turned[end]).query(turned[start][::7])[0])
    without = np.median(cKDTree(raw[end]).query(raw[start][::7])[0])
    assert with_poses < 0.15
    assert without > 4 * with_poses


@needs_kitti
def test_the_car_drives_where_it_looks_as_fast_as_it_says(logs: dict[str, Any]) -> None:
    frames = logs["kitti-0000"].frames.to_pylist()
    poses = [pose_from_struct(row["global_SE3_ego"]) for row in frames]
    driven_m = sum(0.1 * row["speed_mps"] for row in frames[:-1])
    steps = np.diff([pose.translation_m for pose in poses[::5]], axis=0)
    assert np.linalg.norm(steps, axis=1).sum() == pytest.approx(driven_m, rel=0.03)
    turned = np.unwrap([pose.yaw_rad for pose in poses])
    assert turned[-1] - turned[0] == pytest.approx(sum(0.1 * row["yaw_rate_radps"] for row in frames[:-1]), abs=0.04)
    ahead_m = poses[20].inverse() @ poses[40].translation_m
    assert ahead_m[0] > 4 * abs(ahead_m[1]) > 0


@needs_kitti
def test_detections_are_all_read_and_all_come_back(logs: dict[str, Any]) -> None:
    counts: Counter[str] = Counter()
    for log_id, log in logs.items():
        table = read_detections(DATA / "detections", log_id, log.frames, log.sensor_data)
        counts.update(table["source_category"].to_pylist())
        assert table["frame"].to_pylist() == sorted(table["frame"].to_pylist())
    assert counts == {"Car": 48_553, "Pedestrian": 23_462, "Cyclist": 8_456}


@needs_kitti
@pytest.mark.parametrize("sequence", ["0000", "0013", "0019"])
def test_detections_exported_as_tracks_are_the_boxes_of_the_file(logs: dict[str, Any], sequence: str) -> None:
    log = logs[f"kitti-{sequence}"]
    folder = DATA / "detections" / "pointrcnn_Pedestrian"
    found = read_detections(folder, f"kitti-{sequence}", log.frames, log.sensor_data).to_pylist()
    shared = set(TABLES["tracks"].names) - {"lidar_points", "score"}  # a detector's score is on its own scale
    rows = [{**{key: row[key] for key in row if key in shared}, "track_id": str(n)} for n, row in enumerate(found)]
    lines = result_lines(table_from_rows("tracks", rows), rect_camera(log.sensor_data))
    written = np.array([line.split()[10:18] for line in lines], dtype=np.float64)
    source = np.loadtxt(folder / f"{sequence}.txt", delimiter=",")
    source = source[np.argsort(source[:, 0], kind="stable")]
    expected = np.column_stack([source[:, [7, 8, 9, 10, 11, 12, 13]], np.ones(len(source))])
    expected[:, 6], written[:, 6] = 0.0, wrap_rad(written[:, 6] - expected[:, 6])
    np.testing.assert_allclose(written, expected, atol=2e-6)


@pytest.mark.skipif(
    not CENTERPOINT.is_file(), reason=f"no recorded detections at {CENTERPOINT} (set DRIVE_VQA_REAL_DATA)"
)
@pytest.mark.parametrize(("step_s", "count"), [(0.1, 200), (0.5, 40), (0.497, 40)])
def test_scene_0103_has_6868_boxes_in_40_keyframes(step_s: float, count: int) -> None:
    rows = [{"log_id": "scene-0103", "frame": n, "timestamp_ns": round(n * step_s * 1e9)} for n in range(count)]
    frames, sensor_data = table_from_rows("frames", rows), TABLES["sensor_data"].empty_table()
    table = read_detections(CENTERPOINT, "scene-0103", frames, sensor_data)
    found = sorted(set(table["frame"].to_pylist()))
    assert (table.num_rows, found) == (6_868, list(range(0, count, count // 40)))
    assert read_detections(CENTERPOINT, "scene-0061", frames, sensor_data).num_rows == 0
