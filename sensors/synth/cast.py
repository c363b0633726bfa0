"""Everyone and everything in a scene before the clock starts: ego, traffic, people, parked cars, works, hard brakings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from sensors.synth.lane_network import LaneNetwork
from sensors.synth.pedestrians import Walker
from sensors.synth.population import EGO_NUMBER, draw_ego, draw_traffic
from sensors.synth.roadside import Site, StandingThing, draw_site, parked_cars, site_things
from sensors.synth.street_grid import Segment
from sensors.synth.street_life import Pavement
from sensors.synth.traffic_sim import BrakeOrder
from sensors.synth.vehicle import Vehicle

_STREET_RADIUS_M = 170.0
_WALKER_NUMBERS = 10_000
_SITE_SHARE = 0.4
_SITE_CLEARANCE_M = 4.0
_EGO_LEADER_BRAKES_SHARE = 0.4


@dataclass(frozen=True)
class Cast:
    """All that a scene begins with."""

    vehicles: list[Vehicle]
    """The ego first."""
    walkers: list[Walker]
    standing: list[StandingThing]
    orders: list[BrakeOrder]


def draw_cast(network: LaneNetwork, rng: np.random.Generator) -> Cast:
    """Draw the ego, then whatever is around it."""
    ego = draw_ego(network, rng)
    ego_xy, _ = network.point(ego.lane, ego.s_m)
    vehicles = draw_traffic(network, ego, rng)
    streets = _streets_near(network, ego_xy)
    site = draw_site(streets[:4], rng) if rng.random() < _SITE_SHARE else None
    walkers, clear = _draw_people(network, ego, ego_xy, site, rng)
    standing = _draw_standing(network, streets, site, clear, rng)
    return Cast(vehicles, walkers, standing, _draw_orders(vehicles, rng))


def _streets_near(network: LaneNetwork, ego_xy: Float[np.ndarray, "2"]) -> list[Segment]:
    """Street segments around the ego, nearest first."""

    def away_m(segment: Segment) -> float:
        along = np.linspace(*segment.clear_m, 9)
        line = network.grid.plan.bend.to_global(segment.to_plan(along, np.zeros(9)))
        return float(np.min(np.hypot(*(line - ego_xy).T)))

    near = [(away_m(segment), segment.segment_id, segment) for segment in network.grid.segments]
    return [segment for away, _, segment in sorted(near, key=lambda item: item[:2]) if away < _STREET_RADIUS_M]


def _draw_people(
    network: LaneNetwork, ego: Vehicle, ego_xy: Float[np.ndarray, "2"], site: Site | None, rng: np.random.Generator
) -> tuple[list[Walker], dict[int, list[tuple[float, float]]]]:
    """Everyone on foot, and for each segment the places (side, along) that parked cars must leave free."""
    pavement = Pavement(network, rng, _WALKER_NUMBERS)
    clear: dict[int, list[tuple[float, float]]] = {}
    walkers = pavement.strollers(ego_xy, 120.0, float(rng.uniform(22.0, 45.0)))
    walkers += pavement.zebra_crossers(ego_xy, 110.0, 0.22)
    for segment, along in _crossing_places(network, ego, ego_xy, rng):
        if site and site.segment is segment and _inside(site, along):
            continue
        walker = pavement.crosser(segment, along, None, float(rng.uniform(0.5, 9.0)))
        walker.ready_s = float(rng.uniform(-1.0, 8.0))
        walkers.append(walker)
        clear.setdefault(segment.segment_id, []).append((0.0, along))
    if site:
        places = np.arange(site.along_m[0], site.along_m[1], 2.0)
        clear.setdefault(site.segment.segment_id, []).extend((site.side, float(along)) for along in places)
        walkers += _workers(network, site, pavement, rng)
    return walkers, clear


def _inside(site: Site, along_m: float) -> bool:
    return site.along_m[0] - _SITE_CLEARANCE_M < along_m < site.along_m[1] + _SITE_CLEARANCE_M


def _crossing_places(
    network: LaneNetwork, ego: Vehicle, ego_xy: Float[np.ndarray, "2"], rng: np.random.Generator
) -> list[tuple[Segment, float]]:
    """Places between junctions where someone crosses: often ahead of the ego, now and then elsewhere around it."""
    out: list[tuple[Segment, float]] = []
    own = network.grid.segments[network.paths[ego.lane].segment_id]
    for segment in _streets_near(network, ego_xy)[:7]:
        begin, end = segment.stop_m[0] + 16.0, segment.stop_m[1] - 16.0
        if rng.random() > (0.55 if segment is own else 0.22) or end <= begin:
            continue
        out.append((segment, float(rng.uniform(begin, end))))
    return out


def _workers(network: LaneNetwork, site: Site, pavement: Pavement, rng: np.random.Generator) -> list[Walker]:
    bend = network.grid.plan.bend
    across = site.side * (site.segment.street.roadway_m + 1.35)
    out = []
    for share in rng.uniform(0.25, 0.6, int(rng.integers(1, 3))):
        along = site.along_m[0] + float(share) * (site.along_m[1] - site.along_m[0])
        at = site.segment.to_plan(np.array([along]), np.array([across]))
        heading = bend.heading_rad(at, np.array([site.segment.direction()]))
        out.append(pavement.worker(bend.to_global(at)[0], float(heading[0])))
    return out


def _draw_standing(
    network: LaneNetwork,
    streets: list[Segment],
    site: Site | None,
    clear: dict[int, list[tuple[float, float]]],
    rng: np.random.Generator,
) -> list[StandingThing]:
    bend, share = network.grid.plan.bend, float(rng.uniform(0.1, 0.4))
    out = [
        thing
        for segment in streets
        for thing in parked_cars(segment, bend, share, clear.get(segment.segment_id, []), rng)
    ]
    return out + (list(site_things(site, bend, rng)) if site else [])


def _draw_orders(vehicles: list[Vehicle], rng: np.random.Generator) -> list[BrakeOrder]:
    """Hard brakings: of whoever leads the ego, and of someone else."""
    out = []
    if rng.random() < _EGO_LEADER_BRAKES_SHARE:
        at_s, brake, hold = float(rng.uniform(1, 12)), float(rng.uniform(4, 6.5)), float(rng.uniform(2, 4))
        out.append(BrakeOrder(at_s, EGO_NUMBER, EGO_NUMBER, brake, hold))
    if len(vehicles) > 1:
        number = int(rng.integers(1, len(vehicles)))
        at_s, brake, hold = float(rng.uniform(0, 15)), float(rng.uniform(3.5, 6.0)), float(rng.uniform(1.5, 4))
        out.append(BrakeOrder(at_s, None, number, brake, hold))
    return out
