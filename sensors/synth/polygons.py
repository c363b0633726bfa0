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
    area = _cross(outline_m, np.roll(outline_m, -1, axis=0)).sum()
    left = list(range(len(outline_m))) if area > 0 else list(range(len(outline_m)))[::-1]
    triangles = []
    while len(left) > 3:
        found = next((k for k in range(len(left)) if _is_ear(outline_m, left, k)), None)
        ear = _flattest(outline_m, left) if found is None else found
        triangles.append((left[ear - 1], left[ear], left[(ear + 1) % len(left)]))
        left.pop(ear)
    return np.array([*triangles, tuple(left)])


def _cross(a: Float[np.ndarray, "*#n 2"], b: Float[np.ndarray, "*#n 2"]) -> Float[np.ndarray, "*n"]:
    return np.asarray(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0])


def _turn(outline_m: Float[np.ndarray, "n 2"], left: list[int], k: int) -> float:
    before, at, after = outline_m[left[k - 1]], outline_m[left[k]], outline_m[left[(k + 1) % len(left)]]
    return float(_cross(at - before, after - at))


def _is_ear(outline_m: Float[np.ndarray, "n 2"], left: list[int], k: int) -> bool:
    """Convex there, and no other corner inside the triangle."""
    if _turn(outline_m, left, k) <= 1e-12:
        return False
    corner = [left[k - 1], left[k], left[(k + 1) % len(left)]]
    others = outline_m[[i for i in left if i not in corner]]
    a, b, c = outline_m[corner]
    inside = (
        (_cross(b - a, others - a) > 1e-9) & (_cross(c - b, others - b) > 1e-9) & (_cross(a - c, others - c) > 1e-9)
    )
    return not inside.any()


def _flattest(outline_m: Float[np.ndarray, "n 2"], left: list[int]) -> int:
    """The corner to drop where rounding left no ear: the one that turns least."""
    return int(np.argmin([abs(_turn(outline_m, left, k)) for k in range(len(left))]))


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
