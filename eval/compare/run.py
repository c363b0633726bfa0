"""Compare evaluations and write it all down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from drive_vqa.errors import ConfigError
from drive_vqa.store import replacing, write_json
from eval.compare.changes import KINDS, Change, changes
from eval.compare.flips import counts, flips
from eval.compare.page import write_comparison_page
from eval.compare.pairing import Paired, Run, read_paired
from eval.compare.words import markdown, summary


def compare(evaluations: Sequence[Path], out: Path) -> str:
    """Compare runs with the first of them.

    Args:
        evaluations: folders made by `drive-vqa evaluate`, the base first.
        out: folder of the comparison; see `eval.compare` for its files.

    Returns:
        A sentence a run: what became worse, what better, and which questions flipped.

    Raises:
        ConfigError: fewer than two evaluations, or `out` is a file.
        StoreError: an evaluation or its store is missing or damaged.
        PredictionError: they have no question in common.
    """
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out} is a file: give --out a folder for the comparison")
    paired = read_paired(evaluations)
    compared = [_compared(paired, other) for other in paired.others]
    content = {
        "questions": len(paired.cases),
        "logs": int(paired.cases["log_id"].nunique()),
        "base": _head(paired, paired.base),
        "runs": [one.content for one in compared],
    }
    table = pa.concat_tables([one.flips for one in compared])
    out.mkdir(parents=True, exist_ok=True)
    with replacing(out / "flips.parquet") as temporary:
        pq.write_table(table, temporary, compression="zstd")
    with replacing(out / "comparison.md") as temporary:
        temporary.write_text(markdown(content), encoding="utf-8", errors="backslashreplace")
    write_comparison_page(content, table, out / "comparison.html")
    write_json(out / "comparison.json", content)
    return " ".join(one.content["summary"] for one in compared)


@dataclass(frozen=True, eq=False)
class _Compared:
    """One run beside the base, as it goes into comparison.json, and its flips."""

    content: dict[str, Any]
    flips: pa.Table


def _compared(paired: Paired, other: Run) -> _Compared:
    found, flipped = changes(paired, other), flips(paired, other)
    content = {
        **_head(paired, other),
        **counts(paired, flipped),
        "comparisons": _tested(found),
        "metrics": [change.as_json() for change in found],
    }
    return _Compared({**content, "summary": summary(paired.base.name, content)}, flipped)


def _head(paired: Paired, run: Run) -> dict[str, Any]:
    return {
        "name": run.name,
        "evaluation": str(run.evaluation),
        "model": str(run.config.get("model", "")),
        "split": str(run.config.get("split", "")),
        "left_out": run.asked - len(paired.cases),
        "unanswered": run.unanswered,
    }


def _tested(found: Sequence[Change]) -> dict[str, int]:
    return {kind: sum(change.kind == kind and change.p is not None for change in found) for kind in KINDS}
