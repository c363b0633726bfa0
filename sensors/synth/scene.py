"""What a synthetic scene is: a town that stands still, and trajectories through it.

The traffic model makes a `Scene`; the renderer and the nuScenes writer read it. Nothing here moves or draws.
Everything is in the `global` frame: x east, y north, z up, metres, radians; the ground is z = 0.
Times are seconds from the start of the scene.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float


@dataclass(frozen=True)
class Lane:
    """One driving lane as its centre line, in driving direction."""

    lane_id: int
    centre_xy_m: Float[np.ndarray, "n 2"]
    width_m: float
    speed_limit_mps: float
    successors: tuple[int, ...]
    left: int | None
    """Lane to the left with the same driving direction, if any."""
    right: int | None
    in_junction: bool


@dataclass(frozen=True)
class Marking:
    """A painted line on the ground."""

    line_xy_m: Float[np.ndarray, "n 2"]
    width_m: float
    dashed: bool
    yellow: bool


@dataclass(frozen=True)
class Surface:
    """A flat polygon on or just above the ground: `road`, `junction`, `crosswalk`, `sidewalk`, `grass` or `plaza`.

    The outline is simple and counter-clockwise, not always convex. A `crosswalk` is ONE white bar of a zebra crossing.
    """

    kind: str
    outline_xy_m: Float[np.ndarray, "n 2"]
    height_m: float


@dataclass(frozen=True)
class Building:
    """A prism with windows."""

    outline_xy_m: Float[np.ndarray, "n 2"]
    height_m: float
    color_rgb: tuple[float, float, float]


@dataclass(frozen=True)
class Prop:
    """A thing that never moves and carries no annotation: `tree`, `lamp`, `traffic_light`, `hedge`, `bench` or `sign`."""

    kind: str
    xy_m: tuple[float, float]
    yaw_rad: float
    height_m: float


@dataclass(frozen=True)
class Town:
    """The static world."""

    name: str
    lanes: tuple[Lane, ...]
    markings: tuple[Marking, ...]
    surfaces: tuple[Surface, ...]
    buildings: tuple[Building, ...]
    props: tuple[Prop, ...]


@dataclass(frozen=True)
class Trajectory:
    """Sampled motion of a rigid body at `Scene.times_s`.

    `xyz_m` is the centre of the box for actors and the vehicle origin (rear axle, on the ground) for the ego.
    """

    xyz_m: Float[np.ndarray, "t 3"]
    yaw_rad: Float[np.ndarray, "t"]
    """Unwrapped, so that it can be interpolated."""
    speed_mps: Float[np.ndarray, "t"]
    tilt_rad: Float[np.ndarray, "t 3"] | None = None
    """Rotation vector in the body's own axes, applied before the turn by the yaw; None: always upright."""
    present: Bool[np.ndarray, "t"] | None = None
    """At which instants it is there; None: always. Elsewhere the samples only serve to interpolate."""
    size_lwh_m: Float[np.ndarray, "t 3"] | None = None
    """Where the size is known anew at each instant; None: that of the actor."""
    attributes: tuple[str | None, ...] | None = None
    """`Actor.attribute` at each instant; None: that of the actor."""


@dataclass(frozen=True)
class Actor:
    """An annotated road user or object."""

    actor_id: int
    category: str
    """A nuScenes category name, e.g. `vehicle.car`, `human.pedestrian.adult`."""
    model: str
    """Mesh: `sedan`, `hatchback`, `suv`, `van`, `truck`, `bus`, `motorcycle`, `bicycle`, `pedestrian`, `cone`, `barrier`."""
    size_lwh_m: tuple[float, float, float]
    color_rgb: tuple[float, float, float]
    trajectory: Trajectory
    parked: bool
    attribute: str | None = None
    """Of nuScenes where it is known, several with commas between; None: told from its motion."""
    token: str | None = None
    """Of its row of `instance`; None: made from `actor_id`."""


@dataclass(frozen=True)
class Weather:
    """Light and air of a scene: `sun`, `dusk`, `night` or `fog`."""

    name: str
    sun_azimuth_rad: float
    sun_elevation_rad: float
    visibility_m: float


@dataclass(frozen=True)
class Scene:
    """One drive: a town, its weather, the ego's motion and everyone else's."""

    name: str
    description: str
    town: Town
    weather: Weather
    times_s: Float[np.ndarray, "t"]
    """Instants from 0 to the end of the scene, 20 Hz where it is simulated; all trajectories share them."""
    ego: Trajectory
    actors: tuple[Actor, ...]
