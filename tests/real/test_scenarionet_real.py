"""The recorded ScenarioNet scenarios: nuScenes-mini traffic and one of Waymo."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drive_vqa.schema import pose_from_struct
from sensors.pose_path import Poses, poses_of
from sensors.readers.scenarionet import list_logs, read_log
from sensors.resample import resample

DATA = Path(os.environ.get("DRIVE_VQA_REAL_DATA", Path(__file__).parents[3] / "shared" / "data")) / "scenarionet"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no recorded driving at {DATA} (set DRIVE_VQA_REAL_DATA)")

COUNTS = {  # frames, tracks without the ego, boxes
    "scene-0061": (191, 225, 22420),
    "scene-0103": (196, 121, 9691),
    "scene-0553": (201, 56, 9526),
    "scene-0655": (201, 140, 11305),
    "scene-0757": (201, 29, 2904),
    "scene-0796": (196, 51, 3376),
    "waymo-eb4b91b10ca94ff2": (199, 44, 4419),
}


@pytest.fixture(scope="module")
def logs() -> dict[str, Any]:
    return {handle.log_id: read_log(handle) for handle in list_logs(DATA)}


def global_boxes(log: Any) -> Poses:
    """Each annotation's box in the global frame."""
    egos, boxes = poses_of(log.frames["global_SE3_ego"]), poses_of(log.annotations["ego_SE3_box"])
    return egos.take(log.annotations["frame"].to_numpy()).then(boxes)


def test_counts(logs: dict[str, Any]) -> None:
    found = {
        log_id: (log.frames.num_rows, len(set(log.annotations["track_id"].to_pylist())), log.annotations.num_rows)
        for log_id, log in logs.items()
    }
    assert found == COUNTS


def test_keyframes_of_nuscenes_are_observed_and_waymo_throughout(logs: dict[str, Any]) -> None:
    for log_id, log in logs.items():
        observed = {
            row["frame"] for row in log.annotations.select(["frame", "observed"]).to_pylist() if row["observed"]
        }
        step = 1 if log_id.startswith("waymo") else 5
        assert observed == set(range(0, log.frames.num_rows, step)), log_id


def test_the_first_keyframe_of_0061_has_68_of_69_boxes(logs: dict[str, Any]) -> None:
    assert sum(frame == 0 for frame in logs["scene-0061"].annotations["frame"].to_pylist()) == 68


def test_only_0061_tells_of_a_shifted_ego(logs: dict[str, Any]) -> None:
    told = {log_id for log_id, log in logs.items() if "CAN bus" in log.logs["description"][0].as_py()}
    assert told == {"scene-0061"}


def test_the_ego_drives_where_it_looks(logs: dict[str, Any]) -> None:
    for log_id, log in logs.items():
        egos = poses_of(log.frames["global_SE3_ego"])
        step_m = (egos.translations_m[5:] - egos.translations_m[:-5])[:, :2]
        far = np.linalg.norm(step_m, axis=1) > 1.0
        heading = egos.rotations.apply([1.0, 0.0, 0.0])[:-5, :2]
        along = (step_m * heading).sum(axis=1)[far] / np.linalg.norm(step_m[far], axis=1)
        assert not far.any() or np.mean(along > 0.97) > 0.97, log_id


def test_cars_stand_on_the_ground_and_do_not_overlap_the_ego(logs: dict[str, Any]) -> None:
    for log_id, log in logs.items():
        rows = [row for row in log.annotations.to_pylist() if row["category"] == "car"]
        centre_m = np.array([[row["ego_SE3_box"][axis] for axis in ("tx_m", "ty_m", "tz_m")] for row in rows])
        away_m = np.hypot(centre_m[:, 0] - 1.0, centre_m[:, 1])
        assert away_m.min() > 1.5, log_id
        bottom_m = centre_m[:, 2] - 0.5 * np.array([row["height_m"] for row in rows])
        near = away_m < 15
        # nuScenes' ego has no tilt here and height 0, so its boxes keep the height of the place
        assert not near.any() or abs(np.median(bottom_m[near])) < (0.3 if log_id.startswith("waymo") else 1.5), log_id


def test_moving_cars_point_where_they_go(logs: dict[str, Any]) -> None:
    cosines = []
    for log in logs.values():
        boxes = global_boxes(log)
        headings = boxes.rotations.apply([1.0, 0.0, 0.0])
        columns = (log.annotations[name].to_pylist() for name in ("frame", "track_id", "category"))
        tracks = defaultdict(list)
        for row, (frame, track, category) in enumerate(zip(*columns, strict=True)):
            if category == "car" and frame % 5 == 0:
                tracks[track].append(row)
        for rows in tracks.values():
            step_m = np.diff(boxes.translations_m[rows, :2], axis=0)
            length_m = np.linalg.norm(step_m, axis=1)
            cosine = (step_m * headings[rows[:-1], :2]).sum(axis=1) / np.maximum(length_m, 1e-9)
            cosines += cosine[(length_m > 1.0) & (length_m < 15.0)].tolist()
    assert len(cosines) > 500
    assert np.mean(np.array(cosines) > 0.95) > 0.95


def test_the_ego_keeps_to_lanes_and_their_direction(logs: dict[str, Any]) -> None:
    """Poses and map are in one frame, and lanes run the way that one drives."""
    for log_id in ("scene-0103", "scene-0655", "waymo-eb4b91b10ca94ff2"):
        log = logs[log_id]
        egos = [pose_from_struct(pose) for pose in log.frames["global_SE3_ego"].to_pylist()]
        lines = [
            np.stack([row["x_m"], row["y_m"]], axis=-1) for row in log.map_elements.to_pylist() if row["kind"] == "lane"
        ]
        middles = np.concatenate([0.5 * (line[1:] + line[:-1]) for line in lines])
        along = np.concatenate([np.diff(line, axis=0) for line in lines])
        along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
        fits, distances_m = [], []
        for here, later in zip(egos, egos[5:], strict=False):
            step_m = (later.translation_m - here.translation_m)[:2]
            if np.linalg.norm(step_m) > 1.0:
                off_m = np.linalg.norm(middles - here.translation_m[:2], axis=1)
                distances_m.append(off_m.min())
                fits.append((along[off_m < 4.0] @ (step_m / np.linalg.norm(step_m))).max(initial=-1.0))
        assert np.median(distances_m) < 1.5, log_id
        assert np.mean(np.array(fits) > 0.9) > 0.9, log_id


def test_the_map_is_of_known_kinds(logs: dict[str, Any]) -> None:
    for log_id, log in logs.items():
        kinds = Counter(log.map_elements["kind"].to_pylist())
        assert {"lane", "lane_line", "road_edge", "drivable_area"} <= set(kinds), log_id
        assert (kinds["crosswalk"] > 0) == (log_id != "scene-0061"), log_id
        flat = log.map_elements["z_m"].null_count
        assert flat == (0 if log_id.startswith("waymo") else log.map_elements.num_rows), log_id


def test_interpolated_steps_are_what_resampling_the_keyframes_gives(logs: dict[str, Any]) -> None:
    """ScenarioNet's own interpolation is the oracle: 2 Hz and back to 10 Hz gives its boxes again."""
    log = logs["scene-0103"]
    again = resample(resample(log, 2), 10)
    assert again.frames["timestamp_ns"].to_pylist() == log.frames["timestamp_ns"].to_pylist()[: again.frames.num_rows]
    for name in ("frame", "track_id"):
        assert again.annotations[name].to_pylist() == log.annotations[name].to_pylist()
    off_m = global_boxes(again).translations_m - global_boxes(log).translations_m
    assert np.abs(off_m).max() < 1e-6
