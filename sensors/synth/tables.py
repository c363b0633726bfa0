"""nuScenes' tables that are the same in every data set, and the tokens that tie rows together."""

from __future__ import annotations

import hashlib
from typing import Any

from sensors.synth.rig import Rig

Row = dict[str, Any]
Tables = dict[str, list[Row]]

VERSION = "v1.0-mini"
"""A name that nuscenes-devkit knows; the content is synthetic, which `log.vehicle` and the scenes' descriptions say."""

TABLES = (
    "category",
    "attribute",
    "visibility",
    "instance",
    "sensor",
    "calibrated_sensor",
    "ego_pose",
    "log",
    "scene",
    "sample",
    "sample_data",
    "sample_annotation",
    "map",
)
BOX_TABLE = "synth_object_ann"
"""Extra table: the exact 2D box and visible share of each annotated actor in each image."""

_CATEGORIES = {
    "human.pedestrian.adult": "Adult.",
    "human.pedestrian.child": "Child.",
    "human.pedestrian.wheelchair": "Wheelchair and who sits in it.",
    "human.pedestrian.stroller": "Stroller.",
    "human.pedestrian.personal_mobility": "Small electric or push device with its rider.",
    "human.pedestrian.police_officer": "Police officer.",
    "human.pedestrian.construction_worker": "Construction worker.",
    "animal": "Animal.",
    "vehicle.car": "Passenger car or small van.",
    "vehicle.motorcycle": "Motorcycle with its rider.",
    "vehicle.bicycle": "Bicycle with its rider.",
    "vehicle.bus.bendy": "Bus with a joint.",
    "vehicle.bus.rigid": "Bus without a joint.",
    "vehicle.truck": "Truck.",
    "vehicle.construction": "Construction vehicle.",
    "vehicle.emergency.ambulance": "Ambulance.",
    "vehicle.emergency.police": "Police vehicle.",
    "vehicle.trailer": "Trailer.",
    "movable_object.barrier": "Temporary road barrier.",
    "movable_object.trafficcone": "Traffic cone.",
    "movable_object.pushable_pullable": "Object that a person pushes or pulls.",
    "movable_object.debris": "Object too large to drive over.",
    "static_object.bicycle_rack": "Bicycle rack.",
}
CATEGORY_NAMES = frozenset(_CATEGORIES)
"""All names of nuScenes."""
_ATTRIBUTES = {
    "vehicle.moving": "Vehicle is moving.",
    "vehicle.stopped": "Vehicle with a driver is standing still.",
    "vehicle.parked": "Vehicle is parked.",
    "cycle.with_rider": "There is a rider.",
    "cycle.without_rider": "There is no rider.",
    "pedestrian.sitting_lying_down": "Person is sitting or lying.",
    "pedestrian.standing": "Person is standing.",
    "pedestrian.moving": "Person is moving.",
}
ATTRIBUTE_NAMES = frozenset(_ATTRIBUTES)
_VISIBILITY = (
    ("1", "v0-40", "0 to 40 %"),
    ("2", "v40-60", "40 to 60 %"),
    ("3", "v60-80", "60 to 80 %"),
    ("4", "v80-100", "80 to 100 %"),
)


def token(*parts: str | int) -> str:
    """32 hexadecimal digits that depend on nothing but the parts."""
    return hashlib.md5("/".join(map(str, parts)).encode(), usedforsecurity=False).hexdigest()


def category_token(name: str) -> str:
    """Of a row of `category`."""
    return token("category", name)


def attribute_token(name: str) -> str:
    """Of a row of `attribute`."""
    return token("attribute", name)


def sensor_token(channel: str) -> str:
    """Of a row of `sensor`."""
    return token("sensor", channel)


def fixed_tables(rig: Rig) -> Tables:
    """`category`, `attribute`, `visibility` and `sensor`."""
    channels = [(camera.channel, "camera") for camera in rig.cameras] + [(rig.lidar.channel, "lidar")]
    channels += [(radar.channel, "radar") for radar in rig.radars]
    return {
        "category": [{"token": category_token(n), "name": n, "description": text} for n, text in _CATEGORIES.items()],
        "attribute": [{"token": attribute_token(n), "name": n, "description": text} for n, text in _ATTRIBUTES.items()],
        "visibility": [
            {"token": t, "level": level, "description": f"visible share {share}"} for t, level, share in _VISIBILITY
        ],
        "sensor": [{"token": sensor_token(c), "channel": c, "modality": modality} for c, modality in channels],
    }
