"""Metrics over all questions, by family and form, of speeds, of when and where, and of what could not be read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

import numpy as np
import pandas as pd

from eval import scoring
from eval.localization import HORIZONS_S
from eval.panel.answered import Answered, share_at, share_of
from eval.panel.parts import parts_of
from eval.parse import Reason
from eval.statistics import Sample

SPEEDS = {"ego": "ego_speed", "target": "target_speed"}
"""Name of a speed's metrics, and what the types that ask for it are called before `_t`."""


def overall(answered: Answered) -> Iterator[tuple[str, Sample]]:
    """Accuracy of all, of the read, of families and forms; coverage."""
    everything = np.arange(len(answered.cases))
    yield "accuracy", share_at(answered.success, everything)
    yield "accuracy_parsed_only", share_at(answered.success, np.flatnonzero(answered.read))
    yield "coverage", share_at(answered.present, everything)
    for dimension in ("family", "form"):
        for value, rows in parts_of(answered.cases[dimension]):
            yield f"{dimension}.{value}.accuracy", share_at(answered.success, rows)


def speeds(answered: Answered) -> Iterator[tuple[str, Sample]]:
    """SR_speed of the ego and of targets, at each horizon too."""
    asked = np.flatnonzero(answered.cases["answer_type"] == "speed")
    codes, kinds = pd.factorize(answered.cases["type"].iloc[asked])
    horizon_s = answered.cases["horizon_s"].to_numpy()[asked]
    for name, kind in SPEEDS.items():
        own = np.isin(codes, [code for code, type_name in enumerate(kinds) if type_name.startswith(f"{kind}_t")])
        rows = asked[own]
        yield f"speed.sr.{name}", share_at(answered.success, rows)
        yield f"speed.sr.{name}_parsed_only", share_at(answered.success, rows[answered.read[rows]])
        for at_s in HORIZONS_S:
            yield f"speed.sr.{name}.t{at_s}", share_at(answered.success, rows[horizon_s[own] == at_s])


def grounding(answered: Answered) -> Iterator[tuple[str, Sample]]:
    """When and where: over the questions that ask for an interval, and for a box."""
    for name, fields, iou_of in (
        ("tiou", scoring.INTERVAL, scoring.tious),
        ("miou", scoring.BOX, scoring.box_ious),
    ):
        rows = np.flatnonzero(np.isfinite(answered.truth(fields[0])))
        truth = answered.cases[[f"truth_{field}" for field in fields]]
        share = iou_of(truth.iloc[rows], answered.answers[list(fields)].iloc[rows])
        yield f"grounding.{name}", share_of(np.nan_to_num(share), rows)
        yield f"grounding.{name}_parsed_only", share_of(share[np.isfinite(share)], rows[np.isfinite(share)])


def parsing(answered: Answered) -> Iterator[tuple[str, Sample]]:
    """Over the answers that were given: why they could not be read."""
    rows = np.flatnonzero(answered.present)
    codes, reasons = pd.factorize(answered.answers["failure"].to_numpy(dtype=object)[rows])
    yield "parse.failure_rate", share_of(codes >= 0, rows)
    code_of = {reason: code for code, reason in enumerate(reasons)}
    for reason in get_args(Reason):
        yield f"parse.failure_rate.{reason}", share_of(codes == code_of.get(reason, len(reasons)), rows)
