"""Words that name one agent among all that can be seen: "the nearest pedestrian", "the only bus to the left".

A description holds for one agent alone, and clearly so: another of its kind that is nearly as near, or nearly as far to the left,
leaves both without that description. All moments of a log are described at once.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Int

from drive_vqa.categories import CATEGORIES
from drive_vqa.geometry import bearing_deg
from qa_gen.drive import Drive
from qa_gen.groups import Groups

MARGIN = 1.1
"""The next in order must be this many times as far, or the first as far as it."""

SIDE_DEG = 2.0
"""Within this of straight ahead or straight behind, people differ about the side; so much farther left is the leftmost."""

SEEN = 0.02
"""An agent of which an image shows less than this share is not there to be mistaken for another."""

PHRASES = (
    "the only {}",
    "the nearest {}",
    "the farthest {}",
    "the leftmost {}",
    "the rightmost {}",
    "the only {} to the left",
    "the only {} to the right",
    "the nearest {} to the left",
    "the nearest {} to the right",
    "the second nearest {}",
    "the farthest {} to the left",
    "the farthest {} to the right",
)
"""Best first: an agent gets the first that holds."""

_NAMED = np.array([name not in ("other", "animal") for name in CATEGORIES] + [False])
"""Categories that a reader would sort objects by; the last entry is for an unknown category."""

TEXTS = np.array([phrase.format(kind.noun) for phrase in PHRASES for kind in CATEGORIES.values()] + [None], object)
"""Text of each code of `describe`; -1 is None."""


def descriptions(drive: Drive, groups: Groups) -> np.ndarray:
    """Text or None for each mark of each group, (groups, marks), from all agents that the present images show.

    In a log without cameras all tracked agents count as seen.
    """
    group, rows = _rows_in(drive, groups.present)
    seen = _seen(drive, groups, rows)
    group, rows = group[seen], rows[seen]
    codes = describe(group, drive.category[rows], drive.boxes["x_m"][rows], drive.boxes["y_m"][rows])
    of_row = np.full((len(groups), len(drive.track_ids)), -1, dtype=np.int64)
    of_row[group, drive.row_track[rows]] = codes
    there = groups.tracks >= 0
    mark_codes = np.where(there, of_row[np.arange(len(groups))[:, None], groups.tracks], -1)
    return np.asarray(TEXTS[mark_codes])


def describe(
    moment: Int[np.ndarray, "n"],
    category: Int[np.ndarray, "n"],
    x_m: Float[np.ndarray, "n"],
    y_m: Float[np.ndarray, "n"],
) -> Int[np.ndarray, "n"]:
    """What names each agent among those of its moment, as index into TEXTS; -1 where nothing does.

    Args:
        moment: which agents are seen together: any numbers from 0.
        category: place in CATEGORIES; -1 is unknown.
        x_m: ahead of the ego.
        y_m: to its left.
    """
    kind = moment * (len(CATEGORIES) + 1) + category
    named = _NAMED[category] & np.isfinite(x_m + y_m)
    code = np.full(len(moment), -1, dtype=np.int64)
    holding = list(_holding(kind[named], x_m[named], y_m[named]))
    for place in reversed(range(len(PHRASES))):
        rows = np.flatnonzero(named)[holding[place]]
        code[rows] = place * len(CATEGORIES) + category[rows]
    return code


def _holding(
    kind: Int[np.ndarray, "n"], x_m: Float[np.ndarray, "n"], y_m: Float[np.ndarray, "n"]
) -> Iterator[Bool[np.ndarray, "n"]]:
    """For each of PHRASES, for which agents it holds; `kind` is equal for agents of one category and moment."""
    far = np.log(np.maximum(np.hypot(x_m, y_m), 0.1)) / np.log(MARGIN)  # 1 more is the margin farther
    bearing = bearing_deg(x_m, y_m) / SIDE_DEG  # likewise
    ahead = _all_of_kind(kind, np.abs(bearing) < 90.0 / SIDE_DEG)
    left, right = _side(bearing), _side(-bearing)
    by_far, by_bearing = np.lexsort((far, kind)), np.lexsort((bearing, kind))
    maybe_left, maybe_right = by_far[~right[by_far]], by_far[~left[by_far]]
    yield _rank(kind, far, by_far, 0, alone=True)
    yield _rank(kind, far, by_far, 0)
    yield _rank(kind, far, by_far[::-1], 0)
    yield ahead & _rank(kind, bearing, by_bearing[::-1], 0)
    yield ahead & _rank(kind, bearing, by_bearing, 0)
    yield left & _rank(kind, far, maybe_left, 0, alone=True)
    yield right & _rank(kind, far, maybe_right, 0, alone=True)
    yield left & _rank(kind, far, maybe_left, 0)
    yield right & _rank(kind, far, maybe_right, 0)
    yield _rank(kind, far, by_far, 1)
    yield left & _rank(kind, far, maybe_left[::-1], 0)
    yield right & _rank(kind, far, maybe_right[::-1], 0)


def _side(bearing: Float[np.ndarray, "n"]) -> Bool[np.ndarray, "n"]:
    """Clearly to the left; bearings in units of SIDE_DEG."""
    return (bearing > 1.0) & (bearing < 180.0 / SIDE_DEG - 1.0)


def _rank(
    kind: Int[np.ndarray, "n"],
    value: Float[np.ndarray, "n"],
    order: Int[np.ndarray, "k"],
    rank: int,
    alone: bool = False,
) -> Bool[np.ndarray, "n"]:
    """Which agents are at a place of their kind, with neighbours in order at least 1 away.

    Args:
        kind: whom each is compared with.
        value: what they are ordered by.
        order: who takes part, kind after kind, each by rising or by falling value.
        rank: the place, from 0.
        alone: only those that nobody else is compared with.
    """
    same = kind[order][1:] == kind[order][:-1]
    step = np.where(same, np.abs(np.diff(value[order])), np.inf)
    before, after = np.r_[np.inf, step], np.r_[step, np.inf]
    first = np.r_[True, ~same][: len(order)]
    place = np.arange(len(order)) - np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))
    chosen = (place == rank) & (before >= 1.0)[: len(order)] & (after >= 1.0)[: len(order)]
    if alone:
        chosen &= np.isinf(after)[: len(order)]
    holds = np.zeros(len(kind), dtype=bool)
    holds[order[chosen]] = True
    return holds


def _all_of_kind(kind: Int[np.ndarray, "n"], holds: Bool[np.ndarray, "n"]) -> Bool[np.ndarray, "n"]:
    """Whether something holds for all agents of one's kind."""
    fails = np.zeros(int(kind.max(initial=-1)) + 1, dtype=bool)
    fails[kind[~holds]] = True
    return np.asarray(~fails[kind])


def _rows_in(drive: Drive, frames: Int[np.ndarray, "g"]) -> tuple[np.ndarray, np.ndarray]:
    """All rows of the track table in some frames: which of the frames, and the row."""
    first, count = drive.first_row[frames], drive.first_row[frames + 1] - drive.first_row[frames]
    group = np.repeat(np.arange(len(frames)), count)
    within = np.arange(len(group)) - np.repeat(np.cumsum(count) - count, count)
    return group, first[group] + within


def _seen(drive: Drive, groups: Groups, rows: Int[np.ndarray, "n"]) -> Bool[np.ndarray, "n"]:
    cameras = [
        camera
        for camera, offset_s in zip(groups.context_cameras, groups.offsets_s, strict=True)
        if camera is not None and offset_s == 0
    ]
    if not cameras:
        return np.ones(len(rows), dtype=bool)
    return np.asarray(np.any([drive.regions[camera][rows, 4] >= SEEN for camera in cameras], axis=0))
