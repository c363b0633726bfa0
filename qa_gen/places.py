"""Which logs show the same road: their egos drove it, whatever the day.

Paths are compared only where their global frames are: maps of nuScenes and cities of Argoverse 2, each with one origin for all
logs. Frames of PandaSet and KITTI begin with the log, and so do those of other data sets in ScenarioNet's form.

A path is cut into points one metre apart. Which of them lie near another path is told by a grid: cells of 5 m that the other
path crosses, grown by 20 m; so "near" means within 20 m, give or take a cell. One sparse product counts the metres of each
path near each other one.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from drive_vqa.errors import StoreError
from drive_vqa.store import Store

logger = logging.getLogger(__name__)

NEAR_M = 20.0
CELL_M = 5.0
STEP_M = 1.0
LONGEST_GAP_M = 1_000.0
"""Poses that are farther apart are not joined by a line."""
GREATEST_M = 1e8
"""No coordinate of a place on earth is greater; poses beyond are left out."""

ONE_ORIGIN = frozenset({"nuscenes", "av2"})
"""Formats whose logs of one location share the global frame."""
NUSCENES_MAPS = frozenset({"boston-seaport", "singapore-hollandvillage", "singapore-onenorth", "singapore-queenstown"})
"""These frames stay the map's own in ScenarioNet's form too."""
NOWHERE = frozenset({None, "", "unknown"})


def same_road(store: Store, logs: Sequence[Mapping[str, str | None]], overlap: float) -> list[tuple[str, str]]:
    """Pairs of logs that are of one road: their egos drove more than the share `overlap` of the shorter path near each other.

    Where many are of one road, or a chain of logs leads from one to the next, each is paired with the first of them alone.

    Args:
        store: with the table `frames` of all logs.
        logs: rows of the table `logs`: log_id, source_format and location.
        overlap: a share, see above.

    Raises:
        StoreError: a table is missing or damaged.
    """
    of_place = defaultdict(list)
    for row in logs:
        known = row["location"] not in NOWHERE
        if known and (row["source_format"] in ONE_ORIGIN or row["location"] in NUSCENES_MAPS):
            of_place[row["location"]].append(str(row["log_id"]))
    pairs = []
    for log_ids in of_place.values():
        paths = [_ego_path(store, log_id) for log_id in sorted(log_ids)] if len(log_ids) > 1 else []
        _, road = connected_components(overlapping(paths, overlap), directed=False)
        first = np.unique(road, return_index=True)[1]
        pairs += [(paths[first[own]].log_id, path.log_id) for own, path in zip(road.tolist(), paths, strict=True)]
    return pairs


@dataclass(frozen=True, eq=False)
class Path:
    """Where an ego drove.

    Attributes:
        log_id: whose.
        points_m: one metre apart along the way, global frame.
    """

    log_id: str
    points_m: Float[np.ndarray, "n 2"]


def overlapping(paths: Sequence[Path], overlap: float) -> sparse.csr_matrix:
    """Where more than the share `overlap` of the row's path lies near the column's, which is no shorter; bool, n × n."""
    owner = np.repeat(np.arange(len(paths)), [len(path.points_m) for path in paths])
    if len(owner) == 0:
        return sparse.csr_matrix((len(paths), len(paths)), dtype=bool)
    cells = _cells(np.concatenate([path.points_m for path in paths]))
    crossed, grown = _tables(owner, cells, len(paths))
    near = (crossed @ grown.T).tocoo()  # metres of the row's path near the column's
    length = np.bincount(owner, minlength=len(paths))
    chosen = (length[near.row] <= length[near.col]) & (near.data > overlap * length[near.row])
    places = (near.row[chosen], near.col[chosen])
    return sparse.csr_matrix((np.ones(len(places[0]), dtype=bool), places), (len(paths), len(paths)))


def along(poses_m: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "m 2"]:
    """Points one metre apart along the line through `poses_m`, the first one included."""
    poses_m = poses_m[(np.abs(poses_m) < GREATEST_M).all(axis=1)]  # not a number is not less either
    if len(poses_m) == 0:
        return poses_m
    steps_m = np.hypot(*np.diff(poses_m, axis=0).T)
    steps_m[steps_m > LONGEST_GAP_M] = STEP_M
    way_m = np.concatenate([[0.0], np.cumsum(steps_m)])
    at_m = np.arange(0.0, way_m[-1] + 1e-6, STEP_M)
    return np.stack([np.interp(at_m, way_m, axis) for axis in poses_m.T], axis=1)


def _ego_path(store: Store, log_id: str) -> Path:
    try:
        frames = store.read("frames", log_id, ["global_SE3_ego"])
    except StoreError as error:  # the log itself will say so when it is asked about
        logger.warning("log %s is not compared with other roads: %s", log_id, error)
        return Path(log_id, np.zeros((0, 2)))
    poses = frames["global_SE3_ego"].combine_chunks().drop_null()
    axes = [poses.field(name).to_numpy(zero_copy_only=False) for name in ("tx_m", "ty_m")]
    return Path(log_id, along(np.stack(axes, axis=1).astype(np.float64)))


def _cells(points_m: Float[np.ndarray, "n 2"]) -> Int[np.ndarray, "n 2"]:
    return np.asarray(np.floor(np.round(points_m, 6) / CELL_M).astype(np.int64))


def _tables(
    owner: Int[np.ndarray, "n"], cells: Int[np.ndarray, "n 2"], paths: int
) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Metres of each path in each cell, and whether a cell is near each path; paths × cells."""
    low = cells.min(axis=0)
    width = int(cells[:, 1].max() - low[1]) + 1
    crossed, place = np.unique((cells[:, 0] - low[0]) * width + cells[:, 1] - low[1], return_inverse=True)
    shape = (paths, len(crossed))
    metres = sparse.csr_matrix((np.ones(len(owner), dtype=np.int32), (owner, place.reshape(-1))), shape)
    where = np.stack([crossed // width + low[0], crossed % width + low[1]], axis=1)
    near = sparse.csr_matrix(_neighbours(where), dtype=np.int32)
    grown = (metres > 0).astype(np.int32) @ near
    return metres, (grown > 0).astype(np.int32)


def _neighbours(cells: Int[np.ndarray, "n 2"]) -> sparse.coo_matrix:
    """Which cells have centres within `NEAR_M` of each other; n × n."""
    pairs = cKDTree(cells).query_pairs(NEAR_M / CELL_M + 1e-6, output_type="ndarray")
    one = np.concatenate([pairs[:, 0], pairs[:, 1], np.arange(len(cells))])
    other = np.concatenate([pairs[:, 1], pairs[:, 0], np.arange(len(cells))])
    return sparse.coo_matrix((np.ones(len(one), dtype=np.int32), (one, other)), (len(cells), len(cells)))
