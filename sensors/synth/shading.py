"""Light on surfaces: sun with shadows, sky, contact shadows, mirrors, lamps at night, haze.

Colours are linear light; vectors and colours are columns, (3, n).
"""

from __future__ import annotations

import numpy as np
import open3d as o3d
from jaxtyping import Bool, Float32

from drive_vqa.geometry import SE3
from sensors.synth.materials import Material
from sensors.synth.posed import Posed, actor_occludes
from sensors.synth.sky import Light, column, dot, gradient
from sensors.synth.surfaces import Surfaces
from sensors.synth.trace import View
from sensors.synth.world import World

_SHADOW_RANGE_M = 90.0
_BEAM_RANGE_M = 45.0
_LAMP_RGB = column((1.0, 0.74, 0.42))
_BEAM_RGB = column((1.0, 0.95, 0.85))


def shade(
    world: World,
    view: View,
    surfaces: Surfaces,
    light: Light,
    sunlit: Float32[np.ndarray, "n"],
    global_SE3_ego: SE3,
) -> Float32[np.ndarray, "3 n"]:
    """The colours of surface points as the camera sees them.

    Args:
        sunlit: for each surface point, the share of the sun that reaches it.
        global_SE3_ego: for the beams of the own head lamps.
    """
    rgb = _irradiance(surfaces, light, sunlit, view)
    if light.lamps_on:
        rgb += _artificial(world, view, surfaces, light, global_SE3_ego)
    rgb *= surfaces.rgb
    _add_mirror(rgb, surfaces, light, sunlit)
    rgb += surfaces.glow_rgb
    clear = np.exp(np.float32(-light.haze_per_m) * surfaces.distance_m)
    rgb -= light.haze_rgb
    rgb *= clear
    rgb += light.haze_rgb
    return rgb


def _irradiance(
    surfaces: Surfaces, light: Light, sunlit: Float32[np.ndarray, "n"], view: View
) -> Float32[np.ndarray, "3 n"]:
    """Sun and sky; leaves let some light through."""
    direct = dot(surfaces.normal, light.sun_direction)
    leaf = np.flatnonzero(surfaces.material == Material.LEAF)
    direct[leaf] = 0.25 + 0.75 * np.clip(direct[leaf], -0.2, 1.0)
    direct = np.clip(direct, 0.0, 1.0) * sunlit
    half = np.float32(0.5) * surfaces.normal[2]
    up = (np.float32(0.5) + half) * _openness(surfaces, view)
    total = direct * light.sun_rgb
    total += up * light.ambient_rgb
    total += (np.float32(0.5) - half) * light.bounce_rgb
    return np.asarray(total)


def _openness(surfaces: Surfaces, view: View) -> Float32[np.ndarray, "n"]:
    """Share of the sky that is not hidden: dark under and beside whoever stands on the ground."""
    share = np.ones(len(surfaces.row), dtype=np.float32)
    low = np.flatnonzero((surfaces.normal[2] > 0.5) & (surfaces.distance_m < 60.0))
    x, y, z = np.take(surfaces.xyz_m, low, axis=1)
    for posed in view.posed:
        centre, reach = posed.global_SE3_actor.translation_m, posed.radius_m + 1.0
        near = np.flatnonzero(np.abs(x - np.float32(centre[0])) < reach)
        near = near[np.abs(y[near] - np.float32(centre[1])) < reach]
        near = near[z[near] < np.float32(centre[2] - 0.5 * posed.actor.size_lwh_m[2] + 0.25)]
        if len(near):
            share[low[near]] *= _contact(posed, x[near] - np.float32(centre[0]), y[near] - np.float32(centre[1]))
    return share


def _contact(posed: Posed, dx_m: Float32[np.ndarray, "n"], dy_m: Float32[np.ndarray, "n"]) -> Float32[np.ndarray, "n"]:
    """Ambient light left on the ground beside a box; thin things darken less than wide ones."""
    cos, sin = (
        posed.global_SE3_actor.rotation[0, 0].astype(np.float32),
        posed.global_SE3_actor.rotation[1, 0].astype(np.float32),
    )
    half = 0.5 * np.array(posed.actor.size_lwh_m[:2], dtype=np.float32)
    along = np.maximum(np.abs(cos * dx_m + sin * dy_m) - half[0], 0.0)
    across = np.maximum(np.abs(cos * dy_m - sin * dx_m) - half[1], 0.0)
    spread = np.float32(np.clip(0.45 * half.min(), 0.10, 0.45))
    strength = np.float32(np.clip(half.min(), 0.35, 0.80))
    return np.asarray(1.0 - strength * np.exp((along * along + across * across) * (np.float32(-1.0) / spread**2)))


def _add_mirror(
    rgb: Float32[np.ndarray, "3 n"], surfaces: Surfaces, light: Light, sunlit: Float32[np.ndarray, "n"]
) -> None:
    """Sky and sun in paint and glass, more at grazing angles (Schlick 1994)."""
    shiny = np.flatnonzero(surfaces.mirror > 0.01)
    if not len(shiny):
        return
    normal, towards = np.take(surfaces.normal, shiny, axis=1), np.take(surfaces.towards, shiny, axis=1)
    mirror = surfaces.mirror[shiny]
    facing = np.clip(-dot(normal, towards), 0.0, 1.0)
    bounced = towards + 2.0 * facing * normal
    grazing = np.float32(1.0) - facing
    share = mirror + (1.0 - mirror) * np.float32(0.55) * np.square(np.square(grazing)) * grazing
    seen = gradient(light, bounced[2])
    street = np.clip(1.0 - np.abs(bounced[2] - np.float32(0.02)) * np.float32(1.0 / 0.30), 0.0, 1.0) * np.float32(0.75)
    seen += street * (0.55 * light.bounce_rgb + 0.16 * light.ambient_rgb - seen)
    seen += _glint(bounced, light) * sunlit[shiny] * light.sun_rgb
    rgb[:, shiny] += share * (seen - np.take(rgb, shiny, axis=1))


def _glint(bounced: Float32[np.ndarray, "3 n"], light: Light) -> Float32[np.ndarray, "n"]:
    """The sun's mirror image: cosine to the power of 128."""
    power = np.clip(dot(bounced, light.sun_direction), 0.0, 1.0)
    for _ in range(7):
        power = power * power
    return np.float32(4.0) * power


def _artificial(
    world: World, view: View, surfaces: Surfaces, light: Light, global_SE3_ego: SE3
) -> Float32[np.ndarray, "3 n"]:
    """Street lamps, the own head lamps and those of others."""
    strength = np.float32(1.0 if light.exposure > 2 else 0.35)
    x, y, z = surfaces.xyz_m
    z = z - np.float32(global_SE3_ego.translation_m[2])
    shift = np.float32(0.8)
    lamps = world.lamp_map.at(x + shift * surfaces.normal[0], y + shift * surfaces.normal[1])
    lamps *= (np.float32(0.55) + np.float32(0.45) * surfaces.normal[2]) * np.clip(
        (np.float32(9.0) - z) * np.float32(0.25), 0.0, 1.0
    )
    low = np.flatnonzero((z < 3.0) & (surfaces.distance_m < 70.0))
    beams = np.zeros(len(low), dtype=np.float32)
    near = (np.take(surfaces.xyz_m, low, axis=1), np.take(surfaces.normal, low, axis=1))
    _add_beam(beams, *near, global_SE3_ego, (3.75, 0.65, 0.68))
    for posed in view.posed:
        if _has_beams(posed):
            length, width, height = posed.actor.size_lwh_m
            _add_beam(beams, *near, posed.global_SE3_actor, (0.5 * length, 0.35 * width, 0.68 - 0.5 * height))
    total = (strength * lamps) * _LAMP_RGB
    total[:, low] += (strength * beams) * _BEAM_RGB
    return np.asarray(total)


def _has_beams(posed: Posed) -> bool:
    return posed.actor.category.startswith("vehicle.") and not posed.actor.parked and posed.actor.model != "bicycle"


def _add_beam(
    total: Float32[np.ndarray, "n"],
    xyz_m: Float32[np.ndarray, "3 n"],
    normal: Float32[np.ndarray, "3 n"],
    global_SE3_car: SE3,
    lamp_m: tuple[float, float, float],
) -> None:
    """Two dipped beams: a flat cone to the front that ends at the height of the lamps.

    Args:
        lamp_m: the lamps seen from the car's origin: how far ahead, how far to each side, how high.
    """
    centre, cos, sin = global_SE3_car.translation_m, *global_SE3_car.rotation[:2, 0].astype(np.float32)
    dx, dy = xyz_m[0] - np.float32(centre[0]), xyz_m[1] - np.float32(centre[1])
    ahead = cos * dx + sin * dy - np.float32(lamp_m[0])
    index = np.flatnonzero((ahead > 0.05) & (ahead < _BEAM_RANGE_M))
    ahead, side = ahead[index], cos * dy[index] - sin * dx[index]
    kept = np.flatnonzero(np.abs(side) < 0.5 * ahead + 2.0)
    if not len(kept):
        return
    index, ahead, side = index[kept], ahead[kept], side[kept]
    up = np.clip((xyz_m[2, index] - np.float32(centre[2] + lamp_m[2])) / (0.02 * ahead + 0.12), 0.0, 6.0)
    facing = np.clip(-(cos * normal[0, index] + sin * normal[1, index]), 0.0, 1.0)
    width = np.float32(0.26) * ahead + np.float32(0.35)
    both = np.exp(-np.square((side - lamp_m[1]) / width)) + np.exp(-np.square((side + lamp_m[1]) / width))
    level = np.float32(0.10) + np.float32(0.9) * facing + np.float32(0.25) * normal[2, index]
    falloff = np.float32(26.0) / (ahead + 3.0) ** 1.7 * np.clip((_BEAM_RANGE_M - ahead) / 15.0, 0.0, 1.0)
    total[index] += both * np.exp(-up * up) * level * falloff


def sun_reaches(
    world: World,
    view: View,
    xyz_m: Float32[np.ndarray, "3 n"],
    normal: Float32[np.ndarray, "3 n"],
    light: Light,
    posed: list[Posed],
) -> Bool[np.ndarray, "n"]:
    """Cast shadow rays from surface points; far points and those that turn away from the sun are not tested."""
    lit = dot(normal, light.sun_direction) > -0.15
    offset = xyz_m - column(view.global_SE3_cam.translation_m)
    index = np.flatnonzero(lit & (dot(offset, offset) < _SHADOW_RANGE_M**2))
    rays = np.empty((len(index), 6), dtype=np.float32)
    rays[:, :3] = (np.take(xyz_m, index, axis=1) + np.float32(0.02) * np.take(normal, index, axis=1)).T
    rays[:, 3:] = light.sun_direction[:, 0]
    hidden = world.scene.test_occlusions(o3d.core.Tensor.from_numpy(rays), nthreads=1).numpy()
    start = np.ascontiguousarray(rays[:, :3].T)
    for one in posed:
        _hide_behind(hidden, one, start, light.sun_direction[:, 0])
    lit[index[hidden]] = False
    return lit


def _hide_behind(
    hidden: Bool[np.ndarray, "n"], posed: Posed, start_m: Float32[np.ndarray, "3 n"], sun: Float32[np.ndarray, "3"]
) -> None:
    """Mark the points from which one actor covers the sun: first by its sphere, then by its mesh."""
    centre = posed.global_SE3_actor.translation_m.astype(np.float32)
    level = np.float32(1.0 / np.hypot(sun[0], sun[1]))
    east = (-sun[1] * level, sun[0] * level)
    across = start_m[0] * east[0] + start_m[1] * east[1] - (centre[0] * east[0] + centre[1] * east[1])
    near = np.flatnonzero(np.abs(across) < posed.radius_m)
    offset = centre[:, None] - np.take(start_m, near, axis=1)
    along = dot(offset, column(sun))
    miss = dot(offset, offset) - along * along
    near = near[(along > -posed.radius_m) & (miss < posed.radius_m**2) & ~hidden[near]]
    if len(near):
        rays = np.broadcast_to(sun, (len(near), 3))
        hidden[near] |= actor_occludes(posed, np.take(start_m, near, axis=1).T.astype(np.float64), rays)


def spread_half_grid(half: Float32[np.ndarray, "h w"], uv_px: Float32[np.ndarray, "n 2"]) -> Float32[np.ndarray, "n"]:
    """Bilinear look-up in a grid that has one sample at the corner of each 2×2 block of pixels."""
    height, width = half.shape
    u = np.clip(uv_px[:, 0] * np.float32(0.5) - np.float32(0.25), 0, width - 1.001)
    v = np.clip(uv_px[:, 1] * np.float32(0.5) - np.float32(0.25), 0, height - 1.001)
    left, upper = u.astype(np.int32), v.astype(np.int32)
    fu: Float32[np.ndarray, "n"] = u - left.astype(np.float32)
    fv: Float32[np.ndarray, "n"] = v - upper.astype(np.float32)
    base = upper * np.int32(width) + left
    flat = half.ravel()
    top = flat[base] * (1 - fu) + flat[base + 1] * fu
    bottom = flat[base + width] * (1 - fu) + flat[base + width + 1] * fu
    return np.asarray(top * (1 - fv) + bottom * fv)
