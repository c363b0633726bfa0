"""The questions that are scored, as a flat table: one row a question, truth and slices as columns.

Typed answers are columns too, of the same names for truth (`truth_…`) and for what was answered: numbers are floats with NaN for
null, choices and Booleans are objects with None.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int

from drive_vqa.errors import StoreError
from drive_vqa.schema import QUESTIONS, TRUTH
from drive_vqa.store import Store
from eval.localization import HORIZONS_S

NUMBERS = ("distance_m", "bearing_deg", "speed_mps", "clock_hour", "count")
"""Fields of a typed answer that are numbers; the others are `choice` and `bool`."""

COLUMNS = (
    *("qa_id", "group_id", "log_id", "frame", "truth_frame", "family", "type", "answer_type", "marks", "track_ids"),
    *("options", "truth", "horizon_s", "split", "slices"),
)
SLICES = tuple(field.name for field in QUESTIONS.field("slices").type)


def read_cases(store: Store, splits: Collection[str]) -> pd.DataFrame:
    """All questions of some splits, ordered by log, frame, group and id.

    Adds `log_code` and `frame_code` (numbers of the log and of the anchor frame), `mark` (the first, -1 for none),
    `mark_count` and `track_id` (of the first mark).

    Raises:
        StoreError: the store has no questions, or an id twice.
    """
    log_ids = store.log_ids("questions")
    if not log_ids:
        raise StoreError(f"{store.root} has no questions: run `drive-vqa generate STORE`")
    parts = [_of_splits(store.read("questions", log_id, COLUMNS), splits) for log_id in log_ids]
    table = pa.concat_tables(parts).combine_chunks()
    cases = _flat(table).sort_values(["log_id", "frame", "group_id", "qa_id"], ignore_index=True)
    if cases["qa_id"].duplicated().any():
        twice = cases["qa_id"][cases["qa_id"].duplicated()].iloc[0]
        raise StoreError(f"{store.root} has question {twice} twice: run `drive-vqa generate STORE` again")
    cases["log_code"] = pd.factorize(cases["log_id"])[0]
    cases["frame_code"] = cases.groupby(["log_id", "frame"], sort=False).ngroup()
    return cases


def split_of_questions(store: Store) -> dict[str, str]:
    """The split of every question of a store, by qa_id."""
    table = store.read_all("questions", ["qa_id", "split"])
    return dict(zip(table["qa_id"].to_pylist(), table["split"].to_pylist(), strict=True))


def answer_columns(answers: Sequence[Mapping[str, Any] | None]) -> pd.DataFrame:
    """Typed answers as columns; None gives a row of nothing.

    Args:
        answers: each with the fields of `drive_vqa.schema.TRUTH`.
    """
    nothing: dict[str, Any] = dict.fromkeys(TRUTH.names)
    columns: dict[str, Any] = {}
    for name in TRUTH.names:
        values = [(nothing if answer is None else answer)[name] for answer in answers]
        columns[name] = pd.Series(values, dtype=np.float64 if name in NUMBERS else object)
    return pd.DataFrame(columns)


@dataclass(frozen=True, eq=False)
class Targets:
    """Marked objects whose place is asked for at 0, 1, 2 and 3 s.

    Attributes:
        rows: row of the question for each target and horizon in the table of cases; -1 where it was not asked.
        anchors: a row of each target, for what all its questions share.
    """

    rows: Int[np.ndarray, "targets horizons"]
    anchors: Int[np.ndarray, "targets"]

    def __len__(self) -> int:
        """How many targets there are."""
        return len(self.anchors)

    def take(self, chosen: np.ndarray) -> Targets:
        """Some of the targets, by mask or index."""
        return Targets(self.rows[chosen], self.anchors[chosen])

    def values(self, column: pd.Series | np.ndarray, missing: Any) -> np.ndarray:
        """A column of the cases for each target and horizon; `missing` where the horizon was not asked."""
        found = np.asarray(column)[np.maximum(self.rows, 0)] if len(column) else np.zeros(self.rows.shape)
        return np.asarray(np.where(self.rows >= 0, found, missing))


def find_targets(cases: pd.DataFrame) -> Targets:
    """The targets of the localization questions of family `future`: one for each group and mark."""
    asked = cases[
        (cases["answer_type"] == "localization") & (cases["family"] == "future") & cases["horizon_s"].isin(HORIZONS_S)
    ]
    target = asked.groupby(["group_id", "mark"], sort=False).ngroup().to_numpy()
    rows = np.full((target.max(initial=-1) + 1, len(HORIZONS_S)), -1, dtype=np.int64)
    rows[target, asked["horizon_s"].to_numpy().astype(np.int64)] = asked.index.to_numpy()
    return Targets(rows, rows.max(axis=1, initial=-1))


def _of_splits(table: pa.Table, splits: Collection[str]) -> pa.Table:
    return table.filter(pc.is_in(table["split"], value_set=pa.array(sorted(splits), pa.string())))


def _flat(table: pa.Table) -> pd.DataFrame:
    plain = table.drop_columns(["truth", "slices", "marks", "options", "track_ids"]).to_pandas()
    truth = answer_columns(table["truth"].to_pylist()).add_prefix("truth_")
    slices = pd.DataFrame(table["slices"].to_pylist(), columns=list(SLICES)).add_prefix("slice_").astype(object)
    slices["slice_distance_m"] = slices["slice_distance_m"].astype(np.float64)
    marks = table["marks"].to_pylist()
    lists = pd.DataFrame(
        {
            "mark": [numbers[0] if numbers else -1 for numbers in marks],
            "mark_count": [len(numbers) for numbers in marks],
            "track_id": [tracks[0] if tracks else None for tracks in table["track_ids"].to_pylist()],
            "options": [tuple(options or ()) for options in table["options"].to_pylist()],
        }
    )
    flat: pd.DataFrame = pd.concat([plain, lists, truth, slices], axis=1)
    return flat
