"""Procedural surfaces: tiled noise, paving, and house fronts with windows, all box-filtered by the size of a pixel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float32, Int

_TILE = 512
_GROUND_FLOOR_M, _FLOOR_M = 4.0, 3.2


@lru_cache(maxsize=1)
def _tile() -> Float32[np.ndarray, "512 512"]:
    """Periodic noise of five octaves, about -1 to 1, smooth enough for nearest look-up."""
    rng = np.random.default_rng(20260101)
    total = np.zeros((_TILE, _TILE))
    frequency = np.fft.fftfreq(_TILE)[:, None] ** 2 + np.fft.fftfreq(_TILE)[None] ** 2
    spectrum = 1.0 / (frequency + (2.0 / _TILE) ** 2) ** 0.62
    total = np.fft.ifft2(np.fft.fft2(rng.normal(size=(_TILE, _TILE))) * spectrum).real
    total = (total - total.mean()) / (2.2 * total.std())
    return np.clip(total, -1.0, 1.0).astype(np.float32)


@lru_cache(maxsize=1)
def _grain() -> Float32[np.ndarray, "512 512"]:
    """White grain, -1 to 1."""
    return np.random.default_rng(20260102).uniform(-1.0, 1.0, (_TILE, _TILE)).astype(np.float32)


def noise(xy_m: Float32[np.ndarray, "n 2"], texel_m: float) -> Float32[np.ndarray, "n"]:
    """Smooth noise, -1 to 1, that repeats every 512 texels."""
    index = (xy_m * np.float32(1.0 / texel_m)).astype(np.int32) & (_TILE - 1)
    return _tile().ravel()[index[:, 0] * _TILE + index[:, 1]]


def grain(xy_m: Float32[np.ndarray, "n 2"], texel_m: float) -> Float32[np.ndarray, "n"]:
    """Rough noise, -1 to 1, that repeats every 512 texels."""
    index = np.floor(xy_m * np.float32(1.0 / texel_m)).astype(np.int32) & (_TILE - 1)
    return _grain().ravel()[index[:, 0] * _TILE + index[:, 1]]


def fade(footprint_m: Float32[np.ndarray, "n"], detail_m: float) -> Float32[np.ndarray, "n"]:
    """How much of a detail of this size a pixel still shows: 1 near, 0 where the pixel covers two of them."""
    return np.clip(1.5 - footprint_m * np.float32(0.75 / detail_m), 0.0, 1.0)


def asphalt(xy_m: Float32[np.ndarray, "n 2"], footprint_m: Float32[np.ndarray, "n"]) -> Float32[np.ndarray, "n"]:
    """Brightness factor of a worn road: grain, stains, seams where it was mended."""
    patch = noise(xy_m, 0.11)
    factor = 1.0 + 0.20 * patch + 0.22 * grain(xy_m, 0.014) * fade(footprint_m, 0.014)
    crack = np.clip(1.0 - np.abs(noise(xy_m[:, ::-1], 0.035)) * 28.0, 0.0, 1.0) * (patch > 0.15)
    return factor * (1.0 - 0.35 * crack * fade(footprint_m, 0.03))


def paving(xy_m: Float32[np.ndarray, "n 2"], footprint_m: Float32[np.ndarray, "n"], slab_m: float) -> Float32[np.ndarray, "n"]:
    """Brightness factor of slabs with dark joints."""
    cell = xy_m * np.float32(1.0 / slab_m)
    edge = np.abs(cell - np.round(cell)).min(axis=1) * np.float32(slab_m)
    joint = np.clip((0.012 - edge) / np.maximum(footprint_m, 0.004) + 0.5, 0.0, 1.0) * fade(footprint_m, 0.25)
    slab = grain(np.floor(cell) + np.float32(0.5), 1.0) * fade(footprint_m, slab_m)
    rough = 0.10 * noise(xy_m, 0.05) + 0.08 * grain(xy_m, 0.02) * fade(footprint_m, 0.02)
    return (1.0 + rough + 0.07 * slab) * (1.0 - 0.45 * joint)


def grass(xy_m: Float32[np.ndarray, "n 2"], footprint_m: Float32[np.ndarray, "n"]) -> Float32[np.ndarray, "n"]:
    """Brightness factor of a lawn."""
    return 1.0 + 0.30 * noise(xy_m, 0.06) + 0.35 * grain(xy_m, 0.03) * fade(footprint_m, 0.03)


def wear(xy_m: Float32[np.ndarray, "n 2"], footprint_m: Float32[np.ndarray, "n"]) -> Float32[np.ndarray, "n"]:
    """Share of paint that is left on a marking."""
    scratch = np.clip(1.4 + 2.2 * noise(xy_m, 0.02) + 0.5 * grain(xy_m, 0.012), 0.35, 1.0)
    return 0.9 + (scratch - 0.9) * fade(footprint_m, 0.05)


@dataclass(frozen=True)
class Front:
    """A house front at hit places: shares of the pixel that are window frame and glass, and what is behind the glass.

    Attributes:
        frame, glass: in [0, 1].
        curtain: brightness behind the glass by day.
        lit: the room is lit in the evening.
        band: share of a ledge between floors.
    """

    frame: Float32[np.ndarray, "n"]
    glass: Float32[np.ndarray, "n"]
    curtain: Float32[np.ndarray, "n"]
    lit: Bool[np.ndarray, "n"]
    band: Float32[np.ndarray, "n"]


def house_front(
    xyz_m: Float32[np.ndarray, "n 3"], wall: Float32[np.ndarray, "n 4"], footprint_m: Float32[np.ndarray, "n"]
) -> Front:
    """Windows in rows; wide panes and doors on the ground floor.

    Args:
        xyz_m: hit places, global frame.
        wall: rows of `World.wall`.
        footprint_m: size of a pixel on the wall.
    """
    along = np.hypot(xyz_m[:, 0] - wall[:, 0], xyz_m[:, 1] - wall[:, 1])
    z = xyz_m[:, 2]
    ground = z < _GROUND_FLOOR_M
    style = _hash(np.floor(wall[:, 3] * 7 + wall[:, 2] * 13).astype(np.int64), np.zeros(len(z), dtype=np.int64))
    bay = np.where(ground, 3.6, 2.3 + 1.3 * style)
    count = np.maximum(np.floor((wall[:, 2] - 0.5) / bay), 1.0)
    bay = wall[:, 2] / count
    column = np.minimum(np.floor(along / bay), count - 1)
    floor = np.where(ground, -1.0, np.floor((z - _GROUND_FLOOR_M) / _FLOOR_M))
    across = np.abs(along - (column + 0.5) * bay)
    low = np.where(ground, 0.0, _GROUND_FLOOR_M + floor * _FLOOR_M)
    key = _hash((column + 97 * floor).astype(np.int64), np.floor(wall[:, 0] * 3 + wall[:, 1] * 5).astype(np.int64))
    door = ground & (key < 0.25)
    bottom = np.where(ground, np.where(door, 0.15, 0.75), 0.85 - 0.25 * style)
    top = np.where(ground, 3.1, 2.55)
    half = np.where(ground, np.where(door, 0.65, 0.40 * bay), 0.26 * bay + 0.06)
    middle, rise = low + 0.5 * (bottom + top), 0.5 * (top - bottom)
    off = np.abs(z - middle)
    blur = np.maximum(footprint_m, 0.01).astype(np.float32)
    wide = wall[:, 2] > 2.2
    inside_top = (z < wall[:, 3] - 0.3) & wide
    outer = _cover(half + 0.09 - across, blur) * _cover(rise + 0.09 - off, blur) * inside_top
    mullion = 1.0 - _cover(0.03 - np.abs(along - (column + 0.5) * bay), blur) * fade(blur, 0.12)
    glass = _cover(half - across, blur) * _cover(rise - off, blur) * mullion * inside_top
    ledge = _cover(0.10 - np.abs(z - low - 0.02), blur) * (~ground) * wide
    curtain = np.where(key > 0.55, 0.02, 0.05 + 0.35 * (key * 5 % 1.0)).astype(np.float32)
    return Front((outer - glass).astype(np.float32), glass.astype(np.float32), curtain, (key * 7 % 1.0) < 0.38, ledge.astype(np.float32))


def _cover(inside_m: Float32[np.ndarray, "n"], blur_m: Float32[np.ndarray, "n"]) -> Float32[np.ndarray, "n"]:
    """Share of a pixel on the inner side of an edge."""
    return np.clip(inside_m / blur_m + 0.5, 0.0, 1.0)


def _hash(a: Int[np.ndarray, "n"], b: Int[np.ndarray, "n"]) -> Float32[np.ndarray, "n"]:
    """A reproducible number in [0, 1) of two whole numbers."""
    mixed = (a * 73856093) ^ (b * 19349663)
    mixed = (mixed ^ (mixed >> 13)) * 1274126177 & 0x7FFFFFFF
    return (mixed % 65536 / 65536.0).astype(np.float32)
