"""Which of the filter's tracks are kept, how sure of them we are, and which way they face.

How sure: the detector's scores, as log-odds, averaged over all scans from a track's first box to its last, where a scan
without a box adds 0; plus the logarithm of the number of boxes, since false alarms seldom last.

A track that lies in a surer track of another group for half of its life is that same object under another name (a cyclist who was
also taken for a pedestrian), and goes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial import cKDTree

from sensors.tracking.bank import GROUP
from sensors.tracking.history import Steps
from sensors.tracking.motion import VX, VY, YAW

SAME_SHARE = 0.5
FACING_M, FACING_MPS = 2.0, 0.7
"""Who drives further and faster than this faces where it goes; else the detector's boxes are asked."""


@dataclass(frozen=True, eq=False)
class Kept:
    """Steps of the tracks that are kept, from their first 3D box to their last, sorted by track and scan.

    Attributes:
        steps: of the tracks.
        log_odds: of each step's track.
        category: of each step's track, a place in `CATEGORY_NAMES`.
    """

    steps: Steps
    log_odds: Float[np.ndarray, "n"]
    category: Int[np.ndarray, "n"]

    def only(self, keep: Bool[np.ndarray, "n"]) -> Kept:
        """Some steps."""
        return Kept(self.steps.take(keep), self.log_odds[keep], self.category[keep])


def with_enough_boxes(steps: Steps, min_hits: int) -> Steps:
    """The steps of tracks with at least so many 3D boxes; the rest is mostly false alarms."""
    hits = np.bincount(steps.track[steps.detection >= 0], minlength=int(steps.track.max(initial=0)) + 1)
    return steps.take(np.flatnonzero(hits[steps.track] >= min_hits))


def keep_tracks(
    steps: Steps,
    log_odds: Float[np.ndarray, "d"],
    category: Int[np.ndarray, "d"],
    boxed: Bool[np.ndarray, "s"],
) -> Kept:
    """The tracks that no surer track explains.

    Args:
        steps: of all tracks, in order of time.
        log_odds: how sure the detector was of each row of the detections table.
        category: of each row, a place in `CATEGORY_NAMES`.
        boxed: which scans are of 3D boxes.
    """
    steps = steps.take(np.lexsort((steps.scan, steps.track)))
    track = np.unique(steps.track, return_inverse=True)[1]
    hit = steps.detection >= 0
    first, last = _ends(track, steps.scan, hit)
    alive = (steps.scan >= first[track]) & (steps.scan <= last[track])
    hits = np.bincount(track[hit], minlength=len(first))
    looks = np.bincount(track[alive & boxed[steps.scan]], minlength=len(first))
    evidence = np.bincount(track[hit], weights=log_odds[steps.detection[hit]], minlength=len(first))
    sure = evidence / np.maximum(looks, 1) + np.log(np.maximum(hits, 1))
    votes = np.zeros((len(first), int(category.max(initial=0)) + 1))
    np.add.at(votes, (track[hit], category[steps.detection[hit]]), 1.0)
    kept = Kept(steps.take(alive), sure[track[alive]], votes.argmax(axis=1)[track[alive]])
    return kept.only(~np.isin(kept.steps.track, _explained(kept)))


def _ends(
    track: Int[np.ndarray, "n"], scan: Int[np.ndarray, "n"], hit: Bool[np.ndarray, "n"]
) -> tuple[Int[np.ndarray, "t"], Int[np.ndarray, "t"]]:
    """First and last scan with a box of each track."""
    count = int(track.max(initial=-1)) + 1
    first, last = np.full(count, np.iinfo(np.int64).max), np.full(count, -1)
    np.minimum.at(first, track[hit], scan[hit])
    np.maximum.at(last, track[hit], scan[hit])
    return first, last


def _explained(kept: Kept) -> Int[np.ndarray, "k"]:
    """Tracks that lie in a surer one of another group, surest first."""
    weak, strong = _inside(kept)
    if not len(weak):
        return weak
    track = kept.steps.track
    pairs, shared = np.unique(np.stack([track[weak], track[strong]], axis=1), axis=0, return_counts=True)
    numbers, first, length = np.unique(track, return_index=True, return_counts=True)
    sure = dict(zip(numbers.tolist(), kept.log_odds[first].tolist(), strict=True))
    steps_of = dict(zip(numbers.tolist(), length.tolist(), strict=True))
    gone: set[int] = set()
    ranked = sorted(zip(pairs.tolist(), shared.tolist(), strict=True), key=lambda entry: (-sure[entry[0][1]], entry[0]))
    for (one, other), count in ranked:
        if other not in gone and sure[one] < sure[other] and count >= SAME_SHARE * steps_of[one]:
            gone.add(one)
    return np.array(sorted(gone), dtype=np.int64)


def _inside(kept: Kept) -> tuple[Int[np.ndarray, "k"], Int[np.ndarray, "k"]]:
    """Pairs of steps of one scan and different groups, where the first one's centre lies in the second one's box."""
    steps, group = kept.steps, GROUP[kept.category]
    reach_m = 0.5 * float(np.hypot(steps.shape[:, 1], steps.shape[:, 2]).max(initial=0.0))
    # Scans far apart on a third axis, so that one search finds the neighbours of all of them.
    places = np.column_stack([steps.mean[:, :2], 10.0 * (reach_m + 1.0) * steps.scan])
    parts = [np.empty((0, 2), dtype=np.int64)]
    for number in np.unique(group):
        inner, outer = np.flatnonzero(group == number), np.flatnonzero(group != number)
        if len(outer):
            near = cKDTree(places[inner]).sparse_distance_matrix(cKDTree(places[outer]), reach_m, output_type="ndarray")
            parts.append(np.stack([inner[near["i"]], outer[near["j"]]], axis=1))
    one, other = np.concatenate(parts).T
    offset_m = steps.mean[one, :2] - steps.mean[other, :2]
    cos, sin = np.cos(steps.mean[other, YAW]), np.sin(steps.mean[other, YAW])
    along_m, across_m = offset_m[:, 0] * cos + offset_m[:, 1] * sin, offset_m[:, 1] * cos - offset_m[:, 0] * sin
    size_m = steps.shape[other]
    within = (np.abs(along_m) <= 0.5 * size_m[:, 1]) & (np.abs(across_m) <= 0.5 * size_m[:, 2])
    return one[within], other[within]


def facing(kept: Kept, detected_yaw_rad: Float[np.ndarray, "d"], *, over_ground: bool) -> Float[np.ndarray, "n"]:
    """Yaw of each step, turned by half a turn for tracks that face the other way.

    Args:
        kept: the tracks; their yaw is known up to half a turn.
        detected_yaw_rad: of each row of the detections table, in the tracking frame.
        over_ground: velocities are over ground, so that they tell the front of what drives.
    """
    steps, track = kept.steps, np.unique(kept.steps.track, return_inverse=True)[1]
    yaw_rad = steps.mean[:, YAW]
    hit = steps.detection >= 0
    agree = np.cos(yaw_rad[hit] - detected_yaw_rad[steps.detection[hit]])
    forward = np.bincount(track[hit], weights=np.sign(agree), minlength=int(track.max(initial=-1)) + 1)
    if over_ground:
        speed_mps = steps.mean[:, VX] * np.cos(yaw_rad) + steps.mean[:, VY] * np.sin(yaw_rad)
        driven = np.bincount(track, weights=speed_mps) / np.bincount(track)
        xy_m = steps.mean[:, :2]
        first = np.unique(track, return_index=True)[1]
        gone_m = (
            np.linalg.norm(xy_m[np.r_[first[1:] - 1, len(track) - 1]] - xy_m[first], axis=1) if len(first) else driven
        )
        forward = np.where((gone_m > FACING_M) & (np.abs(driven) > FACING_MPS), driven, forward)
    return np.where(forward[track] < 0, yaw_rad + np.pi, yaw_rad)
