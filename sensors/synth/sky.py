"""Light and air of each weather: sun, sky, haze, exposure, and the colour of the sky in a direction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from drive_vqa.errors import ConfigError
from sensors.synth.scene import Weather
from sensors.synth.textures import grain, noise

Rgb = Float32[np.ndarray, "3 1"]


@dataclass(frozen=True)
class Light:
    """Everything that does not depend on the camera. Colours are linear light, as columns.

    Attributes:
        sun_direction: unit, towards the sun.
        sun_rgb: light of the sun on a surface that faces it.
        zenith_rgb, horizon_rgb: ends of the sky's gradient.
        ambient_rgb: light from the whole sky on a surface that faces up.
        bounce_rgb: light from the ground on a surface that faces down.
        haze_rgb: what far things fade to.
        haze_per_m: share of light lost a metre.
        clouds: 0 clear, 1 half covered.
        exposure: factor before the tone curve.
        lamps_on: street lamps, head lights and windows shine.
        shadows: the sun is sharp enough to cast them.
    """

    sun_direction: Rgb
    sun_rgb: Rgb
    zenith_rgb: Rgb
    horizon_rgb: Rgb
    ambient_rgb: Rgb
    bounce_rgb: Rgb
    haze_rgb: Rgb
    haze_per_m: float
    clouds: float
    exposure: float
    lamps_on: bool
    shadows: bool


_PALETTES: dict[str, dict[str, tuple[float, float, float]]] = {
    "sun": {
        "sun": (2.5, 2.25, 1.85),
        "zenith": (0.16, 0.33, 0.78),
        "horizon": (0.72, 0.84, 0.98),
        "ambient": (0.70, 0.76, 0.86),
        "bounce": (0.32, 0.30, 0.27),
        "haze": (0.70, 0.79, 0.90),
    },
    "dusk": {
        "sun": (1.35, 0.66, 0.30),
        "zenith": (0.13, 0.17, 0.36),
        "horizon": (0.95, 0.50, 0.30),
        "ambient": (0.38, 0.34, 0.42),
        "bounce": (0.14, 0.11, 0.10),
        "haze": (0.60, 0.40, 0.34),
    },
    "night": {
        "sun": (0.016, 0.018, 0.026),
        "zenith": (0.004, 0.006, 0.014),
        "horizon": (0.030, 0.028, 0.032),
        "ambient": (0.042, 0.044, 0.058),
        "bounce": (0.010, 0.009, 0.009),
        "haze": (0.022, 0.022, 0.027),
    },
    "fog": {
        "sun": (0.22, 0.22, 0.22),
        "zenith": (0.66, 0.69, 0.72),
        "horizon": (0.70, 0.72, 0.74),
        "ambient": (0.80, 0.82, 0.85),
        "bounce": (0.34, 0.33, 0.32),
        "haze": (0.70, 0.72, 0.74),
    },
}
_EXPOSURE = {"sun": 0.90, "dusk": 1.25, "night": 2.6, "fog": 0.95}
_CLOUDS = {"sun": 0.75, "dusk": 0.8, "night": 0.0, "fog": 0.0}


def make_light(weather: Weather) -> Light:
    """The light of a weather.

    Raises:
        ConfigError: If the weather has no palette.
    """
    if weather.name not in _PALETTES:
        raise ConfigError(f"no light for weather {weather.name!r}: use one of {', '.join(_PALETTES)}")
    palette = {name: column(rgb) for name, rgb in _PALETTES[weather.name].items()}
    height = max(weather.sun_elevation_rad, np.radians(7.0))
    azimuth = weather.sun_azimuth_rad
    direction = column((np.cos(height) * np.cos(azimuth), np.cos(height) * np.sin(azimuth), np.sin(height)))
    return Light(
        sun_direction=direction,
        sun_rgb=palette["sun"],
        zenith_rgb=palette["zenith"],
        horizon_rgb=palette["horizon"],
        ambient_rgb=palette["ambient"],
        bounce_rgb=palette["bounce"],
        haze_rgb=palette["haze"],
        haze_per_m=3.0 / max(weather.visibility_m, 30.0),
        clouds=_CLOUDS[weather.name],
        exposure=_EXPOSURE[weather.name],
        lamps_on=weather.name in ("night", "dusk", "fog"),
        shadows=weather.name in ("sun", "dusk"),
    )


def gradient(light: Light, up: Float32[np.ndarray, "n"]) -> Float32[np.ndarray, "3 n"]:
    """Sky without clouds at sines of elevation; below the horizon it is the ground's."""
    share = np.sqrt(np.clip(up, 0.0, 1.0))
    below = np.clip(np.float32(-6.0) * up, 0.0, 1.0)
    rgb = light.horizon_rgb + share * (light.zenith_rgb - light.horizon_rgb)
    rgb += below * (light.bounce_rgb * np.float32(0.8) - rgb)
    return np.asarray(rgb)


def sky(light: Light, unit: Float32[np.ndarray, "3 n"]) -> Float32[np.ndarray, "3 n"]:
    """The sky as a camera sees it: gradient, clouds, and the glow around the sun."""
    rgb = gradient(light, unit[2])
    towards = np.clip(dot(unit, light.sun_direction), 0.0, 1.0)
    eighth = np.square(np.square(np.square(towards)))
    glow = 0.11 * eighth + 0.25 * np.square(np.square(np.square(eighth))) + 3.0 * (towards > 0.9994)
    rgb += glow * light.sun_rgb
    if light.clouds > 0:
        reach = np.float32(1.0) / (np.clip(unit[2], 0.03, 1.0) + np.float32(0.06))
        x, y = unit[0] * reach, unit[1] * reach
        cover = (
            0.55 * _soft_noise(x, y, 0.016) + 0.30 * _soft_noise(y, x, 0.0055) + 0.15 * _soft_noise(x, y, 0.002) - 0.02
        )
        density = np.clip(2.6 * light.clouds * cover, 0.0, 1.0) * np.clip((unit[2] - 0.02) * 6.0, 0.0, 0.85)
        cloud = 0.35 * light.ambient_rgb + 0.28 * light.sun_rgb + 0.25 * light.horizon_rgb
        rgb += density * (cloud - rgb)
    return rgb


def _soft_noise(x: Float32[np.ndarray, "n"], y: Float32[np.ndarray, "n"], texel: float) -> Float32[np.ndarray, "n"]:
    """Noise whose texels are hidden by scattering the look-ups over them."""
    jitter_x, jitter_y = grain(x, y, 0.00171), grain(y, x, 0.00133)
    return noise(x + np.float32(0.5 * texel) * jitter_x, y + np.float32(0.5 * texel) * jitter_y, texel)


def column(vector: tuple[float, float, float] | Float[np.ndarray, "3"]) -> Float32[np.ndarray, "3 1"]:
    """A vector or colour that broadcasts over points."""
    return np.asarray(vector, dtype=np.float32).reshape(3, 1)


def dot(a: Float32[np.ndarray, "3 n"], b: Float32[np.ndarray, "3 #n"]) -> Float32[np.ndarray, "n"]:
    """Scalar products of columns."""
    return np.asarray(a[0] * b[0] + a[1] * b[1] + a[2] * b[2])
