"""A small street with known actors, for the tests of the synthetic sensors."""

from __future__ import annotations

import numpy as np

from sensors.synth.scene import Actor, Building, Marking, Prop, Scene, Surface, Town, Trajectory, Weather

TIMES_S = np.arange(0.0, 2.0 + 1e-9, 0.05)
SIZES = {
    "sedan": (4.7, 1.85, 1.45),
    "hatchback": (4.1, 1.76, 1.48),
    "suv": (4.7, 1.95, 1.72),
    "van": (5.4, 2.05, 2.3),
    "truck": (8.4, 2.5, 3.4),
    "bus": (12.0, 2.6, 3.1),
    "motorcycle": (2.2, 0.8, 1.6),
    "bicycle": (1.8, 0.65, 1.75),
    "pedestrian": (0.75, 0.6, 1.75),
    "cone": (0.4, 0.4, 0.75),
    "barrier": (0.5, 2.5, 1.0),
    "trailer": (12.0, 2.55, 3.7),
    "digger": (6.2, 2.6, 3.2),
    "parked_motorcycle": (2.2, 0.8, 1.2),
    "parked_bicycle": (1.8, 0.6, 1.1),
    "animal": (1.0, 0.3, 0.7),
    "crate": (1.0, 1.0, 1.0),
}


def rectangle(x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
    """Corners, counter-clockwise."""
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], dtype=float)


def street() -> Town:
    """A road along x with a house, a lamp and a tree on its left."""
    surfaces = (
        Surface("grass", rectangle(-100, -100, 200, 100), -0.05),
        Surface("road", rectangle(-80, -6, 180, 6), 0.0),
        Surface("sidewalk", rectangle(-80, 6, 180, 10), 0.15),
    )
    markings = (Marking(np.array([[-80.0, 0.0], [180.0, 0.0]]), 0.12, True, True),)
    building = Building(rectangle(20, 12, 50, 22), 12.0, (0.7, 0.5, 0.4))
    props = (Prop("lamp", (10.0, 7.0), -np.pi / 2, 7.0), Prop("tree", (30.0, 8.0), 0.0, 7.0))
    return Town("street", (), markings, surfaces, (building,), props)


def moving(x: float, y: float, z: float, yaw: float, speed: float) -> Trajectory:
    """A straight run at constant speed that is at (x, y) at 0 s."""
    xyz = np.column_stack(
        [x + np.cos(yaw) * speed * TIMES_S, y + np.sin(yaw) * speed * TIMES_S, np.full(len(TIMES_S), z)]
    )
    return Trajectory(xyz, np.full(len(TIMES_S), yaw), np.full(len(TIMES_S), speed))


def actor(
    number: int,
    category: str,
    model: str,
    xy: tuple[float, float],
    yaw: float = 0.0,
    speed: float = 0.0,
    parked: bool = False,
) -> Actor:
    """An actor of the usual size that stands on the road."""
    size = SIZES[model]
    return Actor(number, category, model, size, (0.7, 0.1, 0.1), moving(*xy, size[2] / 2, yaw, speed), parked)


def scene(actors: tuple[Actor, ...], weather: str = "sun", ego_speed: float = 8.0) -> Scene:
    """A drive along the street at y = -2."""
    sky = Weather(weather, 2.0, 0.8 if weather == "sun" else -0.2, 900.0)
    return Scene("scene-0000", "a test", street(), sky, TIMES_S, moving(0.0, -2.0, 0.0, 0.0, ego_speed), actors)


def usual_actors() -> tuple[Actor, ...]:
    """A car ahead, one that comes, one parked, a walker, a cone."""
    return (
        actor(1, "vehicle.car", "sedan", (18.0, -2.0), speed=8.0),
        actor(2, "vehicle.car", "suv", (35.0, 2.0), yaw=np.pi, speed=10.0),
        actor(3, "vehicle.car", "hatchback", (12.0, -5.0), parked=True),
        actor(4, "human.pedestrian.adult", "pedestrian", (14.0, 4.0), yaw=0.5, speed=1.3),
        actor(5, "movable_object.trafficcone", "cone", (9.0, 0.5)),
    )
