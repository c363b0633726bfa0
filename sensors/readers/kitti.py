"""Reader of KITTI tracking: one log a sequence, 10 Hz.

    SOURCE/training/calib/NNNN.txt                calibration: every sequence that has one is a log
    SOURCE/training/label_02/NNNN.txt             boxes of what the left colour camera sees
    SOURCE/training/oxts/NNNN.txt                 GPS/IMU, one row of 30 values a frame
    SOURCE/training/image_02|image_03/NNNN/*.png  colour images
    SOURCE/training/velodyne/NNNN/*.bin           sweeps
    SOURCE/detections/*/NNNN.txt                  boxes of a detector: only their frame numbers are read here

All but the calibration may be absent, and single images and sweeps too: their paths, sizes and poses are null then, and the log's
description says what it lacks.

The ego frame is the IMU's (x forward, y left, z up), or the velodyne's where the calibration does not place the IMU. The set has
no time stamps: a frame is taken as 100 ms, unless `image_02/NNNN/timestamps.txt` or `velodyne/NNNN/timestamps.txt` (one line a
frame, as in KITTI's raw data) is there. The global frame has x east, y north, z up and its origin at the first pose; positions
are a Mercator projection, scaled at the first latitude, and jitter as GPS does (0.1 m from frame to frame). Sweeps are raw spins:
not corrected for the ego's motion. Labels give no velocity. `DontCare` regions are not boxes and are left out.
"""

from __future__ import annotations

import hashlib
import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int
from PIL import Image, UnidentifiedImageError
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from drive_vqa.errors import LogFormatError
from drive_vqa.schema import pose_to_struct
from drive_vqa.store import file_sha256
from sensors.driving_log import DrivingLog, LogHandle, pose_rows
from sensors.readers.kitti_boxes import centres_to_ego, rotations_to_ego
from sensors.readers.kitti_calibration import Calibration, read_calibration
from sensors.readers.kitti_text import (
    AGAIN,
    LIMIT_M,
    MAX_FRAMES,
    MAX_TEXT_BYTES,
    Labels,
    mercator_m,
    read_labels,
    read_oxts,
    read_timestamps_ns,
)

logger = logging.getLogger(__name__)

FORMAT = "kitti"
PREFIX = "kitti-"
CATEGORY_OF_TYPE = {
    "Car": "car",
    "Van": "car",  # as in nuScenes, whose cars include vans; `source_category` keeps the name
    "Truck": "truck",
    "Pedestrian": "pedestrian",
    "Person_sitting": "pedestrian",
    "Cyclist": "bicycle",
    "Tram": "other",  # runs on rails: none of our categories
    "Misc": "other",
}
"""Our category for each type; all others are `other`."""

LIDAR = "velodyne"
FRAME_NS = 100_000_000
OXTS_NORTH_MPS, OXTS_EAST_MPS, OXTS_YAW_RATE = 6, 7, 22
"""Columns of GPS/IMU: velocity over ground, and turn about the vertical."""
POINT_BYTES = 16
MAX_SWEEP_BYTES = 64 << 20
SEQUENCE = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, eq=False)
class Files:
    """What there is of one sequence beside its calibration: files by frame."""

    root: Path
    sequence: str
    images: dict[str, dict[int, Path]]
    sweeps: dict[int, Path]

    def text(self, folder: str) -> Path:
        """The text file of this sequence in a folder."""
        return self.root / folder / f"{self.sequence}.txt"


def list_logs(source: Path) -> list[LogHandle]:
    """One handle a sequence: `source` is the folder above `training/`, or a folder with `calib/` itself.

    Raises:
        LogFormatError: there is no calibration in it.
    """
    root = source if (source / "calib").is_dir() else source / "training"
    sequences = sorted(path.stem for path in (root / "calib").glob("*.txt") if SEQUENCE.fullmatch(path.stem))
    if not sequences:
        raise LogFormatError(f"{source} has no training/calib/NNNN.txt: give the folder of KITTI tracking")
    return [LogHandle(PREFIX + sequence, FORMAT, root, _digest(root, sequence)) for sequence in sequences]


def read_log(handle: LogHandle) -> DrivingLog:
    """The tables of one sequence.

    Raises:
        LogFormatError: a file is not readable or holds a wrong value, or nothing tells how many frames there are.
    """
    files = _find(handle.root, handle.log_id.removeprefix(PREFIX))
    calibration = read_calibration(files.text("calib"))
    labels, oxts = read_labels(files.text("label_02")), read_oxts(files.text("oxts"))
    count = _frame_count(files, labels, oxts)
    timestamps_ns = _timestamps_ns(files, count)
    poses = _poses(files, oxts, count, calibration.has_imu)
    frames = _frame_rows(timestamps_ns, poses, oxts[:0] if poses[0] is None else oxts)
    sensor_rows = _sensor_rows(files, calibration, timestamps_ns, poses)
    annotations = _annotation_rows(files, labels, calibration, timestamps_ns)
    lacks = {"labels": not annotations, "poses": poses[0] is None, "images": not any(files.images.values())}
    lacks |= {"sweeps": not files.sweeps, "time stamps (nominal 10 Hz)": _timestamp_file(files) is None}
    log = {
        "log_id": handle.log_id,
        "recording": handle.log_id.removeprefix(PREFIX),
        "source_format": FORMAT,
        "description": f"without {', '.join(name for name, absent in lacks.items() if absent)}"
        if any(lacks.values())
        else None,
    }
    return DrivingLog.from_rows(log, frames, sensor_rows, annotations)


def read_velodyne(path: Path) -> Float[np.ndarray, "n 4"]:
    """Points of one sweep: x, y, z in metres in the velodyne's frame, and intensity in 0 to 1; a raw spin.

    Raises:
        LogFormatError: the file cannot be read, is cut short, too large, or holds a value that is not finite.
    """
    try:
        size = path.stat().st_size
        if size % POINT_BYTES or size > MAX_SWEEP_BYTES:
            raise LogFormatError(f"{path} has {size} bytes, which are not whole points of 16 bytes: {AGAIN}")
        points = np.fromfile(path, dtype="<f4").astype(np.float64)
    except OSError as error:
        raise LogFormatError(f"{path} cannot be read ({error}): {AGAIN}") from error
    if not (np.abs(points) < LIMIT_M).all():
        raise LogFormatError(f"{path} holds a value that is not a finite number of sensible size: {AGAIN}")
    return points.reshape(-1, 4)


def _digest(root: Path, sequence: str) -> str:
    """Texts by content; sweeps and images by name, size and last bytes."""
    total = hashlib.sha256()
    files = _find(root, sequence)
    texts = [files.text(folder) for folder in ("calib", "label_02", "oxts")]
    texts += [*_timestamp_files(files), *_detection_files(files)]
    for path in texts:
        digest = (
            file_sha256(path) if path.is_file() and path.stat().st_size <= MAX_TEXT_BYTES else "absent or too large"
        )
        total.update(f"{_name(path, root)} {digest} ".encode())
    for path in [*(path for images in files.images.values() for path in images.values()), *files.sweeps.values()]:
        with path.open("rb") as file:
            size = path.stat().st_size
            file.seek(max(size - 64, 0))
            total.update(f"{_name(path, root)} {size} ".encode() + file.read())
    return total.hexdigest()


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root if path.is_relative_to(root) else root.parent).as_posix()


def _find(root: Path, sequence: str) -> Files:
    images = {
        camera: _by_frame(root / camera / sequence, (".png", ".jpg")) for camera in ("image_00", "image_02", "image_03")
    }
    return Files(root, sequence, images, _by_frame(root / LIDAR / sequence, (".bin",)))


def _by_frame(folder: Path, suffixes: tuple[str, ...]) -> dict[int, Path]:
    """Files named by their frame, in order."""
    if not folder.is_dir():
        return {}
    named = sorted(
        path
        for path in folder.iterdir()
        if path.suffix in suffixes and SEQUENCE.fullmatch(path.stem) and path.is_file()
    )
    return {int(path.stem): path for path in named}


def _timestamp_files(files: Files) -> list[Path]:
    return [files.root / folder / files.sequence / "timestamps.txt" for folder in ("image_02", LIDAR)]


def _timestamp_file(files: Files) -> Path | None:
    return next((path for path in _timestamp_files(files) if path.is_file()), None)


def _detection_files(files: Files) -> list[Path]:
    return sorted((files.root.parent / "detections").glob(f"*/{files.sequence}.txt"))


def _frame_count(files: Files, labels: Labels, oxts: Float[np.ndarray, "n 30"]) -> int:
    """One more than the greatest frame number that anything knows."""
    known = [len(oxts) - 1, labels.last_frame]
    known += [max(found, default=-1) for found in (*files.images.values(), files.sweeps)]
    known += [_last_frame(path) for path in _detection_files(files)]
    last = max(known)
    if last >= MAX_FRAMES:
        raise LogFormatError(
            f"{files.root}: sequence {files.sequence} has a file or row of frame {last}, above {MAX_FRAMES - 1}: remove it"
        )
    if last < 0:
        raise LogFormatError(
            f"{files.root}: sequence {files.sequence} has a calibration and nothing else: add its labels, sweeps, images, "
            "GPS/IMU or detections"
        )
    return last + 1


def _last_frame(path: Path) -> int:
    """Greatest frame number of a file of detections; -1 where it has none that can be read, which is for its reader to say."""
    from pyarrow import csv

    try:
        options = csv.ReadOptions(autogenerate_column_names=True, use_threads=False)
        frames = csv.read_csv(path, options, convert_options=csv.ConvertOptions(include_columns=["f0"]))["f0"]
    except (pa.ArrowException, OSError):
        return -1
    values = frames.to_numpy() if pa.types.is_integer(frames.type) else np.empty(0, dtype=np.int64)
    return int(values.max(initial=-1))


def _timestamps_ns(files: Files, count: int) -> Int[np.ndarray, "n"]:
    """Of each frame: from a file of time stamps, or nominal."""
    path = _timestamp_file(files)
    return np.arange(count, dtype=np.int64) * FRAME_NS if path is None else read_timestamps_ns(path, count)


def _poses(
    files: Files, oxts: Float[np.ndarray, "n 30"], count: int, has_imu: bool
) -> list[dict[str, float]] | list[None]:
    """`global_SE3_ego` of each frame; null where there is no GPS/IMU."""
    if not len(oxts):
        return [None] * count
    if not has_imu:
        logger.warning("%s: no transform from the IMU, so its poses are left out", files.text("calib"))
        return [None] * count
    if len(oxts) < count:
        raise LogFormatError(f"{files.text('oxts')} has {len(oxts)} rows, the sequence {count} frames: {AGAIN}")
    quaternion_xyzw = Rotation.from_euler("ZYX", oxts[:, [5, 4, 3]]).as_quat()
    return pose_rows(quaternion_xyzw[:, [3, 0, 1, 2]], mercator_m(oxts[:, :3]), str(files.text("oxts")))


def _frame_rows(
    timestamps_ns: Int[np.ndarray, "n"], poses: list[dict[str, float]] | list[None], oxts: Float[np.ndarray, "m 30"]
) -> list[dict[str, Any]]:
    """Motion is the GPS/IMU's own, which knows it ten times better than steps between its positions do."""
    count = len(timestamps_ns)
    columns: dict[str, list[Any]] = {"speed_mps": [None] * count, "accel_mps2": [None] * count}
    columns["yaw_rate_radps"] = [None] * count
    if len(oxts):
        speed_mps = np.hypot(oxts[:count, OXTS_NORTH_MPS], oxts[:count, OXTS_EAST_MPS])
        columns["speed_mps"] = speed_mps.tolist()
        columns["yaw_rate_radps"] = oxts[:count, OXTS_YAW_RATE].tolist()
    if len(oxts) and count > 1:
        columns["accel_mps2"] = np.gradient(speed_mps, (timestamps_ns - timestamps_ns[0]) * 1e-9).tolist()
    motion = zip(*columns.values(), strict=True)
    return [
        {"frame": frame, "timestamp_ns": time, "global_SE3_ego": pose, **dict(zip(columns, moves, strict=True))}
        for frame, (time, pose, moves) in enumerate(zip(timestamps_ns.tolist(), poses, motion, strict=True))
    ]


def _sensor_rows(
    files: Files,
    calibration: Calibration,
    timestamps_ns: Int[np.ndarray, "n"],
    poses: list[dict[str, float]] | list[None],
) -> list[dict[str, Any]]:
    """By frame: the cameras, each with or without an image, and the sweep where there is one."""
    cameras = [name for name in sorted(calibration.intrinsics) if name != "image_03" or files.images[name]]
    fixed = {name: _camera(calibration, name) for name in cameras}
    lidar = {"sensor": LIDAR, "modality": "lidar", "ego_SE3_sensor": pose_to_struct(calibration.ego_SE3_velo)}
    rows: list[dict[str, Any]] = []
    for frame, (time, pose) in enumerate(zip(timestamps_ns.tolist(), poses, strict=True)):
        here = {"frame": frame, "timestamp_ns": time, "global_SE3_ego": pose, "distortion": []}
        rows += [{**here, **fixed[name], **_image(files, name, frame)} for name in cameras]
        if frame in files.sweeps:
            rows.append({**here, **lidar, "path": files.sweeps[frame].relative_to(files.root).as_posix()})
    return rows


def _camera(calibration: Calibration, name: str) -> dict[str, Any]:
    return {
        "sensor": name,
        "modality": "camera",
        "intrinsics": calibration.intrinsics[name].ravel().tolist(),
        "ego_SE3_sensor": pose_to_struct(calibration.ego_SE3_cam[name]),
    }


def _image(files: Files, camera: str, frame: int) -> dict[str, Any]:
    """Path and size of an image; reads the header only."""
    path = files.images[camera].get(frame)
    if path is None:
        return {}
    try:
        with Image.open(path) as image:
            width, height = image.size
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise LogFormatError(f"{path} is not a readable image: copy it again, or delete it to go without") from error
    return {"path": path.relative_to(files.root).as_posix(), "width": width, "height": height}


def _annotation_rows(
    files: Files, labels: Labels, calibration: Calibration, timestamps_ns: Int[np.ndarray, "n"]
) -> list[dict[str, Any]]:
    height_m, width_m, length_m = labels.numbers[:, 7:10].T
    ego_SE3_rect = calibration.ego_SE3_rect
    centre_m = centres_to_ego(labels.numbers[:, 10:13], height_m, ego_SE3_rect)
    rotation = rotations_to_ego(labels.numbers[:, 13], ego_SE3_rect)
    xyzw = Rotation.from_matrix(rotation).as_quat() if len(rotation) else np.empty((0, 4))
    poses = pose_rows(xyzw[:, [3, 0, 1, 2]], centre_m, str(files.text("label_02")))
    half_m = 0.5 * np.stack([length_m, width_m, height_m], axis=-1)
    points = _count_points(files, calibration, labels.frame, centre_m, rotation, half_m)
    return [
        {
            "frame": frame,
            "timestamp_ns": int(timestamps_ns[frame]),
            "track_id": str(labels.track_id[box]),
            "category": CATEGORY_OF_TYPE.get(labels.kind[box], "other"),
            "source_category": labels.kind[box],
            "attribute": f"truncated={labels.numbers[box, 0]:g},occluded={labels.numbers[box, 1]:g}",
            "ego_SE3_box": poses[box],
            "length_m": float(length_m[box]),
            "width_m": float(width_m[box]),
            "height_m": float(height_m[box]),
            "lidar_points": points[box],
            "observed": True,
        }
        for box, frame in enumerate(labels.frame.tolist())
    ]


def _count_points(
    files: Files,
    calibration: Calibration,
    frames: Int[np.ndarray, "n"],
    centre_m: Float[np.ndarray, "n 3"],
    rotation: Float[np.ndarray, "n 3 3"],
    half_m: Float[np.ndarray, "n 3"],
) -> list[int | None]:
    """Points inside each box of its frame's sweep; null where there is none."""
    counts: list[int | None] = [None] * len(frames)
    reach_m = np.linalg.norm(half_m, axis=1)
    for frame in sorted(set(frames.tolist()) & set(files.sweeps)):
        points_m = calibration.ego_SE3_velo @ read_velodyne(files.sweeps[frame])[:, :3]
        tree = cKDTree(points_m, balanced_tree=False, compact_nodes=False)
        for box in np.flatnonzero(frames == frame):
            near = points_m[tree.query_ball_point(centre_m[box], reach_m[box])]
            local_m = np.einsum("ij,ki->kj", rotation[box], near - centre_m[box])
            counts[box] = int((np.abs(local_m) <= half_m[box]).all(axis=1).sum())
    return counts
