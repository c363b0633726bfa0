"""A replayed log is a nuScenes data set whose boxes are the log's own, and whose pictures show what is in them."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nuscenes import NuScenes
from nuscenes.utils.data_classes import Box, LidarPointCloud
from nuscenes.utils.geometry_utils import points_in_box, view_points
from PIL import Image
from pyquaternion import Quaternion

from drive_vqa.errors import CalibrationError, ConfigError, LogFormatError
from sensors.driving_log import DrivingLog
from sensors.readers.nuscenes import list_logs
from sensors.readers.nuscenes import read_log as read_nuscenes
from sensors.synth.calibration import read_rig
from sensors.synth.replay import keyframe_instants, replay
from sensors.synth.replay_land import build_land
from sensors.synth.replay_scene import read_drive
from sensors.synth.replay_world import KERB_M
from sensors.synth.scenery import draw_scenery
from sensors.synth.terrain import fit_terrain
from tests.sensors.replay_logs import EAST_M, FRAMES, NORTH_M, OBJECTS, handle, make_log, name_of, read_log, rows

LOGS = ("bend", "bare-level", "single")
SCRIPT = """
import sys
from pathlib import Path
from sensors.synth.calibration import read_rig
from sensors.synth.replay import replay
from tests.sensors.replay_logs import handle, read_log
if __name__ == "__main__":
    out, workers, calibration = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    replay(out, [handle(name) for name in sys.argv[4:]], read_log=read_log, calibration=calibration, seed=3, workers=workers,
           width_px=160, azimuths=180, ground_truth_images=True)
"""


def calibration() -> dict[str, Any]:
    """Two cameras whose principal points are off the middle, one of them upright, and a lidar that leans a little."""
    forward = np.array([[0.0, 0.0, 1.0, 1.7], [-1.0, 0.0, 0.0, 0.1], [0.0, -1.0, 0.0, 1.5], [0.0, 0.0, 0.0, 1.0]])
    back = np.array([[0.0, 0.0, -1.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 1.6], [0.0, 0.0, 0.0, 1.0]])
    lean = np.array([[0.0, 1.0, 0.0, 0.9], [-1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.8], [0.0, 0.0, 0.0, 1.0]])
    front = {"name": "CAM_FRONT", "width": 1600, "height": 900, "timestamp_s": 9.964, "ego_SE3_cam": forward.tolist()}
    rear = {"name": "CAM_BACK", "width": 640, "height": 800, "timestamp_s": 9.99, "ego_SE3_cam": back.tolist()}
    front["intrinsics"] = [[1266.0, 0.0, 850.0], [0.0, 1250.0, 470.0], [0.0, 0.0, 1.0]]
    rear["intrinsics"] = [[500.0, 0.0, 300.0], [0.0, 500.0, 420.0], [0.0, 0.0, 1.0]]
    return {
        "timestamp_s": 10.0,
        "lidar": {"name": "LIDAR_TOP", "ego_SE3_lidar": lean.tolist()},
        "cameras": [front, rear],
    }


def run(out: Path, workers: int) -> Path:
    """In a process of its own, since type checks of every array would take most of the time."""
    file = out.parent / "calibration.json"
    file.write_text(json.dumps(calibration()))
    command = [sys.executable, "-c", SCRIPT, str(out), str(workers), str(file), *LOGS]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[2], timeout=240)
    return out


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("replay") / "set", workers=1)


@pytest.fixture(scope="module")
def nusc(root: Path) -> NuScenes:
    return NuScenes("v1.0-mini", dataroot=str(root), verbose=False)


def global_box(name: str, time_s: float) -> Box:
    """Where an object is by the law that the test's log was written from."""
    (row,) = [row for row in OBJECTS if row[0] == name]
    _, _, _, x, y, yaw, speed, (length, width, height), low, _ = row
    at = [EAST_M + x + speed * time_s * np.cos(yaw), NORTH_M + y + speed * time_s * np.sin(yaw)]
    return Box([*at, 0.4 + low + 0.5 * height], [width, length, height], Quaternion(axis=[0, 0, 1], angle=yaw))


def track_of(instance_token: str) -> str:
    """The name in `OBJECTS`."""
    own = instance_token.split("/")[-1]
    return next(row[0] for row in OBJECTS if own == row[0] or own[:28] == row[0][:28])


def scene_time_s(nusc: NuScenes, timestamp_us: int) -> float:
    return (timestamp_us - 1_532_402_927_000_000) * 1e-6


def test_the_devkit_opens_it_and_names_are_the_sources(nusc: NuScenes) -> None:
    assert [scene["name"] for scene in nusc.scene] == list(LOGS)
    assert [scene["nbr_samples"] for scene in nusc.scene] == [3, 3, 1]
    assert "Replayed" in nusc.scene[0]["description"]
    assert "a bend" in nusc.scene[0]["description"]
    samples = [sample["token"] for sample in nusc.sample if sample["scene_token"] == nusc.scene[0]["token"]]
    assert samples == [name_of(f"{frame:032x}"[::-1], "bend") for frame in (0, 5, 10)]
    channels = set(nusc.sample[0]["data"])
    assert channels == {"CAM_FRONT", "CAM_BACK", "LIDAR_TOP", *(name for name in channels if name.startswith("RADAR"))}


@pytest.mark.parametrize("scene", [0, 1])
def test_every_box_is_the_sources_own(nusc: NuScenes, scene: int) -> None:
    boxes, log_id = 0, LOGS[scene]
    for sample in nusc.sample:
        if sample["scene_token"] != nusc.scene[scene]["token"]:
            continue
        time_s = scene_time_s(nusc, sample["timestamp"])
        frame = round(10 * time_s)
        found = {nusc.get("sample_annotation", token)["instance_token"]: token for token in sample["anns"]}
        names = [row[0] for row in OBJECTS if frame in row[-1]]
        assert set(found) == {f"{log_id}/{name}" if " " in name else name_of(name, log_id) for name in names}
        for instance, token in found.items():
            name = track_of(instance)
            box, true = nusc.get_box(token), global_box(name, 0.1 * frame)
            np.testing.assert_allclose(box.center, true.center, atol=1e-6)
            np.testing.assert_allclose(box.wlh, true.wlh, atol=1e-9)
            np.testing.assert_allclose(box.rotation_matrix, true.rotation_matrix, atol=1e-6)
            boxes += 1
    assert boxes == 22


def test_categories_are_the_sources_where_nuscenes_has_them(nusc: NuScenes) -> None:
    names = {track_of(row["token"]): nusc.get("category", row["category_token"])["name"] for row in nusc.instance}
    assert len(names) == len(OBJECTS)
    assert names["d" * 32] == "human.pedestrian.child"
    assert names["walker 5"] == "human.pedestrian.adult"
    assert names["e" * 32] == "movable_object.debris"
    assert names["b" * 32] == "vehicle.car"


def test_our_reader_reads_the_frames_and_tracks_of_the_source(root: Path) -> None:
    (named,) = [log for log in list_logs(root) if log.log_id == "bend"]
    copy, source = read_nuscenes(named), make_log("bend")
    assert copy.logs["recording"].to_pylist() == ["drive of bend"]
    ours = {(row["frame"] * 5, row["track_id"].split("/")[-1]): row for row in copy.annotations.to_pylist()}
    theirs = {(row["frame"], row["track_id"]): row for row in source.annotations.to_pylist() if row["frame"] % 5 == 0}
    assert set(ours) == set(theirs)
    for key, row in theirs.items():
        assert ours[key]["category"] == row["category"]
        np.testing.assert_allclose(
            list(ours[key]["ego_SE3_box"].values()), list(row["ego_SE3_box"].values()), atol=1e-6
        )
    poses = copy.frames["global_SE3_ego"].to_pylist(), source.frames["global_SE3_ego"].to_pylist()[::5]
    for one, other in zip(*poses, strict=True):
        np.testing.assert_allclose(list(one.values()), list(other.values()), atol=1e-9)


def test_pixels_of_an_actor_lie_in_its_projected_box(root: Path, nusc: NuScenes) -> None:
    inside = total = 0
    for data in nusc.sample_data:
        if data["fileformat"] != "jpg" or "single" in data["filename"]:
            continue
        log_id = Path(data["filename"]).name.split("__")[0]
        names = sorted((name_of(row[0], log_id), row[0]) for row in OBJECTS)
        mask = np.array(
            Image.open(root / "synth" / "instance" / data["channel"] / f"{Path(data['filename']).stem}.png")
        )
        assert mask.shape == (data["height"], data["width"])
        for value in np.unique(mask[mask > 0]).tolist():
            uv = projected(nusc, data, global_box(names[value - 1][1], scene_time_s(nusc, data["timestamp"])))
            if uv is None:
                continue
            v, u = np.nonzero(mask == value)
            low, high = uv.min(axis=1) - 0.5, uv.max(axis=1) + 0.5
            inside += int(
                ((u + 0.5 >= low[0]) & (u + 0.5 <= high[0]) & (v + 0.5 >= low[1]) & (v + 0.5 <= high[1])).sum()
            )
            total += len(u)
    assert total > 1500
    assert inside >= 0.99 * total


def projected(nusc: NuScenes, data: dict[str, Any], box: Box) -> np.ndarray | None:
    """Corners of a global box in an image, by the devkit; None where a corner is behind the camera."""
    calibration = nusc.get("calibrated_sensor", data["calibrated_sensor_token"])
    for row in (nusc.get("ego_pose", data["ego_pose_token"]), calibration):
        box.translate(-np.array(row["translation"]))
        box.rotate(Quaternion(row["rotation"]).inverse)
    corners = box.corners()
    if corners[2].min() < 0.1:
        return None
    return view_points(corners, np.array(calibration["camera_intrinsic"]), normalize=True)[:2]


def test_echoes_of_an_actor_lie_in_its_box(nusc: NuScenes) -> None:
    near, counted = 0, 0
    for sample in nusc.sample:
        path, boxes, _ = nusc.get_sample_data(sample["data"]["LIDAR_TOP"])
        points = LidarPointCloud.from_file(path).points[:3]
        for box in boxes:
            counted += nusc.get("sample_annotation", box.token)["num_lidar_pts"]
            assert points_in_box(box, points).sum() == nusc.get("sample_annotation", box.token)["num_lidar_pts"]
            above = np.add(box.center, [0, 0, 0.15]), box.wlh - [0, 0, 0.3]
            around = points_in_box(Box(above[0], above[1] + [0.5, 0.5, 0.0], box.orientation), points).sum()
            within = points_in_box(Box(above[0], above[1] + [0.1, 0.1, 0.0], box.orientation), points).sum()
            near += int(around)
            assert within >= 0.9 * around
    assert near > 300
    assert counted > 300


def test_the_boxes_of_the_truth_table_are_there(root: Path, nusc: NuScenes) -> None:
    boxes = json.loads((root / "v1.0-mini" / "synth_object_ann.json").read_text())
    assert len(boxes) > 8
    size = {data["token"]: (data["width"], data["height"]) for data in nusc.sample_data}
    for row in boxes:
        x0, y0, x1, y1 = row["bbox"]
        width, height = size[row["sample_data_token"]]
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height


def test_images_have_the_calibrations_view(nusc: NuScenes) -> None:
    for data in nusc.sample_data:
        if data["channel"] == "CAM_BACK":
            calibration = nusc.get("calibrated_sensor", data["calibrated_sensor_token"])
            assert (data["width"], data["height"]) == (160, 200)
            np.testing.assert_allclose(calibration["camera_intrinsic"][0], [125.0, 0, 75.0])
            np.testing.assert_allclose(calibration["camera_intrinsic"][1], [0, 125.0, 105.0])


def test_sensors_have_the_egos_pose_at_their_own_time(nusc: NuScenes) -> None:
    for data in nusc.sample_data:
        if "bend" not in data["filename"]:
            continue
        time_s = scene_time_s(nusc, data["timestamp"])
        ego = nusc.get("ego_pose", data["ego_pose_token"])
        np.testing.assert_allclose(ego["translation"][0], EAST_M + 7.0 * time_s, atol=1e-4)
        turn = Quaternion(ego["rotation"]).rotation_matrix
        np.testing.assert_allclose(np.arctan2(turn[1, 0], turn[0, 0]), 0.6 * time_s / 7.0, atol=1e-4)
        assert -turn[2, 0] == pytest.approx(np.sin(0.02), abs=1e-4)


def test_the_ego_drives_on_the_mask(nusc: NuScenes) -> None:
    mask = nusc.map[0]["mask"]
    for sample in nusc.sample[:3]:
        x, y, _ = nusc.get("ego_pose", sample["data"]["LIDAR_TOP"])["translation"]
        assert mask.is_on_mask(x, y)[0]
        assert not mask.is_on_mask(x, y + 40.0)[0]


def test_two_workers_write_the_same_bytes(root: Path, tmp_path: Path) -> None:
    assert digest(run(tmp_path / "two", workers=2)) == digest(root)


def digest(root: Path) -> dict[str, str]:
    """Of all files but the cache that our reader leaves."""
    files = (path for path in sorted(root.rglob("*")) if path.is_file() and ".drive-vqa-cache" not in path.parts)
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_wrong_settings_are_refused(root: Path, tmp_path: Path) -> None:
    for logs, setting, message in (
        ([], {}, "nothing to replay"),
        ([handle("a"), handle("a")], {}, "named 'a'"),
        ([handle("../a")], {}, "file name"),
        ([handle("a")], {"width_px": 3}, "width_px"),
        ([handle("a")], {"weather": "hail"}, "weather"),
    ):
        with pytest.raises(ConfigError, match=message):
            replay(tmp_path / "new", logs, read_log=read_log, **setting)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="other settings"):
        replay(root, [handle("bend")], read_log=read_log)


def broken(change: Any) -> DrivingLog:
    """The log with something changed in its rows."""
    frames, annotations, map_elements = rows()
    change(frames, annotations, map_elements)
    row = {"log_id": "x", "source_format": "test", "location": None, "description": None}
    return DrivingLog.from_rows(row, frames, [], annotations, map_elements)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f, a, m: f[3]["global_SE3_ego"].update(tx_m=float("nan")), "frame 3: its ego pose"),
        (lambda f, a, m: f[3].update(global_SE3_ego=None), "frame 3: its ego pose"),
        (lambda f, a, m: f[3]["global_SE3_ego"].update(tx_m=1e7), "20 km"),
        (lambda f, a, m: f[2].update(timestamp_ns=f[1]["timestamp_ns"]), "not later"),
        (lambda f, a, m: f.clear(), "no frames"),
        (lambda f, a, m: a[0]["ego_SE3_box"].update(qw=0.0, qx=0.0, qy=0.0, qz=0.0), "frame 0, track 'aaa"),
        (lambda f, a, m: a[1]["ego_SE3_box"].update(tz_m=float("inf")), "frame 0, track 'bbb"),
        (lambda f, a, m: a[1]["ego_SE3_box"].update(tx_m=1e5), "within 1 km"),
        (lambda f, a, m: a[0].update(length_m=0.0), "0.01 to 100 m"),
        (lambda f, a, m: a[0].update(height_m=1e9), "0.01 to 100 m"),
        (lambda f, a, m: a[0].update(width_m=float("nan")), "0.01 to 100 m"),
        (lambda f, a, m: a.append(a[0]), "only one in that frame"),
    ],
)
def test_what_cannot_be_is_refused_by_name(change: Any, message: str) -> None:
    with pytest.raises(LogFormatError, match=message):
        read_drive(broken(change), "x", 0)


def test_a_crowd_and_a_broken_map_are_taken() -> None:
    def crowd(frames: list[Any], annotations: list[Any], map_elements: list[Any]) -> None:
        del frames[1:]
        place = np.random.default_rng(1).uniform(-80, 80, (1_500, 2))
        box = annotations[0]
        annotations[:] = [
            {**box, "track_id": f"{k}", "ego_SE3_box": {**box["ego_SE3_box"], "tx_m": x, "ty_m": y}}
            for k, (x, y) in enumerate(place.tolist())
        ]
        map_elements[0].update(x_m=[0.0, float("nan"), 1.0], y_m=[0.0, 1.0, 2.0])
        map_elements[1].update(x_m=[1e30] * 4)
        map_elements[2].update(x_m=[EAST_M], y_m=[NORTH_M])
        map_elements[5].update(
            x_m=[EAST_M, EAST_M + 9, EAST_M, EAST_M + 9], y_m=[NORTH_M, NORTH_M + 9, NORTH_M + 9, NORTH_M]
        )

    log = broken(crowd)
    drive = read_drive(log, "x", 0)
    assert len(drive.actors) == 1_500
    assert len(drive.times_s) == 2
    land = build_land(drive, log.map_elements)
    assert land.road.area > 100.0
    assert land.road.intersection(land.sidewalk).area < 0.1


def test_an_object_is_there_around_its_frames_and_moves_straight_on() -> None:
    drive = read_drive(make_log("bend"), "bend", 0)
    by_token = {actor.token: actor for actor in drive.actors}
    truck = by_token[name_of("c" * 32, "bend")].trajectory
    assert truck.present is not None
    assert truck.present.tolist() == [False] * 2 + [True] * (FRAMES - 2)
    np.testing.assert_allclose(truck.xyz_m[2] - truck.xyz_m[1], truck.xyz_m[3] - truck.xyz_m[2], atol=1e-9)
    assert truck.speed_mps[4] == pytest.approx(4.0, abs=1e-6)
    bicycle = by_token[name_of("0" * 32, "bend")]
    assert bicycle.model == "parked_bicycle"
    assert bicycle.trajectory.present is not None
    assert bicycle.trajectory.present.sum() == 4
    assert by_token["bend/walker 5"].trajectory.tilt_rad is None or drive.ego.tilt_rad is not None


def test_nothing_stands_on_a_path_or_before_a_box() -> None:
    import shapely

    log = make_log("bend")
    drive = read_drive(log, "bend", 0)
    land = build_land(drive, log.map_elements)
    scenery = draw_scenery(drive, land, np.random.default_rng(0))
    assert len(scenery.buildings) > 3
    assert len(scenery.props) > 5
    houses = shapely.union_all([shapely.Polygon(house.outline_xy_m) for house in scenery.buildings])
    posts = shapely.multipoints([prop.xy_m for prop in scenery.props])
    standing = shapely.union(houses, posts)
    assert standing.distance(shapely.union(land.road, land.paths)) >= 5.9
    for actor in drive.actors:
        track = actor.trajectory
        for at in (0, 5, 10):
            if track.present is not None and track.present[at]:
                sight = shapely.LineString([drive.ego.xyz_m[at, :2], track.xyz_m[at, :2]])
                assert not sight.intersects(standing)


def test_the_ground_meets_what_stands_on_it() -> None:
    rng = np.random.default_rng(5)
    xy = rng.uniform(40, 160, (40, 2))
    xyz = np.column_stack([xy, 0.02 * xy[:, 0] + 0.3 * np.sin(xy[:, 1] / 15.0)])
    ground = fit_terrain(xyz, np.ones(40), np.zeros(2), 2.0, (100, 100))
    error = ground.at(xyz[:, :2]) - xyz[:, 2]
    assert np.abs(error).max() < 0.15
    assert np.abs(error).mean() < 0.05
    assert ground.at(np.array([[-50.0, 900.0]]))[0] == pytest.approx(ground.level_m)
    assert KERB_M > 0


@pytest.mark.parametrize(
    ("step_s", "count", "expected"),
    [
        (0.1, 21, [0, 5, 10, 15, 20]),
        (0.5, 4, [0, 1, 2, 3]),
        (0.49, 4, [0, 1, 2, 3]),
        (0.04, 30, [0, 12, 25]),
        (1.0, 1, [0]),
    ],
)
def test_keyframes_are_nearest_to_half_seconds(step_s: float, count: int, expected: list[int]) -> None:
    assert keyframe_instants(step_s * np.arange(count)) == expected


def test_a_gap_in_the_log_has_no_keyframes() -> None:
    times = np.concatenate([0.1 * np.arange(11), 3.0 + 0.1 * np.arange(6)])
    assert [round(float(times[at]), 1) for at in keyframe_instants(times)] == [0.0, 0.5, 1.0, 3.0, 3.5]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("cameras"), "no list 'cameras'"),
        (lambda c: c["cameras"][0].pop("ego_SE3_cam"), "camera CAM_FRONT"),
        (lambda c: c["cameras"][0]["intrinsics"][0].__setitem__(0, -5.0), "camera CAM_FRONT"),
        (lambda c: c["cameras"][0]["intrinsics"][0].__setitem__(1, 3.0), "camera CAM_FRONT"),
        (lambda c: c["cameras"][0]["intrinsics"][0].__setitem__(2, float("nan")), "camera CAM_FRONT"),
        (lambda c: c["cameras"][0]["ego_SE3_cam"][0].__setitem__(2, 2.0), "not a rotation"),
        (lambda c: c["cameras"][0].update(width=10**9), "camera CAM_FRONT"),
        (lambda c: c["cameras"][0].update(height="x"), "camera CAM_FRONT"),
        (lambda c: c["cameras"][0].update(timestamp_s=3.0), "after the lidar"),
        (lambda c: c["cameras"][0].update(name="../x"), "letters, digits"),
        (lambda c: c["cameras"][1].update(name="CAM_FRONT"), "one name"),
        (lambda c: c["lidar"].update(ego_SE3_lidar=[[1]]), "lidar"),
    ],
)
def test_a_broken_calibration_is_refused_by_name(tmp_path: Path, change: Any, message: str) -> None:
    content = calibration()
    change(content)
    (tmp_path / "c.json").write_text(json.dumps(content))
    with pytest.raises(CalibrationError, match=message):
        read_rig(tmp_path / "c.json")


def test_a_file_that_is_no_calibration_is_refused(tmp_path: Path) -> None:
    for text in ("", "[" * 100_000, "{}", "[]", '{"cameras": [3]}'):
        (tmp_path / "c.json").write_text(text)
        with pytest.raises(CalibrationError, match=r"c\.json"):
            read_rig(tmp_path / "c.json")
    with pytest.raises(CalibrationError, match="cannot be read"):
        read_rig(tmp_path / "absent.json")


def test_rays_of_a_camera_go_through_the_points_that_it_projects_to(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text(json.dumps(calibration()))
    for camera in read_rig(tmp_path / "c.json", width_px=200).cameras:
        uv = camera.pixel_centres()[::97]
        ends = camera.directions(uv).T.astype(np.float64) * np.linspace(1.0, 80.0, len(uv))[:, None]
        np.testing.assert_allclose(camera.project(ends), uv, atol=1e-3)
        normal = view_points(ends.T, camera.intrinsics, normalize=True)[:2].T
        np.testing.assert_allclose(normal, uv, atol=1e-3)
