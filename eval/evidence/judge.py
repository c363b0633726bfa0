"""The figures of grounded evidence of one trace: what it claims to see, when and where, against the truth.

A told time means the image taken then, within 0.2 s; surround views share a time. Boxes agree only within images of one time; a
box or point without a time may be of any image. All figures are in [0, 1], higher is better:

    iou_recall, iou_precision, iou_matched   of told boxes, see `eval.evidence.boxes`
    key_time_recall      share of the key times that are told
    key_time_precision   share of the told times, repeats left out, that are key times
    temporal_iou         both in one: key times that are told, of all times that are either
    visual_iou           V-STaR's S over the key times, see `eval.evidence.times`
    points_in_box        share of points that lie in a box of the evidence
    places_in_band       share of judged places within the band of localization answers (25 %, 10°)

Where the evidence holds no box, none but the last applies. Where it does and nothing is told, boxes and times count 0; points and
places count only where there are some. Boxes of marks that the evidence does not name are wrong: no answer rests on them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from eval.evidence.boxes import matched_of, pairwise_iou, precision_of, recall_of
from eval.evidence.points import share_inside
from eval.evidence.times import seconds_iou, visual_iou
from eval.evidence.truth import TrueBox, TrueEvidence
from eval.localization import bearing_ok, distance_ok
from eval.reasoning.trace import PlaceClaim, PointClaim, ReadTrace, SeenClaim

TIME_TOLERANCE_S = 0.2
"""Less than half of the 0.5 s between images, so that a told time means one image at most; more than times are rounded by."""

_REGION = re.compile(r"Region (\d{1,6})")


@dataclass(frozen=True)
class EvidenceFigures:
    """See above; None where a figure does not apply."""

    iou_recall: float | None = None
    iou_precision: float | None = None
    iou_matched: float | None = None
    key_time_recall: float | None = None
    key_time_precision: float | None = None
    temporal_iou: float | None = None
    visual_iou: float | None = None
    points_in_box: float | None = None
    places_in_band: float | None = None


def judge_evidence(trace: ReadTrace, evidence: TrueEvidence) -> EvidenceFigures:
    """All figures of one trace.

    Args:
        trace: as read, well formed or not.
        evidence: of the question that it answers.
    """
    places = _places_in_band(trace.places, evidence)
    if not evidence.boxes:
        return EvidenceFigures(places_in_band=places)
    iou = seen_iou(evidence, trace.seen)
    key_s, told_s = set(evidence.key_times_s), _told_times_s(trace, evidence)
    return EvidenceFigures(
        iou_recall=recall_of(iou),
        iou_precision=precision_of(iou),
        iou_matched=matched_of(iou),
        key_time_recall=len(key_s & told_s) / len(key_s),
        key_time_precision=len(key_s & told_s) / max(len(told_s), 1),
        temporal_iou=seconds_iou(key_s, told_s),
        visual_iou=_visual_iou(evidence, trace.seen),
        points_in_box=_points_in_box(trace.points, evidence),
        places_in_band=places,
    )


def image_time_s(evidence: TrueEvidence, offset_s: float | None) -> float | None:
    """The time of the image that a told time means: the nearest within 0.2 s, else the told time itself; None for none told."""
    if offset_s is None:
        return None
    times_s = (*(frame.offset_s for frame in evidence.frames), *evidence.key_times_s)
    nearest_s = min(times_s, key=lambda time_s: abs(time_s - offset_s), default=math.inf)
    return nearest_s if abs(nearest_s - offset_s) <= TIME_TOLERANCE_S else offset_s


def _told_times_s(trace: ReadTrace, evidence: TrueEvidence) -> set[float]:
    """Of all that is seen or pointed at; repeats left out."""
    meant_s = [image_time_s(evidence, claim.offset_s) for claim in trace.seen]
    meant_s += [image_time_s(evidence, point.offset_s) for point in trace.points]
    return {time_s for time_s in meant_s if time_s is not None}


def seen_iou(evidence: TrueEvidence, seen: Sequence[SeenClaim]) -> Float[np.ndarray, "true told"]:
    """IoU of each box of the evidence with each told box; 0 where they are of different times."""
    iou = pairwise_iou(_box_array(evidence.boxes), _told_array(seen))
    return np.where(same_time(evidence, seen), iou, 0.0)


def same_time(
    evidence: TrueEvidence, claims: Sequence[SeenClaim] | Sequence[PointClaim]
) -> Bool[np.ndarray, "true told"]:
    """Whether a claim may be of the image that a box of the evidence lies in."""
    true_s = np.array([box.offset_s for box in evidence.boxes], dtype=np.float64)
    meant_s = [image_time_s(evidence, claim.offset_s) for claim in claims]
    told_s = np.array([math.nan if time_s is None else time_s for time_s in meant_s], dtype=np.float64)
    return np.asarray((true_s[:, None] == told_s[None, :]) | np.isnan(told_s)[None, :])


def _visual_iou(evidence: TrueEvidence, seen: Sequence[SeenClaim]) -> float:
    """A told box without a time is compared in every key image."""
    same = same_time(evidence, seen)
    told_px, true_px = _told_array(seen), _box_array(evidence.boxes)
    true_s = np.array([box.offset_s for box in evidence.boxes])
    by_time = {time_s: np.flatnonzero(true_s == time_s) for time_s in evidence.key_times_s}
    return visual_iou(
        {time_s: true_px[rows] for time_s, rows in by_time.items()},
        {time_s: told_px[same[rows[0]]] for time_s, rows in by_time.items()},
    )


def _points_in_box(points: Sequence[PointClaim], evidence: TrueEvidence) -> float | None:
    if not points:
        return None
    points_px = np.array([(point.u_px, point.v_px) for point in points], dtype=np.float64)
    return share_inside(points_px, _box_array(evidence.boxes), same_time(evidence, points).T)


def _places_in_band(places: Sequence[PlaceClaim], evidence: TrueEvidence) -> float | None:
    """Over the places that can be judged: of something seen, whose true place is known or which is not there at all."""
    verdicts = [verdict for place in places if (verdict := _place_verdict(place, evidence)) is not None]
    return float(np.mean(verdicts)) if verdicts else None


def _place_verdict(place: PlaceClaim, evidence: TrueEvidence) -> bool | None:
    """A numbered region is compared with that region, any other name with all of the evidence; None: cannot be judged."""
    if place.name is None:
        return None
    time_s = image_time_s(evidence, place.offset_s)
    region = _REGION.fullmatch(place.name)
    meant = [
        box
        for box in (*evidence.boxes, *(evidence.others if region else ()))
        if box.offset_s == time_s and (region is None or box.mark == int(region[1]))
    ]
    known = [box for box in meant if box.distance_m is not None and box.bearing_deg is not None]
    if meant and not known:
        return None
    return any(_in_band(place, box) for box in known)


def _in_band(place: PlaceClaim, box: TrueBox) -> bool:
    """Success of localization answers (STRIDE-QA's LSR)."""
    true_m, true_deg = (np.array([value], dtype=np.float64) for value in (box.distance_m, box.bearing_deg))
    near = distance_ok(true_m, np.array([place.distance_m])) & bearing_ok(true_deg, np.array([place.bearing_deg]))
    return bool(near[0])


def _box_array(boxes: Sequence[TrueBox]) -> Float[np.ndarray, "n 4"]:
    return np.array([box.box_px for box in boxes], dtype=np.float64).reshape(-1, 4)


def _told_array(seen: Sequence[SeenClaim]) -> Float[np.ndarray, "n 4"]:
    return np.array([claim.box_px for claim in seen], dtype=np.float64).reshape(-1, 4)
