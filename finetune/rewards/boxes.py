"""Which claim can be meant by which true box: the same image and the same name, not only the same pixels."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from eval.evidence.judge import image_time_s, seen_iou
from eval.evidence.truth import TrueBox, TrueEvidence
from eval.reasoning.trace import PlaceClaim, SeenClaim

_REGION = re.compile(r"region\s{0,3}([0-9]{1,6})", re.IGNORECASE)
_UNNAMED = -1
_NAME_LOOKED_AT = 80


def true_px(boxes: Sequence[TrueBox]) -> Float[np.ndarray, "n 4"]:
    """Boxes as an array."""
    return np.array([box.box_px for box in boxes], dtype=np.float64).reshape(-1, 4)


def told_px(seen: Sequence[SeenClaim]) -> Float[np.ndarray, "m 4"]:
    """Likewise."""
    return np.array([claim.box_px for claim in seen], dtype=np.float64).reshape(-1, 4)


def iou_in_image(evidence: TrueEvidence, seen: Sequence[SeenClaim]) -> Float[np.ndarray, "true told"]:
    """IoU of the boxes of the evidence and claimed ones; 0 where the claim is about another time or names another region."""
    return np.asarray(seen_iou(evidence, seen) * names_agree(evidence.boxes, seen))


def same_image(evidence: TrueEvidence, times_s: Sequence[float | None]) -> Bool[np.ndarray, "true told"]:
    """Whether a claim of a time may be about the image of each box of the evidence; None: about any."""
    true_s = np.array([box.offset_s for box in evidence.boxes], dtype=np.float64)
    meant_s = [image_time_s(evidence, time_s) for time_s in times_s]
    told_s = np.array([math.nan if time_s is None else time_s for time_s in meant_s], dtype=np.float64)
    return np.asarray((true_s[:, None] == told_s[None]) | np.isnan(told_s)[None])


def names_agree(
    boxes: Sequence[TrueBox], claims: Sequence[SeenClaim] | Sequence[PlaceClaim]
) -> Bool[np.ndarray, "true told"]:
    """Whether a claim names the region of a true box, or no region at all."""
    told = np.array([_number(one.name) for one in claims], dtype=np.int64)
    marks = np.array([box.mark for box in boxes], dtype=np.int64)
    return np.asarray((told == _UNNAMED)[None] | (told[None] == marks[:, None]))


def _number(name: str | None) -> int:
    found = _REGION.search((name or "")[:_NAME_LOOKED_AT])
    return int(found[1]) if found else _UNNAMED
