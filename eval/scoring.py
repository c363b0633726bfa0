"""Judge typed answers against typed truths: one success per question, whatever its answer type.

| answer type | success | source |
|---|---|---|
| distance, localization, bearing, speed | as in `eval.localization` | STRIDE-QA's scorer |
| turn | 10° | the bearing's band |
| lateral, longitudinal | 25 % of the truth, at least 0.5 m | the distance's share; about half a lane's play |
| time | 25 % of the truth, at least 0.25 s | the distance's share; half a step of frames at 2 Hz |
| position | off by at most 25 % of the true distance, at least 0.5 m | as lateral and longitudinal |
| motion | distance and turn | as those |
| clock, count, choice, bool, undetermined | equal | |
| ranking, regions | the same regions, for a ranking in the same order | |
| interval | temporal IoU of at least 0.5 | the usual threshold of temporal grounding (Charades-STA's R1@0.5) |
| box | IoU of at least 0.5 | PASCAL VOC's |
| interval_box | both | |

Limits count as inside, to 1e-9 for rounding. No answer fails.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from eval.localization import ROUNDING, bearing_ok, distance_ok, speed_ok

OFFSET_SHARE = 0.25
"""Of a lateral or longitudinal offset, and of the distance of a position; the share of STRIDE-QA's distances."""

OFFSET_LEAST_M = 0.5
"""Offsets may be 0, where a share lets nothing pass; half a metre is about what annotated box centres are sure to."""

TIME_SHARE = 0.25
"""Of a time from now; the share of STRIDE-QA's distances."""

TIME_LEAST_S = 0.25
"""Half a step between annotated frames at 2 Hz."""

LEAST_TIOU = 0.5
"""Temporal IoU of an interval; the usual threshold of temporal grounding."""

LEAST_IOU = 0.5
"""IoU of a box; PASCAL VOC's threshold."""

INTERVAL = ("start_s", "end_s")
BOX = ("u0_px", "v0_px", "u1_px", "v1_px")

EXACT = {
    "clock": "clock_hour",
    "choice": "choice",
    "bool": "bool",
    "count": "count",
    "ranking": "marks",
    "regions": "marks",
    "undetermined": "undetermined",
}
"""Answer types that must be equal to the truth, and their field."""

STORED = ("distance_ok", "bearing_ok", "speed_ok")
"""Parts that the table of scores keeps."""


def judge(cases: pd.DataFrame, answers: pd.DataFrame) -> pd.DataFrame:
    """Success of answers.

    Args:
        cases: see `eval.cases.read_cases`.
        answers: typed answers, row by row to the cases (`eval.cases.answer_columns`); nothing where there is no answer.

    Returns:
        Columns `success` (bool), and `distance_ok`, `bearing_ok`, `speed_ok` (bool, None where not asked). No answer fails.
    """
    codes, types = pd.factorize(cases["answer_type"])
    success = np.isin(types, sorted({one for part in PARTS.values() for one in part.types}))[codes]
    told: dict[str, np.ndarray] = {}
    for name, part in PARTS.items():
        asked = np.isin(types, part.types)[codes]
        ok = _part_ok(part, cases, answers, np.flatnonzero(asked))
        success &= ok | ~asked
        if name in STORED:
            told[name] = _where_asked(ok, asked)
    for name, field in EXACT.items():
        rows = np.flatnonzero(np.isin(types, name)[codes])
        success[rows] = _equal(cases[f"truth_{field}"].to_numpy()[rows], answers[field].to_numpy()[rows])
    return pd.DataFrame({"success": success, **told})


def offset_ok(truth_m: Float[np.ndarray, "*n"], answer_m: Float[np.ndarray, "*n"]) -> Bool[np.ndarray, "*n"]:
    """Lateral or longitudinal offset: within 25 % of the truth or 0.5 m, whichever is greater."""
    return _within(np.abs(answer_m - truth_m), OFFSET_SHARE * np.abs(truth_m), OFFSET_LEAST_M)


def time_ok(truth_s: Float[np.ndarray, "*n"], answer_s: Float[np.ndarray, "*n"]) -> Bool[np.ndarray, "*n"]:
    """Time: within 25 % of the truth or 0.25 s, whichever is greater."""
    return _within(np.abs(answer_s - truth_s), TIME_SHARE * np.abs(truth_s), TIME_LEAST_S)


def position_ok(
    truth_xy_m: Float[np.ndarray, "*n 2"], answer_xy_m: Float[np.ndarray, "*n 2"]
) -> Bool[np.ndarray, "*n"]:
    """Position: off by at most 25 % of the true distance or 0.5 m, whichever is greater."""
    error_m = np.hypot(*np.moveaxis(answer_xy_m - truth_xy_m, -1, 0))
    return _within(error_m, OFFSET_SHARE * np.hypot(truth_xy_m[..., 0], truth_xy_m[..., 1]), OFFSET_LEAST_M)


def interval_iou(truth_s: Float[np.ndarray, "n 2"], answer_s: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n"]:
    """Temporal IoU of intervals (start, end), in [0, 1]; two equal moments have 1, no answer has NaN."""
    overlap_s = np.minimum(truth_s[:, 1], answer_s[:, 1]) - np.maximum(truth_s[:, 0], answer_s[:, 0])
    union_s = np.ptp(truth_s, axis=1) + np.ptp(answer_s, axis=1) - np.maximum(overlap_s, 0.0)
    same = (np.abs(truth_s - answer_s) <= ROUNDING).all(axis=1)
    share = np.maximum(overlap_s, 0.0) / np.where(union_s > 0, union_s, np.inf)
    return np.asarray(np.where(np.isnan(overlap_s), np.nan, np.where(same, 1.0, share)))


def box_iou(truth_px: Float[np.ndarray, "n 4"], answer_px: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n"]:
    """IoU of boxes (left, top, right, bottom), in [0, 1]; NaN where there is no answer."""
    low, high = np.maximum(truth_px[:, :2], answer_px[:, :2]), np.minimum(truth_px[:, 2:], answer_px[:, 2:])
    overlap = np.maximum(high - low, 0.0).prod(axis=1)
    union = _area(truth_px) + _area(answer_px) - overlap
    return np.asarray(overlap / np.where(union == 0, np.inf, union))


def tious(cases: pd.DataFrame, answers: pd.DataFrame) -> Float[np.ndarray, "n"]:
    """Temporal IoU row by row; NaN where no interval was asked or answered."""
    return interval_iou(*_both(cases, answers, INTERVAL))


def box_ious(cases: pd.DataFrame, answers: pd.DataFrame) -> Float[np.ndarray, "n"]:
    """IoU of boxes row by row; NaN where no box was asked or answered."""
    return box_iou(*_both(cases, answers, BOX))


def _part_ok(part: Part, cases: pd.DataFrame, answers: pd.DataFrame, rows: np.ndarray) -> np.ndarray:
    """A part of the verdict, row by row; False where it is not asked."""
    truth, answer = _both(cases, answers, part.fields)
    ok = np.zeros(len(cases), dtype=bool)
    several = slice(None) if len(part.fields) > 1 else 0
    ok[rows] = part.ok(truth[rows, several], answer[rows, several])
    return ok


def _area(box_px: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n"]:
    return np.asarray((box_px[:, 2] - box_px[:, 0]) * (box_px[:, 3] - box_px[:, 1]))


def _within(error: np.ndarray, band: np.ndarray, least: float) -> np.ndarray:
    return np.asarray(error <= np.maximum(band, least) + ROUNDING)


def _both(cases: pd.DataFrame, answers: pd.DataFrame, fields: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    truth = cases[[f"truth_{field}" for field in fields]].to_numpy(dtype=np.float64)
    return truth, answers[list(fields)].to_numpy(dtype=np.float64)


def _equal(truth: np.ndarray, answer: np.ndarray) -> np.ndarray:
    """Whether both are there and the same."""
    return np.asarray((truth == answer).astype(bool) & pd.notna(pd.Series(answer)).to_numpy())


def _where_asked(ok: np.ndarray, asked: np.ndarray) -> np.ndarray:
    part = ok.astype(object)
    part[~asked] = None
    return part


@dataclass(frozen=True)
class Part:
    """A part of a verdict.

    Attributes:
        types: answer types that it belongs to.
        fields: of a typed answer.
        ok: whether answers are right: from truth and answer, (n,) for one field, (n, fields) for several.
    """

    types: tuple[str, ...]
    fields: tuple[str, ...]
    ok: Callable[[np.ndarray, np.ndarray], np.ndarray]


def _interval_ok(truth_s: np.ndarray, answer_s: np.ndarray) -> np.ndarray:
    return np.asarray(interval_iou(truth_s, answer_s) >= LEAST_TIOU - ROUNDING)


def _box_ok(truth_px: np.ndarray, answer_px: np.ndarray) -> np.ndarray:
    return np.asarray(box_iou(truth_px, answer_px) >= LEAST_IOU - ROUNDING)


PARTS = {
    "distance_ok": Part(("localization", "distance", "motion"), ("distance_m",), distance_ok),
    "bearing_ok": Part(("localization", "bearing"), ("bearing_deg",), bearing_ok),
    "speed_ok": Part(("speed",), ("speed_mps",), speed_ok),
    "turn_ok": Part(("turn", "motion"), ("yaw_deg",), bearing_ok),
    "longitudinal_ok": Part(("longitudinal",), ("x_m",), offset_ok),
    "lateral_ok": Part(("lateral",), ("y_m",), offset_ok),
    "position_ok": Part(("position",), ("x_m", "y_m"), position_ok),
    "time_ok": Part(("time",), ("time_s",), time_ok),
    "interval_ok": Part(("interval", "interval_box"), INTERVAL, _interval_ok),
    "box_ok": Part(("box", "interval_box"), BOX, _box_ok),
}
"""What is asked in numbers, and how each is judged."""
