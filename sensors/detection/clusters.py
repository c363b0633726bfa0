"""Clusters of a sweep on the ground plane, at several scales at once.

Neighbouring returns lie further apart the further away they are, so distances are measured on a map that is true to scale near
the sensor and shrinks outwards (radius r becomes r0 (1 + ln(r / r0)) beyond r0). On it a cluster is a connected set (DBSCAN of
Open3D with one point a core): with growing reach clusters only merge, so the scales form a tree, and what is one thing can be
chosen later, by what looks most like an object.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

TRUE_TO_SCALE_M = 20.0
MAP_CELL_M = 0.08
"""Points of one cell of the map are one point to the clustering."""


def cluster_scales(xy_m: Float[np.ndarray, "n 2"], reaches_m: tuple[float, ...]) -> list[Int[np.ndarray, "n"]]:
    """Cluster labels of points at each reach, 0 upwards.

    Args:
        xy_m: ground-plane positions relative to the sensor.
        reaches_m: greatest step within a cluster, near the sensor.
    """
    if not len(xy_m):
        return [np.zeros(0, dtype=np.int64) for _ in reaches_m]
    import open3d as o3d

    cell = np.floor(_shrunk(xy_m) / MAP_CELL_M).astype(np.int64)
    cell -= cell.min(axis=0)
    key, inverse = np.unique(cell[:, 0] * (int(cell[:, 1].max()) + 1) + cell[:, 1], return_inverse=True)
    places = np.stack([*np.divmod(key, int(cell[:, 1].max()) + 1), np.zeros_like(key)], axis=1) * MAP_CELL_M
    cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(places))
    return [np.asarray(cloud.cluster_dbscan(reach, 1), dtype=np.int64)[inverse] for reach in reaches_m]


def _shrunk(xy_m: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
    """Positions on the map that shrinks outwards."""
    radius_m = np.hypot(xy_m[:, 0], xy_m[:, 1])
    far = np.maximum(radius_m / TRUE_TO_SCALE_M, 1.0)
    return np.asarray(xy_m * ((1.0 + np.log(far)) / far)[:, None])
