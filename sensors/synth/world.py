"""The static half of a scene as one set of triangles that rays can be cast at, with what each triangle is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from zlib import crc32

import numpy as np
import open3d as o3d
from jaxtyping import Float, Float32, Int

from sensors.synth.lamp_map import LampMap, bake_lamps
from sensors.synth.materials import ALBEDO, Material
from sensors.synth.meshes import Mesh, corner_normals
from sensors.synth.polygons import dashes, flat_mesh, prism_side, ribbon_mesh
from sensors.synth.scene import Building, Marking, Prop, Surface, Town
from sensors.synth.street_meshes import prop_mesh

_SURFACE_MATERIAL = {
    "road": Material.GROUND,
    "junction": Material.GROUND,
    "crosswalk": Material.MARKING,
    "sidewalk": Material.SIDEWALK,
    "grass": Material.GRASS,
    "plaza": Material.PLAZA,
}
_PAINT_HEIGHT_M = 0.006
YELLOW_RGB = (0.62, 0.40, 0.04)
_VARIANTS = 6
_USUAL_HEIGHT_M = {"tree": 8.0, "hedge": 1.0}
"""Plants come in a few shapes that are scaled; other props are built at their height."""
_KERB_M = 0.15
_BURIED_M = 1.0


@dataclass(frozen=True)
class World:
    """Triangles of a town and their looks, indexed by the triangle that a ray hit.

    Attributes:
        scene: what rays are cast at, in the global frame.
        material: `Material` of each triangle.
        rgb: linear albedo of each triangle, as columns.
        corner_normals: unit normals at the corners of each triangle of what has leaves; up elsewhere.
        wall: columns of wall triangles: start x, start y, length of the wall, height of the building, height of its foot; 0
            elsewhere.
        lamp_map: light of the street lamps on the ground.
    """

    scene: o3d.t.geometry.RaycastingScene
    material: Int[np.ndarray, "t"]
    rgb: Float32[np.ndarray, "3 t"]
    corner_normals: Float32[np.ndarray, "t 3 3"]
    wall: Float32[np.ndarray, "5 t"]
    lamp_map: LampMap


Wall = tuple[float, float, float, float, float]
_NO_WALL: Wall = (0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Piece:
    """Part of a world: its triangles, their linear albedo, and for walls a column of `World.wall`."""

    mesh: Mesh
    rgb: Float[np.ndarray, "t 3"]
    wall: Wall = _NO_WALL


def to_linear(srgb: Float[np.ndarray, "*n 3"] | tuple[float, float, float]) -> Float[np.ndarray, "*n 3"]:
    """Display colour in [0, 1] to light."""
    return np.asarray(np.power(np.clip(np.asarray(srgb, dtype=np.float64), 0.0, 1.0), 2.2))


def ray_scene(mesh: Mesh) -> o3d.t.geometry.RaycastingScene:
    """A scene of one mesh that is built and cast by the calling thread alone."""
    scene = o3d.t.geometry.RaycastingScene(nthreads=1)
    vertices = o3d.core.Tensor.from_numpy(np.ascontiguousarray(mesh.vertices_m, dtype=np.float32))
    scene.add_triangles(vertices, o3d.core.Tensor.from_numpy(np.ascontiguousarray(mesh.triangles, dtype=np.uint32)))
    return scene


def build_world(town: Town) -> World:
    """Meshes of everything in the town."""
    pieces = [piece for surface in town.surfaces for piece in _surface(surface)]
    pieces += [piece for marking in town.markings for piece in _marking(marking)]
    pieces += [piece for building in town.buildings for piece in building_pieces(building)]
    pieces += [prop_piece(prop) for prop in town.props]
    return assemble(pieces, _lamp_heads(town.props))


def assemble(pieces: Sequence[Piece], lamp_heads_m: Float[np.ndarray, "k 3"]) -> World:
    """One world of pieces that are in place.

    Args:
        lamp_heads_m: where the street lamps shine from.
    """
    starts = np.cumsum([0] + [len(piece.mesh.vertices_m) for piece in pieces[:-1]])
    whole = Mesh(
        np.concatenate([piece.mesh.vertices_m for piece in pieces]),
        np.concatenate([piece.mesh.triangles + start for piece, start in zip(pieces, starts, strict=True)]),
        np.concatenate([piece.mesh.material for piece in pieces]),
    )
    wall = np.concatenate(
        [np.tile(np.array(piece.wall, dtype=np.float32), (len(piece.mesh.triangles), 1)) for piece in pieces]
    )
    return World(
        scene=ray_scene(whole),
        material=whole.material.astype(np.int8),
        rgb=np.ascontiguousarray(np.concatenate([piece.rgb for piece in pieces]).T, dtype=np.float32),
        corner_normals=np.concatenate([_leaf_normals(piece.mesh) for piece in pieces]),
        wall=np.ascontiguousarray(wall.T),
        lamp_map=bake_lamps(lamp_heads_m),
    )


def _leaf_normals(mesh: Mesh) -> Float32[np.ndarray, "t 3 3"]:
    if (mesh.material == Material.LEAF).any():
        return corner_normals(mesh).astype(np.float32)
    return np.broadcast_to(np.array([0, 0, 1], dtype=np.float32), (len(mesh.triangles), 3, 3))


def plain_piece(mesh: Mesh) -> Piece:
    """In the colours of its materials."""
    return Piece(mesh, ALBEDO[mesh.material].astype(np.float64))


def _surface(surface: Surface) -> list[Piece]:
    """The top, and a curb around it where it is raised."""
    pieces = [plain_piece(flat_mesh(surface.outline_xy_m, surface.height_m, _SURFACE_MATERIAL[surface.kind]))]
    if surface.height_m > 0.05:
        sides = prism_side(surface.outline_xy_m, -0.02, surface.height_m, Material.CURB)
        pieces += [plain_piece(side) for side in sides]
    return pieces


def _marking(marking: Marking) -> list[Piece]:
    lines = dashes(marking.line_xy_m) if marking.dashed else [marking.line_xy_m]
    pieces = [plain_piece(ribbon_mesh(line, marking.width_m, _PAINT_HEIGHT_M, Material.MARKING)) for line in lines]
    return (
        [Piece(piece.mesh, np.broadcast_to(YELLOW_RGB, piece.rgb.shape)) for piece in pieces]
        if marking.yellow
        else pieces
    )


def building_pieces(building: Building, foot_m: float = 0.0) -> list[Piece]:
    """Walls that know where they start, and a roof with a low parapet.

    Args:
        foot_m: height of the ground that it stands on.
    """
    rgb = to_linear(building.color_rgb)
    pieces = []
    for side in prism_side(building.outline_xy_m, foot_m - _BURIED_M, foot_m + building.height_m + 0.5, Material.WALL):
        start, end = side.vertices_m[0], side.vertices_m[1]
        wall = (float(start[0]), float(start[1]), float(np.linalg.norm(end - start)), building.height_m, foot_m)
        pieces.append(Piece(side, np.broadcast_to(rgb, (len(side.triangles), 3)), wall))
    return [*pieces, plain_piece(flat_mesh(building.outline_xy_m, foot_m + building.height_m, Material.ROOF))]


def prop_piece(prop: Prop, foot_m: float = _KERB_M) -> Piece:
    """A prop in place, on ground of a height; leaves differ in their green from tree to tree."""
    key = crc32(np.array(prop.xy_m).tobytes())
    grows = prop.kind in _USUAL_HEIGHT_M
    usual = _USUAL_HEIGHT_M.get(prop.kind, prop.height_m)
    mesh = _prop_shape(prop.kind, usual, key % _VARIANTS if grows else key % 2)
    piece = plain_piece(mesh.moved((*prop.xy_m, foot_m), prop.yaw_rad, prop.height_m / usual))
    shade = np.array([0.8 + 0.5 * (key % 97) / 97, 0.85 + 0.3 * (key % 89) / 89, 0.8 + 0.4 * (key % 83) / 83])
    leaf = (piece.mesh.material == Material.LEAF)[:, None]
    return Piece(piece.mesh, np.where(leaf, piece.rgb * shade, piece.rgb))


@lru_cache(maxsize=64)
def _prop_shape(kind: str, height_m: float, variant: int) -> Mesh:
    return prop_mesh(kind, height_m, variant)


def _lamp_heads(props: tuple[Prop, ...]) -> Float[np.ndarray, "k 3"]:
    heads = [
        (prop.xy_m[0] + 1.76 * np.cos(prop.yaw_rad), prop.xy_m[1] + 1.76 * np.sin(prop.yaw_rad), prop.height_m)
        for prop in props
        if prop.kind == "lamp"
    ]
    return np.array(heads, dtype=np.float64).reshape(-1, 3)
