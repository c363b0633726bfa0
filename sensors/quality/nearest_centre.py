"""A plain tracker to measure others against: greedy, nearest centre first, after CenterPoint.

Each detection is moved back to the time of the track by its own velocity, or by the track's where the detector gives none;
detections in the order of their scores take the nearest free track of their category, if it is near enough; a track without a
detection in more than three frames (that have any) ends. Boxes are the detections themselves, velocities the differences of a
track's positions. Source: Yin et al., "Center-based 3D Object Detection and Tracking", CVPR 2021.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from drive_vqa.errors import StoreError
from drive_vqa.geometry import SE3
from drive_vqa.schema import pose_from_struct, table_from_rows

GATES_M = {
    "car": 4.0,
    "truck": 4.0,
    "bus": 5.5,
    "trailer": 3.0,
    "construction_vehicle": 4.0,
    "emergency_vehicle": 4.0,
    "pedestrian": 1.0,
    "motorcycle": 13.0,
    "bicycle": 3.0,
    "animal": 3.0,
    "traffic_cone": 1.0,
    "barrier": 1.0,
    "other": 1.0,
}
"""How far a track may be from its detection: CenterPoint's for nuScenes, and near kinds' for the categories it lacks."""

MAX_AGE = 3
NS = 1e-9
BOX_COLUMNS = ("x_m", "y_m", "z_m", "length_m", "width_m", "height_m", "yaw_rad")


@dataclass
class _Track:
    """A live track: where it was last seen, in the frame that tracking is done in."""

    name: str
    category: str
    xy_m: Float[np.ndarray, "2"]
    time_s: float
    velocity_mps: Float[np.ndarray, "2"] | None = None
    age: int = 0

    def take(self, xy_m: Float[np.ndarray, "2"], time_s: float) -> None:
        """Go on with a detection."""
        step_s = time_s - self.time_s
        self.velocity_mps = (xy_m - self.xy_m) / step_s if step_s > 0 else None
        self.xy_m, self.time_s, self.age = xy_m, time_s, 0


@dataclass(frozen=True)
class _Seen:
    """The detections of one frame, surest first, in the frame that tracking is done in; NaN: no velocity given."""

    rows: list[dict[str, Any]]
    xy_m: Float[np.ndarray, "n 2"]
    velocity_mps: Float[np.ndarray, "n 2"]
    time_s: float

    @classmethod
    def of(cls, detections: list[dict[str, Any]], instant: dict[str, Any], global_SE3_ego: SE3) -> _Seen:
        rows = sorted(detections, key=_order)
        xyz_m = np.array([[row["x_m"], row["y_m"], row["z_m"]] for row in rows])
        given = [[row["vx_mps"], row["vy_mps"], 0.0] for row in rows]
        velocity_mps = np.array(given, dtype=np.float64) @ global_SE3_ego.rotation.T
        return cls(rows, (global_SE3_ego @ xyz_m)[:, :2], velocity_mps[:, :2], instant["timestamp_ns"] * NS)

    def distances_m(self, tracks: list[_Track]) -> Float[np.ndarray, "n t"]:
        """From each detection, moved back to when a track was seen, to that track; infinite beyond the gate."""
        own_mps = np.array([np.zeros(2) if t.velocity_mps is None else t.velocity_mps for t in tracks])
        since_s = self.time_s - np.array([track.time_s for track in tracks])
        velocity_mps = np.where(np.isnan(self.velocity_mps)[:, None], own_mps[None], self.velocity_mps[:, None])
        back_m = self.xy_m[:, None] - velocity_mps * since_s[None, :, None]
        distance_m = np.linalg.norm(back_m - np.array([track.xy_m for track in tracks])[None], axis=-1)
        category = np.array([row["category"] for row in self.rows])
        gate_m = np.array([GATES_M[name] for name in category])
        same = category[:, None] == np.array([track.category for track in tracks])[None]
        return np.where(same & (distance_m <= gate_m[:, None]), distance_m, np.inf)


def nearest_centre_tracks(detections: pa.Table, frames: pa.Table) -> pa.Table:
    """Track one log's 3D boxes.

    Args:
        detections: table `detections` of the log; rows of other kinds than `box_3d` are not used.
        frames: table `frames` of the log; without poses everything happens in the ego frame.

    Returns:
        table `tracks`, `source` `fused`, one row a detection.

    Raises:
        StoreError: a detection is of a frame that the log has not, or has no category or box.
    """
    by_frame: dict[int, list[dict[str, Any]]] = {frame: [] for frame in frames["frame"].to_pylist()}
    for row in detections.to_pylist():
        if row["kind"] == "box_3d":
            _check(row, by_frame)
            by_frame[row["frame"]].append(row)
    tracker = _Tracker()
    for instant in sorted(frames.to_pylist(), key=lambda row: row["timestamp_ns"]):
        if by_frame[instant["frame"]]:  # a detector may run at a lower rate than the log
            tracker.step(by_frame[instant["frame"]], instant)
    return table_from_rows("tracks", tracker.rows)


def _check(row: dict[str, Any], by_frame: dict[int, list[dict[str, Any]]]) -> None:
    if row["frame"] not in by_frame:
        raise StoreError(f"a detection names frame {row['frame']}, which the log has not: ingest the detections again")
    finite = all(row[name] is not None and np.isfinite(row[name]) for name in BOX_COLUMNS)
    if row["category"] not in GATES_M or not finite:
        raise StoreError(f"a detection of frame {row['frame']} has no category or no box: ingest the detections again")


class _Tracker:
    """Goes through a log frame by frame; `rows` holds what it found."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.live: list[_Track] = []
        self.named = 0

    def step(self, detections: list[dict[str, Any]], instant: dict[str, Any]) -> None:
        """Give each detection of a frame its track."""
        pose = instant["global_SE3_ego"]
        global_SE3_ego = pose_from_struct(pose) if pose is not None else SE3.identity()
        for track in self.live:
            track.age += 1
        known = [track for track in self.live if track.age <= MAX_AGE]
        self.live = list(known)
        seen = _Seen.of(detections, instant, global_SE3_ego)
        distance_m = seen.distances_m(known) if known else np.zeros((len(seen.rows), 0))
        for row, xy_m, distances in zip(seen.rows, seen.xy_m, distance_m, strict=True):
            place = int(np.argmin(distances)) if len(distances) else -1
            if place >= 0 and np.isfinite(distances[place]):
                distance_m[:, place] = np.inf  # taken: `distances` of those to come are views of this
                track = known[place]
                track.take(xy_m, seen.time_s)
            else:
                track = self._born(row["category"], xy_m, seen.time_s)
            self.rows.append(_as_row(row, instant, track, global_SE3_ego))

    def _born(self, category: str, xy_m: Float[np.ndarray, "2"], time_s: float) -> _Track:
        track = _Track(f"{self.named:06d}", category, xy_m, time_s)
        self.named += 1
        self.live.append(track)
        return track


def _order(row: dict[str, Any]) -> tuple[float, ...]:
    """Surest first; equals in an order that does not depend on the table's."""
    score = 0.0 if row["score"] is None else row["score"]
    return (-score, *(row[name] for name in BOX_COLUMNS))


def _as_row(row: dict[str, Any], instant: dict[str, Any], track: _Track, global_SE3_ego: SE3) -> dict[str, Any]:
    velocity: dict[str, float | None] = {"vx_mps": None, "vy_mps": None, "speed_mps": None}
    if track.velocity_mps is not None:
        vx_mps, vy_mps, _ = (global_SE3_ego.rotation.T @ np.append(track.velocity_mps, 0.0)).tolist()
        velocity = {"vx_mps": vx_mps, "vy_mps": vy_mps, "speed_mps": float(np.hypot(vx_mps, vy_mps))}
    kept = ("log_id", "frame", "category", "source_category", "lidar_points", *BOX_COLUMNS)
    return {
        **{name: row[name] for name in kept},
        **velocity,
        "timestamp_ns": instant["timestamp_ns"],
        "track_id": track.name,
        "score": row["score"],
        "source": "fused",
        "observed": True,
    }
