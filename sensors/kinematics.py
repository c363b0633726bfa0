"""Velocity, yaw rate and acceleration from a labelled track: differences between neighbouring labels.

Velocity is that of nuscenes-devkit's `NuScenes.box_velocity`: central difference over the label before and the label after,
one-sided where one is missing, unknown where they are more than 1.5 s apart (3 s for the central difference).

Which labels are the neighbours depends on the rate. At 2 Hz they are the next ones, the devkit's rule exactly. In a log with
more than four frames a second they are those nearest to 0.5 s before and after: boxes are labelled to some centimetres,
which over neighbours 0.1 s apart would be some tenths of a metre a second. So all logs have the same smoothing, about 1 s.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from drive_vqa.errors import LogFormatError

REACH_S = 0.5
"""How far before and after its neighbours are wanted."""
SPARSE_INTERVAL_S = 0.25
"""Frames further apart than this: the next labels are the neighbours, whatever their distance."""
MAX_GAP_S = 1.5
"""Neighbours further apart say nothing about the velocity now; twice that for the central difference (nuscenes-devkit)."""
MIN_ACCEL_BASE_S = 0.15
"""Two speeds closer in time than this share nearly all their labels: their difference is labelling noise."""


@dataclass(frozen=True, eq=False)
class Motion:
    """Motion of tracks at each of their labels, global frame; NaN where unknown.

    Attributes:
        velocity_mps: over ground.
        yaw_rate_radps: counter-clockwise positive.
        accel_mps2: change of ground-plane speed, negative when braking.
    """

    velocity_mps: Float[np.ndarray, "n 3"]
    yaw_rate_radps: Float[np.ndarray, "n"]
    accel_mps2: Float[np.ndarray, "n"]


def estimate_motions(
    track_index: Int[np.ndarray, "n"],
    timestamp_ns: Int[np.ndarray, "n"],
    global_xyz_m: Float[np.ndarray, "n 3"],
    yaw_rad: Float[np.ndarray, "n"],
    frame_interval_s: float,
) -> Motion:
    """Motion of many tracks, of one log or of several.

    Args:
        track_index: which track each label is of; labels of a track stand together, in order of time.
        timestamp_ns: of the labels, strictly rising in every track.
        global_xyz_m: box centres.
        yaw_rad: of the boxes in the global frame, any wrapping; it turns by less than half a turn from label to label.
        frame_interval_s: typical time between frames of the logs, which decides what a neighbour is.

    Raises:
        LogFormatError: times do not rise, or a track's labels stand apart.
    """
    count = len(track_index)
    if count == 0:
        return Motion(np.zeros((0, 3)), np.zeros(0), np.zeros(0))
    begin, end = _bounds(track_index)
    row = unordered_row(track_index, timestamp_ns)
    if row is not None:
        raise LogFormatError(f"label {row}: two labels of its track have the same time or are out of order")
    # Whole microseconds as float seconds are what the devkit subtracts: its rounding at 1.5e9 s shows at 1e-6 m/s.
    time_s = 1e-6 * (timestamp_ns // 1000)
    first, last = neighbours(begin, end, time_s, frame_interval_s)
    own = np.arange(count)
    span_s = time_s[last] - time_s[first]
    central = (first < own) & (last > own)
    known = (span_s > 0.0) & (span_s <= np.where(central, 2.0 * MAX_GAP_S, MAX_GAP_S))
    divisor_s = np.where(known, span_s, np.nan)
    velocity_mps = (global_xyz_m[last] - global_xyz_m[first]) / divisor_s[:, None]
    turned_rad = _unwrapped(yaw_rad, begin)
    return Motion(
        velocity_mps=velocity_mps,
        yaw_rate_radps=(turned_rad[last] - turned_rad[first]) / divisor_s,
        accel_mps2=_acceleration(time_s, velocity_mps, first, last),
    )


def neighbours(
    begin: Int[np.ndarray, "n"], end: Int[np.ndarray, "n"], time_s: Float[np.ndarray, "n"], frame_interval_s: float
) -> tuple[Int[np.ndarray, "n"], Int[np.ndarray, "n"]]:
    """Rows of the label before and after each one; its own row where there is none.

    Args:
        begin: first row of each label's track.
        end: last row of it.
        time_s: rising in every track.
        frame_interval_s: typical time between frames.
    """
    own = np.arange(len(time_s))
    if frame_interval_s > SPARSE_INTERVAL_S:
        return np.maximum(own - 1, begin), np.minimum(own + 1, end)
    flipped = own[-1] - _nearest_before(own[-1] - end[::-1], -time_s[::-1])[::-1]
    return _nearest_before(begin, time_s), flipped


def _bounds(track_index: Int[np.ndarray, "n"]) -> tuple[Int[np.ndarray, "n"], Int[np.ndarray, "n"]]:
    """First and last row of each label's track."""
    starts = np.flatnonzero(np.r_[True, track_index[1:] != track_index[:-1]])
    if len(np.unique(track_index[starts])) < len(starts):
        raise LogFormatError("the labels of a track stand apart: sort them by track and time")
    lengths = np.diff(np.r_[starts, len(track_index)])
    begin = np.repeat(starts, lengths)
    return begin, begin + np.repeat(lengths, lengths) - 1


def unordered_row(track_index: Int[np.ndarray, "n"], timestamp_ns: Int[np.ndarray, "n"]) -> int | None:
    """The first label that is not later than the one before it in its track; None where times rise."""
    wrong = np.flatnonzero((np.diff(timestamp_ns) <= 0) & (track_index[1:] == track_index[:-1]))
    return int(wrong[0]) + 1 if len(wrong) else None


def _nearest_before(begin: Int[np.ndarray, "n"], time_s: Float[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
    """The earlier label that is nearest to `REACH_S` before each one; the first of a track has none but itself."""
    wanted_s = time_s - REACH_S
    after = _first_not_before(begin, time_s, wanted_s)
    before = np.maximum(after - 1, begin)
    nearest = np.where(np.abs(time_s[before] - wanted_s) < np.abs(time_s[after] - wanted_s), before, after)
    return np.minimum(nearest, np.maximum(np.arange(len(time_s)) - 1, begin))


def _first_not_before(
    begin: Int[np.ndarray, "n"], time_s: Float[np.ndarray, "n"], wanted_s: Float[np.ndarray, "n"]
) -> Int[np.ndarray, "n"]:
    """First row of each label's track whose time is not before the wanted one; bisection in all tracks at once.

    The wanted time is not after the label's own, so there is one.
    """
    low, high = begin.copy(), np.arange(len(time_s))
    while np.any(low < high):
        middle = (low + high) // 2
        early = time_s[middle] < wanted_s
        low, high = np.where(early & (low < high), middle + 1, low), np.where(early, high, middle)
    return low


def _unwrapped(yaw_rad: Float[np.ndarray, "n"], begin: Int[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """`numpy.unwrap` of every track: each turn is the shorter way round."""
    step = np.diff(yaw_rad, prepend=yaw_rad[:1])
    turns = np.where(begin == np.arange(len(yaw_rad)), 0.0, -np.round(step / (2.0 * np.pi)))
    total = np.cumsum(np.nan_to_num(turns))  # a NaN must not reach the tracks that follow
    return np.asarray(yaw_rad + 2.0 * np.pi * (total - total[begin]))


def _acceleration(
    time_s: Float[np.ndarray, "n"],
    velocity_mps: Float[np.ndarray, "n 3"],
    first: Int[np.ndarray, "n"],
    last: Int[np.ndarray, "n"],
) -> Float[np.ndarray, "n"]:
    """Change of speed between the neighbours.

    A difference of positions is the velocity in the middle of its span, which at the ends of a track is not the label's own time:
    dividing by the time between the middles keeps a constant acceleration exact there.
    """
    speed_mps = np.hypot(velocity_mps[:, 0], velocity_mps[:, 1])
    middle_s = 0.5 * (time_s[first] + time_s[last])
    base_s = middle_s[last] - middle_s[first]
    usable = (base_s >= MIN_ACCEL_BASE_S) & np.isfinite(speed_mps)
    return np.asarray((speed_mps[last] - speed_mps[first]) / np.where(usable, base_s, np.nan))
