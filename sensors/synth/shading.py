"""Light on surfaces: sun with shadows, sky, contact shadows, mirrors, lamps at night, haze. Linear colours in and out."""

from __future__ import annotations

import numpy as np
import open3d as o3d
from jaxtyping import Bool, Float32, Int

from drive_vqa.geometry import SE3
from sensors.synth.materials import Material
from sensors.synth.posed import Posed, actor_occludes
from sensors.synth.sky import Light, gradient, sky
from sensors.synth.surfaces import Surfaces
from sensors.synth.trace import Hits, View
from sensors.synth.world import World

_SHADOW_RANGE_M = 90.0
_LAMP_RANGE_M = 16.0
_LAMP_RGB = np.array([1.0, 0.74, 0.42], dtype=np.float32)
_BEAM_RGB = np.array([1.0, 0.95, 0.85], dtype=np.float32)


def shade(
    world: World, view: View, hits: Hits, surfaces: Surfaces, light: Light, sunlit: Float32[np.ndarray, "n"], global_SE3_ego: SE3
) -> Float32[np.ndarray, "m 3"]:
    """The colour of every image point, sky included.

    Args:
        sunlit: for each surface point, the share of the sun that reaches it.
        global_SE3_ego: for the beams of the own head lamps.
    """
    out = np.zeros((len(hits.depth_m), 3), dtype=np.float32)
    rgb = surfaces.rgb * _irradiance(surfaces, light, sunlit, view)
    if light.lamps_on:
        rgb += surfaces.rgb * _artificial(world, view, surfaces, light, global_SE3_ego)
    _add_mirror(rgb, surfaces, light, sunlit)
    rgb += surfaces.glow_rgb
    clear = np.exp(-np.float32(light.haze_per_m) * surfaces.distance_m)[:, None]
    out[surfaces.row] = light.haze_rgb + clear * (rgb - light.haze_rgb)
    open_sky = np.flatnonzero(np.isinf(hits.depth_m))
    if len(open_sky):
        direction = hits.direction[open_sky]
        unit = direction / np.sqrt(np.einsum("ij,ij->i", direction, direction))[:, None]
        out[open_sky] = sky(light, unit)
    return out


def _irradiance(surfaces: Surfaces, light: Light, sunlit: Float32[np.ndarray, "n"], view: View) -> Float32[np.ndarray, "n 3"]:
    """Sun and sky; leaves let some light through."""
    facing = surfaces.normal @ light.sun_direction
    leaf = surfaces.material == Material.LEAF
    facing = np.where(leaf, 0.25 + 0.75 * np.clip(facing, -0.2, 1.0), facing)
    direct = np.clip(facing, 0.0, 1.0) * sunlit
    up = (0.5 + 0.5 * surfaces.normal[:, 2]) * _openness(surfaces, view)
    down = 0.5 - 0.5 * surfaces.normal[:, 2]
    return direct[:, None] * light.sun_rgb + up[:, None] * light.ambient_rgb + down[:, None] * light.bounce_rgb


def _openness(surfaces: Surfaces, view: View) -> Float32[np.ndarray, "n"]:
    """Share of the sky that is not hidden: dark under and beside whoever stands on the ground, and at the foot of walls."""
    share = np.ones(len(surfaces.row), dtype=np.float32)
    low = np.flatnonzero((surfaces.xyz_m[:, 2] < 0.25) & (surfaces.normal[:, 2] > 0.5))
    xy = surfaces.xyz_m[low, :2]
    for posed in view.posed:
        reach = posed.radius_m + 1.0
        offset = xy - posed.global_SE3_actor.translation_m[:2].astype(np.float32)
        near = np.flatnonzero((np.abs(offset[:, 0]) < reach) & (np.abs(offset[:, 1]) < reach))
        if len(near):
            share[low[near]] *= _contact(posed, offset[near])
    return share


def _contact(posed: Posed, offset_m: Float32[np.ndarray, "n 2"]) -> Float32[np.ndarray, "n"]:
    """Ambient light left on the ground beside a box; thin things darken less than wide ones."""
    turn = posed.global_SE3_actor.rotation[:2, :2].astype(np.float32)
    half = 0.5 * np.array(posed.actor.size_lwh_m[:2], dtype=np.float32)
    outside = np.maximum(np.abs(offset_m @ turn) - half, 0.0)
    spread = np.float32(np.clip(0.45 * half.min(), 0.10, 0.45))
    strength = np.float32(np.clip(half.min(), 0.35, 0.80))
    return 1.0 - strength * np.exp(-np.einsum("ij,ij->i", outside, outside) / spread**2)


def _add_mirror(rgb: Float32[np.ndarray, "n 3"], surfaces: Surfaces, light: Light, sunlit: Float32[np.ndarray, "n"]) -> None:
    """Sky and sun in paint and glass, more at grazing angles (Schlick 1994)."""
    shiny = np.flatnonzero(surfaces.mirror > 0.01)
    if not len(shiny):
        return
    normal, towards = surfaces.normal[shiny], surfaces.towards[shiny]
    facing = np.clip(-np.einsum("ij,ij->i", normal, towards), 0.0, 1.0)
    bounced = towards + 2.0 * facing[:, None] * normal
    share = surfaces.mirror[shiny] + (1.0 - surfaces.mirror[shiny]) * 0.55 * (1.0 - facing) ** 5
    seen = gradient(light, bounced[:, 2])
    street = np.clip(1.0 - np.abs(bounced[:, 2] - 0.02) / 0.30, 0.0, 1.0)[:, None] * np.float32(0.75)
    seen += street * (0.55 * light.bounce_rgb + 0.16 * light.ambient_rgb - seen)
    sharp = np.clip(bounced @ light.sun_direction, 0.0, 1.0) ** 180 * sunlit[shiny]
    seen += sharp[:, None] * light.sun_rgb * np.float32(5.0)
    rgb[shiny] += share[:, None] * (seen - rgb[shiny])


def _artificial(world: World, view: View, surfaces: Surfaces, light: Light, global_SE3_ego: SE3) -> Float32[np.ndarray, "n 3"]:
    """Street lamps, the own head lamps and those of others."""
    total = np.zeros_like(surfaces.rgb)
    camera_xy = view.global_SE3_cam.translation_m[:2]
    near = np.linalg.norm(world.lamp_xyz_m[:, :2] - camera_xy, axis=1) < 75.0
    strength = np.float32(1.0 if light.exposure > 2 else 0.35)
    for lamp in world.lamp_xyz_m[near]:
        _add_lamp(total, surfaces, lamp.astype(np.float32), strength)
    _add_beam(total, surfaces, global_SE3_ego, (3.75, 0.65), strength)
    for posed in view.posed:
        if posed.actor.category.startswith("vehicle.") and not posed.actor.parked and posed.actor.model != "bicycle":
            level = SE3.from_yaw(posed.global_SE3_actor.yaw_rad, [*posed.global_SE3_actor.translation_m[:2], 0.0])
            _add_beam(total, surfaces, level, (0.5 * posed.actor.size_lwh_m[0], 0.35 * posed.actor.size_lwh_m[1]), strength)
    return total


def _add_lamp(
    total: Float32[np.ndarray, "n 3"], surfaces: Surfaces, lamp_xyz_m: Float32[np.ndarray, "3"], strength: np.float32
) -> None:
    """A lamp that shines down in a wide cone."""
    flat = surfaces.xyz_m[:, :2] - lamp_xyz_m[:2]
    index = np.flatnonzero((np.abs(flat[:, 0]) < _LAMP_RANGE_M) & (np.abs(flat[:, 1]) < _LAMP_RANGE_M))
    to_lamp = lamp_xyz_m - surfaces.xyz_m[index]
    index, to_lamp = index[to_lamp[:, 2] > 0.1], to_lamp[to_lamp[:, 2] > 0.1]
    square = np.einsum("ij,ij->i", to_lamp, to_lamp)
    distance = np.sqrt(square)
    cone = (to_lamp[:, 2] / distance) ** 1.5
    facing = np.clip(np.einsum("ij,ij->i", surfaces.normal[index], to_lamp) / distance, 0.0, 1.0)
    edge = np.clip(1.0 - square / _LAMP_RANGE_M**2, 0.0, 1.0)
    total[index] += (30.0 * strength * cone * (0.15 + 0.85 * facing) * edge / square)[:, None] * _LAMP_RGB


def _add_beam(
    total: Float32[np.ndarray, "n 3"], surfaces: Surfaces, global_SE3_car: SE3, front_m: tuple[float, float], strength: np.float32
) -> None:
    """Two dipped beams: a flat cone to the front that ends at the height of the lamps."""
    car_SE3_global = global_SE3_car.inverse()
    local = (surfaces.xyz_m - global_SE3_car.translation_m.astype(np.float32)) @ car_SE3_global.rotation.T.astype(np.float32)
    ahead = local[:, 0] - np.float32(front_m[0])
    index = np.flatnonzero((ahead > 0.05) & (ahead < 45.0) & (np.abs(local[:, 1]) < 0.5 * ahead + 2.0))
    if not len(index):
        return
    ahead, side, up = ahead[index], local[index, 1], local[index, 2] - np.float32(0.68)
    high = np.exp(-np.clip(up / (0.02 * ahead + 0.12), 0.0, 6.0) ** 2)
    facing = np.clip(-(surfaces.normal[index] @ global_SE3_car.rotation[:, 0].astype(np.float32)), 0.0, 1.0)
    level = 0.10 + 0.9 * facing + 0.25 * surfaces.normal[index, 2]
    amount = np.zeros(len(index), dtype=np.float32)
    for lamp in (-front_m[1], front_m[1]):
        amount += np.exp(-(((side - lamp) / (0.26 * ahead + 0.35)) ** 2))
    amount *= 26.0 * strength * high * level / (ahead + 3.0) ** 1.7 * np.clip((45.0 - ahead) / 15.0, 0.0, 1.0)
    total[index] += amount[:, None] * _BEAM_RGB


def sun_reaches(
    world: World, view: View, xyz_m: Float32[np.ndarray, "n 3"], normal: Float32[np.ndarray, "n 3"], light: Light, posed: list[Posed]
) -> Bool[np.ndarray, "n"]:
    """Cast shadow rays from surface points; far points and those that turn away from the sun are not tested."""
    lit = (normal @ light.sun_direction) > -0.15
    offset = xyz_m - view.global_SE3_cam.translation_m.astype(np.float32)
    index = np.flatnonzero(lit & (np.einsum("ij,ij->i", offset, offset) < _SHADOW_RANGE_M**2))
    start = xyz_m[index] + normal[index] * np.float32(0.02)
    rays = np.concatenate([start, np.broadcast_to(light.sun_direction, start.shape)], axis=1)
    hidden = world.scene.test_occlusions(o3d.core.Tensor.from_numpy(np.ascontiguousarray(rays, dtype=np.float32)), nthreads=1).numpy()
    for one in posed:
        _hide_behind(hidden, one, start, light.sun_direction)
    lit[index[hidden]] = False
    return lit


def _hide_behind(hidden: Bool[np.ndarray, "n"], posed: Posed, start_m: Float32[np.ndarray, "n 3"], sun: Float32[np.ndarray, "3"]) -> None:
    """Mark the points from which one actor covers the sun: first by its sphere, then by its mesh."""
    centre = posed.global_SE3_actor.translation_m.astype(np.float32)
    east = np.array([-sun[1], sun[0], 0.0], dtype=np.float32) / np.float32(np.hypot(sun[0], sun[1]))
    across = start_m @ east - centre @ east
    near = np.flatnonzero(np.abs(across) < posed.radius_m)
    offset = centre - start_m[near]
    along = offset @ sun
    miss = offset - along[:, None] * sun
    near = near[(along > -posed.radius_m) & (np.einsum("ij,ij->i", miss, miss) < posed.radius_m**2) & ~hidden[near]]
    if len(near):
        covered = actor_occludes(posed, start_m[near].astype(np.float64), np.broadcast_to(sun, (len(near), 3)))
        hidden[near] |= covered


def spread_half_grid(half: Float32[np.ndarray, "h w"], uv_px: Float32[np.ndarray, "n 2"]) -> Float32[np.ndarray, "n"]:
    """Bilinear look-up in a grid that has one sample at the corner of each 2×2 block of pixels."""
    height, width = half.shape
    u = np.clip(uv_px[:, 0] * np.float32(0.5) - np.float32(0.25), 0, width - 1.001)
    v = np.clip(uv_px[:, 1] * np.float32(0.5) - np.float32(0.25), 0, height - 1.001)
    column, row = u.astype(np.int32), v.astype(np.int32)
    fu, fv = u - column, v - row
    base: Int[np.ndarray, "n"] = row * width + column
    flat = half.ravel()
    top = flat[base] * (1 - fu) + flat[base + 1] * fu
    bottom = flat[base + width] * (1 - fu) + flat[base + width + 1] * fu
    return top * (1 - fv) + bottom * fv
