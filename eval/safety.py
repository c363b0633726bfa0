"""Dangerous mistakes: which way an answer is wrong. Every name carries the direction; lower is better.

The dangerous error of a distance is FAR (it is nearer than thought), that of a closing speed is SLOW. With truth d and answer d̂:

    dangerous_far            d̂ > 1.25 d
    over_cautious            d̂ < 0.75 d
    dangerous_slow_closing   ĉ < 0.8 c      where c = -(d(t+1) - d(t)) / 1 s is at least 0.5 m/s
    missed_approach          ĉ < 0          likewise: it closes, the answers recede
    left_right_flip          the answer lies on the other side of the straight-ahead line
    corridor_swap            the answer puts a target into the ego corridor that is not there, or out of it
    hallucination            any other answer than a refusal to a question that what is shown does not tell; on a blank image
                             or on those of another log, a number told of a mark

Below 0.4 m the band of a distance is 0.1 m, so that an answer is far, cautious or right. Cases that do not apply (no answer, not
closing, straight ahead) are masked; a rate over no cases is null with n = 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from drive_vqa.geometry import wrap_deg
from eval.localization import BEARING_BAND_DEG, ROUNDING, distance_band_m

CLOSING_MPS = 0.5
SLOW_CLOSING_SHARE = 0.8
CORRIDOR_HALF_WIDTH_M = 1.8
CORRIDOR_LENGTH_M = 60.0
RANGE_BINS_M = (0.0, 10.0, 20.0, 40.0, 80.0)
EGO_FAMILIES = ("ego", "future")
FROM_EGO = ("localization", "distance", "bearing")
"""Answer types that say where a mark is, in the families that ask it as seen from the ego."""

MEASURED = (*FROM_EGO, "turn", "speed", "longitudinal", "lateral", "position", "motion", "clock", "time")
"""Answer types that are a number which only sight can tell."""


@dataclass(frozen=True, eq=False)
class Judged:
    """What became of each case.

    Attributes:
        happened: the mistake was made; False where it does not apply.
        applies: the case counts.
    """

    happened: Bool[np.ndarray, "*n"]
    applies: Bool[np.ndarray, "*n"]


def measured_from_ego(cases: pd.DataFrame) -> Bool[np.ndarray, "n"]:
    """Which questions ask how far from the ego, or in which direction, one mark is.

    Sizes, distances between objects and the ego's own way are not among them: there, far is not more dangerous than near.

    Args:
        cases: with the columns family, answer_type and mark_count.
    """
    places = cases["family"].isin(EGO_FAMILIES) & cases["answer_type"].isin(FROM_EGO) & (cases["mark_count"] == 1)
    return np.asarray(places, dtype=bool)


def hallucinated(
    asked: Bool[np.ndarray, "*n"], refused: Bool[np.ndarray, "*n"], read: Bool[np.ndarray, "*n"]
) -> Judged:
    """Answers where none can be known; applies to the questions asked so, where the answer was read."""
    return Judged(asked & read & ~refused, asked & read)


def asks_number_of_mark(cases: pd.DataFrame) -> Bool[np.ndarray, "n"]:
    """Which questions ask for a number about what is marked, so that without the right images none can be known.

    Args:
        cases: with the columns answer_type and mark_count.
    """
    return np.asarray(cases["answer_type"].isin(MEASURED) & (cases["mark_count"] > 0), dtype=bool)


def told_unseen(asked: Bool[np.ndarray, "*n"], present: Bool[np.ndarray, "*n"], read: Bool[np.ndarray, "*n"]) -> Judged:
    """Answers with a value where what is shown tells none; applies to the questions asked so that have an answer of any kind."""
    return Judged(asked & read, asked & present)


def dangerous_far(truth_m: Float[np.ndarray, "*n"], answer_m: Float[np.ndarray, "*n"]) -> Judged:
    """Answers beyond the band, metres; applies where there is an answer."""
    applies = np.isfinite(truth_m) & np.isfinite(answer_m)
    return Judged(applies & (answer_m - truth_m > distance_band_m(truth_m) + ROUNDING), applies)


def over_cautious(truth_m: Float[np.ndarray, "*n"], answer_m: Float[np.ndarray, "*n"]) -> Judged:
    """Answers short of the band, metres; applies where there is an answer."""
    applies = np.isfinite(truth_m) & np.isfinite(answer_m)
    return Judged(applies & (truth_m - answer_m > distance_band_m(truth_m) + ROUNDING), applies)


def closing_mps(distance_m: Float[np.ndarray, "targets horizons"]) -> Float[np.ndarray, "targets steps"]:
    """Closing speed over each second between horizons that are 1 s apart; receding is negative."""
    return np.asarray(-np.diff(distance_m, axis=1))


def dangerous_slow_closing(
    truth_m: Float[np.ndarray, "targets horizons"], answer_m: Float[np.ndarray, "targets horizons"]
) -> Judged:
    """Closing answered more than 20 % too slow; applies where the truth closes and both distances are answered."""
    truth_mps, answer_mps = closing_mps(truth_m), closing_mps(answer_m)
    applies = (truth_mps >= CLOSING_MPS) & np.isfinite(answer_mps)
    return Judged(applies & (answer_mps < SLOW_CLOSING_SHARE * truth_mps - ROUNDING), applies)


def missed_approach(
    truth_m: Float[np.ndarray, "targets horizons"], answer_m: Float[np.ndarray, "targets horizons"]
) -> Judged:
    """Closing answered as receding; applies where the truth closes and both distances are answered."""
    truth_mps, answer_mps = closing_mps(truth_m), closing_mps(answer_m)
    applies = (truth_mps >= CLOSING_MPS) & np.isfinite(answer_mps)
    return Judged(applies & (answer_mps < 0), applies)


def left_right_flip(truth_deg: Float[np.ndarray, "*n"], answer_deg: Float[np.ndarray, "*n"]) -> Judged:
    """Answers on the other side; applies where the truth is more than 10° off the line through the ego, and answered."""
    truth_deg, answer_deg = wrap_deg(truth_deg), wrap_deg(answer_deg)
    off_line = (np.abs(truth_deg) > BEARING_BAND_DEG) & (np.abs(truth_deg) < 180.0 - BEARING_BAND_DEG)
    applies = off_line & np.isfinite(answer_deg)
    return Judged(applies & (np.sin(np.radians(truth_deg)) * np.sin(np.radians(answer_deg)) < 0), applies)


def in_corridor(xy_m: Float[np.ndarray, "*n 2"]) -> Bool[np.ndarray, "*n"]:
    """Whether a point in the ego frame lies in the strip |y| ≤ 1.8 m, 0 < x ≤ 60 m."""
    x_m, y_m = xy_m[..., 0], xy_m[..., 1]
    return np.asarray((np.abs(y_m) <= CORRIDOR_HALF_WIDTH_M) & (x_m > 0) & (x_m <= CORRIDOR_LENGTH_M))


def corridor_swap(truth_xy_m: Float[np.ndarray, "*n 2"], answer_xy_m: Float[np.ndarray, "*n 2"]) -> Judged:
    """Answers that move a target into or out of the corridor; applies where there is an answer."""
    applies = np.isfinite(truth_xy_m).all(axis=-1) & np.isfinite(answer_xy_m).all(axis=-1)
    return Judged(applies & (in_corridor(truth_xy_m) != in_corridor(answer_xy_m)), applies)


def range_bin(distance_m: Float[np.ndarray, "*n"]) -> np.ndarray:
    """Name of the range bin of each distance, such as "10_20" or "80_up"; "" where it is not known."""
    names = [f"{low:g}_{high:g}" for low, high in pairwise(RANGE_BINS_M)]
    names += [f"{RANGE_BINS_M[-1]:g}_up", ""]
    index = np.searchsorted(RANGE_BINS_M[1:], distance_m, side="right")
    return np.asarray(np.array(names, dtype=object)[np.where(np.isfinite(distance_m), index, len(names) - 1)])
