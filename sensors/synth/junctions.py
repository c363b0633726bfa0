"""Who may drive into a junction: traffic lights, and one rule that keeps paths apart.

A vehicle enters only with a reservation of its connector, and no two vehicles hold connectors that could touch. A
reservation is asked for in time to stop without it, and given back when the rear bumper has left the junction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import no_type_check

import numpy as np

from sensors.synth.driver import stopping_distance_m
from sensors.synth.furniture import signalised
from sensors.synth.lane_network import LaneNetwork, LanePath
from sensors.synth.street_grid import Node
from sensors.synth.town_plan import CROSSWALK_WIDTH_M
from sensors.synth.vehicle import Occupancy, Vehicle

_ALL_RED_S = 2.0
_ASK_AHEAD_S = {"straight": 4.5, "right": 3.5, "left": 2.6}
_ASK_AHEAD_M = 8.0


@no_type_check  # its methods run a million times a scene: the test run would spend its time checking floats
@dataclass(frozen=True)
class Signal:
    """Two-phase traffic light: the east-west legs are green first, then the north-south ones."""

    green_s: tuple[float, float]
    offset_s: float

    def green_left_s(self, leg: int, time_s: float) -> float:
        """Seconds of green left for a leg, 0 when it is red."""
        begin, end = self._green_span(leg)
        now = (time_s + self.offset_s) % self._cycle_s()
        return max(0.0, end - now) if now >= begin else 0.0

    def red_left_s(self, leg: int, time_s: float) -> float:
        """Seconds until a leg turns green, 0 when it is green."""
        if self.green_left_s(leg, time_s) > 0:
            return 0.0
        begin, _ = self._green_span(leg)
        return (begin - (time_s + self.offset_s)) % self._cycle_s()

    def _green_span(self, leg: int) -> tuple[float, float]:
        begin = 0.0 if leg % 2 == 0 else self.green_s[0] + _ALL_RED_S
        return begin, begin + self.green_s[leg % 2]

    def _cycle_s(self) -> float:
        return sum(self.green_s) + 2 * _ALL_RED_S


@dataclass(frozen=True)
class CrosswalkState:
    """What people on foot ask of the junctions at one instant."""

    blocked: frozenset[int]
    """Connectors with a person in their way."""
    waiting: frozenset[tuple[Node, int]]
    """Crosswalks (node, leg) where someone stands at the kerb."""


@no_type_check  # its methods run a million times a scene: the test run would spend its time checking floats
class Junctions:
    """Signals and reservations of a whole town."""

    def __init__(self, network: LaneNetwork, rng: np.random.Generator) -> None:
        self._network = network
        self._held: dict[Node, dict[int, int]] = {node: {} for node in network.node_connectors}
        self._long: set[int] = set()
        self.signals: dict[Node, Signal] = {}
        for node in network.node_connectors:
            green = (float(rng.uniform(8, 13)), float(rng.uniform(8, 13)))
            signal = Signal(green, float(rng.uniform(0, sum(green) + 2 * _ALL_RED_S)))
            if signalised(network.grid, node):
                self.signals[node] = signal

    def favour(self, connector: int, arrival_s: float, lead_s: float) -> None:
        """Shift the signal of a connector's junction so that its leg turns green `lead_s` before `arrival_s`."""
        path = self._network.paths[connector]
        signal = self.signals.get(path.node) if path.node else None
        if signal and path.node:
            moved = signal.offset_s + signal.red_left_s(path.entry_leg, arrival_s - lead_s)
            self.signals[path.node] = Signal(signal.green_s, moved)

    def holds(self, vehicle: Vehicle, connector: int) -> bool:
        """Whether a vehicle may drive into a connector."""
        node = self._network.paths[connector].node
        return node is not None and self._held[node].get(vehicle.number) == connector

    def admit(self, vehicle: Vehicle, connector: int) -> None:
        """Give a reservation to a vehicle that starts inside the junction or its exit."""
        node = self._network.paths[connector].node
        if node is not None:
            self._held[node][vehicle.number] = connector
            if vehicle.body.long:
                self._long.add(vehicle.number)

    def crosswalk_clear(self, node: Node, leg: int, vehicles: dict[int, Vehicle]) -> bool:
        """Whether no vehicle holds a connector over a crosswalk that it has not yet passed."""
        for number, connector in self._held[node].items():
            path, vehicle = self._network.paths[connector], vehicles[number]
            if path.exit_leg == leg:
                return False
            passed = vehicle.lane != connector or vehicle.tail_s_m > CROSSWALK_WIDTH_M + 1.5
            entered = vehicle.lane == connector or connector not in vehicle.route
            if path.entry_leg == leg and not (entered and passed):
                return False
        return True

    def update(self, vehicles: dict[int, Vehicle], occupancy: Occupancy, people: CrosswalkState, time_s: float) -> None:
        """Take back what is no longer needed, then grant in order of arrival (left turns last)."""
        for node, held in self._held.items():
            for number in [n for n, connector in held.items() if self._is_over(vehicles[n], connector, node, time_s)]:
                del held[number]
        asking = []
        for vehicle in vehicles.values():
            connector = vehicle.route[0]
            path = self._network.paths[connector]
            if path.node is None or vehicle.number in self._held[path.node]:
                continue
            distance = self._network.paths[vehicle.lane].length_m - vehicle.front_s_m
            if distance < vehicle.speed_mps * _ASK_AHEAD_S[path.turn] + _ASK_AHEAD_M:
                arrival = distance / max(vehicle.speed_mps, 2.0)
                asking.append((path.turn == "left" and arrival < 2.0, arrival, vehicle.number))
        for _, _, number in sorted(asking):
            vehicle = vehicles[number]
            path = self._network.paths[vehicle.route[0]]
            if self._may_enter(vehicle, path, vehicles, occupancy, people, time_s):
                self.admit(vehicle, path.lane_id)

    def _is_over(self, vehicle: Vehicle, connector: int, node: Node, time_s: float) -> bool:
        """Left the junction, changed its mind, or has the light turned red with room to stop."""
        if vehicle.lane == connector:
            return False
        if vehicle.route[0] == connector:
            signal = self.signals.get(node)
            path = self._network.paths[connector]
            if signal is None or signal.green_left_s(path.entry_leg, time_s) > 0:
                return False
            distance = self._network.paths[vehicle.lane].length_m - vehicle.front_s_m
            return distance > stopping_distance_m(vehicle.speed_mps, 2.8) + 1.5
        if vehicle.lane in self._network.successors[connector]:
            return vehicle.tail_s_m > 0.5
        return True

    def _may_enter(
        self,
        vehicle: Vehicle,
        path: LanePath,
        vehicles: dict[int, Vehicle],
        occupancy: Occupancy,
        people: CrosswalkState,
        time_s: float,
    ) -> bool:
        node, connector = path.node, path.lane_id
        if node is None:
            return False
        signal = self.signals.get(node)
        if signal and signal.green_left_s(path.entry_leg, time_s) <= 0:
            return False
        if connector in people.blocked:
            return False
        if signal is None and ((node, path.entry_leg) in people.waiting or (node, path.exit_leg) in people.waiting):
            return False
        if not self._leaders_hold(vehicle, occupancy, node):
            return False
        if any(self._clash(vehicle, path, number, other, vehicles) for number, other in self._held[node].items()):
            return False
        return self._exit_has_room(vehicle, path, occupancy)

    def _clash(self, vehicle: Vehicle, path: LanePath, number: int, other: int, vehicles: dict[int, Vehicle]) -> bool:
        parted_m = self._network.conflicts[path.lane_id].get(other)
        if parted_m is not None and not (vehicles[number].lane == other and vehicles[number].tail_s_m > parted_m):
            return True
        swings = vehicle.body.long and path.turn != "straight"
        other_swings = number in self._long and self._network.paths[other].turn != "straight"
        return swings or other_swings

    def _leaders_hold(self, vehicle: Vehicle, occupancy: Occupancy, node: Node) -> bool:
        """Nobody overtakes in a queue: all vehicles ahead in the lane must already be let in."""
        ahead = occupancy.ahead(vehicle.lane, vehicle.s_m, vehicle.number)
        return all(occupant.vehicle.number in self._held[node] for occupant in ahead)

    def _exit_has_room(self, vehicle: Vehicle, path: LanePath, occupancy: Occupancy) -> bool:
        """Keep the junction free when the traffic behind it stands."""
        exit_lane = self._network.successors[path.lane_id][0]
        last = next(iter(occupancy.lane(exit_lane)), None)
        if last is None or last.vehicle.speed_mps > 3.0 or path.node is None:
            return True
        same = sum(self._network.successors[c][0] == exit_lane for c in self._held[path.node].values())
        return last.tail_s_m > (same + 1) * (vehicle.body.length_m + 3.0)
