"""What a reader returns: one driving log as tables, and the small handle that names it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from drive_vqa.errors import LogFormatError
from drive_vqa.geometry import angle_rad
from drive_vqa.schema import TABLES, table_from_rows

LOG_TABLES = ("logs", "frames", "sensor_data", "annotations", "map_elements")
"""What a reader gives."""


@dataclass(frozen=True)
class LogHandle:
    """Names one log of a source; small and picklable, a worker opens it.

    Attributes:
        log_id: name of the log in the store.
        source_format: key of `sensors.reader.FORMATS`.
        root: folder that the paths in `sensor_data` are relative to.
        digest: what the source holds, as a hash; equal content gives an equal digest wherever it lies.
        version: folder of the tables inside `root` (nuScenes) or the file (ScenarioNet); empty for other formats.
    """

    log_id: str
    source_format: str
    root: Path
    digest: str
    version: str = ""


@dataclass(frozen=True)
class DrivingLog:
    """One log as tables of `drive_vqa.schema`; `logs.source_root` is null until a store is chosen.

    A table of what the data set lacks is empty.

    Raises:
        LogFormatError: a table does not have the columns of its schema.
    """

    logs: pa.Table
    frames: pa.Table
    sensor_data: pa.Table
    annotations: pa.Table
    map_elements: pa.Table

    def __post_init__(self) -> None:
        for name in LOG_TABLES:
            if not getattr(self, name).schema.equals(TABLES[name]):
                raise LogFormatError(f"the reader's table {name!r} does not follow drive_vqa.schema: mend the reader")

    @classmethod
    def from_rows(
        cls,
        log: Mapping[str, Any],
        frames: Sequence[Mapping[str, Any]],
        sensor_data: Sequence[Mapping[str, Any]],
        annotations: Sequence[Mapping[str, Any]],
        map_elements: Sequence[Mapping[str, Any]] = (),
    ) -> DrivingLog:
        """Build the tables from rows, adding the log's name (`log["log_id"]`) to every one."""
        name = {"log_id": log["log_id"]}
        return cls(
            logs=table_from_rows("logs", [dict(log)]),
            frames=table_from_rows("frames", [{**name, **row} for row in frames]),
            sensor_data=table_from_rows("sensor_data", [{**name, **row} for row in sensor_data]),
            annotations=table_from_rows("annotations", [{**name, **row} for row in annotations]),
            map_elements=table_from_rows("map_elements", [{**name, **row} for row in map_elements]),
        )


def pose_rows(
    quaternions_wxyz: Float[np.ndarray, "n 4"], translations_m: Float[np.ndarray, "n 3"], where: str
) -> list[dict[str, float]]:
    """Poses as `POSE` structs: quaternions normalized with w ≥ 0, metres.

    Args:
        quaternions_wxyz: need not have unit norm.
        translations_m: origins.
        where: file that they come from, for the message.

    Raises:
        LogFormatError: a value is not finite or a quaternion is 0.
    """
    norm = np.linalg.norm(quaternions_wxyz, axis=-1)
    usable = np.isfinite(quaternions_wxyz).all(-1) & np.isfinite(translations_m).all(-1) & (norm > 1e-6)
    if not usable.all():
        raise LogFormatError(
            f"{where}: pose {int(np.argmin(usable))} is not finite or has a zero quaternion: mend that record"
        )
    sign = np.where(quaternions_wxyz[:, 0] < 0, -1.0, 1.0)
    unit = quaternions_wxyz * (sign / norm)[:, None] + 0.0  # + 0.0 turns -0.0 into 0.0
    names = ("qw", "qx", "qy", "qz", "tx_m", "ty_m", "tz_m")
    values = np.concatenate([unit, translations_m], axis=-1).tolist()
    return [dict(zip(names, row, strict=True)) for row in values]


def ego_motion(
    timestamps_ns: Int[np.ndarray, "n"], translations_m: Float[np.ndarray, "n 3"], yaws_rad: Float[np.ndarray, "n"]
) -> list[dict[str, float | None]]:
    """Speed over ground, acceleration along it and yaw rate of the ego at each frame.

    Central finite differences, second order for uneven steps (`numpy.gradient`); one-sided at both ends; null for one frame.

    Args:
        timestamps_ns: strictly increasing.
        translations_m: ego origins, global frame.
        yaws_rad: ego headings, global frame.
    """
    if len(timestamps_ns) < 2:
        return [{"speed_mps": None, "accel_mps2": None, "yaw_rate_radps": None} for _ in timestamps_ns]
    time_s = (timestamps_ns - timestamps_ns[0]) * 1e-9
    velocity_mps = np.gradient(translations_m[:, :2], time_s, axis=0)
    speed_mps = np.hypot(velocity_mps[:, 0], velocity_mps[:, 1])
    accel_mps2 = np.gradient(speed_mps, time_s)
    yaw_rate_radps = np.gradient(np.unwrap(yaws_rad), time_s)
    columns = (speed_mps.tolist(), accel_mps2.tolist(), yaw_rate_radps.tolist())
    names = ("speed_mps", "accel_mps2", "yaw_rate_radps")
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def yaws_from_quaternions(quaternions_wxyz: ArrayLike) -> Float[np.ndarray, "n"]:
    """Direction of each frame's x axis in the x-y plane, (-π, π]."""
    w, x, y, z = np.asarray(quaternions_wxyz, dtype=np.float64).reshape(-1, 4).T
    return np.asarray(angle_rad(2 * (w * z + x * y), w * w + x * x - y * y - z * z))


def check_increasing(timestamps_ns: Int[np.ndarray, "n"], where: str) -> None:
    """Refuse frames that are not in time order.

    Raises:
        LogFormatError: a time stamp is not after the one before it.
    """
    late = np.flatnonzero(np.diff(timestamps_ns) <= 0)
    if late.size:
        raise LogFormatError(
            f"{where}: frame {int(late[0]) + 1} is not later than the one before it: mend its time stamp"
        )


def relative_path(filename: str, where: str) -> str:
    """A file name from a log, checked to lie inside the source folder; POSIX.

    Raises:
        LogFormatError: it is empty, absolute, or climbs out.
    """
    pure = PurePosixPath(filename)
    if not pure.parts or pure.is_absolute() or ".." in pure.parts or "\\" in filename or "\0" in filename:
        raise LogFormatError(
            f"{where}: file name {filename!r} must be relative and inside the source folder: mend that record"
        )
    return pure.as_posix()
