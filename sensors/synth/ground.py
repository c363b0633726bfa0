"""The ground of a town: roadway, junctions, zebra bars, sidewalks, greens and painted lines."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from sensors.synth.scene import Marking, Surface
from sensors.synth.street_grid import Block, Node, Segment, StreetGrid
from sensors.synth.town_plan import (
    CORNER_RADIUS_M,
    CROSSWALK_SETBACK_M,
    CROSSWALK_WIDTH_M,
    KERB_HEIGHT_M,
    LANE_WIDTH_M,
    OUTSKIRT_WIDTH_M,
    SIDEWALK_WIDTH_M,
    Bend,
)

_SAMPLE_M = 8.0
_BAR_M = 0.5
_CROSSWALK_HEIGHT_M = 0.01
_FIELD_HEIGHT_M = -0.05
Outline = Float[np.ndarray, "n 2"]


def stations_m(begin_m: float, end_m: float) -> Float[np.ndarray, "n"]:
    """Both ends and the multiples of 8 m between: the same for neighbouring surfaces, so that their edges meet."""
    inner = np.arange(np.ceil(begin_m / _SAMPLE_M), np.floor(end_m / _SAMPLE_M) + 1) * _SAMPLE_M
    inner = inner[(inner > begin_m + 0.5) & (inner < end_m - 0.5)]
    return np.concatenate([[begin_m], inner, [end_m]])


def build_surfaces(grid: StreetGrid) -> tuple[Surface, ...]:
    """Every flat polygon of the town, each simple and counter-clockwise."""
    bend = grid.plan.bend
    out = [Surface("grass", bend.to_global(_field(grid)), _FIELD_HEIGHT_M)]
    for segment in grid.segments:
        half = segment.street.half_width_m
        out.append(Surface("road", bend.to_global(_strip(segment, segment.clear_m, (-half, half))), 0.0))
        out.extend(Surface("crosswalk", bend.to_global(bar), _CROSSWALK_HEIGHT_M) for bar in _zebra_bars(segment))
    out.extend(Surface("junction", bend.to_global(_junction(grid, node)), 0.0) for node in sorted(grid.legs))
    for block in grid.blocks:
        out.extend(Surface("sidewalk", bend.to_global(piece), KERB_HEIGHT_M) for piece in _sidewalk_ring(block))
        kind = "grass" if block.park else "plaza"
        out.append(Surface(kind, bend.to_global(_rectangle(*_inner(block))), KERB_HEIGHT_M))
    out.extend(_outskirts(grid))
    return tuple(out)


def _rectangle(u_m: tuple[float, float], v_m: tuple[float, float]) -> Outline:
    us, vs = stations_m(*u_m), stations_m(*v_m)
    south = np.column_stack([us, np.full(len(us), v_m[0])])
    east = np.column_stack([np.full(len(vs), u_m[1]), vs])
    north = np.column_stack([us[::-1], np.full(len(us), v_m[1])])
    west = np.column_stack([np.full(len(vs), u_m[0]), vs[::-1]])
    return np.concatenate([south[:-1], east[:-1], north[:-1], west[:-1]])


def _strip(segment: Segment, along_m: tuple[float, float], across_m: tuple[float, float]) -> Outline:
    along = stations_m(*along_m)
    right = segment.to_plan(along, np.full(len(along), across_m[0]))
    left = segment.to_plan(along[::-1], np.full(len(along), across_m[1]))
    return np.concatenate([right, left])


def _zebra_bars(segment: Segment) -> Iterator[Outline]:
    """White bars of the crosswalks at both ends, parallel to the street."""
    half = segment.street.half_width_m
    count = int((2 * half - 0.4) / (2 * _BAR_M))
    starts = (np.arange(count) - (count - 0.5) / 2) * 2 * _BAR_M
    for edge, sign in ((segment.clear_m[0], 1.0), (segment.clear_m[1], -1.0)):
        near, far = edge + sign * CROSSWALK_SETBACK_M, edge + sign * (CROSSWALK_SETBACK_M + CROSSWALK_WIDTH_M)
        for start in starts:
            along = np.array([min(near, far), max(near, far), max(near, far), min(near, far)])
            across = np.array([start, start, start + _BAR_M, start + _BAR_M])
            yield segment.to_plan(along, across)


def _fillet(
    corner: tuple[float, float], quadrant: tuple[int, int], first_deg: float, count: int = 7
) -> Float[np.ndarray, "n 2"]:
    """Quarter circle of the kerb around (corner + radius * quadrant), from `first_deg` over 90 degrees clockwise."""
    centre = np.array(corner) + CORNER_RADIUS_M * np.array(quadrant)
    angle = np.deg2rad(first_deg - np.linspace(0, 90, count))
    arc: Outline = centre + CORNER_RADIUS_M * np.column_stack([np.cos(angle), np.sin(angle)])
    return arc


def _junction(grid: StreetGrid, node: Node) -> Outline:
    """The plus (or T, or L) between the legs, with rounded kerbs in the quadrants between two legs."""
    street_u, street_v = grid.node_streets(node)
    half_u, half_v = street_u.half_width_m, street_v.half_width_m
    legs = grid.legs[node]
    points: list[Outline] = []
    for quadrant, (qu, qv) in enumerate(((1, 1), (-1, 1), (-1, -1), (1, -1))):
        corner = (street_u.at_m + qu * half_u, street_v.at_m + qv * half_v)
        first, second = quadrant, (quadrant + 1) % 4
        if first in legs and second in legs:
            points.append(_fillet(corner, (qu, qv), 270.0 + 90.0 * quadrant))
        elif first in legs or second in legs:
            lengthwise = (first if first in legs else second) % 2 == 0
            step = (qu * CORNER_RADIUS_M, 0.0) if lengthwise else (0.0, qv * CORNER_RADIUS_M)
            end = (corner[0] + step[0], corner[1] + step[1])
            points.append(np.array([end, corner] if first in legs else [corner, end]))
        else:
            points.append(np.array([corner]))
    return np.concatenate(points)


def _inner(block: Block) -> tuple[tuple[float, float], tuple[float, float]]:
    """The block without its sidewalk."""
    width = SIDEWALK_WIDTH_M
    return (block.u_m[0] + width, block.u_m[1] - width), (block.v_m[0] + width, block.v_m[1] - width)


def _sidewalk_ring(block: Block) -> Iterator[Outline]:
    """Four side strips and four rounded corners between the kerb and the inside of a block."""
    r = CORNER_RADIUS_M
    (u0, u1), (v0, v1) = block.u_m, block.v_m
    width = SIDEWALK_WIDTH_M
    for v in (v0, v1 - width):
        yield _rectangle((u0 + r, u1 - r), (v, v + width))
    for u in (u0, u1 - width):
        yield _rectangle((u, u + width), (v0 + r, v1 - r))
    for (qu, qv), first in (((1, 1), 270.0), ((-1, 1), 360.0), ((-1, -1), 90.0), ((1, -1), 180.0)):
        corner = (u0 if qu > 0 else u1, v0 if qv > 0 else v1)
        inner = np.array(corner) + width * np.array([qu, qv])
        start, end = _fillet(corner, (qu, qv), first)[[0, -1]]
        back = [
            np.where(np.abs(end - np.array(corner)) < 1e-9, inner, end),
            inner,
            np.where(np.abs(start - np.array(corner)) < 1e-9, inner, start),
        ]
        yield np.concatenate([_fillet(corner, (qu, qv), first), np.array(back)])[::-1]


def _field(grid: StreetGrid) -> Outline:
    """Meadow under and around everything."""
    u0, v0, u1, v1 = grid.kerb_bounds()
    margin = OUTSKIRT_WIDTH_M + 60.0
    west, south, east, north = u0 - margin, v0 - margin, u1 + margin, v1 + margin
    return np.array([[west, south], [east, south], [east, north], [west, north]])


def _outskirts(grid: StreetGrid) -> Iterator[Surface]:
    """Sidewalk and plaza around the ring street: on each side a strip that also takes the corner to its left."""
    u0, v0, u1, v1 = grid.kerb_bounds()
    for kind, near, far in (
        ("sidewalk", 0.0, SIDEWALK_WIDTH_M),
        ("plaza", SIDEWALK_WIDTH_M, SIDEWALK_WIDTH_M + OUTSKIRT_WIDTH_M),
    ):
        for u, v in (
            ((u0 - near, u1 + far), (v0 - far, v0 - near)),
            ((u1 + near, u1 + far), (v0 - near, v1 + far)),
            ((u0 - far, u1 + near), (v1 + near, v1 + far)),
            ((u0 - far, u0 - near), (v0 - far, v1 + near)),
        ):
            yield Surface(kind, grid.plan.bend.to_global(_rectangle(u, v)), KERB_HEIGHT_M)


def build_markings(grid: StreetGrid) -> tuple[Marking, ...]:
    """Every painted line: yellow centre, white between lanes and along the edge, stop lines."""
    return tuple(marking for segment in grid.segments for marking in _segment_markings(segment, grid.plan.bend))


def _segment_markings(segment: Segment, bend: Bend) -> Iterator[Marking]:
    street = segment.street
    along = stations_m(*segment.stop_m)

    def line(across_m: float, width_m: float, dashed: bool = False, yellow: bool = False) -> Marking:
        points = bend.to_global(segment.to_plan(along, np.full(len(along), across_m)))
        return Marking(points, width_m, dashed, yellow)

    if street.lanes > 1:
        yield from (line(-0.13, 0.11, yellow=True), line(0.13, 0.11, yellow=True))
    else:
        yield line(0.0, 0.12, dashed=street.speed_limit_mps > 10, yellow=True)
    for side in (-1.0, 1.0):
        yield line(side * street.roadway_m, 0.12)
        for k in range(1, street.lanes):
            yield line(side * k * LANE_WIDTH_M, 0.12, dashed=True)
    for stop, side in ((segment.stop_m[1], -1.0), (segment.stop_m[0], 1.0)):
        across = np.array([0.25, street.roadway_m - 0.15]) * side
        yield Marking(bend.to_global(segment.to_plan(np.full(2, stop), across)), 0.4, False, False)
