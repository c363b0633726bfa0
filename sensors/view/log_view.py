"""What of a log is to be shown: its tables, cut into frames and checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int

from drive_vqa.errors import LogFormatError
from drive_vqa.geometry import SE3
from drive_vqa.schema import pose_from_struct
from drive_vqa.store import Store
from sensors.detection.sweeps import load_sweep
from sensors.views import ego_poses

Row = dict[str, Any]
BOX_COLUMNS = ("x_m", "y_m", "z_m", "length_m", "width_m", "height_m", "yaw_rad")
TRACK_COLUMNS = ("frame", "track_id", "category", *BOX_COLUMNS, "vx_mps", "vy_mps", "cameras", "source", "observed")


@dataclass(frozen=True, eq=False)
class MapLine:
    """One element of the map, global frame."""

    kind: str
    closed: bool
    global_xyz_m: Float[np.ndarray, "n 3"]


@dataclass(frozen=True, eq=False)
class LogView:
    """One log in a form to draw it from.

    Attributes:
        store: that it is in.
        log_id: its name.
        frames: their numbers, in time order.
        timestamps_ns: of the frames.
        speeds_mps: of the ego at the frames; NaN where unknown.
        global_SE3_ego: pose at each frame by its number; None for a log without poses.
        tracks: rows of the track table by frame; those with unusable boxes are left out.
        captures: rows of `sensor_data` by frame; empty for frames without.
        map_lines: empty where the log has no map or no poses.
        source_format: of the log's files.
    """

    store: Store
    log_id: str
    frames: Int[np.ndarray, "f"]
    timestamps_ns: Int[np.ndarray, "f"]
    speeds_mps: Float[np.ndarray, "f"]
    global_SE3_ego: Mapping[int, SE3] | None
    tracks: Mapping[int, list[Row]]
    captures: Mapping[int, list[Row]]
    map_lines: tuple[MapLine, ...]
    source_format: str

    @classmethod
    def read(cls, store: Store, log_id: str) -> LogView:
        """Read what is to be shown of one log.

        Raises:
            StoreError: the log has no frames or tracks.
            LogFormatError: it has no frame at all.
            CalibrationError: a pose is unusable.
        """
        frames = store.read("frames", log_id).sort_by("timestamp_ns")
        if not frames.num_rows:
            raise LogFormatError(f"log {log_id} of {store.root} has no frame: ingest it again")
        poses = ego_poses(frames)
        return cls(
            store=store,
            log_id=log_id,
            frames=frames["frame"].to_numpy(),
            timestamps_ns=frames["timestamp_ns"].to_numpy(),
            speeds_mps=frames["speed_mps"].to_numpy(zero_copy_only=False).astype(np.float64),
            global_SE3_ego=poses,
            tracks=_by_frame([row for row in store.read("tracks", log_id, TRACK_COLUMNS).to_pylist() if _usable(row)]),
            captures=_by_frame(store.read("sensor_data", log_id).to_pylist()),
            map_lines=_map_lines(store, log_id) if poses is not None else (),
            source_format=str(store.read("logs", log_id)["source_format"][0].as_py()),
        )

    @property
    def interval_s(self) -> float:
        """The usual time from frame to frame; 0.5 s for a log of one frame."""
        if len(self.timestamps_ns) < 2:
            return 0.5
        return float(np.median(np.diff(self.timestamps_ns))) * 1e-9

    def files(self, frame: int, modality: str) -> list[Row]:
        """Captures of a frame that have a file."""
        return [row for row in self.captures.get(frame, []) if row["modality"] == modality and row["path"] is not None]

    def sweep(self, row: Row) -> Float[np.ndarray, "n 3"]:
        """Points of a lidar capture in the ego frame of its frame, metres.

        Raises:
            StoreError: the file is missing.
            LogFormatError: it is damaged, or of a format without lidar.
        """
        path = self.store.media_path(self.log_id, row["path"])
        pose = None if row["global_SE3_ego"] is None else pose_from_struct(row["global_SE3_ego"])
        points_m = load_sweep(self.source_format, path, pose_from_struct(row["ego_SE3_sensor"]), pose)
        return np.asarray(self.ego_from_capture(row) @ points_m)

    def ego_from_capture(self, row: Row) -> SE3:
        """From the ego frame at a capture's own time to that of its frame."""
        if self.global_SE3_ego is None or row["global_SE3_ego"] is None:
            return SE3.identity()
        return self.global_SE3_ego[row["frame"]].inverse() @ pose_from_struct(row["global_SE3_ego"])

    def cameras(self) -> list[str]:
        """Names of the cameras that have images, sorted."""
        rows = (row for rows in self.captures.values() for row in rows)
        return sorted({row["sensor"] for row in rows if row["modality"] == "camera" and row["path"] is not None})


def _by_frame(rows: list[Row]) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = {}
    for row in rows:
        found.setdefault(row["frame"], []).append(row)
    return found


def _usable(row: Row) -> bool:
    values = [row[name] for name in BOX_COLUMNS]
    return all(value is not None and math.isfinite(value) and abs(value) < 1e6 for value in values)


def _map_lines(store: Store, log_id: str) -> tuple[MapLine, ...]:
    if not store.path("map_elements", log_id).exists():
        return ()
    return tuple(line for line in map(_map_line, _map_rows(store.read("map_elements", log_id))) if line is not None)


def _map_rows(table: pa.Table) -> list[Row]:
    return list(table.select(["kind", "closed", "x_m", "y_m", "z_m"]).to_pylist())


def _map_line(row: Row) -> MapLine | None:
    """None for an element without two finite points."""
    x_m, y_m = (np.array(row[name] or [], dtype=np.float64) for name in ("x_m", "y_m"))
    z_m = np.zeros_like(x_m) if row["z_m"] is None else np.array(row["z_m"], dtype=np.float64)
    if not len(x_m) == len(y_m) == len(z_m):
        return None
    xyz_m = np.stack([x_m, y_m, z_m], axis=1)
    xyz_m = xyz_m[np.isfinite(xyz_m).all(axis=1)]
    return MapLine(row["kind"], bool(row["closed"]), xyz_m) if len(xyz_m) > 1 else None
