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
        normal: of town triangles.
        alone: per actor, how many points would see it if nothing stood before it.
    """

    depth_m: Float32[np.ndarray, "n"]
    direction: Float32[np.ndarray, "3 n"]
    owner: Int[np.ndarray, "n"]
    triangle: Int[np.ndarray, "n"]
    uv: Float32[np.ndarray, "n 2"]
    normal: Float32[np.ndarray, "3 n"]
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
    uv = front[:, :2] / front[:, 2:] * camera.focal_px + [camera.width_px / 2, camera.height_px / 2]
    (u0, v0), (u1, v1) = np.clip([uv.min(axis=0), uv.max(axis=0)], 0, [camera.width_px, camera.height_px])
    return (float(u0), float(v0), float(u1), float(v1)) if u1 - u0 > 0 and v1 - v0 > 0 else None


def trace(world: World, view: View, uv_px: Float32[np.ndarray, "n 2"]) -> Hits:
    """Cast rays through image points: first at the town, then at each actor within its rectangle."""
    direction = view.global_SE3_cam.rotation.astype(np.float32) @ view.camera.directions(uv_px)
    hits = _cast_town(world, view.global_SE3_cam.translation_m, direction)
    hits.alone = np.zeros(len(view.posed), dtype=np.int64)
    for place, (posed, rect) in enumerate(zip(view.posed, view.rects_px, strict=True)):
        index = _inside(view.camera, uv_px, rect)
        if len(index):
            hits.alone[place] = _cast_one(hits, posed, place, index, view.global_SE3_cam.translation_m)
    return hits


def _cast_town(world: World, origin_m: Float[np.ndarray, "3"], direction: Float32[np.ndarray, "3 n"]) -> Hits:
    rays = np.empty((direction.shape[1], 6), dtype=np.float32)
    rays[:, :3] = origin_m
    rays[:, 3:] = direction.T
    answer = world.scene.cast_rays(o3d.core.Tensor.from_numpy(rays), nthreads=1)
    depth = answer["t_hit"].numpy()
    triangle = answer["primitive_ids"].numpy().view(np.int32)
    owner = np.where(np.isfinite(depth), np.int16(TOWN), np.int16(SKY))
    normal = np.ascontiguousarray(answer["primitive_normals"].numpy().T)
    return Hits(depth, direction, owner, triangle, answer["primitive_uvs"].numpy(), normal, np.zeros(0, dtype=np.int64))


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
