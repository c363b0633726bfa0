"""Meshes of road users in a unit box, each with its own ray scene, built once a process and posed by moving the rays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
import open3d as o3d
from jaxtyping import Float, Float32, Int

from drive_vqa.errors import ConfigError
from sensors.synth.car_meshes import CAR_SHAPES, car_mesh
from sensors.synth.heavy_meshes import bus_mesh, digger_mesh, trailer_mesh, truck_mesh
from sensors.synth.meshes import Mesh, corner_normals, without_slivers
from sensors.synth.people_meshes import (
    WALK_PHASES,
    animal_mesh,
    barrier_mesh,
    bicycle_mesh,
    cone_mesh,
    crate_mesh,
    motorcycle_mesh,
    pedestrian_mesh,
)
from sensors.synth.world import ray_scene

_SOLIDS: dict[str, Callable[[], Mesh]] = {
    "truck": truck_mesh,
    "bus": bus_mesh,
    "trailer": trailer_mesh,
    "digger": digger_mesh,
    "motorcycle": motorcycle_mesh,
    "parked_motorcycle": partial(motorcycle_mesh, ridden=False),
    "bicycle": bicycle_mesh,
    "parked_bicycle": partial(bicycle_mesh, ridden=False),
    "animal": animal_mesh,
    "cone": cone_mesh,
    "barrier": barrier_mesh,
    "crate": crate_mesh,
}
MODELS = (*CAR_SHAPES, "pedestrian", *_SOLIDS)
"""All names that `load_model` knows."""


@dataclass(frozen=True)
class Model:
    """A mesh that fills the cube from -0.5 to 0.5 (x forward, y left, z up).

    Attributes:
        scene: what rays are cast at, in the frame of the cube.
        material: `Material` of each triangle.
        corner_normals: unit normals of the mesh at its usual size.
        usual_size_m: the box that the cube came from; normals are turned with the ratio of sizes.
    """

    scene: o3d.t.geometry.RaycastingScene
    material: Int[np.ndarray, "t"]
    corner_normals: Float32[np.ndarray, "t 3 3"]
    usual_size_m: Float[np.ndarray, "3"]


@lru_cache(maxsize=64)
def load_model(name: str, phase: int = 0) -> Model:
    """The model of a name; pedestrians have a stride of `WALK_PHASES` poses, phase 0 stands.

    Raises:
        ConfigError: If no model has this name.
    """
    mesh = without_slivers(_mesh(name, phase))
    low, high = _extent(name)
    unit = Mesh((mesh.vertices_m - 0.5 * (low + high)) / (high - low), mesh.triangles, mesh.material)
    normals = corner_normals(mesh).astype(np.float32)
    return Model(ray_scene(unit), mesh.material.astype(np.int8), normals, high - low)


def _mesh(name: str, phase: int) -> Mesh:
    if name in CAR_SHAPES:
        return car_mesh(CAR_SHAPES[name])
    if name == "pedestrian":
        return pedestrian_mesh(phase)
    if name not in _SOLIDS:
        raise ConfigError(f"no mesh for actor model {name!r}: use one of {', '.join(MODELS)}")
    return _SOLIDS[name]()


@lru_cache(maxsize=64)
def _extent(name: str) -> tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3"]]:
    """Lowest and highest corner over all poses."""
    phases = range(WALK_PHASES + 1) if name == "pedestrian" else range(1)
    points = np.concatenate([_mesh(name, phase).vertices_m for phase in phases])
    return points.min(axis=0), points.max(axis=0)
