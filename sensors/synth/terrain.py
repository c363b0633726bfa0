"""The height of the ground, guessed from what stands on it.

A log of tracks has no ground, only boxes whose undersides touch it, and the ego's path. Their heights are spread over a grid in
passes from coarse to fine: each pass adds a smoothed map of what the one before leaves over.
Source: S. L. Barnes, "A technique for maximizing details in numerical weather map analysis", 1964.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.ndimage import gaussian_filter

_PASSES_M = (40.0, 12.0, 4.0, 2.0)
"""Standard deviation of the smoothing of each pass."""
_TRUST = 0.02
"""Weight of "no change" against one measured cell at the centre of its own bell."""
_RIM_M = 30.0
_SINK_M = 0.02


@dataclass(frozen=True, eq=False)
class Terrain:
    """Heights on a square grid, bilinear in between; level beyond it.

    Attributes:
        low_xy_m: the first grid point.
        cell_m: step of the grid.
        height_m: rows run along y, columns along x.
        level_m: height at the rim and beyond.
    """

    low_xy_m: Float[np.ndarray, "2"]
    cell_m: float
    height_m: Float[np.ndarray, "h w"]
    level_m: float

    def at(self, xy_m: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n"]:
        """Height of the ground at places."""
        rows, columns = self.height_m.shape
        place = np.clip((xy_m - self.low_xy_m) / self.cell_m, 0.0, np.array([columns, rows]) - 1.0)
        low = np.minimum(place.astype(np.int64), [columns - 2, rows - 2])
        (fx, fy), (x, y) = (place - low).T, low.T
        heights = self.height_m
        lower = heights[y, x] * (1 - fx) + heights[y, x + 1] * fx
        upper = heights[y + 1, x] * (1 - fx) + heights[y + 1, x + 1] * fx
        return np.asarray(lower * (1 - fy) + upper * fy)


def fit_terrain(
    xyz_m: Float[np.ndarray, "n 3"],
    weight: Float[np.ndarray, "n"],
    low_xy_m: Float[np.ndarray, "2"],
    cell_m: float,
    cells: tuple[int, int],
) -> Terrain:
    """The ground of a rectangle through points that lie on it, a hair lower so that wheels stay free.

    Args:
        xyz_m: at least one point.
        weight: how far each point is trusted.
        low_xy_m: the first corner of the rectangle.
        cell_m: step of the grid.
        cells: how many along x and along y.
    """
    columns, rows = cells[0] + 1, cells[1] + 1
    level = float(np.average(xyz_m[:, 2], weights=weight))
    place = np.rint((xyz_m[:, :2] - low_xy_m) / cell_m).astype(int)
    inside = ((place >= 0) & (place < [columns, rows])).all(axis=1)
    cell: Int[np.ndarray, "k"] = place[inside, 1] * columns + place[inside, 0]
    trust = np.bincount(cell, weight[inside], minlength=rows * columns)
    total = np.bincount(cell, weight[inside] * xyz_m[inside, 2], minlength=rows * columns)
    measured, sure = _mean(total, trust).reshape(rows, columns), np.minimum(trust, 1.0).reshape(rows, columns)
    height = np.full((rows, columns), level)
    for sigma_m in _PASSES_M:
        sigma = sigma_m / cell_m
        bell = _TRUST / (2 * np.pi * sigma**2)
        left = gaussian_filter(sure * (measured - height), sigma, mode="constant")
        height = height + left / (gaussian_filter(sure, sigma, mode="constant") + bell)
    share = _rim(rows, columns, cell_m)
    return Terrain(low_xy_m, cell_m, level + share * (height - level) - _SINK_M, level - _SINK_M)


def _mean(total: Float[np.ndarray, "n"], trust: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    return np.asarray(np.divide(total, trust, out=np.zeros_like(total), where=trust > 0))


def _rim(rows: int, columns: int, cell_m: float) -> Float[np.ndarray, "h w"]:
    """1 inside, falling to 0 at the rim, so that the land beyond can be level."""
    down, across = (
        np.clip(np.minimum(np.arange(count), np.arange(count)[::-1]) * cell_m / _RIM_M, 0.0, 1.0)
        for count in (rows, columns)
    )
    return np.asarray(down[:, None] * across[None])
