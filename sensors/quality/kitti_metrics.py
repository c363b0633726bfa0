"""The 3D tracking metrics of the KITTI benchmark: sAMOTA, AMOTA, AMOTP and CLEAR MOT at the best threshold.

Definitions: Weng et al., "3D Multi-Object Tracking: A Baseline and New Evaluation Metrics", IROS 2020, and the evaluation
that its authors published with it (AB3DMOT), down to its rounding: equal files give equal numbers.

A track counts with the mean of its scores. 40 thresholds on it divide the recall into equal steps. At each one
MOTA_r = 1 - (misses + false alarms + switches) / objects, and sMOTA_r = clip(1 - (misses + false alarms + switches -
(1 - r) objects) / (r objects), 0, 1); AMOTA, sAMOTA and AMOTP are the means over the 40, 0 where a recall is not reached.
MOTA, MOTP, switches, … are those at the threshold with the greatest MOTA.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Bool, Float, Int

from drive_vqa.errors import ConfigError, LogFormatError
from sensors.quality.clear_mot import NOT_TRACKED, Pairs, best_match, same_instant, switches_and_fragments
from sensors.quality.kitti_tracks import DONT_CARE, MAX_FRAME, MAX_ID, KittiSequence
from sensors.quality.rotated_iou import Boxes, upright_iou

NEIGHBOUR = {"Car": "Van", "Pedestrian": "Person_sitting", "Cyclist": ""}
"""Each class with the one that is so near to it that confusing them is no error."""

RECALL_POINTS = 40
MIN_IOU = 0.25
MAX_TRUNCATED = 0
MAX_OCCLUDED = 2
MIN_HEIGHT_PX = 25.0
DONT_CARE_COVERAGE = 0.5
NO_SCORE = -1.0


@dataclass(frozen=True)
class KittiScores:
    """Scores of one class; fractions, not per cent. NaN where the truth holds no object that counts.

    Attributes:
        samota: mean over the recalls of MOTA scaled to the recall.
        amota: mean MOTA over the recalls.
        amotp: mean over the recalls of the mean IoU of matches.
        mota: at the best threshold, as are all that follow.
        motp: mean IoU of the matches.
        id_switches: changes of identity.
        fragments: interruptions.
        recall: share of the objects (ignored ones that were found included, as in the original).
        precision: share of the tracked boxes, alike.
        true_positives: matches, ignored objects included.
        false_positives: tracked boxes without an object.
        misses: objects without a tracked box.
        objects: that count.
        threshold: the least mean score of a track that was used; -inf: all were.
    """

    samota: float
    amota: float
    amotp: float
    mota: float
    motp: float
    id_switches: int
    fragments: int
    recall: float
    precision: float
    true_positives: int
    false_positives: int
    misses: int
    objects: int
    threshold: float


def evaluate_kitti(
    truth: Mapping[str, KittiSequence],
    results: Mapping[str, KittiSequence],
    kitti_class: str,
    *,
    exact: bool = False,
) -> KittiScores:
    """Score the tracks of one class over several sequences.

    Args:
        truth: labels by sequence.
        results: tracks of at least these sequences, of any classes; others are not looked at.
        kitti_class: `Car`, `Pedestrian` or `Cyclist`.
        exact: leave out the original's rounding, which drops some of the tracks that set a threshold (see `_Passes`);
            figures are then no longer comparable with published ones, which may be lower by several per cent.

    Raises:
        ConfigError: the class is not known.
        LogFormatError: a sequence has no results, or an id comes twice in a frame.
    """
    if kitti_class not in NEIGHBOUR:
        raise ConfigError(f"class {kitti_class!r} is not one of {', '.join(NEIGHBOUR)}")
    run = _Passes(_Scene.of(truth, results, kitti_class), exact=exact)
    everything = run.at(-np.inf)
    thresholds, recalls = _thresholds(everything.matched_scores, everything.true_positives + everything.misses)
    points = [run.at(threshold) for threshold in thresholds]
    best, best_mota = -np.inf, 0.0
    for threshold, point in zip(thresholds, points, strict=True):
        if point.mota > best_mota:
            best, best_mota = threshold, point.mota
    return _scores(points, recalls, run.at(best), best)


@dataclass(frozen=True)
class _Joined:
    """The boxes of several sequences; `instant` and `owner` tell the frames and ids of different sequences apart."""

    boxes: KittiSequence
    instant: Int[np.ndarray, "n"]
    owner: Int[np.ndarray, "n"]

    @classmethod
    def of(cls, sequences: list[KittiSequence]) -> _Joined:
        boxes = KittiSequence(
            **{c.name: np.concatenate([getattr(s, c.name) for s in sequences]) for c in fields(KittiSequence)}
        )
        sequence = np.repeat(np.arange(len(sequences)), [len(s) for s in sequences])
        return cls(boxes, sequence * MAX_FRAME + boxes.frame, sequence * (2 * MAX_ID) + boxes.track_id)

    def ordered(self, order: Int[np.ndarray, "n"]) -> _Joined:
        return _Joined(self.boxes.only(order), self.instant[order], self.owner[order])


@dataclass(frozen=True)
class _Scene:
    """The boxes of one class over all sequences.

    Truth is in order of trajectory and time; tracked boxes in order of sequence and frame, the order in which the original
    adds scores.

    Attributes:
        instant: of each truth box.
        owner: its trajectory.
        ignored: it does not count.
        track: of each tracked box, from 0.
        score: its own.
        ignorable: it is no false alarm where it matches nothing.
        pairs: candidates, at a cost of 1 - IoU.
    """

    instant: Int[np.ndarray, "t"]
    owner: Int[np.ndarray, "t"]
    ignored: Bool[np.ndarray, "t"]
    track: Int[np.ndarray, "d"]
    score: Float[np.ndarray, "d"]
    ignorable: Bool[np.ndarray, "d"]
    pairs: Pairs

    @classmethod
    def of(cls, truth: Mapping[str, KittiSequence], results: Mapping[str, KittiSequence], kitti_class: str) -> _Scene:
        for name in truth:
            if name not in results:
                raise LogFormatError(f"sequence {name!r} has no results: write a file for it, empty if need be")
        if not truth:
            raise LogFormatError("there are no labels to compare with: name a folder that holds some")
        objects = _Joined.of([_of_class(boxes, kitti_class) for boxes in truth.values()])
        areas = _Joined.of([boxes.only(boxes.type == DONT_CARE) for boxes in truth.values()])
        tracked = _Joined.of([_of_class(results[name], kitti_class) for name in truth])
        objects = objects.ordered(np.lexsort((objects.instant, objects.owner)))
        tracked = tracked.ordered(np.argsort(tracked.instant, kind="stable"))
        _check_unique(tracked, tuple(truth))
        return cls(
            instant=objects.instant,
            owner=objects.owner,
            ignored=_is_ignored(objects.boxes, kitti_class),
            track=np.unique(tracked.owner, return_inverse=True)[1].astype(np.int64),
            score=np.nan_to_num(tracked.boxes.score, nan=NO_SCORE),
            ignorable=_is_ignorable(tracked, areas, kitti_class),
            pairs=_candidates(objects, tracked),
        )


def _of_class(boxes: KittiSequence, kitti_class: str) -> KittiSequence:
    """Boxes of the class and of its neighbour that have a track."""
    return boxes.only(np.isin(boxes.type, [kitti_class, NEIGHBOUR[kitti_class]]) & (boxes.track_id >= 0))


def _check_unique(tracked: _Joined, names: tuple[str, ...]) -> None:
    order = np.lexsort((tracked.owner, tracked.instant))
    twice = (np.diff(tracked.instant[order]) == 0) & (np.diff(tracked.owner[order]) == 0)
    if twice.any():
        at = int(order[int(np.argmax(twice))])
        raise LogFormatError(
            f"results of sequence {names[int(tracked.instant[at]) // MAX_FRAME]!r}: track {int(tracked.boxes.track_id[at])}"
            f" comes twice in frame {int(tracked.boxes.frame[at])}: leave one"
        )


def _is_ignored(objects: KittiSequence, kitti_class: str) -> Bool[np.ndarray, "n"]:
    """Truth that counts neither when found nor when missed: cut off by the image, well hidden, or of the neighbour class."""
    hidden = (objects.occluded > MAX_OCCLUDED) | (objects.truncated > MAX_TRUNCATED)
    return np.asarray(hidden | (objects.type != kitti_class))


def _is_ignorable(tracked: _Joined, areas: _Joined, kitti_class: str) -> Bool[np.ndarray, "n"]:
    """Tracked boxes that may match nothing: of the neighbour class, small in the image, or mostly over a `DontCare` area."""
    boxes = tracked.boxes
    height_px = np.abs(boxes.box2d_px[:, 3] - boxes.box2d_px[:, 1])
    ignorable = (boxes.type != kitti_class) | (height_px <= MIN_HEIGHT_PX)
    for box, area in same_instant(tracked.instant, areas.instant):
        ignorable[box[_coverage(boxes.box2d_px[box], areas.boxes.box2d_px[area]) > DONT_CARE_COVERAGE]] = True
    return np.asarray(ignorable)


def _coverage(boxes_px: Float[np.ndarray, "n 4"], areas_px: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n"]:
    """Share of each box that its area covers, [0, 1]."""
    low, high = np.maximum(boxes_px[:, :2], areas_px[:, :2]), np.minimum(boxes_px[:, 2:], areas_px[:, 2:])
    shared = np.clip(high - low, 0.0, None).prod(-1)
    size = (boxes_px[:, 2:] - boxes_px[:, :2]).prod(-1)
    return np.asarray(np.divide(shared, size, out=np.zeros_like(shared), where=shared > 0))


def _candidates(objects: _Joined, tracked: _Joined) -> Pairs:
    """Pairs of one frame whose boxes overlap enough, in 3D."""
    a, b = _upright(objects.boxes), _upright(tracked.boxes)
    parts = [_overlapping(a, b, *part) for part in same_instant(objects.instant, tracked.instant)]
    if not parts:
        return Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    columns = [[getattr(part, name) for part in parts] for name in ("truth", "tracked", "cost")]
    return Pairs(*(np.concatenate(column) for column in columns))


def _overlapping(
    a: Float[np.ndarray, "t 7"], b: Float[np.ndarray, "d 7"], truth: Int[np.ndarray, "k"], box: Int[np.ndarray, "k"]
) -> Pairs:
    reach = 0.5 * (np.hypot(a[truth, 3], a[truth, 4]) + np.hypot(b[box, 3], b[box, 4]))
    near = np.hypot(a[truth, 0] - b[box, 0], a[truth, 1] - b[box, 1]) < reach
    truth, box = truth[near], box[near]
    cost = 1.0 - upright_iou(a[truth], b[box])
    return Pairs(truth, box, cost).only(cost <= 1.0 - MIN_IOU)


def _upright(boxes: KittiSequence) -> Boxes:
    """Boxes with their centres in axes x forward (z of the camera), y left, z up."""
    yaw_rad = -boxes.rotation_y_rad - np.pi / 2
    centre = [boxes.z_m, -boxes.x_m, boxes.h_m / 2 - boxes.y_m]
    return np.stack([*centre, boxes.l_m, boxes.w_m, boxes.h_m, yaw_rad], axis=-1)


@dataclass(frozen=True)
class _Point:
    """What is counted at one threshold."""

    matched_scores: Float[np.ndarray, "m"]
    true_positives: int
    false_positives: int
    misses: int
    id_switches: int
    fragments: int
    objects: int
    motp: float

    @property
    def errors(self) -> int:
        return self.misses + self.false_positives + self.id_switches

    @property
    def mota(self) -> float:
        return 1 - self.errors / self.objects if self.objects else float("nan")

    def smota(self, recall: float) -> float:
        """MOTA as a share of what is possible at this recall."""
        if not self.objects:
            return float("nan")
        return min(1.0, max(0.0, 1 - (self.errors - (1 - recall) * self.objects) / (recall * self.objects)))


class _Passes:
    """Counts at one threshold after the other.

    Two things are carried from one pass to the next, because the original keeps them in its boxes: the mean scores, which are
    averaged again (rounding may move the mean that sets the threshold below it, and so drop its track; not if `exact`), and
    which boxes ever had a match (those are false alarms where they lose it, even if they are ignorable).
    """

    def __init__(self, scene: _Scene, *, exact: bool) -> None:
        self.exact = exact
        self.scene = scene
        self.score = scene.score
        self.matched_before = np.zeros(len(scene.track), dtype=bool)
        self._average()

    def _average(self) -> None:
        """Give every box the mean score of its track, added up in the order of time as the original does."""
        track = self.scene.track
        self.score = (np.bincount(track, weights=self.score) / np.maximum(np.bincount(track), 1))[track]

    def at(self, threshold: float) -> _Point:
        """Counts of the tracks whose mean score is at least `threshold`."""
        scene = self.scene
        active = self.score >= threshold
        pairs = scene.pairs.only(active[scene.pairs.tracked])
        match = pairs.only(best_match(pairs, scene.instant[pairs.truth]))
        box = match.tracked
        self.matched_before[box] = True
        tracked_by = np.full(len(scene.instant), NOT_TRACKED)
        tracked_by[match.truth] = scene.track[box]
        missed = (tracked_by == NOT_TRACKED) & ~scene.ignored
        switch, fragment = switches_and_fragments(scene.owner, tracked_by, scene.ignored)
        matched_scores = self.score[box]
        if not self.exact:
            self._average()
        forgiven = active & scene.ignorable & ~self.matched_before
        return _Point(
            matched_scores=matched_scores,
            true_positives=len(box),
            false_positives=int(active.sum()) - len(box) - int(forgiven.sum()),
            misses=int(missed.sum()),
            id_switches=int(switch.sum()),
            fragments=int(fragment.sum()),
            objects=int((~scene.ignored).sum()),
            motp=float((1.0 - match.cost).sum()) / max(len(box), 1),
        )


def _thresholds(scores: Float[np.ndarray, "n"], objects: int) -> tuple[list[float], list[float]]:
    """The scores at which recall reaches 1/40, 2/40, …, and these recalls."""
    thresholds, recalls, recall = [], [], 0.0
    ordered = np.sort(scores)[::-1].tolist()
    for i, score in enumerate(ordered):
        last = i == len(ordered) - 1
        here, following = (i + 1) / objects, (i + (1 if last else 2)) / objects
        if not last and following - recall < recall - here:  # the next score is nearer to the recall that is sought
            continue
        thresholds.append(score)
        recalls.append(recall)
        recall += 1 / RECALL_POINTS
    return thresholds[1:], recalls[1:]  # the first is recall 0


def _scores(points: list[_Point], recalls: list[float], best: _Point, threshold: float) -> KittiScores:
    found, tracked = best.true_positives + best.misses, best.true_positives + best.false_positives
    return KittiScores(
        samota=sum(point.smota(recall) for point, recall in zip(points, recalls, strict=True)) / RECALL_POINTS,
        amota=sum(point.mota for point in points) / RECALL_POINTS,
        amotp=sum(point.motp for point in points) / RECALL_POINTS,
        mota=best.mota,
        motp=best.motp,
        id_switches=best.id_switches,
        fragments=best.fragments,
        recall=best.true_positives / found if found else 0.0,
        precision=best.true_positives / tracked if tracked else 0.0,
        true_positives=best.true_positives,
        false_positives=best.false_positives,
        misses=best.misses,
        objects=best.objects,
        threshold=threshold,
    )
