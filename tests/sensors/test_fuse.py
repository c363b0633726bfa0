from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nuscenes.eval.common.utils import quaternion_yaw
from pyquaternion import Quaternion

from drive_vqa.errors import CalibrationError, ConfigError, DriveVqaError, LogFormatError
from drive_vqa.geometry import SE3, wrap_rad
from drive_vqa.schema import TABLES, pose_to_struct, table_from_rows
from drive_vqa.store import Store
from sensors.annotated_tracks import tracks_from_annotations
from sensors.fuse import FuseConfig, FuseJob, fuse

START_NS = 1_532_402_927_612_460_000
STEP_NS = 500_000_000
CAMERA_YAWS_DEG = {"CAM_FRONT": 0, "CAM_FRONT_LEFT": 55, "CAM_FRONT_RIGHT": -55, "CAM_BACK": 180}
CAR = (4.5, 1.9, 1.6)

Rows = list[dict[str, Any]]
Mover = tuple[float, float, float, float, float]
"""x_m, y_m, yaw_rad at the start, speed_mps, yaw rate."""


def ego_pose(frame: int) -> SE3:
    """An ego that drives a bend, a little tilted."""
    yaw_rad = 0.4 + 0.1 * frame
    tilt = SE3.from_quaternion([1.0, 0.004, -0.006, 0.0], np.zeros(3))
    return SE3.from_yaw(yaw_rad, [400.0 + 4 * frame * np.cos(0.4), 1100.0 + 4 * frame * np.sin(0.4), 0.5]) @ tilt


def mover_pose(mover: Mover, frame: int) -> SE3:
    """Constant speed and yaw rate, in the global frame; the start is given about the ego's start."""
    x_m, y_m, yaw_rad, speed_mps, yaw_rate = mover
    time_s = frame * STEP_NS * 1e-9
    turned = yaw_rad + yaw_rate * time_s
    if yaw_rate:
        radius_m = speed_mps / yaw_rate
        dx_m, dy_m = radius_m * (np.sin(turned) - np.sin(yaw_rad)), radius_m * (np.cos(yaw_rad) - np.cos(turned))
    else:
        dx_m, dy_m = speed_mps * time_s * np.cos(yaw_rad), speed_mps * time_s * np.sin(yaw_rad)
    return SE3.from_yaw(turned, [400.0 + x_m + dx_m, 1100.0 + y_m + dy_m, 1.2])


MOVERS: dict[str, Mover] = {
    "ahead": (18.0, 6.0, 0.4, 9.0, 0.0),
    "turning": (8.0, -14.0, 1.5, 6.0, 0.25),
    "parked": (25.0, -3.0, 2.2, 0.0, 0.0),
    "oncoming": (40.0, 22.0, -2.7, 11.0, 0.0),
    "behind": (-15.0, -7.0, 0.4, 10.0, 0.0),
}


def frame_rows(count: int) -> Rows:
    return [
        {
            "log_id": "log-1",
            "frame": frame,
            "timestamp_ns": START_NS + frame * STEP_NS,
            "global_SE3_ego": pose_to_struct(ego_pose(frame)),
        }
        for frame in range(count)
    ]


def camera_rows(count: int) -> Rows:
    """Four cameras that fire at different times, with the ego's pose of that time."""
    rows: Rows = []
    for name, yaw_deg in CAMERA_YAWS_DEG.items():
        mounted = SE3.from_yaw(np.radians(yaw_deg), [1.5, 0.0, 1.6]) @ SE3.from_quaternion(
            [0.5, -0.5, 0.5, -0.5], np.zeros(3)
        )
        for frame in range(count):
            rows.append(
                {
                    "log_id": "log-1",
                    "frame": frame,
                    "sensor": name,
                    "modality": "camera",
                    "timestamp_ns": START_NS + frame * STEP_NS - 30_000_000,
                    "path": f"{name}/{frame}.jpg",
                    "width": 1600,
                    "height": 900,
                    "intrinsics": [1266.0, 0.0, 816.0, 0.0, 1266.0, 491.0, 0.0, 0.0, 1.0],
                    "distortion": [],
                    "ego_SE3_sensor": pose_to_struct(mounted),
                    "global_SE3_ego": pose_to_struct(
                        ego_pose(frame) @ SE3.from_yaw(0.001 * yaw_deg / 55, [-0.25, 0.01, 0.0])
                    ),
                }
            )
    lidar = {**rows[0], "sensor": "LIDAR", "modality": "lidar", "width": None, "height": None, "intrinsics": None}
    return [*rows, lidar]


def box_row(track_id: str, frame: int, pose: SE3, size: tuple[float, float, float] = CAR) -> dict[str, Any]:
    return {
        "log_id": "log-1",
        "frame": frame,
        "timestamp_ns": START_NS + frame * STEP_NS,
        "track_id": track_id,
        "category": "car",
        "source_category": "vehicle.car",
        "attribute": "vehicle.moving",
        "ego_SE3_box": pose_to_struct(ego_pose(frame).inverse() @ pose),
        **dict(zip(("length_m", "width_m", "height_m"), size, strict=True)),
        "observed": True,
        "lidar_points": 7,
        "radar_points": None,
    }


def annotation_rows(count: int, movers: dict[str, Mover] = MOVERS) -> Rows:
    return [
        box_row(track, frame, mover_pose(mover, frame)) for track, mover in movers.items() for frame in range(count)
    ]


def tracks_of(annotations: Rows, frames: Rows, sensor_data: Rows) -> list[dict[str, Any]]:
    named = (("annotations", annotations), ("frames", frames), ("sensor_data", sensor_data))
    rows: list[dict[str, Any]] = tracks_from_annotations(
        *(table_from_rows(name, rows) for name, rows in named)
    ).to_pylist()
    return rows


def make_store(root: Path, log_ids: tuple[str, ...] = ("log-1",), count: int = 4) -> Store:
    store = Store.create(root)
    tables = {
        "logs": [{"log_id": "log-1", "source_format": "nuscenes", "source_root": "../source"}],
        "frames": frame_rows(count),
        "sensor_data": camera_rows(count),
        "annotations": annotation_rows(count),
    }
    for log_id in log_ids:
        for name, rows in tables.items():
            store.write(
                name, log_id, table_from_rows(name, [{**row, "log_id": log_id} for row in rows]), "made by a test"
            )
    return store


def test_one_row_a_box_in_order_with_its_labels() -> None:
    shuffled = [annotation_rows(4)[i] for i in np.random.default_rng(0).permutation(20)]
    rows = tracks_of(shuffled, frame_rows(4), camera_rows(4))
    assert [(row["frame"], row["track_id"]) for row in rows] == [(f, t) for f in range(4) for t in sorted(MOVERS)]
    for row in rows:
        assert (row["category"], row["source_category"], row["attribute"]) == ("car", "vehicle.car", "vehicle.moving")
        assert (row["length_m"], row["width_m"], row["height_m"]) == CAR
        assert (row["lidar_points"], row["radar_points"], row["covariance"]) == (7, None, None)
        assert (row["source"], row["observed"], row["log_id"]) == ("annotated", True, "log-1")
        assert row["timestamp_ns"] == START_NS + row["frame"] * STEP_NS


def test_pose_and_motion_in_the_ego_frame() -> None:
    for row in tracks_of(annotation_rows(8), frame_rows(8), []):
        mover, frame = MOVERS[row["track_id"]], row["frame"]
        ego_SE3_box = ego_pose(frame).inverse() @ mover_pose(mover, frame)
        np.testing.assert_allclose([row["x_m"], row["y_m"], row["z_m"]], ego_SE3_box.translation_m, atol=1e-9)
        assert row["yaw_rad"] == pytest.approx(quaternion_yaw(Quaternion(ego_SE3_box.quaternion_wxyz)), abs=1e-9)
        assert row["speed_mps"] == pytest.approx(mover[3], rel=0.006, abs=1e-6)
        assert row["yaw_rate_radps"] == pytest.approx(mover[4], abs=1e-6)
        assert row["accel_mps2"] == pytest.approx(0.0, abs=0.05)
        assert row["speed_mps"] == pytest.approx(np.hypot(row["vx_mps"], row["vy_mps"]))
        if mover[3] and 0 < frame < 7:
            heading_rad = np.arctan2(row["vy_mps"], row["vx_mps"])
            assert wrap_rad(heading_rad - row["yaw_rad"]) == pytest.approx(0.0, abs=1e-3)
        assert (row["cameras"], row["occlusion"]) == ([], None)


def test_what_is_not_known_is_null() -> None:
    for row in tracks_of(annotation_rows(1), frame_rows(1), camera_rows(1)):
        assert [row[key] for key in ("vx_mps", "vy_mps", "speed_mps", "yaw_rate_radps", "accel_mps2")] == [None] * 5
    two = tracks_of(annotation_rows(2), frame_rows(2), [])
    assert all(row["accel_mps2"] is None and row["speed_mps"] is not None for row in two)


def test_image_boxes_go_through_the_pose_at_capture_time() -> None:
    cameras = camera_rows(4)
    rows = tracks_of(annotation_rows(4), frame_rows(4), cameras)
    front = next(row for row in cameras if row["sensor"] == "CAM_FRONT")
    ego_SE3_cam = SE3.from_yaw(0.0, [1.5, 0.0, 1.6]) @ SE3.from_quaternion([0.5, -0.5, 0.5, -0.5], np.zeros(3))
    compared = 0
    for row in rows:
        view = next((view for view in row["cameras"] if view["camera"] == "CAM_FRONT"), None)
        if view is None or not (
            view["u0_px"] > 0 and view["u1_px"] < 1600 and view["v0_px"] > 0 and view["v1_px"] < 900
        ):
            continue
        capture = ego_pose(row["frame"]) @ SE3.from_yaw(0.0, [-0.25, 0.01, 0.0])
        signs = np.array(np.meshgrid([-0.5, 0.5], [-0.5, 0.5], [-0.5, 0.5])).reshape(3, 8).T
        corners = (capture @ ego_SE3_cam).inverse() @ mover_pose(MOVERS[row["track_id"]], row["frame"]) @ (signs * CAR)
        uv_px = (corners @ np.reshape(front["intrinsics"], (3, 3)).T)[:, :2] / corners[:, 2:]
        found = [view[key] for key in ("u0_px", "v0_px", "u1_px", "v1_px")]
        np.testing.assert_allclose(found, [*uv_px.min(axis=0), *uv_px.max(axis=0)], atol=1e-6)
        compared += 1
    assert compared > 5


def test_each_camera_lists_what_it_sees() -> None:
    rows = tracks_of(annotation_rows(4), frame_rows(4), camera_rows(4))
    for row in rows:
        names = [view["camera"] for view in row["cameras"]]
        assert names == sorted(set(names))
        seen = [view["visible_fraction"] for view in row["cameras"]]
        assert row["occlusion"] == (pytest.approx(1.0 - max(seen)) if seen else None)
        if row["x_m"] < -8:
            assert names == ["CAM_BACK"]
    assert any(row["occlusion"] == 0.0 for row in rows)


def test_hidden_and_tiny_boxes_are_in_no_camera() -> None:
    place = {"lorry": (15.0, 0.0), "child": (25.0, 0.3), "far": (180.0, 40.0)}
    sizes = {"lorry": (8.0, 2.6, 3.5), "child": (0.5, 0.5, 1.1), "far": (0.2, 0.2, 0.2)}
    boxes = [box_row(name, 0, ego_pose(0) @ SE3.from_yaw(0.0, [*xy, 1.0]), sizes[name]) for name, xy in place.items()]
    rows = {row["track_id"]: row for row in tracks_of(boxes, frame_rows(1), camera_rows(1))}
    assert [view["camera"] for view in rows["lorry"]["cameras"]] == ["CAM_FRONT"]
    assert rows["lorry"]["occlusion"] == pytest.approx(0.0)
    assert (rows["child"]["cameras"], rows["child"]["in_view"], rows["child"]["occlusion"]) == ([], True, 1.0)
    assert (rows["far"]["cameras"], rows["far"]["in_view"], rows["far"]["occlusion"]) == ([], False, None)


def test_the_ego_itself_is_left_out() -> None:
    ego = [
        box_row("EGO", frame, ego_pose(frame) @ SE3.from_yaw(0.0, [1.4, 0.0, 0.8]), (4.6, 1.9, 1.6))
        for frame in range(4)
    ]
    rows = tracks_of([*annotation_rows(4), *ego], frame_rows(4), camera_rows(4))
    assert {row["track_id"] for row in rows} == set(MOVERS)
    assert tracks_of(ego, frame_rows(4), camera_rows(4)) == []


def test_a_car_that_once_stood_where_the_ego_is_stays() -> None:
    boxes = [box_row("a", 0, ego_pose(0)), box_row("a", 1, ego_pose(1) @ SE3.from_yaw(0.0, [9.0, 0.0, 0.0]))]
    assert len(tracks_of(boxes, frame_rows(2), [])) == 2


def placed(rows: Rows, world_SE3_global: SE3) -> Rows:
    """The same log in another world: every global pose moved."""
    keys = ("global_SE3_ego",)
    return [
        {key: pose_to_struct(world_SE3_global @ _pose(value)) if key in keys else value for key, value in row.items()}
        for row in rows
    ]


def _pose(struct: dict[str, float]) -> SE3:
    return SE3.from_quaternion(
        [struct[key] for key in ("qw", "qx", "qy", "qz")], [struct[key] for key in ("tx_m", "ty_m", "tz_m")]
    )


def mirrored(rows: Rows) -> Rows:
    """The same log seen in a mirror, y → -y in every frame; the image is mirrored by its principal point."""

    def flip(pose: dict[str, float]) -> dict[str, float]:
        return {**pose, "qx": -pose["qx"], "qz": -pose["qz"], "ty_m": -pose["ty_m"]}

    def flip_camera(pose: dict[str, float]) -> dict[str, float]:
        turned = np.diag([1.0, -1.0, 1.0]) @ _pose(pose).rotation @ np.diag([-1.0, 1.0, 1.0])
        return pose_to_struct(SE3(turned, _pose(pose).translation_m * [1, -1, 1]))

    flips = {
        "global_SE3_ego": flip,
        "ego_SE3_box": flip,
        "ego_SE3_sensor": flip_camera,
        "intrinsics": lambda k: [*k[:2], 1600 - k[2], *k[3:]] if k else k,
    }
    return [{key: flips[key](value) if key in flips else value for key, value in row.items()} for row in rows]


def assert_same(a: Any, b: Any, tolerance: float = 1e-5) -> None:
    """Equal up to rounding, nulls at the same places."""
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same(a[key], b[key], 0.05 if key in ("visible_fraction", "occlusion") else tolerance)
    elif isinstance(a, list):
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            assert_same(one, other, tolerance)
    else:
        assert a == (pytest.approx(b, abs=tolerance) if isinstance(b, float) else b)


@settings(max_examples=10, deadline=None)
@given(
    yaw_rad=st.floats(-3.1, 3.1), shift=st.tuples(st.floats(-2000, 2000), st.floats(-2000, 2000), st.floats(-50, 50))
)
def test_turning_and_shifting_the_world_changes_nothing(yaw_rad: float, shift: tuple[float, float, float]) -> None:
    tables = annotation_rows(4), frame_rows(4), camera_rows(4)
    moved = (placed(rows, SE3.from_yaw(yaw_rad, shift)) for rows in tables)
    assert_same(tracks_of(*moved), tracks_of(*tables))


def test_a_mirrored_world_swaps_left_and_right() -> None:
    tables = annotation_rows(6), frame_rows(6), camera_rows(6)
    expected = tracks_of(*tables)
    for row in expected:
        for key in ("y_m", "vy_mps", "yaw_rad", "yaw_rate_radps"):
            row[key] = -row[key]
        for view in row["cameras"]:
            view["u0_px"], view["u1_px"] = 1600 - view["u1_px"], 1600 - view["u0_px"]
    assert_same(tracks_of(*(mirrored(rows) for rows in tables)), expected)


def changed(rows: Rows, index: int, **changes: Any) -> Rows:
    return [{**row, **changes} if i == index else row for i, row in enumerate(rows)]


ZERO_POSE = dict.fromkeys(("qw", "qx", "qy", "qz", "tx_m", "ty_m", "tz_m"), 0.0)


@pytest.mark.parametrize(
    ("annotations", "frames", "sensors", "kind", "message"),
    [
        (
            annotation_rows(2),
            changed(frame_rows(2), 1, global_SE3_ego=ZERO_POSE),
            [],
            CalibrationError,
            "log log-1, frame 1: the ego's pose is unusable",
        ),
        (
            annotation_rows(2),
            frame_rows(2),
            changed(camera_rows(2), 1, global_SE3_ego=ZERO_POSE),
            CalibrationError,
            "log log-1, frame 1, camera CAM_FRONT: the ego's pose at capture is unusable",
        ),
        (
            annotation_rows(2),
            frame_rows(2),
            changed(camera_rows(2), 1, global_SE3_ego=None),
            CalibrationError,
            "log log-1, frame 1, camera CAM_FRONT: the ego's pose at capture is missing",
        ),
        ([], frame_rows(2), [], LogFormatError, "no annotated boxes"),
        (
            annotation_rows(2)[:1] * 2,
            frame_rows(2),
            [],
            LogFormatError,
            "log log-1, frame 0: track ahead is labelled twice",
        ),
        (
            annotation_rows(2),
            frame_rows(1),
            [],
            LogFormatError,
            "frame 1: track ahead is labelled, but the log has no such frame",
        ),
        (
            changed(annotation_rows(2), 0, length_m=0.0),
            frame_rows(2),
            [],
            CalibrationError,
            "frame 0: track ahead has a box",
        ),
        (
            changed(annotation_rows(2), 1, width_m=float("nan")),
            frame_rows(2),
            [],
            CalibrationError,
            "frame 1: track ahead has",
        ),
        (
            changed(annotation_rows(2), 0, height_m=None),
            frame_rows(2),
            [],
            CalibrationError,
            "frame 0: track ahead has a box",
        ),
        (
            changed(annotation_rows(2), 0, ego_SE3_box=ZERO_POSE),
            frame_rows(2),
            [],
            CalibrationError,
            "track ahead has a box",
        ),
        (
            changed(annotation_rows(2), 0, ego_SE3_box=None),
            frame_rows(2),
            [],
            CalibrationError,
            "track ahead has a box",
        ),
        (changed(annotation_rows(2), 1, timestamp_ns=START_NS), frame_rows(2), [], LogFormatError, "same time"),
        (
            annotation_rows(2),
            frame_rows(2),
            changed(camera_rows(2), 0, distortion=[0.1]),
            CalibrationError,
            "CAM_FRONT",
        ),
        (
            annotation_rows(2),
            frame_rows(2),
            changed(camera_rows(2), 0, width=None),
            CalibrationError,
            "CAM_FRONT: no width",
        ),
    ],
)
def test_broken_logs_are_refused_by_name(
    annotations: Rows, frames: Rows, sensors: Rows, kind: type[DriveVqaError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        tracks_of(annotations, frames, sensors)


def test_store_gets_a_track_table_and_a_manifest(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store")
    summary = fuse(store, workers=1)
    assert (summary.done, summary.skipped, summary.exit_status) == (("log-1",), (), 0)
    table = store.read("tracks", "log-1")
    assert table.schema.equals(TABLES["tracks"])
    assert table.num_rows == 4 * len(MOVERS)
    manifest = store.manifest()
    assert manifest["steps"]["fuse"]["source"] == "annotations"
    assert manifest["tables"]["tracks"]["log-1"]["rows"] == table.num_rows
    assert not (store.root / "errors-fuse.jsonl").exists()


def test_only_what_changed_is_done_again(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store", ("log-1", "log-2"))
    fuse(store, workers=1)
    assert fuse(store, workers=1).skipped == ("log-1", "log-2")
    rows = [{**row, "log_id": "log-2"} for row in annotation_rows(3)]
    store.write("annotations", "log-2", table_from_rows("annotations", rows), "changed")
    again = fuse(store, workers=1)
    assert (again.done, again.skipped) == (("log-2",), ("log-1",))


def test_any_number_of_workers_gives_the_same_bytes(tmp_path: Path) -> None:
    logs = ("log-1", "log-2", "log-3")
    one, two = make_store(tmp_path / "one", logs), make_store(tmp_path / "two", logs)
    fuse(one, workers=1)
    assert fuse(two, workers=2).done == logs
    for log_id in logs:
        assert one.path("tracks", log_id).read_bytes() == two.path("tracks", log_id).read_bytes()
    assert (one.root / "manifest.json").read_bytes() == (two.root / "manifest.json").read_bytes()


def test_a_log_without_annotations_fails_alone(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store", ("log-1", "log-2"))
    store.path("annotations", "log-2").unlink()
    summary = fuse(store, workers=1)
    assert (summary.done, summary.exit_status) == (("log-1",), 1)
    record = json.loads((store.root / "errors-fuse.jsonl").read_text())
    assert (record["log_id"], record["error"]) == ("log-2", "StoreError")
    assert "log-2" in record["message"]
    assert "has no table 'annotations'" in record["message"]
    store.write("annotations", "log-2", table_from_rows("annotations", []), "empty")
    assert "no annotated boxes" in fuse(store, workers=1).failures[0].message


def test_detections_that_would_not_be_used_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--detections goes with --from detections"):
        fuse(make_store(tmp_path / "store"), detections=tmp_path)


def test_jobs_can_be_sent_to_workers(tmp_path: Path) -> None:
    job = FuseJob(Store(tmp_path), "log-1", FuseConfig())
    assert pickle.loads(pickle.dumps(job)) == job


def test_frames_without_labels_have_no_rows() -> None:
    labels = [row for row in annotation_rows(4) if row["frame"] != 2]
    assert {row["frame"] for row in tracks_of(labels, frame_rows(4), camera_rows(4))} == {0, 1, 3}


def test_tables_without_rows_keep_their_columns() -> None:
    empty = [table_from_rows(name, rows) for name, rows in (("frames", frame_rows(1)), ("sensor_data", camera_rows(1)))]
    ego = table_from_rows("annotations", [box_row("EGO", 0, ego_pose(0))])
    result = tracks_from_annotations(ego, *empty)
    assert isinstance(result, pa.Table)
    assert result.schema.equals(TABLES["tracks"])
