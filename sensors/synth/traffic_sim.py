"""The clock of the traffic: decisions at 10 Hz, motion and records at 20 Hz."""

from __future__ import annotations

from dataclasses import dataclass
from typing import no_type_check

import numpy as np
from jaxtyping import Float, Int

from sensors.synth.junctions import Junctions
from sensors.synth.lane_network import LaneNetwork
from sensors.synth.manoeuvres import Manoeuvres
from sensors.synth.pedestrians import People, Walker
from sensors.synth.vehicle import Occupancy, Vehicle

RATE_HZ = 20
_SUBSTEPS = 2
_DT_S = 1.0 / RATE_HZ
_TICK_S = _SUBSTEPS * _DT_S
_SIDEWAYS_EVERY = 5
_GREEN_SHARE = 0.75
_WAVE_SHARE = 0.6
_JERK_DOWN_MPS3 = 22.0
_JERK_UP_MPS3 = 10.0


@dataclass(frozen=True)
class BrakeOrder:
    """From `at_s` on, as soon as it is driving freely, a vehicle brakes hard, and stands until `hold_s` have passed."""

    at_s: float
    leader_of: int | None
    """Number of the vehicle whose leader brakes; None: `number` itself."""
    number: int
    brake_mps2: float
    hold_s: float


@dataclass(frozen=True)
class LaneRecord:
    """Where the axles of one vehicle are on the lanes at each recorded instant."""

    lane: Int[np.ndarray, "t"]
    s_m: Float[np.ndarray, "t"]
    offset_m: Float[np.ndarray, "t"]
    slope: Float[np.ndarray, "t"]
    """Derivative of the offset by the way."""
    front_lane: Int[np.ndarray, "t"]
    front_s_m: Float[np.ndarray, "t"]


_Instant = tuple[int, float, float, float, int, float]


@no_type_check  # its methods run a million times a scene: the test run would spend its time checking floats
class TrafficSim:
    """All moving road users of a scene."""

    def __init__(
        self,
        network: LaneNetwork,
        vehicles: list[Vehicle],
        walkers: list[Walker],
        orders: list[BrakeOrder],
        rng: np.random.Generator,
        start_s: float,
    ) -> None:
        self._network = network
        self._vehicles = {vehicle.number: vehicle for vehicle in vehicles}
        self._walkers = walkers
        self._orders = list(orders)
        self._junctions = Junctions(network, rng)
        self._manoeuvres = Manoeuvres(network, self._junctions, rng)
        self._people = People(network, walkers)
        self._ticks = 0
        self._start_s = start_s
        for vehicle in vehicles:
            self._manoeuvres.extend_route(vehicle)
        self._green_wave(vehicles[0], rng)

    def _green_wave(self, vehicle: Vehicle, rng: np.random.Generator) -> None:
        """Most lights on a vehicle's way are green when it gets there: a scene that only waits shows little."""
        distance = self._network.paths[vehicle.lane].length_m - vehicle.s_m
        arrival_s = self._start_s
        for lane in vehicle.route:
            path = self._network.paths[lane]
            if path.node is not None and rng.random() < _GREEN_SHARE:
                arrival_s = self._start_s + distance / (_WAVE_SHARE * path.speed_mps + 2.0)
                self._junctions.favour(lane, arrival_s, float(rng.uniform(1.0, 6.0)))
            distance += path.length_m

    def run(self, end_s: float) -> tuple[dict[int, LaneRecord], dict[int, Float[np.ndarray, "t"]]]:
        """Drive from `start_s` to `end_s` and keep what happens from 0 on.

        Returns:
            For each vehicle its lane record, for each walker the way walked, at 0, 1/20, ... `end_s` seconds.
        """
        count = round(end_s * RATE_HZ) + 1
        skip = round(-self._start_s * RATE_HZ)
        driven: list[list[_Instant]] = [self._drive_state()]
        walked: list[list[float]] = [[walker.s_m for walker in self._walkers]]
        while len(driven) < count + skip:
            self._tick(driven, walked)
        steps = np.array(driven[skip : skip + count])
        ways = np.array(walked[skip : skip + count]).reshape(count, len(self._walkers))
        records = {number: _record(steps[:, i]) for i, number in enumerate(self._vehicles)}
        return records, {walker.number: ways[:, i] for i, walker in enumerate(self._walkers)}

    def _drive_state(self) -> list[_Instant]:
        return [self._instant(vehicle) for vehicle in self._vehicles.values()]

    def _instant(self, vehicle: Vehicle) -> _Instant:
        """One row of a lane record: rear axle, then front axle further along the route."""
        drift, reach = vehicle.drift, vehicle.s_m + vehicle.body.wheelbase_m
        slope = drift.slope(vehicle.s_m) if drift else 0.0
        lanes = iter((vehicle.lane, *vehicle.route))
        lane = next(lanes)
        while reach > self._network.paths[lane].length_m:
            reach -= self._network.paths[lane].length_m
            lane = next(lanes)
        return vehicle.lane, vehicle.s_m, vehicle.offset_m, slope, lane, reach

    def _tick(self, driven: list[list[_Instant]], walked: list[list[float]]) -> None:
        time_s = self._start_s + self._ticks * _TICK_S
        occupancy = self._move_sideways(Occupancy(list(self._vehicles.values())))
        self._junctions.update(self._vehicles, occupancy, self._people.crosswalks(), time_s)
        self._give_orders(occupancy, time_s)
        stops = self._people.stops()
        for vehicle in self._vehicles.values():
            wanted = self._manoeuvres.accel_mps2(vehicle, occupancy, stops, time_s)
            low, high = vehicle.accel_mps2 - _JERK_DOWN_MPS3 * _TICK_S, vehicle.accel_mps2 + _JERK_UP_MPS3 * _TICK_S
            vehicle.accel_mps2 = min(max(wanted, low), high)
        self._people.decide(self._junctions, self._vehicles, occupancy, time_s)
        for _ in range(_SUBSTEPS):
            for vehicle in self._vehicles.values():
                self._advance(vehicle)
            for walker in self._walkers:
                walker.advance(_DT_S)
            driven.append(self._drive_state())
            walked.append([walker.s_m for walker in self._walkers])
        self._ticks += 1

    def _move_sideways(self, occupancy: Occupancy) -> Occupancy:
        """Each vehicle thinks about lane changes twice a second; the next one already sees what was decided."""
        every_s = _SIDEWAYS_EVERY * _TICK_S
        for vehicle in self._vehicles.values():
            if (vehicle.number + self._ticks) % _SIDEWAYS_EVERY == 0 and self._manoeuvres.move_sideways(
                vehicle, occupancy, every_s
            ):
                occupancy = Occupancy(list(self._vehicles.values()))
        return occupancy

    def _give_orders(self, occupancy: Occupancy, time_s: float) -> None:
        for order in list(self._orders):
            if time_s < order.at_s:
                continue
            vehicle = self._ordered(order, occupancy)
            if (
                vehicle
                and vehicle.speed_mps > 4.5
                and self._network.paths[vehicle.lane].node is None
                and vehicle.tail_s_m > 3.0
            ):
                vehicle.braking_until_s = time_s + order.hold_s
                vehicle.braking_mps2 = order.brake_mps2
                self._orders.remove(order)

    def _ordered(self, order: BrakeOrder, occupancy: Occupancy) -> Vehicle | None:
        if order.leader_of is None:
            return self._vehicles[order.number]
        follower = self._vehicles[order.leader_of]
        return self._manoeuvres.leading_vehicle(follower, occupancy)

    def _advance(self, vehicle: Vehicle) -> None:
        """Move along the lane, on into the next lanes of the route."""
        before = vehicle.speed_mps
        vehicle.speed_mps = max(0.0, before + vehicle.accel_mps2 * _DT_S)
        if vehicle.speed_mps == 0.0:
            vehicle.accel_mps2 = max(0.0, vehicle.accel_mps2)
        vehicle.s_m += (before + vehicle.speed_mps) / 2 * _DT_S
        while vehicle.s_m > self._network.paths[vehicle.lane].length_m:
            length = self._network.paths[vehicle.lane].length_m
            vehicle.s_m -= length
            vehicle.lane = vehicle.route.pop(0)
            vehicle.drift = vehicle.drift.shifted(-length) if vehicle.drift else None
            self._manoeuvres.extend_route(vehicle)
        vehicle.finish_drift()


def _record(rows: Float[np.ndarray, "t 6"]) -> LaneRecord:
    lane, s_m, offset_m, slope, front_lane, front_s_m = rows.T
    return LaneRecord(lane.astype(np.int64), s_m, offset_m, slope, front_lane.astype(np.int64), front_s_m)
