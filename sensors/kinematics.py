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
    """Motion of one track at each of its labels, global frame; NaN where unknown.

    Attributes:
        velocity_mps: over ground.
        yaw_rate_radps: counter-clockwise positive.
        accel_mps2: change of ground-plane speed, negative when braking.
    """

    velocity_mps: Float[np.ndarray, "n 3"]
    yaw_rate_radps: Float[np.ndarray, "n"]
    accel_mps2: Float[np.ndarray, "n"]


def estimate_motion(
    timestamp_ns: Int[np.ndarray, "n"],
    global_xyz_m: Float[np.ndarray, "n 3"],
    yaw_rad: Float[np.ndarray, "n"],
    frame_interval_s: float,
) -> Motion:
    """Motion of one track.

    Args:
        timestamp_ns: of the labels, strictly rising.
        global_xyz_m: box centres.
        yaw_rad: of the boxes in the global frame, any wrapping; it turns by less than half a turn from label to label.
        frame_interval_s: typical time between frames of the log, which decides what a neighbour is.

    Raises:
        LogFormatError: times do not rise.
    """
    if np.any(np.diff(timestamp_ns) <= 0):
        raise LogFormatError("two labels of it have the same time or are out of order")
    # Whole microseconds as float seconds are what the devkit subtracts: its rounding at 1.5e9 s shows at 1e-6 m/s.
    time_s = 1e-6 * (timestamp_ns // 1000)
    first, last = neighbours(time_s, frame_interval_s)
    span_s = time_s[last] - time_s[first]
    central = (first < np.arange(len(time_s))) & (last > np.arange(len(time_s)))
    known = (span_s > 0.0) & (span_s <= np.where(central, 2.0 * MAX_GAP_S, MAX_GAP_S))
    divisor_s = np.where(known, span_s, np.nan)
    velocity_mps = (global_xyz_m[last] - global_xyz_m[first]) / divisor_s[:, None]
    turned_rad = np.unwrap(yaw_rad)
    return Motion(
        velocity_mps=velocity_mps,
        yaw_rate_radps=(turned_rad[last] - turned_rad[first]) / divisor_s,
        accel_mps2=_acceleration(time_s, velocity_mps, first, last),
    )


def neighbours(
    time_s: Float[np.ndarray, "n"], frame_interval_s: float
) -> tuple[Int[np.ndarray, "n"], Int[np.ndarray, "n"]]:
    """Indices of the label before and after each one; its own index where there is none."""
    own = np.arange(len(time_s))
    if frame_interval_s > SPARSE_INTERVAL_S:
        return np.maximum(own - 1, 0), np.minimum(own + 1, len(own) - 1)
    return _nearest_before(time_s), own[-1] - _nearest_before(-time_s[::-1])[::-1]


def _nearest_before(time_s: Float[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
    """The earlier label that is nearest to `REACH_S` before each one; the first one has none but itself."""
    wanted_s = time_s - REACH_S
    after = np.searchsorted(time_s, wanted_s)
    before = np.maximum(after - 1, 0)
    nearest = np.where(np.abs(time_s[before] - wanted_s) < np.abs(time_s[after] - wanted_s), before, after)
    return np.minimum(nearest, np.maximum(np.arange(len(time_s)) - 1, 0))


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
