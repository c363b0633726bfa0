"""The five radars: echoes of the same geometry with range, bearing and Doppler, in nuScenes' PCD layout.

A radar measures how fast a target comes or goes along the ray, nothing across it. `vx, vy` is that radial speed relative to the
moving radar, along the ray, in the radar frame; `vx_comp, vy_comp` the same with the radar's own motion taken out.
"""

from __future__ import annotations

import numpy as np
import open3d as o3d
from jaxtyping import Float, Float32, Int

from drive_vqa.geometry import SE3, angle_rad
from sensors.synth.lidar import near_rays
from sensors.synth.materials import Material
from sensors.synth.posed import Posed, cast_actor
from sensors.synth.rig import Radar
from sensors.synth.world import World

POINT = np.dtype(
    [
        ("x", "<f4"),
        ("y", "<f4"),
        ("z", "<f4"),
        ("dyn_prop", "i1"),
        ("id", "<i2"),
        ("rcs", "<f4"),
        ("vx", "<f4"),
        ("vy", "<f4"),
        ("vx_comp", "<f4"),
        ("vy_comp", "<f4"),
        ("is_quality_valid", "i1"),
        ("ambig_state", "i1"),
        ("x_rms", "i1"),
        ("y_rms", "i1"),
        ("invalid_state", "i1"),
        ("pdh0", "i1"),
        ("vx_rms", "i1"),
        ("vy_rms", "i1"),
    ]
)
"""One echo, in the order and the types of nuScenes."""

_ELEVATION_DEG = (-1.0, 1.0, 3.5)
_BEAM_STEP_DEG = 1.0
_CELL_M = 0.7
_DEPTH_IN_BODY_M = 0.25
_SIGMA_RANGE_M, _SIGMA_BEARING_RAD, _SIGMA_SPEED_MPS = 0.10, np.radians(0.25), 0.06
_MOST_STILL = 70
_STILL_SPEED_MPS = 0.5
_STILL_RCS_DBSM = 4.0
_ECHOING = (Material.WALL, Material.METAL, Material.CURB, Material.BARK, Material.SEAM, Material.PLASTIC)
_RCS_DBSM: tuple[tuple[str, float], ...] = (
    ("vehicle.bus", 20.0),
    ("vehicle.truck", 18.0),
    ("vehicle.motorcycle", 4.0),
    ("vehicle.bicycle", 1.0),
    ("vehicle", 11.0),
    ("human", -4.0),
    ("movable_object.barrier", 6.0),
    ("movable_object", -7.0),
)
"""By the first prefix of the category that fits."""


def scan(
    world: World,
    radar: Radar,
    global_SE3_ego: SE3,
    ego_velocity_mps: Float[np.ndarray, "3"],
    ego_yaw_rate_radps: float,
    posed: list[Posed],
    rng: np.random.Generator,
) -> np.ndarray:
    """All echoes of one radar at one instant.

    Args:
        ego_velocity_mps: of the ego's origin, global frame.

    Returns:
        Structured array of `POINT`; the radar sees no height, so z is 0.
    """
    global_SE3_radar = global_SE3_ego @ radar.ego_SE3_radar
    lever = global_SE3_radar.translation_m - global_SE3_ego.translation_m
    own_mps = ego_velocity_mps + ego_yaw_rate_radps * np.array([-lever[1], lever[0], 0.0])
    beams = _fan(radar) @ global_SE3_radar.rotation.T.astype(np.float32)
    distance, owner = _cast(world, posed, global_SE3_radar.translation_m, beams)
    chosen = _one_a_cell(distance, owner, radar, rng)
    range_m = distance[chosen].astype(np.float64) + np.where(owner[chosen] >= 0, _DEPTH_IN_BODY_M, 0.0)
    local = beams[chosen] @ global_SE3_radar.rotation
    bearing = angle_rad(local[:, 1], local[:, 0]) + rng.normal(0.0, _SIGMA_BEARING_RAD, len(chosen))
    range_m = range_m + rng.normal(0.0, _SIGMA_RANGE_M, len(chosen))
    ray = np.column_stack([np.cos(bearing), np.sin(bearing)])
    target_mps = np.array([_velocity(posed, who) for who in owner[chosen].tolist()]).reshape(-1, 3)
    to_radar = global_SE3_radar.rotation[:, :2]
    own_radial = (ray * (own_mps @ to_radar)).sum(axis=1)
    radial = (ray * (target_mps @ to_radar)).sum(axis=1) - own_radial + rng.normal(0.0, _SIGMA_SPEED_MPS, len(chosen))
    rcs = np.array([_rcs(posed, who) for who in owner[chosen].tolist()]) + rng.normal(0.0, 2.5, len(chosen))
    return _pack(ray * range_m[:, None], ray, radial, radial + own_radial, rcs)


def _fan(radar: Radar) -> Float32[np.ndarray, "n 3"]:
    """Unit rays in the radar frame."""
    bearing = np.radians(np.arange(-radar.half_width_deg, radar.half_width_deg + 1e-9, _BEAM_STEP_DEG))[:, None]
    rise = np.radians(np.array(_ELEVATION_DEG))[None]
    fan = np.stack(
        [np.cos(bearing) * np.cos(rise), np.sin(bearing) * np.cos(rise), np.ones_like(bearing) * np.sin(rise)], axis=-1
    )
    return np.asarray(fan.reshape(-1, 3).astype(np.float32))


def _cast(
    world: World, posed: list[Posed], origin_m: Float[np.ndarray, "3"], beams: Float32[np.ndarray, "n 3"]
) -> tuple[Float32[np.ndarray, "n"], Int[np.ndarray, "n"]]:
    """Distance along each ray and who echoes: place in `posed`, -1 for the town, -2 for nothing."""
    rays = np.empty((len(beams), 6), dtype=np.float32)
    rays[:, :3], rays[:, 3:] = origin_m, beams
    answer = world.scene.cast_rays(o3d.core.Tensor.from_numpy(rays), nthreads=1)
    distance = answer["t_hit"].numpy()
    hit = np.isfinite(distance)
    triangle = np.where(hit, answer["primitive_ids"].numpy().view(np.int32), 0)
    owner = np.where(hit & np.isin(world.material[triangle], _ECHOING), -1, -2)
    for place, one in enumerate(posed):
        index = np.flatnonzero(near_rays(one, origin_m, beams))
        if len(index):
            found = cast_actor(one, origin_m, beams[index]).t
            nearer = found < distance[index]
            distance[index[nearer]] = found[nearer]
            owner[index[nearer]] = place
    return distance, owner


def _one_a_cell(
    distance: Float32[np.ndarray, "n"], owner: Int[np.ndarray, "n"], radar: Radar, rng: np.random.Generator
) -> Int[np.ndarray, "k"]:
    """The nearest ray in each cell of range and bearing of each target, and not more still echoes than a radar reports."""
    index = np.flatnonzero((owner >= -1) & (distance < radar.range_m))
    index = index[np.argsort(distance[index], kind="stable")]
    beam = index // len(_ELEVATION_DEG) // 2
    cell = np.column_stack([owner[index], beam, (distance[index] / _CELL_M).astype(np.int64)])
    _, first = np.unique(cell, axis=0, return_index=True)
    index = index[np.sort(first)]
    still = index[owner[index] == -1]
    if len(still) > _MOST_STILL:
        still = np.sort(rng.choice(still, _MOST_STILL, replace=False))
    return np.concatenate([index[owner[index] >= 0], still])


def _velocity(posed: list[Posed], who: int) -> Float[np.ndarray, "3"]:
    """Of a target, global frame."""
    if who < 0:
        return np.zeros(3)
    return posed[who].velocity_mps


def _rcs(posed: list[Posed], who: int) -> float:
    """Radar cross section by kind, dBsm."""
    if who < 0:
        return _STILL_RCS_DBSM
    category = posed[who].actor.category
    return next((value for prefix, value in _RCS_DBSM if category.startswith(prefix)), _STILL_RCS_DBSM)


def _pack(
    xy_m: Float[np.ndarray, "n 2"],
    ray: Float[np.ndarray, "n 2"],
    radial_mps: Float[np.ndarray, "n"],
    compensated_mps: Float[np.ndarray, "n"],
    rcs_dbsm: Float[np.ndarray, "n"],
) -> np.ndarray:
    """Fill nuScenes' fields; states say that every echo is valid and unambiguous."""
    out = np.zeros(len(xy_m), dtype=POINT)
    out["x"], out["y"] = xy_m[:, 0], xy_m[:, 1]
    out["vx"], out["vy"] = (ray * radial_mps[:, None]).T
    out["vx_comp"], out["vy_comp"] = (ray * compensated_mps[:, None]).T
    still, oncoming = np.abs(compensated_mps) < _STILL_SPEED_MPS, compensated_mps < 0
    out["dyn_prop"] = np.where(still, 1, np.where(oncoming, 2, 0))
    out["id"] = np.arange(len(xy_m))
    out["rcs"] = np.round(2.0 * rcs_dbsm) / 2.0
    out["is_quality_valid"], out["ambig_state"], out["pdh0"] = 1, 3, 1
    out["x_rms"] = out["y_rms"] = 19
    out["vx_rms"] = out["vy_rms"] = 3
    return out


def pcd_bytes(points: np.ndarray) -> bytes:
    """A binary PCD v0.7 file with nuScenes' header, as nuscenes-devkit reads it.

    The devkit takes a first point of NaN for "no echoes", and wants a byte after the last point.
    """
    if not len(points):
        points = np.zeros(1, dtype=POINT)
        points["x"] = np.nan
    kinds = [POINT.fields[name][0] for name in POINT.names] if POINT.fields and POINT.names else []
    lines = [
        "# .PCD v0.7 - Point Cloud Data file format",
        "VERSION 0.7",
        f"FIELDS {' '.join(POINT.names or ())}",
        f"SIZE {' '.join(str(kind.itemsize) for kind in kinds)}",
        f"TYPE {' '.join('F' if kind.kind == 'f' else 'I' for kind in kinds)}",
        f"COUNT {' '.join('1' for _ in kinds)}",
        f"WIDTH {len(points)}",
        "HEIGHT 1",
        "VIEWPOINT 0 0 0 1 0 0 0",
        f"POINTS {len(points)}",
        "DATA binary",
    ]
    return ("\n".join(lines) + "\n").encode("ascii") + points.tobytes() + b"\n"
