"""Flat polygons as triangles: ear clipping, extruded surfaces and painted lines."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from sensors.synth.materials import Material
from sensors.synth.meshes import Mesh, fan_mesh, grid_mesh

_DASH_M, _GAP_M = 3.0, 4.5


def triangulate(outline_m: Float[np.ndarray, "n 2"]) -> Int[np.ndarray, "t 3"]:
    """Ear clipping of a simple polygon; triangles are counter-clockwise.

    Source: G. H. Meisters, "Polygons have ears", 1975.
    """
    left = np.arange(len(outline_m))
    if _cross(outline_m, np.roll(outline_m, -1, axis=0)).sum() < 0:
        left = left[::-1]
    triangles = []
    while len(left) > 3:
        points = outline_m[left]
        to, on = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
        turn = _cross(to, on)
        if (turn >= -1e-9).all():
            break
        ear = _ear(points, turn)
        triangles.append((left[ear - 1], left[ear], left[(ear + 1) % len(left)]))
        left = np.delete(left, ear)
    fan = np.stack([np.full(len(left) - 2, left[0]), left[1:-1], left[2:]], axis=-1)
    return np.concatenate([np.array(triangles, dtype=left.dtype).reshape(-1, 3), fan])


def _cross(a: Float[np.ndarray, "n 2"], b: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n"]:
    return np.asarray(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])


def _ear(points_m: Float[np.ndarray, "n 2"], turn: Float[np.ndarray, "n"]) -> int:
    """A convex corner whose triangle holds no other corner; the one that turns least where rounding left none."""
    count = len(points_m)
    for k in np.flatnonzero(turn > 1e-12).tolist():
        corners = points_m[[k - 1, k, (k + 1) % count]]
        edge = np.roll(corners, -1, axis=0) - corners
        offset = points_m[None] - corners[:, None]
        left_of = edge[:, None, 0] * offset[..., 1] - edge[:, None, 1] * offset[..., 0]
        if not (left_of > 1e-9).all(axis=0).any():
            return int(k)
    return int(np.argmin(np.abs(turn)))


def flat_mesh(outline_m: Float[np.ndarray, "n 2"], height_m: float, material: Material) -> Mesh:
    """A level polygon that faces up."""
    triangles = triangulate(outline_m)
    vertices = np.column_stack([outline_m, np.full(len(outline_m), height_m)])
    return Mesh(vertices, triangles, np.full(len(triangles), material))


def prism_side(outline_m: Float[np.ndarray, "n 2"], low_m: float, high_m: float, material: Material) -> list[Mesh]:
    """One outward quad an edge, in the order of the edges of the counter-clockwise outline."""
    if _cross(outline_m, np.roll(outline_m, -1, axis=0)).sum() < 0:
        outline_m = outline_m[::-1]
    sides = []
    for start, end in zip(outline_m, np.roll(outline_m, -1, axis=0), strict=True):
        quad = np.array([[*start, low_m], [*end, low_m], [*end, high_m], [*start, high_m]])
        sides.append(fan_mesh(quad, material))
    return sides


def ribbon_mesh(line_m: Float[np.ndarray, "n 2"], width_m: float, height_m: float, material: Material) -> Mesh:
    """A level band along a line."""
    along = np.gradient(line_m, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    across = 0.5 * width_m * np.stack([-along[:, 1], along[:, 0]], axis=-1)
    edges = np.stack([line_m - across, line_m + across], axis=1)
    return grid_mesh(np.concatenate([edges, np.full((*edges.shape[:2], 1), height_m)], axis=-1), material)


def dashes(line_m: Float[np.ndarray, "n 2"]) -> list[Float[np.ndarray, "k 2"]]:
    """The painted pieces of a dashed line."""
    step = np.linalg.norm(np.diff(line_m, axis=0), axis=1)
    station = np.concatenate([[0.0], np.cumsum(step)])
    starts = np.arange(0.5 * _GAP_M, station[-1] - _DASH_M, _DASH_M + _GAP_M)
    return [_between(line_m, station, start, start + _DASH_M) for start in starts]


def _between(
    line_m: Float[np.ndarray, "n 2"], station_m: Float[np.ndarray, "n"], start_m: float, end_m: float
) -> Float[np.ndarray, "k 2"]:
    at = np.concatenate([[start_m], station_m[(station_m > start_m) & (station_m < end_m)], [end_m]])
    return np.stack([np.interp(at, station_m, line_m[:, c]) for c in range(2)], axis=-1)
