"""A lidar sweep over boxes on a plane, ray by ray: exact truth for the tests of detection."""

from __future__ import annotations

import numpy as np

from sensors.camera import slab_crossings

SENSOR_M = np.array([0.9, 0.0, 1.85])


def sweep(
    boxes: list[tuple[float, ...]],
    slope: float = 0.0,
    beams: int = 48,
    azimuths: int = 1000,
    noise_m: float = 0.01,
    origin_m: np.ndarray = SENSOR_M,
) -> np.ndarray:
    """Points of one turn, ego frame.

    Args:
        boxes: rows of x, y, bottom above the ground, length, width, height, yaw.
        slope: rise of the ground along x.
    """
    elevation = np.radians(np.linspace(-25.0, 6.0, beams))[:, None]
    azimuth = np.linspace(-np.pi, np.pi, azimuths, endpoint=False)[None]
    flat = np.cos(elevation)
    rays = np.stack(
        [flat * np.cos(azimuth), flat * np.sin(azimuth), np.broadcast_to(np.sin(elevation), (beams, azimuths))], -1
    ).reshape(-1, 3)
    fall = rays[:, 2] - slope * rays[:, 0]
    with np.errstate(divide="ignore"):
        distance = np.where(fall < 0, (slope * origin_m[0] - origin_m[2]) / fall, np.inf)
    for x, y, bottom, length, width, height, yaw in boxes:
        turn = np.array([[np.cos(yaw), np.sin(yaw), 0], [-np.sin(yaw), np.cos(yaw), 0], [0, 0, 1.0]])
        start = turn @ (origin_m - np.array([x, y, slope * x + bottom + height / 2]))
        along = rays @ turn.T
        enter, leave = slab_crossings(start[None], along, 0.5 * np.array([[length, width, height]]))
        distance = np.where((enter < leave) & (enter > 0), np.minimum(distance, enter), distance)
    hit = distance < 80.0
    noise = np.random.default_rng(1).normal(0.0, noise_m, len(rays))
    return np.asarray(origin_m + rays[hit] * (distance + noise)[hit, None])
