"""Which measurement belongs to which track: gated Mahalanobis distances and classes, solved as one assignment."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

DENSE = 250_000
"""Up to so many pairs of tracks and measurements all are looked at; of more, only those near each other."""


class Pairs(NamedTuple):
    """Tracks (rows) and measurements (columns) that may belong together."""

    row: Int[np.ndarray, "p"]
    column: Int[np.ndarray, "p"]

    def only(self, keep: np.ndarray) -> Pairs:
        """Some of them."""
        return Pairs(self.row[keep], self.column[keep])


def near_pairs(rows_m: Float[np.ndarray, "n 2"], columns_m: Float[np.ndarray, "m 2"], reach_m: float) -> Pairs:
    """All pairs not further apart than `reach_m`; where there are few, further ones too."""
    if len(rows_m) * len(columns_m) <= DENSE:
        row, column = np.divmod(np.arange(len(rows_m) * len(columns_m)), max(len(columns_m), 1))
        return Pairs(row, column)
    found = cKDTree(rows_m).sparse_distance_matrix(cKDTree(columns_m), reach_m, output_type="ndarray")
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
    inside = distance2 <= gate
    pairs, cost = pairs.only(inside), (distance2 + penalty)[inside]
    if not len(pairs.row):
        return pairs.row, pairs.column
    free = gate + float(penalty[inside].max()) + 1.0
    if (int(pairs.row.max()) + 1) * (int(pairs.column.max()) + 1) <= DENSE:
        chosen = _solve(*pairs, cost, free)
    else:
        rows, row = np.unique(pairs.row, return_inverse=True)
        columns, column = np.unique(pairs.column, return_inverse=True)
        size = len(rows) + len(columns)
        graph = coo_array((np.ones(len(row)), (row, len(rows) + column)), shape=(size, size))
        label = connected_components(graph, directed=False)[1][row]
        order = np.argsort(label, kind="stable")
        groups = np.split(order, np.flatnonzero(np.diff(label[order])) + 1)
        chosen = np.sort(np.concatenate([part[_solve_part(row, column, cost, free, part)] for part in groups]))
    return pairs.row[chosen], pairs.column[chosen]


def _solve_part(row: np.ndarray, column: np.ndarray, cost: np.ndarray, free: float, part: np.ndarray) -> np.ndarray:
    rows, columns = (np.unique(index[part], return_inverse=True)[1] for index in (row, column))
    return _solve(rows, columns, cost[part], free)


def _solve(
    row: Int[np.ndarray, "p"], column: Int[np.ndarray, "p"], cost: Float[np.ndarray, "p"], free: float
) -> Int[np.ndarray, "k"]:
    """Which pairs are assigned, in order of rows."""
    shape = (int(row.max()) + 1, int(column.max()) + 1)
    matrix, place = np.full(shape, free), np.full(shape, -1)
    matrix[row, column], place[row, column] = cost, np.arange(len(row))
    chosen = place[linear_sum_assignment(matrix)]
    return np.asarray(chosen[chosen >= 0])
