"""The drivable area of a replayed log as nuScenes' semantic mask, in the log's own global frame.

nuscenes-devkit puts the lower left pixel at x = y = 0, 0.1 m a pixel, so the mask of a place 2 km from there is a great black
image with a small white patch. It is written row by row. Where the place has negative coordinates or lies further than 4 km from
the origin, no such image can be, and the mask is one black pixel.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np
import shapely
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw
from shapely.geometry import Polygon
from shapely.geometry.base import BaseGeometry

from sensors.synth.map_mask import RESOLUTION_M

_FARTHEST_M = 4000.0


def mask_png(road: BaseGeometry, offset_m: Float[np.ndarray, "3"]) -> bytes:
    """An 8-bit grey PNG: 255 on the road, else 0.

    Args:
        road: in the frame of the scene.
        offset_m: position of that frame's origin in the global frame.
    """
    x0, y0, x1, y1 = shapely.bounds(road) + np.tile(offset_m[:2], 2)
    if not (min(x0, y0) >= 0.0 and max(x1, y1) <= _FARTHEST_M):  # an empty road has bounds of NaN
        return _png(1, 1, iter([b"\0\0"]))
    low = np.floor(np.array([x0, y0])).astype(int)
    high = np.ceil(np.array([x1, y1])).astype(int) + 1
    patch = _patch(road, offset_m[:2] - low, (high - low) * round(1 / RESOLUTION_M))
    width, height, below = (int(value * round(1 / RESOLUTION_M)) for value in (*high, low[1]))
    left = bytes(1 + width - patch.shape[1])  # the filter type, 0, and the land west of the patch
    rows = [left + row.tobytes() for row in patch]
    return _png(width, height, iter([*rows, *[bytes(1 + width)] * below]))


def _patch(road: BaseGeometry, shift_m: Float[np.ndarray, "2"], size_px: np.ndarray) -> UInt8[np.ndarray, "h w"]:
    """The mask around the road; the first row is the northernmost."""
    image = Image.new("L", (int(size_px[0]), int(size_px[1])), 0)
    draw = ImageDraw.Draw(image)
    for part in getattr(road, "geoms", [road]):
        if isinstance(part, Polygon):
            for ring, fill in ((part.exterior, 255), *((hole, 0) for hole in part.interiors)):
                pixels = (np.array(ring.coords)[:, :2] + shift_m) / RESOLUTION_M
                draw.polygon([(float(x), float(size_px[1] - y)) for x, y in pixels], fill=fill)
    return np.asarray(image)


def _png(width: int, height: int, rows: Iterator[bytes]) -> bytes:
    """Chunks of a PNG; see ISO/IEC 15948."""
    packer = zlib.compressobj(1)
    packed = b"".join([*(packer.compress(row) for row in rows), packer.flush()])
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", packed), (b"IEND", b""))
    body = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)
