"""Tracking of recorded driving from detectors' boxes, against figures of other trackers on the same boxes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from sensors.annotated_tracks import tracks_from_annotations
from sensors.detection_files.read import read_detections
from sensors.export.kitti_tracking import result_lines
from sensors.fuse import without_poses
from sensors.quality.kitti import score_folders
from sensors.quality.label_quality import label_quality
from sensors.quality.nearest_centre import nearest_centre_tracks
from sensors.readers import kitti, scenarionet
from sensors.readers.kitti_calibration import rect_camera
from sensors.tracking.fused_tracks import tracks_from_detections
from sensors.tracking.settings import TrackerSettings

ROOT = Path(os.environ.get("DRIVE_VQA_REAL_DATA", Path(__file__).parents[3] / "shared" / "data"))
AB3DMOT = {"Car": (0.8775, 0), "Pedestrian": (0.5730, 1), "Cyclist": (0.5310, 0)}
"""sAMOTA and identity switches of AB3DMOT on the same boxes and sequences, without GPS/IMU."""
pytestmark = pytest.mark.skipif(not ROOT.is_dir(), reason=f"no recorded driving at {ROOT} (set DRIVE_VQA_REAL_DATA)")


def test_kitti_without_poses_is_tracked_better_than_by_ab3dmot(tmp_path: Path) -> None:
    labels = ROOT / "kitti_tracking" / "training" / "label_02"
    for handle in kitti.list_logs(ROOT / "kitti_tracking"):
        if not (labels / f"{handle.log_id.removeprefix('kitti-')}.txt").exists():
            continue
        log = kitti.read_log(handle)
        detected = read_detections(ROOT / "kitti_tracking" / "detections", handle.log_id, log.frames, log.sensor_data)
        tracks = tracks_from_detections(detected, without_poses(log.frames), log.sensor_data, TrackerSettings())
        lines = result_lines(tracks, rect_camera(log.sensor_data))
        (tmp_path / f"{handle.log_id.removeprefix('kitti-')}.txt").write_text("".join(f"{line}\n" for line in lines))
    scores = score_folders(tmp_path, labels)
    for name, (samota, switches) in AB3DMOT.items():
        assert scores[name].samota > samota + 0.03, name
        assert scores[name].id_switches <= switches, name


@pytest.fixture(scope="module")
def scene() -> tuple[pa.Table, pa.Table, Any]:
    """Truth, CenterPoint's boxes and the log of scene-0103."""
    (handle,) = [h for h in scenarionet.list_logs(ROOT / "scenarionet") if h.log_id == "scene-0103"]
    log = scenarionet.read_log(handle)
    path = ROOT / "nuscenes_detections" / "centerpoint_scene-0103.json"
    detected = read_detections(path, handle.log_id, log.frames, log.sensor_data)
    return tracks_from_annotations(log.annotations, log.frames, log.sensor_data), detected, log


def test_nuscenes_positions_velocities_and_identities(scene: tuple[pa.Table, pa.Table, Any]) -> None:
    truth, detected, log = scene
    ours = label_quality(
        truth, tracks_from_detections(detected, log.frames, log.sensor_data, TrackerSettings())
    ).numbers()
    greedy = label_quality(truth, nearest_centre_tracks(detected, log.frames)).numbers()
    assert ours["all.error.position_m"] <= 0.35
    assert ours["vehicle.error.velocity_moving_mps"] <= 0.45
    for count in ("all.best.id_switches", "all.delivered.id_switches"):
        assert ours[count] < 0.5 * greedy[count]


def test_the_smoother_halves_the_velocity_error_of_moving_vehicles(scene: tuple[pa.Table, pa.Table, Any]) -> None:
    truth, detected, log = scene
    errors = [
        label_quality(
            truth, tracks_from_detections(detected, log.frames, log.sensor_data, TrackerSettings(smooth=smooth))
        ).numbers()["vehicle.error.velocity_moving_mps"]
        for smooth in (True, False)
    ]
    assert errors[0] < 0.6 * errors[1]
