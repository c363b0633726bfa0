"""Triangle meshes and the few solids that everything in the town is built of: boxes, tubes, blobs and lofts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse

from sensors.synth.materials import Material

_CREASE_COS = np.cos(np.radians(38.0))


@dataclass(frozen=True)
class Mesh:
    """Triangles with a material each.

    Attributes:
        vertices_m: corners, in the frame of the thing they belong to.
        triangles: vertex indices, counter-clockwise seen from outside.
        material: one `Material` a triangle.
    """

    vertices_m: Float[np.ndarray, "v 3"]
    triangles: Int[np.ndarray, "t 3"]
    material: Int[np.ndarray, "t"]

    def moved(self, xyz_m: Sequence[float], yaw_rad: float = 0.0, scale: float | Sequence[float] = 1.0) -> Mesh:
        """Scaled, then turned about z, then shifted."""
        cos, sin = np.cos(yaw_rad), np.sin(yaw_rad)
        turn = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
        return Mesh((self.vertices_m * scale) @ turn.T + np.asarray(xyz_m), self.triangles, self.material)


def merge(parts: Sequence[Mesh]) -> Mesh:
    """One mesh of all parts."""
    starts = np.cumsum([0] + [len(part.vertices_m) for part in parts[:-1]])
    return Mesh(
        np.concatenate([part.vertices_m for part in parts]),
        np.concatenate([part.triangles + start for part, start in zip(parts, starts, strict=True)]),
        np.concatenate([part.material for part in parts]),
    )


def without_slivers(mesh: Mesh) -> Mesh:
    """Without triangles of no area, such as those at the poles of a blob."""
    a, b, c = (mesh.vertices_m[mesh.triangles[:, i]] for i in range(3))
    solid = np.linalg.norm(np.cross(b - a, c - a), axis=1) > 1e-10
    return Mesh(mesh.vertices_m, mesh.triangles[solid], mesh.material[solid])


def corner_normals(mesh: Mesh) -> Float[np.ndarray, "t 3 3"]:
    """A unit normal for each corner of each triangle: smooth over shallow edges, sharp over creases."""
    a, b, c = (mesh.vertices_m[mesh.triangles[:, i]] for i in range(3))
    area = np.cross(b - a, c - a)
    unit = area / np.maximum(np.linalg.norm(area, axis=1, keepdims=True), 1e-12)
    count = len(mesh.triangles)
    corner_vertex = mesh.triangles.reshape(-1)
    at_vertex = sparse.csr_matrix((np.ones(3 * count), (np.arange(3 * count), corner_vertex)))
    face_at_vertex = sparse.csr_matrix((np.ones(3 * count), (np.repeat(np.arange(count), 3), corner_vertex)))
    pairs = (at_vertex @ face_at_vertex.T).tocoo()
    shallow = (unit[pairs.row // 3] * unit[pairs.col]).sum(axis=1) > _CREASE_COS
    normals = np.zeros((3 * count, 3))
    np.add.at(normals, pairs.row[shallow], area[pairs.col[shallow]])
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    normals = np.where(length > 1e-12, normals / np.maximum(length, 1e-12), np.repeat(unit, 3, axis=0))
    return normals.reshape(count, 3, 3)


def grid_mesh(points_m: Float[np.ndarray, "r c 3"], material: Material) -> Mesh:
    """A sheet over a grid of points; rows × columns is counter-clockwise seen from outside."""
    rows, columns = points_m.shape[:2]
    index = np.arange(rows * columns).reshape(rows, columns)
    low, right, up, both = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
    triangles = np.concatenate(
        [np.stack([low, up, both], -1).reshape(-1, 3), np.stack([low, both, right], -1).reshape(-1, 3)]
    )
    return Mesh(points_m.reshape(-1, 3), triangles, np.full(len(triangles), material))


def fan_mesh(outline_m: Float[np.ndarray, "n 3"], material: Material) -> Mesh:
    """A convex polygon, counter-clockwise seen from outside."""
    index = np.arange(1, len(outline_m) - 1)
    triangles = np.stack([np.zeros_like(index), index, index + 1], axis=-1)
    return Mesh(outline_m, triangles, np.full(len(triangles), material))


def box_mesh(centre_m: Sequence[float], size_m: Sequence[float], material: Material) -> Mesh:
    """An upright box with sharp edges."""
    faces = []
    for axis in range(3):
        first, second = (axis + 1) % 3, (axis + 2) % 3
        for sign in (-1.0, 1.0):
            corners = np.zeros((4, 3))
            corners[:, axis] = sign
            corners[:, first] = np.array([-1, 1, 1, -1]) * sign
            corners[:, second] = [-1, -1, 1, 1]
            faces.append(fan_mesh(corners * np.asarray(size_m) / 2 + np.asarray(centre_m), material))
    return merge(faces)


def tube_mesh(
    start_m: Sequence[float],
    end_m: Sequence[float],
    start_radius_m: float,
    end_radius_m: float,
    material: Material,
    sides: int = 10,
    caps: bool = True,
) -> Mesh:
    """A round bar or cone between two points."""
    start, end = np.asarray(start_m, dtype=float), np.asarray(end_m, dtype=float)
    axis = (end - start) / np.linalg.norm(end - start)
    first = np.cross(axis, [0.0, 0.0, 1.0] if abs(axis[2]) < 0.9 else [1.0, 0.0, 0.0])
    first /= np.linalg.norm(first)
    second = np.cross(axis, first)
    angle = np.linspace(0.0, 2 * np.pi, sides, endpoint=False)
    ring = np.cos(angle)[:, None] * first + np.sin(angle)[:, None] * second
    low, high = start + start_radius_m * ring, end + end_radius_m * ring
    i, j = np.arange(sides), (np.arange(sides) + 1) % sides
    side = np.concatenate([np.stack([i, j, j + sides], -1), np.stack([i, j + sides, i + sides], -1)])
    parts = [Mesh(np.concatenate([low, high]), side, np.full(len(side), material))]
    if caps:
        parts += [fan_mesh(low[::-1], material), fan_mesh(high, material)]
    return merge(parts)


def blob_mesh(
    centre_m: Sequence[float],
    radii_m: Sequence[float],
    material: Material,
    rings: int = 7,
    sides: int = 10,
    rough: float = 0.0,
    seed: int = 0,
) -> Mesh:
    """An ellipsoid; `rough` shifts its points in and out by that share, reproducibly."""
    polar = np.linspace(0.0, np.pi, rings)
    angle = np.linspace(0.0, 2 * np.pi, sides, endpoint=False)
    unit = np.stack(
        [
            np.outer(np.sin(polar), np.cos(angle)),
            np.outer(np.sin(polar), np.sin(angle)),
            np.outer(np.cos(polar), np.ones(sides)),
        ],
        -1,
    )
    bump = 1.0 + rough * np.random.default_rng(seed).uniform(-1.0, 1.0, (rings, sides, 1))
    bump[[0, -1]] = 1.0
    points = unit * bump * np.asarray(radii_m) + np.asarray(centre_m)
    return _closed_grid(points, material)


def _closed_grid(points_m: Float[np.ndarray, "r s 3"], material: Material) -> Mesh:
    """A grid whose columns close into rings (rows from top to bottom); shared vertices make it smooth."""
    rings, sides = points_m.shape[:2]
    row, i = np.meshgrid(np.arange(rings - 1), np.arange(sides), indexing="ij")
    j = (i + 1) % sides
    low, high = row * sides, (row + 1) * sides
    triangles = np.concatenate(
        [
            np.stack([low + i, high + i, high + j], -1).reshape(-1, 3),
            np.stack([low + i, high + j, low + j], -1).reshape(-1, 3),
        ]
    )
    return Mesh(points_m.reshape(-1, 3), triangles, np.full(len(triangles), material))


@dataclass(frozen=True)
class Loft:
    """A body skinned over cross sections along x, which patches (windows, lamps, seams) can be cut from.

    Attributes:
        x_m: position of each section, rising.
        rings_yz_m: (y, z) points of each section, from the bottom on the right (y < 0) over the top to the bottom on the left.
    """

    x_m: Float[np.ndarray, "s"]
    rings_yz_m: Float[np.ndarray, "s k 2"]

    def points(self, x_m: Float[np.ndarray, "a"], along: Float[np.ndarray, "b"]) -> Float[np.ndarray, "a b 3"]:
        """Points of the skin at positions x and ring parameters 0 (bottom right) to 1 (bottom left)."""
        rings = np.stack(
            [
                [np.interp(x_m, self.x_m, self.rings_yz_m[:, k, c]) for c in range(2)]
                for k in range(self.rings_yz_m.shape[1])
            ]
        )
        nodes = np.linspace(0.0, 1.0, rings.shape[0])
        yz = np.stack([[np.interp(along, nodes, rings[:, c, a]) for c in range(2)] for a in range(len(x_m))])
        return np.concatenate(
            [np.broadcast_to(x_m[:, None, None], (len(x_m), len(along), 1)), yz.transpose(0, 2, 1)], axis=-1
        )

    def patch(
        self,
        x_range_m: tuple[float, float],
        along: tuple[float, float],
        material: Material,
        lift_m: float = 0.006,
        top_x_range_m: tuple[float, float] | None = None,
    ) -> Mesh:
        """A piece of the skin, lifted off it; `top_x_range_m` slants its front and back edges."""
        start, end = min(along), max(along)
        ring = np.linspace(0.0, 1.0, self.rings_yz_m.shape[1])
        columns = np.unique(np.concatenate([[start, end], ring[(ring > start) & (ring < end)]]))
        inner = self.x_m[(self.x_m > x_range_m[0]) & (self.x_m < x_range_m[1])]
        share = np.unique(
            np.concatenate([[0.0, 1.0], (inner - x_range_m[0]) / (x_range_m[1] - x_range_m[0]), [0.25, 0.5, 0.75]])
        )
        top = top_x_range_m or x_range_m
        grid = np.zeros((len(share), len(columns), 3))
        for c, column in enumerate(columns):
            rise = abs(column - along[0]) / max(abs(along[1] - along[0]), 1e-9)
            low = x_range_m[0] + rise * (top[0] - x_range_m[0])
            high = x_range_m[1] + rise * (top[1] - x_range_m[1])
            grid[:, c] = self.points(low + share * (high - low), np.array([column]))[:, 0]
        return grid_mesh(grid + lift_m * _grid_normals(grid), material)

    def skin(self, material: Material) -> Mesh:
        """The whole body with flat ends."""
        count = self.rings_yz_m.shape[1]
        points = np.concatenate(
            [np.broadcast_to(self.x_m[:, None, None], (len(self.x_m), count, 1)), self.rings_yz_m], axis=-1
        )
        bottom = points[:, [-1, 0]]
        ends = [fan_mesh(points[0], material), fan_mesh(points[-1, ::-1], material)]
        return merge([grid_mesh(points, material), grid_mesh(bottom, Material.PLASTIC), *ends])


def _grid_normals(grid: Float[np.ndarray, "r c 3"]) -> Float[np.ndarray, "r c 3"]:
    """Unit normals of a sheet, from its two directions."""
    normal = np.cross(np.gradient(grid, axis=0), np.gradient(grid, axis=1))
    return np.asarray(normal / np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-12))
