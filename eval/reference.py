"""Rows to read a model's numbers by: what is scored without a model on the questions of a store.

    python -m eval.reference STORE [--splits test,val] [--fused STORE_OF_FUSED_TRACKS]

`oracle` gives every stored answer as text, so it is the most that can be reached: it fails where a time was not asked of a target
(the log ends), and where the wording rounds too far. The others are `eval.baselines`; `text_only` is blind. Shares are in per
cent; intervals as everywhere (`eval.statistics`). Where training questions are scored too, what is learned from them is left out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from drive_vqa.errors import DriveVqaError, StoreError
from drive_vqa.store import Store
from eval.baselines import USUAL
from eval.cases import read_cases
from eval.judged import judge_baselines, judge_stored
from eval.localization import HORIZONS_S
from eval.panel import Answered, estimates, panel
from eval.statistics import Estimate

COLUMNS = {
    **{f"LSR@{horizon_s}": f"localization.lsr.t{horizon_s}" for horizon_s in HORIZONS_S},
    "MLSR": "localization.mlsr",
    "TLC": "localization.tlc",
    "accuracy": "accuracy",
}
WITH_INTERVAL = ("MLSR", "TLC")


def reference_rows(store: Store, splits: Sequence[str], fused: Store | None = None) -> dict[str, dict[str, Estimate]]:
    """The metrics of the oracle and of every baseline, by name.

    Args:
        store: with questions and tracks.
        splits: whose questions are answered.
        fused: the same logs with tracks fused from measurements.

    Raises:
        StoreError: the splits have no questions.
    """
    cases = read_cases(store, splits)
    if cases.empty:
        raise StoreError(f"{store.root} has no questions in split {', '.join(splits)}: give other --splits")
    answerers: dict[str, Answered] = {"oracle": judge_stored(store, cases), **judge_baselines(store, cases, fused)}
    learned = USUAL if "train" in splits else ()
    return {name: estimates(panel(one), one.cases) for name, one in answerers.items() if name not in learned}


def as_markdown(rows: Mapping[str, Mapping[str, Estimate]]) -> str:
    """A table with one row an answerer."""
    head = f"| | {' | '.join(COLUMNS)} | targets | questions |"
    lines = [head, "|---" * (len(COLUMNS) + 3) + "|"]
    for name, metrics in rows.items():
        cells = [_cell(metrics[metric], interval=title in WITH_INTERVAL) for title, metric in COLUMNS.items()]
        counts = [f"{metrics[metric].n:,}" for metric in ("localization.tlc", "accuracy")]
        lines.append(f"| {' | '.join([name.replace('_', ' '), *cells, *counts])} |")
    return "\n".join(lines)


def _cell(estimate: Estimate, *, interval: bool) -> str:
    if estimate.value is None:
        return "–"
    value = f"{100 * estimate.value:.1f}"
    if not interval or estimate.low is None or estimate.high is None:
        return value
    return f"{value} [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("--splits", default="test", help="with commas between them (default test)")
    parser.add_argument("--fused", type=Path)
    arguments = parser.parse_args()
    try:
        fused = None if arguments.fused is None else Store.open(arguments.fused)
        rows = reference_rows(Store.open(arguments.store), arguments.splits.split(","), fused)
    except DriveVqaError as error:
        sys.exit(str(error))
    sys.stdout.write(as_markdown(rows) + "\n")


if __name__ == "__main__":
    main()
