"""Fuse on recorded driving, against numbers that others computed from the same recordings."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drive_vqa.geometry import SE3
from drive_vqa.schema import pose_from_struct, pose_to_struct, table_from_rows
from sensors.annotated_tracks import tracks_from_annotations
from sensors.camera import OrientedBoxes, PinholeCamera, image_boxes
from sensors.kinematics import estimate_motions

DATA = Path(os.environ.get("DRIVE_VQA_REAL_DATA", Path(__file__).parents[3] / "shared" / "data"))
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no recorded driving at {DATA} (set DRIVE_VQA_REAL_DATA)")

ALLOWED = {
    ("builtins", "int"),
    ("collections", "defaultdict"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("_codecs", "encode"),
}

Rows = list[dict[str, Any]]


class DataUnpickler(pickle.Unpickler):
    """Reads arrays and plain data, and no code."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is not plain data")
        return super().find_class(module, name)


def rigid(matrix: Any) -> SE3:
    """A float32 matrix of the data as an exact rotation."""
    values = np.array(matrix, dtype=np.float64)
    left, _, right = np.linalg.svd(values[:3, :3])
    return SE3(left @ right, values[:3, 3])


@pytest.fixture(scope="module")
def keyframe() -> tuple[dict[str, Rows], dict[str, Any]]:
    """The first key frame of nuScenes scene-0061 as tables, and what MMDetection3D's converter made of it with the devkit."""
    folder = DATA / "nuscenes_keyframe"
    calibration = json.loads((folder / "calibration.json").read_text())
    with (folder / "n015-2018-07-24-11-22-45+0800.pkl").open("rb") as file:
        info = DataUnpickler(file, encoding="latin1").load()["data_list"][0]
    common = {"log_id": "scene-0061", "frame": 0, "timestamp_ns": round(calibration["timestamp_s"] * 1e6) * 1000}
    global_SE3_ego = rigid(calibration["global_SE3_ego"])
    global_SE3_lidar = global_SE3_ego @ rigid(calibration["lidar"]["ego_SE3_lidar"])
    annotations = []
    for index, instance in enumerate(info["instances"]):
        x_m, y_m, z_m, length_m, width_m, height_m, yaw_rad = instance["bbox_3d"]
        forward = global_SE3_lidar.rotate(
            np.array([np.cos(yaw_rad), np.sin(yaw_rad), 0.0])
        )  # boxes stand upright in the world
        centre_m = global_SE3_lidar @ np.array([x_m, y_m, z_m])
        pose = global_SE3_ego.inverse() @ SE3.from_yaw(float(np.arctan2(forward[1], forward[0])), centre_m)
        size = {"length_m": length_m, "width_m": width_m, "height_m": height_m}
        annotations.append(
            {**common, **size, "track_id": f"{index:02d}", "category": "other", "ego_SE3_box": pose_to_struct(pose)}
        )
    sensor_data = []
    for camera in calibration["cameras"]:
        ego_SE3_cam = rigid(camera["ego_SE3_cam"])
        at_capture = global_SE3_lidar @ rigid(camera["cam_SE3_lidar"]).inverse() @ ego_SE3_cam.inverse()
        sensor_data.append(
            {
                **common,
                "sensor": camera["name"],
                "modality": "camera",
                "width": camera["width"],
                "height": camera["height"],
                "intrinsics": np.ravel(camera["intrinsics"]).tolist(),
                "distortion": [],
                "ego_SE3_sensor": pose_to_struct(ego_SE3_cam),
                "global_SE3_ego": pose_to_struct(at_capture),
            }
        )
    frames = [{**common, "global_SE3_ego": pose_to_struct(global_SE3_ego)}]
    return {"annotations": annotations, "frames": frames, "sensor_data": sensor_data}, info


def test_image_boxes_are_those_of_the_devkit(keyframe: tuple[dict[str, Rows], dict[str, Any]]) -> None:
    """All 84 2D boxes of the six cameras; theirs have float32 poses, which shows at hundredths of a pixel."""
    tables, info = keyframe
    annotations = tables["annotations"]
    global_SE3_ego = pose_from_struct(tables["frames"][0]["global_SE3_ego"])
    poses = [global_SE3_ego @ pose_from_struct(row["ego_SE3_box"]) for row in annotations]
    boxes = OrientedBoxes(
        np.stack([pose.translation_m for pose in poses]),
        np.stack([pose.rotation for pose in poses]),
        0.5 * np.array([[row["length_m"], row["width_m"], row["height_m"]] for row in annotations]),
    )
    errors = []
    for row in tables["sensor_data"]:
        camera = PinholeCamera.from_row(row)
        cam_SE3_global = (pose_from_struct(row["global_SE3_ego"]) @ camera.ego_SE3_cam).inverse()
        ours = image_boxes(camera, boxes.moved(cam_SE3_global))
        ours = ours[np.isfinite(ours).all(axis=1)]
        errors += [np.abs(ours - theirs["bbox"]).max(axis=1).min() for theirs in info["cam_instances"][row["sensor"]]]
    assert len(errors) == 84
    assert np.median(errors) < 0.01
    assert max(errors) < 0.5


def test_tracks_of_a_recorded_keyframe(keyframe: tuple[dict[str, Rows], dict[str, Any]]) -> None:
    tables, info = keyframe
    rows = tracks_from_annotations(
        *(table_from_rows(name, tables[name]) for name in ("annotations", "frames", "sensor_data"))
    ).to_pylist()
    assert len(rows) == len(info["instances"]) == 69
    lidar_SE3_ego = rigid(info["lidar_points"]["lidar2ego"]).inverse()
    for row, instance in zip(rows, info["instances"], strict=True):
        lidar_xyz_m = lidar_SE3_ego @ np.array([row["x_m"], row["y_m"], row["z_m"]])
        np.testing.assert_allclose(lidar_xyz_m, instance["bbox_3d"][:3], atol=1e-3)
        assert row["speed_mps"] is None
    seen = {(row["track_id"], view["camera"]) for row in rows for view in row["cameras"]}
    assert 60 <= len({track for track, _ in seen}) < 69  # some stand wholly behind others
    assert all(0.0 < view["visible_fraction"] <= 1.0 for row in rows for view in row["cameras"])


@pytest.mark.parametrize("scene", ["0061", "0103", "0553", "0655", "0757", "0796"])
def test_speed_of_recorded_vehicles_points_along_their_yaw(scene: str) -> None:
    """Key frames of ScenarioNet's nuScenes tracks: a vehicle faster than a walk drives the way it points."""
    files = sorted((DATA / "scenarionet").rglob(f"*scene-{scene}*.pkl"))
    assert files, f"scene-{scene} is not among the ScenarioNet files"
    with files[0].open("rb") as file:
        scenario = DataUnpickler(file).load()
    slip_rad = []
    for key, track in scenario["tracks"].items():
        keyframes = np.arange(0, len(track["state"]["valid"]), 5)
        keyframes = keyframes[track["state"]["valid"][keyframes] > 0]
        if key == "ego" or track["type"] != "VEHICLE" or not len(keyframes):
            continue
        yaw_rad = track["state"]["heading"][keyframes].astype(np.float64)
        xyz_m = track["state"]["position"][keyframes].astype(np.float64)
        motion = estimate_motions(np.zeros_like(keyframes), keyframes * 100_000_000, xyz_m, yaw_rad, 0.5)
        speed_mps = np.hypot(*motion.velocity_mps[:, :2].T)
        course_rad = np.arctan2(motion.velocity_mps[:, 1], motion.velocity_mps[:, 0])
        slip_rad += np.angle(np.exp(1j * (course_rad - yaw_rad)))[speed_mps > 3.0].tolist()
        known = np.isfinite(motion.accel_mps2)
        assert np.median(np.abs(motion.accel_mps2[known])) < 3.0 if known.any() else True
    assert len(slip_rad) > 20
    assert np.median(np.abs(slip_rad)) < np.radians(3)
    assert np.mean(np.abs(slip_rad) < np.radians(20)) > 0.95
