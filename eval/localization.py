"""Success of answers in metres, degrees and metres a second, and its consistency in time (STRIDE-QA).

For a target and a horizon t in {0, 1, 2, 3} s with truth (d, θ) and answer (d̂, θ̂):

    s        1 iff |d̂ - d| ≤ 0.25 d and |wrap(θ̂ - θ)| ≤ 10°
    LSR@t    mean of s over targets at t
    MLSR     mean of s over targets and t
    TLC      share of targets with s = 1 at all t; TLC@k for t = 0 … k     (temporal localization consistency)
    speed    |v̂ - v| ≤ 0.2 v

Two bands are absolute, because a share of nearly nothing lets nothing pass: 0.1 m below 0.4 m, 0.1 m/s below 0.5 m/s. An answer
that is missing (NaN) fails. All success is in {0, 1}, higher is better. Limits count as inside, to 1e-9 for rounding.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from drive_vqa.geometry import wrap_deg

HORIZONS_S = (0, 1, 2, 3)
RELATIVE_DISTANCE, NEAR_M, NEAR_BAND_M = 0.25, 0.4, 0.1
BEARING_BAND_DEG = 10.0
RELATIVE_SPEED, SLOW_MPS, SLOW_BAND_MPS = 0.2, 0.5, 0.1
ROUNDING = 1e-9


def distance_band_m(truth_m: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """How far off a distance may be, metres."""
    return np.asarray(np.where(truth_m < NEAR_M, NEAR_BAND_M, RELATIVE_DISTANCE * truth_m))


def distance_ok(truth_m: Float[np.ndarray, "*n"], answer_m: Float[np.ndarray, "*n"]) -> Bool[np.ndarray, "*n"]:
    """SR_distance per answer, metres."""
    return np.asarray(np.abs(answer_m - truth_m) <= distance_band_m(truth_m) + ROUNDING)


def bearing_ok(truth_deg: Float[np.ndarray, "*n"], answer_deg: Float[np.ndarray, "*n"]) -> Bool[np.ndarray, "*n"]:
    """SR_bearing per answer, degrees, any winding."""
    return np.asarray(np.abs(wrap_deg(answer_deg - truth_deg)) <= BEARING_BAND_DEG + ROUNDING)


def speed_ok(truth_mps: Float[np.ndarray, "*n"], answer_mps: Float[np.ndarray, "*n"]) -> Bool[np.ndarray, "*n"]:
    """SR_speed per answer, metres a second."""
    band_mps = np.where(truth_mps < SLOW_MPS, SLOW_BAND_MPS, RELATIVE_SPEED * truth_mps)
    return np.asarray(np.abs(answer_mps - truth_mps) <= band_mps + ROUNDING)


def lsr(success: Bool[np.ndarray, "targets horizons"]) -> Float[np.ndarray, "horizons"]:
    """LSR@t for every horizon, in [0, 1]; NaN where there is no target."""
    return _mean(success, axis=0)


def mlsr(success: Bool[np.ndarray, "targets horizons"]) -> float:
    """Mean of s over targets and horizons, in [0, 1]; NaN where there is no target."""
    return float(_mean(success.reshape(-1), axis=0))


def consistent(success: Bool[np.ndarray, "targets horizons"], k: int | None = None) -> Bool[np.ndarray, "targets"]:
    """Per target, whether s = 1 at all horizons up to the k-th (all of them by default)."""
    return np.asarray(success[:, : None if k is None else k + 1].all(axis=1))


def tlc(success: Bool[np.ndarray, "targets horizons"], k: int | None = None) -> float:
    """Share of targets that are located at all horizons up to the k-th, in [0, 1]; NaN where there is no target."""
    return float(_mean(consistent(success, k), axis=0))


def _mean(values: Bool[np.ndarray, "*n"], axis: int) -> Float[np.ndarray, "*m"]:
    return np.asarray(values.mean(axis=axis) if values.shape[0] else np.full(values.shape[1:], np.nan))
