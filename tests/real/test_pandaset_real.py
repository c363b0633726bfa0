"""The recorded PandaSet sequence 002, against pandas and against what is known of the drive."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from drive_vqa.geometry import SE3
from drive_vqa.schema import pose_from_struct
from sensors.reader import list_logs, read_log
from sensors.readers.pandaset import read_sweep
from sensors.readers.restricted_pickle import read_frame

DATA = Path(os.environ.get("DRIVE_VQA_REAL_DATA", Path(__file__).parents[3] / "shared" / "data")) / "pandaset"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no recorded driving at {DATA} (set DRIVE_VQA_REAL_DATA)")


@pytest.fixture(scope="module")
def log() -> Any:
    (handle,) = list_logs(DATA, "pandaset")
    return read_log(handle)


@pytest.mark.parametrize("file", ["annotations/cuboids/00.pkl.gz", "annotations/cuboids/79.pkl.gz", "lidar/75.pkl.gz"])
def test_pickles_read_as_pandas_reads_them(file: str) -> None:
    expected, columns = pd.read_pickle(DATA / "002" / file), read_frame(DATA / "002" / file)
    assert list(columns) == list(expected.columns)
    for key, values in columns.items():
        theirs = expected[key].reset_index(drop=True)
        pd.testing.assert_series_equal(pd.Series(values, name=key), theirs, check_dtype=False)


def test_128_uuids_are_98_objects(log: Any) -> None:
    rows = log.annotations.to_pylist()
    assert (log.frames.num_rows, len(rows), len({row["track_id"] for row in rows})) == (80, 7531, 98)
    assert max(Counter((row["frame"], row["track_id"]) for row in rows).values()) == 1


def test_the_sensors_that_exist_have_rows(log: Any) -> None:
    counts = Counter(log.sensor_data["sensor"].to_pylist())
    others = ("back", "front_left", "front_right", "left", "right")
    assert counts == {"front_camera": 80, "lidar": 16, **{f"{name}_camera": 16 for name in others}}


def test_the_car_drives_where_it_looks(log: Any) -> None:
    frames = log.frames.to_pylist()
    here, later = (pose_from_struct(frames[frame]["global_SE3_ego"]) for frame in (60, 79))
    ahead_m = here.inverse() @ later.translation_m
    assert ahead_m[0] > 8.0
    assert abs(ahead_m[1]) < 0.1 * ahead_m[0]
    assert frames[0]["speed_mps"] < 0.2
    assert 5.0 < frames[79]["speed_mps"] < 6.0


def _global_box(log: Any, row: Any) -> SE3:
    return pose_from_struct(log.frames["global_SE3_ego"][row["frame"]].as_py()) @ pose_from_struct(row["ego_SE3_box"])


def test_moving_boxes_point_where_they_go(log: Any) -> None:
    tracks = defaultdict(list)
    for row in log.annotations.to_pylist():
        if row["attribute"] == "Moving":
            tracks[row["track_id"]].append(row)
    cosines = []
    for rows in tracks.values():
        for now, later in zip(rows, rows[10:], strict=False):
            global_SE3_box = _global_box(log, now)
            step_m = _global_box(log, later).translation_m - global_SE3_box.translation_m
            if np.linalg.norm(step_m[:2]) > 2.0:
                cosines.append(float(step_m[:2] @ global_SE3_box.rotation[:2, 0] / np.linalg.norm(step_m[:2])))
    assert len(cosines) > 100
    assert np.mean(np.array(cosines) > 0.9) > 0.95


def test_mountings_are_constant_though_poses_are_given_in_the_world(log: Any) -> None:
    places = defaultdict(list)
    for row in log.sensor_data.to_pylist():
        places[row["sensor"]].append([row["ego_SE3_sensor"][key] for key in ("tx_m", "ty_m", "tz_m")])
    for sensor, found_m in places.items():
        assert np.ptp(np.array(found_m), axis=0).max() < 0.03, sensor
    assert np.mean(places["left_camera"], axis=0)[1] > 0.3 > -0.3 > np.mean(places["right_camera"], axis=0)[1]
    assert np.mean(places["front_camera"], axis=0)[0] > 0.5 > -0.1 > np.mean(places["back_camera"], axis=0)[0]


def test_counted_points_lie_in_the_box(log: Any) -> None:
    points_m = read_sweep(DATA / "002" / "lidar" / "75.pkl.gz")
    rows = [row for row in log.annotations.to_pylist() if row["frame"] == 75]
    for row in rows:
        local_m = np.abs(_global_box(log, row).inverse() @ points_m)
        half_m = 0.5 * np.array([row["length_m"], row["width_m"], row["height_m"]])
        assert row["lidar_points"] == int((local_m <= half_m).all(axis=1).sum()), row["track_id"]
    cars = [row["lidar_points"] for row in rows if row["category"] == "car"]
    assert np.mean(np.array(cars) > 0) > 0.8
