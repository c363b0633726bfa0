"""Light and air of a scene."""

from __future__ import annotations

import numpy as np

from sensors.synth.scene import Weather

_SHARES = {"sun": 0.55, "dusk": 0.17, "night": 0.14, "fog": 0.14}
_ELEVATION_DEG = {"sun": (22.0, 62.0), "dusk": (2.0, 8.0), "night": (-25.0, -12.0), "fog": (15.0, 40.0)}
_VISIBILITY_M = {"sun": (2000.0, 5000.0), "dusk": (900.0, 2000.0), "night": (500.0, 1000.0), "fog": (60.0, 140.0)}


def draw_weather(rng: np.random.Generator) -> Weather:
    """Sun more often than not; dusk, night and fog now and then."""
    name = list(_SHARES)[int(rng.choice(len(_SHARES), p=list(_SHARES.values())))]
    return Weather(
        name=name,
        sun_azimuth_rad=float(rng.uniform(-np.pi, np.pi)),
        sun_elevation_rad=float(np.deg2rad(rng.uniform(*_ELEVATION_DEG[name]))),
        visibility_m=float(rng.uniform(*_VISIBILITY_M[name])),
    )
