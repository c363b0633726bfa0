"""How much of a box a camera sees: the share of its outline that is in the image and not behind another box.

Points are laid evenly over the faces that turn towards the camera, each weighted by the solid angle that its patch takes up,
so that the weights add up to the box as the camera would see it alone. A point counts as seen where it lies in the image
and the ray to it goes through no other box. Walls, trees and everything else without a box hide nothing then. With lidar (see
`sensors.lidar_occlusion`) they do, and boxes do not hide what lidar hits past them.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

from sensors.camera import OrientedBoxes, PinholeCamera, slab_crossings
from sensors.lidar_occlusion import lidar_evidence

FACE_POINTS, GENERATOR = 34, 13
"""A Fibonacci lattice on each face: an edge across it, at whatever place, is met to 1/34 and not to 1/6 as by a square grid."""
TOUCH = 1e-6
"""A box that ends within this share of the ray before the point touches it, and does not hide it."""


TARGETS, HIDERS = 256, 8
"""Boxes that are looked at together, to bound memory."""


def visible_fractions(
    camera: PinholeCamera,
    cam_boxes: OrientedBoxes,
    boxes_px: Float[np.ndarray, "n 4"],
    cam_returns_m: Float[np.ndarray, "r 3"] | None = None,
) -> Float[np.ndarray, "n"]:
    """Visible share of each box, in [0, 1]; 0 for a box around the camera.

    A box hides a point only where the ray has left it before the point: labels of a rider and a bicycle, or of a truck and its
    trailer, run into each other, and neither hides what lies inside it. A box around the camera hides nothing.

    Args:
        camera: that looks.
        cam_boxes: all boxes that touch its view, in its frame; each may hide the others.
        boxes_px: their image boxes (see `sensors.camera.image_boxes`), to know who can hide whom; NaN where out of view.
        cam_returns_m: lidar returns in the camera's frame at its own time; None where there are none to use.
    """
    points_m, weights = _facing_points(cam_boxes)
    seen = camera.in_view(points_m)
    clear = ~_hidden_by_boxes(cam_boxes, boxes_px, points_m, seen & (weights > 0.0))
    if cam_returns_m is not None:
        evidence = lidar_evidence(camera, cam_boxes, points_m, cam_returns_m)
        clear = (clear | evidence.open) & ~evidence.covered
    total = weights.sum(axis=1)
    share = (weights * (seen & clear)).sum(axis=1)
    fraction = np.divide(share, total, out=np.zeros_like(total), where=total > 0.0)
    return np.asarray(np.clip(fraction, 0.0, 1.0))


def _facing_points(cam_boxes: OrientedBoxes) -> tuple[Float[np.ndarray, "n k 3"], Float[np.ndarray, "n k"]]:
    """Points on the three faces of each box on the camera's side, in the camera frame, and their solid angles.

    A face whose outside the camera cannot see (it stands between this face and the opposite one) has weight 0. The solid
    angle of a patch is its area times the camera's distance from its plane, over the cube of its distance.
    """
    camera_local = cam_boxes.local(np.zeros((1, 3)))[:, 0]
    local = (
        _face_lattice()[None] * np.where(camera_local < 0, -1.0, 1.0)[:, None, None] * cam_boxes.half_m[:, None, None]
    )
    above_m = np.maximum(np.abs(camera_local) - cam_boxes.half_m, 0.0)
    area_m2 = cam_boxes.half_m.prod(axis=1, keepdims=True) / cam_boxes.half_m
    distance_m = np.linalg.norm(local - camera_local[:, None, None], axis=-1)
    weights = (area_m2 * above_m)[..., None] / np.maximum(distance_m, 1e-6) ** 3
    points_m = np.einsum("nij,nfkj->nfki", cam_boxes.rotation, local) + cam_boxes.centre_m[:, None, None]
    count = 3 * FACE_POINTS
    return points_m.reshape(len(local), count, 3), weights.reshape(len(local), count)


def _face_lattice() -> Float[np.ndarray, "3 k 3"]:
    """Points on the faces +x, +y and +z of the cube from -1 to 1."""
    index = np.arange(FACE_POINTS)
    one = (2.0 * index + 1.0) / FACE_POINTS - 1.0
    other = one[GENERATOR * index % FACE_POINTS]
    ones = np.ones_like(one)
    return np.stack(
        [np.stack([ones, one, other], -1), np.stack([one, ones, other], -1), np.stack([one, other, ones], -1)]
    )


def _hidden_by_boxes(
    cam_boxes: OrientedBoxes,
    boxes_px: Float[np.ndarray, "n 4"],
    points_m: Float[np.ndarray, "n k 3"],
    needed: Bool[np.ndarray, "n k"],
) -> Bool[np.ndarray, "n k"]:
    """Which points on boxes lie behind other boxes; those that are not `needed` may be left out.

    Some targets at a time, and of each some hiders at a time, those that cover most of it first, until nothing of it is left:
    a broken log may have ten thousand boxes in one place.
    """
    hidden = np.zeros(needed.shape, dtype=bool)
    for start in range(0, len(hidden), TARGETS):
        target, hider = _pairs(cam_boxes, boxes_px, np.arange(start, min(start + TARGETS, len(hidden))))
        while len(target):
            now = np.arange(len(target)) - np.searchsorted(target, target) < HIDERS
            behind = _hidden(points_m[target[now]], cam_boxes.take(hider[now]))
            np.logical_or.at(hidden, target[now], behind)
            left = ~now & (needed & ~hidden).any(axis=1)[target]
            target, hider = target[left], hider[left]
    return hidden


def _pairs(
    cam_boxes: OrientedBoxes, boxes_px: Float[np.ndarray, "n 4"], targets: Int[np.ndarray, "t"]
) -> tuple[Int[np.ndarray, "p"], Int[np.ndarray, "p"]]:
    """Which of some boxes (first) may be hidden by which other (second): their image boxes meet and the other comes nearer.

    By rising target, and for each the hider first whose image box covers most of it.
    """
    low, high = boxes_px[:, :2], boxes_px[:, 2:]
    shared_px = np.minimum(high[targets, None], high[None]) - np.maximum(low[targets, None], low[None])
    meet = (shared_px > 0.0).all(axis=-1)
    distance_m, radius_m = np.linalg.norm(cam_boxes.centre_m, axis=1), cam_boxes.radius_m
    nearer = (distance_m - radius_m)[None] < (distance_m + radius_m)[targets, None]
    row, hider = np.nonzero(meet & nearer & (targets[:, None] != np.arange(len(low))[None]))
    order = np.lexsort((hider, -shared_px[row, hider].prod(axis=-1), row))
    return targets[row[order]], hider[order]


def _hidden(points_m: Float[np.ndarray, "p k 3"], hiders: OrientedBoxes) -> Bool[np.ndarray, "p k"]:
    """Which points lie behind their box, seen from the camera."""
    camera_local = hiders.local(np.zeros((1, 3)))
    enter, leave = slab_crossings(camera_local, points_m @ hiders.rotation, hiders.half_m[:, None])
    return np.asarray((enter < leave) & (enter > 0.0) & (leave < 1.0 - TOUCH))
