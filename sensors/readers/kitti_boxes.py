"""KITTI's boxes ↔ boxes in the ego frame.

KITTI gives a box in the rectified camera frame `rect` (x right, y down, z forward) by its **bottom** centre, its size and
`rotation_y`, the turn about the camera's y: 0 drives to the right, -90° drives ahead. The camera is tilted a little against the
vehicle, so a box that stands upright for the camera leans in the ego frame. Labels keep that lean (full rotations) and come back
exactly. Tracks and detections have a yaw about the ego's z only: their heading is carried over by sliding it along the ego's z
onto the camera's x-z plane, which has an exact inverse, and their centre by half a height along the camera's y.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from drive_vqa.geometry import SE3, angle_rad


def box_rotations(rotation_y_rad: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n 3 3"]:
    """`rect_R_box` of each box; its columns are the box's forward, left and up."""
    cos, sin, zero = np.cos(rotation_y_rad), np.sin(rotation_y_rad), np.zeros(len(rotation_y_rad))
    rows = [[cos, sin, zero], [zero, zero, zero - 1.0], [-sin, cos, zero]]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=1)


def centres_to_ego(
    rect_bottom_m: Float[np.ndarray, "n 3"], height_m: Float[np.ndarray, "n"], ego_SE3_rect: SE3
) -> Float[np.ndarray, "n 3"]:
    """Box centres in the ego frame from bottom centres in the rectified camera frame, metres."""
    rect_centre_m = rect_bottom_m - np.stack([0.0 * height_m, 0.5 * height_m, 0.0 * height_m], axis=-1)
    return np.asarray(np.einsum("ij,nj->ni", ego_SE3_rect.rotation, rect_centre_m) + ego_SE3_rect.translation_m)


def bottoms_to_rect(
    ego_centre_m: Float[np.ndarray, "n 3"], height_m: Float[np.ndarray, "n"], rect_SE3_ego: SE3
) -> Float[np.ndarray, "n 3"]:
    """Bottom centres in the rectified camera frame from box centres in the ego frame: the inverse of `centres_to_ego`."""
    rect_centre_m = np.einsum("ij,nj->ni", rect_SE3_ego.rotation, ego_centre_m) + rect_SE3_ego.translation_m
    return np.asarray(rect_centre_m + np.stack([0.0 * height_m, 0.5 * height_m, 0.0 * height_m], axis=-1))


def rotations_to_ego(rotation_y_rad: Float[np.ndarray, "n"], ego_SE3_rect: SE3) -> Float[np.ndarray, "n 3 3"]:
    """`ego_R_box` of each box, with the lean of the camera."""
    return np.asarray(np.einsum("ij,njk->nik", ego_SE3_rect.rotation, box_rotations(rotation_y_rad)))


def rotations_y_to_rect(ego_R_box: Float[np.ndarray, "n 3 3"], rect_SE3_ego: SE3) -> Float[np.ndarray, "n"]:
    """`rotation_y` of boxes with a full orientation, (-π, π]: the inverse of `rotations_to_ego`."""
    forward = np.einsum("ij,nj->ni", rect_SE3_ego.rotation, ego_R_box[:, :, 0])
    return np.asarray(angle_rad(-forward[:, 2], forward[:, 0]))


def yaws_to_ego(rotation_y_rad: Float[np.ndarray, "n"], ego_SE3_rect: SE3) -> Float[np.ndarray, "n"]:
    """Yaw about the ego's z of each heading, (-π, π]."""
    heading = np.stack([np.cos(rotation_y_rad), -np.sin(rotation_y_rad)])  # rect x and z
    ego = np.einsum("ij,jn->in", ego_SE3_rect.rotation[:2][:, [0, 2]], heading)
    return np.asarray(angle_rad(ego[1], ego[0]))


def yaws_to_rect(yaw_rad: Float[np.ndarray, "n"], rect_SE3_ego: SE3) -> Float[np.ndarray, "n"]:
    """`rotation_y` of each yaw, (-π, π]: the inverse of `yaws_to_ego`.

    The heading slides along the ego's z until it lies in the camera's x-z plane; for a rig tilted by 1° that differs by up to
    0.01° from turning the heading into the camera frame and dropping its y.
    """
    ego_from_rect = rect_SE3_ego.rotation.T[:2][:, [0, 2]]
    heading = np.einsum("ij,jn->in", np.linalg.inv(ego_from_rect), np.stack([np.cos(yaw_rad), np.sin(yaw_rad)]))
    return np.asarray(angle_rad(-heading[1], heading[0]))
