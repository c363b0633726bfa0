"""Sizes, colours and kinds of the road users of the synthetic world."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_WHEELBASE_SHARE = 0.6
Rgb = tuple[float, float, float]


@dataclass(frozen=True)
class Body:
    """The box of a road user or object and, for vehicles, where its rear axle is."""

    category: str
    model: str
    length_m: float
    width_m: float
    height_m: float
    rear_m: float
    """From the rear end of the box forward to the rear axle."""

    @property
    def front_m(self) -> float:
        """From the rear axle forward to the front end of the box."""
        return self.length_m - self.rear_m

    @property
    def long(self) -> bool:
        """Whether it needs a whole junction to turn in."""
        return self.length_m > 7.0

    @property
    def wheelbase_m(self) -> float:
        """From the rear axle forward to the front axle."""
        return _WHEELBASE_SHARE * self.length_m

    @property
    def centre_m(self) -> float:
        """From the rear axle forward to the centre of the box."""
        return self.length_m / 2 - self.rear_m


EGO_BODY = Body("vehicle.car", "hatchback", 4.08, 1.73, 1.56, 0.73)
"""The ego vehicle, about the size of the nuScenes car; its origin is the rear axle on the ground."""

_VEHICLES = {
    "sedan": Body("vehicle.car", "sedan", 4.70, 1.85, 1.45, 0.95),
    "hatchback": Body("vehicle.car", "hatchback", 4.10, 1.76, 1.48, 0.77),
    "suv": Body("vehicle.car", "suv", 4.70, 1.95, 1.72, 0.93),
    "van": Body("vehicle.car", "van", 5.40, 2.05, 2.30, 1.00),
    "truck": Body("vehicle.truck", "truck", 8.40, 2.50, 3.40, 1.70),
    "bus": Body("vehicle.bus.rigid", "bus", 12.00, 2.55, 3.10, 2.60),
    "motorcycle": Body("vehicle.motorcycle", "motorcycle", 2.10, 0.80, 1.60, 0.40),
    "bicycle": Body("vehicle.bicycle", "bicycle", 1.75, 0.62, 1.75, 0.35),
}
CAR_SIZES_M = {
    name: np.array([body.length_m, body.width_m, body.height_m])
    for name, body in _VEHICLES.items()
    if body.category == "vehicle.car"
}
"""Usual length, width and height of each kind of car."""
_TRAFFIC_SHARES = {
    "sedan": 0.30,
    "hatchback": 0.21,
    "suv": 0.21,
    "van": 0.07,
    "truck": 0.06,
    "bus": 0.04,
    "motorcycle": 0.04,
    "bicycle": 0.07,
}
_PARKED_SHARES = {"sedan": 0.36, "hatchback": 0.30, "suv": 0.25, "van": 0.09}
_CONE = Body("movable_object.trafficcone", "cone", 0.40, 0.40, 0.75, 0.2)
_BARRIER = Body("movable_object.barrier", "barrier", 0.50, 2.50, 0.99, 0.25)

# Shares of car colours on European and American roads, roughly as the paint makers count them every year.
_CAR_COLOURS: tuple[tuple[float, Rgb], ...] = (
    (0.29, (0.92, 0.92, 0.91)),
    (0.21, (0.05, 0.05, 0.06)),
    (0.19, (0.38, 0.39, 0.41)),
    (0.11, (0.68, 0.70, 0.72)),
    (0.09, (0.10, 0.18, 0.42)),
    (0.06, (0.60, 0.07, 0.07)),
    (0.03, (0.42, 0.34, 0.25)),
    (0.02, (0.10, 0.32, 0.20)),
)
_BUS_COLOURS: tuple[Rgb, ...] = ((0.82, 0.16, 0.14), (0.92, 0.74, 0.15), (0.14, 0.35, 0.62), (0.90, 0.90, 0.88))
_CLOTHES: tuple[Rgb, ...] = (
    (0.12, 0.13, 0.17),
    (0.20, 0.28, 0.45),
    (0.55, 0.16, 0.16),
    (0.35, 0.38, 0.36),
    (0.80, 0.78, 0.72),
    (0.24, 0.40, 0.28),
    (0.72, 0.52, 0.20),
    (0.45, 0.28, 0.42),
)
_HIGH_VISIBILITY: Rgb = (0.95, 0.55, 0.10)


def draw_vehicle(rng: np.random.Generator, parked: bool) -> tuple[Body, Rgb]:
    """A vehicle as the streets have them, its size a few per cent off the standard one."""
    shares = _PARKED_SHARES if parked else _TRAFFIC_SHARES
    weights = np.array(list(shares.values()))
    body = _VEHICLES[list(shares)[int(rng.choice(len(weights), p=weights / weights.sum()))]]
    return vary(body, rng, 0.03), draw_colour(body, rng)


def vehicle_body(model: str, rng: np.random.Generator) -> Body:
    """A vehicle of one model, its size a few per cent off the standard one."""
    return vary(_VEHICLES[model], rng, 0.03)


def vary(body: Body, rng: np.random.Generator, share: float) -> Body:
    """The same kind of body, each measure changed by up to `share`."""
    long, wide, high = 1 + share * rng.uniform(-1, 1, 3)
    return Body(
        body.category,
        body.model,
        round(float(body.length_m * long), 3),
        round(float(body.width_m * wide), 3),
        round(float(body.height_m * high), 3),
        round(float(body.rear_m * long), 3),
    )


def draw_colour(body: Body, rng: np.random.Generator) -> Rgb:
    """Paint of a vehicle (for two-wheelers: the clothes of the rider)."""
    if body.model == "bus":
        return _BUS_COLOURS[int(rng.integers(len(_BUS_COLOURS)))]
    if body.model == "bicycle":
        return _CLOTHES[int(rng.integers(len(_CLOTHES)))]
    weights = np.array([share for share, _ in _CAR_COLOURS])
    colour = np.array(_CAR_COLOURS[int(rng.choice(len(weights), p=weights / weights.sum()))][1])
    red, green, blue = (float(c) for c in np.clip(colour + rng.normal(0, 0.015, 3), 0.02, 0.97))
    return red, green, blue


def draw_pedestrian(rng: np.random.Generator, kind: str = "adult") -> tuple[Body, Rgb]:
    """A person: `adult`, `child` or `construction_worker`."""
    height = rng.uniform(1.0, 1.4) if kind == "child" else rng.uniform(1.58, 1.92)
    scale = height / 1.75
    measures = (round(0.75 * scale, 3), round(float(rng.uniform(0.6, 0.72)) * scale, 3), round(float(height), 3))
    body = Body(f"human.pedestrian.{kind}", "pedestrian", *measures, rear_m=measures[0] / 2)
    colour = _HIGH_VISIBILITY if kind == "construction_worker" else _CLOTHES[int(rng.integers(len(_CLOTHES)))]
    return body, colour


def cone() -> tuple[Body, Rgb]:
    """A traffic cone."""
    return _CONE, (0.95, 0.35, 0.08)


def barrier() -> tuple[Body, Rgb]:
    """A barrier board; its width is the long side, as in nuScenes."""
    return _BARRIER, (0.88, 0.20, 0.15)
