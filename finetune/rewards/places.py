"""Places on the ground that are claimed against the tracks [ours].

A claimed place pays exp(-½ (e_d² + e_θ²)), with the errors of distance and bearing in the bands of LSR (25 %, 10°), if it is
about the time of a true one and names no other region. Places are assigned one-to-one and the sum is divided by the greater of
both counts, as for boxes. Range [0, 1]; None where the tracks do not say where anything of the evidence is.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from drive_vqa.geometry import wrap_deg
from eval.evidence.boxes import matched_of
from eval.localization import BEARING_BAND_DEG, distance_band_m
from finetune.rewards.boxes import names_agree, same_image
from finetune.rewards.completion import Completion
from finetune.rewards.truth import Truth

_MOST = 40.0
"""Errors in bands beyond which all is 0."""


def true_places(completion: Completion, truth: Truth, progress: float) -> float | None:
    """See the top."""
    del progress
    boxes, places = truth.evidence.boxes, completion.trace.places
    true = np.array([(box.distance_m, box.bearing_deg) for box in boxes], dtype=np.float64).reshape(-1, 2)
    known = np.isfinite(true).all(axis=1)
    if not known.any():
        return None
    told = np.array([(place.distance_m, place.bearing_deg) for place in places], dtype=np.float64).reshape(-1, 2)
    same = same_image(truth.evidence, [place.offset_s for place in places]) & names_agree(boxes, places)
    return matched_of(_agreement(true[known], told) * same[known])


def _agreement(true: Float[np.ndarray, "m 2"], told: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "m n"]:
    distance = np.abs(told[None, :, 0] - true[:, None, 0]) / distance_band_m(true[:, 0])[:, None]
    bearing = np.abs(wrap_deg(told[None, :, 1] - true[:, None, 1])) / BEARING_BAND_DEG
    error = np.nan_to_num(np.hypot(np.minimum(distance, _MOST), np.minimum(bearing, _MOST)), nan=_MOST)
    return np.asarray(np.where(error < _MOST, np.exp(-0.5 * np.square(error)), 0.0))
