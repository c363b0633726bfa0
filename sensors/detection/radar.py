"""Clusters of radar returns: what moves and what stands, apart.

A car gives several returns; as measurements of one object they are one. Returns are joined when they are close on the ground
plane and, if they move, have like range rates. A radar measures how fast a target comes or goes along the ray and nothing
across it, so a cluster has a range rate and no velocity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from drive_vqa.errors import ConfigError
from drive_vqa.geometry import angle_rad, wrap_rad

MOVING = (0, 2, 6)
"""nuScenes' `dyn_prop` of what moves: moving, oncoming, crossing moving; 1 and 3 to 5 and 7 stand, are unsure or have stopped."""


@dataclass(frozen=True)
class RadarConfig:
    """Settings of the clusters.

    Attributes:
        reach_m: greatest step between returns of one object.
        rate_reach_mps: greatest difference of range rates between neighbours.
        moving_mps: a return at least this fast along the ray moves, whatever the radar says.
        min_standing: a standing cluster needs this many returns.

    Raises:
        ConfigError: a value is out of range.
    """

    reach_m: float = 1.5
    rate_reach_mps: float = 1.0
    moving_mps: float = 0.8
    min_standing: int = 1

    def __post_init__(self) -> None:
        if min(self.reach_m, self.rate_reach_mps, self.moving_mps) <= 0 or self.min_standing < 1:
            raise ConfigError("radar clusters need reaches and speeds above 0 and min_standing of 1 or more")


@dataclass(frozen=True, eq=False)
class RadarClusters:
    """One measurement a cluster, in the frame of the radar, nearest first.

    Attributes:
        range_m: of the near side: the lower quartile of the returns.
        azimuth_rad: 0 along the radar's x, left positive.
        range_rate_mps: over ground, positive away from the radar.
        moving: it moves.
        rcs_dbsm: greatest of the returns.
        returns: how many.
    """

    range_m: Float[np.ndarray, "n"]
    azimuth_rad: Float[np.ndarray, "n"]
    range_rate_mps: Float[np.ndarray, "n"]
    moving: Bool[np.ndarray, "n"]
    rcs_dbsm: Float[np.ndarray, "n"]
    returns: Int[np.ndarray, "n"]

    def __len__(self) -> int:
        return len(self.range_m)


def detect_radar(
    xy_m: Float[np.ndarray, "n 2"],
    compensated_mps: Float[np.ndarray, "n 2"],
    dyn_prop: Int[np.ndarray, "n"],
    rcs_dbsm: Float[np.ndarray, "n"],
    config: RadarConfig | None = None,
) -> RadarClusters:
    """Join the returns of one radar capture to clusters.

    Args:
        xy_m: positions in the radar frame, x along its axis.
        compensated_mps: `vx_comp, vy_comp`: velocity over ground along the ray, radar axes.
        dyn_prop: nuScenes' dynamic property.
        rcs_dbsm: radar cross section.
        config: settings.
    """
    config = config or RadarConfig()
    range_m = np.hypot(xy_m[:, 0], xy_m[:, 1])
    usable = np.isfinite(xy_m).all(axis=1) & np.isfinite(compensated_mps).all(axis=1) & (range_m > 0.1)
    xy_m, compensated_mps, range_m = xy_m[usable], compensated_mps[usable], range_m[usable]
    rate_mps = (compensated_mps * xy_m).sum(axis=1) / np.maximum(range_m, 1e-9)
    moving = (np.abs(rate_mps) >= config.moving_mps) | (
        np.isin(dyn_prop[usable], MOVING) & (np.abs(rate_mps) >= 0.25 * config.moving_mps)
    )
    label = _labels(xy_m, rate_mps, moving, config)
    azimuth_rad = angle_rad(xy_m[:, 1], xy_m[:, 0])
    strength = np.nan_to_num(rcs_dbsm[usable], nan=-np.inf)
    rows = [
        _cluster(range_m[group], azimuth_rad[group], rate_mps[group], bool(moving[group[0]]), strength[group])
        for group in (np.flatnonzero(label == one) for one in range(label.max(initial=-1) + 1))
        if moving[group[0]] or len(group) >= config.min_standing
    ]
    rows.sort()
    columns = list(zip(*rows, strict=True)) or [()] * 6
    kinds: tuple[type, ...] = (float, float, float, bool, float, np.int64)
    return RadarClusters(*(np.array(column, dtype=kind) for column, kind in zip(columns, kinds, strict=True)))


def _labels(
    xy_m: Float[np.ndarray, "n 2"],
    rate_mps: Float[np.ndarray, "n"],
    moving: Bool[np.ndarray, "n"],
    config: RadarConfig,
) -> Int[np.ndarray, "n"]:
    """Connected sets of like returns: a capture has at most some hundreds, so all pairs are looked at."""
    from scipy.sparse.csgraph import connected_components

    near = np.linalg.norm(xy_m[:, None] - xy_m[None], axis=-1) <= config.reach_m
    alike = np.abs(rate_mps[:, None] - rate_mps[None]) <= config.rate_reach_mps
    joined = near & (moving[:, None] == moving[None]) & (alike | ~moving[:, None])
    return np.asarray(connected_components(joined, directed=False)[1], dtype=np.int64)


def _cluster(
    range_m: Float[np.ndarray, "k"],
    azimuth_rad: Float[np.ndarray, "k"],
    rate_mps: Float[np.ndarray, "k"],
    moving: bool,
    rcs_dbsm: Float[np.ndarray, "k"],
) -> tuple[float, float, float, bool, float, int]:
    middle = azimuth_rad[0] + float(np.mean(wrap_rad(azimuth_rad - azimuth_rad[0])))
    near_m = float(np.quantile(range_m, 0.25))
    return near_m, float(wrap_rad(middle)), float(np.median(rate_mps)), moving, float(rcs_dbsm.max()), len(range_m)
