"""Where everyone is at one instant, and casting rays at those who move."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, replace

import numpy as np
import open3d as o3d
from jaxtyping import Float, Float32, Int
from scipy.spatial.transform import Rotation

from drive_vqa.boxes import CORNER_SIGNS
from drive_vqa.geometry import SE3
from sensors.synth.models import Model, load_model
from sensors.synth.people_meshes import WALK_PHASES
from sensors.synth.scene import Actor, Scene, Trajectory

_STRIDE_M = 1.45
_MOVING_MPS = 0.15
_BRAKING_MPS2 = -0.8


@dataclass(frozen=True)
class Posed:
    """One actor at one instant, in the global frame.

    Attributes:
        index: place in `Scene.actors`.
        global_SE3_actor: x forward, y left, origin at the centre of the box.
        mesh_size_m: extent of the mesh along its own x, y and z.
        mesh_turn: rotation from the mesh to the actor.
        speed_mps: along x.
        velocity_mps: over ground, global frame.
        braking: its brake lights are on.
    """

    index: int
    actor: Actor
    model: Model
    global_SE3_actor: SE3
    mesh_size_m: Float[np.ndarray, "3"]
    mesh_turn: Float[np.ndarray, "3 3"]
    speed_mps: float
    velocity_mps: Float[np.ndarray, "3"]
    braking: bool

    @property
    def corners_m(self) -> Float[np.ndarray, "8 3"]:
        """Corners of the box in the global frame."""
        return np.asarray(self.global_SE3_actor @ (0.5 * CORNER_SIGNS * np.array(self.actor.size_lwh_m)))

    @property
    def radius_m(self) -> float:
        """Of the sphere around the box."""
        return 0.5 * float(np.linalg.norm(self.actor.size_lwh_m))


@dataclass(frozen=True)
class ActorHits:
    """Where rays hit one actor: distance (in units of the ray's length, inf for a miss), triangle and place in it."""

    t: Float32[np.ndarray, "n"]
    triangle: Int[np.ndarray, "n"]
    uv: Float32[np.ndarray, "n 2"]


def sample(
    trajectory: Trajectory, times_s: Float[np.ndarray, "t"], at_s: float
) -> tuple[Float[np.ndarray, "3"], float, float]:
    """Position (m), yaw (rad) and speed (m/s) between the samples; beyond them straight on for a step at most."""
    early, share = _between(times_s, at_s)
    late = early + 1
    xyz = (1.0 - share) * trajectory.xyz_m[early] + share * trajectory.xyz_m[late]
    yaw = (1.0 - share) * trajectory.yaw_rad[early] + share * trajectory.yaw_rad[late]
    within = min(max(share, 0.0), 1.0)
    speed = (1.0 - within) * trajectory.speed_mps[early] + within * trajectory.speed_mps[late]
    return xyz, float(yaw), float(speed)


def _between(times_s: Float[np.ndarray, "t"], at_s: float) -> tuple[int, float]:
    """The sample before an instant (or the first, or the last but one), and the share of the step that has passed."""
    early = min(max(bisect_right(times_s, at_s), 1), len(times_s) - 1) - 1
    share = (at_s - float(times_s[early])) / float(times_s[early + 1] - times_s[early])
    return early, min(max(share, -1.0), 2.0)


def pose_at(trajectory: Trajectory, times_s: Float[np.ndarray, "t"], at_s: float) -> tuple[SE3, float]:
    """Pose in the global frame and speed (m/s) between the samples."""
    xyz, yaw, speed = sample(trajectory, times_s, at_s)
    pose = upright(yaw, xyz)
    if trajectory.tilt_rad is None:
        return pose, speed
    early, share = _between(times_s, at_s)
    tilt = (1.0 - share) * trajectory.tilt_rad[early] + share * trajectory.tilt_rad[early + 1]
    return SE3(pose.rotation @ Rotation.from_rotvec(tilt).as_matrix(), xyz), speed


def upright(yaw_rad: float, xyz_m: Float[np.ndarray, "3"]) -> SE3:
    """A pose that only turns about z; a thousand of them are made a keyframe, so without a general rotation in between."""
    cos, sin = math.cos(yaw_rad), math.sin(yaw_rad)
    return SE3(np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]]), xyz_m)


def ego_pose(scene: Scene, at_s: float) -> SE3:
    """`global_SE3_ego` at an instant."""
    return pose_at(scene.ego, scene.times_s, at_s)[0]


def velocity_mps(trajectory: Trajectory, times_s: Float[np.ndarray, "t"], at_s: float) -> Float[np.ndarray, "3"]:
    """Central difference over 0.1 s, clipped to the ends of the trajectory."""
    early, late = max(at_s - 0.05, float(times_s[0])), min(at_s + 0.05, float(times_s[-1]))
    return np.asarray((sample(trajectory, times_s, late)[0] - sample(trajectory, times_s, early)[0]) / (late - early))


def pose_actors(scene: Scene, at_s: float, near_xy_m: Float[np.ndarray, "2"], range_m: float) -> list[Posed]:
    """All actors within a range of a point at an instant.

    Who comes and goes is there at the instants nearest to samples where it is present, so that all sensors of a keyframe, which
    fire within half a step, meet the same actors.
    """
    early, share = _between(scene.times_s, at_s)
    nearest = early + int(share >= 0.5)
    posed = []
    for index, actor in enumerate(scene.actors):
        track = actor.trajectory
        if track.present is not None and not track.present[nearest]:
            continue
        global_SE3_actor, speed = pose_at(track, scene.times_s, at_s)
        x, y, _ = global_SE3_actor.translation_m
        if math.hypot(x - near_xy_m[0], y - near_xy_m[1]) <= range_m:
            posed.append(_pose(scene, index, _actor_at(actor, nearest), at_s, global_SE3_actor, speed))
    return posed


def _actor_at(actor: Actor, instant: int) -> Actor:
    """With the size and the attribute of one instant."""
    sizes, attributes = actor.trajectory.size_lwh_m, actor.trajectory.attributes
    if sizes is not None:
        length, width, height = sizes[instant].tolist()
        actor = replace(actor, size_lwh_m=(length, width, height))
    return actor if attributes is None else replace(actor, attribute=attributes[instant])


def _pose(scene: Scene, index: int, actor: Actor, at_s: float, global_SE3_actor: SE3, speed_mps: float) -> Posed:
    size = np.array(actor.size_lwh_m)
    sideways = actor.model == "barrier" and size[0] > size[1]
    turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]) if sideways else np.eye(3)
    earlier = sample(actor.trajectory, scene.times_s, at_s - 0.3)[2]
    return Posed(
        index=index,
        actor=actor,
        model=load_model(actor.model, _walk_phase(scene, actor, at_s, speed_mps)),
        global_SE3_actor=global_SE3_actor,
        mesh_size_m=size[[1, 0, 2]] if sideways else size,
        mesh_turn=turn,
        speed_mps=speed_mps,
        velocity_mps=velocity_mps(actor.trajectory, scene.times_s, at_s),
        braking=not actor.parked and ((speed_mps - earlier) / 0.3 < _BRAKING_MPS2 or speed_mps < _MOVING_MPS),
    )


def _walk_phase(scene: Scene, actor: Actor, at_s: float, speed_mps: float) -> int:
    """Which pose of the stride, from the way walked so far."""
    if actor.model != "pedestrian" or speed_mps < _MOVING_MPS:
        return 0
    step = np.linalg.norm(np.diff(actor.trajectory.xyz_m[:, :2], axis=0), axis=1)
    walked = float(np.interp(at_s, scene.times_s, np.concatenate([[0.0], np.cumsum(step)])))
    return 1 + int(walked / _STRIDE_M * WALK_PHASES + actor.actor_id) % WALK_PHASES


def global_to_mesh(posed: Posed) -> Float[np.ndarray, "3 3"]:
    """Linear part of the map from the global frame to the model's cube."""
    return np.asarray((posed.mesh_turn.T @ posed.global_SE3_actor.rotation.T) / posed.mesh_size_m[:, None])


def cast_actor(posed: Posed, origin_m: Float[np.ndarray, "*o 3"], directions: Float32[np.ndarray, "n 3"]) -> ActorHits:
    """Cast global rays at one actor; the ray's parameter is the same in both frames."""
    rays = _model_rays(posed, origin_m, directions)
    answer = posed.model.scene.cast_rays(o3d.core.Tensor.from_numpy(rays), nthreads=1)
    return ActorHits(
        answer["t_hit"].numpy(), answer["primitive_ids"].numpy().astype(np.int32), answer["primitive_uvs"].numpy()
    )


def actor_occludes(
    posed: Posed, origin_m: Float[np.ndarray, "n 3"], directions: Float32[np.ndarray, "n 3"]
) -> np.ndarray:
    """Which global rays meet the actor."""
    rays = _model_rays(posed, origin_m, directions)
    return np.asarray(posed.model.scene.test_occlusions(o3d.core.Tensor.from_numpy(rays), nthreads=1).numpy())


def _model_rays(
    posed: Posed, origin_m: Float[np.ndarray, "*o 3"], directions: Float32[np.ndarray, "n 3"]
) -> Float32[np.ndarray, "n 6"]:
    matrix = global_to_mesh(posed)
    rays = np.empty((len(directions), 6), dtype=np.float32)
    rays[:, :3] = (origin_m - posed.global_SE3_actor.translation_m) @ matrix.T
    rays[:, 3:] = directions @ matrix.T.astype(np.float32)
    return rays


def actor_normals(posed: Posed, hits: ActorHits) -> Float32[np.ndarray, "n 3"]:
    """Smooth unit normals at hit places, in the global frame."""
    corners = posed.model.corner_normals[hits.triangle]
    normals = smooth(corners, hits.uv)
    matrix = (
        posed.global_SE3_actor.rotation @ posed.mesh_turn @ np.diag(posed.model.usual_size_m / posed.mesh_size_m)
    ).astype(np.float32)
    normals = normals @ matrix.T
    return np.asarray(normals / np.linalg.norm(normals, axis=1, keepdims=True))


def smooth(corner_normals: Float32[np.ndarray, "n 3 3"], uv: Float32[np.ndarray, "n 2"]) -> Float32[np.ndarray, "n 3"]:
    """Interpolate the three corner normals by barycentric coordinates; unit length."""
    u, v = uv[:, :1], uv[:, 1:]
    normals = corner_normals[:, 0] * (1 - u - v) + corner_normals[:, 1] * u + corner_normals[:, 2] * v
    return np.asarray(normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), np.float32(1e-9)))
