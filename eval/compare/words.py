"""A comparison in words: a sentence a run, numbers with their units, and a short Markdown file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from eval.gate_files import markdown_cell
from eval.report.headline import TITLES
from eval.report.numbers import UNITS, plain
from eval.report.panels import BREAKDOWN, SAFETY
from eval.report.slices import SLICE, type_title, value_title

MOST_LINES = 15
OWN_TITLES = {
    "localization.sr_distance": "Distance within 25 %",
    "localization.sr_bearing": "Bearing within 10°",
    "speed.sr.ego": "Own speed within 20 %",
    "speed.sr.target": "Target speed within 20 %",
    "prediction.ade_m": "ADE (m)",
    "prediction.fde_m": "FDE (m)",
    "prediction.longitudinal_error_m": "Longitudinal error (m)",
    "prediction.lateral_error_m": "Lateral error (m)",
    "prediction.miss_rate_2m": "Miss rate (2 m)",
    "grounding.tiou": "Overlap in time (tIoU)",
    "grounding.miou": "Overlap of boxes (mIoU)",
}
"""Of metrics that the report shows elsewhere, or beside a note that tells what its short title leaves out."""
PART = re.compile(r"(?P<dimension>family|form|type)\.(?P<value>[^.]+)\.(?P<rate>[^.]+)")


def summary(base: str, run: Mapping[str, Any]) -> str:
    """What became of a run against the base, in one sentence."""
    worse, suspected, better = (_named(run, verdict) for verdict in ("regression", "suspected", "improvement"))
    first = f" (first {(worse + suspected)[0]})" if worse or suspected else ""
    tested, flips = sum(run["comparisons"].values()), run["flips"]
    return (
        f"{run['name']} against {base}: {len(worse)} regression{_s(worse)} and {len(suspected)} suspected{first}, "
        f"{len(better)} improvement{_s(better)} among {tested} tested metrics; "
        f"{flips['lost']:,} answers lost ({flips['dangerous']:,} dangerously), {flips['gained']:,} gained."
        + (f" {run['unanswered']:,} questions have no answer and count as wrong." if run["unanswered"] else "")
    )


def _s(names: Sequence[str]) -> str:
    return "" if len(names) == 1 else "s"


def _named(run: Mapping[str, Any], verdict: str) -> list[str]:
    return [metric["metric"] for metric in run["metrics"] if metric["verdict"] == verdict]


def metric_title(metric: str) -> str:
    """A metric as it is called in the tables of the report."""
    if (match := SLICE.fullmatch(metric)) is not None:
        return f"{_title(match['rate'])}, {plain(match['dimension']).lower()}: {value_title(match['value']).lower()}"
    if (match := BREAKDOWN.fullmatch(metric)) is not None:
        return f"{_title('safety.' + match['rate'])}, {match['dimension']}: {value_title(match['value']).lower()}"
    if (match := PART.fullmatch(metric)) is not None:
        value = type_title(match["value"]) if match["dimension"] == "type" else value_title(match["value"])
        return f"{_title(match['rate'])}, {match['dimension']}: {value.lower()}"
    return _title(metric)


def _title(metric: str) -> str:
    known = TITLES.get(metric) or SAFETY.get(metric) or (plain(metric),)
    return OWN_TITLES.get(metric, known[0])


def tested_first(metrics: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """In their order, but those without a p-value last."""
    return sorted(metrics, key=lambda one: one["p"] is None)


def number(metric: str, value: float | None) -> str:
    """A value with its unit; shares in per cent."""
    if value is None:
        return "–"
    unit = unit_of(metric)
    return f"{value:.2f}{unit}" if unit else f"{100 * value:.1f} %"


def signed(metric: str, value: float | None) -> str:
    """A difference without its unit; of shares in points."""
    if value is None:
        return "–"
    return f"{value:+.2f}" if unit_of(metric) else f"{100 * value:+.1f}"


def interval(change: Mapping[str, Any]) -> str:
    """The ends of the interval of a difference; "no interval" where there is none."""
    if change["low"] is None or change["high"] is None:
        return "no interval"
    return f"{signed(change['metric'], change['low'])} to {signed(change['metric'], change['high'])}"


def p_value(p: float | None) -> str:
    """A p-value as it is printed."""
    if p is None:
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def unit_of(metric: str) -> str:
    """Its unit; "" for shares."""
    return next((unit for suffix, unit in UNITS.items() if metric.endswith(suffix)), "")


def markdown(content: Mapping[str, Any]) -> str:
    """The comparison in short: regressions, then other changes of the headline and the safety panel."""
    lines = [f"## Comparison with {markdown_cell(content['base']['name'])}", ""]
    lines += [f"{content['questions']:,} common questions of {content['logs']:,} logs.", ""]
    for run in content["runs"]:
        lines += [markdown_cell(run["summary"]), ""]
        rows = [
            one
            for one in tested_first(run["metrics"])
            if one["verdict"] in ("regression", "suspected") or one["kind"] != "slice"
        ]
        lines += [
            "| verdict | metric | base | this run | difference | 95 % interval | p (Holm) |",
            "|---|---|---|---|---|---|---|",
        ]
        lines += [_line(one) for one in rows[:MOST_LINES]]
        left = len(run["metrics"]) - len(rows[:MOST_LINES])
        lines += ["", f"{left:,} more in comparison.json. " + _corrections(run["comparisons"]), ""]
    return "\n".join(lines)


def _line(one: Mapping[str, Any]) -> str:
    name = one["metric"]
    verdict = "**REGRESSION**" if one["verdict"] == "regression" else one["verdict"]
    told = [number(name, one["base"]), number(name, one["other"]), signed(name, one["difference"])]
    cells = [name, *told, interval(one), p_value(one["p_holm"])]
    return f"| {verdict} | " + " | ".join(map(markdown_cell, cells)) + " |"


def _corrections(comparisons: Mapping[str, int]) -> str:
    told = ", ".join(f"{count} {kind}" for kind, count in comparisons.items())
    return f"p-values are corrected within each kind of metric ({told})."
