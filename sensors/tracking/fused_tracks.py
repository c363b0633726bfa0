"""Detections of a log → its ego-frame tracks: filter, smoother, selection, and the track table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float, Int
from scipy.special import expit

from drive_vqa.geometry import angle_rad, wrap_rad
from drive_vqa.schema import TABLES
from sensors.annotated_tracks import track_table
from sensors.camera import OrientedBoxes
from sensors.lidar_occlusion import LidarReturns
from sensors.tracking.history import Steps
from sensors.tracking.lifecycle import Kept, facing, keep_tracks, with_enough_boxes
from sensors.tracking.motion import TURN, VX, VY
from sensors.tracking.scans import BOX_3D, CATEGORY_NAMES, EgoPath, Scan, read_scans
from sensors.tracking.settings import TrackerSettings
from sensors.tracking.smoother import smooth
from sensors.tracking.tracker import run_filter
from sensors.views import camera_views, ego_poses, has_cameras, view_columns

STATE_OF_COVARIANCE = (0, 1, VX, VY)
FIRST = ("timestamp_ns", "kind", "sensor")
ORDER = (*FIRST, *(name for name in TABLES["detections"].names if name not in FIRST))


def tracks_from_detections(
    detections: pa.Table,
    frames: pa.Table,
    sensor_data: pa.Table,
    settings: TrackerSettings,
    lidar: LidarReturns | None = None,
) -> pa.Table:
    """The track table of one log, sorted by frame and track.

    Args:
        detections: measurements of any sensors; their order does not matter.
        frames: the ego's pose at each frame; without poses velocities are not over ground, and null.
        sensor_data: calibrations and ego poses of the sensors that measured, and the cameras that look.
        settings: of the tracker.
        lidar: sweeps of the log, to see what hides a box; None: only boxes hide each other.

    Raises:
        LogFormatError: a detection is unusable.
        CalibrationError: a pose or a calibration is.
    """
    detections = detections.sort_by([(name, "ascending") for name in ORDER])  # so that the order given does not matter
    path = EgoPath.of(frames)
    scans = read_scans(detections, frames, sensor_data, settings.box)
    steps = run_filter(scans, settings, over_ground=path.has_poses).steps()
    if steps is None:
        return track_table({}, 0)
    steps = with_enough_boxes(steps, settings.min_hits)
    if not len(steps.track):
        return track_table({}, 0)
    if settings.smooth:
        steps = smooth(steps)
    kept = _keep(steps, scans, detections.num_rows)
    yaw_rad = facing(kept, _per_row(scans, "yaw_rad", detections.num_rows), over_ground=path.has_poses)
    return _table(kept, yaw_rad, scans, path, detections, frames, sensor_data, lidar)


def _keep(steps: Steps, scans: Sequence[Scan], count: int) -> Kept:
    boxed = np.array([scan.kind == BOX_3D for scan in scans])
    category = _per_row(scans, "category", count).astype(np.int64)
    return keep_tracks(steps, _per_row(scans, "log_odds", count), category, boxed)


def _per_row(scans: Sequence[Scan], name: str, count: int) -> Float[np.ndarray, "d"]:
    """A column of the 3D boxes, back in the order of the detections table; 0 for other kinds."""
    values = np.zeros(count)
    for scan in scans:
        if scan.boxes is not None:
            values[scan.boxes.row] = getattr(scan.boxes, name)
    return values


def _table(
    kept: Kept,
    yaw_rad: Float[np.ndarray, "n"],
    scans: Sequence[Scan],
    path: EgoPath,
    detections: pa.Table,
    frames: pa.Table,
    sensor_data: pa.Table,
    lidar: LidarReturns | None,
) -> pa.Table:
    stamps = np.array([scan.timestamp_ns for scan in scans], dtype=np.int64)
    chosen, place = _at_frames(kept.steps, stamps, path.timestamps_ns)
    numbers = np.unique(kept.steps.track, return_inverse=True)[1]
    order = np.lexsort((numbers[chosen], place))
    chosen, place = chosen[order], place[order]
    steps, count = kept.steps.take(chosen), len(chosen)
    boxes, ego_velocity_mps, covariance = _in_ego(steps, yaw_rad[chosen], place, path)
    speed_mps = np.hypot(ego_velocity_mps[:, 0], ego_velocity_mps[:, 1])
    frame = frames["frame"].to_numpy()[place]
    names = np.array(CATEGORY_NAMES, dtype=object)[kept.category[chosen]]
    track_id = np.array([f"{number:05d}" for number in numbers[chosen]], dtype=object)
    views = camera_views(frame, boxes, ego_poses(frames), sensor_data, lidar)
    columns: dict[str, Any] = {
        "log_id": np.full(count, frames["log_id"][0].as_py(), dtype=object),
        "frame": frame,
        "timestamp_ns": path.timestamps_ns[place],
        "track_id": track_id,
        "category": names,
        **dict(zip(("x_m", "y_m", "z_m"), boxes.centre_m.T, strict=True)),
        **dict(zip(("length_m", "width_m", "height_m"), 2.0 * boxes.half_m.T, strict=True)),
        "yaw_rad": angle_rad(boxes.rotation[:, 1, 0], boxes.rotation[:, 0, 0]),
        "vx_mps": ego_velocity_mps[:, 0],
        "vy_mps": ego_velocity_mps[:, 1],
        "speed_mps": speed_mps,
        "yaw_rate_radps": steps.mean[:, TURN] if path.has_poses else np.full(count, np.nan),
        "accel_mps2": _acceleration(numbers[chosen], path.timestamps_ns[place], speed_mps),
        "covariance": covariance,
        "lidar_points": _lidar_points(kept.steps, stamps, detections).take(pa.array(chosen)),
        "source": np.full(count, "fused", dtype=object),
        "score": expit(kept.log_odds[chosen]),
        "observed": _observed(kept.steps, stamps, path.timestamps_ns)[chosen],
        **view_columns(views, count, has_cameras=has_cameras(sensor_data)),
    }
    return track_table(columns, count)


def _at_frames(
    steps: Steps, stamps_ns: Int[np.ndarray, "s"], frames_ns: Int[np.ndarray, "f"]
) -> tuple[Int[np.ndarray, "m"], Int[np.ndarray, "m"]]:
    """Steps at the time of a frame, the last one of each track there, and the place of the frame."""
    time_ns = stamps_ns[steps.scan]
    place = np.minimum(np.searchsorted(frames_ns, time_ns), len(frames_ns) - 1)
    last = np.r_[_changes(steps, stamps_ns), True][: len(place)]
    chosen = np.flatnonzero((frames_ns[place] == time_ns) & last)
    return chosen, place[chosen]


def _changes(steps: Steps, stamps_ns: Int[np.ndarray, "s"]) -> Bool[np.ndarray, "m"]:
    """Whether the track or the time changes between a step and the next."""
    time_ns = stamps_ns[steps.scan]
    return np.asarray((steps.track[1:] != steps.track[:-1]) | (time_ns[1:] != time_ns[:-1]))


def _in_ego(
    steps: Steps, yaw_rad: Float[np.ndarray, "m"], place: Int[np.ndarray, "m"], path: EgoPath
) -> tuple[OrientedBoxes, Float[np.ndarray, "m 2"], pa.Array]:
    """Boxes, velocities over ground and covariances in the ego frame of each step's frame."""
    rotation = np.stack([pose.rotation for pose in path.track_SE3_ego])[place]
    origin_m = np.stack([pose.translation_m for pose in path.track_SE3_ego])[place]
    centre_m = np.einsum("nji,nj->ni", rotation, np.column_stack([steps.mean[:, :2], steps.shape[:, 0]]) - origin_m)
    ahead = np.einsum("nji,nj->ni", rotation, np.column_stack([np.cos(yaw_rad), np.sin(yaw_rad), 0.0 * yaw_rad]))
    ego_yaw_rad = wrap_rad(angle_rad(ahead[:, 1], ahead[:, 0]))
    cos, sin, zero = np.cos(ego_yaw_rad), np.sin(ego_yaw_rad), np.zeros(len(ego_yaw_rad))
    rows = [[cos, -sin, zero], [sin, cos, zero], [zero, zero, zero + 1.0]]
    upright = np.stack([np.stack(row, axis=-1) for row in rows], axis=1)
    boxes = OrientedBoxes(centre_m, upright, 0.5 * steps.shape[:, 1:])
    turn = rotation[:, :2, :2].transpose(0, 2, 1)
    velocity_mps = np.einsum("nij,nj->ni", turn, steps.mean[:, VX : VY + 1])
    if not path.has_poses:
        velocity_mps = np.full_like(velocity_mps, np.nan)
    return boxes, velocity_mps, _covariance(steps, turn, over_ground=path.has_poses)


def _covariance(steps: Steps, turn: Float[np.ndarray, "m 2 2"], *, over_ground: bool) -> pa.Array:
    """Of x, y, vx, vy in ego axes, row-major; entries of a velocity that is not known are null."""
    part = steps.cov[:, STATE_OF_COVARIANCE][:, :, STATE_OF_COVARIANCE]
    both = np.zeros((len(part), 4, 4))
    both[:, :2, :2] = both[:, 2:, 2:] = turn
    turned = both @ part @ both.transpose(0, 2, 1)
    if not over_ground:
        turned[:, 2:] = turned[:, :, 2:] = np.nan
    values = pa.array(turned.ravel(), from_pandas=True)
    return pa.ListArray.from_arrays(pa.array(np.arange(len(turned) + 1, dtype=np.int32) * 16), values)


def _acceleration(
    track: Int[np.ndarray, "m"], time_ns: Int[np.ndarray, "m"], speed_mps: Float[np.ndarray, "m"]
) -> Float[np.ndarray, "m"]:
    """Change of speed over the neighbouring frames of the same track; NaN for a track of one frame."""
    order = np.lexsort((time_ns, track))
    before, after = np.r_[0, np.arange(len(order) - 1)], np.r_[np.arange(1, len(order)), len(order) - 1]
    before = np.where(track[order[before]] == track[order], before, np.arange(len(order)))
    after = np.where(track[order[after]] == track[order], after, np.arange(len(order)))
    base_s = (time_ns[order[after]] - time_ns[order[before]]) * 1e-9
    change = speed_mps[order[after]] - speed_mps[order[before]]
    accel_mps2 = np.empty(len(order))
    accel_mps2[order] = np.divide(change, base_s, out=np.full(len(order), np.nan), where=base_s > 0)
    return accel_mps2


def _lidar_points(steps: Steps, stamps_ns: Int[np.ndarray, "s"], detections: pa.Table) -> pa.Array:
    """Of the box that each step's track took at that very time, from whatever scan; null where none was."""
    starts = np.r_[0, np.flatnonzero(_changes(steps, stamps_ns)) + 1]
    taken = np.repeat(np.maximum.reduceat(steps.detection, starts), np.diff(np.r_[starts, len(steps.track)]))
    return detections["lidar_points"].combine_chunks().take(pa.array(taken, mask=taken < 0))


def _observed(steps: Steps, stamps_ns: Int[np.ndarray, "s"], frames_ns: Int[np.ndarray, "f"]) -> Bool[np.ndarray, "n"]:
    """Whether a track was measured by any sensor nearer to a step's frame than to any other."""
    middles_ns = (frames_ns[1:] + frames_ns[:-1]) // 2
    frame = np.searchsorted(middles_ns, stamps_ns[steps.scan])
    track = np.unique(steps.track, return_inverse=True)[1]
    key = track * (len(frames_ns) + 1) + frame
    return np.isin(key, key[steps.sensed > 0])
