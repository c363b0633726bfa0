"""Where an image has detail, every pixel is shaded; elsewhere every second one of every second row, with a blend between.

The half grid holds the pixels of even rows and columns. A cell is the 3×3 pixels between four of them.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32, Int

from sensors.synth.materials import Material
from sensors.synth.trace import TOWN, Hits
from sensors.synth.world import World

_TONE_STEP = 0.08


def half_grid(shape: tuple[int, int]) -> Int[np.ndarray, "n"]:
    """Flat indices of the half grid, row by row."""
    height, width = shape
    return np.asarray((np.arange(0, height, 2)[:, None] * width + np.arange(0, width, 2)[None]).ravel())


def half_shape(shape: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of the half grid of an image."""
    return (shape[0] + 1) // 2, (shape[1] + 1) // 2


def fill_between(half: Float32[np.ndarray, "3 p q"], shape: tuple[int, int]) -> Float32[np.ndarray, "3 h w"]:
    """Put the half grid into an image and blend linearly between; past its last row and column the image stays unset."""
    out = np.empty((3, *shape), dtype=np.float32)
    rows, columns = 2 * half.shape[1] - 1, 2 * half.shape[2] - 1
    out[:, ::2, ::2] = half
    out[:, ::2, 1:columns:2] = np.float32(0.5) * (half[:, :, 1:] + half[:, :, :-1])
    upper, lower = out[:, 0 : rows - 1 : 2, :columns], out[:, 2:rows:2, :columns]
    out[:, 1:rows:2, :columns] = np.float32(0.5) * (upper + lower)
    return out


def surface_kind(world: World, hits: Hits) -> Int[np.ndarray, "n"]:
    """A number for each image point that differs between surfaces of one owner: the triangle, but one for all leaves."""
    town = hits.owner == TOWN
    leaf = world.material[np.where(town, hits.triangle, 0)] == Material.LEAF
    return np.where(leaf & town, np.int32(-1), hits.triangle)


def detailed(
    owner: Int[np.ndarray, "h w"], kind: Int[np.ndarray, "h w"], half_tone: Float32[np.ndarray, "p q"]
) -> Bool[np.ndarray, "h w"]:
    """Pixels off the half grid that no blend may fill.

    Args:
        owner: of `Hits`.
        kind: of `surface_kind`.
        half_tone: brightness as displayed, in [0, 1], on the half grid.
    """
    height, width = owner.shape
    rough = np.ones(half_tone.shape, dtype=bool)
    rough[:-1, :-1] = ~_plain_cells(owner, kind, half_tone)
    need = np.zeros(owner.shape, dtype=bool)
    below, right = rough.copy(), rough.copy()
    below[1:] |= rough[:-1]
    right[:, 1:] |= rough[:, :-1]
    need[1::2, 1::2] = rough[: height // 2, : width // 2]
    need[::2, 1::2] = below[:, : width // 2]
    need[1::2, ::2] = right[: height // 2]
    return need


def _plain_cells(
    owner: Int[np.ndarray, "h w"], kind: Int[np.ndarray, "h w"], half_tone: Float32[np.ndarray, "p q"]
) -> Bool[np.ndarray, "r s"]:
    """Cells of one surface of the town, or of sky, without visible steps of brightness between the corners."""
    rows, columns = half_tone.shape[0] - 1, half_tone.shape[1] - 1
    corner = (owner[::2, ::2][:rows, :columns], kind[::2, ::2][:rows, :columns])
    plain = corner[0] <= TOWN
    for down, right in ((0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)):
        plain &= owner[down::2, right::2][:rows, :columns] == corner[0]
        plain &= kind[down::2, right::2][:rows, :columns] == corner[1]
    upper, lower = half_tone[:-1], half_tone[1:]
    high, low = np.maximum(upper, lower), np.minimum(upper, lower)
    steps = np.maximum(high[:, :-1], high[:, 1:]) - np.minimum(low[:, :-1], low[:, 1:])
    return np.asarray(plain & (steps < np.float32(_TONE_STEP)))
