"""Procedural surfaces: tiled noise, paving, and house fronts with windows, all box-filtered by the size of a pixel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float32, Int

_TILE = 512
_GROUND_FLOOR_M, _FLOOR_M = 4.0, 3.2
Points = Float32[np.ndarray, "n"]


@lru_cache(maxsize=1)
def _tile() -> Float32[np.ndarray, "262144"]:
    """Periodic noise of five octaves, about -1 to 1, smooth enough for nearest look-up."""
    rng = np.random.default_rng(20260101)
    frequency = np.fft.fftfreq(_TILE)[:, None] ** 2 + np.fft.fftfreq(_TILE)[None] ** 2
    spectrum = 1.0 / (frequency + (2.0 / _TILE) ** 2) ** 0.62
    total = np.fft.ifft2(np.fft.fft2(rng.normal(size=(_TILE, _TILE))) * spectrum).real
    total = (total - total.mean()) / (2.2 * total.std())
    return np.asarray(np.clip(total, -1.0, 1.0).astype(np.float32).flatten())


@lru_cache(maxsize=1)
def _grain() -> Float32[np.ndarray, "262144"]:
    """White grain, -1 to 1."""
    return np.random.default_rng(20260102).uniform(-1.0, 1.0, _TILE * _TILE).astype(np.float32)


def noise(x_m: Points, y_m: Points, texel_m: float) -> Points:
    """Smooth noise, -1 to 1, that repeats every 512 texels."""
    return np.take(_tile(), _texel(x_m, y_m, texel_m))


def grain(x_m: Points, y_m: Points, texel_m: float) -> Points:
    """Rough noise, -1 to 1, that repeats every 512 texels."""
    return np.take(_grain(), _texel(x_m, y_m, texel_m))


def _texel(x_m: Points, y_m: Points, texel_m: float) -> Int[np.ndarray, "n"]:
    """Index into a tile; the shift keeps coordinates positive, where rounding down and cutting off are the same."""
    per_m, shift = np.float32(1.0 / texel_m), np.float32(1 << 20)
    column = (x_m * per_m + shift).astype(np.int32) & (_TILE - 1)
    row = (y_m * per_m + shift).astype(np.int32) & (_TILE - 1)
    return row * _TILE + column


def fade(footprint_m: Points, detail_m: float) -> Points:
    """How much of a detail of this size a pixel still shows: 1 near, 0 where the pixel covers two of them."""
    return np.clip(np.float32(1.5) - footprint_m * np.float32(0.75 / detail_m), 0.0, 1.0)


def asphalt(x_m: Points, y_m: Points, footprint_m: Points) -> Points:
    """Brightness factor of a worn road: grain, stains, seams where it was mended."""
    patch = noise(x_m, y_m, 0.11)
    factor = 1.0 + 0.20 * patch + 0.22 * grain(x_m, y_m, 0.014) * fade(footprint_m, 0.014)
    near = np.flatnonzero((patch > 0.15) & (footprint_m < 0.06))
    crack = np.clip(1.0 - np.abs(noise(y_m[near], x_m[near], 0.035)) * 28.0, 0.0, 1.0)
    factor[near] *= 1.0 - 0.35 * crack * fade(footprint_m[near], 0.03)
    return np.asarray(factor)


def paving(x_m: Points, y_m: Points, footprint_m: Points, slab_m: float) -> Points:
    """Brightness factor of slabs with dark joints."""
    cell_x, cell_y = x_m * np.float32(1.0 / slab_m), y_m * np.float32(1.0 / slab_m)
    edge = np.minimum(np.abs(cell_x - np.round(cell_x)), np.abs(cell_y - np.round(cell_y))) * np.float32(slab_m)
    joint = np.clip((0.012 - edge) / np.maximum(footprint_m, 0.004) + 0.5, 0.0, 1.0) * fade(footprint_m, 0.25)
    slab = grain(x_m, y_m, slab_m) * fade(footprint_m, slab_m)
    rough = 0.10 * noise(x_m, y_m, 0.05) + 0.08 * grain(x_m, y_m, 0.02) * fade(footprint_m, 0.02)
    return np.asarray((1.0 + rough + 0.07 * slab) * (1.0 - 0.45 * joint))


def grass(x_m: Points, y_m: Points, footprint_m: Points) -> Points:
    """Brightness factor of a lawn."""
    return np.asarray(1.0 + 0.30 * noise(x_m, y_m, 0.06) + 0.35 * grain(x_m, y_m, 0.03) * fade(footprint_m, 0.03))


def wear(x_m: Points, y_m: Points, footprint_m: Points) -> Points:
    """Share of paint that is left on a marking."""
    scratch = np.clip(1.4 + 2.2 * noise(x_m, y_m, 0.02) + 0.5 * grain(x_m, y_m, 0.012), 0.35, 1.0)
    return np.asarray(0.9 + (scratch - 0.9) * fade(footprint_m, 0.05))


@dataclass(frozen=True)
class Front:
    """A house front at hit places: shares of the pixel that are window frame and glass, and what is behind the glass.

    Attributes:
        frame, glass: in [0, 1].
        curtain: brightness behind the glass by day.
        lit: the room is lit in the evening.
        band: share of a ledge between floors.
    """

    frame: Points
    glass: Points
    curtain: Points
    lit: Bool[np.ndarray, "n"]
    band: Points


def house_front(xyz_m: Float32[np.ndarray, "3 n"], wall: Float32[np.ndarray, "5 n"], footprint_m: Points) -> Front:
    """Windows in rows; wide panes and doors on the ground floor.

    Args:
        xyz_m: hit places, global frame.
        wall: columns of `World.wall`.
        footprint_m: size of a pixel on the wall.
    """
    x0, y0, length, height, foot = wall
    z = xyz_m[2] - foot
    along = np.sqrt((xyz_m[0] - x0) ** 2 + (xyz_m[1] - y0) ** 2)
    street = z < _GROUND_FLOOR_M
    style = _hash(height * np.float32(7.0) + length * np.float32(13.0))
    count = np.maximum(np.floor((length - np.float32(0.5)) / np.where(street, np.float32(3.6), 2.3 + 1.3 * style)), 1.0)
    bay = length / count
    place = np.minimum(np.floor(along / bay), count - 1.0)
    floor = np.where(street, np.float32(-1.0), np.floor((z - np.float32(_GROUND_FLOOR_M)) * np.float32(1.0 / _FLOOR_M)))
    middle_m = along - (place + np.float32(0.5)) * bay
    low = np.where(street, np.float32(0.0), _GROUND_FLOOR_M + floor * np.float32(_FLOOR_M))
    key = _hash(place * np.float32(12.7) + floor * np.float32(31.3) + x0 + np.float32(1.7) * y0)
    door = street & (key < 0.25)
    bottom = np.where(street, np.where(door, np.float32(0.15), np.float32(0.75)), 0.85 - 0.25 * style)
    rise = np.float32(0.5) * (np.where(street, np.float32(3.1), np.float32(2.55)) - bottom)
    half = np.where(
        street, np.where(door, np.float32(0.65), np.float32(0.40) * bay), np.float32(0.26) * bay + np.float32(0.06)
    )
    across, off = np.abs(middle_m), np.abs(z - low - bottom - rise)
    per_m = np.float32(1.0) / np.maximum(footprint_m, np.float32(0.01))
    wide = length > 2.2
    has_windows = (z < height - np.float32(0.3)) & wide
    frame = _cover(half + np.float32(0.09) - across, per_m) * _cover(rise + np.float32(0.09) - off, per_m) * has_windows
    post = _cover(np.float32(0.03) - across, per_m) * fade(footprint_m, 0.12)
    glass = np.minimum(_cover(half - across, per_m) * _cover(rise - off, per_m) * (1.0 - post) * has_windows, frame)
    ledge = _cover(np.float32(0.10) - np.abs(z - low - np.float32(0.02)), per_m) * (wide & ~street)
    curtain = np.where(key > 0.55, np.float32(0.02), 0.05 + 0.35 * (key * 5.0 % 1.0))
    return Front(frame - glass, glass, curtain, (key * 7.0 % 1.0) < 0.38, ledge)


def _cover(inside_m: Points, per_m: Points) -> Points:
    """Share of a pixel on the inner side of an edge."""
    return np.asarray(np.clip(inside_m * per_m + np.float32(0.5), 0.0, 1.0))


def _hash(value: Points) -> Points:
    """A number in [0, 1) that looks random and is the same for values that round to the same hundredth."""
    whole = np.round(value * np.float32(100.0)).astype(np.int32).astype(np.uint32)
    mixed = (whole ^ (whole >> np.uint32(7))) * np.uint32(2654435761)
    return np.asarray(((mixed >> np.uint32(12)) & np.uint32(0xFFFF)).astype(np.float32) * np.float32(1.0 / 65536.0))
