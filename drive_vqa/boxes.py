"""Oriented boxes on the ground plane and in space, and axis-aligned boxes in images.

A ground-plane box is a row `(x_m, y_m, length_m, width_m, yaw_rad)`; a 3D box adds `z_m` (centre) and `height_m`.
An image box is `(u0_px, v0_px, u1_px, v1_px)`, pixels of the original image, edges at u0 and u1.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

CORNER_SIGNS = np.array(
    [[1, 1, 1], [1, -1, 1], [1, -1, -1], [1, 1, -1], [-1, 1, 1], [-1, -1, 1], [-1, -1, -1], [-1, 1, -1]],
    dtype=np.float64,
)
"""Half-extent signs (x, y, z) of the eight corners: the front face first, then the back face, in nuscenes-devkit's order."""

EDGES = ((0, 1), (1, 2), (2, 3), (3, 0), (4, 5), (5, 6), (6, 7), (7, 4), (0, 4), (1, 5), (2, 6), (3, 7))
"""Pairs of corners that an edge joins."""


def box_corners(
    centre_xyz_m: Float[np.ndarray, "n 3"], size_lwh_m: Float[np.ndarray, "n 3"], yaw_rad: Float[np.ndarray, "n"]
) -> Float[np.ndarray, "n 8 3"]:
    """The eight corners of upright boxes, in the frame of their centres, metres."""
    local = 0.5 * CORNER_SIGNS[None] * size_lwh_m[:, None]
    cos, sin = np.cos(yaw_rad)[:, None], np.sin(yaw_rad)[:, None]
    x_m = cos * local[..., 0] - sin * local[..., 1]
    y_m = sin * local[..., 0] + cos * local[..., 1]
    return np.asarray(np.stack([x_m, y_m, local[..., 2]], axis=-1) + centre_xyz_m[:, None])


def footprint(box: Float[np.ndarray, "5"]) -> Float[np.ndarray, "4 2"]:
    """The four ground-plane corners of one box, counter-clockwise from the front left, metres."""
    x_m, y_m, length_m, width_m, yaw_rad = box
    local = 0.5 * np.array([[length_m, width_m], [-length_m, width_m], [-length_m, -width_m], [length_m, -width_m]])
    cos, sin = np.cos(yaw_rad), np.sin(yaw_rad)
    return np.asarray(local @ np.array([[cos, sin], [-sin, cos]]) + [x_m, y_m])


def overlaps(box_a: Float[np.ndarray, "5"], box_b: Float[np.ndarray, "5"]) -> bool:
    """Whether two ground-plane boxes share area, by the separating axis theorem."""
    corners_a, corners_b = footprint(box_a), footprint(box_b)
    for yaw_rad in (box_a[4], box_b[4]):
        axes = np.array([[np.cos(yaw_rad), np.sin(yaw_rad)], [-np.sin(yaw_rad), np.cos(yaw_rad)]])
        a, b = corners_a @ axes.T, corners_b @ axes.T
        if np.any(a.max(axis=0) <= b.min(axis=0)) or np.any(b.max(axis=0) <= a.min(axis=0)):
            return False
    return True


def gap_m(box_a: Float[np.ndarray, "5"], box_b: Float[np.ndarray, "5"]) -> float:
    """Surface-to-surface distance of two ground-plane boxes, metres; 0 where they overlap."""
    if overlaps(box_a, box_b):
        return 0.0
    corners_a, corners_b = footprint(box_a), footprint(box_b)
    return float(min(_points_to_polygon_m(corners_a, corners_b), _points_to_polygon_m(corners_b, corners_a)))


def _points_to_polygon_m(points: Float[np.ndarray, "n 2"], polygon: Float[np.ndarray, "m 2"]) -> float:
    """Least distance from any point to any edge; exact for disjoint convex shapes when taken both ways."""
    start, end = polygon, np.roll(polygon, -1, axis=0)
    edge = end - start
    length2 = np.maximum((edge**2).sum(axis=-1), 1e-12)
    along = np.clip(((points[:, None] - start[None]) * edge[None]).sum(axis=-1) / length2, 0.0, 1.0)
    nearest = start[None] + along[..., None] * edge[None]
    return float(np.linalg.norm(points[:, None] - nearest, axis=-1).min())


def points_in_box(
    points_m: Float[np.ndarray, "n 3"],
    centre_xyz_m: Float[np.ndarray, "3"],
    size_lwh_m: Float[np.ndarray, "3"],
    yaw_rad: float,
) -> Bool[np.ndarray, "n"]:
    """Which points lie in an upright box, faces included; points and box share a frame, metres."""
    offset = points_m - centre_xyz_m
    cos, sin = np.cos(yaw_rad), np.sin(yaw_rad)
    along = np.stack(
        [cos * offset[:, 0] + sin * offset[:, 1], cos * offset[:, 1] - sin * offset[:, 0], offset[:, 2]], -1
    )
    return np.asarray((np.abs(along) <= 0.5 * size_lwh_m).all(axis=-1))


def image_iou(boxes_a: Float[np.ndarray, "n 4"], boxes_b: Float[np.ndarray, "m 4"]) -> Float[np.ndarray, "n m"]:
    """Intersection over union of image boxes, in [0, 1]; 0 where both are empty."""
    low = np.maximum(boxes_a[:, None, :2], boxes_b[None, :, :2])
    high = np.minimum(boxes_a[:, None, 2:], boxes_b[None, :, 2:])
    intersection = np.clip(high - low, 0.0, None).prod(axis=-1)
    union = _area(boxes_a)[:, None] + _area(boxes_b)[None] - intersection
    return np.asarray(np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0))


def _area(boxes: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n"]:
    return np.asarray(np.clip(boxes[:, 2:] - boxes[:, :2], 0.0, None).prod(axis=-1))
