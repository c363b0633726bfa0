"""The state of one driven vehicle: where on which lane, how far off its centre, and what it is about to do.

`no_type_check`: these run a million times a scene, and the test run would spend its time checking floats.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf
from typing import no_type_check

from sensors.synth.driver import Driver
from sensors.synth.fleet import Body, Rgb
from sensors.synth.town_plan import LANE_WIDTH_M


@no_type_check
@dataclass(frozen=True)
class Drift:
    """A sideways move between two lane offsets, as a function of the way driven, so that it rests when the vehicle does."""

    start_s_m: float
    length_m: float
    from_m: float
    to_m: float

    def offset_m(self, s_m: float) -> float:
        """Lane offset at arc length `s_m`: the quintic with no slope and no curvature at either end."""
        t = min(1.0, max(0.0, (s_m - self.start_s_m) / self.length_m))
        return self.from_m + (self.to_m - self.from_m) * t**3 * (10 - 15 * t + 6 * t * t)

    def slope(self, s_m: float) -> float:
        """Derivative of the offset by the way."""
        t = min(1.0, max(0.0, (s_m - self.start_s_m) / self.length_m))
        return (self.to_m - self.from_m) / self.length_m * 30 * t * t * (1 - t) ** 2

    def shifted(self, by_m: float) -> Drift:
        """The same move with arc lengths counted from another point."""
        return Drift(self.start_s_m + by_m, self.length_m, self.from_m, self.to_m)


@no_type_check
@dataclass(frozen=True)
class OldLane:
    """The lane a vehicle is changing out of: while part of the box is still there, others must mind it."""

    lane: int
    s_shift_m: float
    """Arc length in the old lane minus arc length in the new one."""
    side_m: float
    """Lane offset in the old lane minus lane offset in the new one."""


@no_type_check
@dataclass
class Vehicle:
    """A vehicle on the move; arc lengths and offsets are those of the rear axle."""

    number: int
    body: Body
    colour: Rgb
    driver: Driver
    lane: int
    s_m: float
    speed_mps: float
    rest_offset_m: float
    route: list[int] = field(default_factory=list)
    """Lanes after the current one, as far as planned."""
    favourite_turn: str = "straight"
    accel_mps2: float = 0.0
    drift: Drift | None = None
    old_lane: OldLane | None = None
    braking_until_s: float = -inf
    braking_mps2: float = 0.0
    passing: int | None = None
    """Number of the two-wheeler being passed inside the lane."""

    @property
    def offset_m(self) -> float:
        """Where the vehicle is, to the left of the lane centre."""
        return self.drift.offset_m(self.s_m) if self.drift else self.rest_offset_m

    @property
    def front_s_m(self) -> float:
        """Arc length of the front bumper."""
        return self.s_m + self.body.front_m

    @property
    def tail_s_m(self) -> float:
        """Arc length of the rear bumper."""
        return self.s_m - self.body.rear_m

    def finish_drift(self) -> None:
        """Forget a sideways move that is over, and the old lane once the box has left it."""
        if self.old_lane and abs(self.offset_m) < LANE_WIDTH_M - 2.6:
            self.old_lane = None
        if self.drift and self.s_m >= self.drift.start_s_m + self.drift.length_m:
            self.rest_offset_m = self.drift.to_m
            self.drift = None


@no_type_check
@dataclass(frozen=True)
class Occupant:
    """A vehicle as one lane sees it."""

    s_m: float
    offset_m: float
    vehicle: Vehicle

    @property
    def tail_s_m(self) -> float:
        """Arc length of the rear bumper in this lane."""
        return self.s_m - self.vehicle.body.rear_m


@no_type_check
class Occupancy:
    """Who is in each lane, by ascending arc length."""

    def __init__(self, vehicles: list[Vehicle]) -> None:
        lanes: dict[int, list[Occupant]] = {}
        for vehicle in vehicles:
            offset = vehicle.offset_m
            lanes.setdefault(vehicle.lane, []).append(Occupant(vehicle.s_m, offset, vehicle))
            old = vehicle.old_lane
            if old:
                ghost = Occupant(vehicle.s_m + old.s_shift_m, offset + old.side_m, vehicle)
                lanes.setdefault(old.lane, []).append(ghost)
        for occupants in lanes.values():
            occupants.sort(key=lambda occupant: (occupant.s_m, occupant.vehicle.number))
        self._lanes = lanes

    def lane(self, lane: int) -> list[Occupant]:
        """Occupants of a lane."""
        return self._lanes.get(lane, [])

    def ahead(self, lane: int, s_m: float, number: int) -> Iterator[Occupant]:
        """Occupants beyond `s_m`, nearest first, without vehicle `number` itself."""
        for occupant in self._lanes.get(lane, []):
            if (occupant.s_m, occupant.vehicle.number) > (s_m, number) and occupant.vehicle.number != number:
                yield occupant
