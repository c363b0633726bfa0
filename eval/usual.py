"""The usual training answer: what is known without a look at the road.

    MAJORITY       to a question of the same type and form
    TEXT_ONLY      and the same parameter (the radius, the claim, the class that is counted): all that the wording tells
    CLASS_MEDIAN   of the same type and form, and category of its first mark: what a look at nothing but the mark tells

Where training does not have the last, type and form alone decide. It is the median of a number, the median direction, the most
frequent hour, list, yes or no, and of the options shown the most frequent one (the first of those that training does not know).
Whether a question can be answered is not told by its text, so there is no usual answer to one that cannot.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from drive_vqa.geometry import wrap_deg
from drive_vqa.schema import TRUTH
from eval.cases import NUMBERS, no_answers, object_column

BY_TYPE = ["type", "form"]
Keys = tuple[list[str], ...]
"""Columns that make two questions alike, from coarse to fine."""

MAJORITY: Keys = (BY_TYPE,)
TEXT_ONLY: Keys = (BY_TYPE, [*BY_TYPE, "parameter"])
CLASS_MEDIAN: Keys = (BY_TYPE, [*BY_TYPE, "slice_category"])
DIRECTIONS = ("bearing_deg", "yaw_deg")
FREQUENT = ("clock_hour", "bool", "marks")
MEDIANS = tuple(name for name in NUMBERS if name not in (*DIRECTIONS, *FREQUENT))
UNDETERMINED = "undetermined"


class Usual:
    """What is usual in training; each table of it is made once.

    Args:
        training: see `eval.cases.read_training`.
    """

    def __init__(self, training: pd.DataFrame) -> None:
        self.training = training[training["answer_type"] != UNDETERMINED]
        self._tables: dict[tuple[str, ...], pd.DataFrame] = {}

    def by(self, keys: list[str]) -> pd.DataFrame:
        """The usual value of every field but `choice`, indexed by the keys."""
        if tuple(keys) not in self._tables:
            self._tables[tuple(keys)] = usual_by(self.training, keys)
        return self._tables[tuple(keys)]


def usual_answers(cases: pd.DataFrame, usual: Usual, alike: Keys) -> pd.DataFrame:
    """Typed answers, row by row to the cases, and `answered`.

    Args:
        cases: with the columns type, form, answer_type and options, and those of `alike`.
        usual: in training.
        alike: see above; the finest that training knows decides.
    """
    can = (cases["answer_type"] != UNDETERMINED).to_numpy()
    answers, answered = no_answers(len(cases)), np.zeros(len(cases), dtype=bool)
    for keys in alike:  # the finer, where it knows, replaces the coarser
        table = usual.by(keys)
        place = table.index.get_indexer(pd.MultiIndex.from_frame(cases[keys]))
        rows = np.flatnonzero((place >= 0) & can)
        answered[rows] = True
        for name in table.columns:
            values = answers[name].to_numpy(copy=True)
            values[rows] = table[name].to_numpy()[place[rows]]
            answers[name] = values if name in NUMBERS else object_column(values)
    chosen = np.flatnonzero(answered & (cases["answer_type"] == "choice").to_numpy())
    answers.loc[chosen, "choice"] = _most_frequent_shown(cases.iloc[chosen], usual.training, alike)
    return answers.assign(answered=answered)


def usual_by(training: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """The usual value of every field but `choice`, indexed by the keys."""
    known = training.dropna(subset=keys)
    table = known.groupby(keys)[[f"truth_{name}" for name in MEDIANS]].median()
    table["truth_count"] = table["truth_count"].round()
    for name in DIRECTIONS:
        column = f"truth_{name}"
        directions = known.dropna(subset=[column]).groupby(keys)[column]
        table[column] = directions.agg(lambda values: median_bearing_deg(values.to_numpy())).astype(np.float64)
    for name in FREQUENT:
        values = _most_frequent(known, keys, f"truth_{name}").reindex(table.index)
        table[f"truth_{name}"] = values.astype(np.float64) if name in NUMBERS else values.astype(object)
    for name in ("bool", "marks"):
        values = table[f"truth_{name}"]
        table[f"truth_{name}"] = values.where(values.notna(), None)
    return table.rename(columns={f"truth_{name}": name for name in TRUTH.names})


def median_bearing_deg(bearings_deg: Float[np.ndarray, "n"]) -> float:
    """Median of directions, taken around their mean direction so that ±180° is not a break; degrees."""
    angles_rad = np.radians(bearings_deg)
    mean_deg = np.degrees(np.arctan2(np.sin(angles_rad).sum(), np.cos(angles_rad).sum()))
    return float(wrap_deg(mean_deg + np.median(wrap_deg(bearings_deg - mean_deg))))


def _most_frequent(known: pd.DataFrame, keys: list[str], column: str) -> pd.Series:
    """The most frequent value by the keys; of equals the first in order of their text."""
    counts = known.dropna(subset=[column]).groupby([*keys, column]).size().rename("n").reset_index()
    counts["text"] = counts[column].astype(str)
    ordered = counts.sort_values(["n", "text"], ascending=[False, True], kind="stable")
    return pd.Series(ordered.drop_duplicates(keys).set_index(keys)[column])


def _most_frequent_shown(cases: pd.DataFrame, training: pd.DataFrame, alike: Keys) -> list[str | None]:
    """For questions with options: the one that is right most often in training, of equals the first shown."""
    counted = [_counts(training, keys) for keys in reversed(alike)]
    rows = [list(zip(*(cases[name] for name in keys), strict=True)) for keys in reversed(alike)]
    known: dict[tuple[Any, ...], str | None] = {}
    chosen = []
    for key in zip(cases["options"], *rows, strict=True):
        if key not in known:
            options, *finer_first = key
            found = (counts[own] for counts, own in zip(counted, finer_first, strict=True) if own in counts)
            known[key] = _most_counted(options, next(found, {}))
        chosen.append(known[key])
    return chosen


def _most_counted(options: tuple[str, ...], counts: dict[str, int]) -> str | None:
    return max(options, key=lambda option: counts.get(option, 0), default=None)


def _counts(training: pd.DataFrame, keys: list[str]) -> dict[tuple[Any, ...], dict[str, int]]:
    """How often each choice is right, by the keys."""
    counted: dict[tuple[Any, ...], dict[str, int]] = {}
    rows = training.dropna(subset=[*keys, "truth_choice"]).groupby([*keys, "truth_choice"]).size().reset_index(name="n")
    for *key, choice, count in rows.itertuples(index=False):
        counted.setdefault(tuple(key), {})[choice] = int(count)
    return counted
