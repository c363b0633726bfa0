"""The comparison as one page: differences drawn as intervals, regressions first, and every flipped question to filter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from eval.compare.words import interval, metric_title, number, p_value, signed, tested_first, unit_of
from eval.report.numbers import counted, plain
from eval.report.parts import ROWS_OF_PART, Part, pack, pack_rows
from eval.report.shell import HERE as REPORT
from eval.report.shell import fill, write_page
from eval.report.slices import DIMENSIONS, type_title, value_title

HERE = Path(__file__).parent
TITLES = {"headline": "Headline", "safety": "Safety panel", "slice": "Slices, families and types"}
SHOWN = {"headline": 40, "safety": 30, "slice": 20}
"""Rows of a table that are shown at once; the others open."""

LEAST_REACH = 0.02
MIDDLE = 100.0
"""Of the drawing of an interval, in its own units; its middle is no difference."""

FIELDS = ("qa_id", "question", "truth", "base_text", "other_text", "flip", "dangerous", "facts")
VERDICTS = {"regression": "Regression", "suspected": "Suspected regression", "improvement": "Improvement"}
"""That are told in the table."""


@dataclass(frozen=True)
class Line:
    """A row of a table: words, and where the interval is drawn; better is to the right.

    Attributes:
        name: of the metric.
        title: in words.
        verdict: word and class of the row.
        base: value of the base.
        other: value of the run.
        difference: other minus base, with its sign.
        interval: its ends.
        p: corrected p-value.
        exact: what else is to be known, told on demand.
        low: left end of the drawing; None where there is no interval.
        at: place of the difference; None where there is none, or not in points.
        high: right end.
        is_cut_low: whether the interval goes on to the left of the drawing.
        is_cut_high: whether it goes on to the right.
    """

    name: str
    title: str
    verdict: str
    base: str
    other: str
    difference: str
    interval: str
    p: str
    exact: str
    low: float | None
    at: float | None
    high: float | None
    is_cut_low: bool
    is_cut_high: bool


@dataclass(frozen=True)
class Table:
    """The metrics of a kind; `reach` is how far shares are drawn, in points."""

    kind: str
    title: str
    tested: int
    reach: float
    lines: tuple[Line, ...]
    shown: int


def write_comparison_page(content: Mapping[str, Any], flips: pa.Table, out: Path) -> None:
    """Write the page.

    Args:
        content: of comparison.json, see `eval.compare`.
        flips: of all runs, see `eval.compare.flips`.
        out: the HTML file.
    """
    runs = [
        {**run, "tables": [table for kind in TITLES if (table := _table(run, kind)).lines]} for run in content["runs"]
    ]
    html = fill(
        "comparison.html",
        {
            "content": content,
            "runs": runs,
            "verdicts": VERDICTS,
            "flipped": flips.num_rows,
            "titles": DIMENSIONS,
            "value_title": value_title,
        },
        styles=[REPORT / "questions.css", HERE / "comparison.css"],
        scripts=[REPORT / "parts.js", HERE / "comparison.js"],
        parts=list(_parts(flips)),
        templates=HERE,
    )
    write_page(html, out)


def _table(run: Mapping[str, Any], kind: str) -> Table:
    metrics = tested_first([metric for metric in run["metrics"] if metric["kind"] == kind])
    reach = _reach([metric for metric in metrics if not unit_of(metric["metric"])])
    lines = tuple(_line(metric, reach) for metric in metrics)
    return Table(kind, TITLES[kind], run["comparisons"][kind], 100 * reach, lines, SHOWN[kind])


def _reach(metrics: Sequence[Mapping[str, Any]]) -> float:
    """How far the drawing goes to either side: all differences, and intervals of up to twice as much."""
    ends = [abs(one[end]) for one in metrics for end in ("low", "high") if one[end] is not None]
    most = max((abs(one["difference"]) for one in metrics if one["difference"] is not None), default=0.0)
    return max(LEAST_REACH, most, min(2 * most, max(ends, default=0.0)))


def _line(metric: Mapping[str, Any], reach: float) -> Line:
    name, difference = metric["metric"], metric["difference"]
    unit = unit_of(name)
    clusters = counted(metric["clusters"], metric["cluster_kind"] or "log")
    exact = (
        f"{name}: {signed(name, difference)}{unit or ' points'} ({interval(metric)}), n = {metric['n']:,} of {clusters}, "
        f"{metric['better']} is better"
    )
    gains = (None, None, None) if unit else _gains(metric)
    low, at, high = (None if gain is None else _place(gain / reach) for gain in gains)
    return Line(
        name, metric_title(name), metric["verdict"], number(name, metric["base"]), number(name, metric["other"]),
        signed(name, difference) + unit, interval(metric), p_value(metric["p_holm"]), exact, low, at, high,
        is_cut_low=gains[0] is not None and gains[0] < -reach, is_cut_high=gains[2] is not None and gains[2] > reach,
    )  # fmt: skip


def _gains(metric: Mapping[str, Any]) -> tuple[float | None, float | None, float | None]:
    """How much better: the lower end, the difference and the upper end."""
    low, at, high = (metric[end] for end in ("low", "difference", "high"))
    if metric["better"] == "higher":
        return low, at, high
    low, at, high = (None if value is None else -value for value in (high, at, low))
    return low, at, high


def _place(share: float) -> float:
    """A share of the reach in units of the drawing, cut at its ends."""
    return round(MIDDLE + MIDDLE * min(max(share, -1.0), 1.0), 2)


def _parts(flips: pa.Table) -> Iterator[Part]:
    """An index with what is filtered by, and the records themselves."""
    filters = {
        "run": flips["run"].to_pylist(),
        "flip": [
            _outcome(*pair) for pair in zip(flips["flip"].to_pylist(), flips["dangerous"].to_pylist(), strict=True)
        ],
        "type": [type_title(kind) for kind in flips["type"].to_pylist()],
        "kind": [plain(kind or "no target") for kind in flips["slice_category"].to_pylist()],
        "log": flips["log_id"].to_pylist(),
    }
    names = {"run": "Run", "flip": "Flip", "type": "Type", "kind": "Target", "log": "Log"}
    coded = [{"name": name, "title": names[name], **_coded(values)} for name, values in filters.items()]
    yield pack("flip-index", {"count": flips.num_rows, "rows_of_part": ROWS_OF_PART, "filters": coded})
    yield from pack_rows("flips", FIELDS, (_record(row) for row in flips.to_pylist()))


def _outcome(flip: str, dangerous: bool) -> str:
    if flip == "gained":
        return "Gained"
    return "Lost, dangerous" if dangerous else "Lost"


def _coded(values: Sequence[str]) -> dict[str, list[Any]]:
    known = sorted(set(values))
    place = {value: code for code, value in enumerate(known)}
    return {"values": known, "codes": [place[value] for value in values]}


def _record(row: Mapping[str, Any]) -> tuple[Any, ...]:
    facts = [type_title(row["type"]), f"log {row['log_id']}", f"frame {row['frame']}"]
    facts += [str(row["slice_category"]).replace("_", " ")] if row["slice_category"] else []
    facts += [f"{row['slice_distance_m']:.0f} m away now"] if row["slice_distance_m"] is not None else []
    return tuple(facts if name == "facts" else row[name] for name in FIELDS)
