"""Who drives in a scene and where they are when it begins: the ego first, then traffic around it."""

from __future__ import annotations

from math import sqrt

import numpy as np

from sensors.synth.driver import Driver, draw_driver
from sensors.synth.fleet import EGO_BODY, Body, Rgb, draw_colour, draw_vehicle, vehicle_body
from sensors.synth.lane_network import LaneNetwork, LanePath
from sensors.synth.vehicle import Vehicle

EGO_NUMBER = 0
_EGO_PLANS = {"straight": 0.34, "left": 0.22, "right": 0.2, "change": 0.24}
_TRAFFIC_RADIUS_M = 190.0
_NEAR_SPACING_M = 34.0
_FAR_SPACING_M = 55.0
_NEAR_RADIUS_M = 95.0
_CYCLIST_OFFSET_M = -1.2


def draw_ego(network: LaneNetwork, rng: np.random.Generator) -> Vehicle:
    """The ego vehicle in the first part of a street lane that allows what it wants to do: go on, turn, or change lane."""
    plan = list(_EGO_PLANS)[int(rng.choice(len(_EGO_PLANS), p=list(_EGO_PLANS.values())))]
    fit = [path for path in network.paths if path.node is None and path.length_m > 38.0 and _suits(network, path, plan)]
    path = fit[int(rng.integers(len(fit)))]
    driver = Driver(
        speed_share=float(rng.uniform(0.92, 1.05)),
        headway_s=float(rng.uniform(1.0, 1.5)),
        accel_mps2=float(rng.uniform(1.6, 2.3)),
        brake_mps2=float(rng.uniform(1.8, 2.5)),
        jam_gap_m=float(rng.uniform(1.8, 2.8)),
        top_speed_mps=14.0,
        restless_per_s=0.6 if plan == "change" else 0.04,
    )
    s = float(rng.uniform(4.0, 0.45 * path.length_m))
    speed = float(rng.uniform(0.3, 0.95)) * path.speed_mps
    turn = plan if plan in ("left", "right") else "straight"
    return Vehicle(EGO_NUMBER, EGO_BODY, (0.9, 0.9, 0.9), driver, path.lane_id, s, speed, 0.0, favourite_turn=turn)


def _suits(network: LaneNetwork, path: LanePath, plan: str) -> bool:
    if plan == "change":
        return network.left[path.lane_id] is not None or network.right[path.lane_id] is not None
    return any(network.paths[after].turn == plan for after in network.successors[path.lane_id])


def draw_traffic(network: LaneNetwork, ego: Vehicle, rng: np.random.Generator) -> list[Vehicle]:
    """Everyone else on wheels within reach, front to back in each lane, at speeds that fit the gaps; ego included, first."""
    ego_xy, _ = network.point(ego.lane, ego.s_m)
    out = [ego]
    for path in network.paths:
        away = float(np.min(np.hypot(*(path.xy_m - ego_xy).T)))
        if path.node is not None or away > _TRAFFIC_RADIUS_M:
            continue
        spacing = _NEAR_SPACING_M if away < _NEAR_RADIUS_M else _FAR_SPACING_M
        _fill_lane(network, path, ego, spacing, out, rng)
    return out


def _fill_lane(
    network: LaneNetwork, path: LanePath, ego: Vehicle, spacing_m: float, out: list[Vehicle], rng: np.random.Generator
) -> None:
    """Place vehicles from the stop line backwards; the ego keeps its place, its leader is rarely far."""
    front_limit, leader_speed = path.length_m - 1.0, 0.0
    ego_waits = ego.lane == path.lane_id
    while True:
        free = float(rng.exponential(spacing_m - 9.0)) + 3.0
        rightmost = network.right[path.lane_id] is None
        body, colour = _draw(rng, rightmost)
        s = front_limit - free - body.front_m
        if ego_waits and s - body.rear_m < ego.front_s_m + 7.0:
            ego_waits = False
            gap = max(0.5, front_limit - ego.front_s_m)
            ego.speed_mps = min(ego.speed_mps, sqrt(leader_speed**2 + 3.0 * max(0.0, gap - 3.0)))
            front_limit, leader_speed = ego.tail_s_m - 4.0, ego.speed_mps
            continue
        if s - body.rear_m < 0.5:
            return
        driver = draw_driver(body.model, rng)
        speed = _fitting_speed(path, driver, free, leader_speed, rng)
        offset = _CYCLIST_OFFSET_M if body.model == "bicycle" else float(rng.normal(0.0, 0.08))
        out.append(Vehicle(len(out), body, colour, driver, path.lane_id, s, speed, offset))
        front_limit, leader_speed = s - body.rear_m, speed


def _draw(rng: np.random.Generator, rightmost: bool) -> tuple[Body, Rgb]:
    """Cyclists only where there is a right edge to keep to."""
    body, colour = draw_vehicle(rng, parked=False)
    if body.model == "bicycle" and not rightmost:
        body = vehicle_body("sedan", rng)
        colour = draw_colour(body, rng)
    return body, colour


def _fitting_speed(path: LanePath, driver: Driver, gap_m: float, leader_mps: float, rng: np.random.Generator) -> float:
    """A speed from which the gap to the leader (or the stop line) can be kept without hard braking."""
    wish = min(driver.top_speed_mps, path.speed_mps * driver.speed_share) * float(rng.uniform(0.6, 1.0))
    return min(wish, sqrt(leader_mps**2 + 3.0 * max(0.0, gap_m - 3.0)))
