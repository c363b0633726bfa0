"""People on foot: along the sidewalks, over zebra crossings when the way is clear, and sometimes in between."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import no_type_check

import numpy as np
from jaxtyping import Float

from sensors.synth.driver import stopping_distance_m
from sensors.synth.fleet import Body, Rgb
from sensors.synth.junctions import CrosswalkState, Junctions
from sensors.synth.lane_network import LaneNetwork
from sensors.synth.smooth_path import hermite_poses
from sensors.synth.street_grid import Node, Segment
from sensors.synth.town_plan import CROSSWALK_SETBACK_M, CROSSWALK_WIDTH_M, KERB_HEIGHT_M, LANE_WIDTH_M
from sensors.synth.vehicle import Occupancy, Vehicle

_ACCEL_MPS2 = 1.3
_YIELD_BRAKE_MPS2 = 3.2
_LANE_MARGIN_M = 0.7
_STOP_BEFORE_M = 2.2
_KERB_BLEND_M = 0.35
_LOOK_AHEAD_M = 70.0


@dataclass(frozen=True)
class LaneSpan:
    """Part of a walker's way that lies in a lane: its end as way of the walker, and where on the lane that is."""

    lane: int
    to_s_m: float
    lane_s_m: float


@dataclass(frozen=True)
class Crossing:
    """The part of a walker's way that is on the roadway."""

    kerb_s_m: tuple[float, float]
    """Way at which the walker leaves one kerb and reaches the other."""
    crosswalk: tuple[Node, int] | None
    """Zebra crossing (node, leg); None for a crossing between junctions."""
    spans: tuple[LaneSpan, ...]


@no_type_check  # its methods run a million times a scene: the test run would spend its time checking floats
@dataclass
class Walker:
    """A person on a fixed way; only the pace and the moment of crossing are free."""

    number: int
    body: Body
    colour: Rgb
    table_s_m: Float[np.ndarray, "m"]
    table_xyh: Float[np.ndarray, "m 3"]
    s_m: float
    pace_mps: float
    speed_mps: float
    crossing: Crossing | None
    ready_s: float = 0.0
    """Not before this instant does the walker start to cross."""
    going: bool = False
    ground_m: float = KERB_HEIGHT_M
    """Height of the ground under someone who does not cross."""

    @property
    def on_roadway(self) -> bool:
        """Whether the walker is between the kerbs (or has decided to step off)."""
        return self.going and self.crossing is not None and self.s_m < self.crossing.kerb_s_m[1]

    @property
    def at_kerb(self) -> bool:
        """Whether the walker stands at the kerb, or nearly, and wants to cross."""
        return self.crossing is not None and not self.going and self.crossing.kerb_s_m[0] - self.s_m < 1.2

    def advance(self, dt_s: float) -> None:
        """Walk on, stopping at the kerb until the way is clear."""
        wish = self.pace_mps
        if self.crossing is not None and not self.going:
            wish = min(wish, sqrt(2 * _ACCEL_MPS2 * max(0.0, self.crossing.kerb_s_m[0] - 0.3 - self.s_m)))
        change = min(max(wish - self.speed_mps, -2 * _ACCEL_MPS2 * dt_s), _ACCEL_MPS2 * dt_s)
        self.speed_mps = max(0.0, self.speed_mps + change)
        self.s_m = min(self.s_m + self.speed_mps * dt_s, float(self.table_s_m[-1]))

    def heights_m(self, s_m: Float[np.ndarray, "t"]) -> Float[np.ndarray, "t"]:
        """Ground under the feet: the sidewalk, and the roadway between the kerbs."""
        if self.crossing is None:
            return np.full(len(s_m), self.ground_m)
        down, up = self.crossing.kerb_s_m
        inside = np.minimum(s_m - down, up - s_m)
        return KERB_HEIGHT_M * (1 - np.clip(inside / _KERB_BLEND_M, 0.0, 1.0))

    def poses(self, s_m: Float[np.ndarray, "t"]) -> tuple[Float[np.ndarray, "t 2"], Float[np.ndarray, "t"]]:
        """Points and headings along the way."""
        return hermite_poses(self.table_s_m, self.table_xyh, s_m)


def crosswalk_along_m(segment: Segment, at_end: bool) -> float:
    """Along-coordinate of the middle of a crosswalk."""
    inset = CROSSWALK_SETBACK_M + CROSSWALK_WIDTH_M / 2
    return segment.clear_m[1] - inset if at_end else segment.clear_m[0] + inset


def crossing_spans(
    network: LaneNetwork,
    segment: Segment,
    crosswalk: tuple[Node, int] | None,
    along_m: float,
    side: float,
    kerb_s_m: float,
) -> tuple[LaneSpan, ...]:
    """Where a straight crossing of a segment meets lanes.

    Args:
        network: The lanes.
        segment: The street that is crossed.
        crosswalk: The zebra crossing used (its connectors are met), or None (street lanes are met).
        along_m: Where along the segment.
        side: -1 when the walker starts at the right kerb of the segment, +1 at the left one.
        kerb_s_m: Way of the walker at the first kerb.
    """
    spans = []
    for path in network.paths:
        if crosswalk is None and (path.node is not None or path.segment_id != segment.segment_id):
            continue
        if crosswalk is not None and (path.node != crosswalk[0] or crosswalk[1] not in (path.entry_leg, path.exit_leg)):
            continue
        across = path.across_m
        if crosswalk is not None:
            across = _crosswalk_across_m(network, path.lane_id, crosswalk[1])
        middle = kerb_s_m + segment.street.half_width_m - side * across
        reach = LANE_WIDTH_M / 2 + _LANE_MARGIN_M
        point = network.grid.plan.bend.to_global(segment.to_plan(np.array([along_m]), np.array([path.across_m])))[0]
        lane_s = network.project(path.lane_id, point)[0] if crosswalk is None else 0.0
        spans.append(LaneSpan(path.lane_id, middle + reach, lane_s))
    return tuple(spans)


def _crosswalk_across_m(network: LaneNetwork, connector: int, leg: int) -> float:
    """Across-coordinate at which a connector passes over the crosswalk of a leg: that of the street lane it joins."""
    path = network.paths[connector]
    if path.exit_leg == leg:
        return network.paths[network.successors[connector][0]].across_m
    return network.paths[network.feeders[connector][0]].across_m


@no_type_check  # its methods run a million times a scene: the test run would spend its time checking floats
class People:
    """All walkers, and what they keep vehicles from doing."""

    def __init__(self, network: LaneNetwork, walkers: list[Walker]) -> None:
        self._network = network
        self._walkers = walkers

    def crosswalks(self) -> CrosswalkState:
        """Connectors with a person still before or in them, and crosswalks with someone waiting."""
        blocked: set[int] = set()
        waiting: set[tuple[Node, int]] = set()
        for walker in self._walkers:
            crossing = walker.crossing
            if crossing is None or crossing.crosswalk is None:
                continue
            if walker.on_roadway:
                blocked.update(span.lane for span in crossing.spans if walker.s_m < span.to_s_m)
            elif walker.at_kerb:
                waiting.add(crossing.crosswalk)
        return CrosswalkState(frozenset(blocked), frozenset(waiting))

    def stops(self) -> dict[int, list[float]]:
        """For street lanes with a person before or in them: arc lengths that no front bumper may pass."""
        out: dict[int, list[float]] = {}
        for walker in self._walkers:
            if walker.on_roadway and walker.crossing and walker.crossing.crosswalk is None:
                for span in walker.crossing.spans:
                    if walker.s_m < span.to_s_m:
                        out.setdefault(span.lane, []).append(span.lane_s_m - _STOP_BEFORE_M)
        return out

    def decide(self, junctions: Junctions, vehicles: dict[int, Vehicle], occupancy: Occupancy, time_s: float) -> None:
        """Let those at the kerb decide whether to go."""
        for walker in self._walkers:
            if walker.at_kerb and time_s >= walker.ready_s and walker.crossing:
                walker.going = self._may_cross(walker, walker.crossing, junctions, vehicles, occupancy, time_s)

    def _may_cross(
        self,
        walker: Walker,
        crossing: Crossing,
        junctions: Junctions,
        vehicles: dict[int, Vehicle],
        occupancy: Occupancy,
        time_s: float,
    ) -> bool:
        if crossing.crosswalk is None:
            return all(self._lane_can_stop(span, occupancy) for span in crossing.spans)
        node, leg = crossing.crosswalk
        signal = junctions.signals.get(node)
        needed = (crossing.kerb_s_m[1] - walker.s_m) / walker.pace_mps + 0.5
        if signal and signal.red_left_s(leg, time_s) < needed:
            return False
        return junctions.crosswalk_clear(node, leg, vehicles)

    def _lane_can_stop(self, span: LaneSpan, occupancy: Occupancy) -> bool:
        """Nobody in the lane is beside the walker, or so near that it would have to brake hard."""
        for occupant in occupancy.lane(span.lane):
            room = span.lane_s_m - _STOP_BEFORE_M - (occupant.s_m + occupant.vehicle.body.front_m)
            beside = occupant.tail_s_m < span.lane_s_m + _STOP_BEFORE_M
            if beside and room < stopping_distance_m(occupant.vehicle.speed_mps, _YIELD_BRAKE_MPS2):
                return False
        for feeder in self._network.feeders[span.lane]:
            for occupant in occupancy.lane(feeder):
                to_end = self._network.paths[feeder].length_m - occupant.s_m - occupant.vehicle.body.front_m
                room = to_end + span.lane_s_m - _STOP_BEFORE_M
                if room < min(_LOOK_AHEAD_M, stopping_distance_m(occupant.vehicle.speed_mps, _YIELD_BRAKE_MPS2)):
                    return False
        return True
