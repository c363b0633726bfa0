"""The drivable area of a town as nuScenes' semantic mask: 255 where one may drive, 0.1 m a pixel, north up.

nuscenes-devkit puts the lower left pixel at x = y = 0, so data sets are shifted by `map_origin_m` to be positive everywhere.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw

from sensors.synth.scene import Town

RESOLUTION_M = 0.1
_DRIVABLE = ("road", "junction", "crosswalk")
_MARGIN_M = 60.0


def map_origin_m(town: Town) -> Float[np.ndarray, "3"]:
    """Where the data set's origin lies in the town's frame; whole metres, on the ground."""
    points = np.concatenate([surface.outline_xy_m for surface in town.surfaces if surface.kind in _DRIVABLE])
    return np.append(np.floor(points.min(axis=0) - _MARGIN_M), 0.0)


def drivable_mask(town: Town) -> Image.Image:
    """An 8-bit image of the drivable area."""
    origin = map_origin_m(town)[:2]
    shapes = [surface.outline_xy_m - origin for surface in town.surfaces if surface.kind in _DRIVABLE]
    width, height = np.ceil((np.concatenate(shapes).max(axis=0) + _MARGIN_M) / RESOLUTION_M).astype(int)
    mask = Image.new("L", (int(width), int(height)), 0)
    draw = ImageDraw.Draw(mask)
    for shape in shapes:
        pixels = np.column_stack([shape[:, 0] / RESOLUTION_M, height - shape[:, 1] / RESOLUTION_M])
        draw.polygon([(float(x), float(y)) for x, y in pixels], fill=255)
    return mask
