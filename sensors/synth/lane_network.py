"""Lanes of a town as smooth paths: along the streets, and through the junctions as left, straight and right connectors."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int

from sensors.synth.smooth_path import hermite_poses
from sensors.synth.street_grid import LEG_DIRECTIONS, Node, Segment, StreetGrid, build_grid
from sensors.synth.town_plan import CORNER_RADIUS_M, LANE_WIDTH_M, Bend, town_plan

COMFORT_LATERAL_MPS2 = 2.3
_CONFLICT_DISTANCE_M = 2.9
_FRONT_REACH_M = 3.6
_ROAD_STEP_M = 2.0
_CONNECTOR_STEP_M = 0.5
_TABLE_GAP_M = 50.0


@dataclass(frozen=True)
class LanePath:
    """A lane centre line with headings, and where it belongs."""

    lane_id: int
    s_m: Float[np.ndarray, "n"]
    xy_m: Float[np.ndarray, "n 2"]
    heading_rad: Float[np.ndarray, "n"]
    speed_mps: float
    """Speed limit, or what the tightest bend of the lane allows in comfort."""
    node: Node | None
    """The junction a connector belongs to; None for a lane along a street."""
    entry_leg: int
    exit_leg: int
    turn: str
    """`left`, `straight` or `right` for a connector, empty for a lane along a street."""
    segment_id: int
    across_m: float
    """Offset of a street lane from the centre line of its segment (negative: driving towards +along)."""
    length_m: float
    """Arc length of the centre line."""


@dataclass(frozen=True)
class LaneNetwork:
    """All lane paths of a town and how they hang together; indexed by lane id."""

    grid: StreetGrid
    paths: tuple[LanePath, ...]
    successors: tuple[tuple[int, ...], ...]
    left: tuple[int | None, ...]
    right: tuple[int | None, ...]
    conflicts: dict[int, dict[int, float]]
    """For each connector: connectors of the same junction, from other lanes, whose traffic it could touch, and the arc
    length on the other one that a rear bumper must have passed for the danger to be over."""
    siblings: dict[int, list[tuple[tuple[int, int], float]]]
    """For each connector a, as ((a, b), parted_m): the connectors b out of the same lane, and where on b they have parted."""
    feeders: tuple[tuple[int, ...], ...]
    """For each lane, the lanes that lead into it."""
    node_connectors: dict[Node, tuple[int, ...]]
    table_s_m: Float[np.ndarray, "m"]
    table_xyh: Float[np.ndarray, "m 3"]
    table_start_m: Float[np.ndarray, "lanes"]
    table_end_m: Float[np.ndarray, "lanes"]

    def poses(
        self, lane_ids: Int[np.ndarray, "n"], s_m: Float[np.ndarray, "n"], offset_m: Float[np.ndarray, "n"]
    ) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, "n"]]:
        """Global points (cubic Hermite between samples) and headings at arc length `s_m`, `offset_m` to the left."""
        at = np.clip(
            self.table_start_m[lane_ids] + s_m, self.table_start_m[lane_ids], self.table_end_m[lane_ids] - 1e-9
        )
        xy, heading = hermite_poses(self.table_s_m, self.table_xyh, at)
        normal = np.column_stack([-np.sin(heading), np.cos(heading)])
        return xy + offset_m[:, None] * normal, heading

    def point(self, lane_id: int, s_m: float, offset_m: float = 0.0) -> tuple[Float[np.ndarray, "2"], float]:
        """One pose of `poses`."""
        xy, heading = self.poses(np.array([lane_id]), np.array([s_m]), np.array([offset_m]))
        return xy[0], float(heading[0])

    def project(self, lane_id: int, xy_m: Float[np.ndarray, "2"]) -> tuple[float, float]:
        """Arc length and left offset of a global point beside a lane (nearest sample, then Newton steps)."""
        path = self.paths[lane_id]
        s = float(path.s_m[np.argmin(np.sum((path.xy_m - xy_m) ** 2, axis=1))])
        for _ in range(4):
            foot, heading = self.point(lane_id, s)
            delta = xy_m - foot
            s = float(np.clip(s + delta[0] * np.cos(heading) + delta[1] * np.sin(heading), 0.0, path.length_m))
        return s, float(-delta[0] * np.sin(heading) + delta[1] * np.cos(heading))


@lru_cache(maxsize=4)
def lane_network(town_name: str) -> LaneNetwork:
    """The lane network of a named town.

    Raises:
        ConfigError: If no town has this name.
    """
    grid = build_grid(town_plan(town_name))
    paths: list[LanePath] = []
    street: dict[tuple[Node, int, int], int] = {}
    for segment in grid.segments:
        _add_street_lanes(grid.plan.bend, segment, paths, street)
    links: dict[int, list[int]] = {path.lane_id: [] for path in paths}
    for node in sorted(grid.legs):
        _add_connectors(grid, node, street, paths, links)
    neighbours = _neighbours(street)
    connectors = {node: tuple(p.lane_id for p in paths if p.node == node) for node in sorted(grid.legs)}
    conflicts, siblings = _relations(paths, links, connectors)
    feeders = tuple(tuple(lane for lane, after in links.items() if path.lane_id in after) for path in paths)
    table = _table(paths)
    return LaneNetwork(
        grid,
        tuple(paths),
        tuple(tuple(links[path.lane_id]) for path in paths),
        tuple(neighbours.get(path.lane_id, (None, None))[0] for path in paths),
        tuple(neighbours.get(path.lane_id, (None, None))[1] for path in paths),
        conflicts,
        siblings,
        feeders,
        connectors,
        *table,
    )


def _add_street_lanes(
    bend: Bend, segment: Segment, paths: list[LanePath], street: dict[tuple[Node, int, int], int]
) -> None:
    """Add the lanes of both directions; `street` finds them by (node they leave, leg, index from the centre)."""
    begin, end = segment.stop_m
    count = max(2, int(np.ceil((end - begin) / _ROAD_STEP_M)) + 1)
    for sign, node, leg in ((-1.0, segment.start, segment.start_leg), (1.0, segment.end, segment.end_leg)):
        along = np.linspace(begin, end, count)[:: int(-sign)]
        for k in range(segment.street.lanes):
            across = sign * (k + 0.5) * LANE_WIDTH_M
            uv = segment.to_plan(along, np.full(count, across))
            direction = np.broadcast_to(np.array(LEG_DIRECTIONS[leg]), (count, 2))
            street[node, leg, k] = len(paths)
            paths.append(
                _path(
                    bend,
                    uv,
                    direction,
                    len(paths),
                    segment.street.speed_limit_mps,
                    (None, leg, leg, ""),
                    segment,
                    across,
                )
            )


def _path(
    bend: Bend,
    uv: Float[np.ndarray, "n 2"],
    direction: Float[np.ndarray, "n 2"],
    lane_id: int,
    limit_mps: float,
    role: tuple[Node | None, int, int, str],
    segment: Segment,
    across_m: float,
) -> LanePath:
    xy = bend.to_global(uv)
    heading = bend.heading_rad(uv, direction)
    chord = np.hypot(*np.diff(xy, axis=0).T)
    turn = np.abs(np.diff(heading))
    half = np.maximum(turn / 2, 1e-9)
    arc = chord * half / np.sin(half)
    curvature = float(np.max(turn / arc))
    speed = min(limit_mps, float(np.sqrt(COMFORT_LATERAL_MPS2 / max(curvature, 1e-6))))
    s = np.concatenate([[0.0], np.cumsum(arc)])
    return LanePath(lane_id, s, xy, heading, speed, *role, segment.segment_id, across_m, float(s[-1]))


def _add_connectors(
    grid: StreetGrid,
    node: Node,
    street: dict[tuple[Node, int, int], int],
    paths: list[LanePath],
    links: dict[int, list[int]],
) -> None:
    legs = grid.legs[node]
    for entry, segment in sorted(legs.items()):
        came_from = segment.end if segment.start == node else segment.start
        for k in range(segment.street.lanes):
            incoming = street[came_from, (entry + 2) % 4, k]
            for exit_leg, turn, k_out in _exits(legs, entry, k):
                outgoing = street[node, exit_leg, k_out]
                connector = _connector(grid, node, (entry, exit_leg, turn), paths, incoming, outgoing)
                paths.append(connector)
                links[incoming].append(connector.lane_id)
                links[connector.lane_id] = [outgoing]


def _exits(legs: dict[int, Segment], entry: int, k: int) -> list[tuple[int, str, int]]:
    """Where lane `k` (0 nearest the centre) of an entry leg may go, as (exit leg, turn, exit lane)."""
    lanes = legs[entry].street.lanes
    straight, left, right = (entry + 2) % 4, (entry + 3) % 4, (entry + 1) % 4
    out: list[tuple[int, str, int]] = []
    if len(legs) == 2:
        exit_leg, turn = (left, "left") if left in legs else (right, "right")
        return [(exit_leg, turn, min(k, legs[exit_leg].street.lanes - 1))]
    if straight in legs:
        out.append((straight, "straight", k))
    if left in legs and k == 0:
        out.append((left, "left", 0))
    if right in legs and k == lanes - 1:
        out.append((right, "right", legs[right].street.lanes - 1))
    return out


def _connector(
    grid: StreetGrid,
    node: Node,
    role: tuple[int, int, str],
    paths: list[LanePath],
    incoming: int,
    outgoing: int,
) -> LanePath:
    entry, exit_leg, turn = role
    begin = _plan_end(grid, paths[incoming], at_end=True)
    end = _plan_end(grid, paths[outgoing], at_end=False)
    d0, d1 = np.array(LEG_DIRECTIONS[(entry + 2) % 4]), np.array(LEG_DIRECTIONS[exit_leg])
    uv, direction = (
        _straight(begin, end) if turn == "straight" else _turn(begin, d0, end, d1, _turn_reach(grid, node, turn))
    )
    limit = min(paths[incoming].speed_mps, paths[outgoing].speed_mps)
    segment = grid.segments[paths[outgoing].segment_id]
    return _path(grid.plan.bend, uv, direction, len(paths), limit, (node, entry, exit_leg, turn), segment, 0.0)


def _plan_end(grid: StreetGrid, path: LanePath, at_end: bool) -> Float[np.ndarray, "2"]:
    """Plan position of an end of a street lane."""
    segment = grid.segments[path.segment_id]
    towards_end = path.across_m < 0
    along = segment.stop_m[1] if towards_end == at_end else segment.stop_m[0]
    point: Float[np.ndarray, "2"] = segment.to_plan(np.array([along]), np.array([path.across_m]))[0]
    return point


def _turn_reach(grid: StreetGrid, node: Node, turn: str) -> float:
    """How far before the corner point a turn begins: right turns keep clear of the kerb, left turns may swing wide."""
    if turn == "left":
        return 13.0
    margins = [street.half_width_m - street.roadway_m + LANE_WIDTH_M / 2 for street in grid.node_streets(node)]
    return 1.12 * (min(margins) + CORNER_RADIUS_M)


def _straight(
    begin: Float[np.ndarray, "2"], end: Float[np.ndarray, "2"]
) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, "n 2"]]:
    length = float(np.hypot(*(end - begin)))
    t = np.linspace(0, 1, int(np.ceil(length / (2 * _CONNECTOR_STEP_M))) + 1)[:, None]
    return begin + t * (end - begin), np.broadcast_to((end - begin) / length, (len(t), 2))


def _turn(
    begin: Float[np.ndarray, "2"],
    d0: Float[np.ndarray, "2"],
    end: Float[np.ndarray, "2"],
    d1: Float[np.ndarray, "2"],
    reach_m: float,
) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, "n 2"]]:
    """A right-angle turn whose curvature ramps up and down (so that the steering wheel never jumps), with straight ends."""
    before, after = float((end - begin) @ d0), float((end - begin) @ d1)
    reach = min(reach_m, 0.97 * min(before, after))
    corner = begin + before * d0
    angle = _turn_angle(np.linspace(0, 1, 801))
    unit = np.column_stack([np.cos(angle), np.sin(angle)])
    shape = np.concatenate([[[0.0, 0.0]], np.cumsum((unit[1:] + unit[:-1]) / 2, axis=0)]) / 800
    shape *= reach / shape[-1, 0]
    keep = np.linspace(0, 800, max(12, int(1.7 * reach / _CONNECTOR_STEP_M))).round().astype(int)
    curve = corner - reach * d0 + shape[keep, :1] * d0 + shape[keep, 1:] * d1
    tangent = unit[keep, :1] * d0 + unit[keep, 1:] * d1
    lead, tail = _straight(begin, curve[0])[0][:-1], _straight(curve[-1], end)[0][1:]
    points = np.concatenate([lead, curve, tail])
    directions = np.concatenate([np.tile(d0, (len(lead), 1)), tangent, np.tile(d1, (len(tail), 1))])
    return points, directions


def _turn_angle(t: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """Heading from 0 to 90 degrees whose derivative is a trapezoid with ramps over the first and last 30 %."""
    ramp = 0.3
    rate = np.minimum(1.0, np.minimum(t, 1 - t) / ramp)
    angle = np.concatenate([[0.0], np.cumsum((rate[1:] + rate[:-1]) / 2)])
    turned: Float[np.ndarray, "n"] = angle / angle[-1] * (np.pi / 2)
    return turned


def _neighbours(street: dict[tuple[Node, int, int], int]) -> dict[int, tuple[int | None, int | None]]:
    return {
        lane: (street.get((node, leg, k - 1)), street.get((node, leg, k + 1)))
        for (node, leg, k), lane in street.items()
    }


def _relations(
    paths: list[LanePath], links: dict[int, list[int]], connectors: dict[Node, tuple[int, ...]]
) -> tuple[dict[int, dict[int, float]], dict[int, list[tuple[tuple[int, int], float]]]]:
    origin = {child: lane for lane, children in links.items() if paths[lane].node is None for child in children}
    conflicts: dict[int, dict[int, float]] = {lane: {} for lanes in connectors.values() for lane in lanes}
    siblings: dict[int, list[tuple[tuple[int, int], float]]] = {lane: [] for lane in conflicts}
    for lanes in connectors.values():
        for a in lanes:
            for b in lanes:
                distance = _separation(paths[a], paths[b])
                if a != b and origin[a] == origin[b]:
                    near = np.flatnonzero(distance < _CONFLICT_DISTANCE_M)
                    siblings[b].append(((b, a), float(paths[a].s_m[near[-1]]) if len(near) else 0.0))
                elif a != b and distance.min() < _CONFLICT_DISTANCE_M:
                    near = np.flatnonzero(distance < _CONFLICT_DISTANCE_M)
                    conflicts[b][a] = float(paths[a].s_m[near[-1]]) + _FRONT_REACH_M / 2
    return conflicts, siblings


def _separation(a: LanePath, b: LanePath) -> Float[np.ndarray, "n"]:
    """For each sample of `a`, how near rear axle or front of a car on `a` comes to either of a car on `b`."""
    reach_a = _FRONT_REACH_M * np.column_stack([np.cos(a.heading_rad), np.sin(a.heading_rad)])
    reach_b = _FRONT_REACH_M * np.column_stack([np.cos(b.heading_rad), np.sin(b.heading_rad)])
    swept_b = np.concatenate([b.xy_m, b.xy_m + reach_b])
    out = np.full(len(a.xy_m), np.inf)
    for swept_a in (a.xy_m, a.xy_m + reach_a):
        squared = (swept_a[:, None, 0] - swept_b[None, :, 0]) ** 2 + (swept_a[:, None, 1] - swept_b[None, :, 1]) ** 2
        out = np.minimum(out, np.sqrt(squared.min(axis=1)))
    return out


def _table(
    paths: list[LanePath],
) -> tuple[Float[np.ndarray, "m"], Float[np.ndarray, "m 3"], Float[np.ndarray, "lanes"], Float[np.ndarray, "lanes"]]:
    """All paths one after the other on a single axis, so that any mix of lanes is looked up in one search."""
    starts, s_all, xyh = [], [], []
    at = 0.0
    for path in paths:
        starts.append(at)
        s_all.append(path.s_m + at)
        xyh.append(np.column_stack([path.xy_m, path.heading_rad]))
        at += path.length_m + _TABLE_GAP_M
    ends = np.array(starts) + np.array([path.length_m for path in paths])
    return np.concatenate(s_all), np.concatenate(xyh), np.array(starts), ends
