"""The filter: scans in order of time → the history of every track.

Each scan: all tracks are predicted to its time, its measurements are assigned to them and taken in, 3D boxes that belong to no
track start new ones, and tracks without a measurement for too long end.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from sensors.tracking.association import Pairs, assign, near_pairs
from sensors.tracking.bank import COAST_NS, GROUP, HEIGHT_DENSITY, REACH_M, Bank
from sensors.tracking.history import History, Predicted, Taken
from sensors.tracking.motion import SIZE, predict
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

CLASS_PENALTY = 3.0
"""Cost of taking a measurement of another category of the same group, in units of squared Mahalanobis distance."""
EYE2 = np.eye(2)
SETTLED_HITS = 3
"""A track with as many 3D boxes is taken for real."""


def run_filter(scans: Sequence[Scan], settings: TrackerSettings, *, over_ground: bool) -> History:
    """Track a log.

    Args:
        scans: in order of time.
        settings: of the tracker.
        over_ground: the tracking frame stands still; else (a log without ego poses) it moves with the ego.
    """
    history, bank = History(), Bank.empty()
    interval_ns = _box_interval_ns(scans)
    time_ns, born = (scans[0].timestamp_ns if scans else 0), 0
    for number, scan in enumerate(scans):
        dt_s, time_ns = (scan.timestamp_ns - time_ns) * 1e-9, scan.timestamp_ns
        free = scan.boxes
        if len(bank):
            bank.keep(_alive(bank, time_ns, interval_ns))
        if len(bank):
            before, taken = _predict(bank, dt_s, settings, over_ground=over_ground)
            free = _take_in(bank, scan, taken, settings)
            history.add(number, bank, before, taken)
        if free is not None and len(free.row):
            new = Bank.born(free, born, time_ns, settings, over_ground=over_ground)
            history.add(
                number, new, Predicted(new.mean, new.cov, np.tile(np.eye(SIZE), (len(new), 1, 1))), Taken.birth(free)
            )
            bank.append(new)
            born += len(new)
    return history


def _alive(bank: Bank, time_ns: int, interval_ns: int) -> Bool[np.ndarray, "n"]:
    """Tracks that were measured not too long ago; new ones, mostly false, are given less time, but at least the next scan."""
    new = bank.hits < SETTLED_HITS
    patience_ns = np.where(new, COAST_NS[bank.category] // 3, COAST_NS[bank.category])
    least_ns = np.where(new, 1.5, 2.5) * interval_ns
    return np.asarray(time_ns - bank.last_hit_ns <= np.maximum(patience_ns, least_ns))


def _box_interval_ns(scans: Sequence[Scan]) -> int:
    """Typical time between scans of 3D boxes."""
    times_ns = [scan.timestamp_ns for scan in scans if scan.kind == BOX_3D]
    return int(np.median(np.diff(times_ns))) if len(times_ns) > 1 else 0


def _predict(bank: Bank, dt_s: float, settings: TrackerSettings, *, over_ground: bool) -> tuple[Predicted, Taken]:
    """Move all tracks to the time of the scan."""
    extra = 0.0 if over_ground else settings.without_poses_accel
    mean, cov, jacobian = predict(bank.mean, bank.cov, dt_s, bank.noise(extra, over_ground=over_ground))
    added = np.zeros_like(bank.shape)
    added[:, 0] = HEIGHT_DENSITY * dt_s
    bank.mean, bank.cov, bank.shape_var = mean, cov, bank.shape_var + added
    if over_ground and dt_s > 0:
        bank.mean, bank.cov = drive_forward(mean, cov, bank.slip_m2ps2(dt_s))
    return Predicted(mean, cov, jacobian), Taken.nothing(added)


def _take_in(bank: Bank, scan: Scan, taken: Taken, settings: TrackerSettings) -> Boxes | None:
    """Assign the scan's measurements and update; returns the 3D boxes that no track took."""
    if scan.kind == BOX_3D and scan.boxes is not None:
        rows, columns = _assign_boxes(bank, scan.boxes, settings)
        _update_boxes(bank, rows, scan.boxes.take(columns), scan.timestamp_ns, taken, settings)
        free = np.ones(len(scan.boxes.row), dtype=bool)
        free[columns] = False
        return scan.boxes.take(np.flatnonzero(free))
    if scan.kind == BOX_2D:
        _update_camera(bank, scan, taken, settings)
    elif scan.kind == RADAR:
        _update_radar(bank, scan, taken, settings)
    return None


def _assign_boxes(
    bank: Bank, boxes: Boxes, settings: TrackerSettings
) -> tuple[Int[np.ndarray, "k"], Int[np.ndarray, "k"]]:
    """Tracks (rows) and boxes (columns) that belong together."""
    pairs = near_pairs(bank.mean[:, :2], boxes.xyz_m[:, :2], float(REACH_M.max()))
    own, theirs = bank.category[pairs.row], boxes.category[pairs.column]
    dx_m, dy_m = (boxes.xyz_m[pairs.column, :2] - bank.mean[pairs.row, :2]).T
    possible = (np.hypot(dx_m, dy_m) <= REACH_M[own]) & (GROUP[own] == GROUP[theirs])
    variance_m2 = boxes.variance_m2[pairs.column]
    xx, yy = (bank.cov[pairs.row, axis, axis] + variance_m2 for axis in (0, 1))
    xy = bank.cov[pairs.row, 0, 1]
    determinant = xx * yy - xy**2
    distance2 = (yy * dx_m**2 - 2 * xy * dx_m * dy_m + xx * dy_m**2) / determinant
    penalty = np.log(determinant) + CLASS_PENALTY * (own != theirs)
    return assign(pairs.only(possible), distance2[possible], penalty[possible], settings.gate)


def _update_boxes(
    bank: Bank, rows: Int[np.ndarray, "k"], boxes: Boxes, time_ns: int, taken: Taken, settings: TrackerSettings
) -> None:
    if not len(rows):
        return
    noise, count = settings.box, len(rows)
    mean, cov = bank.mean[rows], bank.cov[rows]
    mean, cov, nis = update_position(mean, cov, boxes.xyz_m[:, :2], boxes.variance_m2[:, None, None] * EYE2)
    mean, cov = update_yaw(mean, cov, boxes.yaw_rad, np.full(count, noise.yaw_rad**2))
    known = np.isfinite(boxes.velocity_mps).all(axis=1)
    if known.any():
        spread = np.tile(noise.velocity_mps**2 * EYE2, (int(known.sum()), 1, 1))
        mean[known], cov[known], _ = update_velocity(mean[known], cov[known], boxes.velocity_mps[known], spread)
    _put(bank, rows, mean, cov)
    _update_shape(bank, rows, boxes, noise.height_m, noise.size_m)
    votes = bank.votes.copy()
    votes[rows, boxes.category] += 1.0
    bank.votes = votes
    category = bank.category.copy()
    category[rows] = votes[rows].argmax(axis=1)
    hits, last_hit_ns = bank.hits.copy(), bank.last_hit_ns.copy()
    hits[rows] += 1
    last_hit_ns[rows] = time_ns
    bank.category, bank.hits, bank.last_hit_ns = category, hits, last_hit_ns
    taken.detection[rows], taken.nis[rows] = boxes.row, nis
    taken.sensed[rows] += 1


def _put(
    bank: Bank, rows: Int[np.ndarray, "k"], mean: Float[np.ndarray, "k 6"], cov: Float[np.ndarray, "k 6 6"]
) -> None:
    """Set the state of some tracks in new arrays: the old ones are in the history."""
    means, covs = bank.mean.copy(), bank.cov.copy()
    means[rows], covs[rows] = mean, cov
    bank.mean, bank.cov = means, covs


def _update_shape(bank: Bank, rows: Int[np.ndarray, "k"], boxes: Boxes, height_m: float, size_m: float) -> None:
    """Height and sizes: four scalar filters."""
    measured = np.column_stack([boxes.xyz_m[:, 2], boxes.size_m])
    noise = np.array([height_m, size_m, size_m, size_m]) ** 2
    gain = bank.shape_var[rows] / (bank.shape_var[rows] + noise)
    shape, variance = bank.shape.copy(), bank.shape_var.copy()
    shape[rows] += gain * (measured - bank.shape[rows])
    variance[rows] *= 1.0 - gain
    bank.shape, bank.shape_var = shape, variance


def _update_camera(bank: Bank, scan: Scan, taken: Taken, settings: TrackerSettings) -> None:
    """Take in image boxes; only tracks of the box's own group can have made it."""
    if scan.camera is None or scan.track_SE3_sensor is None or scan.image_boxes_px is None or scan.category is None:
        return
    prediction = predict_camera(bank.mean, bank.shape[:, 0], bank.shape[:, 1:], scan.camera, scan.track_SE3_sensor)
    reading, across, upright = read_camera(scan.image_boxes_px, scan.camera)
    possible = GROUP[bank.category][:, None] == GROUP[scan.category][None]
    _update_sensor(bank, prediction, reading, np.stack([across, upright], axis=1), possible, taken, settings)


def _update_radar(bank: Bank, scan: Scan, taken: Taken, settings: TrackerSettings) -> None:
    if scan.track_SE3_sensor is None or scan.returns is None:
        return
    prediction = predict_radar(bank.mean, bank.shape[:, 1:], scan.track_SE3_sensor)
    trusted = np.ones((len(scan.returns), 3), dtype=bool)
    possible = np.ones((len(bank), len(scan.returns)), dtype=bool)
    _update_sensor(bank, prediction, scan.returns, trusted, possible, taken, settings)


def _update_sensor(
    bank: Bank,
    prediction: Prediction,
    reading: Float[np.ndarray, "m k"],
    trusted: Bool[np.ndarray, "m k"],
    possible: Bool[np.ndarray, "n m"],
    taken: Taken,
    settings: TrackerSettings,
) -> None:
    """Assign readings to tracks by their Mahalanobis distance and update, one number after the other."""
    innovation = reading[None] - prediction.reading[:, None]
    spread = np.einsum("nki,nij,nlj->nkl", prediction.jacobian, bank.cov, prediction.jacobian)
    spread[:, range(spread.shape[1]), range(spread.shape[1])] += prediction.variance
    inverse = np.linalg.inv(spread)
    distance2 = np.einsum("nmk,nkl,nml->nm", innovation, inverse, innovation)
    penalty = np.broadcast_to(np.linalg.slogdet(spread)[1][:, None], distance2.shape)
    pairs = Pairs(*np.nonzero(possible & prediction.usable[:, None] & trusted.all(axis=1)[None]))
    rows, columns = assign(pairs, distance2[pairs], penalty[pairs], settings.gate)
    if not len(rows):
        return
    mean, cov = bank.mean[rows], bank.cov[rows]
    start = mean.copy()
    for number in range(reading.shape[1]):
        jacobian = prediction.jacobian[rows, number]
        left = innovation[rows, columns, number] - (jacobian * (mean - start)).sum(axis=1)
        mean, cov, _ = update_scalar(mean, cov, jacobian, left, prediction.variance[rows, number])
    _put(bank, rows, mean, cov)
    taken.sensed[rows] += 1
