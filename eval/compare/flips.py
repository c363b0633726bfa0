"""The questions that one run answers right and the other not, with both texts: what a change of a number is made of.

    flip       lost: right in the base, wrong in the other run; gained: the reverse
    dangerous  the wrong answer is a dangerous one (eval.report.severity)

flips.parquet has a row a question and run: lost ones first, of these the dangerous first, then as `eval.report.severity` orders
mistakes.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa

from eval.compare.pairing import Paired, Run
from eval.panel import slug
from eval.report.severity import worst_first

DIMENSIONS = ("family", "type", "form", "category", "moving", "ttc_bin", "difficulty", "relation")
"""Parts that flips are counted by; those of the target are columns `slice_…` of the cases."""

FLIPS = pa.schema(
    [
        ("run", pa.string()),
        ("flip", pa.string()),
        ("dangerous", pa.bool_()),
        ("qa_id", pa.string()),
        ("log_id", pa.string()),
        ("frame", pa.int32()),
        ("group_id", pa.string()),
        ("family", pa.string()),
        ("type", pa.string()),
        ("form", pa.string()),
        ("horizon_s", pa.float64()),
        *((f"slice_{name}", pa.string()) for name in DIMENSIONS[3:]),
        ("slice_distance_m", pa.float64()),
        ("question", pa.string()),
        ("truth", pa.string()),
        ("base_text", pa.string()),
        ("other_text", pa.string()),
        ("base_failure", pa.string()),
        ("other_failure", pa.string()),
    ]
)


def flips(paired: Paired, other: Run) -> pa.Table:
    """The flipped questions of one run, table `FLIPS`."""
    before, after = (one.answers["success"].eq(True).to_numpy() for one in (paired.base, other))
    parts = [
        _told("lost", other.answers[before & ~after], paired.base, other),
        _told("gained", paired.base.answers[~before & after], paired.base, other),
    ]
    return pa.concat_tables(parts)


def counts(paired: Paired, table: pa.Table) -> dict[str, Any]:
    """How many flipped, all in all and by dimension and value, of how many questions."""
    frame = table.select(["flip", "dangerous", "qa_id"]).to_pandas()
    lost, gained = (set(frame["qa_id"][frame["flip"] == flip]) for flip in ("lost", "gained"))
    dangerous = int((frame["dangerous"] & (frame["flip"] == "lost")).sum())
    marked = paired.cases.assign(lost=paired.cases["qa_id"].isin(lost), gained=paired.cases["qa_id"].isin(gained))
    by = {dimension: _counts_by(marked, _column(dimension)) for dimension in DIMENSIONS}
    return {
        "flips": {"lost": len(lost), "gained": len(gained), "dangerous": dangerous},
        "flips_by": {dimension: found for dimension, found in by.items() if found},
    }


def _counts_by(marked: pd.DataFrame, column: str) -> dict[str, dict[str, int]]:
    known = marked[marked[column].notna() & (marked[column] != "")]
    counted = known.groupby(known[column].map(slug), sort=True).agg(
        n=("qa_id", "size"), lost=("lost", "sum"), gained=("gained", "sum")
    )
    return {str(value): {name: int(row[name]) for name in counted.columns} for value, row in counted.iterrows()}


def _column(dimension: str) -> str:
    return dimension if dimension in ("family", "type", "form") else f"slice_{dimension}"


def _told(flip: str, wrong: pd.DataFrame, base: Run, other: Run) -> pa.Table:
    """Rows of the run that is wrong, in the order of its mistakes."""
    ordered = worst_first(wrong) if len(wrong) else wrong.assign(outcome="")
    columns: dict[str, Any] = {
        "run": [other.name] * len(ordered),
        "flip": [flip] * len(ordered),
        "dangerous": ordered["outcome"].eq("dangerous"),
        "truth": ordered["answer"],
    }
    for side, run in (("base", base), ("other", other)):
        own = run.answers.set_index("qa_id").loc[ordered["qa_id"]]
        columns |= {f"{side}_text": own["text"], f"{side}_failure": own["failure"]}
    columns |= {f"slice_{name}": ordered[f"slice_{name}"].map(_word) for name in DIMENSIONS[3:]}
    told = [columns.get(field.name, ordered.get(field.name)) for field in FLIPS]
    arrays = [pa.array(list(column), field.type, from_pandas=True) for column, field in zip(told, FLIPS, strict=True)]
    return pa.Table.from_arrays(arrays, schema=FLIPS)


def _word(value: object) -> str | None:
    return None if value is None or value != value or value == "" else str(value)
