"""Reader of PandaSet: one log a sequence folder, 10 Hz.

    SEQUENCE/lidar/{poses,timestamps}.json, NN.pkl.gz              sweeps, points in the world frame
    SEQUENCE/camera/NAME/{poses,timestamps,intrinsics}.json, NN.jpg
    SEQUENCE/annotations/cuboids/NN.pkl.gz                         boxes in the world frame

The data set's vehicle frame is its lidar, whose y points forward; our ego frame has the same origin and is turned so that x
points forward and y left (`ego_SE3_lidar` is a turn by -90° about z). A box's x is its width and its y its length, so the driving
direction is yaw + 90°. The two lidars were labelled separately where they overlap: a box of sensor 1 goes when its sibling is in
the same frame, and otherwise stays under its sibling's track.

A camera's pose in the files is that of its own time stamp, up to 0.1 s before the lidar's. Its row has the ego pose interpolated
to that stamp, and `global_SE3_ego @ ego_SE3_sensor` is exactly the pose of the files; the mounting so found is constant to
millimetres. Points of a sweep are in the world frame, not the lidar's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image, UnidentifiedImageError
from scipy.spatial import cKDTree

from drive_vqa.boxes import points_in_box
from drive_vqa.errors import CalibrationError, LogFormatError
from drive_vqa.geometry import SE3, interpolate
from drive_vqa.schema import pose_to_struct
from sensors.driving_log import DrivingLog, LogHandle, check_increasing, ego_motion
from sensors.readers.restricted_pickle import read_frame

FORMAT = "pandaset"
EGO_SE3_LIDAR = SE3.from_yaw(-np.pi / 2, np.zeros(3))
"""The lidar's y is the ego's x."""

CATEGORY_OF_LABEL = {
    "Car": "car",
    "Pickup Truck": "truck",
    "Medium-sized Truck": "truck",
    "Semi-truck": "truck",
    "Towed Object": "trailer",
    "Motorcycle": "motorcycle",
    "Motorized Scooter": "motorcycle",
    "Other Vehicle - Construction Vehicle": "construction_vehicle",
    "Other Vehicle - Pedicab": "bicycle",
    "Emergency Vehicle": "emergency_vehicle",
    "Bus": "bus",
    "Bicycle": "bicycle",
    "Personal Mobility Device": "pedestrian",
    "Pedestrian": "pedestrian",
    "Pedestrian with Object": "pedestrian",
    "Animals - Bird": "animal",
    "Animals - Other": "animal",
    "Pylons": "traffic_cone",
    "Cones": "traffic_cone",
    "Road Barriers": "barrier",
    "Temporary Construction Barriers": "barrier",
}
"""Our category for each label; all others are `other`."""

NUMBER_COLUMNS = ("yaw", *(f"{group}.{axis}" for group in ("position", "dimensions") for axis in "xyz"))
TEXT_COLUMNS = ("uuid", "label", "cuboids.sibling_id")
COLUMNS = (*NUMBER_COLUMNS, *TEXT_COLUMNS, "cuboids.sensor_id", "attributes.object_motion")
AGAIN = "get the file again from its publisher"
LIMIT = 1e7
"""No coordinate in metres is greater."""

Cuboids = dict[str, np.ndarray]


def list_logs(source: Path) -> list[LogHandle]:
    """One handle a sequence: `source` is a folder of sequences or one sequence.

    Raises:
        LogFormatError: there is no sequence in it.
    """
    sequences = [source] if _is_sequence(source) else sorted(path for path in source.iterdir() if _is_sequence(path))
    if not sequences:
        raise LogFormatError(
            f"{source} has no PandaSet sequence (a folder with lidar/poses.json): give the folder above them"
        )
    return [LogHandle(f"pandaset-{path.resolve().name}", FORMAT, path, _digest(path)) for path in sequences]


def read_log(handle: LogHandle) -> DrivingLog:
    """The tables of one sequence; every 10 Hz frame is a row of `frames`.

    Raises:
        LogFormatError: a file is missing, not readable or holds a wrong value.
    """
    lidar = handle.root / "lidar"
    timestamps_ns = _timestamps_ns(lidar / "timestamps.json")
    check_increasing(timestamps_ns, str(lidar / "timestamps.json"))
    global_SE3_lidar = _poses(lidar / "poses.json", len(timestamps_ns))
    global_SE3_ego = [pose @ EGO_SE3_LIDAR.inverse() for pose in global_SE3_lidar]
    motion = ego_motion(
        timestamps_ns,
        np.stack([pose.translation_m for pose in global_SE3_ego]),
        np.array([pose.yaw_rad for pose in global_SE3_ego]),
    )
    frames = [
        {"frame": frame, "timestamp_ns": int(time), "global_SE3_ego": pose_to_struct(pose), **moves}
        for frame, (time, pose, moves) in enumerate(zip(timestamps_ns, global_SE3_ego, motion, strict=True))
    ]
    sensor_rows = _lidar_rows(handle.root, timestamps_ns, global_SE3_ego)
    for folder in sorted(path for path in (handle.root / "camera").glob("*") if path.is_dir()):
        sensor_rows += _camera_rows(handle.root, folder, timestamps_ns, global_SE3_ego)
    sensor_rows.sort(key=lambda row: (row["frame"], row["sensor"]))
    log = {"log_id": handle.log_id, "recording": handle.root.resolve().name, "source_format": FORMAT}
    return DrivingLog.from_rows(log, frames, sensor_rows, _annotation_rows(handle.root, timestamps_ns, global_SE3_ego))


def read_sweep(path: Path) -> Float[np.ndarray, "n 3"]:
    """Points of one sweep file, both lidars, metres, **world** frame (already motion-corrected by the data set).

    Raises:
        LogFormatError: the file cannot be read or has a value that is not finite.
    """
    columns = read_frame(path)
    _need(columns, ("x", "y", "z"), path)
    points_m = np.stack([_numbers(columns, axis, path) for axis in "xyz"], axis=-1)
    return np.asarray(points_m)


def _is_sequence(path: Path) -> bool:
    return (path / "lidar" / "poses.json").is_file()


def _digest(sequence: Path) -> str:
    """Names of all files; contents of tables and boxes; of big files the size and, of gzip, the checksum at its end."""
    total = hashlib.sha256()
    for path in sorted(
        path for folder in ("annotations", "camera", "lidar") for path in (sequence / folder).rglob("*")
    ):
        if not path.is_file():
            continue
        content = (
            str(path.stat().st_size).encode() + _tail(path)
            if path.suffix == ".jpg" or _is_sweep(path)
            else path.read_bytes()
        )
        total.update(f"{path.relative_to(sequence).as_posix()} {len(content)} ".encode() + content)
    return total.hexdigest()


def _is_sweep(path: Path) -> bool:
    return path.name.endswith(".pkl.gz") and path.parent.name == "lidar"


def _tail(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - 8, 0))
        return file.read()


def _json_list(path: Path) -> list[Any]:
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise LogFormatError(f"{path} is missing: copy the sequence again") from error
    except (OSError, ValueError, RecursionError) as error:
        raise LogFormatError(f"{path} is not complete JSON ({str(error)[:80]}): copy the sequence again") from error
    if not isinstance(content, list) or not content:
        raise LogFormatError(f"{path} must hold a list of one value a frame: copy the sequence again")
    return content


def _timestamps_ns(path: Path) -> np.ndarray:
    """Seconds with six decimals as exact nanoseconds."""
    values = _json_list(path)
    wrong = [place for place, value in enumerate(values) if not _is_number(value, 9e9) or value < 0]
    if wrong:
        raise LogFormatError(f"{path}: time stamp {wrong[0]} is not a number of seconds: copy the sequence again")
    return np.array([round(value * 1e6) * 1000 for value in values], dtype=np.int64)


def _poses(path: Path, count: int) -> list[SE3]:
    """`global_SE3_sensor` of each frame."""
    values = _json_list(path)
    if len(values) != count:
        raise LogFormatError(f"{path} has {len(values)} poses, {count} frames need one each: copy the sequence again")
    return [_pose(value, f"{path}, pose {place}") for place, value in enumerate(values)]


def _pose(value: Any, where: str) -> SE3:
    try:
        heading = [value["heading"][axis] for axis in "wxyz"]
        position = [value["position"][axis] for axis in "xyz"]
    except (KeyError, TypeError) as error:
        raise LogFormatError(f"{where} lacks a heading w x y z or a position x y z: copy the sequence again") from error
    if not all(_is_number(number, LIMIT) for number in (*heading, *position)):
        raise LogFormatError(f"{where} holds a value that is not a finite number: copy the sequence again")
    try:
        return SE3.from_quaternion(heading, position)
    except CalibrationError as error:
        raise LogFormatError(f"{where}: {error}: copy the sequence again") from error


def _is_number(value: Any, limit: float) -> bool:
    return type(value) in (int, float) and -limit < value < limit


def _lidar_rows(root: Path, timestamps_ns: np.ndarray, global_SE3_ego: Sequence[SE3]) -> list[dict[str, Any]]:
    """One row for each sweep that is there."""
    return [
        {
            "frame": frame,
            "sensor": "lidar",
            "modality": "lidar",
            "timestamp_ns": int(timestamps_ns[frame]),
            "path": f"lidar/{frame:02d}.pkl.gz",
            "distortion": [],
            "ego_SE3_sensor": pose_to_struct(EGO_SE3_LIDAR),
            "global_SE3_ego": pose_to_struct(pose),
        }
        for frame, pose in enumerate(global_SE3_ego)
        if (root / "lidar" / f"{frame:02d}.pkl.gz").is_file()
    ]


def _camera_rows(
    root: Path, folder: Path, frame_times_ns: np.ndarray, global_SE3_ego: Sequence[SE3]
) -> list[dict[str, Any]]:
    """One row for each image that is there."""
    timestamps_ns = _timestamps_ns(folder / "timestamps.json")
    global_SE3_cam = _poses(folder / "poses.json", len(global_SE3_ego))
    if len(timestamps_ns) != len(global_SE3_ego):
        raise LogFormatError(
            f"{folder / 'timestamps.json'} has not one time stamp a lidar frame: copy the sequence again"
        )
    intrinsics = _intrinsics(folder / "intrinsics.json")
    rows = []
    for frame in range(len(global_SE3_ego)):
        image = folder / f"{frame:02d}.jpg"
        if not image.is_file():
            continue
        width, height = _image_size(image)
        pose = _pose_at(
            int(timestamps_ns[frame]), frame_times_ns, global_SE3_ego, f"{folder / 'timestamps.json'}, frame {frame}"
        )
        rows.append(
            {
                "frame": frame,
                "sensor": folder.name,
                "modality": "camera",
                "timestamp_ns": int(timestamps_ns[frame]),
                "path": image.relative_to(root).as_posix(),
                "width": width,
                "height": height,
                "intrinsics": intrinsics,
                "distortion": [],
                "ego_SE3_sensor": pose_to_struct(pose.inverse() @ global_SE3_cam[frame]),
                "global_SE3_ego": pose_to_struct(pose),
            }
        )
    return rows


def _pose_at(time_ns: int, times_ns: np.ndarray, poses: Sequence[SE3], where: str) -> SE3:
    """The ego pose at a time: interpolated, or continued by up to one frame beyond the first and the last."""
    if len(poses) == 1:
        return poses[0]
    place = int(np.clip(np.searchsorted(times_ns, time_ns, side="right") - 1, 0, len(poses) - 2))
    start, end = poses[place], poses[place + 1]
    fraction = (time_ns - int(times_ns[place])) / int(times_ns[place + 1] - times_ns[place])
    if not -1 <= fraction <= 2:
        raise LogFormatError(f"{where} is more than a frame outside the drive: copy the sequence again")
    if fraction < 0:
        return _mirror(interpolate(start, end, -fraction), start)
    return _mirror(interpolate(start, end, 2 - fraction), end) if fraction > 1 else interpolate(start, end, fraction)


def _mirror(pose: SE3, about: SE3) -> SE3:
    """As far beyond `about` as `pose` is before it, at the same rates."""
    return SE3(about.rotation @ pose.rotation.T @ about.rotation, 2 * about.translation_m - pose.translation_m)


def _intrinsics(path: Path) -> list[float]:
    """Row-major 3×3, pixels."""
    try:
        content = json.loads(path.read_bytes())
        fx, fy, cx, cy = (content[name] for name in ("fx", "fy", "cx", "cy"))
    except FileNotFoundError as error:
        raise LogFormatError(f"{path} is missing: copy the sequence again") from error
    except (OSError, ValueError, RecursionError, KeyError, TypeError) as error:
        raise LogFormatError(
            f"{path} must hold fx, fy, cx and cy ({type(error).__name__}): copy the sequence again"
        ) from error
    if not all(_is_number(value, 1e6) for value in (fx, fy, cx, cy)) or min(fx, fy) <= 0:
        raise LogFormatError(
            f"{path} holds a focal length that is not above 0 or a value not finite: copy the sequence again"
        )
    return [float(value) for value in (fx, 0, cx, 0, fy, cy, 0, 0, 1)]


def _image_size(path: Path) -> tuple[int, int]:
    """Width and height; reads the header only."""
    try:
        with Image.open(path) as image:
            return image.size
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise LogFormatError(f"{path} is not a readable image: copy it again, or delete it to go without") from error


def _annotation_rows(root: Path, timestamps_ns: np.ndarray, global_SE3_ego: Sequence[SE3]) -> list[dict[str, Any]]:
    files = [root / "annotations" / "cuboids" / f"{frame:02d}.pkl.gz" for frame in range(len(timestamps_ns))]
    cuboids = [_read_cuboids(path) for path in files]
    track_of = _tracks(cuboids)
    rows: list[dict[str, Any]] = []
    for frame, boxes in enumerate(cuboids):
        kept = _without_siblings(boxes, track_of)
        if len({track_of.get(uuid, uuid) for uuid in boxes["uuid"][np.array(kept, dtype=int)]}) != len(kept):
            raise LogFormatError(f"{files[frame]} has two boxes of one object: mend its uuid or sibling_id columns")
        sweep = root / "lidar" / f"{frame:02d}.pkl.gz"
        points = cKDTree(read_sweep(sweep)) if sweep.is_file() else None
        ego_SE3_global = global_SE3_ego[frame].inverse()
        for box in kept:
            row = _annotation_row(boxes, box, points, ego_SE3_global)
            uuid = str(boxes["uuid"][box])
            rows.append(
                {"frame": frame, "timestamp_ns": int(timestamps_ns[frame]), "track_id": track_of.get(uuid, uuid), **row}
            )
    return rows


def _read_cuboids(path: Path) -> Cuboids:
    """The columns of one frame, checked."""
    columns = read_frame(path)
    _need(columns, COLUMNS, path)
    for name in TEXT_COLUMNS:
        if not all(type(value) is str for value in columns[name]):
            raise LogFormatError(f"{path}: column {name!r} holds something that is not text: {AGAIN}")
    if columns["cuboids.sensor_id"].dtype.kind != "i":
        raise LogFormatError(f"{path}: column 'cuboids.sensor_id' must hold whole numbers: {AGAIN}")
    if len(set(columns["uuid"])) != len(columns["uuid"]):
        raise LogFormatError(f"{path}: a uuid stands twice: {AGAIN}")
    for name in NUMBER_COLUMNS:
        values = _numbers(columns, name, path)
        if name.startswith("dimensions") and values.size and values.min() <= 0:
            raise LogFormatError(f"{path}: column {name!r} holds a length that is not above 0: {AGAIN}")
    return columns


def _need(columns: Cuboids, names: Sequence[str], path: Path) -> None:
    missing = [name for name in names if name not in columns]
    if missing:
        raise LogFormatError(f"{path} has no column {missing[0]!r}: {AGAIN}")


def _numbers(columns: Cuboids, name: str, path: Path) -> Float[np.ndarray, "n"]:
    values = columns[name]
    if values.dtype.kind not in "fi" or not (np.abs(values) < LIMIT).all():
        raise LogFormatError(
            f"{path}: column {name!r} holds a value that is not a finite number of sensible size: {AGAIN}"
        )
    return values.astype(np.float64)


def _tracks(cuboids: Sequence[Cuboids]) -> dict[str, str]:
    """Track of each uuid of sensor 1 that is linked to one of sensor 0 anywhere in the log: that uuid.

    A link counts whichever side names it: in sequence 002 one side's uuid is cut short. One car names itself, others name `-`.
    """
    sensor_of = {str(uuid): int(sensor) for boxes in cuboids for uuid, sensor in _pairs(boxes, "cuboids.sensor_id")}
    track_of: dict[str, str] = {}
    for boxes in cuboids:
        for uuid, sibling in _pairs(boxes, "cuboids.sibling_id"):
            second, first = (uuid, sibling) if sensor_of[uuid] == 1 else (sibling, uuid)
            if sensor_of.get(second) == 1 and sensor_of.get(first) == 0:
                track_of.setdefault(second, first)
    return track_of


def _pairs(boxes: Cuboids, column: str) -> list[tuple[str, Any]]:
    return list(zip(boxes["uuid"].tolist(), boxes[column].tolist(), strict=True))


def _without_siblings(boxes: Cuboids, track_of: Mapping[str, str]) -> list[int]:
    """Places of the boxes to keep: a box of sensor 1 goes when its sibling is in this frame."""
    here = set(boxes["uuid"])
    return [box for box, uuid in enumerate(boxes["uuid"]) if track_of.get(uuid) not in here]


def _annotation_row(boxes: Cuboids, box: int, points: cKDTree | None, ego_SE3_global: SE3) -> dict[str, Any]:
    yaw_rad = float(boxes["yaw"][box]) + np.pi / 2
    centre_m = np.array([boxes[f"position.{axis}"][box] for axis in "xyz"], dtype=np.float64)
    width_m, length_m, height_m = (float(boxes[f"dimensions.{axis}"][box]) for axis in "xyz")
    label, motion = boxes["label"][box], boxes["attributes.object_motion"][box]
    size_lwh_m = np.array([length_m, width_m, height_m])
    return {
        "category": CATEGORY_OF_LABEL.get(label, "other"),
        "source_category": label,
        "attribute": motion if type(motion) is str and motion else None,
        "ego_SE3_box": pose_to_struct(ego_SE3_global @ SE3.from_yaw(yaw_rad, centre_m)),
        "length_m": length_m,
        "width_m": width_m,
        "height_m": height_m,
        "lidar_points": None if points is None else _count(points, centre_m, size_lwh_m, yaw_rad),
        "radar_points": None,
        "observed": True,
    }


def _count(points: cKDTree, centre_m: np.ndarray, size_lwh_m: np.ndarray, yaw_rad: float) -> int:
    """Points of a sweep inside a box, all in the world frame."""
    near = points.query_ball_point(centre_m, 0.5 * float(np.linalg.norm(size_lwh_m)) + 1e-9)
    return int(points_in_box(np.asarray(points.data)[near], centre_m, size_lwh_m, yaw_rad).sum())
