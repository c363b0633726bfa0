"""Speed and acceleration over ground that answered places imply at the least, whatever the ego did: kinematic plausibility.

Places p(t) are answered for t = 0, 1, 2, 3 s, each in the ego frame of its own time, so they tell relative motion only. With the
ego's motion from t to t+1 (way e, turn ψ) an agent moves over ground by e + R(ψ) p(t+1) - p(t). Neither e nor ψ is asked for, but
both are bounded by the ego's speed as it was answered:

    |e| ≤ s = max(v(t), v(t+1)) · 1 s
    |ψ| ≤ Ψ(s) = min(0.95 rad, s / 5 m, 4.89 m/s² · 1 s² / s)
    |e(t+1) - e(t)| ≤ 6.35 m        the change of its way from one second to the next

The yaw rate of 0.95 rad/s, 4.89 m/s² sideways and 4.05 m/s² along (6.35 together) are the limits of comfortable driving in the
metrics of nuPlan (arXiv 2106.11810); a car's least turning radius is about 5 m. So the least motion over ground is

    speed          √(d² + d'² - 2 d d' cos δ) - s,  δ = max(0, |θ' - θ| - Ψ)         d, θ: distance and bearing of p; ' at t+1
    acceleration   max(|p₂ - 2 p₁ + p₀| - 2 sin(Ψ₁₂/2) d₂ - 2 sin(Ψ₀₁/2) d₀, 2 d₁ - d₀ - d₂, |d₂ - d₀| - 2 d₁) - 6.35

each over steps of 1 s. A case above the limit of its class is one that no comfortable motion of the ego explains; below it,
answers may still be wrong. Nothing is implied where a place or a speed of the ego is missing (NaN).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from drive_vqa.categories import CATEGORIES
from drive_vqa.geometry import wrap_rad

MAX_YAW_RATE_RADPS = 0.95
MAX_LATERAL_MPS2, MAX_LONGITUDINAL_MPS2 = 4.89, 4.05
LEAST_TURNING_RADIUS_M = 5.0
EGO_ACCELERATION_MPS2 = float(np.hypot(MAX_LATERAL_MPS2, MAX_LONGITUDINAL_MPS2))


@dataclass(frozen=True)
class Limit:
    """What no agent of a class does on a road.

    Attributes:
        speed_mps: over ground.
        acceleration_mps2: mean over a second, in any direction.
    """

    speed_mps: float
    acceleration_mps2: float


TYRES_MPS2 = 9.81
"""Tyres on a dry road hold about the weight of what they carry (friction coefficient 1)."""

LIGHT = Limit(50.0, TYRES_MPS2)
"""180 km/h."""

HEAVY = Limit(30.0, 8.0)
"""108 km/h: trucks and buses are limited to 90 and 100 km/h (Directive 92/6/EEC); brakes of heavy vehicles reach 7 to 8 m/s²."""

LIMITS: dict[str, Limit] = {
    **dict.fromkeys(("car", "emergency_vehicle", "motorcycle"), LIGHT),
    **dict.fromkeys(("truck", "bus", "trailer", "construction_vehicle"), HEAVY),
    "bicycle": Limit(15.0, 6.0),  # a sprint, or downhill; harder braking lifts the rear wheel at about 0.6 g
    "pedestrian": Limit(10.0, 6.0),  # the fastest 100 m ever run average 10.4 m/s
    "animal": Limit(20.0, TYRES_MPS2),
}
"""By category; others have the limit of a car: what is unknown may be one."""


def limits_of(categories: np.ndarray) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
    """Limits of speed (m/s) and acceleration (m/s²) of categories, None and unknown ones too."""
    known = sorted(CATEGORIES)
    place = {name: index for index, name in enumerate(known)}
    table = np.array([[limit.speed_mps, limit.acceleration_mps2] for limit in (*map(_limit, known), LIGHT)])
    codes = np.array([place.get(name, len(known)) for name in categories], dtype=np.int64)
    return table[codes, 0], table[codes, 1]


def implied_speed_mps(
    places_m: Float[np.ndarray, "n times 2"], ego_speed_mps: Float[np.ndarray, "n times"]
) -> Float[np.ndarray, "n steps"]:
    """Least speed over ground between successive places that are 1 s apart; 0 or more, NaN where not known."""
    distance_m, bearing_rad = _polar(places_m)
    way_m = _ego_way_m(ego_speed_mps)
    apart_rad = np.abs(wrap_rad(np.diff(bearing_rad, axis=1)))
    left_rad = np.maximum(apart_rad - turn_limit_rad(way_m), 0.0)
    before_m, after_m = distance_m[:, :-1], distance_m[:, 1:]
    chord_m2 = before_m**2 + after_m**2 - 2.0 * before_m * after_m * np.cos(left_rad)
    return np.asarray(np.maximum(np.sqrt(np.maximum(chord_m2, 0.0)) - way_m, 0.0))


def implied_acceleration_mps2(
    places_m: Float[np.ndarray, "n times 2"], ego_speed_mps: Float[np.ndarray, "n times"]
) -> Float[np.ndarray, "n turns"]:
    """Least acceleration over ground around each place between two others; 0 or more, NaN where not known."""
    distance_m, _ = _polar(places_m)
    first_m, middle_m, last_m = distance_m[:, :-2], distance_m[:, 1:-1], distance_m[:, 2:]
    change_m = np.hypot(*np.moveaxis(np.diff(places_m, n=2, axis=1), -1, 0))
    shift = 2.0 * np.sin(0.5 * turn_limit_rad(_ego_way_m(ego_speed_mps)))
    turned_m = change_m - shift[:, 1:] * last_m - shift[:, :-1] * first_m
    radial_m = np.maximum(2.0 * middle_m - first_m - last_m, np.abs(last_m - first_m) - 2.0 * middle_m)
    return np.asarray(np.maximum(np.maximum(turned_m, radial_m) - EGO_ACCELERATION_MPS2, 0.0))


def turn_limit_rad(way_m: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """How far the ego can turn in a second on a way of this length, which is its speed too."""
    by_grip = MAX_LATERAL_MPS2 / np.maximum(way_m, MAX_LATERAL_MPS2 / MAX_YAW_RATE_RADPS)
    return np.asarray(np.minimum(by_grip, way_m / LEAST_TURNING_RADIUS_M))


def _ego_way_m(ego_speed_mps: np.ndarray) -> np.ndarray:
    """The longest way of each second."""
    return np.asarray(np.maximum(ego_speed_mps[:, :-1], ego_speed_mps[:, 1:]))


def _polar(places_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x_m, y_m = np.moveaxis(places_m, -1, 0)
    return np.hypot(x_m, y_m), np.arctan2(y_m, x_m)


def _limit(category: str) -> Limit:
    return LIMITS.get(category, LIGHT)
