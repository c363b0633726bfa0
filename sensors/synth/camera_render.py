"""From one camera at one instant to an 8-bit image with its instance mask, depth and boxes.

One ray a pixel gives what is seen; pixels at edges get three more, so that outlines are smooth.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float32, Int, UInt8, UInt16
from scipy.ndimage import gaussian_filter

from drive_vqa.geometry import SE3
from sensors.synth.posed import Posed
from sensors.synth.rig import Camera
from sensors.synth.shading import shade, spread_half_grid, sun_reaches
from sensors.synth.sky import Light
from sensors.synth.surfaces import Surfaces, gather
from sensors.synth.trace import Hits, View, make_view, trace
from sensors.synth.world import World

_SUBPIXELS = np.array([[-0.25, -0.375], [0.375, -0.125], [-0.125, 0.375]], dtype=np.float32)
_TONE_STEPS = 4096
_TONE_MAX = 8.0


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
    world: World, camera: Camera, global_SE3_ego: SE3, posed: list[Posed], light: Light, seed: tuple[int, ...], watch: Stopwatch
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
    surfaces = gather(world, view, hits, light)
    shadow = _shadow_grid(world, view, surfaces, light, posed)
    watch.lap("shade")
    rgb = shade(world, view, hits, surfaces, light, _sunlit(shadow, uv[surfaces.row]), global_SE3_ego)
    _smooth_edges(rgb, world, view, hits, uv, light, shadow, global_SE3_ego)
    image = develop(rgb.reshape(camera.height_px, camera.width_px, 3), light, seed)
    watch.lap("shade")
    owner = hits.owner.reshape(camera.height_px, camera.width_px)
    label = np.array([0, 0, *(one.index + 1 for one in view.posed)], dtype=np.uint16)
    shot = Shot(image, label[owner + 2], hits.depth_m.reshape(owner.shape), _seen(view, owner, hits.alone))
    watch.lap("cast")
    return shot


def _shadow_grid(
    world: World, view: View, surfaces: Surfaces, light: Light, posed: list[Posed]
) -> Float32[np.ndarray, "h w"] | None:
    """Share of the sun at every second pixel of every second row, a little blurred; None where nothing casts shadows."""
    if not light.shadows:
        return None
    width, height = view.camera.width_px, view.camera.height_px
    row, column = surfaces.row // width, surfaces.row % width
    chosen = np.flatnonzero((row % 2 == 0) & (column % 2 == 0))
    reach = [one for one in posed if np.linalg.norm(one.global_SE3_actor.translation_m - view.global_SE3_cam.translation_m) < 60.0]
    lit = sun_reaches(world, view, surfaces.xyz_m[chosen], surfaces.normal[chosen], light, reach)
    grid = np.ones(((height + 1) // 2, (width + 1) // 2), dtype=np.float32)
    grid[row[chosen] // 2, column[chosen] // 2] = lit
    return grid


def _sunlit(shadow: Float32[np.ndarray, "h w"] | None, uv_px: Float32[np.ndarray, "n 2"]) -> Float32[np.ndarray, "n"]:
    return np.ones(len(uv_px), dtype=np.float32) if shadow is None else spread_half_grid(shadow, uv_px)


def _smooth_edges(
    rgb: Float32[np.ndarray, "n 3"], world: World, view: View, hits: Hits, uv_px: Float32[np.ndarray, "n 2"], light: Light,
    shadow: Float32[np.ndarray, "h w"] | None, global_SE3_ego: SE3,
) -> None:
    """Average pixels at edges with three more samples each."""
    edge = np.flatnonzero(_edges(rgb, hits, view.camera, light).ravel())
    if not len(edge):
        return
    more_uv = (uv_px[edge][:, None] + _SUBPIXELS[None]).reshape(-1, 2)
    more = trace(world, view, more_uv)
    surfaces = gather(world, view, more, light)
    colours = shade(world, view, more, surfaces, light, _sunlit(shadow, more_uv[surfaces.row]), global_SE3_ego)
    limit = np.float32(2.0 / light.exposure)
    samples = np.minimum(colours.reshape(-1, len(_SUBPIXELS), 3), limit).sum(axis=1)
    rgb[edge] = (np.minimum(rgb[edge], limit) + samples) / np.float32(1 + len(_SUBPIXELS))


def _edges(rgb: Float32[np.ndarray, "n 3"], hits: Hits, camera: Camera, light: Light) -> Bool[np.ndarray, "h w"]:
    """Pixels whose right or lower neighbour belongs to something else, is much deeper, or is much brighter."""
    shape = (camera.height_px, camera.width_px)
    owner, inverse = hits.owner.reshape(shape), 1.0 / np.maximum(hits.depth_m.reshape(shape), np.float32(0.1))
    tone = np.sqrt(np.clip(rgb[:, 1].reshape(shape) * np.float32(light.exposure), 0.0, 1.0))
    edge = np.zeros(shape, dtype=bool)
    for near, far in (((slice(None), slice(1, None)), (slice(None), slice(None, -1))), ((slice(1, None),), (slice(None, -1),))):
        differs = owner[near] != owner[far]
        differs |= np.abs(inverse[near] - inverse[far]) > np.float32(0.04) * np.maximum(inverse[near], inverse[far]) + np.float32(0.001)
        differs |= np.abs(tone[near] - tone[far]) > np.float32(0.13)
        edge[near] |= differs
        edge[far] |= differs
    return edge


def develop(rgb: Float32[np.ndarray, "h w 3"], light: Light, seed: tuple[int, ...]) -> UInt8[np.ndarray, "h w 3"]:
    """Glow around lamps, exposure, a filmic curve, and a little sensor noise in the dark.

    Curve: K. Narkowicz, "ACES Filmic Tone Mapping Curve", 2015.
    """
    if light.lamps_on:
        rgb = rgb + _bloom(rgb, light)
    if light.exposure > 2:
        shape = rgb.shape[:2]
        dark = np.random.default_rng(seed).standard_normal((shape[0] * shape[1] + 1), dtype=np.float32)[:-1]
        rgb = rgb + np.float32(0.0035) * dark.reshape(*shape, 1)
    step = np.clip(rgb * np.float32(light.exposure * (_TONE_STEPS - 1) / _TONE_MAX * 1.0), 0, _TONE_STEPS - 1)
    return _tone_table()[np.sqrt(step * np.float32(_TONE_STEPS - 1)).astype(np.int32)]


def _tone_table() -> UInt8[np.ndarray, "4096"]:
    """Tone curve and display gamma over the square root of light."""
    light = (np.arange(_TONE_STEPS) / (_TONE_STEPS - 1)) ** 2 * _TONE_MAX * 0.72
    curve = light * (2.51 * light + 0.03) / (light * (2.43 * light + 0.59) + 0.14)
    return (255.0 * np.clip(curve, 0.0, 1.0) ** (1 / 2.2) + 0.5).astype(np.uint8)


def _bloom(rgb: Float32[np.ndarray, "h w 3"], light: Light) -> Float32[np.ndarray, "h w 3"]:
    """Light that bright lamps scatter over their surroundings, blurred at a quarter of the size."""
    height, width = rgb.shape[0] // 4 * 4, rgb.shape[1] // 4 * 4
    over = np.clip(rgb[:height, :width] - np.float32(1.1 / light.exposure), 0.0, 3.0)
    small = over.reshape(height // 4, 4, width // 4, 4, 3).mean(axis=(1, 3))
    wide = sum(gaussian_filter(small, (sigma, sigma, 0)) * np.float32(weight) for sigma, weight in ((0.8, 0.5), (2.5, 0.5), (7.0, 0.5)))
    grown = np.repeat(np.repeat(wide, 4, axis=0), 4, axis=1)
    out = np.zeros_like(rgb)
    out[:height, :width] = gaussian_filter(grown, (1.5, 1.5, 0))
    return out


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
