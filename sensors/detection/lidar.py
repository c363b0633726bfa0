"""Boxes of road users in one lidar sweep, without a learned model.

Ground off (`ground.py`), clusters at several scales (`clusters.py`), an oriented box for each cluster and class
(`box_fit.py`), and a score that multiplies how well size, height, foot, sides, free surroundings and number of returns fit
that class. Of the tree of clusters the nodes are kept that score best: a cluster is split where a part of it is a better
object than the whole, and parts are merged where the whole is better. Walls, hedges and poles fall away because they fit no
class.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from drive_vqa.boxes import overlaps
from drive_vqa.errors import ConfigError
from drive_vqa.geometry import angle_rad
from sensors.detection.box_fit import FACING, Completed, SeenRectangles, complete, extents, fit_angle
from sensors.detection.clusters import cluster_scales
from sensors.detection.evidence import Evidence, HeightGrid, height_grid, near_ceiling
from sensors.detection.ground import GroundSurface, fit_ground
from sensors.detection.size_prior import CATEGORIES, PRIORS, prior_means, prior_spreads

LOW_M, HIGH_M = 0.3, 2.4
"""Heights above the ground of what is clustered: above kerbs, below tree crowns and signs."""
TALLEST_M = 50.0
"""Returns further above or below the sensor are damage."""
LONGEST_M = 16.0
"""A cluster that is longer is no road user."""
AZIMUTH_BIN_RAD = np.radians(0.5)
CLEARLY_NEARER_M = 0.7
SURE = 0.8
"""Share of a box's length and width that surely belongs to it."""
NEGLIGIBLE = 0.02
CUT_OFF = 0.4
"""Trust in a box that reaches the highest beam: its height is not known, and most of what is that high is no road user."""


@dataclass(frozen=True)
class LidarConfig:
    """Settings of the detector.

    Attributes:
        max_range_m: from the sensor on the ground plane.
        min_points: least returns of a cluster.
        min_score: boxes below it are not given.
        reaches_m: greatest steps within a cluster, from coarse to fine.
        ego_length_m: returns within this box around the sensor are the ego's own.
        ego_width_m: as before.

    Raises:
        ConfigError: a value is out of range.
    """

    max_range_m: float = 60.0
    min_points: int = 5
    min_score: float = 0.1
    reaches_m: tuple[float, ...] = (1.4, 0.9, 0.55, 0.35)
    ego_length_m: float = 4.8
    ego_width_m: float = 2.0

    def __post_init__(self) -> None:
        if not (self.max_range_m > 0 and self.min_points >= 3 and 0 <= self.min_score <= 1):
            raise ConfigError("lidar detection needs max_range_m above 0, min_points of 3 or more, min_score in [0, 1]")
        if not self.reaches_m or min(self.reaches_m) <= 0 or list(self.reaches_m) != sorted(self.reaches_m)[::-1]:
            raise ConfigError("lidar detection needs reaches_m above 0, from the greatest to the least")
        if min(self.ego_length_m, self.ego_width_m) < 0:
            raise ConfigError("lidar detection needs an ego length and width of 0 or more")


@dataclass(frozen=True, eq=False)
class LidarBoxes:
    """Detected boxes, best first, in the frame of the points.

    Attributes:
        centre_m: middle of the whole object, not of its seen side.
        size_lwh_m: length, width, height.
        yaw_rad: of the length, (-π/2, π/2]: front and back are not told apart.
        category: keys of `drive_vqa.categories.CATEGORIES`.
        score: in [0, 1], a product of evidences and not a calibrated probability.
        points: returns of the cluster.
    """

    centre_m: Float[np.ndarray, "n 3"]
    size_lwh_m: Float[np.ndarray, "n 3"]
    yaw_rad: Float[np.ndarray, "n"]
    category: tuple[str, ...]
    score: Float[np.ndarray, "n"]
    points: Int[np.ndarray, "n"]

    def __len__(self) -> int:
        return len(self.score)


@dataclass(frozen=True, eq=False)
class _Nodes:
    """Clusters of all scales, coarse to fine; a cluster that a finer scale leaves whole is there once."""

    members: list[Int[np.ndarray, "_"]]
    parent: list[int]


def detect_lidar(
    points_m: Float[np.ndarray, "n 3"],
    sensor_xyz_m: Float[np.ndarray, "3"],
    config: LidarConfig | None = None,
) -> LidarBoxes:
    """Find road users in one sweep.

    Args:
        points_m: of one sweep, in a frame with z up (the ego frame); points that are not finite are left out.
        sensor_xyz_m: where the lidar is in that frame: what is hidden and which sides are seen follows from it.
        config: settings.
    """
    config = config or LidarConfig()
    points_m = _usable(np.asarray(points_m, dtype=np.float64), sensor_xyz_m, config)
    if len(points_m) < config.min_points:
        return _no_boxes()
    ground = fit_ground(points_m, sensor_xyz_m[:2])
    xy_m = points_m[:, :2] - sensor_xyz_m[:2]
    above_m = points_m[:, 2] - ground.at(points_m[:, :2])
    body = np.flatnonzero((above_m > LOW_M) & (above_m < HIGH_M))
    nodes = _nodes(cluster_scales(xy_m[body], config.reaches_m), xy_m[body], config.min_points)
    if not nodes.members:
        return _no_boxes()
    grid = height_grid(xy_m, above_m)
    at_edge = near_ceiling(points_m - sensor_xyz_m, above_m)[body]
    cut_off = np.array([at_edge[group].mean() > 0.02 for group in nodes.members])
    found = _score(nodes, xy_m[body], above_m[body], grid, cut_off)
    kept = _suppress(found, _choose(nodes, found), config.min_score)
    return _boxes(found, kept, ground, sensor_xyz_m)


def _usable(
    points_m: Float[np.ndarray, "n 3"], sensor_xyz_m: Float[np.ndarray, "3"], config: LidarConfig
) -> Float[np.ndarray, "k 3"]:
    """Finite points in range that are not the ego's own body, in an order that does not depend on that of the file."""
    points_m = points_m[np.isfinite(points_m).all(axis=1)]
    offset_m = points_m - sensor_xyz_m
    own = (np.abs(offset_m[:, 0]) < 0.5 * config.ego_length_m) & (np.abs(offset_m[:, 1]) < 0.5 * config.ego_width_m)
    near = (np.hypot(offset_m[:, 0], offset_m[:, 1]) < config.max_range_m) & (np.abs(offset_m[:, 2]) < TALLEST_M)
    kept_m = points_m[near & ~own]
    return np.asarray(kept_m[np.lexsort(kept_m.T)])


def _nodes(scales: list[Int[np.ndarray, "n"]], xy_m: Float[np.ndarray, "n 2"], min_points: int) -> _Nodes:
    """Clusters with enough points that are not longer than a road user, as a tree."""
    members: list[Int[np.ndarray, "_"]] = []
    parent: list[int] = []
    node_of_point = np.full(len(xy_m), -1)
    for labels in scales:
        order = np.argsort(labels, kind="stable")
        for group in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1):
            above = int(node_of_point[group[0]]) if len(group) else -1
            same = above >= 0 and len(members[above]) == len(group)
            if len(group) < min_points or same or np.ptp(xy_m[group], axis=0).max() > LONGEST_M:
                continue
            node_of_point[group] = len(members)
            members.append(group)
            parent.append(above)
    return _Nodes(members, parent)


@dataclass(frozen=True, eq=False)
class _Found:
    """The best box and class of each node."""

    centre_m: Float[np.ndarray, "n 2"]
    size_lwh_m: Float[np.ndarray, "n 3"]
    yaw_rad: Float[np.ndarray, "n"]
    kind: Int[np.ndarray, "n"]
    score: Float[np.ndarray, "n"]
    points: Int[np.ndarray, "n"]


def _score(
    nodes: _Nodes,
    xy_m: Float[np.ndarray, "n 2"],
    above_m: Float[np.ndarray, "n"],
    grid: HeightGrid,
    cut_off: Bool[np.ndarray, "m"],
) -> _Found:
    """Try every class and long axis on every node and keep the best; `cut_off`: it may go on above the highest beam."""
    seen = _see(nodes, xy_m)
    count = np.array([len(group) for group in nodes.members])
    top_m = _tops(nodes, xy_m, above_m, grid)
    foot_m = np.array([above_m[group].min() for group in nodes.members])
    boxes = complete(seen, prior_means()[:, :2], prior_spreads()[:, :2])
    shape = boxes.misfit.shape
    range_m = np.linalg.norm(0.5 * (seen.low_m + seen.high_m), axis=-1)
    tallest_m = np.broadcast_to(np.array([prior.tallest_m for prior in PRIORS])[:, None], shape)
    evidence = grid.evidence(
        boxes.centre_m.reshape(-1, 2),
        boxes.length_m.ravel(),
        boxes.width_m.ravel(),
        boxes.yaw_rad.ravel(),
        tallest_m.ravel(),
    )
    score = np.ones(shape)
    factors = _likeness(boxes, seen, count, top_m, foot_m, range_m, evidence)
    factors["whole"] = np.where(cut_off, CUT_OFF, 1.0)[:, None, None]
    for factor in factors.values():
        score *= factor
    best = score.reshape(len(score), -1).argmax(axis=1)
    rows = np.arange(len(score))
    kind, along = np.unravel_index(best, shape[1:])
    at = (rows, kind, along)
    height_m = _height(top_m, range_m, kind)
    size_m = np.stack([boxes.length_m[at], boxes.width_m[at], height_m], axis=-1)
    return _Found(boxes.centre_m[at], size_m, boxes.yaw_rad[at], kind, score[at], count)


def _tops(
    nodes: _Nodes, xy_m: Float[np.ndarray, "n 2"], above_m: Float[np.ndarray, "n"], grid: HeightGrid
) -> Float[np.ndarray, "m"]:
    """How high each node reaches; for one that reaches the upper end of what is clustered, how high it goes on."""
    goes_on_m = grid.top_at(xy_m)
    top_m = []
    for group in nodes.members:
        highest = -(-99 * (len(group) - 1) // 100)
        own_m = float(np.partition(above_m[group], highest)[highest])
        top_m.append(own_m if own_m < HIGH_M - 0.2 else max(own_m, float(np.quantile(goes_on_m[group], 0.9))))
    return np.array(top_m)


def _height(
    top_m: Float[np.ndarray, "n"], range_m: Float[np.ndarray, "n"], kind: Int[np.ndarray, "n"]
) -> Float[np.ndarray, "n"]:
    """What was seen, drawn to the class as the beams spread."""
    mean_m, spread_m = prior_means()[kind, 2], prior_spreads()[kind, 2]
    noise_m = 0.05 + 0.01 * range_m
    trust = spread_m**2 / (spread_m**2 + noise_m**2)
    return np.maximum(mean_m + trust * (top_m - mean_m), top_m)


def _likeness(
    boxes: Completed,
    seen: SeenRectangles,
    count: Int[np.ndarray, "n"],
    top_m: Float[np.ndarray, "n"],
    foot_m: Float[np.ndarray, "n"],
    range_m: Float[np.ndarray, "n"],
    evidence: Evidence,
) -> dict[str, Float[np.ndarray, "..."]]:
    """Factors in [0, 1], each of a shape that goes with (n, c, 2); their product is the score."""
    shape = boxes.misfit.shape
    mean_m, spread_m = prior_means()[:, 2], prior_spreads()[:, 2]
    noise_m = (0.05 + 0.012 * range_m)[:, None]
    height = np.exp(-(((top_m[:, None] - mean_m) ** 2) / (spread_m**2 + noise_m**2)) / 4.0)
    hover_m = np.maximum(foot_m - 0.4 - 0.02 * range_m, 0.0)
    return {
        "size": np.exp(-boxes.misfit / 4.0),
        "height": height[..., None],
        "foot": np.exp(-((hover_m / 0.4) ** 2))[:, None, None],
        "sides": np.exp(-((seen.off_side_m / 0.5) ** 2))[:, None, None],
        "returns": (1.0 - np.exp(-count / 12.0))[:, None, None],
        "shown": np.clip(_shown(boxes, seen) / 0.6, 0.0, 1.0),
        "alone": np.exp(-((evidence.touched / 0.3) ** 2)).reshape(shape),
        "floor": np.exp(-((evidence.open_floor / 0.45) ** 2)).reshape(shape),
        "share": np.array([prior.share for prior in PRIORS])[:, None],
        "crown": np.exp(-((evidence.overgrown / 0.3) ** 2)).reshape(shape),
    }


def _shown(boxes: Completed, seen: SeenRectangles) -> Float[np.ndarray, "n c 2"]:
    """Greatest share of a side that was seen."""
    extent_m = (seen.high_m - seen.low_m)[:, None]
    along_axes = np.stack([boxes.length_m[..., 0], boxes.width_m[..., 0]], -1)
    across_axes = np.stack([boxes.width_m[..., 1], boxes.length_m[..., 1]], -1)
    return np.asarray((extent_m[:, :, None] / np.stack([along_axes, across_axes], axis=2)).max(axis=-1))


def _see(nodes: _Nodes, xy_m: Float[np.ndarray, "n 2"]) -> SeenRectangles:
    """The seen rectangle of each node."""
    angle_rad = np.array([fit_angle(xy_m[group]) for group in nodes.members])
    parts = [extents(xy_m[group], angle) for group, angle in zip(nodes.members, angle_rad.tolist(), strict=True)]
    low_m, high_m = np.array([part[0] for part in parts]), np.array([part[1] for part in parts])
    hidden_left, hidden_right = _hidden_ends(nodes, xy_m)
    hidden_low, hidden_high = _by_axis(low_m, high_m, hidden_left, hidden_right)
    return SeenRectangles(angle_rad, low_m, high_m, hidden_low, hidden_high, np.array([part[2] for part in parts]))


def _hidden_ends(nodes: _Nodes, xy_m: Float[np.ndarray, "n 2"]) -> tuple[Bool[np.ndarray, "m"], Bool[np.ndarray, "m"]]:
    """Whether something nearer stands right beside a node, to its left and to its right as seen from the sensor."""
    bins = round(2 * np.pi / AZIMUTH_BIN_RAD)
    range_m = np.hypot(xy_m[:, 0], xy_m[:, 1])
    azimuth = np.floor(angle_rad(xy_m[:, 1], xy_m[:, 0]) / AZIMUTH_BIN_RAD).astype(np.int64)
    nearest_m = np.full(bins, np.inf)
    np.minimum.at(nearest_m, azimuth % bins, range_m)
    left, right = np.zeros(len(nodes.members), dtype=bool), np.zeros(len(nodes.members), dtype=bool)
    for place, group in enumerate(nodes.members):
        steps = (azimuth[group] - azimuth[group[0]] + bins // 2) % bins - bins // 2
        for side, end, out in ((left, steps.max(), 1), (right, steps.min(), -1)):
            own_m = range_m[group[np.abs(steps - end) <= 1]].min()
            beside = (azimuth[group[0]] + end + out * np.array([1, 2])) % bins
            side[place] = nearest_m[beside].min() < own_m - CLEARLY_NEARER_M
    return left, right


def _by_axis(
    low_m: Float[np.ndarray, "n 2"],
    high_m: Float[np.ndarray, "n 2"],
    hidden_left: Bool[np.ndarray, "n"],
    hidden_right: Bool[np.ndarray, "n"],
) -> tuple[Bool[np.ndarray, "n 2"], Bool[np.ndarray, "n 2"]]:
    """Which ends of the axes are hidden: an axis counts when its side faces the sensor."""
    face_m = np.where(low_m > 0, low_m, np.where(high_m < 0, high_m, 0.0))[:, ::-1]  # of the other axis
    middle_m = np.linalg.norm(0.5 * (low_m + high_m), axis=1, keepdims=True)
    facing = np.abs(face_m) > FACING * middle_m
    # seen from the sensor, going up axis 0 turns left where the side is at negative axis 1; axis 1 the other way round
    up_is_left = np.stack([face_m[:, 0] < 0, face_m[:, 1] > 0], axis=1)
    left, right = hidden_left[:, None], hidden_right[:, None]
    hidden_low = facing & np.where(up_is_left, right, left)
    hidden_high = facing & np.where(up_is_left, left, right)
    return hidden_low, hidden_high


def _choose(nodes: _Nodes, found: _Found) -> Int[np.ndarray, "k"]:
    """Cut the tree: a node stands for all below it unless its parts are better objects.

    The worth of parts is the geometric mean of the best score and of the mean score a point, so that neither a fragment that
    looks like a person outweighs its car, nor the wall behind a car hides it. Parts whose boxes share room are one object:
    only the best of them counts.
    """
    best, split = found.score.copy(), np.zeros(len(found.score), dtype=bool)
    total = found.score * found.points
    children: list[list[int]] = [[] for _ in nodes.members]
    for node in range(len(nodes.members) - 1, -1, -1):
        parts = _apart(found, children[node], best)
        if parts:
            parts_best, parts_total = max(best[part] for part in parts), sum(total[part] for part in parts)
            if np.sqrt(parts_best * parts_total / found.points[node]) > found.score[node]:
                best[node], total[node], split[node] = parts_best, parts_total, True
        if nodes.parent[node] >= 0:
            children[nodes.parent[node]].append(node)
    chosen, stack = [], [node for node, parent in enumerate(nodes.parent) if parent < 0]
    while stack:
        node = stack.pop()
        if split[node]:
            stack.extend(children[node])
        else:
            chosen.append(node)
    return np.array(sorted(chosen), dtype=np.int64)


def _apart(found: _Found, some: list[int], value: Float[np.ndarray, "n"]) -> list[int]:
    """Those of some nodes, best first, that share no room with a better one."""
    order = sorted((node for node in some if value[node] > NEGLIGIBLE), key=lambda node: (-value[node], node))
    centre_m = found.centre_m[order]
    reach_m = 0.5 * SURE * np.hypot(found.size_lwh_m[order, 0], found.size_lwh_m[order, 1])
    kept: list[int] = []
    for place, one in enumerate(order):
        offset_m = centre_m[kept] - centre_m[place]
        near = np.hypot(offset_m[:, 0], offset_m[:, 1]) < reach_m[kept] + reach_m[place]
        if not any(_share_room(found, one, order[kept[other]]) for other in np.flatnonzero(near).tolist()):
            kept.append(place)
    return [order[place] for place in kept]


def _share_room(found: _Found, one: int, other: int) -> bool:
    """Whether two boxes overlap by more than the doubt about their sizes."""
    first, second = (
        np.array([*found.centre_m[node], *(SURE * found.size_lwh_m[node, :2]), found.yaw_rad[node]])
        for node in (one, other)
    )
    return overlaps(first, second)


def _suppress(found: _Found, chosen: Int[np.ndarray, "k"], min_score: float) -> Int[np.ndarray, "m"]:
    """Best first; a box that shares room with a better one goes."""
    sure = [node for node in chosen.tolist() if found.score[node] >= min_score]
    return np.array(_apart(found, sure, found.score), dtype=np.int64)


def _boxes(
    found: _Found, kept: Int[np.ndarray, "m"], ground: GroundSurface, sensor_xyz_m: Float[np.ndarray, "3"]
) -> LidarBoxes:
    """The kept boxes, standing on the ground."""
    xy_m = found.centre_m[kept] + sensor_xyz_m[:2]
    size_m = found.size_lwh_m[kept]
    z_m = ground.at(xy_m) + 0.5 * size_m[:, 2]
    category = tuple(CATEGORIES[kind] for kind in found.kind[kept])
    return LidarBoxes(
        np.column_stack([xy_m, z_m]), size_m, found.yaw_rad[kept], category, found.score[kept], found.points[kept]
    )


def _no_boxes() -> LidarBoxes:
    nothing = np.zeros(0)
    return LidarBoxes(np.zeros((0, 3)), np.zeros((0, 3)), nothing, (), nothing, np.zeros(0, dtype=np.int64))
