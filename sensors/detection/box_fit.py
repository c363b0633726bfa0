"""The oriented box that explains the seen sides of a cluster, completed to the size of what it may be.

A lidar sees the one or two sides that face it. Their direction is the angle at which the points lie closest to those sides
(closeness criterion of Zhang et al., "Efficient L-shape fitting for vehicle detection using laser scanners", IV 2017, here with
the facing sides only). The extent along an axis is measured where the side that spans it faces the sensor and both its ends
are in free sight; otherwise it is a lower bound, and the box grows to its size prior on the side where it could not be seen:
behind what hides it, else away from the sensor. So the visible side stays where it was measured, and the centre is not pulled
towards it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from drive_vqa.geometry import angle_rad

MOST_POINTS = 400
"""A cluster is thinned to this many points before the search of its angle."""
NEAREST_M = 0.08
"""Points closer to a side than this are on it: noise of the range and roundness of bodies."""
COARSE_RAD = np.radians(np.arange(0.0, 90.0, 3.0))
FINE_RAD = np.radians(np.arange(-2.5, 2.6, 0.5))
OUTLINE_BIN_RAD, OUTLINE_DEPTH_M = np.radians(0.5), 0.25
"""Points belong to the seen outline that lie this close behind the nearest of their direction."""
STRAY_FROM = (40, 200)
"""From these numbers of points on, one and two at each end are taken for stray, such as mirrors."""
AREA_MARGIN_M = 0.3
"""Keeps thin clusters from being all area."""
FACING = 0.2
"""Least cosine between the ray and a side's normal at which the side is well seen."""
EXTENT_NOISE_M = 0.12
ROUND_M = 0.05
"""What round corners and the step between beams take from an extent."""


@dataclass(frozen=True, eq=False)
class SeenRectangles:
    """What of each cluster was seen, in axes turned by `angle_rad`, from the sensor.

    Attributes:
        angle_rad: of axis 0; axis 1 is 90° further.
        low_m: least coordinate of the cluster along both axes.
        high_m: greatest.
        hidden_low: the end at `low_m` of an axis is cut off by something nearer.
        hidden_high: as before, for `high_m`.
        off_side_m: median distance of the outline from the nearest facing side.
    """

    angle_rad: Float[np.ndarray, "n"]
    low_m: Float[np.ndarray, "n 2"]
    high_m: Float[np.ndarray, "n 2"]
    hidden_low: Bool[np.ndarray, "n 2"]
    hidden_high: Bool[np.ndarray, "n 2"]
    off_side_m: Float[np.ndarray, "n"]


def fit_angle(xy_m: Float[np.ndarray, "n 2"]) -> float:
    """Direction in [0, π/2) of one of the sides of a cluster, radians.

    Args:
        xy_m: positions relative to the sensor.
    """
    outline = _thin(xy_m[_on_outline(xy_m)])
    whole = _thin(xy_m)
    coarse = COARSE_RAD[int(np.argmax(_quality(outline, whole, COARSE_RAD)))]
    fine = coarse + FINE_RAD
    return float(fine[int(np.argmax(_quality(outline, whole, fine)))] % (np.pi / 2))


def _thin(xy_m: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "k 2"]:
    return xy_m[:: max(1, -(-len(xy_m) // MOST_POINTS))]


def _quality(
    outline_m: Float[np.ndarray, "n 2"], whole_m: Float[np.ndarray, "k 2"], angle_rad: Float[np.ndarray, "a"]
) -> Float[np.ndarray, "a"]:
    """Closeness of the outline to the facing sides over the area of the rectangle around all points.

    Closeness alone leans with round bumpers, area alone is undecided between an L and its diagonal.
    """
    turned = np.einsum("aij,nj->ain", _axes(angle_rad), whole_m)
    stray = len(whole_m) // 100
    ordered = np.partition(turned, [stray, -1 - stray], axis=2) if stray else np.sort(turned, axis=2)
    extent_m = ordered[:, :, -1 - stray] - ordered[:, :, stray] + AREA_MARGIN_M
    return np.asarray(_closeness(outline_m, angle_rad) / extent_m.prod(axis=1))


def _on_outline(xy_m: Float[np.ndarray, "n 2"]) -> Bool[np.ndarray, "n"]:
    """Points that nothing of the cluster lies much in front of: sides, without roof and bonnet."""
    range_m = np.hypot(xy_m[:, 0], xy_m[:, 1])
    azimuth = angle_rad(xy_m[:, 1], xy_m[:, 0]) - angle_rad(xy_m[0, 1], xy_m[0, 0])
    bins = np.floor((azimuth + np.pi) % (2 * np.pi) / OUTLINE_BIN_RAD).astype(np.int64)
    bins -= bins.min()
    nearest_m = np.full(int(bins.max()) + 1, np.inf)
    np.minimum.at(nearest_m, bins, range_m)
    return np.asarray(range_m < nearest_m[bins] + OUTLINE_DEPTH_M)


def extents(
    xy_m: Float[np.ndarray, "n 2"], angle_rad: float
) -> tuple[Float[np.ndarray, "2"], Float[np.ndarray, "2"], float]:
    """Least and greatest coordinates along both axes without stray points, and how far points lie from the facing sides."""
    turned = np.einsum("ij,nj->ni", _axes(np.array([angle_rad]))[0], xy_m)
    stray = (len(turned) > STRAY_FROM[0]) + (len(turned) > STRAY_FROM[1])
    ordered = np.partition(turned, [stray, len(turned) - 1 - stray], axis=0)
    low_m, high_m = ordered[stray], ordered[-1 - stray]
    off_m = np.where(low_m > 0, turned - low_m, np.where(high_m < 0, high_m - turned, np.inf)).min(axis=1)
    return low_m, high_m, float(np.median(np.clip(off_m[_on_outline(xy_m)], 0.0, 2.0)))


def _axes(angle_rad: Float[np.ndarray, "a"]) -> Float[np.ndarray, "a 2 2"]:
    """Rows are the two unit vectors of each angle."""
    cos, sin = np.cos(angle_rad), np.sin(angle_rad)
    return np.asarray(np.array([[cos, sin], [-sin, cos]]).transpose(2, 0, 1))


def _closeness(xy_m: Float[np.ndarray, "n 2"], angle_rad: Float[np.ndarray, "a"]) -> Float[np.ndarray, "a"]:
    """Sum over points of the inverse distance to the nearest facing side, for each angle."""
    turned = np.einsum("aij,nj->ain", _axes(angle_rad), xy_m)
    low, high = turned.min(axis=2, keepdims=True), turned.max(axis=2, keepdims=True)
    around = (low <= 0).all(axis=1, keepdims=True) & (high >= 0).all(axis=1, keepdims=True)
    facing = np.where(low > 0, turned - low, np.where(high < 0, high - turned, np.inf))
    nearest = np.where(around, np.minimum(turned - low, high - turned), facing).min(axis=1)
    return np.asarray((1.0 / np.maximum(nearest, NEAREST_M)).sum(axis=1))


@dataclass(frozen=True, eq=False)
class Completed:
    """Boxes completed to size priors: one a cluster, class and choice of the long axis.

    Attributes:
        centre_m: of the box on the ground plane, relative to the sensor.
        length_m: along `yaw_rad`.
        width_m: across it.
        yaw_rad: in (-π, π]; front and back are not told apart.
        misfit: squared deviation of the seen size from the class, in standard deviations.
    """

    centre_m: Float[np.ndarray, "n c 2 2"]
    length_m: Float[np.ndarray, "n c 2"]
    width_m: Float[np.ndarray, "n c 2"]
    yaw_rad: Float[np.ndarray, "n c 2"]
    misfit: Float[np.ndarray, "n c 2"]


def complete(
    seen: SeenRectangles, mean_lw_m: Float[np.ndarray, "c 2"], spread_lw_m: Float[np.ndarray, "c 2"]
) -> Completed:
    """Grow what was seen to the size of each class, along either axis.

    Args:
        seen: n clusters.
        mean_lw_m: mean length and width of c classes.
        spread_lw_m: standard deviations of them.
    """
    size_m, misfit, centre = [], [], []
    for along in (0, 1):  # which of the two axes is the length
        of_axis = [0, 1] if along == 0 else [1, 0]
        one_size_m, one_misfit = _sizes(seen, mean_lw_m[:, of_axis], spread_lw_m[:, of_axis])
        size_m.append(one_size_m[..., of_axis])
        misfit.append(one_misfit)
        centre.append(_centres(seen, one_size_m))
    sizes_m = np.stack(size_m, axis=2)
    turned = np.stack(centre, axis=2)
    axes = _axes(seen.angle_rad)
    centre_m = np.einsum("ncka,nax->nckx", turned, axes)
    yaw_rad = np.broadcast_to((seen.angle_rad[:, None] + np.array([0.0, np.pi / 2]))[:, None], (*misfit[0].shape, 2))
    yaw_rad = np.where(yaw_rad > np.pi / 2, yaw_rad - np.pi, yaw_rad)
    return Completed(centre_m, sizes_m[..., 0], sizes_m[..., 1], yaw_rad, np.stack(misfit, axis=2))


def _sizes(
    seen: SeenRectangles, mean_m: Float[np.ndarray, "c 2"], spread_m: Float[np.ndarray, "c 2"]
) -> tuple[Float[np.ndarray, "n c 2"], Float[np.ndarray, "n c"]]:
    """Size along both axes, and how badly the seen one fits."""
    extent_m = (seen.high_m - seen.low_m)[:, None] + ROUND_M
    measured = (_well_seen(seen) & ~seen.hidden_low & ~seen.hidden_high)[:, None]
    trust = spread_m**2 / (spread_m**2 + EXTENT_NOISE_M**2)
    blended_m = mean_m + trust * (extent_m - mean_m)
    size_m = np.where(measured, np.maximum(blended_m, extent_m), np.maximum(mean_m, extent_m))
    over_m = extent_m - mean_m
    deviation = np.where(measured | (over_m > 0), over_m, 0.0) / np.hypot(spread_m, EXTENT_NOISE_M)
    return size_m, (deviation**2).sum(axis=-1)


def _well_seen(seen: SeenRectangles) -> Bool[np.ndarray, "n 2"]:
    """Whether the side that spans an axis faces the sensor."""
    gap_m = np.maximum(np.maximum(seen.low_m, -seen.high_m), 0.0)
    middle_m = 0.5 * (seen.low_m + seen.high_m)
    cosine = gap_m / np.maximum(np.linalg.norm(middle_m, axis=1, keepdims=True), 1e-6)
    return np.asarray(cosine[:, ::-1] > FACING)


def _centres(seen: SeenRectangles, size_m: Float[np.ndarray, "n c 2"]) -> Float[np.ndarray, "n c 2"]:
    """Centre along both axes: the end that was surely seen stays, the other gives way."""
    from_low = seen.low_m[:, None] + 0.5 * size_m
    from_high = seen.high_m[:, None] - 0.5 * size_m
    middle = 0.5 * (from_low + from_high)
    keep_low = np.where(seen.hidden_low ^ seen.hidden_high, seen.hidden_high, seen.low_m > 0)[:, None]
    keep_high = np.where(seen.hidden_low ^ seen.hidden_high, seen.hidden_low, seen.high_m < 0)[:, None]
    return np.where(keep_low, from_low, np.where(keep_high, from_high, middle))
