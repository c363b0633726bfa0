"""Whether points lie in boxes. ViGoRL's traces anchor every step to a point, and nobody checks them; here the tracks do."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float


def inside(points_px: Float[np.ndarray, "n 2"], boxes_px: Float[np.ndarray, "m 4"]) -> Bool[np.ndarray, "n m"]:
    """Which points (u, v) lie in which boxes, edges included; a point or box that is not finite has none."""
    low = points_px[:, None, :] >= boxes_px[None, :, :2]
    high = points_px[:, None, :] <= boxes_px[None, :, 2:]
    finite = np.isfinite(points_px).all(axis=1)[:, None] & np.isfinite(boxes_px).all(axis=1)[None, :]
    return np.asarray((low & high).all(axis=2) & finite)


def share_inside(
    points_px: Float[np.ndarray, "n 2"], boxes_px: Float[np.ndarray, "m 4"], same_image: Bool[np.ndarray, "n m"]
) -> float:
    """Share of points that lie in a box of their own image, in [0, 1]; NaN without points.

    Args:
        points_px: (u, v) in pixels.
        boxes_px: left, top, right, bottom in pixels.
        same_image: whether a point may be of the image that a box lies in.
    """
    if not len(points_px):
        return float("nan")
    return float((inside(points_px, boxes_px) & same_image).any(axis=1).mean())
