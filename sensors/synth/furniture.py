"""Trees, lamps, traffic lights, hedges, benches and signs of a town."""

from __future__ import annotations

from collections.abc import Iterator
from zlib import crc32

import numpy as np

from sensors.synth.scene import Prop
from sensors.synth.street_grid import LEG_DIRECTIONS, Block, Node, Segment, StreetGrid
from sensors.synth.town_plan import SIDEWALK_WIDTH_M, Bend

KERB_ZONE_M = 0.75
"""Distance of posts and trunks from the kerb."""
_SPACING_M = 9.5


def signalised(grid: StreetGrid, node: Node) -> bool:
    """Whether a junction has traffic lights: three legs or more, and one of its streets is an arterial."""
    return len(grid.legs[node]) >= 3 and max(street.lanes for street in grid.node_streets(node)) >= 2


def build_props(grid: StreetGrid) -> tuple[Prop, ...]:
    """All furniture, standing on the sidewalks and greens."""
    rng = np.random.default_rng([crc32(grid.plan.name.encode()), 2])
    out: list[Prop] = []
    for segment in grid.segments:
        for side in (-1.0, 1.0):
            out.extend(_kerb_row(segment, side, grid.plan.bend, rng))
    for node in sorted(grid.legs):
        out.extend(_junction_posts(grid, node))
    for block in grid.blocks:
        out.extend(_green(block, grid.plan.bend, rng) if block.park else _hedges(block, grid.plan.bend, rng))
    return tuple(out)


def _prop(bend: Bend, kind: str, uv: tuple[float, float], direction: tuple[float, float], height_m: float) -> Prop:
    point = np.array([uv])
    x, y = bend.to_global(point)[0]
    return Prop(kind, (float(x), float(y)), float(bend.heading_rad(point, np.array([direction]))[0]), height_m)


def _kerb_row(segment: Segment, side: float, bend: Bend, rng: np.random.Generator) -> Iterator[Prop]:
    """Trees, every third place a lamp, now and then a bench or a sign, between kerb and footway."""
    across = side * (segment.street.half_width_m + KERB_ZONE_M)
    du, dv = segment.direction()
    to_street = (side * dv, -side * du)
    first, last = segment.stop_m[0] + 3.0, segment.stop_m[1] - 3.0
    for place, along in enumerate(np.arange(first, last, _SPACING_M)):
        u, v = segment.to_plan(np.array([along]), np.array([across]))[0]
        draw = rng.random()
        if place % 3 == 1:
            yield _prop(bend, "lamp", (u, v), to_street, 7.0)
        elif draw < 0.62:
            yield _prop(bend, "tree", (u, v), to_street, float(rng.uniform(5.0, 9.0)))
        elif draw < 0.72:
            yield _prop(bend, "bench", (u, v), to_street, 0.85)
        elif draw < 0.80:
            yield _prop(bend, "sign", (u, v), (side * du, side * dv), 2.4)


def _junction_posts(grid: StreetGrid, node: Node) -> Iterator[Prop]:
    """One traffic light for each leg, at the right-hand kerb of its stop line, facing the traffic that arrives."""
    if not signalised(grid, node):
        return
    for leg, segment in sorted(grid.legs[node].items()):
        at_end = segment.end == node
        along = segment.clear_m[1] + 0.2 if at_end else segment.clear_m[0] - 0.2
        across = (segment.street.half_width_m + KERB_ZONE_M) * (-1.0 if at_end else 1.0)
        u, v = segment.to_plan(np.array([along]), np.array([across]))[0]
        yield _prop(grid.plan.bend, "traffic_light", (u, v), LEG_DIRECTIONS[leg], 4.2)


def _green(block: Block, bend: Bend, rng: np.random.Generator) -> Iterator[Prop]:
    """A park: a hedge around it with gaps, trees on a loose grid, benches."""
    margin = SIDEWALK_WIDTH_M + 0.8
    (u0, u1), (v0, v1) = block.u_m, block.v_m
    for u in np.arange(u0 + margin + 6, u1 - margin - 5, 11.0):
        for v in np.arange(v0 + margin + 6, v1 - margin - 5, 11.0):
            at = (float(u + rng.uniform(-3, 3)), float(v + rng.uniform(-3, 3)))
            kind, height = ("bench", 0.85) if rng.random() < 0.12 else ("tree", float(rng.uniform(6.0, 11.0)))
            yield _prop(bend, kind, at, (1.0, 0.0), height)
    for u in np.arange(u0 + margin + 4, u1 - margin - 3, 5.0):
        for v in (v0 + margin, v1 - margin):
            if rng.random() < 0.6:
                yield _prop(bend, "hedge", (float(u), v), (1.0, 0.0), 1.0)


def _hedges(block: Block, bend: Bend, rng: np.random.Generator) -> Iterator[Prop]:
    """Low hedges in the strip between footway and houses (hedges run along their yaw)."""
    edge = SIDEWALK_WIDTH_M + 0.45
    (u0, u1), (v0, v1) = block.u_m, block.v_m
    for u in np.arange(u0 + 10, u1 - 10, 12.0):
        for v in (v0 + edge, v1 - edge):
            if rng.random() < 0.22:
                yield _prop(bend, "hedge", (float(u), v), (1.0, 0.0), float(rng.uniform(0.7, 1.2)))
