"""What stands at the edge of the roadway in a scene: parked cars, and a construction site in a parking strip."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sensors.synth.fleet import Body, Rgb, barrier, cone, draw_vehicle
from sensors.synth.street_grid import Segment
from sensors.synth.town_plan import PARKING_WIDTH_M, Bend

_SLOT_M = 6.4
_CORNER_CLEARANCE_M = 6.0
_CROSSING_CLEARANCE_M = 4.5


@dataclass(frozen=True)
class StandingThing:
    """A box that does not move during the scene."""

    body: Body
    colour: Rgb
    xy_m: tuple[float, float]
    yaw_rad: float


@dataclass(frozen=True)
class Site:
    """A stretch of parking strip closed for works."""

    segment: Segment
    side: float
    along_m: tuple[float, float]


def parked_cars(
    segment: Segment, bend: Bend, share: float, keep_clear_m: list[tuple[float, float]], rng: np.random.Generator
) -> Iterator[StandingThing]:
    """Cars in a share of the parking places of both sides, nose in driving direction.

    Args:
        segment: The street.
        bend: From plan to global.
        share: Share of places taken.
        keep_clear_m: (side, along) of places to leave free; side 0 means both sides.
        rng: Draws cars and places.
    """
    if not segment.street.parking:
        return
    begin, end = segment.stop_m[0] + _CORNER_CLEARANCE_M, segment.stop_m[1] - _CORNER_CLEARANCE_M
    for side in (-1.0, 1.0):
        for along in np.arange(begin + _SLOT_M / 2, end - _SLOT_M / 2, _SLOT_M):
            taken = rng.random() < share
            body, colour = draw_vehicle(rng, parked=True)
            jitter = rng.uniform(-1, 1, 3)
            reach = body.length_m / 2 + _CROSSING_CLEARANCE_M
            near = any(at_side in (0.0, side) and abs(along - at) < reach for at_side, at in keep_clear_m)
            if taken and not near:
                across = side * (segment.street.roadway_m + PARKING_WIDTH_M / 2 + 0.06 * float(jitter[1]))
                yield _place(
                    segment, bend, (body, colour), float(along + 0.3 * jitter[0]), across, 0.025 * float(jitter[2])
                )


def _place(
    segment: Segment, bend: Bend, thing: tuple[Body, Rgb], along_m: float, across_m: float, twist_rad: float
) -> StandingThing:
    """Put a thing beside a street, facing the way its side drives, turned by `twist_rad`."""
    point = segment.to_plan(np.array([along_m]), np.array([across_m]))
    facing = np.array([segment.direction()]) * (1.0 if across_m < 0 else -1.0)
    x, y = bend.to_global(point)[0]
    yaw = float(bend.heading_rad(point, facing)[0]) + twist_rad
    return StandingThing(*thing, (float(x), float(y)), yaw)


def draw_site(segments: list[Segment], rng: np.random.Generator) -> Site | None:
    """A site of 10 to 16 m in one of the given streets, if one of them has a parking strip."""
    fit = [segment for segment in segments if segment.street.parking]
    if not fit:
        return None
    segment = fit[int(rng.integers(len(fit)))]
    length = float(rng.uniform(10.0, 16.0))
    first, last = segment.stop_m[0] + _CORNER_CLEARANCE_M, segment.stop_m[1] - _CORNER_CLEARANCE_M - length
    start = float(rng.uniform(first, max(first, last)))
    return Site(segment, float(rng.choice([-1.0, 1.0])), (start, start + length))


def site_things(site: Site, bend: Bend, rng: np.random.Generator) -> Iterator[StandingThing]:
    """Cones along the lane side and across both ends, barrier boards in between."""
    roadway = site.segment.street.roadway_m
    begin, end = site.along_m
    for along in (begin, end):
        for inset in (0.45, 1.2, 1.95):
            yield _place(
                site.segment, bend, cone(), along, site.side * (roadway + inset), float(rng.uniform(-0.3, 0.3))
            )
    boards = rng.random() < 0.7
    for along in np.arange(begin + 2.0, end - 1.9, 3.2 if boards else 2.2):
        thing = barrier() if boards else cone()
        yield _place(
            site.segment, bend, thing, float(along), site.side * (roadway + 0.45), np.pi / 2 if boards else 0.0
        )
