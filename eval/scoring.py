"""Judge typed answers against typed truths: one success per question, whatever its answer type."""

from __future__ import annotations

import numpy as np
import pandas as pd

from eval.localization import bearing_ok, distance_ok, speed_ok

EXACT = {"clock": "clock_hour", "choice": "choice", "bool": "bool", "count": "count"}
"""Answer types that must be equal to the truth, and their field."""

USES = {
    "distance_ok": ("localization", "distance"),
    "bearing_ok": ("localization", "bearing"),
    "speed_ok": ("speed",),
}
"""Which answer types each part of a verdict belongs to."""


def judge(cases: pd.DataFrame, answers: pd.DataFrame) -> pd.DataFrame:
    """Success of answers.

    Args:
        cases: see `eval.cases.read_cases`.
        answers: typed answers, row by row to the cases (`eval.cases.answer_columns`); nothing where there is no answer.

    Returns:
        Columns `success` (bool), and `distance_ok`, `bearing_ok`, `speed_ok` (bool, None where not asked). No answer fails.
    """
    ok = {
        "distance_ok": distance_ok(_numbers(cases, "truth_distance_m"), _numbers(answers, "distance_m")),
        "bearing_ok": bearing_ok(_numbers(cases, "truth_bearing_deg"), _numbers(answers, "bearing_deg")),
        "speed_ok": speed_ok(_numbers(cases, "truth_speed_mps"), _numbers(answers, "speed_mps")),
    }
    answer_type = cases["answer_type"].to_numpy(dtype=object)
    success = np.ones(len(cases), dtype=bool)
    for name, types in USES.items():
        success &= ok[name] | ~np.isin(answer_type, types)
    for name, field in EXACT.items():
        equal = cases[f"truth_{field}"].to_numpy() == answers[field].to_numpy()
        success &= equal.astype(bool) | (answer_type != name)
    parts = {name: _where_asked(ok[name], np.isin(answer_type, USES[name])) for name in ok}
    return pd.DataFrame({"success": success, **parts})


def _where_asked(ok: np.ndarray, asked: np.ndarray) -> np.ndarray:
    part = ok.astype(object)
    part[~asked] = None
    return part


def _numbers(table: pd.DataFrame, column: str) -> np.ndarray:
    return table[column].to_numpy(dtype=np.float64)
