"""Metrics in words: which stand in which table, what they are called, and how a share with its interval is written.

Percent everywhere; `±` is the longer arm of the 95 % interval, so that value ± arm covers it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from eval.report.inputs import Number

HEADLINE = {
    "localization.mlsr": ("MLSR", "located within 25 % distance and 10° bearing, mean over 0–3 s"),
    "localization.tlc": ("TLC", "located at all of 0, 1, 2 and 3 s"),
    "localization.lsr.t0": ("LSR now", "located at the present"),
    "localization.lsr.t1": ("LSR in 1 s", "located one second ahead"),
    "localization.lsr.t2": ("LSR in 2 s", "located two seconds ahead"),
    "localization.lsr.t3": ("LSR in 3 s", "located three seconds ahead"),
    "speed.sr.ego": ("Own speed", "within 20 %"),
    "speed.sr.target": ("Target speed", "within 20 %"),
}
"""Rows of the headline table."""

SAFETY = {
    "safety.dangerous_far_rate": ("Dangerously far", "answers that put a target more than 25 % farther than it is"),
    "safety.dangerous_slow_closing_rate": (
        "Dangerously slow closing",
        "of targets that come nearer, those whose closing speed is answered more than 20 % too low",
    ),
    "safety.missed_approach_rate": ("Missed approach", "of targets that come nearer, those answered as going away"),
    "safety.critical_false_alarm_rate": ("False alarm", "of harmless targets, those answered as critical"),
    "safety.critical_recall": ("Critical recall", "of critical targets, those located at every time asked"),
    "safety.hallucination_rate": ("Hallucination", "numbers given for a mark that is not there"),
    "safety.over_cautious_rate": ("Over-cautious", "answers that put a target more than 25 % nearer than it is"),
    "parse.failure_rate": ("Unreadable", "answers without a usable value; they count as failed everywhere"),
}
"""Lines of the safety panel that are known by name; others under `safety.` follow with a plain name."""

ALARMING = ("dangerous", "missed", "hallucination", "false_alarm")
"""Words in the name of a rate that is shown in the colour of danger."""

BASELINES = {
    "constant_velocity": "Constant velocity",
    "constant_position": "Constant position",
    "class_median": "Class median",
}
"""Baselines in the order of the table; others follow by name."""

UNITS = {"_m": " m", "_deg": "°", "_mps": " m/s", "_s": " s"}


@dataclass(frozen=True)
class Cell:
    """A number as it is shown.

    Attributes:
        text: the value, "–" where there is none.
        spread: "±4.9" or "".
        exact: a sentence with the interval, n and the number of logs.
        share: the value in [0, 1] for a bar, None where it is not a share.
        low: lower bound for the bar.
        high: upper bound for the bar.
    """

    text: str
    spread: str
    exact: str
    share: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Row:
    """One line of a table: a metric, its name and note, n, and a cell for each column."""

    name: str
    title: str
    note: str
    n: int | None
    cells: tuple[Cell, ...]


def cell(name: str, number: Number | None) -> Cell:
    """Write a metric; shares become percent, other units keep theirs."""
    if number is None or number.value is None:
        return Cell("–", "", "no answers to count")
    unit = _unit(name)
    scale = 1.0 if unit else 100.0
    suffix = unit or " %"
    text = f"{scale * number.value:.1f}"
    spread = "" if number.half_width is None else f"±{scale * number.half_width:.1f}"
    share = None if unit else min(max(number.value, 0.0), 1.0)
    low, high = (None, None) if unit else (number.low, number.high)
    return Cell(text + suffix, spread, f"{text}{suffix}, {_interval(number, scale, suffix)}", share, low, high)


def _interval(number: Number, scale: float, suffix: str) -> str:
    logs = "" if number.clusters is None else f", {_count(number.clusters, 'log')}"
    n = "" if number.n is None else f"; n = {number.n:,}"
    if number.low is None or number.high is None:
        return f"no interval{n}{logs}"
    return f"95 % interval {scale * number.low:.1f} to {scale * number.high:.1f}{suffix}{n}{logs}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _unit(name: str) -> str:
    return next((unit for suffix, unit in UNITS.items() if name.endswith(suffix)), "")


def baseline_names(metrics: Iterable[str]) -> list[str]:
    """Names of the baselines in `baseline.<name>.<metric>`, the known ones first."""
    found = {name.split(".")[1] for name in metrics if name.startswith("baseline.") and name.count(".") >= 2}
    return [name for name in BASELINES if name in found] + sorted(found - BASELINES.keys())


def baseline_title(name: str) -> str:
    """What a baseline is called in a table."""
    return BASELINES.get(name, _plain(name))


def headline_rows(metrics: Mapping[str, Number]) -> list[Row]:
    """Model and baselines side by side."""
    baselines = baseline_names(metrics)
    rows = []
    for name, (title, note) in HEADLINE.items():
        if name not in metrics:
            continue
        others = [cell(name, metrics.get(f"baseline.{baseline}.{name}")) for baseline in baselines]
        rows.append(Row(name, title, note, metrics[name].n, (cell(name, metrics[name]), *others)))
    return rows


def safety_rows(metrics: Mapping[str, Number]) -> list[Row]:
    """The safety panel: known lines in order, then what else stands under `safety.` and `parse.`."""
    names = [name for name in SAFETY if name in metrics]
    names += sorted(name for name in metrics if name.startswith(("safety.", "parse.")) and name not in SAFETY)
    rows = []
    for name in names:
        title, note = SAFETY.get(name, (_plain(name.partition(".")[2]), ""))
        rows.append(Row(name, title, note, metrics[name].n, (cell(name, metrics[name]),)))
    return rows


def type_rows(metrics: Mapping[str, Number], families: Mapping[str, str]) -> dict[str, list[Row]]:
    """`type.<type>.<metric>` as family → rows; `families` maps a type to its family."""
    grouped: dict[str, list[Row]] = {}
    for name in sorted(metrics):
        if not name.startswith("type."):
            continue
        kind, _, measure = name.removeprefix("type.").rpartition(".")
        note = "" if measure == "accuracy" else _plain(measure)
        row = Row(name, _plain(kind), note, metrics[name].n, (cell(name, metrics[name]),))
        grouped.setdefault(families.get(kind, "other"), []).append(row)
    return dict(sorted(grouped.items()))


def slice_rows(metrics: Mapping[str, Number]) -> dict[str, list[Row]]:
    """`slice.<dimension>.<value>.<metric>` as "dimension: metric" → rows in natural order of the value."""
    measures = sorted((name for name in metrics if not name.startswith(("slice.", "baseline."))), key=len, reverse=True)
    grouped: dict[str, list[Row]] = {}
    for name in sorted((name for name in metrics if name.startswith("slice.")), key=_natural):
        dimension, _, rest = name.removeprefix("slice.").partition(".")
        measure = next((known for known in measures if rest.endswith("." + known)), rest.rpartition(".")[2])
        value = rest[: len(rest) - len(measure)].rstrip(".") or rest
        title = HEADLINE.get(measure) or SAFETY.get(measure) or (_plain(measure), "")
        row = Row(name, _plain(value), "", metrics[name].n, (cell(name, metrics[name]),))
        grouped.setdefault(f"{_plain(dimension)}: {title[0]}", []).append(row)
    return grouped


def all_rows(metrics: Mapping[str, Number]) -> list[Row]:
    """Every number, by name."""
    return [
        Row(name, name, "", metrics[name].n, (cell(name, metrics[name]),)) for name in sorted(metrics, key=_natural)
    ]


def alarming(name: str) -> bool:
    """Whether this is a rate of dangerous mistakes."""
    return any(word in name for word in ALARMING)


def verdict_sentences(metrics: Mapping[str, Number]) -> list[str]:
    """How the model stands against constant velocity and constant position, in plain words."""
    model = metrics.get("localization.mlsr")
    sentences = []
    for baseline in ("constant_velocity", "constant_position"):
        other = metrics.get(f"baseline.{baseline}.localization.mlsr")
        if model is None or other is None or model.value is None or other.value is None:
            continue
        relation = "below" if model.value < other.value else "above" if model.value > other.value else "equal to"
        numbers = f"MLSR {100 * model.value:.1f} % against {100 * other.value:.1f} %"
        doubt = "; the intervals overlap, so this may be chance" if _overlap(model, other) else ""
        sentences.append(f"This model is {relation} {baseline_title(baseline).lower()}: {numbers}{doubt}.")
    return sentences


def is_below(metrics: Mapping[str, Number], baseline: str) -> bool:
    """Whether the model's MLSR is lower than that of a baseline."""
    model, other = metrics.get("localization.mlsr"), metrics.get(f"baseline.{baseline}.localization.mlsr")
    return bool(model and other and model.value is not None and other.value is not None and model.value < other.value)


def _overlap(a: Number, b: Number) -> bool:
    if a.low is None or a.high is None or b.low is None or b.high is None:
        return False
    return a.low <= b.high and b.low <= a.high and a.value != b.value


def _plain(name: str) -> str:
    words = name.replace("_", " ").replace(".", " · ").strip()
    return words[:1].upper() + words[1:]


def _natural(name: str) -> list[tuple[int, float, str]]:
    """Sort key that puts 5 before 10."""
    parts = re.split(r"(\d+(?:\.\d+)?)", name)
    return [(1, float(part), "") if index % 2 else (0, 0.0, part) for index, part in enumerate(parts)]
