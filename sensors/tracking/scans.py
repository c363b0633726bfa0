"""Detections of a log as scans: what one sensor measured at one time, in the tracking frame, in order of time.

The tracking frame is the log's global frame, shifted to the first ego position so that coordinates stay small. A log without ego
poses is tracked in the ego frame, where all that stands still moves as the ego does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float, Int
from scipy.spatial.transform import Rotation, Slerp

from drive_vqa.categories import CATEGORIES
from drive_vqa.errors import CalibrationError, LogFormatError
from drive_vqa.geometry import SE3, angle_rad
from sensors.camera import PinholeCamera
from sensors.driving_log import check_increasing
from sensors.tracking.settings import BoxNoise
from sensors.views import ego_poses, read_pose

BOX_3D, BOX_2D, RADAR = "box_3d", "box_2d", "radar"


@dataclass(frozen=True, eq=False)
class EgoPath:
    """Where the ego is at any time, in the tracking frame.

    Attributes:
        timestamps_ns: of the frames.
        track_SE3_ego: at those times; all the same for a log without poses.
        has_poses: whether the log has poses.
        origin_m: of the tracking frame, global.
    """

    timestamps_ns: Int[np.ndarray, "n"]
    track_SE3_ego: tuple[SE3, ...]
    has_poses: bool
    origin_m: Float[np.ndarray, "3"]

    @classmethod
    def of(cls, frames: pa.Table) -> EgoPath:
        """From the table `frames`."""
        poses = ego_poses(frames)
        stamps = frames["timestamp_ns"].to_numpy()
        check_increasing(stamps, f"log {frames['log_id'][0]}")
        if poses is None:
            return cls(stamps, (SE3.identity(),) * len(stamps), False, np.zeros(3))
        origin_m = next(iter(poses.values())).translation_m
        shifted = tuple(SE3(pose.rotation, pose.translation_m - origin_m) for pose in poses.values())
        return cls(stamps, shifted, True, origin_m)

    def at_capture(self, capture: Mapping[str, Any]) -> SE3:
        """`track_SE3_ego` at a row of `sensor_data`: the capture's own pose where it has one."""
        if not self.has_poses or capture["global_SE3_ego"] is None:
            return self.at(capture["timestamp_ns"])
        where = f"log {capture['log_id']}, frame {capture['frame']}, {capture['sensor']}: the ego's pose at capture"
        pose = read_pose(capture["global_SE3_ego"], where)
        return SE3(pose.rotation, pose.translation_m - self.origin_m)

    def at(self, timestamp_ns: int) -> SE3:
        """`track_SE3_ego` at a time, interpolated; the first or last pose outside the log's times."""
        place = int(np.searchsorted(self.timestamps_ns, timestamp_ns))
        if not self.has_poses or place == len(self.timestamps_ns):
            return self.track_SE3_ego[-1]
        if self.timestamps_ns[place] == timestamp_ns or place == 0:
            return self.track_SE3_ego[place]
        early, late = self.track_SE3_ego[place - 1], self.track_SE3_ego[place]
        span_ns = int(self.timestamps_ns[place] - self.timestamps_ns[place - 1])
        share = (timestamp_ns - int(self.timestamps_ns[place - 1])) / span_ns
        both = Rotation.from_matrix(np.stack([early.rotation, late.rotation]))
        centre_m = (1 - share) * early.translation_m + share * late.translation_m
        return SE3(Slerp([0.0, 1.0], both)(share).as_matrix(), centre_m)


class Boxes(NamedTuple):
    """3D boxes of one or more scans, in the tracking frame.

    Attributes:
        row: of each box in the table `detections`.
        xyz_m: centres.
        yaw_rad: where they point.
        size_m: length, width, height.
        velocity_mps: over ground; NaN where the detector gives none.
        variance_m2: of each coordinate of the centre on the ground plane.
        category: place in `CATEGORY_NAMES`.
        log_odds: how sure the detector is.
    """

    row: Int[np.ndarray, "n"]
    xyz_m: Float[np.ndarray, "n 3"]
    yaw_rad: Float[np.ndarray, "n"]
    size_m: Float[np.ndarray, "n 3"]
    velocity_mps: Float[np.ndarray, "n 2"]
    variance_m2: Float[np.ndarray, "n"]
    category: Int[np.ndarray, "n"]
    log_odds: Float[np.ndarray, "n"]

    def take(self, index: slice | Int[np.ndarray, "m"]) -> Boxes:
        """Some of them."""
        return Boxes(*[column[index] for column in self])


@dataclass(frozen=True, eq=False)
class Scan:
    """What one sensor measured at one time.

    Attributes:
        timestamp_ns: of the measurement.
        kind: box_3d, box_2d or radar; empty: no measurement, the time of a frame.
        boxes: of kind box_3d.
        image_boxes_px: of kind box_2d: u0, v0, u1, v1.
        returns: of kind radar: range (m), azimuth (rad), range rate over ground (m/s).
        category: of kind box_2d: place in `CATEGORY_NAMES`.
        camera: of kind box_2d.
        track_SE3_sensor: of kinds box_2d and radar, at that time.
    """

    timestamp_ns: int
    kind: str
    boxes: Boxes | None = None
    image_boxes_px: Float[np.ndarray, "m 4"] | None = None
    returns: Float[np.ndarray, "m 3"] | None = None
    category: Int[np.ndarray, "m"] | None = None
    camera: PinholeCamera | None = None
    track_SE3_sensor: SE3 | None = None


CATEGORY_NAMES = tuple(CATEGORIES)
FAR_M, LONG_M = 1e5, 200.0
SURE, LEAST = 1e3, 1e-3
KIND_ORDER = {BOX_3D: 0, BOX_2D: 1, RADAR: 2, "": 3}
"""At one time boxes come first, as only they start tracks."""


def read_scans(detections: pa.Table, frames: pa.Table, sensor_data: pa.Table, noise: BoxNoise) -> list[Scan]:
    """All measurements of a log and the times of its frames, in order; of one time and kind in the order of the table.

    Raises:
        LogFormatError: a kind or category is unknown, or a value that its kind needs is missing or not finite.
        CalibrationError: a sensor that measured has no usable calibration.
    """
    path = EgoPath.of(frames)
    rows = detections.combine_chunks()
    _check(rows)
    scans = _box_scans(rows, path, noise)
    for kind in (BOX_2D, RADAR):
        part = rows.filter(pc.equal(rows["kind"], kind))
        if part.num_rows:
            scans += _sensor_scans(part, kind, path, sensor_data)
    measured = {scan.timestamp_ns for scan in scans}
    scans += [Scan(int(time), "") for time in path.timestamps_ns if int(time) not in measured]
    return sorted(scans, key=lambda scan: (scan.timestamp_ns, KIND_ORDER[scan.kind]))


def _check(rows: pa.Table) -> None:
    kinds = set(pc.unique(rows["kind"]).to_pylist())
    if not kinds <= set(KIND_ORDER):
        unknown = sorted(map(str, kinds - set(KIND_ORDER)))[0]
        raise LogFormatError(f"the detections hold the unknown kind {unknown!r}: use {BOX_3D}, {BOX_2D} or {RADAR}")
    categories = set(pc.unique(rows["category"]).to_pylist()) - {None}
    if not categories <= set(CATEGORIES):
        raise LogFormatError(f"the detections hold the unknown category {sorted(categories - set(CATEGORIES))[0]!r}")


def _matrix(rows: pa.Table, names: tuple[str, ...], needed: str) -> Float[np.ndarray, "n k"]:
    """Columns side by side; where `needed` says what for, a value that is null or not finite is an error."""
    columns = [rows[name].to_numpy() for name in names]
    values = np.stack(columns, axis=1).astype(np.float64)
    if needed and not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        frame = rows["frame"][int(row)].as_py()
        raise LogFormatError(
            f"frame {frame}: a detection of kind {needed} has no finite {names[column]}: mend or leave it out"
        )
    return np.asarray(values)


def _box_scans(rows: pa.Table, path: EgoPath, noise: BoxNoise) -> list[Scan]:
    """One scan a time."""
    chosen = np.flatnonzero(pc.equal(rows["kind"], BOX_3D).to_numpy(zero_copy_only=False))
    if not len(chosen):
        return []
    stamps = rows["timestamp_ns"].to_numpy()[chosen]
    order = np.argsort(stamps, kind="stable")
    chosen, stamps = chosen[order], stamps[order]
    times, starts = np.unique(stamps, return_index=True)
    boxes = _boxes(rows.take(chosen), chosen, path, np.searchsorted(times, stamps), times, noise)
    ends = [*starts[1:].tolist(), len(stamps)]
    return [
        Scan(int(time), BOX_3D, boxes=boxes.take(slice(start, end)))
        for time, start, end in zip(times.tolist(), starts.tolist(), ends, strict=True)
    ]


def _check_range(rows: pa.Table, values: Float[np.ndarray, "n k"], low: float, high: float, fault: str) -> None:
    wrong = np.flatnonzero(((values <= low) | (values > high)).any(axis=1))
    if len(wrong):
        frame = rows["frame"][int(wrong[0])].as_py()
        raise LogFormatError(f"frame {frame}: a detection has {fault}: mend or leave it out")


def _boxes(
    rows: pa.Table,
    row: Int[np.ndarray, "n"],
    path: EgoPath,
    place: Int[np.ndarray, "n"],
    times: np.ndarray,
    noise: BoxNoise,
) -> Boxes:
    ego_xyz_m = _matrix(rows, ("x_m", "y_m", "z_m"), BOX_3D)
    size_m = _matrix(rows, ("length_m", "width_m", "height_m"), BOX_3D)
    yaw_rad = _matrix(rows, ("yaw_rad",), BOX_3D)[:, 0]
    _check_range(rows, np.abs(ego_xyz_m), -1.0, FAR_M, "a centre further than 100 km away")
    _check_range(rows, size_m, 0.0, LONG_M, "a size that is not between 0 and 200 m")
    velocity_mps = _matrix(rows, ("vx_mps", "vy_mps"), "")
    poses = [path.at(int(time)) for time in times] if path.has_poses else [SE3.identity()]
    place = place if path.has_poses else np.zeros_like(place)
    rotation = np.stack([pose.rotation for pose in poses])[place]
    xyz_m = np.einsum("nij,nj->ni", rotation, ego_xyz_m) + np.stack([pose.translation_m for pose in poses])[place]
    heading = np.stack([np.cos(yaw_rad), np.sin(yaw_rad), np.zeros_like(yaw_rad)], axis=1)
    ahead = np.einsum("nij,nj->ni", rotation, heading)
    spread_m = noise.position_m + noise.position_per_m * np.hypot(ego_xyz_m[:, 0], ego_xyz_m[:, 1])
    return Boxes(
        row=row,
        xyz_m=xyz_m,
        yaw_rad=angle_rad(ahead[:, 1], ahead[:, 0]),
        size_m=size_m,
        velocity_mps=np.einsum("nij,nj->ni", rotation[:, :2, :2], velocity_mps),
        variance_m2=spread_m**2,
        category=_places(rows),
        log_odds=_log_odds(_matrix(rows, ("score",), "")[:, 0]),
    )


def _log_odds(score: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """Scores that all lie between 0 and 1 as log-odds; others are taken to be such already. No score is even odds."""
    known = score[np.isfinite(score)]
    if len(known) and (known.min() < 0.0 or known.max() > 1.0):
        return np.nan_to_num(score, nan=0.0, posinf=SURE, neginf=-SURE)
    odds = np.clip(np.nan_to_num(score, nan=0.5), LEAST, 1.0 - LEAST)
    return np.asarray(np.log(odds / (1.0 - odds)))


def _places(rows: pa.Table) -> Int[np.ndarray, "n"]:
    names = rows["category"].to_pylist()
    place = {name: index for index, name in enumerate(CATEGORY_NAMES)}
    return np.array([place[name or "other"] for name in names], dtype=np.int64)


def _sensor_scans(rows: pa.Table, kind: str, path: EgoPath, sensor_data: pa.Table) -> list[Scan]:
    """One scan a sensor and time, with the sensor's own calibration and the ego's pose at that time."""
    calibration = {
        (row["sensor"], row["frame"]): row
        for row in sensor_data.filter(pc.is_in(sensor_data["sensor"], pc.unique(rows["sensor"]))).to_pylist()
    }
    names = ("u0_px", "v0_px", "u1_px", "v1_px") if kind == BOX_2D else ("range_m", "azimuth_rad", "range_rate_mps")
    values, category = _matrix(rows, names, kind), _places(rows)
    groups: dict[tuple[int, str, int], list[int]] = {}
    keys = zip(rows["timestamp_ns"].to_pylist(), rows["sensor"].to_pylist(), rows["frame"].to_pylist(), strict=True)
    for index, key in enumerate(keys):
        groups.setdefault(key, []).append(index)
    scans = []
    for (time, sensor, frame), members in groups.items():
        if (sensor, frame) not in calibration:
            raise CalibrationError(
                f"frame {frame}: sensor {sensor!r} measured, but sensor_data has no calibration of it"
            )
        capture = calibration[sensor, frame]
        where = f"log {capture['log_id']}, frame {frame}, {sensor}: its mounting"
        track_SE3_sensor = path.at_capture(capture) @ read_pose(capture["ego_SE3_sensor"], where)
        if kind == BOX_2D:
            camera = PinholeCamera.from_row(capture)
            scan = Scan(
                time,
                kind,
                image_boxes_px=values[members],
                category=category[members],
                camera=camera,
                track_SE3_sensor=track_SE3_sensor,
            )
        else:
            scan = Scan(time, kind, returns=values[members], track_SE3_sensor=track_SE3_sensor)
        scans.append(scan)
    return scans
