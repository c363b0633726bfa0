"""The numbers of an evaluation as a table: a row a metric, a cell for the model and each baseline, and which have questions."""

from __future__ import annotations

from eval.explore.answers import MODEL, Evaluated
from eval.explore.cells import has_questions
from eval.explore.drives import Row
from eval.report.headline import TITLES
from eval.report.inputs import Number
from eval.report.numbers import cell, natural
from eval.report.panels import SAFETY

NAMED = {**TITLES, **SAFETY}
"""Title and note of the metrics that have them."""


def metrics_table(evaluated: Evaluated) -> Row:
    """All numbers of the model, those with a title first, with those of its baselines beside them."""
    names = [name for name in evaluated.metrics if not name.startswith("baseline.")]
    ordered = [name for name in NAMED if name in names]
    ordered += sorted(set(names) - set(ordered), key=natural)
    columns = [{"answerer": one.name, "title": one.title} for one in evaluated.answerers.values()]
    return {"columns": columns, "rows": [_row(evaluated, name) for name in ordered]}


def _row(evaluated: Evaluated, name: str) -> Row:
    title, note = NAMED.get(name, ("", ""))
    prefixes = ["" if answerer == MODEL else f"baseline.{answerer}." for answerer in evaluated.answerers]
    cells = [_cell(name, evaluated.metrics.get(prefix + name)) for prefix in prefixes]
    part = "headline" if name in TITLES else name.partition(".")[0]
    return {"metric": name, "part": part, "title": title, "note": note, "cells": cells}


def _cell(name: str, number: Number | None) -> Row | None:
    if number is None:
        return None
    told = cell(name, number)
    followed = has_questions(name) and bool(number.n)
    return {"text": told.text, "spread": told.spread, "exact": told.exact, "n": number.n, "has_questions": followed}
