"""The questions that are scored, as a flat table: one row a question, truth and slices as columns.

Typed answers are columns too, of the same names for truth (`truth_…`) and for what was answered: numbers are floats with NaN for
null; choices, Booleans and lists of marks (tuples) are objects with None. Tables are made column by column, since a store may
hold millions of questions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
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

OBJECTS = ("choice", "bool", "marks", "undetermined")
"""Fields of a typed answer that are no numbers."""

NUMBERS = tuple(name for name in TRUTH.names if name not in OBJECTS)
"""Fields of a typed answer that are numbers."""

COLUMNS = (
    *(
        "qa_id",
        "group_id",
        "log_id",
        "frame",
        "truth_frame",
        "family",
        "type",
        "form",
        "answer_type",
        "marks",
        "track_ids",
    ),
    *("parameter", "options", "truth", "horizon_s", "split", "slices"),
)
TRAINING_COLUMNS = ("type", "form", "answer_type", "parameter", "truth", "split", "slices")
NESTED = ("marks", "track_ids", "options", "truth", "slices")
ORDER = ("log_id", "frame", "group_id", "qa_id")
MAX_TRAINING = 500_000
"""Training questions that the usual answers are taken from; of more, an even share of every log."""

JOINT = "\x1f"
"""Stands between the items of a list while equal lists are found: the unit separator, which a text hardly holds."""


def read_cases(store: Store, splits: Collection[str], asked: pa.StringArray | None = None) -> pd.DataFrame:
    """The questions of some splits, ordered by log, frame, group and id.

    Adds `log_code` and `frame_code` (numbers of the log and of the anchor frame), `mark` (the first, -1 for none),
    `mark_count` and `track_id` (of the first mark).

    Args:
        store: with questions.
        splits: all their questions,
        asked: but only those with these ids; None: all.

    Raises:
        StoreError: the store has no questions, or an id twice.
    """
    log_ids = store.log_ids("questions")
    if not log_ids:
        raise StoreError(f"{store.root} has no questions: run `drive-vqa generate STORE`")
    parts = [_of_splits(store.read("questions", log_id, COLUMNS), splits) for log_id in log_ids]
    if asked is not None:
        parts = [part.filter(pc.is_in(part["qa_id"], value_set=asked)) for part in parts]
    table = pa.concat_tables(parts).sort_by([(name, "ascending") for name in ORDER])
    cases = flatten(table)
    twice = cases["qa_id"].duplicated()
    if twice.any():
        qa_id = cases["qa_id"][twice].iloc[0]
        raise StoreError(f"{store.root} has question {qa_id} twice: run `drive-vqa generate STORE` again")
    cases["log_code"] = pd.factorize(cases["log_id"])[0]
    cases["frame_code"] = cases.groupby(["log_code", "frame"], sort=False).ngroup()
    return cases


def read_training(store: Store) -> pd.DataFrame:
    """What the usual answers need of the training questions: type, form, answer type, truth and slices; in no order.

    Of very many questions an even share is read, the same in every run.
    """
    split = pa.chunked_array(
        [store.read("questions", log_id, ["split"])["split"].combine_chunks() for log_id in store.log_ids("questions")]
        or [pa.array([], pa.string())]
    )
    step = 1 + pc.sum(pc.equal(split, "train")).as_py() // MAX_TRAINING if len(split) else 1
    parts = [QUESTIONS.empty_table().select(list(TRAINING_COLUMNS))]
    for log_id in store.log_ids("questions"):
        table = _of_splits(store.read("questions", log_id, TRAINING_COLUMNS), ["train"])
        parts.append(table.take(pa.array(np.arange(0, table.num_rows, step))))
    return flatten(pa.concat_tables(parts))


def splits_of_questions(store: Store, qa_ids: Sequence[str]) -> pd.Series:
    """The split of each of these questions, indexed by qa_id; questions that the store does not have are left out."""
    wanted = pa.array(qa_ids, pa.string())
    parts = [QUESTIONS.empty_table().select(["qa_id", "split"])]
    for log_id in store.log_ids("questions"):
        table = store.read("questions", log_id, ["qa_id", "split"])
        parts.append(table.filter(pc.is_in(table["qa_id"], value_set=wanted)))
    found = pa.concat_tables(parts).to_pandas().drop_duplicates("qa_id")
    return pd.Series(found.set_index("qa_id")["split"])


def answer_columns(answers: Sequence[Mapping[str, Any] | None]) -> pd.DataFrame:
    """Typed answers as columns; None gives a row of nothing.

    Args:
        answers: each with the fields of `drive_vqa.schema.TRUTH`.
    """
    nothing: dict[str, Any] = dict.fromkeys(TRUTH.names)
    columns: dict[str, Any] = {}
    for name in TRUTH.names:
        values = [(nothing if answer is None else answer)[name] for answer in answers]
        if name == "marks":
            values = [None if marks is None else tuple(marks) for marks in values]
        columns[name] = np.array(values, dtype=np.float64) if name in NUMBERS else object_column(objects(values))
    return pd.DataFrame(columns)


def no_answers(count: int) -> pd.DataFrame:
    """So many rows of nothing, to be filled."""
    numbers, objects = np.full(count, np.nan), object_column(np.full(count, None))
    return pd.DataFrame({name: numbers if name in NUMBERS else objects for name in TRUTH.names})


def object_column(values: np.ndarray) -> pd.Series:
    """Objects with None as a column that stays so; left to itself, pandas makes text of them, with NaN."""
    return pd.Series(values, dtype=object)


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


def flatten(table: pa.Table) -> pd.DataFrame:
    """Rows of `questions`, or some of its columns, with structs as columns `truth_…` and `slice_…`.

    Of `marks` and `track_ids` the first item and the number stay: `mark`, `mark_count`, `track_id`. Lists become tuples.
    """
    table = table.combine_chunks()
    columns: dict[str, Any] = {}
    for name in table.column_names:
        if name not in NESTED:
            columns[name] = table[name].to_pandas()
    if "marks" in table.column_names:
        first = _first(_array(table["marks"]))
        columns["mark"] = pc.fill_null(first, -1).to_numpy(zero_copy_only=False).astype(np.int64)
        columns["mark_count"] = _lengths(_array(table["marks"]))
    if "track_ids" in table.column_names:
        columns["track_id"] = object_column(_first(_array(table["track_ids"])).to_numpy(zero_copy_only=False))
    if "options" in table.column_names:
        columns["options"] = object_column(option_tuples(_array(table["options"])))
    for name, prefix in (("truth", "truth_"), ("slices", "slice_")):
        if name in table.column_names:
            columns |= struct_columns(table[name], prefix)
    return pd.DataFrame(columns)


def struct_columns(structs: pa.ChunkedArray, prefix: str) -> dict[str, pd.Series]:
    """Fields of a struct column as flat columns: numbers are floats with NaN for null, the rest objects with None."""
    flat = {}
    for field in structs.type:
        values = _array(pc.struct_field(structs, field.name))
        if pa.types.is_list(field.type):
            flat[prefix + field.name] = object_column(_tuples(values))
        elif pa.types.is_string(field.type) or pa.types.is_boolean(field.type):
            flat[prefix + field.name] = object_column(np.asarray(values.to_numpy(zero_copy_only=False)))
        else:
            numbers = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
            flat[prefix + field.name] = pd.Series(np.asarray(numbers, dtype=np.float64))
    return flat


def option_tuples(lists: pa.ListArray) -> np.ndarray:
    """Lists of text as tuples; equal ones are one object, since a store has few beside its many questions."""
    result = objects([()] * len(lists))
    rows = np.flatnonzero(_lengths(lists) > 0)
    filled = lists.take(pa.array(rows))
    if pc.any(pc.match_substring(filled.flatten(), JOINT)).as_py() or filled.flatten().null_count:
        result[rows] = objects([tuple(options) for options in filled.to_pylist()])
        return result
    codes = pc.binary_join(filled, JOINT).dictionary_encode()
    known = objects([tuple(text.split(JOINT)) for text in codes.dictionary.to_pylist()])
    result[rows] = known[codes.indices.to_numpy(zero_copy_only=False)] if len(rows) else None
    return result


def _tuples(lists: pa.ListArray) -> np.ndarray:
    """Lists as tuples with None for null; few rows have one."""
    result = np.full(len(lists), None)
    rows = np.flatnonzero(lists.is_valid().to_numpy(zero_copy_only=False))
    result[rows] = objects([tuple(marks) for marks in lists.take(pa.array(rows)).to_pylist()])
    return result


def _lengths(lists: pa.ListArray) -> np.ndarray:
    """How many items each has; none for null."""
    return np.asarray(pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False), dtype=np.int64)


def _first(lists: pa.ListArray) -> pa.Array:
    """The first item of each list; null for none."""
    starts = lists.offsets.to_numpy()[:-1]
    return lists.values.take(pa.array(starts, mask=_lengths(lists) == 0))


def objects(values: Iterable[Any]) -> np.ndarray:
    """Values of any kind, tuples too, as an array of objects."""
    listed = list(values)
    return np.fromiter(listed, dtype=object, count=len(listed))


def _array(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        return (
            column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays([pa.array([], column.type), *column.chunks])
        )
    return column


def _of_splits(table: pa.Table, splits: Collection[str]) -> pa.Table:
    return table.filter(pc.is_in(table["split"], value_set=pa.array(sorted(splits), pa.string())))
