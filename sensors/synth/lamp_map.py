"""Light of the street lamps on the ground of a town, summed once into a grid so that a look-up a pixel is enough at night."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

_CELL_M = 0.25
_REACH_M = 18.0
_STRENGTH = 30.0


@dataclass(frozen=True)
class LampMap:
    """Light on level ground.

    Attributes:
        low_xy_m: corner of the first cell.
        light: by row (y) and column (x).
    """

    low_xy_m: Float[np.ndarray, "2"]
    light: Float32[np.ndarray, "h w"]

    def at(self, x_m: Float32[np.ndarray, "n"], y_m: Float32[np.ndarray, "n"]) -> Float32[np.ndarray, "n"]:
        """Light at places; 0 outside the grid, whose rim is dark."""
        height, width = self.light.shape
        column = np.clip((x_m - np.float32(self.low_xy_m[0])) * np.float32(1.0 / _CELL_M), 0, width - 1).astype(
            np.int32
        )
        row = np.clip((y_m - np.float32(self.low_xy_m[1])) * np.float32(1.0 / _CELL_M), 0, height - 1).astype(np.int32)
        return np.take(self.light.ravel(), row * np.int32(width) + column)


def bake_lamps(lamp_xyz_m: Float[np.ndarray, "k 3"]) -> LampMap:
    """Sum all lamps: each shines down in a wide cone and fades with the square of the distance."""
    if not len(lamp_xyz_m):
        return LampMap(np.zeros(2), np.zeros((1, 1), dtype=np.float32))
    low = np.floor(lamp_xyz_m[:, :2].min(axis=0) - _REACH_M - 1.0)
    width, height = np.ceil((lamp_xyz_m[:, :2].max(axis=0) + _REACH_M + 1.0 - low) / _CELL_M).astype(int)
    light = np.zeros((height, width), dtype=np.float32)
    half = int(_REACH_M / _CELL_M)
    for x, y, z in lamp_xyz_m:
        column, row = ((x - low[0]) / _CELL_M, (y - low[1]) / _CELL_M)
        columns, rows = int(column) + np.arange(-half, half + 1), int(row) + np.arange(-half, half + 1)
        flat = ((rows[:, None] + 0.5 - row) ** 2 + (columns[None] + 0.5 - column) ** 2) * _CELL_M**2
        square = flat + z * z
        edge = np.clip(1.0 - flat / _REACH_M**2, 0.0, 1.0)
        light[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] += (
            _STRENGTH * edge * (z / np.sqrt(square)) ** 2.5 / square
        )
    return LampMap(low, light)
