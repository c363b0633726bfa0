"""What else speaks for or against a box: neighbours that touch it, ground seen through it, and things that rise above it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from drive_vqa.geometry import angle_rad

CELL_M = 0.2
RING_M = (0.35, 0.55)
"""How far outside a box neighbours are looked for."""
CEILING_DEG, CEILING_BAND, NEAR_CEILING_M = 20, 0.012, 4.0
"""Directions that are compared, how alike their highest slopes must be, and from where on."""
INNER = 0.7
"""Share of a box's length and width in which seen ground contradicts it."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """For each box.

    Attributes:
        touched: share of its surroundings that is occupied.
        open_floor: share of its inside where the ground was seen and nothing on it.
        overgrown: share of its inside where something rises above the class.
    """

    touched: Float[np.ndarray, "n"]
    open_floor: Float[np.ndarray, "n"]
    overgrown: Float[np.ndarray, "n"]


@dataclass(frozen=True, eq=False)
class HeightGrid:
    """Which heights above the ground were hit in each cell.

    Attributes:
        low_xy_m: position of cell (0, 0)'s corner.
        floor: a return from the ground.
        body: a return from 0.3 m up to 1.9 m.
        top_m: the highest return in a cell's 3 × 3 surroundings up to which all steps of 0.7 m were hit; 0 without any.
    """

    low_xy_m: Float[np.ndarray, "2"]
    floor: Bool[np.ndarray, "nx ny"]
    body: Bool[np.ndarray, "nx ny"]
    top_m: Float[np.ndarray, "nx ny"]

    def evidence(
        self,
        centre_m: Float[np.ndarray, "n 2"],
        length_m: Float[np.ndarray, "n"],
        width_m: Float[np.ndarray, "n"],
        yaw_rad: Float[np.ndarray, "n"],
        tallest_m: Float[np.ndarray, "n"],
    ) -> Evidence:
        """Look at the cells in and around boxes."""
        size_m = np.stack([length_m, width_m], axis=-1)
        inside = _turned(INNER * 0.5 * size_m[:, None] * _square(7)[None], yaw_rad) + centre_m[:, None]
        ring = np.concatenate([_border(size_m, gap_m) for gap_m in RING_M], axis=1)
        around = _turned(ring, yaw_rad) + centre_m[:, None]
        whole = _turned(0.5 * size_m[:, None] * _square(7)[None], yaw_rad) + centre_m[:, None]
        body = self._at(self.body, whole)
        high = self._at(self.top_m, whole) > tallest_m[:, None]
        return Evidence(
            touched=self._at(self.body, around).mean(axis=1),
            open_floor=(self._at(self.floor, inside) & ~self._at(self.body, inside)).mean(axis=1),
            overgrown=(high & body).sum(axis=1) / np.maximum(body.sum(axis=1), 1),
        )

    def top_at(self, xy_m: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n"]:
        """How high what stands at positions goes on."""
        return np.asarray(self._at(self.top_m, xy_m[None])[0])

    def _at(self, grid: np.ndarray, xy_m: Float[np.ndarray, "n k 2"]) -> np.ndarray:
        cell = np.floor((xy_m - self.low_xy_m) / CELL_M).astype(np.int64)
        within = ((cell >= 0) & (cell < grid.shape)).all(axis=-1)
        x, y = np.moveaxis(np.clip(cell, 0, np.array(grid.shape) - 1), -1, 0)
        return np.asarray(np.where(within, grid[x, y], np.zeros((), grid.dtype)))


def height_grid(xy_m: Float[np.ndarray, "n 2"], above_m: Float[np.ndarray, "n"]) -> HeightGrid:
    """The grid of a sweep.

    Args:
        xy_m: positions on the ground plane.
        above_m: heights above the ground.
    """
    low_xy_m = xy_m.min(axis=0)
    cell = np.floor((xy_m - low_xy_m) / CELL_M).astype(np.int64)
    shape = tuple((cell.max(axis=0) + 1).tolist())
    floor, body = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    on_floor, on_body = np.abs(above_m) < 0.15, (above_m > 0.3) & (above_m < 1.9)
    floor[tuple(cell[on_floor].T)] = True
    body[tuple(cell[on_body].T)] = True
    return HeightGrid(low_xy_m, floor, body, _tops(cell, above_m, shape))


def _tops(cell: np.ndarray, above_m: Float[np.ndarray, "n"], shape: tuple[int, ...]) -> Float[np.ndarray, "nx ny"]:
    """How high what stands in a cell's surroundings goes on without a gap: steps of 0.7 m that were all hit."""
    from scipy.ndimage import maximum_filter

    top_m, goes_on = np.zeros(shape), np.ones(shape, dtype=bool)
    for low_m in np.arange(0.3, 6.0, 0.7):
        hit = np.zeros(shape)
        among = (above_m >= low_m) & (above_m < low_m + 0.7)
        np.maximum.at(hit, tuple(cell[among].T), above_m[among])
        hit = maximum_filter(hit, size=3)
        goes_on &= hit > 0
        top_m = np.where(goes_on, hit, top_m)
    return top_m


def _turned(local_m: Float[np.ndarray, "n k 2"], yaw_rad: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n k 2"]:
    cos, sin = np.cos(yaw_rad)[:, None], np.sin(yaw_rad)[:, None]
    x, y = local_m[..., 0], local_m[..., 1]
    return np.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)


def _square(count: int) -> Float[np.ndarray, "k 2"]:
    """Even positions in [-1, 1]²."""
    steps = np.linspace(-1.0, 1.0, count)
    return np.asarray(np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2))


def _border(size_m: Float[np.ndarray, "n 2"], gap_m: float) -> Float[np.ndarray, "n 40 2"]:
    """Even positions on the four sides of boxes that are larger by a gap all round."""
    steps = np.linspace(-1.0, 1.0, 10)
    ones = np.ones(10)
    unit = np.concatenate(
        [np.stack(side, axis=-1) for side in ((steps, ones), (steps, -ones), (ones, steps), (-ones, steps))]
    )
    return np.asarray(unit[None] * (0.5 * size_m + gap_m)[:, None])


def near_ceiling(offset_m: Float[np.ndarray, "n 3"], above_m: Float[np.ndarray, "n"]) -> Bool[np.ndarray, "n"]:
    """Which points lie at the upper edge of the lidar's view: what they belong to may go on above it unseen.

    The edge is known where returns of most directions around end at the same slope (rise over distance), above the horizon.

    Args:
        offset_m: points relative to the sensor.
        above_m: their heights above the ground; the ground itself ends at the horizon and not at the highest beam.
    """
    distance_m = np.maximum(np.hypot(offset_m[:, 0], offset_m[:, 1]), 1e-6)
    slope = offset_m[:, 2] / distance_m
    bins = np.floor(np.degrees(angle_rad(offset_m[:, 1], offset_m[:, 0]))).astype(np.int64) % 360
    highest = np.full(360, -np.inf)
    np.maximum.at(highest, bins, np.where((distance_m > NEAR_CEILING_M) & (above_m > 0.5), slope, -np.inf))
    around = highest[(np.arange(360)[:, None] + np.arange(-CEILING_DEG, CEILING_DEG + 1)[None]) % 360]
    around = np.where(np.isfinite(around), around, -1.0)
    low, middle, high = np.quantile(around, [0.25, 0.5, 0.75], axis=1)
    edge = np.where((high - low < CEILING_BAND) & (low > 0), middle, np.inf)
    return np.asarray(slope > edge[bins] - CEILING_BAND)
