"""What a camera box or a radar return would read if it came from a track, with the Jacobian, for all tracks of a scan.

A camera box says where the object is across the image and, by its height, how far away: bearing = atan2(x, z) in the camera
frame and log(height in pixels) = log(f·h / z). A box that touches the image border is cut off and is not used.

A radar return comes from the near side of the object: range = distance of the centre less the object's reach towards the radar,
azimuth, and range rate = velocity along the line of sight.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from drive_vqa.geometry import SE3, wrap_rad
from sensors.camera import PinholeCamera
from sensors.tracking.motion import SIZE, VX, VY, YAW, X, Y

BEARING_RAD, LOG_HEIGHT = 0.006, 0.08
"""Errors of a camera box beyond those of the object's own shape."""
RANGE_M, AZIMUTH_RAD, RANGE_RATE_MPS = 0.4, 0.02, 0.25
BORDER_PX = 3.0
MIN_DEPTH_M = 1.0


class Prediction(NamedTuple):
    """Predicted readings of `k` numbers for `n` tracks.

    Attributes:
        reading: as the sensor would give them.
        jacobian: by the state.
        variance: of the sensor's error, which depends on the object's shape and place.
        usable: whether the track can be measured at all (in front of the camera, in reach).
    """

    reading: Float[np.ndarray, "n k"]
    jacobian: Float[np.ndarray, "n k 6"]
    variance: Float[np.ndarray, "n k"]
    usable: Bool[np.ndarray, "n"]


def predict_camera(
    mean: Float[np.ndarray, "n 6"],
    z_m: Float[np.ndarray, "n"],
    size_m: Float[np.ndarray, "n 3"],
    camera: PinholeCamera,
    track_SE3_cam: SE3,
) -> Prediction:
    """Bearing (right positive, from the optical axis) and log height in pixels of each track's box."""
    cam_SE3_track = track_SE3_cam.inverse()
    place_m = cam_SE3_track @ np.column_stack([mean[:, :2], z_m])
    usable = place_m[:, 2] > MIN_DEPTH_M
    right_m, depth_m = place_m[:, 0], np.maximum(place_m[:, 2], MIN_DEPTH_M)
    flat2 = right_m**2 + depth_m**2
    turn = cam_SE3_track.rotation
    jacobian = np.zeros((len(mean), 2, SIZE))
    for state in (X, Y):
        jacobian[:, 0, state] = (depth_m * turn[0, state] - right_m * turn[2, state]) / flat2
        jacobian[:, 1, state] = -turn[2, state] / depth_m
    reading = np.stack([np.arctan2(right_m, depth_m), np.log(camera.intrinsics[1, 1] * size_m[:, 2] / depth_m)], axis=1)
    # The middle of the image box is not the image of the box's centre, and less so for long objects nearby.
    shape_rad = 0.1 * size_m[:, 0] / np.sqrt(flat2)
    near = 0.25 * size_m[:, 0] / depth_m  # the near end of a long object looks taller than its middle
    variance = np.stack([BEARING_RAD**2 + shape_rad**2, LOG_HEIGHT**2 + near**2], axis=1)
    return Prediction(reading, jacobian, variance, usable)


def read_camera(
    boxes_px: Float[np.ndarray, "m 4"], camera: PinholeCamera
) -> tuple[Float[np.ndarray, "m 2"], Bool[np.ndarray, "m"], Bool[np.ndarray, "m"]]:
    """Bearing and log height of image boxes, whether the bearing and whether the height can be trusted."""
    u0, v0, u1, v1 = boxes_px.T
    focal_px, centre_px = camera.intrinsics[0, 0], camera.intrinsics[0, 2]
    height_px = np.maximum(v1 - v0, 1.0)
    reading = np.stack([np.arctan2(0.5 * (u0 + u1) - centre_px, focal_px), np.log(height_px)], axis=1)
    whole_across = (u0 > BORDER_PX) & (u1 < camera.width - BORDER_PX)
    whole_upright = (v0 > BORDER_PX) & (v1 < camera.height - BORDER_PX)
    return reading, whole_across, whole_upright & whole_across


def predict_radar(mean: Float[np.ndarray, "n 6"], size_m: Float[np.ndarray, "n 3"], track_SE3_radar: SE3) -> Prediction:
    """Range, azimuth and range rate over ground of each track's near side."""
    offset_m = mean[:, :2] - track_SE3_radar.translation_m[:2]
    distance_m = np.maximum(np.hypot(offset_m[:, 0], offset_m[:, 1]), 0.5)
    along = offset_m / distance_m[:, None]
    facing = np.arctan2(along[:, 1], along[:, 0]) - mean[:, YAW]
    reach_m = _reach(facing, size_m)
    across_m = _reach(facing + 0.5 * np.pi, size_m)
    velocity_mps = mean[:, VX : VY + 1]
    rate_mps = (along * velocity_mps).sum(axis=1)
    cross = np.stack([-along[:, 1], along[:, 0]], axis=1)
    jacobian = np.zeros((len(mean), 3, SIZE))
    jacobian[:, 0, X : Y + 1] = along
    jacobian[:, 1, X : Y + 1] = cross / distance_m[:, None]
    jacobian[:, 2, VX : VY + 1] = along
    jacobian[:, 2, X : Y + 1] = cross * ((cross * velocity_mps).sum(axis=1) / distance_m)[:, None]
    azimuth = wrap_rad(np.arctan2(along[:, 1], along[:, 0]) - track_SE3_radar.yaw_rad)
    reading = np.stack([np.maximum(distance_m - reach_m, 0.1), azimuth, rate_mps], axis=1)
    variance = np.stack(
        [
            RANGE_M**2 + (0.5 * reach_m) ** 2,
            AZIMUTH_RAD**2 + (0.6 * across_m / distance_m) ** 2,
            np.full(len(mean), RANGE_RATE_MPS**2),
        ],
        axis=1,
    )
    return Prediction(reading, jacobian, variance, np.ones(len(mean), dtype=bool))


def _reach(angle_rad: Float[np.ndarray, "n"], size_m: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n"]:
    """From the centre of a box to its side in a direction that is given from its heading."""
    cos, sin = np.maximum(np.abs(np.cos(angle_rad)), 1e-9), np.maximum(np.abs(np.sin(angle_rad)), 1e-9)
    return np.asarray(0.5 * np.minimum(size_m[:, 0] / cos, size_m[:, 1] / sin))
