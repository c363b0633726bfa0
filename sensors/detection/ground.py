"""Height of the ground below a lidar sweep: a smooth cloth pressed up against the lowest points.

The ground is a bilinear surface over square nodes. Its heights minimize squared distances to the lowest point of each cell plus
squared second differences, with weights that forgive points above the cloth (things standing on the ground) and keep those below
(asymmetric, iteratively reweighted least squares). Slopes cost nothing, and where no ground was seen the cloth goes on straight.
The idea of a cloth from below is that of Zhang et al., "An Easy-to-Use Airborne LiDAR Data Filtering Method Based on Cloth
Simulation", 2016; the solution here is a sparse linear system.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import sparse
from scipy.sparse.linalg import spsolve

NODE_M = 3.0
CELL_M = 1.0
STIFFNESS = 3.0
"""Weight of a second difference between nodes against one cell's point."""
SOFTNESS_M = (1.5, 1.0, 0.7, 0.5, 0.3, 0.2, 0.15, 0.15)
"""A point this far above the cloth has half weight; one value an iteration."""
BELOW_M = 0.6
"""A point this far below the cloth has half weight: reflections of the laser lie there."""


@dataclass(frozen=True, eq=False)
class GroundSurface:
    """Heights at square nodes, bilinear between them.

    Attributes:
        low_xy_m: position of node (0, 0).
        height_m: of the nodes, x first; the frame is that of the points it was fitted to.
    """

    low_xy_m: Float[np.ndarray, "2"]
    height_m: Float[np.ndarray, "nx ny"]

    def at(self, xy_m: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n"]:
        """Ground height at positions; beyond the nodes that of the border."""
        place, weight = _bilinear(xy_m, self.low_xy_m, self.height_m.shape)
        return np.asarray((self.height_m.ravel()[place] * weight).sum(axis=1))


def fit_ground(points_m: Float[np.ndarray, "n 3"], sensor_xy_m: Float[np.ndarray, "2"]) -> GroundSurface:
    """The ground below a sweep.

    Args:
        points_m: finite points, z up.
        sensor_xy_m: where the lidar stands; the ground near it is looked for first.

    Returns:
        A flat surface at height 0 where there are no points.
    """
    if not len(points_m):
        return GroundSurface(np.zeros(2), np.zeros((2, 2)))
    lowest_m = _lowest_of_cells(points_m)
    low_xy_m = np.floor(lowest_m[:, :2].min(axis=0) / NODE_M) * NODE_M
    counts = np.ceil((lowest_m[:, :2].max(axis=0) - low_xy_m) / NODE_M).astype(int) + 1
    shape = (max(int(counts[0]), 3), max(int(counts[1]), 3))
    place, weight = _bilinear(lowest_m[:, :2], low_xy_m, shape)
    rows = np.repeat(np.arange(len(lowest_m)), 4)
    to_points = sparse.csr_matrix((weight.ravel(), (rows, place.ravel())), shape=(len(lowest_m), shape[0] * shape[1]))
    smooth = _second_differences(shape)
    stiff = STIFFNESS * (smooth.T @ smooth) + 1e-6 * sparse.identity(shape[0] * shape[1])
    start_m = _height_near(lowest_m, sensor_xy_m)
    residual_m = lowest_m[:, 2] - start_m
    height_m = np.full(shape[0] * shape[1], start_m)
    for softness_m in SOFTNESS_M:
        weights = np.where(
            residual_m > 0,
            1.0 / (1.0 + (residual_m / softness_m) ** 2) ** 2,
            1.0 / (1.0 + (residual_m / BELOW_M) ** 4),
        )
        weighted = to_points.multiply(weights[:, None]).tocsr()
        height_m = spsolve(
            (weighted.T @ to_points + stiff).tocsc(),
            weighted.T @ (lowest_m[:, 2] - start_m),
            permc_spec="MMD_AT_PLUS_A",
        )
        height_m = height_m + start_m
        residual_m = lowest_m[:, 2] - to_points @ height_m
    cloth = GroundSurface(low_xy_m, np.asarray(height_m).reshape(shape))
    return GroundSurface(low_xy_m, cloth.height_m + _lift(points_m[:, 2] - cloth.at(points_m[:, :2])))


def _lift(above_m: Float[np.ndarray, "n"]) -> float:
    """From the lowest points, on which the cloth lies, to the middle of the ground's own noise."""
    ground_m = above_m[np.abs(above_m) < 0.15]
    return float(np.median(ground_m)) if len(ground_m) else 0.0


def _lowest_of_cells(points_m: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "k 3"]:
    """The lowest point of each cell."""
    cell = np.floor(points_m[:, :2] / CELL_M).astype(np.int64)
    key = (cell[:, 0] - cell[:, 0].min()) * (int(np.ptp(cell[:, 1])) + 1) + cell[:, 1] - cell[:, 1].min()
    order = np.lexsort((points_m[:, 2], key))
    first = np.flatnonzero(np.diff(key[order], prepend=-1))
    return np.asarray(points_m[order[first]])


def _height_near(lowest_m: Float[np.ndarray, "n 3"], sensor_xy_m: Float[np.ndarray, "2"]) -> float:
    """The lower quartile of the cells' lowest points among the fifty cells nearest to the sensor."""
    distance_m = np.hypot(*(lowest_m[:, :2] - sensor_xy_m).T)
    near = np.argsort(distance_m, kind="stable")[:50]
    return float(np.quantile(lowest_m[near, 2], 0.25))


def _bilinear(
    xy_m: Float[np.ndarray, "n 2"], low_xy_m: Float[np.ndarray, "2"], shape: tuple[int, ...]
) -> tuple[np.ndarray, Float[np.ndarray, "n 4"]]:
    """The four nodes around each position, as flat places, and their weights."""
    most = np.array(shape) - 1
    at = np.clip((xy_m - low_xy_m) / NODE_M, 0.0, most)
    cell = np.minimum(at.astype(np.int64), most - 1)
    fx, fy = (at - cell).T
    corner = cell[:, 0] * shape[1] + cell[:, 1]
    place = np.stack([corner, corner + 1, corner + shape[1], corner + shape[1] + 1], axis=1)
    weight = np.stack([(1 - fx) * (1 - fy), (1 - fx) * fy, fx * (1 - fy), fx * fy], axis=1)
    return place, weight


def _second_differences(shape: tuple[int, int]) -> sparse.csr_matrix:
    """Bending along x, along y, and twist."""

    def bend(count: int) -> sparse.csr_matrix:
        return sparse.diags([1.0, -2.0, 1.0], [0, 1, 2], shape=(count - 2, count), format="csr")

    def step(count: int) -> sparse.csr_matrix:
        return sparse.diags([-1.0, 1.0], [0, 1], shape=(count - 1, count), format="csr")

    nx, ny = shape
    parts = [
        sparse.kron(bend(nx), sparse.identity(ny)),
        sparse.kron(sparse.identity(nx), bend(ny)),
        np.sqrt(2.0) * sparse.kron(step(nx), step(ny)),
    ]
    return sparse.vstack(parts).tocsr()
