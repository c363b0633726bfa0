"""What lies at a hit: place, normal, colour, mirror and glow, gathered into one table of image points for the lighting.

Vectors and colours are columns, (3, n): numpy's inner loops then run over points, not over three components.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int

from sensors.synth.materials import ALBEDO, MIRROR, TINT, Material
from sensors.synth.posed import ActorHits, Posed, actor_normals, smooth
from sensors.synth.sky import Light, column, dot
from sensors.synth.textures import asphalt, fade, grain, grass, house_front, noise, paving, wear
from sensors.synth.trace import SKY, TOWN, Hits, View
from sensors.synth.world import World, to_linear

_ROOM_RGB = column((1.0, 0.72, 0.40))
_FRAME_RGB = column((0.55, 0.54, 0.52))
_LEVEL = (Material.GROUND, Material.SIDEWALK, Material.PLAZA, Material.GRASS, Material.MARKING)


@dataclass
class Surfaces:
    """One column an image point that hit something; textures write into it.

    Attributes:
        row: which image point.
        xyz_m: global.
        normal: unit, global.
        rgb: linear albedo.
        mirror: share reflected at normal incidence.
        glow_rgb: light of its own.
        footprint_m: size of a pixel there.
        material: `Material`.
        distance_m: from the camera.
        towards: unit ray from the camera.
    """

    row: Int[np.ndarray, "n"]
    xyz_m: Float32[np.ndarray, "3 n"]
    normal: Float32[np.ndarray, "3 n"]
    rgb: Float32[np.ndarray, "3 n"]
    mirror: Float32[np.ndarray, "n"]
    glow_rgb: Float32[np.ndarray, "3 n"]
    footprint_m: Float32[np.ndarray, "n"]
    material: Int[np.ndarray, "n"]
    distance_m: Float32[np.ndarray, "n"]
    towards: Float32[np.ndarray, "3 n"]


def gather(world: World, view: View, hits: Hits, light: Light, chosen: Int[np.ndarray, "k"]) -> Surfaces:
    """Look up those of the chosen image points that did not see the sky."""
    row = chosen[hits.owner[chosen] != SKY]
    owner, depth = hits.owner[row], hits.depth_m[row]
    direction = np.take(hits.direction, row, axis=1)
    stretch = np.sqrt(dot(direction, direction))
    triangle = np.where(owner == TOWN, hits.triangle[row], 0)
    material = world.material[triangle]
    out = Surfaces(
        row=row,
        xyz_m=direction * depth + column(view.global_SE3_cam.translation_m),
        normal=np.ascontiguousarray(hits.normal[row].T),
        rgb=np.take(world.rgb, triangle, axis=1),
        mirror=MIRROR[material],
        glow_rgb=np.zeros((3, len(row)), dtype=np.float32),
        footprint_m=np.zeros(len(row), dtype=np.float32),
        material=material,
        distance_m=depth * stretch,
        towards=direction / stretch,
    )
    for place in np.flatnonzero(np.bincount(owner + 2, minlength=2)[2:]):
        _actor(out, hits, view.posed[place], np.flatnonzero(owner == place), light)
    facing = np.abs(dot(out.normal, out.towards))
    out.footprint_m = out.distance_m / np.float32(view.camera.focal_px) / np.maximum(facing, np.float32(0.06))
    _town_textures(out, world, triangle, hits, owner == TOWN, light)
    return out


def _actor(out: Surfaces, hits: Hits, posed: Posed, index: Int[np.ndarray, "k"], light: Light) -> None:
    """Normals, colours and lamps of one actor."""
    row = out.row[index]
    part = ActorHits(hits.depth_m[row], hits.triangle[row], hits.uv[row])
    normal = actor_normals(posed, part).T
    away = dot(normal, out.towards[:, index]) > 0
    out.normal[:, index] = np.where(away, -normal, normal)
    material = posed.model.material[part.triangle]
    tint = TINT[material]
    out.rgb[:, index] = ALBEDO[material].T * (1.0 - tint + tint * column(to_linear(posed.actor.color_rgb)))
    out.rgb[:, index[material == Material.TROUSERS]] = _trousers(posed)
    out.material[index] = material
    out.mirror[index] = MIRROR[material]
    out.glow_rgb[:, index] = _lamps(material, posed, light)


def _trousers(posed: Posed) -> Float32[np.ndarray, "3 1"]:
    """Dark clothes that differ from person to person."""
    shades = ((0.03, 0.04, 0.09), (0.03, 0.03, 0.032), (0.14, 0.11, 0.075), (0.09, 0.09, 0.10))
    return column(shades[posed.actor.actor_id * 7 % len(shades)])


def _lamps(material: Int[np.ndarray, "k"], posed: Posed, light: Light) -> Float32[np.ndarray, "3 k"]:
    """Head lamps of who drives after dark, tail lamps, and brake lights at any time."""
    glow = np.zeros((3, len(material)), dtype=np.float32)
    if light.lamps_on and not posed.actor.parked:
        glow[:, material == Material.HEADLIGHT] = column((3.2, 3.0, 2.6)) / np.float32(light.exposure)
        glow[:, material == Material.TAILLIGHT] = column((0.9, 0.02, 0.02)) / np.float32(light.exposure)
    if posed.braking:
        glow[:, material == Material.TAILLIGHT] = column((3.6, 0.10, 0.08)) / np.float32(light.exposure)
    return glow


def _town_textures(
    out: Surfaces, world: World, triangle: Int[np.ndarray, "n"], hits: Hits, town: Bool[np.ndarray, "n"], light: Light
) -> None:
    """Paint each kind of town surface."""
    kinds = np.where(town, out.material, -1)
    present = np.flatnonzero(np.bincount(kinds + 1)[1:])
    for kind in present:
        index = np.flatnonzero(kinds == kind)
        if kind in _LEVEL:
            out.rgb[:, index] *= _level(
                Material(kind), out.xyz_m[0, index], out.xyz_m[1, index], out.footprint_m[index]
            )
        elif kind == Material.WALL:
            _walls(out, np.take(world.wall, triangle[index], axis=1), index, light)
        elif kind == Material.LEAF:
            _leaves(out, smooth(world.corner_normals[triangle[index]], hits.uv[out.row[index]]).T, index)
        elif kind == Material.LAMP_GLASS and light.lamps_on:
            out.glow_rgb[:, index] = column((6.0, 4.6, 2.6)) / np.float32(light.exposure)


def _level(
    kind: Material, x_m: Float32[np.ndarray, "n"], y_m: Float32[np.ndarray, "n"], footprint_m: Float32[np.ndarray, "n"]
) -> Float32[np.ndarray, "n"]:
    if kind == Material.GROUND:
        return asphalt(x_m, y_m, footprint_m)
    if kind == Material.SIDEWALK:
        return paving(x_m, y_m, footprint_m, 0.6)
    if kind == Material.PLAZA:
        return paving(x_m, y_m, footprint_m, 1.2)
    return grass(x_m, y_m, footprint_m) if kind == Material.GRASS else wear(x_m, y_m, footprint_m)


def _walls(out: Surfaces, wall: Float32[np.ndarray, "5 k"], index: Int[np.ndarray, "k"], light: Light) -> None:
    """Plaster, frames, glass and, after dark, lit rooms."""
    xyz, footprint = np.take(out.xyz_m, index, axis=1), out.footprint_m[index]
    front = house_front(xyz, wall, footprint)
    along, up = xyz[0] + xyz[1], xyz[2] - wall[4]
    plaster = 1.0 + 0.10 * noise(along, up, 0.08) + 0.05 * grain(along, up, 0.03) * fade(footprint, 0.03)
    plaster *= (1.0 - 0.18 * np.clip(1.0 - up / np.float32(0.9), 0.0, 1.0)) * (1.0 + np.float32(0.35) * front.band)
    plaster *= 1.0 - front.frame - front.glass
    behind = front.glass * (front.curtain * np.float32(0.8) + np.float32(0.012))
    out.rgb[:, index] = np.take(out.rgb, index, axis=1) * plaster + front.frame * _FRAME_RGB + behind
    out.mirror[index] = np.float32(0.22) * front.glass
    if light.lamps_on:
        room = (np.float32(0.35) + np.float32(1.3) * front.curtain) * front.glass * front.lit
        out.glow_rgb[:, index] = room * (_ROOM_RGB * np.float32(0.5 / light.exposure))


def _leaves(out: Surfaces, normal: Float32[np.ndarray, "3 k"], index: Int[np.ndarray, "k"]) -> None:
    """Clumps of leaves: noise bends the normals and speckles the green."""
    x, y, z = np.take(out.xyz_m, index, axis=1)
    a, b = x + np.float32(0.6) * z, y - np.float32(0.7) * z + np.float32(0.2) * x
    clump, side = noise(a, b, 0.012), noise(b + np.float32(3.1), z + np.float32(0.3) * a, 0.009)
    speck = grain(a + np.float32(0.4) * y, b, 0.085) * fade(out.footprint_m[index], 0.12)
    bent = normal + np.float32(0.8) * np.stack([clump, side, speck * np.float32(0.6)])
    out.normal[:, index] = bent / np.sqrt(dot(bent, bent))
    out.rgb[:, index] *= np.clip(1.0 + 0.30 * (clump + side) + 0.42 * speck, 0.15, 2.0)
