"""nuscenes-devkit says where every box is; our tables must say the same."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drive_vqa.boxes import CORNER_SIGNS
from drive_vqa.geometry import SE3
from drive_vqa.schema import pose_from_struct
from drive_vqa.store import Store
from sensors.ingest import ingest
from sensors.readers.nuscenes_motion import all_tracks
from tests.sensors.nuscenes_files import MOUNTS, SCENES, make_tables, write_tables

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the devkit's own imports
    from nuscenes.nuscenes import NuScenes
    from nuscenes.utils.geometry_utils import BoxVisibility, view_points
    from pyquaternion import Quaternion


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Store]:
    root = tmp_path_factory.mktemp("oracle")
    source = write_tables(root / "source", make_tables())
    assert ingest(source, "nuscenes", root / "store", workers=1).exit_status == 0
    return NuScenes(version="v1.0-mini", dataroot=str(source), verbose=False), Store.open(root / "store")


def corners_m(frame_SE3_box: SE3, row: dict[str, Any]) -> np.ndarray:
    size_lwh_m = np.array([row["length_m"], row["width_m"], row["height_m"]])
    return np.asarray(frame_SE3_box @ (0.5 * CORNER_SIGNS * size_lwh_m))


def samples_of(devkit: Any, name: str) -> list[dict[str, Any]]:
    token = next(scene for scene in devkit.scene if scene["name"] == name)["first_sample_token"]
    samples = []
    while token:
        samples.append(devkit.get("sample", token))
        token = samples[-1]["next"]
    return samples


@pytest.mark.parametrize("name", SCENES)
def test_boxes_in_the_ego_frame_are_those_of_the_devkit(both: tuple[Any, Store], name: str) -> None:
    devkit, store = both
    rows = {(row["frame"], row["track_id"]): row for row in store.read("annotations", name).to_pylist()}
    compared = 0
    for frame, sample in enumerate(samples_of(devkit, name)):
        ego = devkit.get("ego_pose", devkit.get("sample_data", sample["data"]["LIDAR_TOP"])["ego_pose_token"])
        for token in sample["anns"]:
            box = devkit.get_box(token)
            box.translate(-np.array(ego["translation"]))
            box.rotate(Quaternion(ego["rotation"]).inverse)
            row = rows[frame, devkit.get("sample_annotation", token)["instance_token"]]
            ego_SE3_box = pose_from_struct(row["ego_SE3_box"])
            np.testing.assert_allclose(ego_SE3_box.translation_m, box.center, atol=1e-6)
            forward = box.orientation.rotation_matrix[:, 0]
            assert ego_SE3_box.yaw_rad == pytest.approx(np.arctan2(forward[1], forward[0]), abs=1e-6)
            np.testing.assert_allclose(corners_m(ego_SE3_box, row), box.corners().T, atol=1e-6)
            compared += 1
    assert compared == len(rows) == 2 * SCENES[name]


@pytest.mark.parametrize("channel", MOUNTS)
def test_boxes_in_every_sensor_are_those_of_the_devkit(both: tuple[Any, Store], channel: str) -> None:
    devkit, store = both
    compared = 0
    for name in SCENES:
        annotations = store.read("annotations", name).to_pylist()
        frames = store.read("frames", name).to_pylist()
        captures = {
            row["frame"]: row for row in store.read("sensor_data", name).to_pylist() if row["sensor"] == channel
        }
        for frame, sample in enumerate(samples_of(devkit, name)):
            path, boxes, matrix = devkit.get_sample_data(sample["data"][channel], box_vis_level=BoxVisibility.NONE)
            capture = captures[frame]
            assert path.endswith(capture["path"])
            global_SE3_ego = pose_from_struct(capture["global_SE3_ego"])
            sensor_SE3_global = (global_SE3_ego @ pose_from_struct(capture["ego_SE3_sensor"])).inverse()
            assert frames[frame]["source_frame"] == sample["token"]
            sensor_SE3_ego = sensor_SE3_global @ pose_from_struct(frames[frame]["global_SE3_ego"])
            tokens = {devkit.get("sample_annotation", box.token)["instance_token"]: box for box in boxes}
            for row in (row for row in annotations if row["frame"] == frame):
                box = tokens[row["track_id"]]
                ours_m = corners_m(sensor_SE3_ego @ pose_from_struct(row["ego_SE3_box"]), row)
                np.testing.assert_allclose(ours_m, box.corners().T, atol=1e-6)
                if MOUNTS[channel][0] == "camera" and box.corners()[2].min() > 0:
                    ours_px = ours_m @ np.array(capture["intrinsics"]).reshape(3, 3).T
                    theirs_px = view_points(box.corners(), matrix, normalize=True)
                    np.testing.assert_allclose(ours_px[:, :2] / ours_px[:, 2:], theirs_px[:2].T, atol=1e-3)
                compared += 1
    assert compared == 2 * sum(SCENES.values())


def test_tracks_of_the_whole_version_move_as_the_devkit_says(both: tuple[Any, Store]) -> None:
    devkit, store = both
    tracks = all_tracks(Path(devkit.dataroot) / devkit.version).to_pylist()
    rows = {
        (row["track_id"], row["timestamp_ns"]): row
        for name in SCENES
        for row in store.read("annotations", name).to_pylist()
    }
    frames = {row["timestamp_ns"]: row for name in SCENES for row in store.read("frames", name).to_pylist()}
    boxes = {(row["track_id"], row["timestamp_ns"]): row for row in tracks}
    assert boxes.keys() == rows.keys()
    for annotation in devkit.sample_annotation:
        time_ns = 1000 * devkit.get("sample", annotation["sample_token"])["timestamp"]
        box = boxes[annotation["instance_token"], time_ns]
        ego_SE3_box = pose_from_struct(rows[annotation["instance_token"], time_ns]["ego_SE3_box"])
        np.testing.assert_allclose([box["x_m"], box["y_m"], box["z_m"]], ego_SE3_box.translation_m, atol=1e-9)
        assert box["yaw_rad"] == pytest.approx(ego_SE3_box.yaw_rad, abs=1e-9)
        global_SE3_ego = pose_from_struct(frames[time_ns]["global_SE3_ego"])
        velocity_mps = global_SE3_ego.rotate(np.array([box["vx_mps"], box["vy_mps"], box["vz_mps"]]))
        np.testing.assert_allclose(velocity_mps, devkit.box_velocity(annotation["token"]), atol=1e-6)


def test_some_box_lies_before_the_front_camera(both: tuple[Any, Store]) -> None:
    devkit, _ = both
    sample = samples_of(devkit, "scene-0001")[0]
    _, boxes, _ = devkit.get_sample_data(sample["data"]["CAM_FRONT"], box_vis_level=BoxVisibility.ANY)
    assert boxes, "the pixel comparison above would compare nothing"
