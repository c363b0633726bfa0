"""How a metric is written: a share with its interval and n, and who stands beside the model.

Percent everywhere, with the ends of the 95 % interval where there is one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from eval.report.inputs import Number

HUNDREDTHS = re.compile(r".*\.m?lgm")
"""Numbers without a unit that are no shares, told in hundredths."""

UNITS = {"_m": " m", "_deg": "°", "_mps": " m/s", "_s": " s"}

OTHERS = {
    "baseline": {
        "constant_velocity": "Constant velocity",
        "constant_velocity_fused": "Constant velocity, fused tracks",
        "constant_position": "Constant position",
        "own_present": "Own present, held",
        "class_median": "Class median",
        "majority": "Majority",
        "text_only": "Text only",
    },
    "control": {
        "no_image": "No image",
        "blank": "Blank image",
        "shuffled": "Frames shuffled",
        "other_log": "Frames of another log",
        "hide_evidence": "Evidence hidden",
        "hide_region": "Evidence and outline hidden",
        "hide_random": "Random parts hidden",
        "boxes_as_text": "True boxes as text",
        "without_reasoning": "Without reasoning",
        "paraphrase": "Reworded",
        "option_order": "Options reordered",
        "swap_roles": "Roles swapped",
        "mirror": "Mirrored",
    },
}
"""Kind → name → title of who answers besides the model, in the order of the table; others follow by name."""


@dataclass(frozen=True)
class Cell:
    """A number as it is shown.

    Attributes:
        text: the value, "–" where there is none.
        spread: "16.3–26.1", or "" where there is no interval to tell.
        exact: a sentence with the interval, n and the number of logs.
        share: the value in [0, 1] for a bar, None where it is not a share.
        low: lower bound for the bar.
        high: upper bound for the bar.
        n: cases, where they are not as many as the table tells for its row.
    """

    text: str
    spread: str
    exact: str
    share: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None


@dataclass(frozen=True)
class Row:
    """One line of a table: a metric, its name and note, n, and a cell for each column."""

    name: str
    title: str
    note: str
    n: int | None
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Answerer:
    """Whose metrics a column shows: the model, a baseline, or the model under a control.

    Attributes:
        prefix: before the name of each of its metrics: "", `baseline.NAME.` or `control.NAME.`.
        title: head of its column.
    """

    prefix: str
    title: str


def answerers(metrics: Iterable[str]) -> list[Answerer]:
    """The model, then baselines and controls that the metrics name, the known ones first."""
    names = list(metrics)
    found = [Answerer("", "Model")]
    for kind in OTHERS:
        own = {name.split(".")[1] for name in names if name.startswith(f"{kind}.") and name.count(".") >= 2}
        found += [Answerer(f"{kind}.{name}.", other_title(name)) for name in sorted(own, key=other_place)]
    return found


def other_place(name: str) -> tuple[int, str]:
    """Where a baseline or a control stands among the others."""
    known = [one for titles in OTHERS.values() for one in titles]
    name = name.replace("-", "_")
    return known.index(name) if name in known else len(known), name


def other_title(name: str) -> str:
    """What a baseline or a control is called in a table."""
    known = {one: title for titles in OTHERS.values() for one, title in titles.items()}
    return known.get(name.replace("-", "_"), plain(name))


def cell(name: str, number: Number | None) -> Cell:
    """Write a metric; shares become percent, other units keep theirs."""
    if number is None or number.value is None:
        return Cell("–", "", "no answers to count")
    unit, is_share = _unit(name), HUNDREDTHS.fullmatch(name) is None
    scale = 1.0 if unit else 100.0
    suffix = unit or (" %" if is_share else "")
    text = f"{scale * number.value:.1f}"
    spread = _spread(number, scale)
    is_share = is_share and not unit
    share = min(max(number.value, 0.0), 1.0) if is_share else None
    low, high = (number.low, number.high) if is_share else (None, None)
    return Cell(text + suffix, spread, f"{text}{suffix}, {_interval(number, scale, suffix)}", share, low, high)


def cell_among(name: str, number: Number | None, n: int | None) -> Cell:
    """Write a metric in a row over `n` cases; one over another number of cases tells its own."""
    told = cell(name, number)
    is_apart = number is not None and number.value is not None and number.n != n
    return replace(told, n=number.n) if number is not None and is_apart else told


def _spread(number: Number, scale: float) -> str:
    """The interval; empty where there is none."""
    if number.low is None or number.high is None:
        return ""
    return f"{scale * number.low:.1f}–{scale * number.high:.1f}"


def _interval(number: Number, scale: float, suffix: str) -> str:
    logs = "" if number.clusters is None else f", {counted(number.clusters, number.cluster_kind or 'log')}"
    n = "" if number.n is None else f"; n = {number.n:,}"
    if number.low is None or number.high is None:
        return f"no interval{n}{logs}"
    return f"95 % interval {scale * number.low:.1f} to {scale * number.high:.1f}{suffix}{n}{logs}"


def counted(number: int, noun: str) -> str:
    """A number of things: "1 log", "2,000 logs"."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _unit(name: str) -> str:
    return next((unit for suffix, unit in UNITS.items() if name.endswith(suffix)), "")


def difference_cell(number: Number | None) -> Cell:
    """A difference of two shares, in points with its sign."""
    if number is None or number.value is None:
        return Cell("–", "", "no answers to count")
    spread = "" if number.low is None or number.high is None else f"{100 * number.low:+.1f} to {100 * number.high:+.1f}"
    return Cell(f"{100 * number.value:+.1f}", spread, _interval(number, 100.0, " points"))


def all_rows(metrics: Mapping[str, Number]) -> list[Row]:
    """Every number, by name."""
    return [Row(name, name, "", metrics[name].n, (cell(name, metrics[name]),)) for name in sorted(metrics, key=natural)]


def plain(name: str) -> str:
    """A name with underscores and dots in words."""
    words = name.replace("_", " ").replace(".", " · ").strip()
    return words[:1].upper() + words[1:]


def natural(name: str) -> list[tuple[int, float, str]]:
    """Sort key that puts 5 before 10."""
    parts = re.split(r"(\d+(?:\.\d+)?)", name)
    return [(1, float(part), "") if index % 2 else (0, 0.0, part) for index, part in enumerate(parts)]
