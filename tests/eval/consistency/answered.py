"""Runs made by hand: questions with what was answered to each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from drive_vqa.schema import TRUTH
from eval.cases import answer_columns, object_column
from eval.panel import Answered
from eval.scoring import judge

NOTHING = dict.fromkeys(TRUTH.names)
Row = dict[str, Any]


def question(kind: str, answer_type: str, answer: Row | None, **fields: Any) -> Row:
    """A question with its answer; None: it could not be read."""
    horizon_s = float(kind[-1]) if kind[-3:-1] == "_t" else 0.0
    shared = {"family": "future", "form": "open", "group_id": "g", "mark": 1, "slice_category": "car"}
    return {"type": kind, "answer_type": answer_type, "horizon_s": horizon_s, **shared, **fields, "answer": answer}


def run(rows: list[Row]) -> Answered:
    """As it is after reading the answers; no truth is known."""
    cases = pd.DataFrame([{name: value for name, value in row.items() if name != "answer"} for row in rows])
    if "qa_id" not in cases:
        cases["qa_id"] = [f"q{number}" for number in range(len(cases))]
    for name in TRUTH.names:
        cases[f"truth_{name}"] = np.nan
    cases["slice_category"] = object_column(cases["slice_category"].to_numpy(dtype=object))
    answers = answer_columns([None if row["answer"] is None else {**NOTHING, **row["answer"]} for row in rows])
    failure = [None if row["answer"] is not None else "refusal" for row in rows]
    answers = answers.assign(answered=True, failure=object_column(np.array(failure, dtype=object)))
    return Answered(cases, answers, judge(cases, answers))


def journey(
    places: list[tuple[float, float]], ego_mps: list[float | None], category: str | None = "car", group: str = "g"
) -> list[Row]:
    """A target's places (distance, bearing) at 0 … 3 s, and the ego's speeds as answered."""
    at = {"group_id": group, "slice_category": category}
    rows = [
        question(f"localization_t{t}", "localization", {"distance_m": far_m, "bearing_deg": deg}, **at)
        for t, (far_m, deg) in enumerate(places)
    ]
    speeds = [None if speed is None else {"speed_mps": speed} for speed in ego_mps]
    return rows + [question(f"ego_speed_t{t}", "speed", told, **{**at, "mark": -1}) for t, told in enumerate(speeds)]
