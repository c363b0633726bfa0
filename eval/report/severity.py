"""How bad a mistake is, and with that which questions stand first.

A wrong answer is dangerous where it makes a driver believe that there is more room or time than there is:

    out_of_path   a target in the own path is said to be out of it
    going_away    a target that comes nearer is said to go away
    too_far       a target is put farther from the own car than the tolerance allows (`eval.safety.dangerous_far`)

Questions stand in the order dangerous, wrong, unread, right. There are no weights: among questions of one outcome one thing after
the other decides, each only where the ones before it are equal.

    1. time to collision of the target now, by bin, the shortest first; a target in the own corridor without a conflict within
       3 s stands with the bin 3-6
    2. road users without a shell around them (pedestrians, cyclists, motorcyclists) before others
    3. distance now, by range bin, the nearest first; not known last
    4. the mistake: out_of_path, going_away, then too_far by how many times too far, the most first
    5. log, frame and id
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from drive_vqa.categories import CATEGORIES
from drive_vqa.time_to_collision import BIN_NAMES
from eval.baselines import CLOSING, RECEDING
from eval.safety import RANGE_BINS_M, dangerous_far, in_corridor
from eval.trajectory import positions_m

OUTCOMES = {"dangerous": "Dangerous", "wrong": "Wrong", "unreadable": "Unread", "right": "Right"}
PATH_TYPE = "in_my_path"
IN_PATH_BIN = BIN_NAMES.index("3-6")
VULNERABLE = tuple(name for name, category in CATEGORIES.items() if category.vulnerable)
NEAREST_TOLD_M = 0.1
"""Truth and answer are taken to be at least this far when one is divided by the other."""


def worst_first(answers: pd.DataFrame) -> pd.DataFrame:
    """Answers in the order of the module's text, index 0 … n-1, with the columns `outcome` and `mistake` ("" for none).

    Args:
        answers: see `eval.report.inputs.Evaluation`.
    """
    mistake = mistakes(answers)
    outcome = outcomes(answers, mistake)
    mistake = np.where(outcome == "dangerous", mistake, "")
    told = answers.assign(outcome=outcome, mistake=mistake)
    order = pd.DataFrame(
        {
            "outcome": pd.Series(outcome).map(list(OUTCOMES).index).to_numpy(),
            "urgency": urgency(answers),
            "shelled": ~answers["slice_category"].isin(VULNERABLE).to_numpy(),
            "range": np.searchsorted([*RANGE_BINS_M, np.inf], answers["slice_distance_m"], side="right"),
            "mistake": pd.Series(mistake).map({"out_of_path": 0, "going_away": 1}).fillna(2).to_numpy(),
            "size": -_times_too_far(answers),
            **{name: answers[name].to_numpy() for name in ("log_id", "frame", "qa_id")},
        }
    )
    return told.iloc[order.sort_values(list(order.columns), kind="stable").index].reset_index(drop=True)


def mistakes(answers: pd.DataFrame) -> np.ndarray:
    """The kind of dangerous mistake in each answer; "" where there is none, or the answer is right after all."""
    truth_m = np.where(answers["from_ego"], answers["truth_distance_m"], np.nan).astype(np.float64)
    far = dangerous_far(truth_m, answers["parsed_distance_m"].to_numpy(np.float64)).happened
    away = (answers["truth_choice"] == CLOSING) & (answers["parsed_choice"] == RECEDING)
    path = (answers["type"] == PATH_TYPE) & answers["truth_bool"].eq(True) & answers["parsed_bool"].eq(False)
    return np.select([path, away, far], ["out_of_path", "going_away", "too_far"], "")


def outcomes(answers: pd.DataFrame, mistake: np.ndarray) -> np.ndarray:
    """One of `OUTCOMES` for each answer."""
    unread, right = answers["failure"].notna(), answers["success"].eq(True)
    return np.select([unread, right, mistake != ""], ["unreadable", "right", "dangerous"], "wrong")


def urgency(answers: pd.DataFrame) -> np.ndarray:
    """Place of the target's bin of time to collision, 0 is the shortest; not known counts as no conflict."""
    last = len(BIN_NAMES) - 1
    place = answers["slice_ttc_bin"].map({name: index for index, name in enumerate(BIN_NAMES)}).fillna(last).to_numpy()
    return np.asarray(np.where(_in_path(answers), np.minimum(place, IN_PATH_BIN), place))


def _in_path(answers: pd.DataFrame) -> Bool[np.ndarray, "n"]:
    """Whether the truth of the question puts its target into the own corridor."""
    known = answers["from_ego"].to_numpy(bool)
    distance_m, bearing_deg = (
        np.where(known, answers[f"truth_{name}"], np.nan).astype(np.float64) for name in ("distance_m", "bearing_deg")
    )
    told = (answers["type"] == PATH_TYPE) & answers["truth_bool"].eq(True)
    return np.asarray(told.to_numpy(bool) | in_corridor(positions_m(distance_m, bearing_deg)))


def _times_too_far(answers: pd.DataFrame) -> Float[np.ndarray, "n"]:
    """Answered over true distance; 0 where either is not known."""
    truth_m, answer_m = (
        np.maximum(answers[f"{side}_distance_m"].to_numpy(np.float64), NEAREST_TOLD_M) for side in ("truth", "parsed")
    )
    return np.asarray(np.nan_to_num(answer_m / truth_m))
