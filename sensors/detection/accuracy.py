"""How good detected boxes are: recall, precision and errors of the centre against labelled boxes.

Best first, a detection takes the nearest free label of its class whose centre is within 2 m on the ground plane, as in nuScenes'
detection task. Labels that cannot be asked for (few returns, out of range or view) count neither as missed nor as found.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

MATCH_M = 2.0


@dataclass(frozen=True, eq=False)
class BoxSet:
    """Boxes of one class in one frame, as rows (x, y, z, length, width, height, yaw), with a weight.

    Attributes:
        boxes: metres and radians.
        value: of detections the score.
        counted: labels that are asked for; of detections those that lie in range and view.
    """

    boxes: Float[np.ndarray, "n 7"]
    value: Float[np.ndarray, "n"]
    counted: Bool[np.ndarray, "n"]


@dataclass(frozen=True, eq=False)
class Matches:
    """Outcome of one or more frames.

    Attributes:
        score: of each detection that counts.
        label: the row in `labels` that it takes, -1 where it takes none.
        labels: the counted labels' boxes.
        found: the detections' boxes.
    """

    score: Float[np.ndarray, "n"]
    label: Int[np.ndarray, "n"]
    labels: Float[np.ndarray, "m 7"]
    found: Float[np.ndarray, "n 7"]

    def at(self, min_score: float) -> tuple[float, float, int]:
        """Recall, precision and number of detections from a score on."""
        kept = self.score >= min_score
        hits = int((self.label[kept] >= 0).sum())
        return hits / max(len(self.labels), 1), hits / max(int(kept.sum()), 1), int(kept.sum())

    def pairs(self, min_score: float) -> tuple[Float[np.ndarray, "k 7"], Float[np.ndarray, "k 7"]]:
        """Detected and labelled boxes that belong together."""
        kept = (self.score >= min_score) & (self.label >= 0)
        return self.found[kept], self.labels[self.label[kept]]


def match_frame(detections: BoxSet, labels: BoxSet) -> Matches:
    """Match one frame; detections of labels that are not counted fall out."""
    order = np.argsort(-detections.value, kind="stable")
    distance_m = np.linalg.norm(detections.boxes[:, None, :2] - labels.boxes[None, :, :2], axis=-1)
    place = np.where(labels.counted, np.cumsum(labels.counted) - 1, -1)
    free = np.ones(len(labels.boxes), dtype=bool)
    score, label, found = [], [], []
    for one in order.tolist():
        near_m = np.where(free, distance_m[one], np.inf)
        nearest = int(np.argmin(near_m)) if len(near_m) else -1
        hit = nearest >= 0 and near_m[nearest] <= MATCH_M
        if hit:
            free[nearest] = False
        if not (labels.counted[nearest] if hit else detections.counted[one]):
            continue
        score.append(detections.value[one])
        label.append(int(place[nearest]) if hit else -1)
        found.append(detections.boxes[one])
    return Matches(
        np.array(score, dtype=np.float64),
        np.array(label, dtype=np.int64),
        labels.boxes[labels.counted],
        np.array(found, dtype=np.float64).reshape(-1, 7),
    )


def join(parts: list[Matches]) -> Matches:
    """Several frames as one."""
    starts = np.cumsum([0, *(len(part.labels) for part in parts)])
    label = [np.where(part.label >= 0, part.label + start, -1) for part, start in zip(parts, starts, strict=False)]
    return Matches(
        np.concatenate([part.score for part in parts]),
        np.concatenate(label),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.found for part in parts]),
    )


@dataclass(frozen=True)
class CentreError:
    """Errors of matched boxes.

    Attributes:
        pairs: how many.
        median_m: median distance of the centres on the ground plane.
        mean_m: its mean.
        away_m: mean of the error along the ray from the ego, positive: detected too far away.
        left_m: mean of the error across the ray.
        height_m: mean error of the centre's height.
        yaw_deg: median error of the direction, front and back taken as one.
    """

    pairs: int
    median_m: float
    mean_m: float
    away_m: float
    left_m: float
    height_m: float
    yaw_deg: float


def centre_error(found: Float[np.ndarray, "k 7"], labels: Float[np.ndarray, "k 7"]) -> CentreError:
    """Errors of pairs; NaN without any."""
    if not len(found):
        return CentreError(0, *([float("nan")] * 6))
    offset_m = found[:, :2] - labels[:, :2]
    ray = labels[:, :2] / np.linalg.norm(labels[:, :2], axis=1, keepdims=True)
    distance_m = np.linalg.norm(offset_m, axis=1)
    away_m, left_m = (offset_m * ray).sum(axis=1), ray[:, 0] * offset_m[:, 1] - ray[:, 1] * offset_m[:, 0]
    turn = np.abs((found[:, 6] - labels[:, 6] + np.pi / 2) % np.pi - np.pi / 2)
    return CentreError(
        len(found),
        float(np.median(distance_m)),
        float(distance_m.mean()),
        float(away_m.mean()),
        float(left_m.mean()),
        float((found[:, 2] - labels[:, 2]).mean()),
        float(np.degrees(np.median(turn))),
    )
