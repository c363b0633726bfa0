"""CLEAR MOT and AMOTA with matching by centre distance, as nuScenes' tracking benchmark defines them.

An object keeps the track that it was last matched with while that stays near; what is left is matched at the least total
distance; a match with another track than the last one is a switch. A track counts with its mean score; 40 thresholds on it
stand for the recalls 0.1 … 1.0. MOTAR = max(0, 1 - (misses + switches + false alarms - (1 - r) objects) / (r objects)) with the
recall r of matches that are no switches; AMOTA and AMOTP are means over the 40, with 0 and 2 m for a recall not reached.
Sources: Bernardin and Stiefelhagen 2008; https://www.nuscenes.org/tracking.

All logs and categories run side by side, one step of time after the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial import cKDTree

from sensors.quality.clear_mot import NOT_TRACKED, Pairs, best_match
from sensors.quality.track_boxes import CATEGORY_NAMES, Comparison

MATCH_RADIUS_M = 2.0
RECALLS = np.linspace(0.1, 1.0, 40).round(12)
WORST_AMOTP_M = 2.0
KINDS = len(CATEGORY_NAMES)
APART = 1e4
"""Keeps instants and categories from being near each other in the search tree, metres."""


@dataclass(frozen=True)
class Matches:
    """The matches of one pass.

    Attributes:
        pairs: matched truth and fused boxes; the cost is their distance, metres.
        switch: the object's last match was another track.
        active: fused boxes that took part.
    """

    pairs: Pairs
    switch: Bool[np.ndarray, "m"]
    active: Bool[np.ndarray, "f"]


@dataclass(frozen=True)
class ClearMot:
    """Counts of one category at one threshold, and what follows from them.

    Attributes:
        threshold: least mean score of a track that was used.
        objects: truth boxes.
        matches: matched by the track of before, or for the first time.
        id_switches: matched by another track than before.
        misses: truth boxes without a match.
        false_positives: fused boxes without a match.
        fragments: interruptions of a match that was taken up again.
        motp_m: mean distance of matched centres; NaN without any.
    """

    threshold: float
    objects: int
    matches: int
    id_switches: int
    misses: int
    false_positives: int
    fragments: int
    motp_m: float

    @property
    def mota(self) -> float:
        """1 - errors / objects; may be negative. NaN without objects."""
        return 1.0 - self.errors / self.objects if self.objects else float("nan")

    @property
    def motar(self) -> float:
        """MOTA scaled to the recall, at least 0; NaN without matches."""
        if not self.matches:
            return float("nan")
        return max(0.0, 1.0 - (self.errors - (self.objects - self.matches)) / self.matches)

    @property
    def errors(self) -> int:
        """Misses, switches and false alarms."""
        return self.misses + self.id_switches + self.false_positives

    @property
    def recall(self) -> float:
        """Share of the objects that are matched; NaN without objects."""
        return (self.matches + self.id_switches) / self.objects if self.objects else float("nan")

    @property
    def precision(self) -> float:
        """Share of the fused boxes that are matched; NaN without any."""
        found = self.matches + self.id_switches
        return found / (found + self.false_positives) if found + self.false_positives else float("nan")


@dataclass(frozen=True)
class CentreScores:
    """Scores of one category.

    Attributes:
        amota: NaN where the truth has no object of the category.
        amotp_m: alike.
        best: at the threshold with the greatest MOTA.
        delivered: all tracks.
    """

    amota: float
    amotp_m: float
    best: ClearMot
    delivered: ClearMot


def score_centres(comparison: Comparison) -> tuple[dict[str, CentreScores], Matches]:
    """Score every category that truth or fused tracks hold.

    Returns:
        scores by category, and the matches of all tracks (no threshold).
    """
    candidates = _candidates(comparison)
    everything = _match(comparison, candidates, np.full(KINDS, -np.inf))
    thresholds = _thresholds(comparison, everything)
    passes = [_count(comparison, _match(comparison, candidates, level), level) for level in thresholds.T]
    delivered = _count(comparison, everything, np.full(KINDS, -np.inf))
    present = np.union1d(comparison.truth.category, comparison.fused.category)
    scores = {
        CATEGORY_NAMES[kind]: _scores([counts[kind] for counts in passes], delivered[kind]) for kind in present.tolist()
    }
    return scores, everything


def _candidates(comparison: Comparison) -> Pairs:
    """Pairs of one instant and category nearer than 2 m, in order of time."""
    truth, fused = comparison.truth, comparison.fused
    if not len(truth) or not len(fused):
        return Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    _, instant = np.unique(np.concatenate([truth.instant, fused.instant]), return_inverse=True)
    kind = np.concatenate([truth.category, fused.category])
    ground = np.concatenate([truth.xyz_m[:, :2], fused.xyz_m[:, :2]])
    points = np.column_stack([ground, APART * instant, APART * kind])
    trees = cKDTree(points[: len(truth)]), cKDTree(points[len(truth) :])
    near = trees[0].sparse_distance_matrix(trees[1], MATCH_RADIUS_M, output_type="ndarray")
    pairs = Pairs(near["i"].astype(np.int64), near["j"].astype(np.int64), near["v"].astype(np.float64))
    pairs = pairs.only(pairs.cost < MATCH_RADIUS_M)
    return pairs.only(np.lexsort((pairs.tracked, pairs.truth, truth.step[pairs.truth])))


def _match(comparison: Comparison, candidates: Pairs, thresholds: Float[np.ndarray, "kinds"]) -> Matches:
    """Go through time, with the tracks whose score is at least their category's threshold (NaN: none)."""
    truth, fused = comparison.truth, comparison.fused
    active = fused.score >= thresholds[fused.category]
    pairs = candidates.only(active[candidates.tracked])
    step, owner, track = truth.step[pairs.truth], truth.track[pairs.truth], fused.track[pairs.tracked]
    instant = truth.instant[pairs.truth]
    held = np.full(int(truth.track.max(initial=-1)) + 1, NOT_TRACKED)
    chosen, switched = [np.zeros(0, np.int64)], [np.zeros(0, bool)]
    bounds = np.flatnonzero(np.diff(step, prepend=-1, append=int(step[-1]) + 1 if len(step) else 0))
    for start, end in pairwise(bounds):
        now = slice(start, end)
        taken = start + _step(pairs.only(np.arange(start, end)), held[owner[now]] == track[now], instant[now])
        before = held[owner[taken]]
        chosen.append(taken)
        switched.append((before != NOT_TRACKED) & (before != track[taken]))
        held[owner[taken]] = track[taken]
    return Matches(pairs.only(np.concatenate(chosen)), np.concatenate(switched), active)


def _step(pairs: Pairs, kept: Bool[np.ndarray, "n"], instant: Int[np.ndarray, "n"]) -> Int[np.ndarray, "m"]:
    """Which pairs of one step of time are matched: those kept first, then the best of the rest."""
    kept_at = np.flatnonzero(kept)
    kept_at = kept_at[np.unique(pairs.tracked[kept_at], return_index=True)[1]]  # two objects may claim one track
    free = np.flatnonzero(~np.isin(pairs.truth, pairs.truth[kept_at]) & ~np.isin(pairs.tracked, pairs.tracked[kept_at]))
    return np.concatenate([kept_at, free[best_match(pairs.only(free), instant[free])]])


def _thresholds(comparison: Comparison, everything: Matches) -> Float[np.ndarray, "kinds recalls"]:
    """Score at which each recall is reached, by category; NaN where it is not."""
    thresholds = np.full((KINDS, len(RECALLS)), np.nan)
    steady = everything.pairs.only(~everything.switch)
    kind = comparison.truth.category[steady.truth]
    objects = np.bincount(comparison.truth.category, minlength=KINDS)
    for index in np.unique(kind):
        scores = np.sort(comparison.fused.score[steady.tracked[kind == index]])[::-1]
        recall = np.arange(1, len(scores) + 1) / objects[index]
        reached = np.interp(RECALLS, recall, scores)
        thresholds[index] = np.where(recall[-1] >= RECALLS, reached, np.nan)
    return thresholds


def _count(comparison: Comparison, matches: Matches, thresholds: Float[np.ndarray, "kinds"]) -> list[ClearMot]:
    """Counts by category."""
    truth, fused, pairs = comparison.truth, comparison.fused, matches.pairs
    kind = truth.category[pairs.truth]
    objects, found = np.bincount(truth.category, minlength=KINDS), np.bincount(kind, minlength=KINDS)
    switches = np.bincount(kind[matches.switch], minlength=KINDS)
    distance_m = np.bincount(kind, weights=pairs.cost, minlength=KINDS)
    boxes = np.bincount(fused.category[matches.active], minlength=KINDS)
    hit = np.zeros(len(truth), dtype=bool)
    hit[pairs.truth] = True
    fragments = np.bincount(truth.category[lost_and_found(truth.track, hit)], minlength=KINDS)
    return [
        ClearMot(
            threshold=float(thresholds[k]),
            objects=int(objects[k]),
            matches=int(found[k] - switches[k]),
            id_switches=int(switches[k]),
            misses=int(objects[k] - found[k]),
            false_positives=int(boxes[k] - found[k]),
            fragments=int(fragments[k]),
            motp_m=float(distance_m[k] / found[k]) if found[k] else float("nan"),
        )
        for k in range(KINDS)
    ]


def lost_and_found(track: Int[np.ndarray, "n"], hit: Bool[np.ndarray, "n"]) -> Bool[np.ndarray, "n"]:
    """The last matched box before each gap that ends in another match; boxes are in order of track and time."""
    if not len(track):
        return np.zeros(0, dtype=bool)
    place = np.arange(len(track))
    last_hit = np.full(int(track.max()) + 1, -1)
    np.maximum.at(last_hit, track[hit], place[hit])
    missed_next = np.r_[(track[1:] == track[:-1]) & ~hit[1:], False]
    return np.asarray(hit & missed_next & (last_hit[track] > place))


def _scores(counts: list[ClearMot], delivered: ClearMot) -> CentreScores:
    """Means over the recalls, and the best of them (the greatest recall among equals)."""
    if not delivered.objects:
        return CentreScores(float("nan"), float("nan"), delivered, delivered)
    reached = [count for count in counts if not np.isnan(count.threshold)]
    motar = [0.0 if np.isnan(count.motar) else count.motar for count in reached]
    motp_m = [WORST_AMOTP_M if np.isnan(count.motp_m) else count.motp_m for count in reached]
    unreached = len(counts) - len(reached)
    best = max(reversed(reached), key=lambda count: max(count.mota, 0.0), default=delivered)
    return CentreScores(
        amota=sum(motar) / len(counts),
        amotp_m=(sum(motp_m) + WORST_AMOTP_M * unreached) / len(counts),
        best=best,
        delivered=delivered,
    )
