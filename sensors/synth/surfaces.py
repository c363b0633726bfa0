"""What lies at a hit: place, normal, colour, mirror and glow, gathered into one table of image points for the lighting."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int

from sensors.synth.materials import ALBEDO, MIRROR, TINT, Material
from sensors.synth.posed import ActorHits, Posed, actor_normals, smooth
from sensors.synth.sky import Light
from sensors.synth.textures import asphalt, fade, grain, grass, house_front, noise, paving, wear
from sensors.synth.trace import SKY, TOWN, Hits, View
from sensors.synth.world import World, to_linear

_ROOM_RGB = np.array([1.0, 0.72, 0.40], dtype=np.float32)
_FRAME_RGB = np.array([0.55, 0.54, 0.52], dtype=np.float32)
_LEVEL = (Material.GROUND, Material.SIDEWALK, Material.PLAZA, Material.GRASS, Material.MARKING)


@dataclass
class Surfaces:
    """One row an image point that hit something; textures write into it.

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
    xyz_m: Float32[np.ndarray, "n 3"]
    normal: Float32[np.ndarray, "n 3"]
    rgb: Float32[np.ndarray, "n 3"]
    mirror: Float32[np.ndarray, "n"]
    glow_rgb: Float32[np.ndarray, "n 3"]
    footprint_m: Float32[np.ndarray, "n"]
    material: Int[np.ndarray, "n"]
    distance_m: Float32[np.ndarray, "n"]
    towards: Float32[np.ndarray, "n 3"]


def gather(world: World, view: View, hits: Hits, light: Light) -> Surfaces:
    """Look up every image point that did not see the sky."""
    row = np.flatnonzero(hits.owner != SKY)
    owner, depth, direction = hits.owner[row], hits.depth_m[row], hits.direction[row]
    stretch = np.sqrt(np.einsum("ij,ij->i", direction, direction))
    towards = direction / stretch[:, None]
    xyz = direction * depth[:, None] + view.global_SE3_cam.translation_m.astype(np.float32)
    triangle = np.where(owner == TOWN, hits.triangle[row], 0)
    material = world.material[triangle]
    out = Surfaces(
        row=row,
        xyz_m=xyz,
        normal=hits.normal[row],
        rgb=world.rgb[triangle],
        mirror=MIRROR[material],
        glow_rgb=np.zeros((len(row), 3), dtype=np.float32),
        footprint_m=np.zeros(len(row), dtype=np.float32),
        material=material,
        distance_m=depth * stretch,
        towards=towards,
    )
    for place in np.unique(owner[owner >= 0]):
        _actor(out, hits, view.posed[place], np.flatnonzero(owner == place), light)
    _footprints(out, view)
    _town_textures(out, world, triangle, hits, np.flatnonzero(owner == TOWN), light)
    return out


def _footprints(out: Surfaces, view: View) -> None:
    facing = np.abs(np.einsum("ij,ij->i", out.normal, out.towards))
    out.footprint_m = out.distance_m / np.float32(view.camera.focal_px) / np.maximum(facing, np.float32(0.06))


def _actor(out: Surfaces, hits: Hits, posed: Posed, index: Int[np.ndarray, "k"], light: Light) -> None:
    """Normals, colours and lamps of one actor."""
    row = out.row[index]
    part = ActorHits(hits.depth_m[row], hits.triangle[row], hits.uv[row])
    normal = actor_normals(posed, part)
    away = np.einsum("ij,ij->i", normal, out.towards[index]) > 0
    out.normal[index] = np.where(away[:, None], -normal, normal)
    material = posed.model.material[part.triangle]
    tint = TINT[material][:, None]
    colour = to_linear(posed.actor.color_rgb).astype(np.float32)
    out.rgb[index] = ALBEDO[material] * (1.0 - tint + tint * colour)
    trousers = material == Material.TROUSERS
    out.rgb[index[trousers]] = _trousers(posed)
    out.material[index] = material
    out.mirror[index] = MIRROR[material]
    out.glow_rgb[index] = _lamps(material, posed, light)


def _trousers(posed: Posed) -> Float32[np.ndarray, "3"]:
    """Dark clothes that differ from person to person."""
    choice = np.random.default_rng([11, posed.actor.actor_id])
    base = np.array([[0.03, 0.04, 0.09], [0.03, 0.03, 0.032], [0.14, 0.11, 0.075], [0.09, 0.09, 0.10]])[choice.integers(4)]
    return base.astype(np.float32)


def _lamps(material: Int[np.ndarray, "k"], posed: Posed, light: Light) -> Float32[np.ndarray, "k 3"]:
    """Head lamps of who drives after dark, tail lamps, and brake lights at any time."""
    glow = np.zeros((len(material), 3), dtype=np.float32)
    on = light.lamps_on and not posed.actor.parked
    if on:
        glow[material == Material.HEADLIGHT] = np.array([3.2, 3.0, 2.6]) / light.exposure
        glow[material == Material.TAILLIGHT] = np.array([0.9, 0.02, 0.02]) / light.exposure
    if posed.braking:
        glow[material == Material.TAILLIGHT] = np.array([3.6, 0.10, 0.08]) / light.exposure
    return glow


def _town_textures(
    out: Surfaces, world: World, triangle: Int[np.ndarray, "n"], hits: Hits, town: Int[np.ndarray, "k"], light: Light
) -> None:
    """Paint each kind of town surface."""
    material = out.material[town]
    for kind in _LEVEL:
        index = town[material == kind]
        if len(index):
            out.rgb[index] *= _level(kind, out.xyz_m[index, :2], out.footprint_m[index])[:, None]
    walls = town[material == Material.WALL]
    if len(walls):
        _walls(out, world.wall[triangle[walls]], walls, light)
    leaves = town[material == Material.LEAF]
    if len(leaves):
        _leaves(out, smooth(world.corner_normals[triangle[leaves]], hits.uv[out.row[leaves]]), leaves)
    if light.lamps_on:
        out.glow_rgb[town[material == Material.LAMP_GLASS]] = np.array([6.0, 4.6, 2.6]) / light.exposure


def _level(kind: Material, xy_m: Float32[np.ndarray, "n 2"], footprint_m: Float32[np.ndarray, "n"]) -> Float32[np.ndarray, "n"]:
    if kind == Material.GROUND:
        return asphalt(xy_m, footprint_m)
    if kind == Material.SIDEWALK:
        return paving(xy_m, footprint_m, 0.6)
    if kind == Material.PLAZA:
        return paving(xy_m, footprint_m, 1.2)
    return grass(xy_m, footprint_m) if kind == Material.GRASS else wear(xy_m, footprint_m)


def _walls(out: Surfaces, wall: Float32[np.ndarray, "k 4"], index: Int[np.ndarray, "k"], light: Light) -> None:
    """Plaster, frames, glass and, after dark, lit rooms."""
    front = house_front(out.xyz_m[index], wall, out.footprint_m[index])
    xyz = out.xyz_m[index]
    sheet = np.stack([xyz[:, 0] + xyz[:, 1], xyz[:, 2]], axis=-1)
    plaster = 1.0 + 0.10 * noise(sheet, 0.08) + 0.05 * grain(sheet, 0.03) * fade(out.footprint_m[index], 0.03)
    plaster *= 1.0 - 0.18 * np.clip(1.0 - xyz[:, 2] / 0.9, 0.0, 1.0)
    frame, glass, band = front.frame[:, None], front.glass[:, None], front.band[:, None]
    base = out.rgb[index] * plaster[:, None]
    base = base + band * (np.float32(1.35) * base - base)
    out.rgb[index] = base * (1 - frame - glass) + frame * _FRAME_RGB + glass * (front.curtain[:, None] * np.float32(0.8) + np.float32(0.012))
    out.mirror[index] = 0.22 * front.glass
    if light.lamps_on:
        room = (0.35 + 1.3 * front.curtain) * front.glass * front.lit
        out.glow_rgb[index] = room[:, None] * _ROOM_RGB * np.float32(0.5 / light.exposure)


def _leaves(out: Surfaces, normal: Float32[np.ndarray, "k 3"], index: Int[np.ndarray, "k"]) -> None:
    """Clumps of leaves: noise bends the normals and speckles the green."""
    xyz = out.xyz_m[index]
    flat = xyz[:, :2] + xyz[:, 2:] * np.array([0.73, 0.41], dtype=np.float32)
    clump, speck = noise(flat, 0.012), grain(flat, 0.09) * fade(out.footprint_m[index], 0.12)
    side = noise(flat[:, ::-1], 0.012)
    bent = normal + 0.75 * np.stack([clump, side, speck * np.float32(0.6)], axis=-1)
    out.normal[index] = bent / np.linalg.norm(bent, axis=1, keepdims=True)
    out.rgb[index] *= np.clip(1.0 + 0.55 * clump + 0.42 * speck, 0.15, 2.0)[:, None]
