"""A scene: traffic let loose in a town around an ego vehicle, cut down to what the ego could meet."""

from __future__ import annotations

from collections.abc import Mapping
from zlib import crc32

import numpy as np
from jaxtyping import Float

from drive_vqa.errors import ConfigError
from drive_vqa.geometry import angle_rad
from sensors.synth.cast import draw_cast
from sensors.synth.fleet import Body, Rgb
from sensors.synth.lane_network import LaneNetwork, lane_network
from sensors.synth.pedestrians import Walker
from sensors.synth.population import EGO_NUMBER
from sensors.synth.roadside import StandingThing
from sensors.synth.scene import Actor, Scene, Trajectory
from sensors.synth.scene_words import describe
from sensors.synth.town import build_town
from sensors.synth.traffic_sim import RATE_HZ, LaneRecord, TrafficSim
from sensors.synth.vehicle import Vehicle
from sensors.synth.weather import WEATHER_SHARES, draw_weather

KEEP_RADIUS_M = 80.0
_WARM_UP_S = 3.0


def simulate_scene(
    town_name: str,
    scene_index: int,
    seed: int,
    duration_s: float = 20.0,
    weather_shares: Mapping[str, float] = WEATHER_SHARES,
) -> Scene:
    """Simulate one drive; the same arguments always give the same scene.

    Args:
        town_name: One of `TOWNS`.
        scene_index: Which scene of the data set; 0 or more.
        seed: Seed of the data set; 0 or more.
        duration_s: Length of the scene in seconds.
        weather_shares: How likely each weather is.

    Returns:
        The scene, sampled at 20 Hz, with every actor that comes within 80 m of the ego.

    Raises:
        ConfigError: If no town has this name, or a number is out of range.
    """
    if scene_index < 0 or seed < 0 or not 1.0 <= duration_s <= 600.0:
        asked = f"scene {scene_index} with seed {seed} for {duration_s} s"
        raise ConfigError(f"{asked} cannot be simulated: give an index and a seed of 0 or more and 1 to 600 s")
    network = lane_network(town_name)
    rng = np.random.default_rng([seed, scene_index, crc32(town_name.encode())])
    weather = draw_weather(rng, weather_shares)
    cast = draw_cast(network, rng)
    sim = TrafficSim(network, cast.vehicles, cast.walkers, cast.orders, rng, start_s=-_WARM_UP_S)
    driven, walked = sim.run(duration_s)
    ego_track = _vehicle_track(network, cast.vehicles[0].body, driven[EGO_NUMBER], at_centre=False)
    actors = [_driver_actor(network, vehicle, driven[vehicle.number]) for vehicle in cast.vehicles[1:]]
    actors += [_walker_actor(walker, walked[walker.number]) for walker in cast.walkers]
    actors += [_standing_actor(thing, len(ego_track.speed_mps)) for thing in cast.standing]
    kept = _near_ego(actors, ego_track)
    return Scene(
        name=f"scene-{scene_index:04d}",
        description=describe(town_name, weather, ego_track, kept),
        town=build_town(town_name),
        weather=weather,
        times_s=np.arange(len(ego_track.speed_mps)) / RATE_HZ,
        ego=ego_track,
        actors=kept,
    )


def _vehicle_track(network: LaneNetwork, body: Body, record: LaneRecord, at_centre: bool) -> Trajectory:
    """Track of a vehicle whose rear axle follows the lane (plus offset) without slip.

    The rear axle of a long vehicle is steered too: both its axles stay in the lane where it turns.
    """
    axle, heading = network.poses(record.lane, record.s_m, record.offset_m)
    if body.long:
        front, _ = network.poses(record.front_lane, record.front_s_m, record.offset_m)
        heading = angle_rad(front[:, 1] - axle[:, 1], front[:, 0] - axle[:, 0])
    yaw = np.unwrap(heading + np.arctan(record.slope))
    ahead = body.centre_m if at_centre else 0.0
    xy = axle + ahead * np.column_stack([np.cos(yaw), np.sin(yaw)])
    height = body.height_m / 2 if at_centre else 0.0
    return _trajectory(xy, np.full(len(xy), height), yaw)


def _trajectory(xy: Float[np.ndarray, "t 2"], z: Float[np.ndarray, "t"], yaw: Float[np.ndarray, "t"]) -> Trajectory:
    velocity = np.gradient(xy, 1.0 / RATE_HZ, axis=0)
    speed = np.hypot(velocity[:, 0], velocity[:, 1])
    return Trajectory(np.column_stack([xy, z]), yaw, np.where(speed < 1e-6, 0.0, speed))


def _driver_actor(network: LaneNetwork, vehicle: Vehicle, record: LaneRecord) -> Actor:
    return _actor(
        vehicle.number, vehicle.body, vehicle.colour, _vehicle_track(network, vehicle.body, record, True), False
    )


def _walker_actor(walker: Walker, way_m: Float[np.ndarray, "t"]) -> Actor:
    xy, yaw = walker.poses(way_m)
    z = walker.heights_m(way_m) + walker.body.height_m / 2
    return _actor(walker.number, walker.body, walker.colour, _trajectory(xy, z, yaw), False)


def _standing_actor(thing: StandingThing, count: int) -> Actor:
    xy = np.tile(np.array(thing.xy_m), (count, 1))
    track = _trajectory(xy, np.full(count, thing.body.height_m / 2), np.full(count, thing.yaw_rad))
    return _actor(0, thing.body, thing.colour, track, thing.body.category.startswith("vehicle."))


def _actor(number: int, body: Body, colour: Rgb, track: Trajectory, parked: bool) -> Actor:
    size = (body.length_m, body.width_m, body.height_m)
    return Actor(number, body.category, body.model, size, colour, track, parked)


def _near_ego(actors: list[Actor], ego: Trajectory) -> tuple[Actor, ...]:
    """Actors that come near the ego, numbered anew from 1."""
    near = [
        actor for actor in actors if np.min(np.hypot(*(actor.trajectory.xyz_m - ego.xyz_m)[:, :2].T)) <= KEEP_RADIUS_M
    ]
    return tuple(
        Actor(i, a.category, a.model, a.size_lwh_m, a.color_rgb, a.trajectory, a.parked) for i, a in enumerate(near, 1)
    )
