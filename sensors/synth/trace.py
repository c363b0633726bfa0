"""Cast a camera's rays at the town and at everyone in view: what each image point sees, and how much of each actor is hidden."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import open3d as o3d
from jaxtyping import Float, Float32, Int

from drive_vqa.boxes import EDGES
from drive_vqa.geometry import SE3
from sensors.synth.posed import Posed, cast_actor
from sensors.synth.rig import Camera
from sensors.synth.world import World

SKY, TOWN = -2, -1
_NEAR_M = 0.05


@dataclass(frozen=True)
class View:
    """One camera at the instant of its shutter.

    Attributes:
        posed: actors whose box may show in the image.
        rects_px: of each: u0, v0, u1, v1 around its box, clipped to the image.
    """

    camera: Camera
    global_SE3_cam: SE3
    posed: tuple[Posed, ...]
    rects_px: Float32[np.ndarray, "a 4"]


@dataclass
class Hits:
    """What image points see; filled in place while casting.

    Attributes:
        depth_m: along the optical axis; inf is sky.
        direction: global rays of depth 1; vectors are columns here and in the shading, which keeps numpy's inner loops long.
        owner: place in `View.posed`, or `TOWN`, or `SKY`.
        triangle, uv: of the mesh of the owner.
        normal: of town triangles, a row each.
        alone: per actor, how many points would see it if nothing stood before it.
    """

    depth_m: Float32[np.ndarray, "n"]
    direction: Float32[np.ndarray, "3 n"]
    owner: Int[np.ndarray, "n"]
    triangle: Int[np.ndarray, "n"]
    uv: Float32[np.ndarray, "n 2"]
    normal: Float32[np.ndarray, "n 3"]
    alone: Int[np.ndarray, "a"]


def make_view(camera: Camera, global_SE3_ego: SE3, posed: list[Posed]) -> View:
    """Keep those who may show in the image, nearest first."""
    global_SE3_cam = global_SE3_ego @ camera.ego_SE3_cam
    cam_SE3_global = global_SE3_cam.inverse()
    rects = [(one, project_rect(camera, cam_SE3_global, one.corners_m)) for one in posed]
    seen = [(one, rect) for one, rect in rects if rect is not None]
    seen.sort(
        key=lambda pair: float(np.linalg.norm(pair[0].global_SE3_actor.translation_m - global_SE3_cam.translation_m))
    )
    table = np.array([rect for _, rect in seen], dtype=np.float32).reshape(-1, 4)
    return View(camera, global_SE3_cam, tuple(one for one, _ in seen), table)


def project_rect(
    camera: Camera, cam_SE3_global: SE3, corners_m: Float[np.ndarray, "8 3"]
) -> tuple[float, float, float, float] | None:
    """The image rectangle around a box, clipped to the image; None where the box is out of view.

    Edges that cross the image plane are cut just before it, so that a box beside the camera still has a rectangle.
    """
    cam_xyz = cam_SE3_global @ corners_m
    ahead = cam_xyz[:, 2] >= _NEAR_M
    if not ahead.any():
        return None
    points = [cam_xyz[ahead]]
    for a, b in EDGES if not ahead.all() else ():
        low, high = cam_xyz[a], cam_xyz[b]
        if ahead[a] != ahead[b]:
            points.append((low + (high - low) * (_NEAR_M - low[2]) / (high[2] - low[2]))[None])
    front = np.concatenate(points)
    uv = camera.project(front)
    (u0, v0), (u1, v1) = np.clip([uv.min(axis=0), uv.max(axis=0)], 0, [camera.width_px, camera.height_px])
    return (float(u0), float(v0), float(u1), float(v1)) if u1 - u0 > 0 and v1 - v0 > 0 else None


def trace(world: World, view: View, uv_px: Float32[np.ndarray, "n 2"]) -> Hits:
    """Cast rays through image points, or all pixels of the image: first at the town, then at each actor within its rectangle."""
    direction = view.global_SE3_cam.rotation.astype(np.float32) @ view.camera.directions(uv_px)
    hits = _no_hits(direction, len(view.posed))
    if len(uv_px) == view.camera.width_px * view.camera.height_px:
        _cast_town_image(world, view, hits)
    else:
        _cast_town(world, view, hits, np.arange(len(uv_px)))
    hits.owner = np.where(np.isfinite(hits.depth_m), np.int16(TOWN), np.int16(SKY))
    for place, (posed, rect) in enumerate(zip(view.posed, view.rects_px, strict=True)):
        index = _inside(view.camera, uv_px, rect)
        if len(index):
            hits.alone[place] = _cast_one(hits, posed, place, index, view.global_SE3_cam.translation_m)
    return hits


def _no_hits(direction: Float32[np.ndarray, "3 n"], actors: int) -> Hits:
    count = direction.shape[1]
    return Hits(
        depth_m=np.empty(count, dtype=np.float32),
        direction=direction,
        owner=np.empty(count, dtype=np.int16),
        triangle=np.empty(count, dtype=np.int32),
        uv=np.empty((count, 2), dtype=np.float32),
        normal=np.empty((count, 3), dtype=np.float32),
        alone=np.zeros(actors, dtype=np.int64),
    )


def _cast_town_image(world: World, view: View, hits: Hits) -> None:
    """Cast at every second pixel like the black squares of a chess board, then where their neighbours disagree."""
    shape = (view.camera.height_px, view.camera.width_px)
    direction = hits.direction.reshape(3, *shape)
    for first in (0, 1):
        black = (slice(first, None, 2), slice(first, None, 2))
        rays = direction[:, black[0], black[1]]
        found = _cast_rays(world, view, rays.reshape(3, -1))
        for whole, part in zip(_images(hits, shape), found, strict=True):
            whole[black] = part.reshape(*rays.shape[1:], *whole.shape[2:])
    for first in (0, 1):
        _fill_white(hits, shape, first)
    seen = hits.triangle.reshape(shape)
    white = ((np.arange(shape[0])[:, None] + np.arange(shape[1])[None]) & 1).astype(bool)
    same = (
        (seen[:-2, 1:-1] == seen[2:, 1:-1]) & (seen[1:-1, :-2] == seen[1:-1, 2:]) & (seen[:-2, 1:-1] == seen[1:-1, 2:])
    )
    white[1:-1, 1:-1] &= ~same
    _cast_town(world, view, hits, np.flatnonzero(white))


def _images(hits: Hits, shape: tuple[int, int]) -> tuple[np.ndarray, ...]:
    """What `_cast_rays` finds, as views of whole images."""
    return (
        hits.depth_m.reshape(shape),
        hits.triangle.reshape(shape),
        hits.uv.reshape(*shape, 2),
        hits.normal.reshape(*shape, 3),
    )


def _fill_white(hits: Hits, shape: tuple[int, int], first: int) -> None:
    """Give the white pixels of every second row what lies between their neighbours, as if on one triangle or in the sky.

    1 / depth is linear on a plane, so the depth is exact there.
    """
    rows, width = slice(first, None, 2), shape[1]
    here, left, right = (slice(first + 1 + step, width - 1 + step, 2) for step in (0, -1, 1))
    depth, triangle, uv, normal = _images(hits, shape)
    nearness = 1.0 / depth[rows, left] + 1.0 / depth[rows, right]
    with np.errstate(divide="ignore"):
        depth[rows, here] = np.float32(2.0) / nearness
    triangle[rows, here] = triangle[rows, left]
    uv[rows, here] = np.float32(0.5) * (uv[rows, left] + uv[rows, right])
    normal[rows, here] = normal[rows, left]


def _cast_town(world: World, view: View, hits: Hits, index: Int[np.ndarray, "k"]) -> None:
    """Write what the rays of some points meet in the town."""
    found = _cast_rays(world, view, np.take(hits.direction, index, axis=1))
    hits.depth_m[index], hits.triangle[index], hits.uv[index], hits.normal[index] = found


def _cast_rays(world: World, view: View, direction: Float32[np.ndarray, "3 n"]) -> tuple[np.ndarray, ...]:
    """Depth, triangle, uv and normal where rays meet the town."""
    rays = np.empty((direction.shape[1], 6), dtype=np.float32)
    rays[:, :3] = view.global_SE3_cam.translation_m
    rays[:, 3:] = direction.T
    answer = world.scene.cast_rays(o3d.core.Tensor.from_numpy(rays), nthreads=1)
    triangle = answer["primitive_ids"].numpy().view(np.int32)
    return answer["t_hit"].numpy(), triangle, answer["primitive_uvs"].numpy(), answer["primitive_normals"].numpy()


def _inside(camera: Camera, uv_px: Float32[np.ndarray, "n 2"], rect: Float32[np.ndarray, "4"]) -> Int[np.ndarray, "k"]:
    """Which image points lie in a rectangle; a whole image needs no comparing."""
    u0, v0, u1, v1 = rect
    width, height = camera.width_px, camera.height_px
    if len(uv_px) == width * height:
        columns = np.arange(int(u0), min(int(np.ceil(u1)), width))
        rows = np.arange(int(v0), min(int(np.ceil(v1)), height))
        return (rows[:, None] * width + columns[None]).ravel()
    u, v = uv_px[:, 0], uv_px[:, 1]
    return np.flatnonzero((u >= u0) & (u <= u1) & (v >= v0) & (v <= v1))


def _cast_one(
    hits: Hits, posed: Posed, place: int, index: Int[np.ndarray, "k"], origin_m: Float[np.ndarray, "3"]
) -> int:
    """Write the points where this actor is nearest; return how many rays meet it at all."""
    found = cast_actor(posed, origin_m, np.take(hits.direction, index, axis=1).T)
    nearer = np.flatnonzero(found.t < hits.depth_m[index])
    into = index[nearer]
    hits.depth_m[into] = found.t[nearer]
    hits.owner[into] = place
    hits.triangle[into] = found.triangle[nearer]
    hits.uv[into] = found.uv[nearer]
    return int(np.isfinite(found.t).sum())
