"""Colours of object classes and map lines.

The class colours are those of Okabe and Ito, "Color Universal Design" (2008): people with any of the common colour vision
deficiencies can tell them apart, and all of them stand out from the dark ground that they are drawn on.
"""

from __future__ import annotations

RGB = tuple[int, int, int]

_SKY, _BLUE, _ORANGE, _GREEN = (86, 180, 233), (64, 140, 220), (230, 159, 0), (0, 190, 140)
_PURPLE, _YELLOW, _RED, _GREY = (204, 121, 167), (240, 228, 66), (230, 110, 40), (170, 170, 170)

CLASS_RGB: dict[str, RGB] = {
    "car": _SKY,
    "truck": _BLUE,
    "bus": _BLUE,
    "trailer": _BLUE,
    "construction_vehicle": _RED,
    "emergency_vehicle": _RED,
    "motorcycle": _PURPLE,
    "bicycle": _GREEN,
    "pedestrian": _ORANGE,
    "animal": _ORANGE,
    "traffic_cone": _YELLOW,
    "barrier": _YELLOW,
    "other": _GREY,
}

MAP_RGB: dict[str, RGB] = {
    "lane": (62, 66, 74),
    "lane_line": (120, 122, 118),
    "road_edge": (150, 110, 90),
    "crosswalk": (110, 110, 140),
    "sidewalk": (92, 78, 70),
    "drivable_area": (70, 74, 80),
    "intersection": (80, 76, 96),
}

GROUND_RGB: RGB = (22, 24, 28)
PANEL_RGB: RGB = (12, 13, 15)
POINT_RGB: RGB = (96, 98, 106)
RING_RGB: RGB = (58, 62, 70)
TEXT_RGB: RGB = (226, 228, 232)
FAINT_RGB: RGB = (150, 154, 162)
EGO_RGB: RGB = (255, 255, 255)


def class_rgb(category: str | None) -> RGB:
    """Colour of a class; grey for one that is not known."""
    return CLASS_RGB.get(category or "", _GREY)


def blend(colour: RGB, other: RGB, share: float) -> RGB:
    """`colour` with a share in [0, 1] of `other` mixed in."""
    red, green, blue = (round((1.0 - share) * a + share * b) for a, b in zip(colour, other, strict=True))
    return red, green, blue
