"""What the CLEAR MOT metrics count: pairs of the same instant, the best one-to-one match, switches and fragments.

Source: Bernardin and Stiefelhagen, "Evaluating Multiple Object Tracking Performance: The CLEAR MOT Metrics", 2008, in the form
that KITTI's tracking benchmark gave it (Geiger et al., 2012) and AB3DMOT's evaluation kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.optimize import linear_sum_assignment

NOT_TRACKED = -1
PAIRS_AT_ONCE = 2_000_000
FORBIDDEN = 1e5
"""Cost of a pair that is no candidate: more than all candidates of one instant together, so that most are matched first."""


@dataclass(frozen=True)
class Pairs:
    """Candidate matches: entry i pairs object `truth[i]` with tracked box `tracked[i]` at a cost of 0 to 2."""

    truth: Int[np.ndarray, "n"]
    tracked: Int[np.ndarray, "n"]
    cost: Float[np.ndarray, "n"]

    def __len__(self) -> int:
        return len(self.cost)

    def only(self, keep: Bool[np.ndarray, "n"] | Int[np.ndarray, "m"]) -> Pairs:
        """The pairs where `keep` is true, or those of these places in this order."""
        return Pairs(self.truth[keep], self.tracked[keep], self.cost[keep])


def same_instant(
    instant_a: Int[np.ndarray, "n"], instant_b: Int[np.ndarray, "m"]
) -> Iterator[tuple[Int[np.ndarray, "k"], Int[np.ndarray, "k"]]]:
    """Indices (a, b) of all pairs with `instant_a[a] == instant_b[b]`, in parts that fit into memory, in order of a."""
    order = np.argsort(instant_b, kind="stable")
    ordered = instant_b[order]
    first = np.searchsorted(ordered, instant_a, side="left")
    count = np.searchsorted(ordered, instant_a, side="right") - first
    rows = max(1, PAIRS_AT_ONCE // max(int(count.max(initial=0)), 1))
    for start in range(0, len(instant_a), rows):
        part = slice(start, start + rows)
        a = np.repeat(np.arange(start, start + len(count[part])), count[part])
        within = np.arange(count[part].sum()) - np.repeat(np.cumsum(count[part]) - count[part], count[part])
        yield a, order[np.repeat(first[part], count[part]) + within]


def best_match(pairs: Pairs, instant: Int[np.ndarray, "n"]) -> Int[np.ndarray, "m"]:
    """Match objects and tracked boxes one to one: as many as can be, then at the least total cost (Hungarian method).

    Args:
        pairs: candidates; both boxes of a pair are of one instant.
        instant: of each pair.

    Returns:
        indices of the chosen pairs, in no special order.
    """
    if not len(pairs):
        return np.zeros(0, dtype=np.int64)
    alone = _unshared(pairs.truth) & _unshared(pairs.tracked)
    contested = np.flatnonzero(~alone)
    contested = contested[np.argsort(instant[contested], kind="stable")]
    groups = np.split(contested, np.flatnonzero(np.diff(instant[contested])) + 1) if len(contested) else []
    return np.concatenate([np.flatnonzero(alone), *(_assigned(pairs, group) for group in groups)])


def _unshared(places: Int[np.ndarray, "n"]) -> Bool[np.ndarray, "n"]:
    """Which entries occur once."""
    _, inverse, counts = np.unique(places, return_inverse=True, return_counts=True)
    return np.asarray(counts[inverse] == 1)


def _assigned(pairs: Pairs, group: Int[np.ndarray, "g"]) -> Int[np.ndarray, "c"]:
    """Which pairs of one instant the Hungarian method takes."""
    rows, row = np.unique(pairs.truth[group], return_inverse=True)
    columns, column = np.unique(pairs.tracked[group], return_inverse=True)
    cost = np.full((len(rows), len(columns)), FORBIDDEN)
    index = np.full(cost.shape, -1, dtype=np.int64)
    cost[row, column], index[row, column] = pairs.cost[group], group
    chosen = index[linear_sum_assignment(cost)]
    return np.asarray(chosen[chosen >= 0])


def switches_and_fragments(
    owner: Int[np.ndarray, "n"], tracked_by: Int[np.ndarray, "n"], ignored: Bool[np.ndarray, "n"]
) -> tuple[Bool[np.ndarray, "n"], Bool[np.ndarray, "n"]]:
    """Where trajectories change identity, and where they resume or change.

    KITTI's rules. A switch: tracked by another id than one entry before, both tracked. A fragment: tracked by another id
    than one entry before (or not tracked then), tracked before that since the last ignored entry, and tracked one entry after;
    the last entry of a trajectory needs neither. Ignored entries count for neither and forget the past.

    Args:
        owner: trajectory of each entry; entries of one trajectory are consecutive and in time order.
        tracked_by: track id, -1 where missed.
        ignored: the entry does not count.

    Returns:
        switch, fragment.
    """
    n = len(owner)
    if n == 0:
        return np.zeros(0, dtype=bool), np.zeros(0, dtype=bool)
    place = np.arange(n)
    first = np.r_[True, owner[1:] != owner[:-1]]
    last = np.r_[first[1:], True]
    hit = tracked_by != NOT_TRACKED
    before, after = np.r_[NOT_TRACKED, tracked_by[:-1]], np.r_[tracked_by[1:], NOT_TRACKED]
    forgets = ignored & ~first  # an ignored first entry is remembered all the same
    changed = ~first & ~ignored & hit & (before != tracked_by)
    switch = changed & (before != NOT_TRACKED) & ~np.r_[False, forgets[:-1]]
    last_hit = np.maximum.accumulate(np.where(hit & ~forgets, place, -1))
    last_reset = np.maximum.accumulate(np.where(forgets, place, np.where(first, place - 1, -1)))
    known = np.r_[-1, last_hit[:-1]] > np.r_[-1, last_reset[:-1]]
    fragment = changed & (last | (known & (after != NOT_TRACKED)))
    return switch, fragment
