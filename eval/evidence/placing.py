"""In which image a claim is to be looked for, and how well it agrees with what that image shows.

A trace tells times, not cameras, and some dialects not even times. A claim that agrees with a box of the evidence is looked for
in the image of that box; any other in the image that its words mean. Agreement is judged as in `eval.evidence.judge`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from drive_vqa.region_forms import NAME
from eval.evidence.judge import same_time, seen_iou
from eval.evidence.points import inside
from eval.evidence.truth import TrueEvidence
from eval.reasoning.trace import PointClaim, SeenClaim


@dataclass(frozen=True)
class Placed:
    """Where a claim belongs.

    Attributes:
        context: place of the image in `group["context"]`.
        agreement: greatest IoU of a box with a box of the evidence of its time; of a point 1 inside of one, else 0. None: the
            evidence holds no box.
    """

    context: int
    agreement: float | None


def place_boxes(seen: Sequence[SeenClaim], evidence: TrueEvidence, group: Mapping[str, Any]) -> list[Placed]:
    """Each told box in its image; the group has images."""
    return _place(seen, seen_iou(evidence, seen), evidence, group)


def place_points(points: Sequence[PointClaim], evidence: TrueEvidence, group: Mapping[str, Any]) -> list[Placed]:
    """Each point in its image; the group has images."""
    points_px = np.array([(point.u_px, point.v_px) for point in points], dtype=np.float64).reshape(-1, 2)
    boxes_px = np.array([box.box_px for box in evidence.boxes], dtype=np.float64).reshape(-1, 4)
    agreement = inside(points_px, boxes_px).T & same_time(evidence, points)
    return _place(points, agreement.astype(np.float64), evidence, group)


def _place(
    claims: Sequence[SeenClaim | PointClaim],
    agreement: Float[np.ndarray, "true told"],
    evidence: TrueEvidence,
    group: Mapping[str, Any],
) -> list[Placed]:
    if not evidence.boxes:
        return [Placed(claimed_context(claim, group), None) for claim in claims]
    best, found = agreement.max(axis=0), []
    for claim, row, share in zip(claims, agreement.argmax(axis=0), best, strict=True):
        context = evidence.boxes[row].context if share > 0 else claimed_context(claim, group)
        found.append(Placed(context, float(share)))
    return found


def claimed_context(claim: SeenClaim | PointClaim, group: Mapping[str, Any]) -> int:
    """The image that a claim means, whatever is true: the one nearest in time, now where no time is told.

    Of several cameras it is one in which the named region is marked, else the last.
    """
    offset_s = claim.offset_s or 0.0
    named = NAME.search((claim.name if isinstance(claim, SeenClaim) else None) or "")
    marks = [mark for mark in group["marks"] if named and mark["mark"] == int(named[1])]
    showing = {region["context"] for mark in marks for region in mark["regions"]}

    def order(context: int) -> tuple[float, bool, int]:
        return abs(group["context"][context]["offset_s"] - offset_s), context not in showing, -context

    return min(range(len(group["context"])), key=order)
