"""The filter: scans in order of time → the history of every track.

Each scan: all tracks are predicted to its time, its measurements are assigned to them and taken in, 3D boxes that belong to no
track start new ones, and tracks without a measurement for too long end.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from drive_vqa.geometry import wrap_rad
from sensors.tracking.association import Pairs, assign, near_pairs
from sensors.tracking.bank import COAST_NS, GROUP, HEIGHT_DENSITY, NEAR_M, TOP_MPS, Bank
from sensors.tracking.history import History, Predicted, Taken
from sensors.tracking.motion import predict
from sensors.tracking.scans import BOX_2D, BOX_3D, RADAR, Boxes, Scan
from sensors.tracking.sensor_models import Prediction, predict_camera, predict_radar, read_camera
from sensors.tracking.settings import TrackerSettings
from sensors.tracking.update import (
    drive_forward,
    update_position,
    update_scalar,
    update_velocity,
    update_yaw,
)

SENSOR_GATE = 7.8
"""Of camera boxes and radar returns, which are exact: a neighbour's lie soon beyond (a true one is lost once in 20)."""
CLASS_PENALTY = 3.0
"""Cost of taking a measurement of another category of the same group, in units of squared Mahalanobis distance."""
NONE = np.empty(0, dtype=np.int64)
SETTLED_HITS = 3
"""A track with as many 3D boxes is taken for real."""


def run_filter(scans: Sequence[Scan], settings: TrackerSettings, *, over_ground: bool) -> History:
    """Track a log.

    Args:
        scans: in order of time.
        settings: of the tracker.
        over_ground: the tracking frame stands still; else (a log without ego poses) it moves with the ego.
    """
    history, newborn = History(), _newborn(scans, settings, over_ground=over_ground)
    if newborn is None:
        return history
    interval_ns = _box_interval_ns(scans)
    bank, patience_ns = newborn.take(NONE), _patience_ns(interval_ns)
    reach_m = NEAR_M + TOP_MPS * interval_ns * 1e-9
    time_ns, seen, born = scans[0].timestamp_ns, 0, 0
    for number, scan in enumerate(scans):
        dt_s, time_ns = (scan.timestamp_ns - time_ns) * 1e-9, scan.timestamp_ns
        bank = bank.take(_alive(bank, time_ns, patience_ns))
        free = NONE if scan.boxes is None else np.arange(len(scan.boxes.row))
        if bank.size:
            bank, before = _predict(bank, dt_s, settings, over_ground=over_ground)
            taken = Taken.nothing(bank.size)
            free = _take_in(bank, scan, free, taken, reach_m, settings)
            history.add(number, bank, before, taken)
        if scan.boxes is not None:
            free = free[scan.boxes.log_odds[free] >= settings.birth_log_odds]
        if scan.boxes is not None and len(free):
            new = newborn.take(seen + free)._replace(track=np.arange(born, born + len(free)))
            history.add(number, new, Predicted.birth(new), Taken.birth(scan.boxes.row[free]))
            bank, born = bank.join(new), born + len(free)
        seen += 0 if scan.boxes is None else len(scan.boxes.row)
    return history


def _newborn(scans: Sequence[Scan], settings: TrackerSettings, *, over_ground: bool) -> Bank | None:
    """The track that each 3D box of the log would start, all made at once to save time; None where there is no box."""
    boxed = [(scan.boxes, scan.timestamp_ns) for scan in scans if scan.boxes is not None]
    if not boxed:
        return None
    parts, times_ns = zip(*boxed, strict=True)
    boxes = Boxes(*map(np.concatenate, zip(*parts, strict=True)))
    stamps_ns = np.repeat(times_ns, [len(part.row) for part in parts])
    return Bank.born(boxes, stamps_ns, settings, over_ground=over_ground)


def _patience_ns(interval_ns: int) -> Float[np.ndarray, "2 c"]:
    """How long a track lives without a measurement, by whether it is settled and its category.

    New ones, mostly false, are given less time, but at least the next scan.
    """
    return np.array([np.maximum(COAST_NS // 3, 1.5 * interval_ns), np.maximum(COAST_NS, 2.5 * interval_ns)])


def _alive(bank: Bank, time_ns: int, patience_ns: Float[np.ndarray, "2 c"]) -> Int[np.ndarray, "m"]:
    """Tracks that were measured not too long ago."""
    settled = (bank.hits >= SETTLED_HITS).astype(np.int64)
    return np.flatnonzero(time_ns - bank.last_hit_ns <= patience_ns[settled, bank.category])


def _box_interval_ns(scans: Sequence[Scan]) -> int:
    """Typical time between scans of 3D boxes."""
    times_ns = [scan.timestamp_ns for scan in scans if scan.kind == BOX_3D]
    return int(np.median(np.diff(times_ns))) if len(times_ns) > 1 else 0


def _predict(bank: Bank, dt_s: float, settings: TrackerSettings, *, over_ground: bool) -> tuple[Bank, Predicted]:
    """Move all tracks to the time of the scan."""
    extra = 0.0 if over_ground else settings.without_poses_accel
    mean, cov, jacobian = predict(bank.mean, bank.cov, dt_s, bank.noise(extra, over_ground=over_ground))
    added = np.array([HEIGHT_DENSITY * dt_s, 0.0, 0.0, 0.0])
    before = Predicted(mean, cov, jacobian, added)
    if over_ground and dt_s > 0:
        mean, cov = drive_forward(mean, cov, bank.slip_m2ps2(dt_s))
    else:
        mean, cov = mean.copy(), cov.copy()  # the history keeps those, and the bank's are written into
    return bank._replace(mean=mean, cov=cov, shape_var=bank.shape_var + added), before


def _take_in(
    bank: Bank,
    scan: Scan,
    free: Int[np.ndarray, "m"],
    taken: Taken,
    reach_m: Float[np.ndarray, "c"],
    settings: TrackerSettings,
) -> Int[np.ndarray, "k"]:
    """Assign the scan's measurements and update; returns those of the `free` 3D boxes that no track took."""
    if scan.kind == BOX_3D and scan.boxes is not None:
        rows, columns = _assign_boxes(bank, scan.boxes, reach_m, settings)
        if len(rows):
            _update_boxes(bank, rows, scan.boxes.take(columns), scan.timestamp_ns, taken, settings)
        return np.delete(free, columns)
    if scan.kind == BOX_2D:
        _update_camera(bank, scan, taken, min(settings.gate, SENSOR_GATE))
    elif scan.kind == RADAR:
        _update_radar(bank, scan, taken, min(settings.gate, SENSOR_GATE))
    return free


def _assign_boxes(
    bank: Bank, boxes: Boxes, reach_m: Float[np.ndarray, "c"], settings: TrackerSettings
) -> tuple[Int[np.ndarray, "k"], Int[np.ndarray, "k"]]:
    """Tracks (rows) and boxes (columns) that belong together."""
    pairs = near_pairs(bank.mean[:, :2], boxes.xyz_m[:, :2], float(reach_m.max()))
    own, theirs = bank.category[pairs.row], boxes.category[pairs.column]
    dx_m, dy_m = (boxes.xyz_m[pairs.column, :2] - bank.mean[pairs.row, :2]).T
    possible = (np.hypot(dx_m, dy_m) <= reach_m[own]) & (GROUP[own] == GROUP[theirs])
    variance_m2, cov = boxes.variance_m2[pairs.column], bank.cov[pairs.row, :2, :2]
    xx, xy, yy = cov[:, 0, 0] + variance_m2, cov[:, 0, 1], cov[:, 1, 1] + variance_m2
    determinant = xx * yy - xy**2
    distance2 = (yy * dx_m**2 - 2 * xy * dx_m * dy_m + xx * dy_m**2) / determinant
    penalty = np.log(determinant) + CLASS_PENALTY * (own != theirs)
    return assign(pairs, np.where(possible, distance2, np.inf), penalty, settings.gate)


def _update_boxes(
    bank: Bank, rows: Int[np.ndarray, "k"], boxes: Boxes, time_ns: int, taken: Taken, settings: TrackerSettings
) -> None:
    """Take in the box of each of these tracks."""
    noise = settings.box
    mean, cov = bank.mean[rows], bank.cov[rows]
    mean, cov, nis = update_position(mean, cov, boxes.xyz_m[:, :2], boxes.variance_m2)
    mean, cov = update_yaw(mean, cov, boxes.yaw_rad, noise.yaw_rad**2)
    known = np.isfinite(boxes.velocity_mps).all(axis=1).nonzero()[0]
    if len(known):
        variance = np.full(len(known), noise.velocity_mps**2)
        mean[known], cov[known], _ = update_velocity(mean[known], cov[known], boxes.velocity_mps[known], variance)
    bank.mean[rows], bank.cov[rows] = mean, cov
    _update_shape(bank, rows, boxes, noise.height_m, noise.size_m)
    bank.votes[rows, boxes.category] += 1.0
    bank.category[rows] = bank.votes[rows].argmax(axis=1)
    bank.hits[rows] += 1
    bank.last_hit_ns[rows] = time_ns
    taken.detection[rows], taken.nis[rows], taken.sensed[rows] = boxes.row, nis, 1


def _update_shape(bank: Bank, rows: Int[np.ndarray, "k"], boxes: Boxes, height_m: float, size_m: float) -> None:
    """Height and sizes: four scalar filters."""
    measured = np.concatenate([boxes.xyz_m[:, 2:], boxes.size_m], axis=1)
    shape, variance = bank.shape[rows], bank.shape_var[rows]
    gain = variance / (variance + np.array([height_m, size_m, size_m, size_m]) ** 2)
    bank.shape[rows] = shape + gain * (measured - shape)
    bank.shape_var[rows] = variance * (1.0 - gain)


def _update_camera(bank: Bank, scan: Scan, taken: Taken, gate: float) -> None:
    """Take in image boxes; only tracks of the box's own group can have made it."""
    if scan.camera is None or scan.track_SE3_sensor is None or scan.image_boxes_px is None or scan.category is None:
        return
    prediction = predict_camera(bank.mean, bank.shape[:, 0], bank.shape[:, 1:], scan.camera, scan.track_SE3_sensor)
    reading, whole = read_camera(scan.image_boxes_px, scan.camera)
    possible = (GROUP[bank.category][:, None] == GROUP[scan.category][None]) & whole[None]
    _update_sensor(bank, prediction, reading, possible, taken, gate)


def _update_radar(bank: Bank, scan: Scan, taken: Taken, gate: float) -> None:
    if scan.track_SE3_sensor is None or scan.returns is None:
        return
    prediction = predict_radar(bank.mean, bank.shape[:, 1:], scan.track_SE3_sensor)
    possible = np.ones((bank.size, len(scan.returns)), dtype=bool)
    _update_sensor(bank, prediction, scan.returns, possible, taken, gate)


def _update_sensor(
    bank: Bank,
    prediction: Prediction,
    reading: Float[np.ndarray, "m k"],
    possible: Bool[np.ndarray, "n m"],
    taken: Taken,
    gate: float,
) -> None:
    """Assign readings to tracks by their Mahalanobis distance and update, one number after the other."""
    innovation = reading[None] - prediction.reading[:, None]
    innovation[..., prediction.angle] = wrap_rad(innovation[..., prediction.angle])
    spread = np.einsum("nki,nij,nlj->nkl", prediction.jacobian, bank.cov, prediction.jacobian)
    spread[:, range(spread.shape[1]), range(spread.shape[1])] += prediction.variance
    inverse = np.linalg.inv(spread)
    distance2 = np.einsum("nmk,nkl,nml->nm", innovation, inverse, innovation)
    penalty = np.broadcast_to(np.linalg.slogdet(spread)[1][:, None], distance2.shape)
    pairs = Pairs(*np.nonzero(possible & prediction.usable[:, None]))
    rows, columns = assign(pairs, distance2[pairs], penalty[pairs], gate)
    if not len(rows):
        return
    mean, cov = bank.mean[rows], bank.cov[rows]
    start = mean.copy()
    for number in range(reading.shape[1]):
        jacobian = prediction.jacobian[rows, number]
        left = innovation[rows, columns, number] - (jacobian * (mean - start)).sum(axis=1)
        mean, cov, _ = update_scalar(mean, cov, jacobian, left, prediction.variance[rows, number])
    bank.mean[rows], bank.cov[rows] = mean, cov
    taken.sensed[rows] += 1
