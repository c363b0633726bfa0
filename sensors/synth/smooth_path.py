"""Points and headings along a sampled path, without corners at the samples."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from sensors.synth.town_plan import Bend

_STRAIGHT_STEP_M = 2.0
_ARC_POINTS = 8


def hermite_poses(
    table_s_m: Float[np.ndarray, "m"], table_xyh: Float[np.ndarray, "m 3"], s_m: Float[np.ndarray, "n"]
) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, "n"]]:
    """Points by cubic Hermite interpolation (tangents from the sampled headings) and linearly interpolated headings.

    Args:
        table_s_m: Ascending arc lengths of the samples.
        table_xyh: Samples as x, y (metres) and heading (radians, unwrapped).
        s_m: Where to look; inside the table.
    """
    i = np.clip(np.searchsorted(table_s_m, s_m, side="right") - 1, 0, len(table_s_m) - 2)
    step = table_s_m[i + 1] - table_s_m[i]
    t = ((s_m - table_s_m[i]) / step)[:, None]
    p0, p1 = table_xyh[i], table_xyh[i + 1]
    d0, d1 = (_directions(p[:, 2].copy()) * step[:, None] for p in (p0, p1))
    xy = (2 * t**3 - 3 * t**2 + 1) * p0[:, :2] + (t**3 - 2 * t**2 + t) * d0
    xy = xy + (3 * t**2 - 2 * t**3) * p1[:, :2] + (t**3 - t**2) * d1
    return xy, p0[:, 2] + t[:, 0] * (p1[:, 2] - p0[:, 2])


def _directions(heading_rad: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n 2"]:
    return np.column_stack([np.cos(heading_rad), np.sin(heading_rad)])


def walking_path(
    bend: Bend, corners_uv_m: Float[np.ndarray, "k 2"], radius_m: float
) -> tuple[Float[np.ndarray, "m"], Float[np.ndarray, "m 3"]]:
    """A tour of plan points with rounded corners, as a table for `hermite_poses` in the global frame."""
    points, directions = _rounded(corners_uv_m, radius_m)
    xy = bend.to_global(points)
    heading = bend.heading_rad(points, directions)
    chord = np.hypot(*np.diff(xy, axis=0).T)
    half = np.maximum(np.abs(np.diff(heading)) / 2, 1e-9)
    s = np.concatenate([[0.0], np.cumsum(chord * half / np.sin(half))])
    return s, np.column_stack([xy, heading])


def _rounded(
    corners: Float[np.ndarray, "k 2"], radius_m: float
) -> tuple[Float[np.ndarray, "m 2"], Float[np.ndarray, "m 2"]]:
    """Straights and circular arcs on the plan, with the direction of travel at each point."""
    legs = np.diff(corners, axis=0)
    unit = legs / np.hypot(*legs.T)[:, None]
    points, directions = [corners[:1]], [unit[:1]]
    for k in range(len(unit)):
        last = k == len(unit) - 1
        cut = 0.0 if last else radius_m * float(np.tan(_turn_rad(unit[k], unit[k + 1]) / 2))
        end = corners[k + 1] - cut * unit[k]
        start = points[-1][-1]
        count = max(1, int(np.ceil(np.hypot(*(end - start)) / _STRAIGHT_STEP_M)))
        t = np.linspace(0, 1, count + 1)[1:, None]
        points.append(start + t * (end - start))
        directions.append(np.tile(unit[k], (count, 1)))
        if cut > 1e-6:
            arc, tangent = _arc(corners[k + 1], unit[k], unit[k + 1], cut)
            points.append(arc)
            directions.append(tangent)
    return np.concatenate(points), np.concatenate(directions)


def _turn_rad(a: Float[np.ndarray, "2"], b: Float[np.ndarray, "2"]) -> float:
    return float(np.arccos(np.clip(a @ b, -1.0, 1.0)))


def _arc(
    corner: Float[np.ndarray, "2"], before: Float[np.ndarray, "2"], after: Float[np.ndarray, "2"], cut_m: float
) -> tuple[Float[np.ndarray, "m 2"], Float[np.ndarray, "m 2"]]:
    """The arc that touches both legs `cut_m` from the corner, without its first point."""
    turn = _turn_rad(before, after)
    radius = cut_m / np.tan(turn / 2)
    angle = np.linspace(0, turn, _ARC_POINTS + 1)[1:, None]
    side = after - (after @ before) * before
    side = side / np.hypot(*side)
    centre = corner - cut_m * before + radius * side
    points = centre + radius * (np.sin(angle) * before - np.cos(angle) * side)
    return points, np.cos(angle) * before + np.sin(angle) * side
