"""Kalman updates of many tracks at once, each with one measurement.

Position is a 2-vector, inverted in closed form; everything else (yaw, lateral slip, range rate ...) is scalar, one after the
other, which for independent measurement errors is the same as together and needs no matrix inverse.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from drive_vqa.geometry import wrap_rad
from sensors.tracking.motion import SIZE, VX, VY, YAW, X

EYE2 = np.eye(2)
Mean = Float[np.ndarray, "n 6"]
Cov = Float[np.ndarray, "n 6 6"]


def inverse_2x2(matrix: Float[np.ndarray, "n 2 2"]) -> Float[np.ndarray, "n 2 2"]:
    """Inverse of symmetric positive 2×2 matrices."""
    a, b, c = matrix[:, 0, 0], matrix[:, 0, 1], matrix[:, 1, 1]
    determinant = a * c - b * b
    out = np.empty_like(matrix)
    out[:, 0, 0], out[:, 1, 1] = c / determinant, a / determinant
    out[:, 0, 1] = out[:, 1, 0] = -b / determinant
    return out


def update_position(
    mean: Mean, cov: Cov, xy_m: Float[np.ndarray, "n 2"], variance_m2: Float[np.ndarray, "n"]
) -> tuple[Mean, Cov, Float[np.ndarray, "n"]]:
    """Measured position, with the same variance of both coordinates.

    Returns:
        mean, covariance, and the normalized innovation squared (chi-square with 2 degrees of freedom where all is honest).
    """
    return update_pair(mean, cov, X, xy_m - mean[:, :2], variance_m2)


def update_velocity(
    mean: Mean, cov: Cov, v_mps: Float[np.ndarray, "n 2"], variance_m2ps2: Float[np.ndarray, "n"]
) -> tuple[Mean, Cov, Float[np.ndarray, "n"]]:
    """Measured velocity; returns as `update_position`."""
    return update_pair(mean, cov, VX, v_mps - mean[:, VX : VY + 1], variance_m2ps2)


def update_pair(
    mean: Mean, cov: Cov, first: int, innovation: Float[np.ndarray, "n 2"], variance: Float[np.ndarray, "n"]
) -> tuple[Mean, Cov, Float[np.ndarray, "n"]]:
    """Measured state columns `first` and the one after it."""
    rows = cov[:, first : first + 2]
    inverse = inverse_2x2(rows[:, :, first : first + 2] + variance[:, None, None] * EYE2)
    gain = rows.transpose(0, 2, 1) @ inverse
    after = mean + (gain @ innovation[:, :, None])[:, :, 0]
    nis = (innovation[:, None] @ inverse @ innovation[:, :, None])[:, 0, 0]
    return after, _symmetric(cov - gain @ rows), nis


def update_scalar(
    mean: Mean,
    cov: Cov,
    jacobian: Float[np.ndarray, "n 6"],
    innovation: Float[np.ndarray, "n"],
    noise: Float[np.ndarray, "n"],
) -> tuple[Mean, Cov, Float[np.ndarray, "n"]]:
    """One number measured, with its Jacobian by the state; returns as `update_position` with 1 degree of freedom.

    A noise of infinity leaves that track as it is.
    """
    towards = (cov @ jacobian[:, :, None])[:, :, 0]
    variance = (jacobian * towards).sum(axis=1) + noise
    return *_update_along(mean, cov, towards, innovation, variance), innovation**2 / variance


def update_yaw(mean: Mean, cov: Cov, yaw_rad: Float[np.ndarray, "n"], variance_rad2: float) -> tuple[Mean, Cov]:
    """Measured yaw up to half a turn: detectors mistake front for back, which is voted on for the whole track."""
    innovation = half_turn_wrap(yaw_rad - mean[:, YAW])
    return _update_along(mean, cov, cov[:, YAW], innovation, cov[:, YAW, YAW] + variance_rad2)


def _update_along(
    mean: Mean,
    cov: Cov,
    towards: Float[np.ndarray, "n 6"],
    innovation: Float[np.ndarray, "n"],
    variance: Float[np.ndarray, "n"],
) -> tuple[Mean, Cov]:
    """One number measured, whose innovation has that variance and, with the state, the covariance `towards`."""
    gain = towards / variance[:, None]
    after = mean + gain * innovation[:, None]
    return after, _symmetric(cov - gain[:, :, None] * towards[:, None])


def half_turn_wrap(angle_rad: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """To (-π/2, π/2]: the difference of two axes that have no front."""
    return np.asarray(0.5 * wrap_rad(2.0 * angle_rad))


def drive_forward(mean: Mean, cov: Cov, slip_m2ps2: Float[np.ndarray, "n"]) -> tuple[Mean, Cov]:
    """Wheels do not slide: the speed across the heading, -vx·sin(yaw) + vy·cos(yaw), is measured as 0.

    Args:
        mean: of each track.
        cov: of each track.
        slip_m2ps2: variance of that speed; infinity for what can move any way.
    """
    yaw_rad = mean[:, YAW].copy()  # whole, see drive_vqa.geometry.angle_rad
    cos, sin = np.cos(yaw_rad), np.sin(yaw_rad)
    vx, vy = mean[:, VX], mean[:, VY]
    jacobian = np.zeros((len(mean), SIZE))
    jacobian[:, VX], jacobian[:, VY], jacobian[:, YAW] = -sin, cos, -(vx * cos + vy * sin)
    return update_scalar(mean, cov, jacobian, sin * vx - cos * vy, slip_m2ps2)[:2]


def _symmetric(cov: Cov) -> Cov:
    return np.asarray(0.5 * (cov + cov.transpose(0, 2, 1)))
