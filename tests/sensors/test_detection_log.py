"""A whole log: the rows of every sensor, in its own frame and at its own time."""

import json

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import feather

from drive_vqa.errors import ConfigError, LogFormatError
from drive_vqa.geometry import SE3
from drive_vqa.schema import TABLES, pose_to_struct, table_from_rows
from drive_vqa.store import Store
from sensors.detection.detect import DetectionConfig, detect_log, lidar_origin
from sensors.detection.sweeps import load_radar, load_sweep
from sensors.synth.radar import POINT, pcd_bytes
from tests.sensors.swept_boxes import SENSOR_M, sweep

EGO_SE3_LIDAR = SE3.from_yaw(-np.pi / 2, SENSOR_M)
EGO_SE3_RADAR = SE3.from_yaw(np.pi / 2, np.array([2.0, 0.8, 0.5]))
CAR = (14.0, 5.0, 0.15, 4.5, 1.85, 1.45, 0.4)


def lidar_file(path, ego_m):
    points = np.zeros((len(ego_m), 5), dtype="<f4")
    points[:, :3] = EGO_SE3_LIDAR.inverse() @ ego_m
    points.tofile(path)


def echo(x, y, vx, vy, **more):
    point = np.zeros(1, dtype=POINT)
    for name, value in {"x": x, "y": y, "vx_comp": vx, "vy_comp": vy, "ambig_state": 3, "rcs": 5.0, **more}.items():
        point[name] = value
    return point


@pytest.fixture
def store(tmp_path):
    """One keyframe: a sweep 20 ms after a radar capture, an image, and a second frame without files."""
    source = tmp_path / "source"
    source.mkdir()
    lidar_file(source / "l.bin", sweep([CAR]))
    echoes = np.concatenate(
        [echo(10, 0, -4, 0), echo(10.5, 0.5, -4, -0.2), echo(20, 5, 0, 0), echo(15, 0, 9, 0, invalid_state=1)]
    )
    (source / "r.pcd").write_bytes(pcd_bytes(echoes))
    pose = pose_to_struct(SE3.from_yaw(1.0, np.array([100.0, 50.0, 0.0])))
    shared = {"log_id": "a", "global_SE3_ego": pose, "distortion": []}
    lidar = {"sensor": "LIDAR_TOP", "modality": "lidar", "ego_SE3_sensor": pose_to_struct(EGO_SE3_LIDAR)}
    radar = {"sensor": "RADAR", "modality": "radar", "ego_SE3_sensor": pose_to_struct(EGO_SE3_RADAR)}
    camera = {"sensor": "CAM", "modality": "camera", "width": 800, "height": 450}
    camera |= {"ego_SE3_sensor": pose_to_struct(SE3.identity())}
    rows = [
        shared | radar | {"frame": 0, "timestamp_ns": 1_000_000_000, "path": "r.pcd"},
        shared | lidar | {"frame": 0, "timestamp_ns": 1_020_000_000, "path": "l.bin"},
        shared | camera | {"frame": 0, "timestamp_ns": 1_010_000_000, "path": "i.jpg"},
        shared | lidar | {"frame": 1, "timestamp_ns": 1_520_000_000, "path": None},
    ]
    made = Store.create(tmp_path / "store")
    made.write("sensor_data", "a", table_from_rows("sensor_data", rows), "x")
    log = {"log_id": "a", "source_format": "nuscenes", "source_root": "../source"}
    made.write("logs", "a", table_from_rows("logs", [log]), "x")
    return made


def camera_file(tmp_path, **change):
    box = {"log_id": "a", "frame": 0, "camera": "CAM", "u0_px": 1.0, "v0_px": 2.0, "u1_px": 3.0, "v1_px": 4.0}
    path = tmp_path / "boxes.jsonl"
    path.write_text(json.dumps(box | {"category": "kart", "score": 2.5} | change))
    return str(path)


def test_each_row_is_in_the_frame_and_at_the_time_of_its_capture(store, tmp_path):
    table = detect_log(store, "a", DetectionConfig(camera_boxes=camera_file(tmp_path)))
    assert table.schema.equals(TABLES["detections"])
    rows = table.to_pylist()
    assert [row["kind"] for row in rows] == ["box_2d", "box_3d", "radar", "radar"]
    image, box, oncoming, still = rows
    assert (image["timestamp_ns"], box["timestamp_ns"], still["timestamp_ns"]) == (
        1_010_000_000,
        1_020_000_000,
        1_000_000_000,
    )
    assert (image["category"], image["source_category"], image["score"], image["u1_px"]) == (None, "kart", 2.5, 3.0)
    assert (box["sensor"], box["category"]) == ("LIDAR_TOP", "car")
    assert np.hypot(box["x_m"] - 14.0, box["y_m"] - 5.0) < 0.3  # the ego frame, not the lidar's
    assert box["lidar_points"] > 100
    assert (box["vx_mps"], box["range_m"], image["x_m"], still["category"]) == (None, None, None, None)
    assert (oncoming["source_category"], still["source_category"]) == ("moving", "standing")
    assert oncoming["range_m"] == pytest.approx(10.1, abs=0.2)  # the radar's frame, not the ego's
    assert oncoming["azimuth_rad"] == pytest.approx(0.024, abs=0.01)
    assert oncoming["range_rate_mps"] == pytest.approx(-4.0, abs=0.05)


def test_only_the_asked_modalities(store):
    kinds = {one: set(detect_log(store, "a", DetectionConfig(modalities=(one,)))["kind"].to_pylist()) for one in
             ("lidar", "radar", "camera")}  # fmt: skip
    assert kinds == {"lidar": {"box_3d"}, "radar": {"radar"}, "camera": set()}


def test_twice_the_same(store):
    assert detect_log(store, "a", DetectionConfig()).equals(detect_log(store, "a", DetectionConfig()))


def test_a_camera_box_without_an_image_is_named(store, tmp_path):
    with pytest.raises(LogFormatError, match="frame 5"):
        detect_log(store, "a", DetectionConfig(camera_boxes=camera_file(tmp_path, frame=5)))


@pytest.mark.parametrize("damage", [b"", b"123", b"# .PCD v0.7\nDATA ascii\n", b"\x00" * 21])
def test_damaged_points_are_named(store, damage):
    for name, modality in (("l.bin", "lidar"), ("r.pcd", "radar")):
        whole = (store.source_root("a") / name).read_bytes()
        (store.source_root("a") / name).write_bytes(damage if name == "r.pcd" else damage + b"x" * 3)
        with pytest.raises(LogFormatError, match=name):
            detect_log(store, "a", DetectionConfig(modalities=(modality,)))
        (store.source_root("a") / name).write_bytes(whole)


@pytest.mark.parametrize(
    "wrong", [{"modalities": ()}, {"modalities": ("sonar",)}, {"camera_boxes": "a", "camera_model": "b"}]
)
def test_settings_are_checked(wrong):
    with pytest.raises(ConfigError):
        DetectionConfig(**wrong)


def test_each_format_gives_points_in_the_ego_frame(tmp_path):
    ego_m = np.array([[10.0, 2.0, 0.5], [-3.0, 1.0, 0.0]])
    lidar_file(tmp_path / "n.bin", ego_m)
    kitti = np.column_stack([EGO_SE3_LIDAR.inverse() @ ego_m, [0.1, 0.2]]).astype("<f4")
    kitti.tofile(tmp_path / "k.bin")
    feather.write_feather(pa.table(dict(zip("xyz", ego_m.T, strict=True))), tmp_path / "a.feather")
    for name, source_format in (("n.bin", "nuscenes"), ("k.bin", "kitti"), ("a.feather", "av2")):
        found_m = load_sweep(source_format, tmp_path / name, EGO_SE3_LIDAR, None)
        np.testing.assert_allclose(found_m, ego_m, atol=1e-5)


def test_world_points_need_a_pose(tmp_path, monkeypatch):
    global_SE3_ego = SE3.from_yaw(0.5, np.array([7.0, 8.0, 9.0]))
    monkeypatch.setattr(
        "sensors.readers.pandaset.read_sweep", lambda path: global_SE3_ego @ np.array([[1.0, 2.0, 3.0]])
    )
    (tmp_path / "p").touch()
    found_m = load_sweep("pandaset", tmp_path / "p", EGO_SE3_LIDAR, global_SE3_ego)
    np.testing.assert_allclose(found_m, [[1, 2, 3]])
    with pytest.raises(LogFormatError, match="pose"):
        load_sweep("pandaset", tmp_path / "p", EGO_SE3_LIDAR, None)


def test_formats_without_a_loader_and_broken_feather(tmp_path):
    (tmp_path / "x").write_bytes(b"ARROW1 no")
    for call in (
        lambda: load_sweep("scenarionet", tmp_path / "x", SE3.identity(), None),
        lambda: load_sweep("av2", tmp_path / "x", SE3.identity(), None),
        lambda: load_radar("kitti", tmp_path / "x"),
    ):
        with pytest.raises(LogFormatError, match="x"):
            call()


def test_a_sweep_of_several_lidars_is_seen_from_their_middle():
    def row(sensor, x, frame=0, modality="lidar"):
        pose = pose_to_struct(SE3.from_yaw(0.0, np.array([x, 0.0, 1.6])) if x else SE3.identity())
        return {"frame": frame, "sensor": sensor, "modality": modality, "ego_SE3_sensor": pose}

    rows = [row("lidar", 0), row("up", 1.0), row("down", 1.4), row("up", 9.0, frame=1), row("cam", 7.0, 0, "camera")]
    assert lidar_origin(rows[0], rows).tolist() == pytest.approx([1.2, 0.0, 1.6])
    assert lidar_origin(rows[1], rows).tolist() == [1.0, 0.0, 1.6]
    assert lidar_origin(rows[0], rows[:1]).tolist() == [0.0, 0.0, 0.0]
