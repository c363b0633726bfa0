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
from eval.evidence.truth import TrueBox, TrueEvidence
from eval.reasoning.trace import PointClaim, SeenClaim


@dataclass(frozen=True)
class JudgedClaim:
    """A claimed box or point.

    Attributes:
        claim: as read.
        agreement: of a box the greatest IoU with a box of the evidence of its time; of a point 1 inside of one, else 0. None: the
            evidence holds no box.
    """

    claim: SeenClaim | PointClaim
    agreement: float | None


@dataclass(frozen=True)
class ClaimedFrame:
    """An image with what is true and what is claimed in it.

    Attributes:
        context: place of the image in `group["context"]`.
        true: boxes of the evidence.
        claims: in the order in which they were told.
    """

    context: int
    true: tuple[TrueBox, ...]
    claims: tuple[JudgedClaim, ...]


def claimed_frames(
    claims: Sequence[SeenClaim | PointClaim], evidence: TrueEvidence, group: Mapping[str, Any]
) -> list[ClaimedFrame]:
    """The images in which something is claimed or true, in the order of the group, which has images."""
    told: dict[int, list[JudgedClaim]] = {}
    for claim in claims:
        context, judged = _judged(claim, evidence, group)
        told.setdefault(context, []).append(judged)
    true = {box.context for box in evidence.boxes}
    return [
        ClaimedFrame(
            context, tuple(box for box in evidence.boxes if box.context == context), tuple(told.get(context, ()))
        )
        for context in sorted(true | told.keys())
    ]


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


def _judged(claim: SeenClaim | PointClaim, evidence: TrueEvidence, group: Mapping[str, Any]) -> tuple[int, JudgedClaim]:
    """The image that a claim is looked for in, and the claim."""
    if not evidence.boxes:
        return claimed_context(claim, group), JudgedClaim(claim, None)
    agreement = _agreement(claim, evidence)
    best = int(agreement.argmax())
    context = evidence.boxes[best].context if agreement[best] > 0 else claimed_context(claim, group)
    return context, JudgedClaim(claim, float(agreement[best]))


def _agreement(claim: SeenClaim | PointClaim, evidence: TrueEvidence) -> Float[np.ndarray, "true"]:
    """With each box of the evidence."""
    if isinstance(claim, SeenClaim):
        return seen_iou(evidence, [claim])[:, 0]
    boxes_px = np.array([box.box_px for box in evidence.boxes], dtype=np.float64).reshape(-1, 4)
    is_in = inside(np.array([[claim.u_px, claim.v_px]], dtype=np.float64), boxes_px)[0]
    return np.asarray(is_in & same_time(evidence, [claim])[:, 0], dtype=np.float64)
