"""Labelled boxes → ego-frame tracks: motion from neighbouring labels, and what each camera sees of every box."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float, Int
from scipy.spatial.transform import Rotation

from drive_vqa.errors import CalibrationError, LogFormatError
from drive_vqa.geometry import SE3, angle_rad
from drive_vqa.schema import POSE, TABLES
from sensors.camera import OrientedBoxes
from sensors.kinematics import SPARSE_INTERVAL_S, estimate_motions, unordered_row
from sensors.lidar_occlusion import LidarReturns
from sensors.views import camera_views, ego_poses, has_cameras, view_columns

logger = logging.getLogger(__name__)

EGO_REACH_M = 3.0
"""A box around the ego's origin, its centre less than this above or below it, is the ego itself."""
COPIED = ("log_id", "frame", "timestamp_ns", "track_id", "category", "source_category", "attribute", "observed")
COUNTED = ("lidar_points", "radar_points")


@dataclass(frozen=True, eq=False)
class LabelledBoxes:
    """The annotations of one log as columns, sorted by frame and track.

    Attributes:
        rows: the annotation table in that order.
        frame: frame of each box.
        timestamp_ns: of the label.
        track_id: of the object.
        ego_boxes: in the ego frame of their frames.
    """

    rows: pa.Table
    frame: Int[np.ndarray, "n"]
    timestamp_ns: Int[np.ndarray, "n"]
    track_id: np.ndarray
    ego_boxes: OrientedBoxes

    def take(self, keep: Bool[np.ndarray, "n"]) -> LabelledBoxes:
        """Some of them."""
        columns = (self.frame[keep], self.timestamp_ns[keep], self.track_id[keep])
        return LabelledBoxes(self.rows.filter(pa.array(keep)), *columns, self.ego_boxes.take(keep))


@dataclass(frozen=True, eq=False)
class BoxMotion:
    """Motion of each box over ground; NaN where unknown.

    Attributes:
        ego_velocity_mps: in the axes of the ego frame.
        yaw_rate_radps: counter-clockwise positive.
        accel_mps2: along the velocity.
    """

    ego_velocity_mps: Float[np.ndarray, "n 3"]
    yaw_rate_radps: Float[np.ndarray, "n"]
    accel_mps2: Float[np.ndarray, "n"]


def tracks_from_annotations(
    annotations: pa.Table, frames: pa.Table, sensor_data: pa.Table, lidar: LidarReturns | None = None
) -> pa.Table:
    """The track table of one log, sorted by frame and track.

    Args:
        annotations: labelled boxes; those around the ego's own origin are the ego and left out.
        frames: the ego's pose at each frame; without poses all motion over ground is null.
        sensor_data: captures; those of cameras are used.
        lidar: sweeps of the log, to see what hides a box; None: only boxes hide each other.

    Raises:
        LogFormatError: no annotations, a frame that is not in `frames`, or two labels of one track in a frame.
        CalibrationError: a pose, a camera or a box is unusable.
    """
    boxes = _labelled_boxes(annotations)
    _check_frames(boxes, frames)
    boxes = _without_ego(boxes)
    global_SE3_ego = ego_poses(frames)
    motion = _motion(boxes, global_SE3_ego, _frame_interval_s(frames))
    views = camera_views(boxes.frame, boxes.ego_boxes, global_SE3_ego, sensor_data, lidar)
    velocity_mps, count = motion.ego_velocity_mps, len(boxes.frame)
    columns = {
        **{name: boxes.rows[name] for name in (*COPIED, *COUNTED)},
        **dict(zip(("x_m", "y_m", "z_m"), boxes.ego_boxes.centre_m.T, strict=True)),
        **dict(zip(("length_m", "width_m", "height_m"), 2.0 * boxes.ego_boxes.half_m.T, strict=True)),
        "yaw_rad": _yaw_rad(boxes.ego_boxes),
        "vx_mps": velocity_mps[:, 0],
        "vy_mps": velocity_mps[:, 1],
        "speed_mps": np.hypot(velocity_mps[:, 0], velocity_mps[:, 1]),
        "yaw_rate_radps": motion.yaw_rate_radps,
        "accel_mps2": motion.accel_mps2,
        "source": np.full(count, "annotated", dtype=object),
        **view_columns(views, count, has_cameras=has_cameras(sensor_data)),
    }
    return track_table(columns, count)


def track_table(columns: Mapping[str, Any], count: int) -> pa.Table:
    """Columns as the tracks table; NaN and absent columns become null."""
    arrays = []
    for field in TABLES["tracks"]:
        values = columns.get(field.name)
        if values is None:
            values = pa.nulls(count, field.type)
        elif isinstance(values, np.ndarray):
            values = pa.array(np.ascontiguousarray(values), type=field.type, from_pandas=True)
        arrays.append(values)
    return pa.table(arrays, schema=TABLES["tracks"])


def _labelled_boxes(annotations: pa.Table) -> LabelledBoxes:
    if annotations.num_rows == 0:
        raise LogFormatError("the log has no annotated boxes: ingest a source with labelled boxes")
    rows = annotations.sort_by([("frame", "ascending"), ("track_id", "ascending")]).combine_chunks()
    frame, track_id = rows["frame"].to_numpy(), rows["track_id"].to_numpy()
    twice = np.nonzero((frame[1:] == frame[:-1]) & (track_id[1:] == track_id[:-1]))[0]
    if len(twice):
        raise LogFormatError(
            f"{_where(rows, int(twice[0]))} is labelled twice in this frame: one label a track and frame"
        )
    return LabelledBoxes(rows, frame, rows["timestamp_ns"].to_numpy(), track_id, _ego_boxes(rows))


def _ego_boxes(rows: pa.Table) -> OrientedBoxes:
    pose = rows["ego_SE3_box"].combine_chunks()
    values = {name: pose.field(name).to_numpy(zero_copy_only=False) for name in (field.name for field in POSE)}
    quaternion = np.stack([values[name] for name in ("qx", "qy", "qz", "qw")], axis=1)
    centre_m = np.stack([values[name] for name in ("tx_m", "ty_m", "tz_m")], axis=1)
    size_m = np.stack([rows[name].to_numpy() for name in ("length_m", "width_m", "height_m")], axis=1)
    norm = np.linalg.norm(quaternion, axis=1)
    usable = (norm > 1e-6) & np.isfinite(norm) & np.isfinite(centre_m).all(axis=1) & (size_m > 0).all(axis=1)
    broken = np.nonzero(~(usable & np.isfinite(size_m).all(axis=1)))[0]
    if len(broken):
        raise CalibrationError(
            f"{_where(rows, int(broken[0]))} has a box that is not finite or has no volume: correct it in the source"
        )
    return OrientedBoxes(centre_m, Rotation.from_quat(quaternion / norm[:, None]).as_matrix(), 0.5 * size_m)


def _where(rows: pa.Table, index: int) -> str:
    row = rows.slice(index, 1).to_pylist()[0]
    return f"log {row['log_id']}, frame {row['frame']}: track {row['track_id']}"


def _check_frames(boxes: LabelledBoxes, frames: pa.Table) -> None:
    lost = np.flatnonzero(~np.isin(boxes.frame, frames["frame"].to_numpy()))
    if len(lost):
        raise LogFormatError(
            f"{_where(boxes.rows, int(lost[0]))} is labelled, but the log has no such frame: ingest the log again"
        )


def _yaw_rad(boxes: OrientedBoxes) -> Float[np.ndarray, "n"]:
    return np.asarray(angle_rad(boxes.rotation[:, 1, 0], boxes.rotation[:, 0, 0]))


def _without_ego(boxes: LabelledBoxes) -> LabelledBoxes:
    """Leave out tracks around the ego's origin in all their frames: some data sets label the ego, under various names."""
    ego_boxes = boxes.ego_boxes
    origin = np.einsum("nij,ni->nj", ego_boxes.rotation, -ego_boxes.centre_m)
    around = (np.abs(origin[:, :2]) <= ego_boxes.half_m[:, :2]).all(axis=1)
    around &= np.abs(ego_boxes.centre_m[:, 2]) < EGO_REACH_M
    ego = ~np.isin(boxes.track_id, np.unique(boxes.track_id[~around]))
    if ego.any():
        logger.info("left out as the ego itself: %s", ", ".join(np.unique(boxes.track_id[ego]).tolist()))
    return boxes.take(~ego)


def _frame_interval_s(frames: pa.Table) -> float:
    timestamp_ns = np.sort(frames["timestamp_ns"].to_numpy())
    return float(np.median(np.diff(timestamp_ns))) * 1e-9 if len(timestamp_ns) > 1 else 2.0 * SPARSE_INTERVAL_S


def _motion(boxes: LabelledBoxes, global_SE3_ego: Mapping[int, SE3] | None, frame_interval_s: float) -> BoxMotion:
    """Motion over ground from each track's neighbouring labels; unknown without ego poses."""
    count = len(boxes.frame)
    if global_SE3_ego is None or not count:
        return BoxMotion(np.full((count, 3), np.nan), np.full(count, np.nan), np.full(count, np.nan))
    ego_index = np.searchsorted(list(global_SE3_ego), boxes.frame)
    rotation = np.stack([pose.rotation for pose in global_SE3_ego.values()])[ego_index]
    origin_m = np.stack([pose.translation_m for pose in global_SE3_ego.values()])[ego_index]
    global_xyz_m = np.einsum("nij,nj->ni", rotation, boxes.ego_boxes.centre_m) + origin_m
    forward = np.einsum("nij,nj->ni", rotation, boxes.ego_boxes.rotation[:, :, 0])
    moved = _global_motion(boxes, global_xyz_m, angle_rad(forward[:, 1], forward[:, 0]), frame_interval_s)
    return replace(moved, ego_velocity_mps=np.einsum("nji,nj->ni", rotation, moved.ego_velocity_mps))


def _global_motion(
    boxes: LabelledBoxes,
    global_xyz_m: Float[np.ndarray, "n 3"],
    yaw_rad: Float[np.ndarray, "n"],
    frame_interval_s: float,
) -> BoxMotion:
    """As `BoxMotion`, but the velocity still in global axes."""
    track = np.unique(boxes.track_id, return_inverse=True)[1]
    order = np.argsort(track, kind="stable")  # by track, and by frame within it
    track, timestamp_ns = track[order], boxes.timestamp_ns[order]
    late = unordered_row(track, timestamp_ns)
    if late is not None:
        raise LogFormatError(
            f"{_where(boxes.rows, int(order[late]))}: two labels of it have the same time or are out of order: correct the time "
            "stamps in the source"
        )
    motion = estimate_motions(track, timestamp_ns, global_xyz_m[order], yaw_rad[order], frame_interval_s)
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return BoxMotion(motion.velocity_mps[back], motion.yaw_rate_radps[back], motion.accel_mps2[back])
