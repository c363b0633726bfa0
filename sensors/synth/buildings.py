"""Houses along the inside of the sidewalks of a town."""

from __future__ import annotations

from collections.abc import Iterator
from zlib import crc32

import numpy as np
from jaxtyping import Float

from sensors.synth.scene import Building
from sensors.synth.street_grid import Block, StreetGrid
from sensors.synth.town_plan import OUTSKIRT_WIDTH_M, SIDEWALK_WIDTH_M, TownPlan

_FLOOR_HEIGHT_M = 3.2
_GROUND_FLOOR_M = 4.0
_DEPTH_M = (9.0, 13.0)
_FRONT_M = (11.0, 24.0)
_SETBACK_M = (0.9, 2.6)
_CORNER_GAP_M = 2.5
Rectangle = tuple[float, float, float, float]


def build_buildings(grid: StreetGrid) -> tuple[Building, ...]:
    """Rows of houses around every built-up block and along the outer side of the ring street."""
    rng = np.random.default_rng([crc32(grid.plan.name.encode()), 1])
    rectangles: list[Rectangle] = []
    for block in grid.blocks:
        if not block.park:
            rectangles.extend(_block_houses(block, rng))
    rectangles.extend(_outer_houses(grid, rng))
    return tuple(_building(grid.plan, rectangle, rng) for rectangle in rectangles)


def _building(plan: TownPlan, rectangle: Rectangle, rng: np.random.Generator) -> Building:
    u0, v0, u1, v1 = rectangle
    outline: Float[np.ndarray, "4 2"] = plan.bend.to_global(np.array([[u0, v0], [u1, v0], [u1, v1], [u0, v1]]))
    floors = int(rng.integers(plan.floors[0], plan.floors[1] + 1))
    base = plan.palette_rgb[int(rng.integers(len(plan.palette_rgb)))]
    tint = rng.normal(0.0, 0.02, 3) + rng.normal(0.0, 0.04)
    red, green, blue = (float(c) for c in np.clip(np.array(base) + tint, 0.1, 0.95))
    return Building(outline, _GROUND_FLOOR_M + (floors - 1) * _FLOOR_HEIGHT_M, (red, green, blue))


def _block_houses(block: Block, rng: np.random.Generator) -> Iterator[Rectangle]:
    """Houses face the street on all four sides; the rows north and south take the corners."""
    u0, u1 = block.u_m[0] + SIDEWALK_WIDTH_M, block.u_m[1] - SIDEWALK_WIDTH_M
    v0, v1 = block.v_m[0] + SIDEWALK_WIDTH_M, block.v_m[1] - SIDEWALK_WIDTH_M
    margin = _SETBACK_M[1]
    for begin, end in _fronts(u0 + margin, u1 - margin, rng):
        near, depth = rng.uniform(*_SETBACK_M), rng.uniform(*_DEPTH_M)
        yield begin, v0 + near, end, v0 + near + depth
    for begin, end in _fronts(u0 + margin, u1 - margin, rng):
        near, depth = rng.uniform(*_SETBACK_M), rng.uniform(*_DEPTH_M)
        yield begin, v1 - near - depth, end, v1 - near
    corner = margin + _DEPTH_M[1] + 2.0
    for begin, end in _fronts(v0 + corner, v1 - corner, rng):
        near, depth = rng.uniform(*_SETBACK_M), rng.uniform(*_DEPTH_M)
        yield u0 + near, begin, u0 + near + depth, end
    for begin, end in _fronts(v0 + corner, v1 - corner, rng):
        near, depth = rng.uniform(*_SETBACK_M), rng.uniform(*_DEPTH_M)
        yield u1 - near - depth, begin, u1 - near, end


def _fronts(begin_m: float, end_m: float, rng: np.random.Generator) -> Iterator[tuple[float, float]]:
    """Cut a frontage into houses, wall to wall or with a passage between."""
    at = begin_m
    while end_m - at >= _FRONT_M[0]:
        width = rng.uniform(*_FRONT_M)
        if end_m - at - width < _FRONT_M[0]:
            width = min(end_m - at, 1.4 * _FRONT_M[1])
        yield at, at + width
        at += width + (rng.uniform(2.5, 7.0) if rng.random() < 0.35 else 0.05)


def _outer_houses(grid: StreetGrid, rng: np.random.Generator) -> Iterator[Rectangle]:
    u0, v0, u1, v1 = grid.kerb_bounds()
    near, far = SIDEWALK_WIDTH_M + _SETBACK_M[0], SIDEWALK_WIDTH_M + OUTSKIRT_WIDTH_M - 1.0
    for begin, end in _fronts(u0 - far, u1 + far, rng):
        depth = rng.uniform(*_DEPTH_M)
        yield begin, v0 - near - depth, end, v0 - near
    for begin, end in _fronts(u0 - far, u1 + far, rng):
        depth = rng.uniform(*_DEPTH_M)
        yield begin, v1 + near, end, v1 + near + depth
    for begin, end in _fronts(v0 - near + _CORNER_GAP_M, v1 + near - _CORNER_GAP_M, rng):
        depth = rng.uniform(*_DEPTH_M)
        yield u0 - near - depth, begin, u0 - near, end
    for begin, end in _fronts(v0 - near + _CORNER_GAP_M, v1 + near - _CORNER_GAP_M, rng):
        depth = rng.uniform(*_DEPTH_M)
        yield u1 + near, begin, u1 + near + depth, end
