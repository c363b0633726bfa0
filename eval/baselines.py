"""What a model must beat: answers made from the state at t = 0, or from the training answers alone.

    constant_position         the target keeps its place in the ego frame: (x, y) at t is (x, y) at 0
    constant_velocity         target and ego keep their velocity over ground, straight: (x, y) at t is
                              (x, y) + t (vx, vy) - t (v_ego, 0), in the ego frame of that time, which has not turned
    constant_velocity_fused   the same from the state that tracks fused from measurements give (eval.fused_state)
    class_median, text_only, majority   the usual training answer (eval.usual)

The first three answer open questions of family `future` about place and speed, and which way a distance goes: the present is
given to them. A velocity that is not known counts as 0; a target without a track at t = 0 has no answer.
Answers are typed as those of a model are, and scored by the same functions.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from jaxtyping import Float

from drive_vqa.geometry import bearing_deg
from drive_vqa.schema import TRUTH
from drive_vqa.store import Store
from eval.cases import no_answers
from eval.fused_state import fused_state
from eval.present import present_state
from eval.usual import CLASS_MEDIAN, MAJORITY, TEXT_ONLY, Usual, usual_answers

CONSTANT_POSITION = "constant_position"
CONSTANT_VELOCITY = "constant_velocity"
CONSTANT_VELOCITY_FUSED = "constant_velocity_fused"
USUAL = {"class_median": CLASS_MEDIAN, "text_only": TEXT_ONLY, "majority": MAJORITY}
KEEPS_DISTANCE_M = 0.5
"""A distance that changes by less until the horizon counts as kept."""

CLOSING, RECEDING, KEEPING = "closing", "receding", "keeping its distance"
APPROACHES = (CLOSING, RECEDING, KEEPING)
ABOUT = r"^(localization|distance|bearing|position|position_then|ego_speed|target_speed|approach)_t\d+$"
"""Types that the present tells about, named for what they ask at a horizon."""


def baseline_answers(
    store: Store, cases: pd.DataFrame, training: pd.DataFrame, fused: Store | None = None
) -> dict[str, pd.DataFrame]:
    """Typed answers of every baseline, row by row to the cases.

    Args:
        store: holds the tracks and frames of the cases' logs.
        cases: see `eval.cases.read_cases`.
        training: see `eval.cases.read_training`.
        fused: the same logs with tracks fused from measurements; None: no answers from those.

    Returns:
        By name of the baseline: the fields of `drive_vqa.schema.TRUTH`, and `answered`, whether it has an answer at all.
    """
    state = present_state(store, cases)
    answers = {
        CONSTANT_POSITION: answer_from_state(cases, state, moves=False),
        CONSTANT_VELOCITY: answer_from_state(cases, state, moves=True),
    }
    if fused is not None:
        answers[CONSTANT_VELOCITY_FUSED] = answer_from_state(cases, fused_state(fused, cases, state), moves=True)
    usual = Usual(training)
    return answers | {name: usual_answers(cases, usual, alike) for name, alike in USUAL.items()}


def answer_from_state(cases: pd.DataFrame, state: pd.DataFrame, *, moves: bool) -> pd.DataFrame:
    """Constant velocity (`moves`) or constant position."""
    about = cases["type"].str.extract(ABOUT)[0].where(cases["family"] == "future").to_numpy(dtype=object)
    is_open = (cases["form"] == "open").to_numpy()
    time_s = cases["horizon_s"].to_numpy(dtype=np.float64)
    now_xy_m = state[["x_m", "y_m"]].to_numpy()
    then_xy_m = now_xy_m + time_s[:, None] * _relative_velocity_mps(state) if moves else now_xy_m
    distance_m = np.hypot(then_xy_m[:, 0], then_xy_m[:, 1])
    located = is_open & np.isfinite(distance_m)
    answers = no_answers(len(cases))
    _put(answers, "distance_m", distance_m, located & np.isin(about, ("localization", "distance")))
    bearings_deg = np.asarray(bearing_deg(then_xy_m[:, 0], then_xy_m[:, 1]))
    _put(answers, "bearing_deg", bearings_deg, located & np.isin(about, ("localization", "bearing")))
    for index, field in enumerate(("x_m", "y_m")):
        _put(answers, field, then_xy_m[:, index], located & np.isin(about, ("position", "position_then")))
    if moves:
        target_mps = state["speed_mps"].fillna(0.0).where(state["x_m"].notna()).to_numpy()
        for name, speed_mps in (("target_speed", target_mps), ("ego_speed", state["ego_speed_mps"].to_numpy())):
            _put(answers, "speed_mps", speed_mps, is_open & (about == name) & np.isfinite(speed_mps))
    change_m = distance_m - np.hypot(now_xy_m[:, 0], now_xy_m[:, 1])
    rows = np.flatnonzero((about == "approach") & (cases["form"] == "choice").to_numpy() & np.isfinite(change_m))
    answers.loc[rows, "choice"] = approach(change_m[rows], cases["options"].to_numpy()[rows])
    return answers.assign(answered=answers[list(TRUTH.names)].notna().any(axis=1))


def approach(change_m: Float[np.ndarray, "n"], options: np.ndarray) -> np.ndarray:
    """Which of the options shown fits a change of distance best, metres; None where none is about it."""
    limit = KEEPS_DISTANCE_M
    lacks_m = np.stack([change_m + limit, limit - change_m, np.abs(change_m) - limit], axis=1).clip(min=0.0)
    shown = np.array([[word in given for word in APPROACHES] for given in options], dtype=bool).reshape(-1, 3)
    best = np.where(shown, lacks_m, np.inf).argmin(axis=1)  # of equals the first: 0.5 m is not kept
    chosen = np.array(APPROACHES, dtype=object)[best]
    chosen[~shown.any(axis=1)] = None
    return np.asarray(chosen)


def _relative_velocity_mps(state: pd.DataFrame) -> np.ndarray:
    velocity_mps = state[["vx_mps", "vy_mps"]].fillna(0.0).to_numpy().copy()
    velocity_mps[:, 0] -= state["ego_speed_mps"].fillna(0.0)
    return np.asarray(velocity_mps)


def _put(answers: pd.DataFrame, field: str, values: np.ndarray, where: np.ndarray) -> None:
    answers.loc[where, field] = values[where]
