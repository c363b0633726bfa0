"""The headline: how well the model locates and foresees, beside every baseline and control, and how they differ.

`versus.NAME.METRIC` is the model's METRIC minus that of NAME on the same questions, with a paired interval.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from eval.report.inputs import Number
from eval.report.numbers import (
    Answerer,
    Row,
    answerers,
    cell_among,
    counted,
    difference_cell,
    other_place,
    other_title,
    plain,
)

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
"""Rows of the headline table; those over no questions are left out."""

MLSR = "localization.mlsr"
ACCURACY = ("Accuracy", "right answers, over all questions")

GROUNDING = {
    "grounding.tiou": ("When", "mean overlap of the answered with the true interval, as a share of both together"),
    "grounding.miou": ("Where", "mean overlap of the answered with the true box, as a share of both together"),
}
"""Rows that follow them where it was asked when and where."""

TITLES = {**HEADLINE, "accuracy": ACCURACY, **GROUNDING}
VERSUS = re.compile(r"versus\.(?:baseline\.|control\.)?(?P<other>[^.]+)\.(?P<metric>.+)")
BLIND = ("no_image", "blank")
"""Controls under which nothing is seen."""


def headline_columns(metrics: Mapping[str, Number]) -> list[Answerer]:
    """The model, and each other that has a number in a row of the table."""
    known = {name for name, number in metrics.items() if number.value is not None}
    first, *others = answerers(metrics)
    return [first, *(one for one in others if any(one.prefix + name in known for name in TITLES))]


def headline_rows(metrics: Mapping[str, Number], columns: Sequence[Answerer]) -> list[Row]:
    """A row a metric that has cases, a cell for each column."""
    rows = []
    for name, (title, note) in TITLES.items():
        if name in metrics and metrics[name].n != 0:
            n = metrics[name].n
            cells = tuple(cell_among(name, metrics.get(column.prefix + name), n) for column in columns)
            rows.append(Row(name, title, note, n, cells))
    return rows


def difference_table(metrics: Mapping[str, Number]) -> tuple[list[str], list[Row]]:
    """The model minus each other, in points: titles of the metrics, and a row for each other with a cell for each metric."""
    found: dict[str, dict[str, Number]] = {}
    for name, number in metrics.items():
        match = VERSUS.fullmatch(name)
        if match is not None and number.value is not None:
            found.setdefault(match["other"], {})[match["metric"]] = number
    known = list(TITLES)
    compared = {metric for own in found.values() for metric in own}
    names = sorted(compared, key=lambda name: (known.index(name) if name in TITLES else len(known), name))
    rows = [
        Row(other, other_title(other), "", None, tuple(difference_cell(found[other].get(name)) for name in names))
        for other in sorted(found, key=other_place)
    ]
    return [TITLES.get(name, (plain(name), ""))[0] for name in names], rows


def verdict_sentences(metrics: Mapping[str, Number]) -> list[str]:
    """How the model stands against constant velocity and constant position, and what it reaches blind, in plain words."""
    model = metrics.get(MLSR)
    if model is None or model.value is None:
        return []
    sentences = []
    for name in ("constant_velocity", "constant_position"):
        other = metrics.get(f"baseline.{name}.{MLSR}")
        if other is None or other.value is None:
            continue
        numbers = f"MLSR {100 * model.value:.1f} % against {100 * other.value:.1f} %"
        relation = "below" if model.value < other.value else "above" if model.value > other.value else "equal to"
        sentences.append(_standing(f"{relation} {other_title(name).lower()}", numbers, _paired(metrics, name)))
    return sentences + _blind_sentences(metrics)


def _blind_sentences(metrics: Mapping[str, Number]) -> list[str]:
    """What is reached without seeing anything was not read from the images."""
    blind = {name: metrics.get(f"control.{name}.{MLSR}") for name in BLIND}
    told = [
        f"{100 * number.value:.1f} % ({other_title(name).lower()})"
        for name, number in blind.items()
        if number is not None and number.value is not None
    ]
    return [f"Without seeing anything it reaches MLSR {' and '.join(told)}."] if told else []


def _paired(metrics: Mapping[str, Number], baseline: str) -> Number | None:
    """The difference in MLSR from a baseline on the same questions; None where it was not made or has no interval."""
    number = metrics.get(f"versus.{baseline}.{MLSR}")
    known = number is not None and None not in (number.value, number.low, number.high)
    return number if known else None


def _standing(relation: str, numbers: str, paired: Number | None) -> str:
    """A sentence that says no more than the paired interval shows."""
    if paired is None or paired.value == 0:
        return f"This model is {relation}: {numbers}."
    told = difference_cell(paired)
    if _may_be_chance(paired):
        logs = "" if paired.clusters is None else f" over {counted(paired.clusters, paired.cluster_kind or 'log')}"
        return (
            f"{relation.capitalize()} on these questions ({numbers}), but not shown to differ: the 95 % interval of "
            f"the difference{logs} is {told.spread} points."
        )
    return (
        f"This model is {relation}: {numbers}, a difference of {told.text} points on the same questions "
        f"(95 % interval {told.spread})."
    )


def _may_be_chance(paired: Number) -> bool:
    return paired.low is not None and paired.high is not None and paired.low <= 0.0 <= paired.high


def is_surely_below(metrics: Mapping[str, Number], baseline: str) -> bool:
    """Whether the model's MLSR is lower than that of a baseline, and the paired interval, if there is one, says so too."""
    model, other = metrics.get(MLSR), metrics.get(f"baseline.{baseline}.{MLSR}")
    if model is None or other is None or model.value is None or other.value is None:
        return False
    paired = _paired(metrics, baseline)
    return model.value < other.value and not (paired is not None and _may_be_chance(paired))
