"""What a model must beat: answers made from the true state at t = 0, or from the training answers alone.

    constant_position   the target keeps its place in the ego frame: (x, y) at t is (x, y) at 0
    constant_velocity   target and ego keep their velocity over ground, straight: (x, y) at t is
                        (x, y) + t (vx, vy) - t (v_ego, 0), in the ego frame of that time, which has not turned
    class_median        the median training answer to the same question type about the same category; the most frequent
                        choice, yes or no, and hour

The first two answer questions of family `future` only: the present is given to them. A velocity that is not known counts as 0;
a target without a track at t = 0 has no answer.
Answers are typed as those of a model are, and scored by the same functions.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from drive_vqa.geometry import bearing_deg, wrap_deg
from drive_vqa.schema import TRUTH
from drive_vqa.store import Store
from eval.cases import NUMBERS, answer_columns

CONSTANT_POSITION = "constant_position"
CONSTANT_VELOCITY = "constant_velocity"
CLASS_MEDIAN = "class_median"
KEEPS_DISTANCE_M = 0.5
"""A distance that changes by less until the horizon counts as kept."""

CLOSING, RECEDING, KEEPING = "closing", "receding", "keeping its distance"
STATE = ("x_m", "y_m", "vx_mps", "vy_mps", "speed_mps")


def baseline_answers(store: Store, cases: pd.DataFrame, training: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Typed answers of every baseline, row by row to the cases.

    Args:
        store: holds the tracks and frames of the cases' logs.
        cases: see `eval.cases.read_cases`.
        training: cases of the split `train`.

    Returns:
        By name of the baseline: the fields of `drive_vqa.schema.TRUTH`, and `answered`, whether it has an answer at all.
    """
    state = present_state(store, cases)
    return {
        CONSTANT_POSITION: answer_from_state(cases, state, moves=False),
        CONSTANT_VELOCITY: answer_from_state(cases, state, moves=True),
        CLASS_MEDIAN: answer_from_training(cases, training),
    }


def present_state(store: Store, cases: pd.DataFrame) -> pd.DataFrame:
    """Place and velocity of the first mark at t = 0 in the ego frame, and the ego's speed, row by row to the cases.

    Columns x_m, y_m, vx_mps, vy_mps, speed_mps (NaN without a mark) and ego_speed_mps.
    """
    parts = []
    for log_id, asked in cases.groupby("log_id", sort=False):
        wanted = pc.field("frame").isin(sorted(asked["frame"].unique().tolist()))
        tracks = store.read("tracks", str(log_id), ("frame", "track_id", *STATE)).filter(wanted).to_pandas()
        frames = store.read("frames", str(log_id), ("frame", "speed_mps")).filter(wanted).to_pandas()
        rows = asked[["frame", "track_id"]].reset_index()
        rows = rows.merge(tracks.drop_duplicates(["frame", "track_id"]), on=["frame", "track_id"], how="left")
        rows = rows.merge(frames.rename(columns={"speed_mps": "ego_speed_mps"}), on="frame", how="left")
        parts.append(rows.set_index("index"))
    if not parts:
        return pd.DataFrame(columns=[*STATE, "ego_speed_mps"], dtype=np.float64)
    return pd.concat(parts).loc[cases.index, [*STATE, "ego_speed_mps"]].astype(np.float64)


def answer_from_state(cases: pd.DataFrame, state: pd.DataFrame, *, moves: bool) -> pd.DataFrame:
    """Constant velocity (`moves`) or constant position."""
    future = ((cases["family"] == "future") & (cases["mark_count"] <= 1)).to_numpy()
    about_target = (cases["mark_count"] == 1).to_numpy()
    time_s = cases["horizon_s"].to_numpy(dtype=np.float64)
    now_xy_m = state[["x_m", "y_m"]].to_numpy()
    then_xy_m = now_xy_m + time_s[:, None] * _relative_velocity_mps(state) if moves else now_xy_m
    distance_m = np.hypot(then_xy_m[:, 0], then_xy_m[:, 1])
    change_m = distance_m - np.hypot(now_xy_m[:, 0], now_xy_m[:, 1])
    target_mps = state["speed_mps"].fillna(0.0).where(state["x_m"].notna())
    speed_mps = np.where(about_target, target_mps, state["ego_speed_mps"])
    kind = cases["answer_type"].to_numpy()
    asks_approach = np.array([{CLOSING, RECEDING, KEEPING} <= set(options) for options in cases["options"]], dtype=bool)
    located = future & np.isfinite(distance_m)
    answers = answer_columns([None] * len(cases))
    _put(answers, "distance_m", distance_m, located & np.isin(kind, ("localization", "distance")))
    bearings_deg = np.asarray(bearing_deg(then_xy_m[:, 0], then_xy_m[:, 1]))
    _put(answers, "bearing_deg", bearings_deg, located & np.isin(kind, ("localization", "bearing")))
    _put(answers, "speed_mps", speed_mps, future & (kind == "speed") & np.isfinite(speed_mps) & moves)
    _put(answers, "choice", _approach(change_m), located & asks_approach & (kind == "choice"))
    return answers.assign(answered=answers[list(TRUTH.names)].notna().any(axis=1))


def answer_from_training(cases: pd.DataFrame, training: pd.DataFrame) -> pd.DataFrame:
    """The usual training answer; to a category that training does not have, that of all categories."""
    by_category = _usual_answers(training, ["type", "slice_category"])
    by_type = _usual_answers(training, ["type"])
    keys = zip(cases["type"], cases["slice_category"], strict=True)
    answers = [by_category.get((kind, category), by_type.get((kind,))) for kind, category in keys]
    return answer_columns(answers).assign(answered=[answer is not None for answer in answers])


def _relative_velocity_mps(state: pd.DataFrame) -> np.ndarray:
    velocity_mps = state[["vx_mps", "vy_mps"]].fillna(0.0).to_numpy().copy()
    velocity_mps[:, 0] -= state["ego_speed_mps"].fillna(0.0)
    return np.asarray(velocity_mps)


def _approach(change_m: np.ndarray) -> np.ndarray:
    words = np.full(len(change_m), KEEPING, dtype=object)
    words[change_m >= KEEPS_DISTANCE_M] = RECEDING
    words[change_m <= -KEEPS_DISTANCE_M] = CLOSING
    return words


def _put(answers: pd.DataFrame, field: str, values: np.ndarray, where: np.ndarray) -> None:
    answers.loc[where, field] = values[where]


def _usual_answers(training: pd.DataFrame, keys: list[str]) -> dict[tuple[Any, ...], dict[str, Any]]:
    known = training.dropna(subset=keys)
    return {name if isinstance(name, tuple) else (name,): _usual(group) for name, group in known.groupby(keys)}


def _usual(group: pd.DataFrame) -> dict[str, Any]:
    answer: dict[str, Any] = {}
    for field in TRUTH.names:
        values = group[f"truth_{field}"].dropna()
        if values.empty:
            answer[field] = None
        elif field in ("clock_hour", "choice", "bool") or field not in NUMBERS:
            answer[field] = _most_frequent(values.tolist())
        elif field == "bearing_deg":
            answer[field] = median_bearing_deg(values.to_numpy())
        else:
            answer[field] = float(np.round(values.median()) if field == "count" else values.median())
    return answer


def median_bearing_deg(bearings_deg: np.ndarray) -> float:
    """Median of directions, taken around their mean direction so that ±180° is not a break; degrees."""
    angles_rad = np.radians(bearings_deg)
    mean_deg = np.degrees(np.arctan2(np.sin(angles_rad).sum(), np.cos(angles_rad).sum()))
    return float(wrap_deg(mean_deg + np.median(wrap_deg(bearings_deg - mean_deg))))


def _most_frequent(values: list[Any]) -> Any:
    """The most frequent value; of equals the first in order of their text."""
    return min(Counter(values).items(), key=lambda entry: (-entry[1], str(entry[0])))[0]
