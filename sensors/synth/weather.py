"""Light and air of a scene."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sensors.synth.scene import Weather

WEATHER_SHARES: Mapping[str, float] = {"sun": 0.55, "dusk": 0.17, "night": 0.14, "fog": 0.14}
_ELEVATION_DEG = {"sun": (22.0, 62.0), "dusk": (2.0, 8.0), "night": (-25.0, -12.0), "fog": (15.0, 40.0)}
_VISIBILITY_M = {"sun": (2000.0, 5000.0), "dusk": (900.0, 2000.0), "night": (500.0, 1000.0), "fog": (60.0, 140.0)}


def draw_weather(rng: np.random.Generator, shares: Mapping[str, float] = WEATHER_SHARES) -> Weather:
    """Sun more often than not; dusk, night and fog now and then; or as the shares of these say, which add up to 1."""
    name = list(shares)[int(rng.choice(len(shares), p=list(shares.values())))]
    return Weather(
        name=name,
        sun_azimuth_rad=float(rng.uniform(-np.pi, np.pi)),
        sun_elevation_rad=float(np.deg2rad(rng.uniform(*_ELEVATION_DEG[name]))),
        visibility_m=float(rng.uniform(*_VISIBILITY_M[name])),
    )
