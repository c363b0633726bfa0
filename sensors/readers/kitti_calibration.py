"""Calibration of a KITTI tracking sequence, and how to get it back from a log's tables.

Two spellings of the keys are around: the tracking set's (`R_rect`, `Tr_velo_cam`, `Tr_imu_velo`, without a colon) and the object
set's (`R0_rect`, `Tr_velo_to_cam`, `Tr_imu_to_velo`). A point goes IMU → velodyne → grey left camera → rectified camera frame
`rect` → image i by `P_i`, which is `K_i [I | t_i]`: camera i looks along rect's axes from `-t_i`.

A log keeps `rect` as the mounting of `image_00`, the rectified grey left camera: labels, detections and results are in its frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from drive_vqa.errors import CalibrationError, LogFormatError
from drive_vqa.geometry import SE3
from drive_vqa.schema import pose_from_struct

RECT_SENSOR = "image_00"
"""The camera whose frame is KITTI's rectified camera frame."""
LEFT_COLOUR = "image_02"
"""The camera that labels and results are drawn in."""
CAMERAS = {"image_00": "P0", "image_02": "P2", "image_03": "P3"}
SPELLINGS = {
    **{f"P{camera}": (f"P{camera}",) for camera in range(4)},
    "rect": ("R_rect", "R0_rect"),
    "velo": ("Tr_velo_cam", "Tr_velo_to_cam"),
    "imu": ("Tr_imu_velo", "Tr_imu_to_velo"),
}
AGAIN = "get the file again from its publisher"
MAX_BYTES = 1 << 20
ORTHONORMAL = 1e-3
"""How far a printed matrix may be from a rotation; it is made one."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """One sequence's calibration.

    Attributes:
        has_imu: the ego frame is the IMU's; otherwise the velodyne's.
        ego_SE3_velo: mounting of the velodyne.
        ego_SE3_rect: the rectified camera frame.
        intrinsics: 3×3 of each camera in the file, pixels.
        ego_SE3_cam: mounting of each of them.
    """

    has_imu: bool
    ego_SE3_velo: SE3
    ego_SE3_rect: SE3
    intrinsics: dict[str, Float[np.ndarray, "3 3"]]
    ego_SE3_cam: dict[str, SE3]


@dataclass(frozen=True, eq=False)
class RectCamera:
    """What a result in KITTI's format needs of a log.

    Attributes:
        rect_SE3_ego: ego frame → rectified camera frame.
        projection: `P2`, rectified camera frame → pixels of the left colour image.
        width: of that image, pixels, where the log knows it.
        height: likewise.
    """

    rect_SE3_ego: SE3
    projection: Float[np.ndarray, "3 4"]
    width: int | None
    height: int | None


def read_calibration(path: Path) -> Calibration:
    """Read `calib/NNNN.txt`.

    Raises:
        LogFormatError: it is missing, a matrix is missing, repeated or not what it must be.
    """
    values = _values(path)
    for name in ("P2", "rect", "velo"):
        if name not in values:
            raise LogFormatError(f"{path} has no {' or '.join(SPELLINGS[name])}: {AGAIN}")
    rect_SE3_cam = _rigid(np.column_stack([values["rect"].reshape(3, 3), np.zeros(3)]), path, "rect")
    rect_SE3_velo = rect_SE3_cam @ _rigid(values["velo"].reshape(3, 4), path, "velo")
    velo_SE3_ego = _rigid(values["imu"].reshape(3, 4), path, "imu") if "imu" in values else SE3.identity()
    ego_SE3_rect = (rect_SE3_velo @ velo_SE3_ego).inverse()
    intrinsics, mountings = (
        {RECT_SENSOR: _pinhole(values.get("P0", values["P2"]), path)[0]},
        {RECT_SENSOR: ego_SE3_rect},
    )
    for camera, key in CAMERAS.items():
        if camera != RECT_SENSOR and key in values:
            intrinsics[camera], offset_m = _pinhole(values[key], path)
            mountings[camera] = ego_SE3_rect @ SE3(np.eye(3), -offset_m)
    return Calibration("imu" in values, velo_SE3_ego.inverse(), ego_SE3_rect, intrinsics, mountings)


def rect_mounting(sensor_data: pa.Table) -> SE3 | None:
    """The rectified camera frame of a log read from KITTI; None where the log has none.

    Raises:
        CalibrationError: the mounting is not a pose.
    """
    row = _first(sensor_data, RECT_SENSOR)
    return None if row is None else pose_from_struct(row["ego_SE3_sensor"])


def rect_camera(sensor_data: pa.Table) -> RectCamera:
    """The frame and projection that KITTI's results are in, from a log's `sensor_data`.

    Raises:
        CalibrationError: the log has no such cameras: it was not read from KITTI.
    """
    ego_SE3_rect, left = rect_mounting(sensor_data), _first(sensor_data, LEFT_COLOUR)
    if ego_SE3_rect is None or left is None:
        log_ids = sensor_data["log_id"].slice(0, 1).to_pylist()
        raise CalibrationError(
            f"log {log_ids[0] if log_ids else ''!r} has no cameras {RECT_SENSOR} and {LEFT_COLOUR}, so it has no KITTI frame: "
            "use a log ingested with --format kitti"
        )
    offset_m = pose_from_struct(left["ego_SE3_sensor"]).inverse() @ ego_SE3_rect.translation_m
    intrinsics = np.array(left["intrinsics"], dtype=np.float64).reshape(3, 3)
    projection = intrinsics @ np.column_stack([np.eye(3), offset_m])
    return RectCamera(ego_SE3_rect.inverse(), projection, left["width"], left["height"])


def _first(sensor_data: pa.Table, sensor: str) -> dict[str, Any] | None:
    """The first row of a sensor; of those with an image size, where there are such."""
    rows = sensor_data.filter(pc.equal(sensor_data["sensor"], sensor))
    sized = rows.filter(pc.is_valid(rows["width"])) if rows.num_rows else rows
    found: list[dict[str, Any]] = (sized if sized.num_rows else rows).slice(0, 1).to_pylist()
    return found[0] if found else None


def _values(path: Path) -> dict[str, Float[np.ndarray, "k"]]:
    """Numbers of each matrix under our own names."""
    own = {spelling: name for name, spellings in SPELLINGS.items() for spelling in spellings}
    values: dict[str, np.ndarray] = {}
    for number, line in enumerate(_lines(path), start=1):
        key, *words = line.split() or [""]
        name = own.get(key.rstrip(":"))
        if name is None:
            continue
        if name in values:
            raise LogFormatError(f"{path}, line {number}: {key!r} is given twice: delete one")
        values[name] = _numbers(words, 9 if name == "rect" else 12, f"{path}, line {number}: {key!r}")
    return values


def _lines(path: Path) -> list[str]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise LogFormatError(f"{path} is too large for a calibration: {AGAIN}")
        return path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise LogFormatError(f"{path} cannot be read as text ({error}): {AGAIN}") from error


def _numbers(words: list[str], count: int, where: str) -> Float[np.ndarray, "k"]:
    try:
        numbers = np.array([float(word) for word in words])
    except ValueError as error:
        raise LogFormatError(f"{where} holds a word that is not a number: {AGAIN}") from error
    if len(numbers) != count or not (np.abs(numbers) < 1e7).all():
        raise LogFormatError(f"{where} must have {count} finite numbers: {AGAIN}")
    return numbers


def _rigid(matrix: Float[np.ndarray, "3 4"], path: Path, name: str) -> SE3:
    """A printed transform, its rotation made exactly one."""
    rotation = matrix[:, :3]
    if np.abs(rotation @ rotation.T - np.eye(3)).max() > ORTHONORMAL or np.linalg.det(rotation) < 0:
        raise LogFormatError(f"{path}: {' or '.join(SPELLINGS[name])} is not a rotation: {AGAIN}")
    return SE3(Rotation.from_matrix(rotation).as_matrix(), matrix[:, 3])


def _pinhole(numbers: Float[np.ndarray, "12"], path: Path) -> tuple[np.ndarray, np.ndarray]:
    """`K` and `t` of `P = K [I | t]`, pixels and metres."""
    projection = numbers.reshape(3, 4)
    intrinsics = projection[:, :3]
    if min(intrinsics[0, 0], intrinsics[1, 1]) <= 0 or (intrinsics[[1, 2, 2, 2], [0, 0, 1, 2]] != [0, 0, 0, 1]).any():
        raise LogFormatError(f"{path}: a matrix P must begin with [f s c; 0 f c; 0 0 1] and f > 0: {AGAIN}")
    return intrinsics, np.linalg.solve(intrinsics, projection[:, 3])
