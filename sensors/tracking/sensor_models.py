"""What a camera box or a radar return would read if it came from a track, with the Jacobian, for all tracks of a scan.

A camera box says where the object is across the image and, by its size, how far away. It is compared with the image of the
track's 3D box: bearing of the middle, and logarithms of width and height, so that the box of a half hidden object, which is
narrower, does not fit. Jacobians are those of the centre, atan2(x, z) and -log(z) in the camera frame. A box at the image
border is cut off and not used.

A radar return comes from the near side of the object: range = distance of the centre less the object's reach towards the radar,
azimuth, and range rate = velocity along the line of sight.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from drive_vqa.boxes import box_corners
from drive_vqa.geometry import SE3, angle_rad, wrap_rad
from sensors.camera import PinholeCamera
from sensors.tracking.motion import SIZE, VX, VY, YAW, X, Y

BEARING_RAD, LOG_WIDTH, LOG_HEIGHT, SHAPE = 0.004, 0.12, 0.12, 0.03
"""Errors of a camera box: of its middle, width and height (objects differ from their tracks' size), and the share of an object's
length by which the middle is off since objects are no boxes."""
RANGE_M, AZIMUTH_RAD, RANGE_RATE_MPS = 0.7, 0.03, 0.25
BORDER_PX = 3.0
MIN_DEPTH_M = 1.0


class Prediction(NamedTuple):
    """Predicted readings of `k` numbers for `n` tracks.

    Attributes:
        reading: as the sensor would give them.
        jacobian: by the state.
        variance: of the sensor's error, which depends on the object's shape and place.
        usable: whether the track can be measured at all (in front of the camera, in reach).
        angle: which number is an angle.
    """

    reading: Float[np.ndarray, "n k"]
    jacobian: Float[np.ndarray, "n k 6"]
    variance: Float[np.ndarray, "n k"]
    usable: Bool[np.ndarray, "n"]
    angle: int


def predict_camera(
    mean: Float[np.ndarray, "n 6"],
    z_m: Float[np.ndarray, "n"],
    size_m: Float[np.ndarray, "n 3"],
    camera: PinholeCamera,
    track_SE3_cam: SE3,
) -> Prediction:
    """Bearing (right positive, from the optical axis), log width and log height in pixels of each track's box."""
    cam_SE3_track = track_SE3_cam.inverse()
    centre_m = np.column_stack([mean[:, :2], z_m])
    corners_m = cam_SE3_track @ box_corners(centre_m, size_m, mean[:, YAW])
    usable = (corners_m[..., 2] > MIN_DEPTH_M).all(axis=1)
    corners_m[..., 2] = np.maximum(corners_m[..., 2], MIN_DEPTH_M)
    uv_px = camera.project(corners_m)[0]
    reading = _reading(np.concatenate([uv_px.min(axis=1), uv_px.max(axis=1)], axis=1), camera)
    place_m = cam_SE3_track @ centre_m
    variance = np.tile([BEARING_RAD**2, LOG_WIDTH**2, LOG_HEIGHT**2], (len(mean), 1))
    variance[:, 0] += (SHAPE * size_m[:, 0] / np.maximum(np.linalg.norm(place_m, axis=1), MIN_DEPTH_M)) ** 2
    return Prediction(reading, _camera_jacobian(place_m, cam_SE3_track.rotation), variance, usable, angle=0)


def _camera_jacobian(
    cam_xyz_m: Float[np.ndarray, "n 3"], cam_R_track: Float[np.ndarray, "3 3"]
) -> Float[np.ndarray, "n 3 6"]:
    right_m, depth_m = cam_xyz_m[:, 0], np.maximum(cam_xyz_m[:, 2], MIN_DEPTH_M)
    jacobian = np.zeros((len(cam_xyz_m), 3, SIZE))
    for state in (X, Y):
        across = depth_m * cam_R_track[0, state] - right_m * cam_R_track[2, state]
        jacobian[:, 0, state] = across / (right_m**2 + depth_m**2)
        jacobian[:, 1, state] = jacobian[:, 2, state] = -cam_R_track[2, state] / depth_m
    return jacobian


def _reading(boxes_px: Float[np.ndarray, "m 4"], camera: PinholeCamera) -> Float[np.ndarray, "m 3"]:
    """Bearing of the middle, log width and log height of image boxes."""
    u0, v0, u1, v1 = boxes_px.T
    bearing = angle_rad(0.5 * (u0 + u1) - camera.intrinsics[0, 2], camera.intrinsics[0, 0])
    return np.stack([bearing, np.log(np.maximum(u1 - u0, 1.0)), np.log(np.maximum(v1 - v0, 1.0))], axis=1)


def read_camera(
    boxes_px: Float[np.ndarray, "m 4"], camera: PinholeCamera
) -> tuple[Float[np.ndarray, "m 3"], Bool[np.ndarray, "m"]]:
    """Readings of image boxes, and which of them lie wholly in the image."""
    u0, v0, u1, v1 = boxes_px.T
    across = (u0 > BORDER_PX) & (u1 < camera.width - BORDER_PX)
    return _reading(boxes_px, camera), across & (v0 > BORDER_PX) & (v1 < camera.height - BORDER_PX)


def predict_radar(mean: Float[np.ndarray, "n 6"], size_m: Float[np.ndarray, "n 3"], track_SE3_radar: SE3) -> Prediction:
    """Range, azimuth and range rate over ground of each track's near side."""
    offset_m = mean[:, :2] - track_SE3_radar.translation_m[:2]
    distance_m = np.maximum(np.hypot(offset_m[:, 0], offset_m[:, 1]), 0.5)
    along = offset_m / distance_m[:, None]
    facing = angle_rad(along[:, 1], along[:, 0]) - mean[:, YAW]
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
    azimuth = wrap_rad(angle_rad(along[:, 1], along[:, 0]) - track_SE3_radar.yaw_rad)
    reading = np.stack([np.maximum(distance_m - reach_m, 0.1), azimuth, rate_mps], axis=1)
    variance = np.stack(
        [
            RANGE_M**2 + (0.5 * reach_m) ** 2,
            AZIMUTH_RAD**2 + (0.6 * across_m / distance_m) ** 2,
            np.full(len(mean), RANGE_RATE_MPS**2),
        ],
        axis=1,
    )
    return Prediction(reading, jacobian, variance, np.ones(len(mean), dtype=bool), angle=1)


def _reach(angle_rad: Float[np.ndarray, "n"], size_m: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n"]:
    """From the centre of a box to its side in a direction that is given from its heading."""
    cos, sin = np.maximum(np.abs(np.cos(angle_rad)), 1e-9), np.maximum(np.abs(np.sin(angle_rad)), 1e-9)
    return np.asarray(0.5 * np.minimum(size_m[:, 0] / cos, size_m[:, 1] / sin))
