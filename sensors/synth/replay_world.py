"""The standing half of a replayed scene as triangles: land draped over the terrain, and what stands beside the road.

Areas are cut along a square grid into pieces small enough to follow the ground; neighbours share the corners, so nothing gapes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely
from jaxtyping import Float, Int
from shapely.geometry import Polygon, box
from shapely.geometry.base import BaseGeometry

from sensors.synth.materials import Material
from sensors.synth.meshes import Mesh, merge
from sensors.synth.polygons import dashes, flat_mesh, prism_side, ribbon_mesh
from sensors.synth.posed import Posed
from sensors.synth.replay_land import Land
from sensors.synth.scenery import Scenery
from sensors.synth.terrain import Terrain, fit_terrain
from sensors.synth.world import (
    YELLOW_RGB,
    Piece,
    World,
    assemble,
    building_pieces,
    plain_piece,
    prop_piece,
    ray_scene,
)

KERB_M = 0.12
_CELL_M = 2.0
_MOST_CELLS = 120_000
_PAINT_M = 0.018
_BAR_M = 0.012
_EGO_WEIGHT = 1.0
_UNDERSIDE = np.array([[0, 0, -1], [0.8, 0.8, -1], [-0.8, 0.8, -1], [-0.8, -0.8, -1], [0.8, -0.8, -1]])
"""Places of the underside, in half sizes."""
_FAR_M = 600.0
_SPECK_M2 = 1e-4


@dataclass(frozen=True)
class Grid:
    """Square cells over the land.

    Attributes:
        low_xy_m: corner of the first cell.
        shape: cells along x and y.
    """

    low_xy_m: Float[np.ndarray, "2"]
    cell_m: float
    shape: tuple[int, int]


@dataclass(frozen=True, eq=False)
class LevelWorld:
    """A world on level ground, to be laid over the terrain of each keyframe.

    Attributes:
        land: what it shows.
        grid: that its areas were cut along.
        world: its looks; the ray scene is on level ground.
        mesh: all its triangles.
        anchor_xy_m: of each corner, the place whose ground it rises and falls with: its own for land, the foot for a house.
    """

    land: Land
    grid: Grid
    world: World
    mesh: Mesh
    anchor_xy_m: Float[np.ndarray, "v 2"]

    def laid_over(self, terrain: Terrain) -> World:
        """The world on this ground."""
        lift = terrain.at(self.anchor_xy_m)
        vertices = self.mesh.vertices_m.copy()
        vertices[:, 2] += lift
        wall = self.world.wall.copy()
        wall[4] = np.where(wall[3] > 0, lift[self.mesh.triangles[:, 0]], 0.0)
        return replace(self.world, scene=ray_scene(replace(self.mesh, vertices_m=vertices)), wall=wall)


def keyframe_terrain(level: LevelWorld, ego_xyz_m: Float[np.ndarray, "3"], posed: Sequence[Posed]) -> Terrain:
    """The ground below the ego and below every box of a keyframe; on a sidewalk one stands a kerb higher than the road.

    Each keyframe has its own, because a level ego path puts the tilt of the car into the boxes.
    """
    feet = [one.global_SE3_actor @ (0.5 * _UNDERSIDE * np.array(one.actor.size_lwh_m)) for one in posed]
    xyz = np.concatenate([ego_xyz_m[None], *feet])
    raised = shapely.contains_xy(level.land.sidewalk, xyz[:, 0], xyz[:, 1])
    xyz[:, 2] -= KERB_M * raised
    weight = np.array([_EGO_WEIGHT, *np.full(len(xyz) - 1, 1.0 / len(_UNDERSIDE))])
    return fit_terrain(xyz, weight, level.grid.low_xy_m, level.grid.cell_m, level.grid.shape)


def build_level_world(land: Land, scenery: Scenery) -> LevelWorld:
    """All meshes of the land and the scenery."""
    x0, y0, x1, y1 = land.area.bounds
    cell = max(_CELL_M, float(np.sqrt((x1 - x0) * (y1 - y0) / _MOST_CELLS)))
    grid = Grid(np.array([x0, y0]), cell, (int(np.ceil((x1 - x0) / cell)), int(np.ceil((y1 - y0) / cell))))
    grass = shapely.difference(land.area, shapely.union(land.road, land.sidewalk))
    pieces = [plain_piece(_far_land(land))]
    pieces += [plain_piece(mesh) for mesh in _tiled(land.road, Material.GROUND, 0.0, grid)]
    pieces += [plain_piece(mesh) for mesh in _tiled(land.sidewalk, Material.SIDEWALK, KERB_M, grid)]
    pieces += [plain_piece(mesh) for mesh in _tiled(grass, Material.GRASS, 0.0, grid)]
    pieces += [plain_piece(mesh) for mesh in (*_kerbs(land.sidewalk), *_bars(land))]
    pieces += list(_paint(land))
    anchors = [piece.mesh.vertices_m[:, :2] for piece in pieces]
    for foot, things in _standing(scenery):
        pieces += things
        anchors += [np.broadcast_to(foot, (len(thing.mesh.vertices_m), 2)) for thing in things]
    whole = merge([piece.mesh for piece in pieces])
    return LevelWorld(land, grid, assemble(pieces, np.zeros((0, 3))), whole, np.concatenate(anchors))


def _standing(scenery: Scenery) -> Iterator[tuple[Float[np.ndarray, "2"], list[Piece]]]:
    """Houses and props, each with the place of its foot."""
    for building in scenery.buildings:
        yield building.outline_xy_m.mean(axis=0), building_pieces(building)
    for prop in scenery.props:
        yield np.array(prop.xy_m), [prop_piece(prop, 0.0)]


def _far_land(land: Land) -> Mesh:
    """A level frame of grass around the area."""
    x0, y0, x1, y1 = land.area.bounds
    x2, y2, x3, y3 = x0 - _FAR_M, y0 - _FAR_M, x1 + _FAR_M, y1 + _FAR_M
    strips = (box(x2, y2, x3, y0), box(x2, y1, x3, y3), box(x2, y0, x0, y1), box(x1, y0, x3, y1))
    return merge([flat_mesh(_corners(strip), 0.0, Material.GRASS) for strip in strips])


def _tiled(shape: BaseGeometry, material: Material, lift_m: float, grid: Grid) -> Iterator[Mesh]:
    """An area cut along the grid: halved until each part is empty, fills its cells, or lies in one cell."""
    parts, cells = np.array([shape]), np.array([[0, 0, *grid.shape]])
    while len(parts):
        area, spans = shapely.area(parts), cells[:, 2:] - cells[:, :2]
        full = area > spans.prod(axis=1) * grid.cell_m**2 - _SPECK_M2
        if full.any():
            yield _squares(cells[full], grid, lift_m, material)
        single = (spans.max(axis=1) == 1) & ~full & (area > _SPECK_M2)
        for piece in parts[single]:
            for polygon in _simple(piece):
                yield flat_mesh(_corners(polygon), lift_m, material)
        left = (spans.max(axis=1) > 1) & ~full & (area > _SPECK_M2)
        cells = _halved(cells[left])
        corners = np.tile(grid.low_xy_m, 2) + cells * grid.cell_m
        parts = shapely.intersection(np.repeat(parts[left], 2), shapely.box(*corners.T))


def _halved(cells: Int[np.ndarray, "n 4"]) -> Int[np.ndarray, "m 4"]:
    """Both halves of each block of cells, cut across its longer side."""
    lower, upper = cells.copy(), cells.copy()
    wide = cells[:, 2] - cells[:, 0] >= cells[:, 3] - cells[:, 1]
    for axis, chosen in ((0, wide), (1, ~wide)):
        middle = (cells[chosen, axis] + cells[chosen, axis + 2]) // 2
        lower[chosen, axis + 2], upper[chosen, axis] = middle, middle
    return np.asarray(np.stack([lower, upper], axis=1).reshape(-1, 4))


def _simple(shape: BaseGeometry) -> Iterator[Polygon]:
    """Polygons without holes."""
    for part in getattr(shape, "geoms", [shape]):
        if not isinstance(part, Polygon) or part.area < _SPECK_M2:
            continue
        if part.interiors:
            hole = part.interiors[0].centroid
            x0, y0, x1, y1 = part.bounds
            for half in (box(x0, y0, hole.x, y1), box(hole.x, y0, x1, y1)):
                yield from _simple(shapely.intersection(part, half))
        else:
            yield part


def _corners(shape: Polygon) -> Float[np.ndarray, "n 2"]:
    return np.array(shape.exterior.coords)[:-1, :2]


def _squares(blocks: Int[np.ndarray, "n 4"], grid: Grid, lift_m: float, material: Material) -> Mesh:
    """The cells of whole blocks, two triangles each, with shared corners."""
    cells = np.concatenate([np.mgrid[x0:x1, y0:y1].reshape(2, -1).T for x0, y0, x1, y1 in blocks])
    steps = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    corners, index = np.unique((cells[:, None] + steps).reshape(-1, 2), axis=0, return_inverse=True)
    xy = grid.low_xy_m + corners * grid.cell_m
    quads = index.reshape(-1, 4)
    triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    return Mesh(np.column_stack([xy, np.full(len(xy), lift_m)]), triangles, np.full(len(triangles), material))


def _kerbs(sidewalk: BaseGeometry) -> Iterator[Mesh]:
    """Upright stones around the sidewalks."""
    for part in getattr(sidewalk, "geoms", [sidewalk]):
        if not isinstance(part, Polygon):
            continue
        for ring in (part.exterior, *part.interiors):
            line = np.array(shapely.segmentize(ring, _CELL_M).coords)[:-1, :2]
            if len(line) > 2:
                yield merge(prism_side(line, -0.05, KERB_M, Material.CURB))


def _bars(land: Land) -> Iterator[Mesh]:
    """White bars, in pieces that follow the ground."""
    for bar in land.bars:
        x0, y0, x1, y1 = bar.bounds
        for x in np.arange(x0, x1, _CELL_M):
            for y in np.arange(y0, y1, _CELL_M):
                for part in _simple(shapely.intersection(bar, box(x, y, x + _CELL_M, y + _CELL_M))):
                    yield flat_mesh(_corners(part), _BAR_M, Material.MARKING)


def _paint(land: Land) -> Iterator[Piece]:
    for marking in land.markings:
        for line in dashes(marking.line_xy_m) if marking.dashed else [marking.line_xy_m]:
            mesh = ribbon_mesh(line, marking.width_m, _PAINT_M, Material.MARKING)
            piece = plain_piece(mesh)
            yield Piece(mesh, np.broadcast_to(YELLOW_RGB, piece.rgb.shape)) if marking.yellow else piece
