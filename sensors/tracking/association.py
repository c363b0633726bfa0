"""Which measurement belongs to which track: gated Mahalanobis distances and classes, solved as one assignment."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from drive_vqa.errors import LogFormatError

DENSE, MAX_PAIRS = 250_000, 2_000_000
"""Up to so many pairs of tracks and measurements all are looked at; of more, only those near each other."""


class Pairs(NamedTuple):
    """Tracks (rows) and measurements (columns) that may belong together."""

    row: Int[np.ndarray, "p"]
    column: Int[np.ndarray, "p"]

    def only(self, keep: np.ndarray) -> Pairs:
        """Some of them."""
        return Pairs(self.row[keep], self.column[keep])


def near_pairs(rows_m: Float[np.ndarray, "n 2"], columns_m: Float[np.ndarray, "m 2"], reach_m: float) -> Pairs:
    """All pairs not further apart than `reach_m`, in order of rows, then columns."""
    if len(rows_m) * len(columns_m) <= DENSE:
        offset_m = columns_m.T[:, None] - rows_m.T[:, :, None]
        return Pairs(*(np.hypot(*offset_m) <= reach_m).nonzero())
    rows, columns = cKDTree(rows_m), cKDTree(columns_m)
    if rows.count_neighbors(columns, reach_m) > MAX_PAIRS:
        raise LogFormatError(
            f"{len(columns_m)} boxes of a scan lie too close together to be told apart: leave one box an object"
        )
    found = rows.sparse_distance_matrix(columns, reach_m, output_type="ndarray")
    order = np.lexsort((found["j"], found["i"]))
    return Pairs(found["i"][order].astype(np.int64), found["j"][order].astype(np.int64))


def assign(
    pairs: Pairs, distance2: Float[np.ndarray, "p"], penalty: Float[np.ndarray, "p"], gate: float
) -> tuple[Int[np.ndarray, "k"], Int[np.ndarray, "k"]]:
    """The one-to-one assignment of least cost, where leaving a pair's both ends alone costs more than any pair.

    Tracks and measurements that no chain of possible pairs joins are solved by themselves, which changes nothing but the time.

    Args:
        pairs: that are possible.
        distance2: squared Mahalanobis distance of each.
        penalty: added to the cost of a pair, never to its gate: log-determinant of the innovation's covariance, class difference.
        gate: greatest squared distance of a pair.

    Returns:
        Rows and columns of the assigned pairs, in order of rows.
    """
    inside = (distance2 <= gate).nonzero()[0]
    row, column, extra = pairs.row[inside], pairs.column[inside], penalty[inside]
    if not len(inside):
        return row, column
    cost, free = distance2[inside] + extra, gate + float(extra.max()) + 1.0
    if (int(row.max()) + 1) * (int(column.max()) + 1) <= DENSE:
        return _solve(row, column, cost, free)
    parts = [_solve_part(row[part], column[part], cost[part], free) for part in _groups(row, column)]
    rows, columns = (np.concatenate(ends) for ends in zip(*parts, strict=True))
    order = np.argsort(rows)
    return rows[order], columns[order]


def _groups(row: Int[np.ndarray, "p"], column: Int[np.ndarray, "p"]) -> list[Int[np.ndarray, "q"]]:
    """Pairs that chains of shared ends join, as places in the list of pairs."""
    rows, row = np.unique(row, return_inverse=True)
    columns, column = np.unique(column, return_inverse=True)
    size = len(rows) + len(columns)
    graph = coo_array((np.ones(len(row)), (row, len(rows) + column)), shape=(size, size))
    label = connected_components(graph, directed=False)[1][row]
    order = np.argsort(label, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(label[order])) + 1)


def _solve_part(
    row: Int[np.ndarray, "p"], column: Int[np.ndarray, "p"], cost: Float[np.ndarray, "p"], free: float
) -> tuple[Int[np.ndarray, "k"], Int[np.ndarray, "k"]]:
    """As `_solve`, for few pairs of any rows and columns."""
    (rows, row), (columns, column) = (np.unique(index, return_inverse=True) for index in (row, column))
    chosen_row, chosen_column = _solve(row, column, cost, free)
    return rows[chosen_row], columns[chosen_column]


def _solve(
    row: Int[np.ndarray, "p"], column: Int[np.ndarray, "p"], cost: Float[np.ndarray, "p"], free: float
) -> tuple[Int[np.ndarray, "k"], Int[np.ndarray, "k"]]:
    """Rows and columns that are assigned, in order of rows; every cost is below `free`."""
    matrix = np.full((int(row.max()) + 1, int(column.max()) + 1), free)
    matrix[row, column] = cost
    rows, columns = linear_sum_assignment(matrix)
    real = matrix[rows, columns] < free
    return rows[real], columns[real]
