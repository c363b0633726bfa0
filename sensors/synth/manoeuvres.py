"""What one vehicle does next: its acceleration, its lane changes, its passing of cyclists, its way through the town."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import no_type_check

import numpy as np

from sensors.synth.driver import Neighbourhood
from sensors.synth.junctions import Junctions
from sensors.synth.lane_network import LaneNetwork
from sensors.synth.vehicle import Drift, Occupancy, Occupant, OldLane, Vehicle

_LOOK_AHEAD_M = 80.0
_ORDER_GAP_M = 45.0
_SIDE_CLEARANCE_M = 0.3
_CHANGE_LENGTHS = 3.3
"""Shortest lane change in lengths of the vehicle: a shorter one would swing its front out of the new lane."""
_PASS_OFFSET_M = 0.85
_PASS_ROOM_M = 20.0
_PASSED_M = 2.5
"""Lead over a cyclist at which the passing is over."""
_STOP_LINE_SHARE = 0.65
"""Share of the jam gap by which the bumper may come nearer to a stop line than to a leader."""


@no_type_check  # its methods run a million times a scene: the test run would spend its time checking floats
class Manoeuvres:
    """Decisions of drivers in one town, given everyone's places."""

    def __init__(self, network: LaneNetwork, junctions: Junctions, rng: np.random.Generator) -> None:
        self._network = network
        self._junctions = junctions
        self._rng = rng

    def extend_route(self, vehicle: Vehicle) -> None:
        """Plan the way on, at least four lanes ahead; heavy vehicles avoid turning."""
        while len(vehicle.route) < 4:
            last = vehicle.route[-1] if vehicle.route else vehicle.lane
            options = self._network.successors[last]
            weights = np.array([self._turn_weight(vehicle, option) for option in options])
            chosen = options[int(self._rng.choice(len(options), p=weights / weights.sum()))]
            vehicle.route.append(chosen)
            if self._network.paths[chosen].turn == vehicle.favourite_turn:
                vehicle.favourite_turn = "straight"

    def _turn_weight(self, vehicle: Vehicle, lane: int) -> float:
        turn = self._network.paths[lane].turn
        if vehicle.body.long:
            return {"straight": 100.0, "left": 1.0}.get(turn, 0.01)
        weight = 0.5 if turn == "straight" else 0.25
        return weight * (20.0 if turn == vehicle.favourite_turn and turn != "straight" else 1.0)

    def wish_mps(self, vehicle: Vehicle) -> float:
        """Speed the driver would like now: the limit, and bends ahead."""
        driver, paths = vehicle.driver, self._network.paths
        wish = min(driver.top_speed_mps, paths[vehicle.lane].speed_mps * driver.speed_share)
        distance = paths[vehicle.lane].length_m - vehicle.s_m
        for lane in vehicle.route:
            if distance > _LOOK_AHEAD_M:
                break
            wish = min(wish, driver.bend_speed(paths[lane].speed_mps * driver.speed_share, distance))
            distance += paths[lane].length_m
        return wish

    def accel_mps2(self, vehicle: Vehicle, occupancy: Occupancy, stops: dict[int, list[float]], time_s: float) -> float:
        """IDM towards the worst of: leaders, a junction not open yet, people on the roadway; or a scripted braking."""
        wish = self.wish_mps(vehicle)
        hindrances = [
            self.leader(vehicle, occupancy),
            self._junction_ahead(vehicle),
            self._person_ahead(vehicle, stops),
        ]
        if vehicle.old_lane:
            hindrances.append(self._old_leader(vehicle, occupancy))
        accel = min(vehicle.driver.idm_mps2(vehicle.speed_mps, wish, gap, speed) for gap, speed in hindrances)
        if time_s < vehicle.braking_until_s:
            accel = min(accel, -vehicle.braking_mps2 if vehicle.speed_mps > 0.2 else 0.0)
        return accel

    def leader(self, vehicle: Vehicle, occupancy: Occupancy) -> tuple[float, float]:
        """Gap to and speed of the next vehicle in the way, (inf, 0) when there is none."""
        nearest, speed = inf, 0.0
        for gap, occupant in self._in_the_way(vehicle, occupancy):
            if gap < nearest:
                nearest, speed = gap, occupant.vehicle.speed_mps
        return nearest, speed

    def leading_vehicle(self, vehicle: Vehicle, occupancy: Occupancy) -> Vehicle | None:
        """The next vehicle in the way, if it is near enough to matter."""
        ahead = min(self._in_the_way(vehicle, occupancy), key=lambda pair: pair[0], default=None)
        return ahead[1].vehicle if ahead and ahead[0] < _ORDER_GAP_M else None

    def _in_the_way(self, vehicle: Vehicle, occupancy: Occupancy) -> Iterator[tuple[float, Occupant]]:
        """Vehicles ahead that overlap sideways: in this lane, in connectors that part from its own, in the next lanes."""
        number = vehicle.number
        yield from self._on_sibling(vehicle, vehicle.lane, -vehicle.front_s_m, occupancy)
        for occupant in occupancy.ahead(vehicle.lane, vehicle.s_m, number):
            if self._overlap(vehicle, vehicle.offset_m, occupant):
                yield occupant.tail_s_m - vehicle.front_s_m, occupant
                return
        distance = self._network.paths[vehicle.lane].length_m - vehicle.front_s_m
        for lane in vehicle.route:
            if distance > _LOOK_AHEAD_M:
                return
            yield from self._on_sibling(vehicle, lane, distance, occupancy)
            for occupant in occupancy.lane(lane):
                if occupant.vehicle.number != number and self._overlap(vehicle, vehicle.offset_m, occupant):
                    yield distance + occupant.tail_s_m, occupant
                    return
            distance += self._network.paths[lane].length_m

    def _on_sibling(
        self, vehicle: Vehicle, connector: int, distance_m: float, occupancy: Occupancy
    ) -> Iterator[tuple[float, Occupant]]:
        """Vehicles on another connector out of the same lane that have not yet cleared ours."""
        for (own, other), parted_m in self._siblings(connector):
            for occupant in occupancy.lane(other):
                behind = own == vehicle.lane and occupant.s_m <= vehicle.s_m
                if occupant.tail_s_m < parted_m and not behind and occupant.vehicle.number != vehicle.number:
                    yield distance_m + occupant.tail_s_m, occupant

    def _siblings(self, connector: int) -> list[tuple[tuple[int, int], float]]:
        return self._network.siblings.get(connector, [])

    def _old_leader(self, vehicle: Vehicle, occupancy: Occupancy) -> tuple[float, float]:
        """The leader in the lane being left, as long as the boxes overlap sideways."""
        old = vehicle.old_lane
        if old is None:
            return inf, 0.0
        s, offset = vehicle.s_m + old.s_shift_m, vehicle.offset_m + old.side_m
        for occupant in occupancy.ahead(old.lane, s, vehicle.number):
            needed = (vehicle.body.width_m + occupant.vehicle.body.width_m) / 2 + _SIDE_CLEARANCE_M
            if abs(occupant.offset_m - offset) < needed:
                return occupant.tail_s_m - s - vehicle.body.front_m, occupant.vehicle.speed_mps
        return inf, 0.0

    def _junction_ahead(self, vehicle: Vehicle) -> tuple[float, float]:
        connector = vehicle.route[0]
        if self._network.paths[connector].node is None or self._junctions.holds(vehicle, connector):
            return inf, 0.0
        to_line = self._network.paths[vehicle.lane].length_m - vehicle.front_s_m
        return to_line + _STOP_LINE_SHARE * vehicle.driver.jam_gap_m, 0.0

    def _person_ahead(self, vehicle: Vehicle, stops: dict[int, list[float]]) -> tuple[float, float]:
        nearest, distance = inf, -vehicle.front_s_m
        for lane in (vehicle.lane, *vehicle.route):
            gaps = [distance + stop for stop in stops.get(lane, []) if distance + stop > -0.5]
            nearest = min([nearest, *gaps])
            distance += self._network.paths[lane].length_m
            if distance > _LOOK_AHEAD_M:
                break
        return nearest + 0.5 * vehicle.driver.jam_gap_m, 0.0

    def move_sideways(self, vehicle: Vehicle, occupancy: Occupancy, every_s: float) -> bool:
        """Change lane, start or end the passing of a cyclist, if it is time to; says whether the vehicle changed lane."""
        if vehicle.passing is not None:
            self._end_pass(vehicle, occupancy)
            return False
        path = self._network.paths[vehicle.lane]
        if vehicle.drift or path.node is not None or vehicle.body.model == "bicycle" or vehicle.tail_s_m < 1.0:
            return False
        eager = self._rng.random() < vehicle.driver.restless_per_s * every_s
        sides = [
            lane for lane in (self._network.left[vehicle.lane], self._network.right[vehicle.lane]) if lane is not None
        ]
        for target in sides:
            if self._try_change(vehicle, target, occupancy, eager):
                return True
        self._begin_pass(vehicle, occupancy)
        return False

    def _try_change(self, vehicle: Vehicle, target: int, occupancy: Occupancy, eager: bool) -> bool:
        shortest = _CHANGE_LENGTHS * vehicle.body.length_m
        length = float(np.clip(vehicle.speed_mps * self._rng.uniform(2.6, 3.4), shortest, max(shortest, 48.0)))
        path = self._network.paths[vehicle.lane]
        if vehicle.speed_mps < 4.0 or path.length_m - vehicle.front_s_m < length + 8.0:
            return False
        scaled = vehicle.s_m * self._network.paths[target].length_m / path.length_m
        there = self._neighbourhood(vehicle, target, scaled, occupancy)
        wish = self.wish_mps(vehicle)
        if not vehicle.driver.lane_change_pays(vehicle.speed_mps, wish, vehicle.accel_mps2, there, eager):
            return False
        self._change(vehicle, target, length)
        return True

    def _neighbourhood(self, vehicle: Vehicle, target: int, s_m: float, occupancy: Occupancy) -> Neighbourhood:
        ahead, behind = (inf, 0.0), (inf, 0.0)
        around = [(o.s_m, o) for o in occupancy.lane(target)]
        for feeder in self._network.feeders[target]:
            around.extend((o.s_m - self._network.paths[feeder].length_m, o) for o in occupancy.lane(feeder))
        for other_s, occupant in around:
            other = occupant.vehicle
            if other.number == vehicle.number:
                continue
            if other_s >= s_m:
                gap = other_s - other.body.rear_m - s_m - vehicle.body.front_m
                ahead = min(ahead, (gap, other.speed_mps))
            else:
                gap = s_m - vehicle.body.rear_m - other_s - other.body.front_m
                behind = min(behind, (gap, other.speed_mps))
        return Neighbourhood(*ahead, *behind)

    def _change(self, vehicle: Vehicle, target: int, length_m: float) -> None:
        """Put the vehicle into the target lane, as far off its centre as it now is."""
        here, _ = self._network.point(vehicle.lane, vehicle.s_m, vehicle.offset_m)
        s, offset = self._network.project(target, here)
        vehicle.old_lane = OldLane(vehicle.lane, vehicle.s_m - s, vehicle.offset_m - offset)
        vehicle.lane, vehicle.s_m = target, s
        vehicle.drift = Drift(s, length_m, offset, vehicle.rest_offset_m)
        vehicle.route.clear()
        self.extend_route(vehicle)

    def _begin_pass(self, vehicle: Vehicle, occupancy: Occupancy) -> None:
        """Draw out a little inside the only lane to pass a cyclist who keeps to its right edge."""
        room = self._network.paths[vehicle.lane].length_m - vehicle.front_s_m
        straight_on = self._network.paths[vehicle.route[0]].turn == "straight"
        if vehicle.body.long or room < _PASS_ROOM_M or not straight_on or self._network.left[vehicle.lane] is not None:
            return
        occupant = next(occupancy.ahead(vehicle.lane, vehicle.s_m, vehicle.number), None)
        if occupant is None or occupant.vehicle.body.model != "bicycle":
            return
        other, gap = occupant.vehicle, occupant.tail_s_m - vehicle.front_s_m
        if gap < 22.0 and self.wish_mps(vehicle) > other.speed_mps + 1.5:
            length = max(12.0, 2.4 * vehicle.speed_mps)
            vehicle.drift = Drift(vehicle.s_m, length, vehicle.offset_m, _PASS_OFFSET_M)
            vehicle.passing = other.number

    def _end_pass(self, vehicle: Vehicle, occupancy: Occupancy) -> None:
        for lane in (vehicle.lane, *vehicle.route[:2]):
            for occupant in occupancy.lane(lane):
                front = occupant.s_m + occupant.vehicle.body.front_m
                beside = lane != vehicle.lane or front + _PASSED_M > vehicle.tail_s_m
                if occupant.vehicle.number == vehicle.passing and beside:
                    return
        if vehicle.drift is None:
            vehicle.drift = Drift(vehicle.s_m, max(14.0, 2.6 * vehicle.speed_mps), vehicle.offset_m, 0.0)
            vehicle.passing = None

    @staticmethod
    def _overlap(vehicle: Vehicle, offset_m: float, occupant: Occupant) -> bool:
        """Whether two vehicles in a lane would touch if one drove through: with present offsets and with those they go for."""
        other = occupant.vehicle
        needed = (vehicle.body.width_m + other.body.width_m) / 2 + _SIDE_CLEARANCE_M
        other_goal = occupant.offset_m + (other.drift.to_m - other.offset_m if other.drift else 0.0)
        goal = vehicle.drift.to_m if vehicle.drift else offset_m
        return any(abs(a - b) < needed for a in (offset_m, goal) for b in (occupant.offset_m, other_goal))
