"""The two recorded Argoverse 2 logs: one with two sweeps and calibration, one with boxes, poses and map alone."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shapely.geometry import Polygon

from drive_vqa.schema import pose_from_struct
from sensors.pose_path import Poses, poses_of
from sensors.readers.av2 import list_logs, read_log, read_sweep
from sensors.resample import resample

DATA = Path(os.environ.get("DRIVE_VQA_REAL_DATA", Path(__file__).parents[3] / "shared" / "data")) / "av2"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no recorded driving at {DATA} (set DRIVE_VQA_REAL_DATA)")

FULL, BARE = "av2-7fab2350-7eaf-3b7e-a39d-6937a4c1bede", "av2-3b3570b4-7b0b-3268-a571-b0889dbf40b6"


@pytest.fixture(scope="module")
def logs() -> dict[str, Any]:
    return {handle.log_id: (handle.root, read_log(handle)) for handle in list_logs(DATA)}


def city_boxes(log: Any) -> Poses:
    """Each annotation's box in the city frame."""
    egos, boxes = poses_of(log.frames["global_SE3_ego"]), poses_of(log.annotations["ego_SE3_box"])
    return egos.take(log.annotations["frame"].to_numpy()).then(boxes)


def test_counts(logs: dict[str, Any]) -> None:
    found = {
        log_id: (log.frames.num_rows, len(set(log.annotations["track_id"].to_pylist())), log.annotations.num_rows)
        for log_id, (_, log) in logs.items()
    }
    assert found == {FULL: (156, 114, 11364), BARE: (157, 119, 13820 - 157)}  # one track of 157 boxes is the ego


def test_sensors(logs: dict[str, Any]) -> None:
    rows = logs[FULL][1].sensor_data.to_pylist()
    assert {row["sensor"] for row in rows if row["modality"] == "camera"} == {
        *(f"ring_{side}" for side in ("front_center", "front_left", "front_right", "rear_left", "rear_right")),
        *("ring_side_left", "ring_side_right", "stereo_front_left", "stereo_front_right"),
    }
    counts = Counter(row["sensor"] for row in rows)
    assert counts.pop("lidar") == 2
    assert set(counts.values()) == {156}
    assert len(counts) == 9 + 2
    assert {row["sensor"] for row in rows if row["path"]} == {"lidar"}
    sizes = {row["sensor"]: (row["width"], row["height"]) for row in rows if row["modality"] == "camera"}
    assert sizes.pop("ring_front_center") == (1550, 2048)
    assert set(sizes.values()) == {(2048, 1550)}
    assert logs[BARE][1].sensor_data.num_rows == 0


def test_cameras_look_where_their_names_say(logs: dict[str, Any]) -> None:
    expected_deg = {
        **{"ring_front_center": 0, "ring_front_left": 45, "ring_front_right": -45, "ring_side_left": 100},
        **{"ring_side_right": -100, "ring_rear_left": 153, "ring_rear_right": -153, "stereo_front_left": 0},
    }
    rows = {row["sensor"]: row for row in logs[FULL][1].sensor_data.to_pylist()}
    for sensor, angle_deg in expected_deg.items():
        forward = pose_from_struct(rows[sensor]["ego_SE3_sensor"]).rotation[:, 2]
        assert abs(np.degrees(np.arctan2(forward[1], forward[0])) - angle_deg) < 10, sensor


def test_counted_points_lie_in_the_boxes(logs: dict[str, Any]) -> None:
    root, log = logs[FULL]
    checked = 0
    for sweep in (row for row in log.sensor_data.to_pylist() if row["path"]):
        points_m = read_sweep(root / sweep["path"])
        for row in log.annotations.to_pylist():
            if row["frame"] == sweep["frame"]:
                local_m = np.abs(pose_from_struct(row["ego_SE3_box"]).inverse() @ points_m)
                half_m = 0.5 * np.array([row["length_m"], row["width_m"], row["height_m"]])
                assert row["lidar_points"] == int((local_m <= half_m).all(axis=1).sum()), row["track_id"]
                checked += 1
    assert checked == 162


def test_the_car_drives_where_it_looks(logs: dict[str, Any]) -> None:
    for log_id, (_, log) in logs.items():
        frames = log.frames.to_pylist()
        for here, later in zip(frames, frames[10:], strict=False):
            step_m = (
                pose_from_struct(here["global_SE3_ego"]).inverse()
                @ pose_from_struct(later["global_SE3_ego"]).translation_m
            )
            if np.hypot(step_m[0], step_m[1]) > 2.0:
                assert step_m[0] > 0.95 * np.hypot(step_m[0], step_m[1]), log_id


def test_moving_cars_point_where_they_go_and_lanes_run_their_way(logs: dict[str, Any]) -> None:
    for log_id, (_, log) in logs.items():
        boxes = city_boxes(log)
        headings = boxes.rotations.apply([1.0, 0.0, 0.0])
        tracks = defaultdict(list)
        for row, (track, category) in enumerate(
            zip(log.annotations["track_id"].to_pylist(), log.annotations["category"].to_pylist(), strict=True)
        ):
            if category == "car":
                tracks[track].append((boxes.translations_m[row, :2], headings[row, :2]))
        lines = [
            np.stack([row["x_m"], row["y_m"]], axis=-1) for row in log.map_elements.to_pylist() if row["kind"] == "lane"
        ]
        middles = np.concatenate([0.5 * (line[1:] + line[:-1]) for line in lines])
        along = np.concatenate([np.diff(line, axis=0) for line in lines])
        along /= np.linalg.norm(along, axis=1, keepdims=True)
        ahead, with_lane = [], []
        for poses in tracks.values():
            for (here_m, heading), (later_m, _) in zip(poses[::10], poses[10::10], strict=False):
                step_m = later_m - here_m
                if np.linalg.norm(step_m) > 3.0:
                    step_m /= np.linalg.norm(step_m)
                    ahead.append(step_m @ heading)
                    near = np.linalg.norm(middles - here_m, axis=1) < 2.5
                    if near.any():
                        with_lane.append((along[near] @ step_m).max())
        assert len(ahead) > 30, log_id
        assert np.mean(np.array(ahead) > 0.95) > 0.95, log_id
        assert len(with_lane) > 30, log_id
        assert np.mean(np.array(with_lane) > 0.9) > 0.95, log_id


def test_areas_are_simple_rings_and_the_ego_drives_on_them(logs: dict[str, Any]) -> None:
    for log_id, (_, log) in logs.items():
        rows = log.map_elements.to_pylist()
        rings = {
            kind: [Polygon(zip(row["x_m"], row["y_m"], strict=True)) for row in rows if row["kind"] == kind]
            for kind in ("crosswalk", "drivable_area")
        }
        assert all(ring.is_valid for ring in rings["crosswalk"]), log_id
        for pose in log.frames["global_SE3_ego"].to_pylist()[::20]:
            spot = Polygon([(pose["tx_m"] + dx, pose["ty_m"] + dy) for dx, dy in ((0, 0), (0.1, 0), (0, 0.1))])
            assert any(ring.buffer(0).contains(spot) for ring in rings["drivable_area"]), log_id


def test_resampled_boxes_are_near_the_labels(logs: dict[str, Any]) -> None:
    """Labels left out by going to 2 Hz come back within centimetres, wherever the objects drive."""
    for log_id, (_, log) in logs.items():
        again = resample(resample(log, 2), 10)
        times_ns = log.frames["timestamp_ns"].to_numpy()
        frames, tracks = log.annotations["frame"].to_pylist(), log.annotations["track_id"].to_pylist()
        row_of = {key: row for row, key in enumerate(zip(frames, tracks, strict=True))}
        truth_m, found_m = city_boxes(log).translations_m, city_boxes(again).translations_m
        off_m = []
        for row, box in enumerate(again.annotations.select(["timestamp_ns", "track_id", "observed"]).to_pylist()):
            frame = int(np.argmin(np.abs(times_ns - box["timestamp_ns"])))
            if not box["observed"] and abs(times_ns[frame] - box["timestamp_ns"]) < 2_000_000:
                off_m.append(np.linalg.norm(found_m[row, :2] - truth_m[row_of[frame, box["track_id"]], :2]))
        assert len(off_m) > 5000, log_id
        assert np.median(off_m) < 0.01, log_id
        assert np.percentile(off_m, 95) < 0.06, log_id
