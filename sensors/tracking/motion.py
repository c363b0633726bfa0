"""How tracked objects move between two measurements: the extended Kalman filter's prediction, for all tracks at once.

State (columns of `STATE`): x, y, vx, vy, yaw, turn rate, in the tracking frame. The velocity turns at the turn rate
(coordinated turn):

    x'  = x + S·vx - C·vy        S = sin(ω·dt)/ω        v' = R(ω·dt)·v
    y'  = y + C·vx + S·vy        C = (1 - cos(ω·dt))/ω  yaw' = yaw + ω·dt

With ω held at 0 this is the constant-velocity model, so that vehicles and pedestrians share one filter. That a vehicle drives
where it points is a measurement of its own (`sensors.tracking.update.drive_forward`): its speed across its heading is 0 up to
slip.
Bar-Shalom, Li, Kirubarajan, "Estimation with Applications to Tracking and Navigation", sections 6.2.2 and 11.7.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

X, Y, VX, VY, YAW, TURN = range(6)
STATE = ("x_m", "y_m", "vx_mps", "vy_mps", "yaw_rad", "yaw_rate_radps")
SIZE = len(STATE)


class Noise(NamedTuple):
    """Process noise of each track, as white noise driving the second derivative.

    Attributes:
        accel: spectral density of the acceleration, m²/s³.
        turn: of the turn rate's change, rad²/s³; 0 holds the turn rate.
        yaw: of the yaw itself, rad²/s.
    """

    accel: Float[np.ndarray, "n"]
    turn: Float[np.ndarray, "n"]
    yaw: Float[np.ndarray, "n"]


def predict(
    mean: Float[np.ndarray, "n 6"], cov: Float[np.ndarray, "n 6 6"], dt_s: float, noise: Noise
) -> tuple[Float[np.ndarray, "n 6"], Float[np.ndarray, "n 6 6"], Float[np.ndarray, "n 6 6"]]:
    """Mean and covariance `dt_s` later, and the Jacobian of the step."""
    after, jacobian = _turning_step(mean, dt_s) if noise.turn.any() else _straight_step(mean, dt_s)
    spread = jacobian @ cov @ jacobian.transpose(0, 2, 1)
    return after, spread + process_noise(dt_s, noise), jacobian


def _straight_step(
    mean: Float[np.ndarray, "n 6"], dt_s: float
) -> tuple[Float[np.ndarray, "n 6"], Float[np.ndarray, "n 6 6"]]:
    """Where all turn rates are held at 0."""
    straight = _straight(dt_s)
    return mean @ straight.T, straight[None].repeat(len(mean), axis=0)


@lru_cache(maxsize=64)
def _straight(dt_s: float) -> Float[np.ndarray, "6 6"]:
    straight = np.eye(SIZE)
    straight[X, VX] = straight[Y, VY] = straight[YAW, TURN] = dt_s
    return straight


def _turning_step(
    mean: Float[np.ndarray, "n 6"], dt_s: float
) -> tuple[Float[np.ndarray, "n 6"], Float[np.ndarray, "n 6 6"]]:
    vx, vy, turn = mean[:, VX], mean[:, VY], mean[:, TURN]
    angle = turn * dt_s
    cos, sin = np.cos(angle), np.sin(angle)
    ahead, aside = dt_s * np.sinc(angle / np.pi), 0.5 * dt_s * angle * np.sinc(angle / (2 * np.pi)) ** 2
    after = mean.copy()
    after[:, X] += ahead * vx - aside * vy
    after[:, Y] += aside * vx + ahead * vy
    after[:, VX], after[:, VY] = cos * vx - sin * vy, sin * vx + cos * vy
    after[:, YAW] += angle
    jacobian = _straight(dt_s)[None].repeat(len(mean), axis=0)
    jacobian[:, X, VX] = jacobian[:, Y, VY] = ahead
    jacobian[:, Y, VX], jacobian[:, X, VY] = aside, -aside
    jacobian[:, VX, VX] = jacobian[:, VY, VY] = cos
    jacobian[:, VY, VX], jacobian[:, VX, VY] = sin, -sin
    return after, _turning_columns(after, jacobian, dt_s)


def _turning_columns(
    after: Float[np.ndarray, "n 6"], jacobian: Float[np.ndarray, "n 6 6"], dt_s: float
) -> Float[np.ndarray, "n 6 6"]:
    """Fill in the derivatives by the turn rate, with the velocity at the end of the step.

    Series in the angle of the step, exact to 1e-4 for half a radian.
    """
    vx, vy = after[:, VX], after[:, VY]
    angle = after[:, TURN] * dt_s
    along, across = dt_s**2 * angle * (1 / 6 - angle**2 / 120), dt_s**2 * (0.5 - angle**2 / 24)
    jacobian[:, X, TURN], jacobian[:, Y, TURN] = along * vx - across * vy, across * vx + along * vy
    jacobian[:, VX, TURN], jacobian[:, VY, TURN] = -dt_s * vy, dt_s * vx
    return jacobian


def process_noise(dt_s: float, noise: Noise) -> Float[np.ndarray, "n 6 6"]:
    """Covariance that a step adds: integrated white noise, so that two half steps add what one whole step does."""
    densities = np.array(noise).T
    return np.asarray(densities @ _noise_shapes(dt_s)).reshape(-1, SIZE, SIZE)


@lru_cache(maxsize=64)
def _noise_shapes(dt_s: float) -> Float[np.ndarray, "3 36"]:
    """Covariance for a density of 1 of each kind of noise, flattened."""
    shapes = np.zeros((3, SIZE, SIZE))
    for kind, place, rate in ((0, X, VX), (0, Y, VY), (1, YAW, TURN)):
        shapes[kind, place, place], shapes[kind, rate, rate] = dt_s**3 / 3, dt_s
        shapes[kind, place, rate] = shapes[kind, rate, place] = dt_s**2 / 2
    shapes[2, YAW, YAW] = dt_s
    return shapes.reshape(3, -1)
