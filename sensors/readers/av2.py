"""Reader of the Argoverse 2 sensor data set: one log a folder, 10 Hz.

    LOG/city_SE3_egovehicle.feather                     ego poses, about 200 Hz
    LOG/annotations.feather                             boxes in the ego frame at their time stamp; absent in the test split
    LOG/annotations_with_ego.feather                    instead of it in some logs: its track EGO_VEHICLE is left out
    LOG/calibration/{intrinsics,egovehicle_SE3_sensor}.feather
    LOG/sensors/lidar/NS.feather, LOG/sensors/cameras/NAME/NS.jpg
    LOG/map/log_map_archive_*.json

A frame is a time stamp of annotations or of a sweep. The ego frame is the data set's: x forward, y left, z up, origin at the rear
axle (at its height, so the ground is below 0); the city frame is our global frame. A sweep holds the points of both lidars,
already in the ego frame at its time stamp: sensor `lidar`, whose pose is the identity. What the calibration names is a row of
each frame, with a null path where there is no file: the two lidars always, cameras without an image within 50 ms.

Images are undistorted: the publisher says so (user guide, sensor suite; av2-api issue 226) and av2-api projects without k1 to k3,
so `distortion` is empty.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from drive_vqa.errors import LogFormatError
from drive_vqa.store import file_sha256
from sensors.driving_log import DrivingLog, LogHandle, ego_motion, pose_rows, yaws_from_quaternions
from sensors.pose_path import Poses, poses_at
from sensors.readers.av2_map import map_rows
from sensors.readers.feather import read_feather
from sensors.readers.restricted_pickle import AGAIN

FORMAT = "av2"
POSES = "city_SE3_egovehicle.feather"
ANNOTATIONS = ("annotations.feather", "annotations_with_ego.feather")
EGO_CATEGORY = "EGO_VEHICLE"
POSE_COLUMNS = ("qw", "qx", "qy", "qz", "tx_m", "ty_m", "tz_m")
SIZE_COLUMNS = ("length_m", "width_m", "height_m")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,100}")
"""Names of logs and sensors, which are also names of folders."""
MAX_FRAMES = 100_000
IMAGE_WITHIN_NS = 50_000_000
"""An image belongs to a frame that is no further off: half the step between sweeps."""
POSE_WITHIN_NS = 100_000_000
"""Neighbouring poses are no further apart, or there is a hole."""

CATEGORY_OF_LABEL = {
    "ANIMAL": "animal",
    "ARTICULATED_BUS": "bus",
    "BICYCLE": "bicycle",
    "BICYCLIST": "bicycle",
    "BOLLARD": "barrier",
    "BOX_TRUCK": "truck",
    "BUS": "bus",
    "CONSTRUCTION_BARREL": "barrier",
    "CONSTRUCTION_CONE": "traffic_cone",
    "DOG": "animal",
    "LARGE_VEHICLE": "truck",
    "MESSAGE_BOARD_TRAILER": "trailer",
    "MOBILE_PEDESTRIAN_CROSSING_SIGN": "other",
    "MOTORCYCLE": "motorcycle",
    "MOTORCYCLIST": "motorcycle",
    "OFFICIAL_SIGNALER": "pedestrian",
    "PEDESTRIAN": "pedestrian",
    "RAILED_VEHICLE": "other",
    "REGULAR_VEHICLE": "car",
    "SCHOOL_BUS": "bus",
    "SIGN": "other",
    "STOP_SIGN": "other",
    "STROLLER": "other",
    "TRAFFIC_LIGHT_TRAILER": "trailer",
    "TRUCK": "truck",
    "TRUCK_CAB": "truck",
    "VEHICULAR_TRAILER": "trailer",
    "WHEELCHAIR": "pedestrian",
    "WHEELED_DEVICE": "other",
    "WHEELED_RIDER": "pedestrian",
}
"""Our category of each of the thirty labels; others are `other`."""

Columns = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class _EgoPath:
    """The ego's poses over time.

    Attributes:
        times_ns: strictly increasing.
        city_SE3_ego: of each time.
        file: where they come from.
    """

    times_ns: Int[np.ndarray, "n"]
    city_SE3_ego: Poses
    file: Path

    def at(self, times_ns: Int[np.ndarray, "m"]) -> Poses:
        """Interpolated poses; a time in a hole or outside of the drive is refused."""
        covered = self.covers(times_ns)
        if not covered.all():
            raise LogFormatError(f"{self.file} has no pose around {int(times_ns[np.argmin(covered)])} ns: {AGAIN}")
        return poses_at(self.times_ns, self.city_SE3_ego, times_ns)

    def covers(self, times_ns: Int[np.ndarray, "m"]) -> np.ndarray:
        """Which times have a pose before and after them, both near."""
        after = np.searchsorted(self.times_ns, times_ns)
        inside = (times_ns >= self.times_ns[0]) & (times_ns <= self.times_ns[-1])
        after = np.clip(after, 1, len(self.times_ns) - 1)
        return np.asarray(inside & (self.times_ns[after] - self.times_ns[after - 1] <= POSE_WITHIN_NS))


def list_logs(source: Path) -> list[LogHandle]:
    """One handle a log, `av2-NAME`: `source` is a folder of logs or one log.

    Raises:
        LogFormatError: there is no log in it.
    """
    logs = [source] if _is_log(source) else sorted(path.parent for path in source.glob(f"*/{POSES}") if path.is_file())
    if not logs:
        raise LogFormatError(f"{source} has no Argoverse 2 log (a folder with {POSES}): give the folder above them")
    return [LogHandle(f"av2-{_name(path)}", FORMAT, path, _digest(path)) for path in logs]


def read_log(handle: LogHandle) -> DrivingLog:
    """The tables of one log.

    Raises:
        LogFormatError: a file is missing, not readable or holds a wrong value.
    """
    path = _ego_path(handle.root / POSES)
    boxes = _annotations(handle.root)
    sweeps_ns = _stamps(handle.root / "sensors" / "lidar", ".feather")
    frames_ns = np.union1d(np.unique(boxes["timestamp_ns"]), sweeps_ns)
    if not 0 < len(frames_ns) <= MAX_FRAMES:
        raise LogFormatError(f"{handle.root} has {len(frames_ns)} time stamps of boxes or sweeps: {AGAIN}")
    poses = path.at(frames_ns)
    sensor_rows = _sweep_rows(sweeps_ns, frames_ns, poses) + list(_calibrated_rows(handle.root, frames_ns, path))
    annotations = _annotation_rows(boxes, frames_ns, str(handle.root))
    elements = map_rows(maps[0]) if (maps := _maps(handle.root)) else []
    log = {"log_id": handle.log_id, "recording": _name(handle.root), "source_format": FORMAT}
    return DrivingLog.from_rows(
        log | {"location": _city(handle.root), "description": _description(sensor_rows, annotations, elements)},
        _frame_rows(frames_ns, poses, str(path.file)),
        sorted(sensor_rows, key=lambda row: (row["frame"], row["sensor"])),
        annotations,
        elements,
    )


def _description(sensor_rows: list[Any], annotations: list[Any], elements: list[Any]) -> str:
    """What the log lacks."""
    files = {row["modality"] for row in sensor_rows if row["path"]}
    there = {
        "labels": annotations,
        "calibration": {row["sensor"] for row in sensor_rows} - {"lidar"},
        "images": files & {"camera"},
        "lidar sweeps": files & {"lidar"},
        "map": elements,
    }
    lacking = [name for name, content in there.items() if not content]
    return "Argoverse 2" + (f", without {', '.join(lacking)}" if lacking else "")


def read_sweep(path: Path) -> Float[np.ndarray, "n 3"]:
    """Points of one sweep file, both lidars, metres, **ego** frame at the sweep's time stamp.

    Raises:
        LogFormatError: the file cannot be read or has a value that is not finite.
    """
    columns = read_feather(path, dict.fromkeys("xyz", "float"))
    return np.stack([columns[axis] for axis in "xyz"], axis=-1)


def _is_log(path: Path) -> bool:
    return (path / POSES).is_file()


def _name(path: Path) -> str:
    name = path.resolve().name
    if not NAME.fullmatch(name):
        raise LogFormatError(f"{path}: a log's folder is named by letters, digits, _ and -: give back the name it had")
    return name


def _digest(log: Path) -> str:
    """Contents of poses, boxes, calibration and map; of sweeps and images name and size."""
    total = hashlib.sha256()
    small = [log / POSES, *(log / name for name in ANNOTATIONS), *_maps(log), *(log / "calibration").glob("*.feather")]
    for path in sorted(path for path in small if path.is_file()):
        total.update(f"{path.relative_to(log).as_posix()} {file_sha256(path)} ".encode())
    for path in sorted(path for path in (log / "sensors").rglob("*.*") if path.is_file()):
        total.update(f"{path.relative_to(log).as_posix()} {path.stat().st_size} ".encode(errors="replace"))
    return total.hexdigest()


def _maps(log: Path) -> list[Path]:
    return sorted((log / "map").glob("log_map_archive_*.json"))


def _city(log: Path) -> str | None:
    """From the map's file name: ..._LOG____PIT_city_47896.json."""
    match = re.search(r"____([A-Z]{3})_city_", maps[0].name) if (maps := _maps(log)) else None
    return match[1] if match else None


def _ego_path(file: Path) -> _EgoPath:
    columns = read_feather(file, {"timestamp_ns": "int", **dict.fromkeys(POSE_COLUMNS, "float")})
    times_ns = columns["timestamp_ns"]
    if not len(times_ns) or times_ns[0] < 0:
        raise LogFormatError(f"{file} has no poses or a time stamp below 0: {AGAIN}")
    late = np.flatnonzero(times_ns[1:] <= times_ns[:-1])
    if late.size:
        raise LogFormatError(f"{file}: row {int(late[0]) + 1} is not later than the one before it: {AGAIN}")
    return _EgoPath(times_ns, _poses(columns, str(file)), file)


def _poses(columns: Columns, where: str) -> Poses:
    quaternions = np.stack([columns[name] for name in POSE_COLUMNS[:4]], axis=-1)
    norm = np.linalg.norm(quaternions, axis=-1, keepdims=True)
    if norm.size and norm.min() < 1e-6:
        raise LogFormatError(f"{where}: row {int(np.argmin(norm))} has a quaternion of 0: {AGAIN}")
    return Poses(quaternions / norm, np.stack([columns[name] for name in POSE_COLUMNS[4:]], axis=-1))


def _structs(poses: Poses, where: str) -> list[dict[str, float]]:
    return pose_rows(poses.quaternions_wxyz, poses.translations_m, where)


def _annotations(log: Path) -> Columns:
    """The boxes without the ego's own; empty where the log has none."""
    names = {
        **{"timestamp_ns": "int", "track_uuid": "text", "category": "text", "num_interior_pts": "int"},
        **dict.fromkeys((*SIZE_COLUMNS, *POSE_COLUMNS), "float"),
    }
    files = [log / name for name in ANNOTATIONS if (log / name).is_file()]
    if not files:
        return {name: np.empty(0, dtype=np.int64 if kind == "int" else np.float64) for name, kind in names.items()}
    columns = read_feather(files[0], names)
    if any(columns[name].size and columns[name].min() <= 0 for name in SIZE_COLUMNS):
        raise LogFormatError(f"{files[0]} has a length, width or height that is not above 0: {AGAIN}")
    points = columns["num_interior_pts"]
    if points.size and not 0 <= points.min() <= points.max() < 2**31:
        raise LogFormatError(f"{files[0]}: num_interior_pts holds a number that is no count: {AGAIN}")
    keys = list(zip(columns["timestamp_ns"].tolist(), columns["track_uuid"].tolist(), strict=True))
    if len(set(keys)) < len(keys):
        raise LogFormatError(f"{files[0]} has two boxes of one track at one time: {AGAIN}")
    kept = columns["category"] != EGO_CATEGORY
    return {name: values[kept] for name, values in columns.items()}


def _frame_rows(frames_ns: Int[np.ndarray, "n"], poses: Poses, where: str) -> list[dict[str, Any]]:
    motion = ego_motion(frames_ns, poses.translations_m, yaws_from_quaternions(poses.quaternions_wxyz))
    return [
        {"frame": frame, "timestamp_ns": time, "global_SE3_ego": pose, **moves}
        for frame, (time, pose, moves) in enumerate(
            zip(frames_ns.tolist(), _structs(poses, where), motion, strict=True)
        )
    ]


def _annotation_rows(boxes: Columns, frames_ns: Int[np.ndarray, "n"], where: str) -> list[dict[str, Any]]:
    """In order of frames, and within a frame in the file's order."""
    order = np.argsort(boxes["timestamp_ns"], kind="stable")
    boxes = {name: values[order] for name, values in boxes.items()}
    poses = _structs(_poses(boxes, where), where)
    columns = {
        "frame": np.searchsorted(frames_ns, boxes["timestamp_ns"]),
        "timestamp_ns": boxes["timestamp_ns"],
        "track_id": boxes["track_uuid"],
        "source_category": boxes["category"],
        "lidar_points": boxes["num_interior_pts"],
        **{name: boxes[name] for name in SIZE_COLUMNS},
    }
    rows = zip(*(values.tolist() for values in columns.values()), strict=True)
    named = (dict(zip(columns, row, strict=True)) for row in rows)
    return [
        {
            **row,
            "category": CATEGORY_OF_LABEL.get(row["source_category"], "other"),
            "ego_SE3_box": pose,
            "observed": True,
        }
        for row, pose in zip(named, poses, strict=True)
    ]


def _stamps(folder: Path, suffix: str) -> Int[np.ndarray, "n"]:
    """Time stamps that files are named by, sorted."""
    names = [path.name.removesuffix(suffix) for path in folder.glob(f"*{suffix}")]
    wrong = [name for name in names if not re.fullmatch(r"0|[1-9][0-9]{0,18}", name) or int(name) >= 2**63]
    if wrong:
        raise LogFormatError(f"{folder}: {min(wrong)[:100]!a}{suffix} is not named by a time stamp: remove that file")
    return np.array(sorted(int(name) for name in names), dtype=np.int64)


def _sweep_rows(sweeps_ns: Int[np.ndarray, "m"], frames_ns: Int[np.ndarray, "n"], poses: Poses) -> list[dict[str, Any]]:
    """One row for each sweep; its points are in the ego frame."""
    identity = Poses(np.array([[1.0, 0.0, 0.0, 0.0]]), np.zeros((1, 3)))
    (here,) = _structs(identity, "lidar")
    frames = np.searchsorted(frames_ns, sweeps_ns)
    return [
        {
            **_sensor(int(frame), "lidar", "lidar", here),
            "timestamp_ns": int(time),
            "path": f"sensors/lidar/{time}.feather",
            "global_SE3_ego": pose,
        }
        for frame, time, pose in zip(frames, sweeps_ns, _structs(poses.take(frames), "lidar"), strict=True)
    ]


def _sensor(frame: int, sensor: str, modality: str, ego_SE3_sensor: dict[str, float]) -> dict[str, Any]:
    return {
        "frame": frame,
        "sensor": sensor,
        "modality": modality,
        "distortion": [],
        "ego_SE3_sensor": ego_SE3_sensor,
    }


def _calibrated_rows(log: Path, frames_ns: Int[np.ndarray, "n"], path: _EgoPath) -> Iterator[dict[str, Any]]:
    """A row a frame for everything that the calibration names."""
    mountings, cameras = _calibration(log)
    for sensor, ego_SE3_sensor in mountings.items():
        camera = cameras.get(sensor)
        files = _images(log, sensor, frames_ns, path) if camera is not None else {}
        times_ns = np.array([files.get(frame, time) for frame, time in enumerate(frames_ns.tolist())], dtype=np.int64)
        poses = _structs(path.at(times_ns), str(path.file))
        for frame, (time, pose) in enumerate(zip(times_ns.tolist(), poses, strict=True)):
            yield {
                **_sensor(frame, sensor, "lidar" if camera is None else "camera", ego_SE3_sensor),
                **(camera or {}),
                "timestamp_ns": time,
                "path": f"sensors/cameras/{sensor}/{time}.jpg" if frame in files else None,
                "global_SE3_ego": pose,
            }


def _images(log: Path, camera: str, frames_ns: Int[np.ndarray, "n"], path: _EgoPath) -> dict[int, int]:
    """The time stamp of the nearest image of each frame that has one."""
    images_ns = _stamps(log / "sensors" / "cameras" / camera, ".jpg")
    images_ns = images_ns[path.covers(images_ns)]
    if not len(images_ns):
        return {}
    after = np.clip(np.searchsorted(images_ns, frames_ns), 0, len(images_ns) - 1)
    before = np.maximum(after - 1, 0)
    nearest = np.where(frames_ns - images_ns[before] <= np.abs(images_ns[after] - frames_ns), before, after)
    near = np.abs(images_ns[nearest] - frames_ns) <= IMAGE_WITHIN_NS
    return {int(frame): int(images_ns[nearest[frame]]) for frame in np.flatnonzero(near)}


def _calibration(log: Path) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, Any]]]:
    """`ego_SE3_sensor` of each sensor, and size and pinhole matrix of those that are cameras; empty without calibration."""
    file = log / "calibration" / "egovehicle_SE3_sensor.feather"
    if not file.parent.is_dir():
        return {}, {}
    columns = read_feather(file, {"sensor_name": "text", **dict.fromkeys(POSE_COLUMNS, "float")})
    mountings = _by_name(columns, _structs(_poses(columns, str(file)), str(file)), file)
    file = log / "calibration" / "intrinsics.feather"
    sizes, numbers = ("width_px", "height_px"), ("fx_px", "fy_px", "cx_px", "cy_px")
    kinds = {"sensor_name": "text", **dict.fromkeys(sizes, "int"), **dict.fromkeys(numbers, "float")}
    columns = read_feather(file, kinds)
    cameras = _by_name(columns, [_camera(columns, row, file) for row in range(len(columns["fx_px"]))], file)
    if not set(cameras) <= set(mountings):
        raise LogFormatError(f"{file} has a camera that egovehicle_SE3_sensor.feather has not: {AGAIN}")
    return mountings, cameras


def _by_name(columns: Columns, values: list[dict[str, Any]], file: Path) -> dict[str, dict[str, Any]]:
    names = columns["sensor_name"].tolist()
    wrong = [name for name in names if not NAME.fullmatch(name) or name == "lidar"]
    if wrong or len(set(names)) < len(names):
        raise LogFormatError(f"{file}: sensor names must be different words of letters, digits, _ and -: {AGAIN}")
    return dict(zip(names, values, strict=True))


def _camera(columns: Columns, row: int, file: Path) -> dict[str, Any]:
    fx, fy, cx, cy = (float(columns[name][row]) for name in ("fx_px", "fy_px", "cx_px", "cy_px"))
    width, height = int(columns["width_px"][row]), int(columns["height_px"][row])
    if min(fx, fy) <= 0 or not (0 < width < 2**16 and 0 < height < 2**16):
        raise LogFormatError(f"{file}: row {row} has a focal length or an image size that is not above 0: {AGAIN}")
    return {"width": width, "height": height, "intrinsics": [fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0]}
