"""The object categories that every reader maps its own names onto, and what each is in plain English."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Category:
    """One kind of agent or object.

    Attributes:
        name: stable identifier, stored in tables.
        noun: what a question calls it.
        vehicle: it has an engine and drives on the road.
        vulnerable: a person without a shell around them (pedestrian, cyclist, motorcyclist).
        movable: it can move by itself; cones and barriers cannot.
    """

    name: str
    noun: str
    vehicle: bool = False
    vulnerable: bool = False
    movable: bool = True


CATEGORIES: dict[str, Category] = {
    category.name: category
    for category in (
        Category("car", "car", vehicle=True),
        Category("truck", "truck", vehicle=True),
        Category("bus", "bus", vehicle=True),
        Category("trailer", "trailer", vehicle=True),
        Category("construction_vehicle", "construction vehicle", vehicle=True),
        Category("emergency_vehicle", "emergency vehicle", vehicle=True),
        Category("motorcycle", "motorcycle", vehicle=True, vulnerable=True),
        Category("bicycle", "bicycle", vulnerable=True),
        Category("pedestrian", "pedestrian", vulnerable=True),
        Category("animal", "animal"),
        Category("traffic_cone", "traffic cone", movable=False),
        Category("barrier", "barrier", movable=False),
        Category("other", "object", movable=False),
    )
}
"""All categories by name."""
