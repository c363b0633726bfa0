"""Who walks where: people strolling along the sidewalks and people about to cross, for one scene."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from sensors.synth.fleet import draw_pedestrian
from sensors.synth.lane_network import LaneNetwork
from sensors.synth.pedestrians import Crossing, Walker, crossing_spans, crosswalk_along_m
from sensors.synth.smooth_path import walking_path
from sensors.synth.street_grid import Node, Segment
from sensors.synth.town_plan import SIDEWALK_WIDTH_M

_FOOTWAY_M = (1.5, SIDEWALK_WIDTH_M - 0.6)
_CORNER_M = 0.8
_WAY_M = 60.0
_WORKER_WAY_M = 3.0


class Pavement:
    """Makes walkers for one scene; numbers count on from `first_number`."""

    def __init__(self, network: LaneNetwork, rng: np.random.Generator, first_number: int) -> None:
        self._network = network
        self._bend = network.grid.plan.bend
        self._rng = rng
        self._next = first_number

    def strollers(self, near_xy_m: Float[np.ndarray, "2"], radius_m: float, spacing_m: float) -> list[Walker]:
        """People along all kerbs around a point, on average one every `spacing_m` of sidewalk, children beside adults."""
        out: list[Walker] = []
        for corners in self._loops():
            perimeter = float(np.sum(np.hypot(*(np.roll(corners, -1, axis=0) - corners).T)))
            for _ in range(int(self._rng.poisson(perimeter / spacing_m))):
                out.extend(self._stroll(corners, float(self._rng.uniform(0, perimeter)), near_xy_m, radius_m))
        return out

    def crosser(self, segment: Segment, along_m: float, crosswalk: tuple[Node, int] | None, lead_m: float) -> Walker:
        """Someone who walks `lead_m` along the sidewalk, then over the street at `along_m`, then on."""
        rng = self._rng
        side, half = float(rng.choice([-1.0, 1.0])), segment.street.half_width_m
        off = half + float(rng.uniform(*_FOOTWAY_M))
        middle = sum(segment.clear_m) / 2
        inward = float(np.sign(middle - along_m)) or 1.0
        onward = inward * float(rng.uniform(25.0, 40.0))
        along = np.array([along_m + inward * lead_m, along_m, along_m, along_m + onward])
        corners = segment.to_plan(along, np.array([side * off, side * off, -side * off, -side * off]))
        table = walking_path(self._bend, corners, _CORNER_M)
        kerbs = [
            self._way_to(table, segment, along_m, side * half),
            self._way_to(table, segment, along_m, -side * half),
        ]
        spans = crossing_spans(self._network, segment, crosswalk, along_m, side, kerbs[0])
        body, colour = draw_pedestrian(rng)
        pace = float(rng.uniform(1.15, 1.75))
        crossing = Crossing((kerbs[0], kerbs[1]), crosswalk, spans)
        return Walker(self._number(), body, colour, *table, s_m=0.0, pace_mps=pace, speed_mps=pace, crossing=crossing)

    def zebra_crossers(self, near_xy_m: Float[np.ndarray, "2"], radius_m: float, share: float) -> list[Walker]:
        """For a share of the crosswalks around a point, one to three people who will use it."""
        out: list[Walker] = []
        for segment in self._network.grid.segments:
            for node, leg, at_end in ((segment.start, segment.start_leg, False), (segment.end, segment.end_leg, True)):
                along = crosswalk_along_m(segment, at_end)
                centre = self._bend.to_global(segment.to_plan(np.array([along]), np.zeros(1)))[0]
                if np.hypot(*(centre - near_xy_m)) > radius_m or self._rng.random() > share:
                    continue
                for _ in range(int(self._rng.integers(1, 4))):
                    shifted = along + float(self._rng.uniform(-0.9, 0.9))
                    out.append(self.crosser(segment, shifted, (node, leg), float(self._rng.uniform(2.0, 24.0))))
        return out

    def worker(self, xy_m: Float[np.ndarray, "2"], heading_rad: float) -> Walker:
        """A construction worker who stands or takes a few slow steps."""
        body, colour = draw_pedestrian(self._rng, "construction_worker")
        reach = np.array([np.cos(heading_rad), np.sin(heading_rad)])
        xyh = np.array([[*xy_m, heading_rad], [*(xy_m + _WORKER_WAY_M * reach), heading_rad]])
        pace = float(self._rng.uniform(0.0, 0.25))
        return Walker(
            self._number(),
            body,
            colour,
            np.array([0.0, _WORKER_WAY_M]),
            xyh,
            s_m=0.0,
            pace_mps=pace,
            speed_mps=pace,
            crossing=None,
            ground_m=0.0,
        )

    def _number(self) -> int:
        self._next += 1
        return self._next - 1

    def _way_to(
        self,
        table: tuple[Float[np.ndarray, "m"], Float[np.ndarray, "m 3"]],
        segment: Segment,
        along_m: float,
        across_m: float,
    ) -> float:
        """Way along a path to its sample-interpolated point nearest to a point of the segment."""
        goal = self._bend.to_global(segment.to_plan(np.array([along_m]), np.array([across_m])))[0]
        fine = np.linspace(0, table[0][-1], 2000)
        x, y = np.interp(fine, table[0], table[1][:, 0]), np.interp(fine, table[0], table[1][:, 1])
        return float(fine[np.argmin((x - goal[0]) ** 2 + (y - goal[1]) ** 2)])

    def _loops(self) -> Iterator[Float[np.ndarray, "4 2"]]:
        """Kerb rectangles, counter-clockwise around blocks (land inside) and clockwise for the outskirts (land outside)."""
        grid = self._network.grid
        for block in grid.blocks:
            (u0, u1), (v0, v1) = block.u_m, block.v_m
            yield np.array([[u0, v0], [u1, v0], [u1, v1], [u0, v1]])
        u0, v0, u1, v1 = grid.kerb_bounds()
        yield np.array([[u0, v0], [u0, v1], [u1, v1], [u1, v0]])

    def _stroll(
        self, kerb: Float[np.ndarray, "4 2"], start_m: float, near_xy_m: Float[np.ndarray, "2"], radius_m: float
    ) -> Iterator[Walker]:
        rng = self._rng
        backwards, pace, off = rng.random() < 0.5, float(rng.uniform(0.85, 1.7)), float(rng.uniform(*_FOOTWAY_M))
        child = rng.random() < 0.12
        for beside, kind in ((0.0, "adult"), (0.75, "child")):
            if kind == "child" and not child:
                continue
            body, colour = draw_pedestrian(rng, kind)
            lane = off if beside == 0 else (off + beside if off + beside < _FOOTWAY_M[1] else off - beside)
            corners = _tour(_inset(kerb, lane), start_m, backwards)
            table = walking_path(self._bend, corners, _CORNER_M)
            if np.hypot(*(table[1][0, :2] - near_xy_m)) < radius_m:
                slow = min(pace, 1.2) if child else pace
                yield Walker(
                    self._number(), body, colour, *table, s_m=0.0, pace_mps=slow, speed_mps=slow, crossing=None
                )


def _inset(corners: Float[np.ndarray, "4 2"], by_m: float) -> Float[np.ndarray, "4 2"]:
    """A rectangle moved to the left of its direction of travel."""
    centre = corners.mean(axis=0)
    edge = corners[1] - corners[0]
    turn = edge[0] * (corners[2] - corners[1])[1] - edge[1] * (corners[2] - corners[1])[0]
    moved: Float[np.ndarray, "4 2"] = corners - np.sign(turn) * by_m * np.sign(corners - centre)
    return moved


def _tour(corners: Float[np.ndarray, "4 2"], start_m: float, backwards: bool) -> Float[np.ndarray, "k 2"]:
    """Plan points of a walk of about a minute around a rectangle, from `start_m` along it."""
    if backwards:
        corners = corners[::-1]
    sides = np.roll(corners, -1, axis=0) - corners
    lengths = np.hypot(*sides.T)
    start_m = start_m % float(lengths.sum())
    side = int(np.searchsorted(np.cumsum(lengths), start_m, side="right")) % 4
    along = start_m - float(np.concatenate([[0.0], np.cumsum(lengths)])[side])
    along = float(np.clip(along, 2.0, lengths[side] - 2.0))
    points = [corners[side] + sides[side] * along / lengths[side]]
    left, at = _WAY_M, along
    while float(lengths[side]) - at <= left:
        left -= float(lengths[side]) - at
        side, at = (side + 1) % 4, 0.0
        points.append(corners[side])
    points.append(points[-1] + sides[side] / lengths[side] * max(left, 3.0))
    return np.array(points)
