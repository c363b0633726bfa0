"""Time scoring: `python -m eval.scoring_benchmark [--rows N] [--peer FILE] [--panel]`.

Scoring is what `drive-vqa evaluate` does with answers: read them, judge them, and take the values of the metrics of place,
of its consistency in time, of boxes and intervals, and of positions in metres; intervals by bootstrap are timed apart
(`--panel`). Time is processor time of this process, so one core with OMP_NUM_THREADS=1. The plain way beside it reads the
same texts one by one with `eval.parse.parse`. No text is read once for many: each row stands for itself.

FILE of a peer defines `read(text, answer_type)`; it is timed on the well-formed texts.
"""

from __future__ import annotations

import argparse
import resource
import runpy
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from eval.cases import answer_columns, find_targets
from eval.localization import consistent, lsr, mlsr, tlc
from eval.parse import ParseFailure, parse
from eval.read_answers import read_answers
from eval.scoring import box_ious, judge, tious
from eval.scoring_benchmark_data import MALFORMED, make_cases, malformed, well_formed
from eval.trajectory import average_displacement_m, displacement_m, missed, positions_m

SEED = 0
LEAST_ROWS = 1_000
MALFORMED_ROWS = 20_000
PLAIN_ROWS = 5_000
KIB = 1024

Row = tuple[str, int, float, float]
"""Class of texts, rows, seconds to score them, seconds a row of the plain way."""


def score(cases: pd.DataFrame, texts: Sequence[str]) -> dict[str, float]:
    """Values of metrics of some answers."""
    answers = read_answers(texts, cases["answer_type"], cases["options"])
    return metric_values(cases, answers)


def score_plainly(cases: pd.DataFrame, texts: Sequence[str]) -> dict[str, float]:
    """The same, text by text."""
    asked = zip(texts, cases["answer_type"], cases["options"], strict=True)
    parsed = [parse(text, answer_type, options) for text, answer_type, options in asked]
    answers = answer_columns([None if isinstance(one, ParseFailure) else one.as_truth() for one in parsed])
    answers["failure"] = pd.Series(
        [one.reason if isinstance(one, ParseFailure) else None for one in parsed], dtype=object
    )
    return metric_values(cases, answers)


def metric_values(cases: pd.DataFrame, answers: pd.DataFrame) -> dict[str, float]:
    """Values of the metrics of place, consistency, grounding and prediction."""
    verdicts, targets = judge(cases, answers), find_targets(cases)
    success = targets.values(verdicts["success"].to_numpy(), missing=False).astype(bool)
    truth_xy_m, answer_xy_m = (
        positions_m(*(targets.values(table[name].to_numpy(), missing=np.nan) for name in names))
        for table, names in (
            (cases, ("truth_distance_m", "truth_bearing_deg")),
            (answers, ("distance_m", "bearing_deg")),
        )
    )
    errors_m = displacement_m(truth_xy_m, answer_xy_m)[:, 1:]
    rates = {f"lsr.t{horizon}": float(rate) for horizon, rate in enumerate(lsr(success))}
    rates |= {"accuracy": float(verdicts["success"].mean()), "mlsr": mlsr(success), "tlc": tlc(success)}
    rates |= {f"tlc.k{k}": float(consistent(success, k).mean()) for k in (1, 2)}
    rates |= {"tiou": _total(tious(cases, answers)), "miou": _total(box_ious(cases, answers))}
    rates |= {"ade_m": _total(average_displacement_m(errors_m)), "miss_rate": float(missed(errors_m).mean())}
    return rates | {"failures": float(answers["failure"].notna().mean())}


def _total(values: np.ndarray) -> float:
    return float(np.nansum(values))


def _timed(work: Callable[[], Any], repeats: int = 1) -> tuple[Any, float]:
    """What it gives, and the median processor time."""
    times_s = []
    for _ in range(repeats):
        started = time.process_time()
        result = work()
        times_s.append(time.process_time() - started)
    return result, float(np.median(times_s))


def measure(name: str, cases: pd.DataFrame, texts: list[str]) -> Row:
    """Time one class of texts, and some of it the plain way.

    Raises:
        ValueError: the two ways give different values.
    """
    few = min(PLAIN_ROWS, len(cases))
    values, plain_s = _timed(lambda: score_plainly(cases[:few], texts[:few]))
    if values != score(cases[:few], texts[:few]):
        raise ValueError(f"{name}: read as a column, texts give other values than one by one")
    repeats = 3 if len(cases) <= MALFORMED_ROWS else 1
    return name, len(cases), _timed(lambda: score(cases, texts), repeats)[1], plain_s / few


def _shown(row: Row) -> str:
    name, rows, took_s, plain_s = row
    return f"{name:36} {rows:>9,} {took_s:9.3f} {rows / took_s:>11,.0f} {plain_s * rows / took_s:>7.1f}"


def _peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB / 1e9


def panel_line(cases: pd.DataFrame, texts: list[str]) -> str:
    """The whole panel of metrics with its intervals."""
    from eval.panel import Answered, estimates, panel

    answers = read_answers(texts, cases["answer_type"], cases["options"]).assign(answered=True)
    answered = Answered(cases, answers, judge(cases, answers))
    samples, panel_s = _timed(lambda: panel(answered))
    found, intervals_s = _timed(lambda: estimates(samples, cases))
    return f"panel of {len(found)} metrics {panel_s:.1f} s, their intervals {intervals_s:.1f} s"


def peer_line(file: Path, cases: pd.DataFrame, texts: list[str], own_s: float) -> str:
    """A peer's reader on the same texts."""
    read = runpy.run_path(str(file))["read"]
    asked = list(zip(texts, cases["answer_type"], strict=True))[:MALFORMED_ROWS]
    _, took_s = _timed(lambda: [read(text, answer_type) for text, answer_type in asked])
    rate, ratio = len(asked) / took_s, took_s / len(asked) / own_s
    return f"peer, reading only: {rate:,.0f} a second; scoring here is {ratio:.1f} times as fast"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m eval.scoring_benchmark", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument("--rows", type=int, default=1_000_000, help="of well-formed answers, at most")
    parser.add_argument("--peer", type=Path, help="a Python file with a function read(text, answer_type)")
    parser.add_argument("--panel", action="store_true", help="time all metrics with their intervals too")
    arguments = parser.parse_args()
    lines = [f"{'texts':36} {'rows':>9} {'seconds':>9} {'a second':>11} {'x plain':>7}"]
    cases = make_cases(MALFORMED_ROWS, SEED)
    texts = well_formed(cases)
    lines += [_shown(measure(name, cases, malformed(name, texts, SEED))) for name in MALFORMED]
    rows, row = LEAST_ROWS, None
    while rows <= arguments.rows:
        cases = make_cases(rows, SEED)
        texts = well_formed(cases)
        row = measure("well-formed", cases, texts)
        lines += [f"{_shown(row)}   peak {_peak_gb():.2f} GB"]
        rows *= 10
    if row and arguments.peer:
        lines += [peer_line(arguments.peer, cases, texts, row[2] / row[1])]
    if arguments.panel:
        lines += [panel_line(cases, texts)]
    print("\n".join(lines))


if __name__ == "__main__":
    main()
