"""Read a predictions file from anywhere: Parquet or JSON lines with `qa_id` and `text`; `model` and `sample` may come too.

Closer looks are read from Parquet only, in the type that `drive-vqa predict` writes; in JSON lines a key `looks` is passed over.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from drive_vqa.errors import PredictionError
from drive_vqa.looks import look_from_struct
from drive_vqa.schema import PREDICTIONS

NEEDED = ("qa_id", "text")
KNOWN = ("qa_id", "text", "model", "sample")
LOOKS = "looks"
MAX_SAMPLE = 1_000_000


def read_predictions(path: Path) -> pd.DataFrame:
    """Predictions, columns qa_id, text, model, sample and looks (lists or None), in the order of the file.

    Without a column `model` the file's name is the model's; without `sample` all are sample 0.

    Raises:
        PredictionError: the file cannot be read, lacks a column, has a value of the wrong type, an answer twice, or several
            models.
    """
    readers = {".parquet": _read_parquet, ".jsonl": _read_json_lines}
    if path.suffix not in readers:
        raise PredictionError(f"{path} is neither .parquet nor .jsonl: give predictions in one of these forms")
    table = readers[path.suffix](path)
    if not table.num_rows:
        raise PredictionError(f"{path} holds no predictions: run `drive-vqa predict` again")
    return _checked(table, path)


def _checked(table: pa.Table, path: Path) -> pd.DataFrame:
    for name in table.column_names:
        if name != LOOKS and table[name].null_count:
            row = table[name].combine_chunks().is_null().to_pylist().index(True)
            raise PredictionError(f"{path}: row {row + 1} has no {name}: give every prediction one")
    frame = pd.DataFrame({name: table[name].to_pylist() for name in table.column_names})
    if "model" not in frame:
        frame["model"] = path.stem
    if "sample" not in frame:
        frame["sample"] = 0
    if LOOKS not in frame:
        frame[LOOKS] = None
    _check_looks(frame[LOOKS].to_list(), path)
    twice = frame.duplicated(["qa_id", "sample"])
    if twice.any():
        qa_id, sample = frame.loc[twice, "qa_id"].iloc[0], frame.loc[twice, "sample"].iloc[0]
        raise PredictionError(
            f"{path} answers question {qa_id} twice (sample {sample}): number repeated answers by `sample`"
        )
    if frame["model"].nunique() > 1:
        names = ", ".join(sorted(frame["model"].unique())[:3])
        raise PredictionError(f"{path} holds several models ({names}): evaluate one file a model")
    return frame[[*KNOWN, LOOKS]]


def _check_looks(rows: Sequence[Sequence[Mapping[str, Any] | None] | None], path: Path) -> None:
    for number, looks in enumerate(rows, start=1):
        if any(look_from_struct(look) is None for look in looks or ()):
            raise PredictionError(
                f"{path}: row {number} has a look that is none: each needs context, step, a crop with an area in u0_px to v1_px, "
                "u_px and v_px"
            )


def _read_parquet(path: Path) -> pa.Table:
    try:
        file = pq.ParquetFile(path)
        names = [name for name in (*KNOWN, LOOKS) if name in file.schema_arrow.names]
        table = file.read(columns=names)
        table.validate(full=True)
    except FileNotFoundError as error:
        raise PredictionError(f"{path} does not exist: give the file that `drive-vqa predict --out` wrote") from error
    except (OSError, pa.ArrowException) as error:
        raise PredictionError(f"{path} is not a readable Parquet file ({_one_line(error)}): make it again") from error
    _require(table.column_names, path)
    twice = [name for name in names if table.column_names.count(name) > 1]
    if twice:
        raise PredictionError(f"{path} has two columns {twice[0]!r}: keep one of them")
    return pa.table({name: _cast(table[name], name, path) for name in table.column_names})


def _cast(column: pa.ChunkedArray, name: str, path: Path) -> pa.ChunkedArray:
    """The column in the type of our schema."""
    wanted = PREDICTIONS.field(name).type
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    try:
        if _may_become(kind, wanted):
            return column.cast(wanted)
    except pa.ArrowException as error:
        raise PredictionError(
            f"{path}: column {name!r} is damaged ({_one_line(error)}): make the file again"
        ) from error
    raise PredictionError(f"{path}: column {name!r} has type {kind}, it must be {wanted}")


def _may_become(kind: pa.DataType, wanted: pa.DataType) -> bool:
    """Only text may become text, only whole numbers a sample, and only lists looks, or nothing where there are none."""
    if wanted == pa.string():
        return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))
    if pa.types.is_list(wanted):
        return bool(pa.types.is_list(kind) or pa.types.is_null(kind))
    return bool(pa.types.is_integer(kind))


def _read_json_lines(path: Path) -> pa.Table:
    rows = list(_json_rows(path))
    if not rows:
        return pa.table({name: pa.array([], pa.string()) for name in NEEDED})
    names = [name for name in KNOWN if name in rows[0]]
    for number, row in enumerate(rows, start=1):
        if [name for name in KNOWN if name in row] != names:
            raise PredictionError(f"{path}: row {number} has other keys than row 1: give all rows the same")
    return pa.table({name: pa.array([row[name] for row in rows], PREDICTIONS.field(name).type) for name in names})


def _json_rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield _json_row(line, number, path)
    except FileNotFoundError as error:
        raise PredictionError(f"{path} does not exist: give the file that `drive-vqa predict --out` wrote") from error
    except (OSError, UnicodeDecodeError) as error:
        raise PredictionError(f"{path} cannot be read as UTF-8 text ({_one_line(error)}): make it again") from error


def _json_row(line: str, number: int, path: Path) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise PredictionError(
            f"{path}: line {number} is not JSON ({_one_line(error)}): write one object a line"
        ) from error
    if not isinstance(row, dict):
        raise PredictionError(f"{path}: line {number} is not a JSON object: write one object a line")
    _require(row, path, f"line {number} ")
    for name in ("qa_id", "text", "model"):
        if not isinstance(row.get(name, ""), str):
            raise PredictionError(f"{path}: line {number}: {name!r} must be text, got {type(row[name]).__name__}")
    sample = row.get("sample", 0)
    if isinstance(sample, bool) or not isinstance(sample, int) or not 0 <= sample <= MAX_SAMPLE:
        raise PredictionError(f"{path}: line {number}: 'sample' must be a whole number, 0 or more")
    return {name: value if name == "sample" else storable(value) for name, value in row.items() if name in KNOWN}


def storable(text: str) -> str:
    """The text without what UTF-8 cannot hold: lone surrogates become `?`."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _require(names: Any, path: Path, where: str = "") -> None:
    missing = [name for name in NEEDED if name not in names]
    if missing:
        raise PredictionError(f"{path}: {where}has no {missing[0]!r}: a predictions file needs qa_id and text")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
