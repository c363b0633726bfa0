"""Detection from recorded sweeps against labels.

KITTI 0000: raw lidar only, every sixth sweep (the benchmark does all). All vehicles of these frames are vans and count as
cars.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from sensors.detection.accuracy import Matches, centre_error, join, match_frame
from sensors.detection.benchmark import CLASSES, KITTI_CAMERA, SURE_SCORE, detect_sweeps, frame_detections, frame_labels
from sensors.readers import kitti, pandaset

DATA = Path(os.environ.get("DRIVE_VQA_REAL_DATA", Path(__file__).parents[3] / "shared" / "data"))
KITTI, PANDASET = DATA / "kitti_tracking", DATA / "pandaset"


def matches_of(log: Any, root: Path, camera: str | None, step: int, last: int) -> Matches:
    kept = pa.array([frame % step == 0 for frame in log.sensor_data["frame"].to_pylist()])
    sweeps = detect_sweeps(log.logs, log.sensor_data.filter(kept), log.annotations, root, camera, (0, last))
    cars = CLASSES["car"]
    return join([match_frame(frame_detections(sweep, cars), frame_labels(sweep, cars)) for sweep in sweeps])


@pytest.mark.skipif(not KITTI.is_dir(), reason=f"no recorded driving at {KITTI} (set DRIVE_VQA_REAL_DATA)")
def test_cars_of_kitti_0000() -> None:
    (handle,) = [one for one in kitti.list_logs(KITTI) if one.log_id == "kitti-0000"]
    matches = matches_of(kitti.read_log(handle), handle.root, KITTI_CAMERA, 6, 31)
    recall, precision, _ = matches.at(SURE_SCORE)
    error = centre_error(*matches.pairs(SURE_SCORE))
    assert len(matches.labels) == 6
    assert recall >= 0.8
    assert precision >= 0.6
    assert error.median_m < 0.25
    assert abs(error.away_m) < 0.15


@pytest.mark.skipif(not PANDASET.is_dir(), reason=f"no recorded driving at {PANDASET} (set DRIVE_VQA_REAL_DATA)")
def test_cars_of_pandaset_002() -> None:
    (handle,) = pandaset.list_logs(PANDASET)
    matches = matches_of(pandaset.read_log(handle), handle.root, None, 40, 79)
    recall, precision, _ = matches.at(0.3)
    error = centre_error(*matches.pairs(0.3))
    assert len(matches.labels) > 30
    assert recall >= 0.8
    assert precision >= 0.8
    assert error.median_m < 0.3
    assert abs(error.away_m) < 0.2
