"""The tables of an evaluation: what became of every answer, and of the baselines' answers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from drive_vqa.schema import SCHEMA_VERSION, SCORES, TRUTH
from drive_vqa.store import VERSION_KEY, replacing
from eval.cases import NUMBERS
from eval.judged import Judged
from eval.panel import Answered


def write_scores(scores: pa.Table, path: Path) -> None:
    """Write rows of table `scores`."""
    data = scores.replace_schema_metadata({VERSION_KEY: SCHEMA_VERSION.encode()})
    with replacing(path) as temporary:
        pq.write_table(data, temporary, compression="zstd")


def write_unanswered(answered: Answered, path: Path) -> None:
    """Write which questions have no answer."""
    missing = answered.cases["qa_id"][~answered.present]
    with replacing(path) as temporary:
        pq.write_table(pa.table({"qa_id": pa.array(missing.tolist(), pa.string())}), temporary, compression="zstd")


def score_rows(judged: Judged) -> pa.Table:
    """One row an answer, ordered by id and sample."""
    return _as_scores(judged.read, judged.verdicts)


def baseline_rows(baselines: Mapping[str, Answered]) -> pa.Table:
    """The same for baselines: `model` is the baseline's name, and there is no text."""
    parts = [
        _as_scores(
            one.answers.assign(
                qa_id=one.cases["qa_id"], model=name, sample=0, text=pd.Series(dtype=object), looks=None
            ),
            one.verdicts,
        )
        for name, one in baselines.items()
    ]
    return pa.concat_tables([SCORES.empty_table(), *parts])


def _as_scores(answers: pd.DataFrame, verdicts: pd.DataFrame) -> pa.Table:
    failure = answers["failure"].to_numpy(dtype=object)
    failed = np.array([reason is not None for reason in failure], dtype=bool)
    columns: dict[str, Any] = {name: answers[name].to_list() for name in ("qa_id", "model", "sample", "looks")}
    columns["text"] = [text if isinstance(text, str) else None for text in answers["text"]]
    fields = [_nullable(answers[field.name], field.type) for field in TRUTH]
    columns["parsed"] = pa.StructArray.from_arrays(fields, fields=list(TRUTH), mask=pa.array(failed))
    columns["failure"] = failure.tolist()
    columns["success"] = verdicts["success"].tolist()
    columns |= {name: verdicts[name].tolist() for name in ("distance_ok", "bearing_ok", "speed_ok")}
    table = pa.table({name: pa.array(columns[name], SCORES.field(name).type) for name in SCORES.names}, schema=SCORES)
    return table.sort_by([("qa_id", "ascending"), ("sample", "ascending")])


def _nullable(column: pd.Series, kind: pa.DataType) -> pa.Array:
    """Values with null for what is not there; whole numbers as such."""
    if column.name in NUMBERS:
        return pa.array(column.to_numpy(dtype=np.float64), pa.float64(), from_pandas=True).cast(kind)
    return pa.array(column.to_list(), kind)
