"""Intersection over union of upright boxes, for many pairs at once."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

Boxes = Float[np.ndarray, "n 7"]
"""Rows of centre x, y, z, length, width, height (metres; z up) and yaw (radians, counter-clockwise from x)."""


def upright_iou(a: Boxes, b: Boxes) -> Float[np.ndarray, "n"]:
    """Volume of the intersection over that of the union of row i of `a` and row i of `b`, in [0, 1]."""
    low = np.maximum(a[:, 2] - a[:, 5] / 2, b[:, 2] - b[:, 5] / 2)
    high = np.minimum(a[:, 2] + a[:, 5] / 2, b[:, 2] + b[:, 5] / 2)
    shared_m3 = intersection_area_m2(a, b) * np.maximum(high - low, 0.0)
    union_m3 = a[:, 3:6].prod(-1) + b[:, 3:6].prod(-1) - shared_m3
    return np.asarray(shared_m3 / union_m3)


def intersection_area_m2(a: Boxes, b: Boxes) -> Float[np.ndarray, "n"]:
    """Ground area that row i of `a` shares with row i of `b`.

    The outline of `a` is cut where it crosses the lines of b's sides, and what lies outside is pushed onto them: that part
    encloses no area any more, so the area of the pushed outline is the area shared. No case distinctions, hence none missed.
    """
    outline = _corners_in(a, b)
    for axis in (0, 1):
        outline = _pushed_inside(outline, axis, b[:, 3 + axis] / 2)
    x, y = outline[..., 0], outline[..., 1]
    twice = (x * np.roll(y, -1, axis=1) - np.roll(x, -1, axis=1) * y).sum(-1)
    return np.asarray(np.maximum(0.5 * twice, 0.0))


def _corners_in(a: Boxes, b: Boxes) -> Float[np.ndarray, "n 4 2"]:
    """Ground corners of `a`, counter-clockwise, in the frame of `b`."""
    turn, facing = a[:, 6] - b[:, 6], b[:, 6]
    step = a[:, :2] - b[:, :2]
    centre_x = np.cos(facing) * step[:, 0] + np.sin(facing) * step[:, 1]
    centre_y = np.cos(facing) * step[:, 1] - np.sin(facing) * step[:, 0]
    along = 0.5 * a[:, 3, None] * np.array([1.0, -1.0, -1.0, 1.0])
    across = 0.5 * a[:, 4, None] * np.array([1.0, 1.0, -1.0, -1.0])
    cos, sin = np.cos(turn)[:, None], np.sin(turn)[:, None]
    return np.stack(
        [centre_x[:, None] + cos * along - sin * across, centre_y[:, None] + sin * along + cos * across], -1
    )


def _pushed_inside(
    outline: Float[np.ndarray, "n k 2"], axis: int, half: Float[np.ndarray, "n"]
) -> Float[np.ndarray, "n m 2"]:
    """The outline with corners added where it crosses ±half on an axis, then clipped to ±half on it; m = 3 k."""
    edge = np.roll(outline, -1, axis=1) - outline
    run = edge[..., axis]
    level = half[:, None] * np.array([-1.0, 1.0])
    with np.errstate(divide="ignore", invalid="ignore"):
        at = (level[:, None, :] - outline[..., axis, None]) / run[..., None]
    at = np.sort(np.where(np.isfinite(at), np.clip(at, 0.0, 1.0), 0.0), axis=-1)
    at = np.concatenate([np.zeros_like(at[..., :1]), at], axis=-1)
    points = outline[:, :, None] + at[..., None] * edge[:, :, None]
    points = points.reshape(len(outline), 3 * outline.shape[1], 2)
    points[..., axis] = np.clip(points[..., axis], -half[:, None], half[:, None])
    return np.asarray(points)
