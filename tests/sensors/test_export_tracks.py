"""Exported tracks: KITTI files read back and drawn by brute force, nuScenes' submission through nuscenes-devkit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from nuscenes.eval.common.config import config_factory
from nuscenes.eval.common.loaders import load_prediction
from nuscenes.eval.tracking.data_classes import TrackingBox
from nuscenes.utils.data_classes import Box
from pyquaternion import Quaternion

from drive_vqa.errors import CalibrationError, StoreError
from drive_vqa.geometry import SE3, wrap_rad
from drive_vqa.schema import pose_to_struct, table_from_rows
from drive_vqa.store import Store
from sensors.detection_files.read import read_detections
from sensors.export.kitti_tracking import NOMINAL_PX, export_kitti_tracking, project_boxes
from sensors.export.nuscenes_tracking import export_nuscenes_tracking
from sensors.readers.kitti import list_logs, read_log
from sensors.readers.kitti_calibration import RectCamera, rect_camera
from tests.sensors.kitti_files import IMAGE_SIZE, P2, detection, put, write_sequence
from tests.sensors.test_kitti import devkit_corners

Rows = list[dict[str, Any]]


def track(frame: int, track_id: str, **changes: Any) -> dict[str, Any]:
    row = {
        "log_id": "",
        "frame": frame,
        "timestamp_ns": frame * 100_000_000,
        "track_id": track_id,
        "category": "car",
        "source_category": "Car",
        "x_m": 15.0,
        "y_m": 2.0,
        "z_m": 0.2,
        "length_m": 4.5,
        "width_m": 1.8,
        "height_m": 1.6,
        "yaw_rad": 0.3,
        "vx_mps": 4.0,
        "vy_mps": -1.0,
        "source": "fused",
        "score": 0.75,
        "observed": True,
    }
    return {**row, **changes}


def write_log(store: Store, log: Any, tracks: Rows | None) -> None:
    log_id = log.logs["log_id"][0].as_py()
    for name in ("logs", "frames", "sensor_data"):
        store.write(name, log_id, getattr(log, name), "x")
    if tracks is not None:
        store.write("tracks", log_id, table_from_rows("tracks", [{**row, "log_id": log_id} for row in tracks]), "x")


def kitti_store(tmp_path: Path, tracks: Rows | None) -> Store:
    log = read_log(list_logs(write_sequence(tmp_path / "kitti"))[0])
    store = Store.create(tmp_path / "store")
    write_log(store, log, tracks)
    return store


def exported(store: Store, out: Path) -> list[list[str]]:
    (path,) = export_kitti_tracking(store, out)
    assert path == out / "0003.txt"
    return [line.split(" ") for line in path.read_text().splitlines()]


# KITTI


def test_detections_come_back_as_the_boxes_that_they_were(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    source = write_sequence(tmp_path / "source")
    lines = [detection(frame, 2, random.uniform(-9, 9), random.uniform(-3.1, 3.1)) for frame in (0, 0, 1, 3, 3)]
    put(source / "detections" / "pointrcnn_Car" / "0003.txt", "".join(lines))
    log = read_log(list_logs(source)[0])
    found = read_detections(
        source / "detections" / "pointrcnn_Car", "kitti-0003", log.frames, log.sensor_data
    ).to_pylist()
    rows = [track(row["frame"], str(n), **{key: row[key] for key in row if key in BOX}) for n, row in enumerate(found)]
    store = Store.create(tmp_path / "store")
    write_log(store, log, rows)
    back = exported(store, tmp_path / "out")
    assert [line[:3] for line in back] == [[str(row["frame"]), str(n), "Car"] for n, row in enumerate(found)]
    for line, text in zip(back, lines, strict=True):
        source_numbers = [float(word) for word in text.split(",")]
        np.testing.assert_allclose([float(word) for word in line[10:17]], source_numbers[7:14], atol=1e-6)


BOX = ("x_m", "y_m", "z_m", "length_m", "width_m", "height_m", "yaw_rad")


def test_lines_are_in_kittis_result_format(tmp_path: Path) -> None:
    rows = [track(2, "b"), track(0, "b"), track(0, "a", category="bicycle", source_category="bicycle", score=None)]
    lines = exported(kitti_store(tmp_path, rows), tmp_path / "out")
    assert [len(line) for line in lines] == [18] * 3
    assert [line[:5] for line in lines] == [
        ["0", "0", "Cyclist", "-1", "-1"],
        ["0", "1", "Car", "-1", "-1"],
        ["2", "1", "Car", "-1", "-1"],
    ]
    log_odds = round(np.log(0.75 / 0.25) * 1024) / 1024  # a number whose means are exact
    assert [float(line[17]) for line in lines] == pytest.approx([1.0, log_odds, log_odds], abs=1e-10)
    x, z, ry = (float(lines[1][column]) for column in (13, 15, 16))
    assert float(lines[1][5]) == pytest.approx(wrap_rad(ry - np.arctan2(x, z)), abs=2e-6)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0003.txt"]


def test_only_what_kitti_scores_is_written_and_whole_ids_stay(tmp_path: Path) -> None:
    kinds = ["Van", "Truck", "Pedestrian", "Person_sitting", "Cyclist", "Tram", "Car", "animal"]
    category = ["car", "truck", "pedestrian", "pedestrian", "bicycle", "other", "car", "animal"]
    rows = [
        track(1, str(90 - n), source_category=kind, category=own)
        for n, (kind, own) in enumerate(zip(kinds, category, strict=True))
    ]
    lines = exported(kitti_store(tmp_path, rows), tmp_path / "out")
    assert [line[1:3] for line in lines] == [["84", "Car"], ["86", "Cyclist"], ["88", "Pedestrian"]]


def test_an_empty_log_has_an_empty_file_and_twice_is_the_same(tmp_path: Path) -> None:
    store = kitti_store(tmp_path, [])
    assert exported(store, tmp_path / "out") == exported(store, tmp_path / "out") == []


def test_a_store_without_kitti_tracks_and_a_broken_box(tmp_path: Path) -> None:
    store = kitti_store(tmp_path, None)
    with pytest.raises(StoreError, match="fuse"):
        export_kitti_tracking(store, tmp_path / "out")
    write_log(store, read_log(list_logs(tmp_path / "kitti")[0]), [track(0, "1", yaw_rad=float("nan"))])
    with pytest.raises(CalibrationError, match="not finite"):
        export_kitti_tracking(store, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("known", [True, False])
def test_2d_boxes_hold_the_projection_of_every_point_of_the_surface(tmp_path: Path, known: bool) -> None:
    camera = rect_camera(kitti_store(tmp_path, []).read("sensor_data", "kitti-0003"))
    size = IMAGE_SIZE if known else (None, None)
    camera = RectCamera(camera.rect_SE3_ego, camera.projection, *size)
    bottoms = np.array([[2.0, 1.7, 14.0], [-9.0, 1.5, 12.0], [1.5, 1.6, 1.8], [0.0, 1.7, -9.0], [60.0, 1.7, 8.0]])
    sizes, turns = np.tile([4.4, 1.8, 1.5], (5, 1)), np.array([0.4, -1.5, -1.4, 0.0, 2.0])
    boxes = project_boxes(bottoms, sizes, turns, camera)
    grid = np.stack(np.meshgrid(*[np.linspace(0, 1, 41)] * 3, indexing="ij"), -1).reshape(-1, 3)
    for bottom, turn, box in zip(bottoms, turns, boxes, strict=True):
        corners = devkit_corners(bottom, 1.5, 1.8, 4.4, turn)
        points = corners[0] + grid @ np.stack(
            [corners[1] - corners[0], corners[3] - corners[0], corners[4] - corners[0]]
        )
        image = np.column_stack([points, np.ones(len(points))]) @ P2.T
        image = image[image[:, 2] > 0.1]
        uv = image[:, :2] / image[:, 2:]
        limits = np.array(IMAGE_SIZE if known else NOMINAL_PX)
        seen = ((uv >= 0) & (uv < limits)).all(axis=1)
        uv = np.clip(uv, 0, limits - 1.0) if seen.any() else uv[:0]
        expected = np.concatenate([uv.min(axis=0), uv.max(axis=0)]) if len(uv) else np.full(4, -1.0)
        np.testing.assert_allclose(box, expected, rtol=1e-9, atol=1e-6)


# nuScenes


def nuscenes_log(frames: int = 3, log_id: str = "scene-0103", tokens: bool = True) -> Any:
    from sensors.driving_log import DrivingLog

    tilt = SE3.from_quaternion([1.0, 0.01, -0.02, 0.0], np.zeros(3))
    rows = [
        {
            "frame": frame,
            "timestamp_ns": frame * 500_000_000,
            "source_frame": f"{log_id}/{frame}" if tokens else None,
            "global_SE3_ego": pose_to_struct(SE3.from_yaw(0.4 * frame + 2, [900.0 + frame, 1500.0, 2.0]) @ tilt),
        }
        for frame in range(frames)
    ]
    capture = {
        "frame": 0,
        "sensor": "LIDAR_TOP",
        "modality": "lidar",
        "timestamp_ns": 0,
        "path": "a.bin",
        "distortion": [],
    }
    camera = {**capture, "sensor": "CAM_FRONT", "modality": "camera", "path": None}
    return DrivingLog.from_rows({"log_id": log_id, "source_format": "nuscenes"}, rows, [capture, camera], [])


def test_the_devkit_reads_every_sample_and_finds_the_boxes_where_they_are(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "store")
    tracks = [
        track(0, "b", yaw_rad=-2.9),
        track(0, "a", x_m=-8.0, category="bus"),
        track(2, "b", vx_mps=None, vy_mps=None, score=None),
    ]
    left_out = [track(1, "c", category="traffic_cone"), track(1, "d", category="animal")]
    write_log(store, nuscenes_log(), tracks + left_out)
    write_log(store, nuscenes_log(1, "scene-0001"), [])
    write_log(store, nuscenes_log(1, "scene-0002"), None)
    write_log(store, nuscenes_log(1, "other", tokens=False), [track(0, "a")])
    path = export_nuscenes_tracking(store, tmp_path / "out")
    config = config_factory("tracking_nips_2019")
    results, meta = load_prediction(str(path), config.max_boxes_per_sample, TrackingBox)
    assert meta == {"use_camera": False, "use_lidar": True, "use_radar": False, "use_map": False, "use_external": False}
    assert results.sample_tokens == ["scene-0001/0", "scene-0103/0", "scene-0103/1", "scene-0103/2"]
    found = [box for token in results.sample_tokens for box in results[token]]
    assert [(box.sample_token, box.tracking_id, box.tracking_name) for box in found] == [
        ("scene-0103/0", "a", "bus"),
        ("scene-0103/0", "b", "car"),
        ("scene-0103/2", "b", "car"),
    ]
    for box, row in zip(found, [tracks[1], tracks[0], tracks[2]], strict=True):
        pose = nuscenes_log().frames["global_SE3_ego"][row["frame"]].as_py()
        expected = Box(
            [row["x_m"], row["y_m"], row["z_m"]],
            [row["width_m"], row["length_m"], row["height_m"]],
            Quaternion(axis=[0, 0, 1], radians=row["yaw_rad"]),
            velocity=(4.0, -1.0, 0.0),
        )
        expected.rotate(Quaternion([pose[name] for name in ("qw", "qx", "qy", "qz")]))
        expected.translate(np.array([pose["tx_m"], pose["ty_m"], pose["tz_m"]]))
        np.testing.assert_allclose(box.translation, expected.center, atol=1e-9)
        np.testing.assert_allclose(Quaternion(box.rotation).rotation_matrix, expected.rotation_matrix, atol=1e-9)
        assert box.size == (1.8, 4.5, 1.6)
        unknown = row["vx_mps"] is None
        np.testing.assert_allclose(box.velocity, [np.nan] * 2 if unknown else expected.velocity[:2], atol=1e-9)
        assert box.tracking_score == (1.0 if unknown else 0.75)


def test_a_crowded_sample_keeps_its_surest_boxes(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "store")
    random = np.random.default_rng(1)
    rows = [track(1, f"{n:04d}", score=float(score)) for n, score in enumerate(random.permutation(700) / 700)]
    write_log(store, nuscenes_log(), rows)
    boxes = json.loads(export_nuscenes_tracking(store, tmp_path / "out").read_text())["results"]["scene-0103/1"]
    expected = sorted(row["track_id"] for row in rows if row["score"] >= 200 / 700)
    assert [box["tracking_id"] for box in boxes] == expected


def test_nuscenes_export_refuses_what_cannot_be_one(tmp_path: Path) -> None:
    store = kitti_store(tmp_path, [track(0, "a")])
    out = tmp_path / "out"
    with pytest.raises(StoreError, match="no tracks with sample tokens"):
        export_nuscenes_tracking(store, out)
    log = nuscenes_log()
    write_log(store, log, [track(0, "a", x_m=float("inf"))])
    with pytest.raises(CalibrationError, match="not finite"):
        export_nuscenes_tracking(store, out)
    write_log(store, log, [track(0, "a")])
    poses = log.frames.schema.get_field_index("global_SE3_ego")
    nulls = pa.nulls(log.frames.num_rows, log.frames.schema.field(poses).type)
    store.write("frames", "scene-0103", log.frames.set_column(poses, log.frames.schema.field(poses), nulls), "x")
    with pytest.raises(CalibrationError, match="pose"):
        export_nuscenes_tracking(store, out)
    assert list(out.iterdir()) == []
