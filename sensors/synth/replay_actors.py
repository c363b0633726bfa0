"""Which mesh and which paint an annotated object gets, and its name in nuScenes' words."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from sensors.synth.fleet import CAR_SIZES_M, Body, Rgb, draw_colour, draw_pedestrian
from sensors.synth.tables import CATEGORY_NAMES

_NUSCENES_NAME = {
    "car": "vehicle.car",
    "truck": "vehicle.truck",
    "bus": "vehicle.bus.rigid",
    "trailer": "vehicle.trailer",
    "construction_vehicle": "vehicle.construction",
    "emergency_vehicle": "vehicle.emergency.ambulance",
    "motorcycle": "vehicle.motorcycle",
    "bicycle": "vehicle.bicycle",
    "pedestrian": "human.pedestrian.adult",
    "animal": "animal",
    "traffic_cone": "movable_object.trafficcone",
    "barrier": "movable_object.barrier",
    "other": "movable_object.debris",
}
_MODEL = {
    "bus": "bus",
    "trailer": "trailer",
    "construction_vehicle": "digger",
    "motorcycle": "motorcycle",
    "bicycle": "bicycle",
    "pedestrian": "pedestrian",
    "animal": "animal",
    "traffic_cone": "cone",
    "barrier": "barrier",
    "other": "crate",
}
_RIDER_FROM_M = 1.35
"""A two-wheeler that is lower than this has nobody on it."""
_TRUCK_FROM_M = 5.9
_YELLOW: Rgb = (0.85, 0.60, 0.10)


def nuscenes_category(category: str, source_category: str | None) -> str:
    """The source's own name where it is one of nuScenes', else the nuScenes name of our category."""
    if source_category in CATEGORY_NAMES:
        return str(source_category)
    return _NUSCENES_NAME.get(category, "movable_object.debris")


def choose_model(category: str, size_lwh_m: Float[np.ndarray, "3"], moves: bool) -> str:
    """The mesh whose own proportions are nearest to the box."""
    length, _, height = size_lwh_m
    if category in ("bicycle", "motorcycle") and height < _RIDER_FROM_M and not moves:
        return f"parked_{category}"
    if category in ("car", "emergency_vehicle", "truck") and length < (_TRUCK_FROM_M if category == "truck" else 7.0):
        return min(CAR_SIZES_M, key=lambda name: float(np.abs(np.log(size_lwh_m / CAR_SIZES_M[name])).sum()))
    return _MODEL.get(category, "truck")


def paint(category: str, nuscenes_name: str, model: str, rng: np.random.Generator) -> Rgb:
    """Colour of the paint, or of the clothes of a person."""
    if category == "pedestrian":
        return draw_pedestrian(rng, nuscenes_name.rsplit(".", 1)[-1])[1]
    if category == "construction_vehicle":
        return _YELLOW
    return draw_colour(Body(nuscenes_name, model, 1.0, 1.0, 1.0, 0.5), rng)
