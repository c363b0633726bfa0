"""The spinning lidar: one ray a beam and azimuth at one instant, range noise, weak returns lost, intensity by material."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import open3d as o3d
from jaxtyping import Bool, Float, Float32, Int

from drive_vqa.geometry import SE3
from sensors.synth.materials import LASER
from sensors.synth.posed import Posed, actor_normals, cast_actor
from sensors.synth.rig import Lidar
from sensors.synth.world import World

_HALF_POWER_M = 38.0
_THRESHOLD = 0.008


@dataclass(frozen=True)
class Sweep:
    """One turn of the lidar.

    Attributes:
        points: x, y, z in the lidar frame (m), intensity 0 to 255, ring 0 (lowest) to 31.
    """

    points: Float32[np.ndarray, "n 5"]


def beam_directions(lidar: Lidar) -> Float32[np.ndarray, "n 3"]:
    """Unit rays in the lidar frame, azimuth by azimuth (clockwise from the back, as the scanner turns), rings within."""
    azimuth = np.radians(-90.0 - 360.0 * np.arange(lidar.azimuths) / lidar.azimuths)[:, None]
    elevation = np.radians(lidar.elevation_deg)[None]
    rays = [
        np.cos(azimuth) * np.cos(elevation),
        np.sin(azimuth) * np.cos(elevation),
        np.ones_like(azimuth) * np.sin(elevation),
    ]
    return np.asarray(np.stack(rays, axis=-1).reshape(-1, 3).astype(np.float32))


def sweep(
    world: World, lidar: Lidar, global_SE3_ego: SE3, posed: list[Posed], haze_per_m: float, rng: np.random.Generator
) -> Sweep:
    """Scan the town and everyone near.

    Args:
        haze_per_m: share of light lost a metre on one way; of it a third is lost to the laser's narrow band.
        rng: of noise; a sweep draws the same number of values whatever it hits.
    """
    global_SE3_lidar = global_SE3_ego @ lidar.ego_SE3_lidar
    beams = beam_directions(lidar)
    direction = beams @ global_SE3_lidar.rotation.T.astype(np.float32)
    noise = rng.normal(0.0, lidar.noise_m, len(beams)).astype(np.float32)
    luck = rng.uniform(0.7, 1.3, len(beams)).astype(np.float32)
    distance, laser, normal = _cast(world, posed, global_SE3_lidar.translation_m, direction)
    hit = np.flatnonzero(distance < lidar.range_m)
    facing = np.abs(np.einsum("ij,ij->i", normal[hit], direction[hit]))
    signal = laser[hit] * (0.25 + 0.75 * facing) * np.exp(-0.7 * np.float32(haze_per_m) * distance[hit]) * luck[hit]
    power = signal / (1.0 + (distance[hit] / np.float32(_HALF_POWER_M)) ** 2)
    kept, signal = hit[power > _THRESHOLD], signal[power > _THRESHOLD]
    xyz = beams[kept] * (distance + noise)[kept, None]
    intensity = np.clip(np.round(np.float32(255.0 * 0.6) * signal), 0, 255)
    ring = np.tile(np.arange(len(lidar.elevation_deg)), lidar.azimuths)[kept]
    return Sweep(np.column_stack([xyz, intensity, ring]).astype(np.float32))


def _cast(
    world: World, posed: list[Posed], origin_m: Float[np.ndarray, "3"], direction: Float32[np.ndarray, "n 3"]
) -> tuple[Float32[np.ndarray, "n"], Float32[np.ndarray, "n"], Float32[np.ndarray, "n 3"]]:
    """Distance, laser reflectivity and normal of the nearest surface along each ray."""
    rays = np.empty((len(direction), 6), dtype=np.float32)
    rays[:, :3], rays[:, 3:] = origin_m, direction
    answer = world.scene.cast_rays(o3d.core.Tensor.from_numpy(rays), nthreads=1)
    distance = answer["t_hit"].numpy()
    triangle = np.where(np.isfinite(distance), answer["primitive_ids"].numpy().view(np.int32), 0)
    laser, normal = LASER[world.material[triangle]], answer["primitive_normals"].numpy()
    for one in posed:
        index = np.flatnonzero(near_rays(one, origin_m, direction))
        if not len(index):
            continue
        hits = cast_actor(one, origin_m, direction[index])
        nearer = np.flatnonzero(hits.t < distance[index])
        if len(nearer):
            part = type(hits)(hits.t[nearer], hits.triangle[nearer], hits.uv[nearer])
            into: Int[np.ndarray, "k"] = index[nearer]
            distance[into] = part.t
            laser[into] = LASER[one.model.material[part.triangle]]
            normal[into] = actor_normals(one, part)
    return distance, laser, normal


def near_rays(
    posed: Posed, origin_m: Float[np.ndarray, "3"], direction: Float32[np.ndarray, "n 3"]
) -> Bool[np.ndarray, "n"]:
    """Which unit rays pass through the sphere around an actor."""
    offset = posed.global_SE3_actor.translation_m - origin_m
    distance = float(np.linalg.norm(offset))
    if distance <= posed.radius_m:
        return np.ones(len(direction), dtype=bool)
    least_cos = np.sqrt(1.0 - (posed.radius_m / distance) ** 2)
    return np.asarray(direction @ (offset / distance).astype(np.float32) > np.float32(least_cos - 1e-6))
