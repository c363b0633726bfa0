"""Point files of each format: a loader gives a lidar sweep in the ego frame at capture time, or a radar capture in its own frame.

A format keeps its points in one of three frames: the sensor's (nuScenes, KITTI), the ego's (Argoverse 2) or the world's
(PandaSet).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from drive_vqa.errors import LogFormatError
from drive_vqa.geometry import SE3
from sensors.readers.nuscenes_points import read_lidar, read_radar

AGAIN = "get the file again from its publisher"
MAX_BYTES = 256 << 20


@dataclass(frozen=True, eq=False)
class RadarReturns:
    """One radar capture in the frame of the radar.

    Attributes:
        xy_m: positions.
        compensated_mps: velocity over ground along the ray.
        dyn_prop: nuScenes' dynamic property.
        rcs_dbsm: radar cross section.
    """

    xy_m: Float[np.ndarray, "n 2"]
    compensated_mps: Float[np.ndarray, "n 2"]
    dyn_prop: Int[np.ndarray, "n"]
    rcs_dbsm: Float[np.ndarray, "n"]


LidarLoader = Callable[[Path, SE3, SE3 | None], Float[np.ndarray, "n 3"]]
"""Takes the file, ego_SE3_sensor and global_SE3_ego at capture time; gives points in the ego frame."""


def load_sweep(
    source_format: str, path: Path, ego_SE3_sensor: SE3, global_SE3_ego: SE3 | None
) -> Float[np.ndarray, "n 3"]:
    """Points of a lidar sweep, metres, ego frame at capture time.

    Raises:
        LogFormatError: no loader for the format, the file is damaged, or it needs an ego pose that the log has not.
    """
    if source_format not in LIDAR_LOADERS:
        raise LogFormatError(f"{path}: no lidar loader for format {source_format!r}: have {', '.join(LIDAR_LOADERS)}")
    if path.stat().st_size > MAX_BYTES:
        raise LogFormatError(f"{path} has more than {MAX_BYTES >> 20} MiB, which is no sweep: {AGAIN}")
    return LIDAR_LOADERS[source_format](path, ego_SE3_sensor, global_SE3_ego)


def load_radar(source_format: str, path: Path) -> RadarReturns:
    """Returns of a radar capture, in its own frame.

    Raises:
        LogFormatError: no loader for the format, or the file is damaged.
    """
    if source_format not in RADAR_LOADERS:
        raise LogFormatError(f"{path}: no radar loader for format {source_format!r}: have {', '.join(RADAR_LOADERS)}")
    return RADAR_LOADERS[source_format](path)


def _nuscenes_lidar(path: Path, ego_SE3_sensor: SE3, global_SE3_ego: SE3 | None) -> Float[np.ndarray, "n 3"]:
    del global_SE3_ego
    return ego_SE3_sensor @ read_lidar(path)[:, :3]


def _kitti_lidar(path: Path, ego_SE3_sensor: SE3, global_SE3_ego: SE3 | None) -> Float[np.ndarray, "n 3"]:
    from sensors.readers.kitti import read_velodyne

    del global_SE3_ego
    return ego_SE3_sensor @ read_velodyne(path)[:, :3]


def _pandaset_lidar(path: Path, ego_SE3_sensor: SE3, global_SE3_ego: SE3 | None) -> Float[np.ndarray, "n 3"]:
    from sensors.readers.pandaset import read_sweep

    del ego_SE3_sensor
    if global_SE3_ego is None:
        raise LogFormatError(f"{path} holds points in the world frame, and the log has no ego pose: ingest it again")
    return global_SE3_ego.inverse() @ read_sweep(path)


def _av2_lidar(path: Path, ego_SE3_sensor: SE3, global_SE3_ego: SE3 | None) -> Float[np.ndarray, "n 3"]:
    from sensors.readers.av2 import read_sweep

    del ego_SE3_sensor, global_SE3_ego
    return read_sweep(path)


def _nuscenes_radar(path: Path) -> RadarReturns:
    """Only what nuscenes-devkit keeps by default: valid and not ambiguous."""
    echoes = read_radar(path)
    sure = (echoes.invalid_state == 0) & (echoes.ambig_state == 3)
    return RadarReturns(
        echoes.xyz_m[sure, :2], echoes.ground_velocity_mps[sure], echoes.dyn_prop[sure], echoes.rcs_dbsm[sure]
    )


LIDAR_LOADERS: dict[str, LidarLoader] = {
    "nuscenes": _nuscenes_lidar,
    "kitti": _kitti_lidar,
    "pandaset": _pandaset_lidar,
    "av2": _av2_lidar,
}
"""By `logs.source_format`."""

RADAR_LOADERS: dict[str, Callable[[Path], RadarReturns]] = {"nuscenes": _nuscenes_radar}
"""By `logs.source_format`."""
