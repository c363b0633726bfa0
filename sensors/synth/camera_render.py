"""From one camera at one instant to an 8-bit image with its instance mask, depth and boxes.

One ray a pixel gives what is seen; pixels at visible edges get two more, so that outlines are smooth.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float32, Int, UInt8, UInt16
from scipy.ndimage import gaussian_filter, maximum_filter, minimum_filter, uniform_filter

from drive_vqa.geometry import SE3
from sensors.synth.adaptive import detailed, fill_between, half_grid, half_shape, surface_kind
from sensors.synth.posed import Posed
from sensors.synth.rig import Camera
from sensors.synth.shading import shade, spread_half_grid, sun_reaches
from sensors.synth.sky import Light, column, dot, sky
from sensors.synth.surfaces import gather
from sensors.synth.trace import SKY, TOWN, Hits, View, make_view, trace
from sensors.synth.world import World

_SUBPIXELS = np.array([[-0.36, -0.24], [0.30, 0.36]], dtype=np.float32)
_TONE_STEPS = 4096
_BAND = 48_000
_VISIBLE_STEP = 0.07
_NOISE_ROOM = 256
_TONE_MAX = 8.0
_SHADOWS_WITHIN_M = 60.0


@dataclass(frozen=True)
class Seen:
    """How one actor shows in one image.

    Attributes:
        actor_index: place in `Scene.actors`.
        bbox_px: x0, y0, x1, y1 around its visible pixels, edges outside; None where nothing of it is visible.
        visible_px, alone_px: pixels that show it, and that would show it if nothing stood before it.
    """

    actor_index: int
    bbox_px: tuple[int, int, int, int] | None
    visible_px: int
    alone_px: int


@dataclass(frozen=True)
class Shot:
    """One image and the truth about it.

    Attributes:
        instance: 0 background, else 1 + place in `Scene.actors`.
        depth_m: along the optical axis, inf for sky.
    """

    rgb: UInt8[np.ndarray, "h w 3"]
    instance: UInt16[np.ndarray, "h w"]
    depth_m: Float32[np.ndarray, "h w"]
    seen: tuple[Seen, ...]


@dataclass
class Stopwatch:
    """Seconds spent by name, for the benchmark."""

    seconds: dict[str, float] = field(default_factory=dict)
    _last: float = field(default_factory=time.perf_counter)

    def start(self) -> None:
        """Forget the time up to now."""
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """Book the time since the last lap."""
        now = time.perf_counter()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._last
        self._last = now


def render(
    world: World,
    camera: Camera,
    global_SE3_ego: SE3,
    posed: list[Posed],
    light: Light,
    seed: tuple[int, ...],
    watch: Stopwatch,
) -> Shot:
    """Take one picture.

    Args:
        posed: everyone near, at the instant of the shutter.
        seed: of the sensor's noise.
    """
    watch.start()
    view = make_view(camera, global_SE3_ego, posed)
    uv = camera.pixel_centres()
    hits = trace(world, view, uv)
    watch.lap("cast")
    frame = _Frame(
        world, view, light, global_SE3_ego, _shadow_grid(world, view, hits, light, posed), surface_kind(world, hits)
    )
    rgb = _picture(frame, hits, uv)
    _smooth_edges(rgb, frame, hits, uv)
    image = develop(rgb.reshape(3, camera.height_px, camera.width_px), light, seed)
    watch.lap("shade")
    owner = hits.owner.reshape(camera.height_px, camera.width_px)
    label = np.array([0, 0, *(one.index + 1 for one in view.posed)], dtype=np.uint16)
    shot = Shot(image, label[owner + 2], hits.depth_m.reshape(owner.shape), _seen(view, owner, hits.alone))
    watch.lap("cast")
    return shot


@dataclass(frozen=True)
class _Frame:
    """What the shading of one picture needs besides the hits."""

    world: World
    view: View
    light: Light
    global_SE3_ego: SE3
    shadow: Float32[np.ndarray, "h w"] | None
    kind: Int[np.ndarray, "n"]


def _picture(frame: _Frame, hits: Hits, uv_px: Float32[np.ndarray, "n 2"]) -> Float32[np.ndarray, "3 n"]:
    """Linear colours of a whole image: the half grid, then every pixel where there is detail."""
    shape = (frame.view.camera.height_px, frame.view.camera.width_px)
    half = _colours(frame, hits, uv_px, half_grid(shape)).reshape(3, *half_shape(shape))
    index = np.flatnonzero(detailed(hits.owner.reshape(shape), frame.kind.reshape(shape), _tone(half, frame.light)))
    rgb = fill_between(half, shape).reshape(3, -1)
    rgb[:, index] = _colours(frame, hits, uv_px, index)
    return rgb


def _colours(
    frame: _Frame, hits: Hits, uv_px: Float32[np.ndarray, "n 2"], chosen: Int[np.ndarray, "k"]
) -> Float32[np.ndarray, "3 k"]:
    """Linear colours of image points, a band at a time so that the arrays stay in the processor's cache."""
    out = np.empty((3, len(chosen)), dtype=np.float32)
    for start in range(0, len(chosen), _BAND):
        band = chosen[start : start + _BAND]
        surfaces = gather(frame.world, frame.view, hits, frame.light, band)
        sunlit = np.ones(len(surfaces.row), dtype=np.float32)
        if frame.shadow is not None:
            sunlit = spread_half_grid(frame.shadow, uv_px[surfaces.row])
        colours = out[:, start : start + _BAND]
        is_sky = hits.owner[band] == SKY
        solid, clear = np.flatnonzero(~is_sky), np.flatnonzero(is_sky)
        colours[:, solid] = shade(frame.world, frame.view, surfaces, frame.light, sunlit, frame.global_SE3_ego)
        if len(clear):
            colours[:, clear] = _open_sky(hits, frame.light, band[clear])
    return out


def _open_sky(hits: Hits, light: Light, row: Int[np.ndarray, "k"]) -> Float32[np.ndarray, "3 k"]:
    direction = np.take(hits.direction, row, axis=1)
    return sky(light, direction / np.sqrt(dot(direction, direction)))


def _tone(rgb: Float32[np.ndarray, "3 *s"], light: Light) -> Float32[np.ndarray, "*s"]:
    """About how bright a display shows it, in [0, 1]."""
    grey = np.float32(0.3) * rgb[0] + np.float32(0.5) * rgb[1] + np.float32(0.2) * rgb[2]
    return np.asarray(np.sqrt(np.clip(grey * np.float32(light.exposure), 0.0, 1.0)))


def _shadow_grid(
    world: World, view: View, hits: Hits, light: Light, posed: list[Posed]
) -> Float32[np.ndarray, "h w"] | None:
    """Share of the sun at every second pixel of every second row, a little blurred; None where nothing casts shadows."""
    if not light.shadows:
        return None
    width, height = view.camera.width_px, view.camera.height_px
    places = half_grid((height, width))
    chosen = np.flatnonzero(hits.owner[places] != SKY)
    index = places[chosen]
    distance = [np.linalg.norm(one.global_SE3_actor.translation_m - view.global_SE3_cam.translation_m) for one in posed]
    reach = [one for one, distance_m in zip(posed, distance, strict=True) if distance_m < _SHADOWS_WITHIN_M]
    xyz = np.take(hits.direction, index, axis=1) * hits.depth_m[index] + column(view.global_SE3_cam.translation_m)
    # Actors' own normals are not known yet: their points start a little towards the sun, and what faces away hides itself.
    normal = np.where(hits.owner[index] == TOWN, hits.normal[index].T, light.sun_direction)
    lit = np.ones(len(places), dtype=np.float32)
    lit[chosen] = sun_reaches(world, view, xyz, normal, light, reach)
    shape = half_shape((height, width))
    return _soften(lit.reshape(shape), 1.0 / hits.depth_m[places].reshape(shape))


def _soften(lit: Float32[np.ndarray, "h w"], nearness: Float32[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
    """Blur the edges of shadows, but not across the outlines of things."""
    high, low = maximum_filter(nearness, 3), minimum_filter(nearness, 3)
    return np.asarray(np.where(high - low < np.float32(0.15) * high, uniform_filter(lit, 3), lit))


def _smooth_edges(
    rgb: Float32[np.ndarray, "3 n"], frame: _Frame, hits: Hits, uv_px: Float32[np.ndarray, "n 2"]
) -> None:
    """Average pixels at edges with more samples each."""
    edge = np.flatnonzero(_edges(frame, rgb, hits).ravel())
    if not len(edge):
        return
    more_uv = (uv_px[edge][:, None] + _SUBPIXELS[None]).reshape(-1, 2)
    more = _colours(frame, trace(frame.world, frame.view, more_uv), more_uv, np.arange(len(more_uv)))
    limit = np.float32(2.0 / frame.light.exposure)
    samples = np.minimum(more, limit).reshape(3, -1, len(_SUBPIXELS)).sum(axis=2)
    rgb[:, edge] = (np.minimum(rgb[:, edge], limit) + samples) / np.float32(1 + len(_SUBPIXELS))


def _edges(frame: _Frame, rgb: Float32[np.ndarray, "3 n"], hits: Hits) -> Bool[np.ndarray, "h w"]:
    """Pixels whose right or lower neighbour is someone else, or another surface or much deeper and looks different."""
    shape = (frame.view.camera.height_px, frame.view.camera.width_px)
    kind, owner = frame.kind.reshape(shape), hits.owner.reshape(shape)
    inverse = 1.0 / np.maximum(hits.depth_m.reshape(shape), np.float32(0.1))
    tone = _tone(rgb, frame.light).reshape(shape)
    edge = np.zeros(shape, dtype=bool)
    for near, far in (
        ((slice(None), slice(1, None)), (slice(None), slice(None, -1))),
        ((slice(1, None),), (slice(None, -1),)),
    ):
        step = np.abs(inverse[near] - inverse[far])
        other = kind[near] != kind[far]
        other |= step > np.float32(0.04) * np.maximum(inverse[near], inverse[far]) + np.float32(0.001)
        other &= np.abs(tone[near] - tone[far]) > np.float32(_VISIBLE_STEP)
        other |= owner[near] != owner[far]
        edge[near] |= other
        edge[far] |= other
    return edge


def develop(rgb: Float32[np.ndarray, "3 h w"], light: Light, seed: tuple[int, ...]) -> UInt8[np.ndarray, "h w 3"]:
    """Glow around lamps, exposure, a filmic curve, and a little sensor noise in the dark.

    Curve: K. Narkowicz, "ACES Filmic Tone Mapping Curve", 2015.
    """
    if light.lamps_on:
        rgb = rgb + _bloom(rgb, light)
    if light.exposure > 2:
        rgb = rgb + _dark_noise(rgb.shape[1], rgb.shape[2], seed)
    share = np.clip(rgb * np.float32(light.exposure / _TONE_MAX), 0.0, 1.0)
    index = (np.sqrt(share) * np.float32(_TONE_STEPS - 1)).astype(np.int32)
    return np.ascontiguousarray(np.take(_tone_table(), index).transpose(1, 2, 0))


def _dark_noise(height: int, width: int, seed: tuple[int, ...]) -> Float32[np.ndarray, "h w"]:
    """A window at a place drawn from the seed, in a table that is drawn once."""
    table = _noise_table(height + _NOISE_ROOM, width + _NOISE_ROOM)
    row, first = np.random.default_rng(seed).integers(0, _NOISE_ROOM, 2)
    return table[row : row + height, first : first + width]


@lru_cache(maxsize=2)
def _noise_table(height: int, width: int) -> Float32[np.ndarray, "h w"]:
    drawn = np.random.default_rng(20260103).standard_normal((height, width), dtype=np.float32)
    return np.asarray(np.float32(0.0018) * drawn)


@lru_cache(maxsize=1)
def _tone_table() -> UInt8[np.ndarray, "4096"]:
    """Tone curve and display gamma over the square root of light."""
    light = (np.arange(_TONE_STEPS) / (_TONE_STEPS - 1)) ** 2 * _TONE_MAX * 0.72
    curve = light * (2.51 * light + 0.03) / (light * (2.43 * light + 0.59) + 0.14)
    return np.asarray((255.0 * np.clip(curve, 0.0, 1.0) ** (1 / 2.2) + 0.5).astype(np.uint8))


def _bloom(rgb: Float32[np.ndarray, "3 h w"], light: Light) -> Float32[np.ndarray, "3 h w"]:
    """Light that bright lamps scatter over their surroundings, blurred at a quarter of the size."""
    height, width = rgb.shape[1] // 4 * 4, rgb.shape[2] // 4 * 4
    over = np.clip(rgb[:, :height, :width] - np.float32(1.1 / light.exposure), 0.0, 3.0)
    rows = over[:, ::4] + over[:, 1::4] + over[:, 2::4] + over[:, 3::4]
    small = (rows[..., ::4] + rows[..., 1::4] + rows[..., 2::4] + rows[..., 3::4]) * np.float32(1.0 / 16.0)
    wide = sum(gaussian_filter(small, (0, sigma, sigma)) for sigma in (0.8, 2.5, 7.0)) * np.float32(0.5)
    return _stretch(_stretch(wide, rgb.shape[1], 1), rgb.shape[2], 2)


def _stretch(small: Float32[np.ndarray, "3 h w"], size: int, axis: int) -> Float32[np.ndarray, "3 p q"]:
    """Enlarge four times along an axis, linearly."""
    place = np.clip((np.arange(size, dtype=np.float32) - 1.5) * 0.25, 0, small.shape[axis] - 1)
    low = np.minimum(place.astype(np.int32), small.shape[axis] - 2)
    share = (place - low).astype(np.float32).reshape(-1, 1) if axis == 1 else (place - low).astype(np.float32)
    first, second = np.take(small, low, axis=axis), np.take(small, low + 1, axis=axis)
    return np.asarray(first + share * (second - first))


def _seen(view: View, owner: Int[np.ndarray, "h w"], alone: Int[np.ndarray, "a"]) -> tuple[Seen, ...]:
    """Boxes around the visible pixels of each actor."""
    out = []
    for place, (posed, rect) in enumerate(zip(view.posed, view.rects_px, strict=True)):
        u0, v0 = int(rect[0]), int(rect[1])
        mine = owner[v0 : int(np.ceil(rect[3])), u0 : int(np.ceil(rect[2]))] == place
        columns, rows = np.flatnonzero(mine.any(axis=0)), np.flatnonzero(mine.any(axis=1))
        bbox = None
        if len(columns):
            bbox = (u0 + int(columns[0]), v0 + int(rows[0]), u0 + int(columns[-1]) + 1, v0 + int(rows[-1]) + 1)
        out.append(Seen(posed.index, bbox, int(mine.sum()), int(alone[place])))
    return tuple(out)
