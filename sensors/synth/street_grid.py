"""Stretches of street, nodes and blocks of a town plan, still on the flat plan."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from sensors.synth.town_plan import CORNER_RADIUS_M, STOP_SETBACK_M, StreetLine, TownPlan

LEG_DIRECTIONS = ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))
"""Plan directions of the legs of a node: 0 east, 1 north, 2 west, 3 south."""

Node = tuple[int, int]
"""A crossing as (index into streets_u, index into streets_v)."""


@dataclass(frozen=True)
class Segment:
    """A stretch of street between two neighbouring nodes, with its own axes: along (to +u or +v) and across (to the left)."""

    segment_id: int
    along_u: bool
    street: StreetLine
    start: Node
    end: Node
    clear_m: tuple[float, float]
    """Along-coordinates where the corner fillets of the two nodes end: the straight kerb lies between."""

    @property
    def stop_m(self) -> tuple[float, float]:
        """Along-coordinates of the two stop lines."""
        return self.clear_m[0] + STOP_SETBACK_M, self.clear_m[1] - STOP_SETBACK_M

    @property
    def start_leg(self) -> int:
        """Which leg of the start node this segment is."""
        return 0 if self.along_u else 1

    @property
    def end_leg(self) -> int:
        """Which leg of the end node this segment is."""
        return self.start_leg + 2

    def to_plan(self, along_m: Float[np.ndarray, "n"], across_m: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n 2"]:
        """Plan points of segment coordinates."""
        if self.along_u:
            return np.column_stack([along_m, self.street.at_m + across_m])
        return np.column_stack([self.street.at_m - across_m, along_m])

    def direction(self) -> tuple[float, float]:
        """Plan direction of growing along-coordinate."""
        return LEG_DIRECTIONS[self.start_leg]


@dataclass(frozen=True)
class Block:
    """A rectangle of land between kerbs."""

    u_m: tuple[float, float]
    v_m: tuple[float, float]
    park: bool


@dataclass(frozen=True)
class StreetGrid:
    """All stretches, and which stretch leaves each node by each leg."""

    plan: TownPlan
    segments: tuple[Segment, ...]
    legs: dict[Node, dict[int, Segment]]
    blocks: tuple[Block, ...]

    def node_streets(self, node: Node) -> tuple[StreetLine, StreetLine]:
        """The north-south and the east-west street of a node."""
        return self.plan.streets_u[node[0]], self.plan.streets_v[node[1]]

    def kerb_bounds(self) -> tuple[float, float, float, float]:
        """Outer kerb of the ring street as plan (u0, v0, u1, v1)."""
        west, east = self.plan.streets_u[0], self.plan.streets_u[-1]
        south, north = self.plan.streets_v[0], self.plan.streets_v[-1]
        return (
            west.at_m - west.half_width_m,
            south.at_m - south.half_width_m,
            east.at_m + east.half_width_m,
            north.at_m + north.half_width_m,
        )


def build_grid(plan: TownPlan) -> StreetGrid:
    """Lay out stretches, nodes and blocks of a plan."""
    segments = tuple(_segments(plan))
    legs: dict[Node, dict[int, Segment]] = {}
    for segment in segments:
        legs.setdefault(segment.start, {})[segment.start_leg] = segment
        legs.setdefault(segment.end, {})[segment.end_leg] = segment
    return StreetGrid(plan, segments, legs, tuple(_blocks(plan)))


def _segments(plan: TownPlan) -> list[Segment]:
    out: list[Segment] = []
    for axis, streets, crossing in (("v", plan.streets_v, plan.streets_u), ("u", plan.streets_u, plan.streets_v)):
        for line, street in enumerate(streets):
            for k, (before, after) in enumerate(pairwise(crossing)):
                if (axis, line, k) in plan.closed:
                    continue
                start, end = ((k, line), (k + 1, line)) if axis == "v" else ((line, k), (line, k + 1))
                clear = (
                    before.at_m + before.half_width_m + CORNER_RADIUS_M,
                    after.at_m - after.half_width_m - CORNER_RADIUS_M,
                )
                out.append(Segment(len(out), axis == "v", street, start, end, clear))
    return out


def _blocks(plan: TownPlan) -> list[Block]:
    """One block a cell; a closed stretch joins the two cells on its sides."""
    spans = {
        (i, j): (i, i + 1, j, j + 1) for i in range(len(plan.streets_u) - 1) for j in range(len(plan.streets_v) - 1)
    }
    for axis, line, k in sorted(plan.closed):
        first, second = ((line - 1, k), (line, k)) if axis == "u" else ((k, line - 1), (k, line))
        i0, _, j0, _ = spans[first]
        _, i1, _, j1 = spans.pop(second)
        spans[first] = (i0, i1, j0, j1)
    return [_block(plan, span, cell in plan.parks) for cell, span in spans.items()]


def _block(plan: TownPlan, span: tuple[int, int, int, int], park: bool) -> Block:
    west, east = plan.streets_u[span[0]], plan.streets_u[span[1]]
    south, north = plan.streets_v[span[2]], plan.streets_v[span[3]]
    return Block(
        (west.at_m + west.half_width_m, east.at_m - east.half_width_m),
        (south.at_m + south.half_width_m, north.at_m - north.half_width_m),
        park,
    )
