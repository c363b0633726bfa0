"""Tables over the parts of a dimension: a row a part, a column a rate, and beside the first rate that of every other answerer.

Of many rates those with a title of their own are shown; the others stand in the list of all numbers.

    slice.DIMENSION.VALUE.RATE        targets or questions of that part
    form.VALUE.RATE                   forms of question
    safety.RATE.class|range.VALUE     distance mistakes by class and true distance
    type.TYPE.accuracy                types of question, by family

The prefixes `baseline.NAME.` and `control.NAME.` before such a name make a further column.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from drive_vqa.categories import CATEGORIES
from eval.report.headline import TITLES
from eval.report.inputs import Number
from eval.report.numbers import Row, answerers, cell, cell_among, natural, plain
from eval.report.panels import BREAKDOWN, SAFETY

SLICE = re.compile(r"slice\.(?P<dimension>[^.]+)\.(?P<value>[^.]+)\.(?P<rate>.+)")
FORM = re.compile(r"(?P<dimension>form)\.(?P<value>[^.]+)\.(?P<rate>[^.]+)")
TYPE = re.compile(r"type\.(?P<type>.+)\.(?P<measure>[^.]+)")
TYPE_NOTES = {
    "accuracy_within_one_hour": "within one hour",
    "median_abs_relative_error_distance": "median distance error",
    "median_abs_relative_error_speed": "median speed error",
    "median_abs_error_deg": "median angle error",
    "median_abs_error_m": "median error",
    "median_abs_error_s": "median error",
}
"""What is told beside the accuracy of a type."""

DIMENSIONS = {
    "ttc_bin": "By time to collision (s)",
    "ttc_range_rate": "By distance over closing speed (s)",
    "safety by class": "Distance mistakes by kind of object",
    "safety by range": "Distance mistakes by true distance (m)",
    "vru": "Road user without a shell (pedestrian, cyclist, motorcyclist)",
    "category": "By kind of object",
    "moving": "Target is moving",
    "range": "By distance now (m)",
    "visible": "By visible share",
    "visibility": "By visible share (%)",
    "difficulty": "By difficulty",
    "relation": "By what the target does",
    "form": "By form of the question",
    "in_view_at_t": "Still in view at the time asked about",
}
SAFETY_DIMENSIONS = ("ttc_bin", "ttc_range_rate", "safety by class", "safety by range")
"""Shown with the safety panel."""

COUNTED = {
    "localization.mlsr": "Targets × times",
    "localization.tlc": "Targets",
    **{f"localization.lsr.t{time}": "Targets" for time in range(4)},
    "accuracy": "Questions",
}
"""What a rate is taken over; others are taken over cases of their own."""

YES_NO = {"true": "Yes", "false": "No"}


@dataclass(frozen=True)
class SliceTable:
    """Rates over the parts of one dimension: a row a part, a column a rate.

    Attributes:
        dimension: what the parts are of.
        title: in words.
        counted: what is counted, a column each before the rates: targets, questions.
        columns: titles of the rates.
        rows: parts; their cells fit `columns`.
        counts: of each row, as many as in `counted`; None where nothing of that part is counted.
        others: how many of the last columns are not the model's.
    """

    dimension: str
    title: str
    counted: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    counts: tuple[tuple[int | None, ...], ...]
    others: int


def slice_tables(metrics: Mapping[str, Number]) -> list[SliceTable]:
    """A table a dimension; a row is a value in natural order, a column a rate."""
    tables: dict[str, dict[str, dict[str, str]]] = {}
    for name, number in metrics.items():
        place = _place(name)
        if place is not None and number.n != 0:
            dimension, value, rate = place
            tables.setdefault(dimension, {}).setdefault(value, {})[rate] = name
    known = list(DIMENSIONS)
    order = sorted(tables, key=lambda one: (known.index(one) if one in DIMENSIONS else len(known), one))
    return [_slice_table(dimension, tables[dimension], metrics) for dimension in order]


def _place(name: str) -> tuple[str, str, str] | None:
    """Dimension, value and rate that a metric stands for in a table; None for all others."""
    if (match := SLICE.fullmatch(name) or FORM.fullmatch(name)) is not None:
        return match["dimension"], match["value"], match["rate"]
    if (match := BREAKDOWN.fullmatch(name)) is not None:
        return f"safety by {match['dimension']}", match["value"], f"safety.{match['rate']}"
    return None


def _slice_table(dimension: str, values: Mapping[str, Mapping[str, str]], metrics: Mapping[str, Number]) -> SliceTable:
    found = {rate for row in values.values() for rate in row}
    rates = sorted({rate for rate in found if rate in TITLES or rate in SAFETY} or found, key=_rate_order)
    parts = sorted(values, key=value_order)
    others = [
        one
        for one in answerers(metrics)[1:]
        if any(one.prefix + values[part].get(rates[0], "") in metrics for part in parts)
    ]
    counts = [_counts(values[part], rates, metrics) for part in parts]
    rows = [
        _row(part, values[part], rates, [one.prefix for one in others], count, metrics)
        for part, count in zip(parts, counts, strict=True)
    ]
    heads = [_rate_title(rate) for rate in rates]
    return SliceTable(
        dimension,
        DIMENSIONS.get(dimension, plain(dimension)),
        tuple(counts[0]),
        (*heads, *(f"{heads[0]}: {other.title.lower()}" for other in others)),
        tuple(rows),
        tuple(tuple(count.values()) for count in counts),
        len(others),
    )


def _counts(own: Mapping[str, str], rates: Sequence[str], metrics: Mapping[str, Number]) -> dict[str, int | None]:
    """How many targets, questions and other cases a part has, by what the rates count."""
    found: dict[str, list[int]] = {_counted(rate): [] for rate in rates}
    for rate, name in own.items():
        if rate in rates:
            found[_counted(rate)].append(metrics[name].n or 0)
    return {kind: max(numbers, default=None) for kind, numbers in found.items()}


def _counted(rate: str) -> str:
    return COUNTED.get(rate, "Cases")


def _row(
    part: str,
    own: Mapping[str, str],
    rates: Sequence[str],
    prefixes: Sequence[str],
    counts: Mapping[str, int | None],
    metrics: Mapping[str, Number],
) -> Row:
    """A part: the rates of the model, then the first of them of each other answerer."""
    asked = [(rate, own.get(rate, "")) for rate in rates]
    asked += [(rates[0], prefix + own.get(rates[0], "")) for prefix in prefixes]
    cells = [cell_among(rate, metrics.get(name), counts[_counted(rate)]) for rate, name in asked]
    return Row(part, value_title(part), "", None, tuple(cells))


def _rate_title(rate: str) -> str:
    return (TITLES.get(rate) or SAFETY.get(rate) or (plain(rate), ""))[0]


def value_title(value: str) -> str:
    """A slug back in words: `under_0_95` is "< 0.95", `0_95-1_5` is "0.95–1.5", `10_20` is "10–20", `80_up` is "80 and more"."""
    if value in YES_NO:
        return YES_NO[value]
    text = re.sub(r"^(\d+)_(\d+)$", r"\1–\2", re.sub(r"^(\d+)_up$", r"\1 and more", value))
    text = re.sub(r"(?<=\d)_(?=\d)", ".", text).replace("-", "–")
    text = re.sub(r"^under_(?=\d)", "< ", re.sub(r"^over_(?=\d)", "> ", text))
    return text if text[:1].isdigit() or text[:1] in "<>" else plain(text)


def _rate_order(rate: str) -> tuple[int, str]:
    known = [*TITLES, *SAFETY]
    return (known.index(rate) if rate in known else len(known), rate)


def value_order(value: str) -> tuple[int, list[tuple[int, float, str]]]:
    """Ranges upwards, "under" first and "over" last; road users without a shell before others."""
    rank = -1 if value.startswith("under_") else 1 if value.startswith("over_") else 2 if value == "none" else 0
    known = CATEGORIES.get(value)
    rank = -1 if known is not None and known.vulnerable else rank
    return rank, natural(value)


def type_rows(metrics: Mapping[str, Number], families: Mapping[str, str]) -> dict[str, list[Row]]:
    """Accuracy of each type, with its usual errors as a note: family → rows; `families` maps a type to its family."""
    notes: dict[str, list[str]] = {}
    found: dict[str, str] = {}
    for name, number in metrics.items():
        if (match := TYPE.fullmatch(name)) is None:
            continue
        if match["measure"] == "accuracy":
            found[match["type"]] = name
        elif match["measure"] in TYPE_NOTES and number.value is not None:
            notes.setdefault(match["type"], []).append(f"{TYPE_NOTES[match['measure']]} {cell(name, number).text}")
    grouped: dict[str, list[Row]] = {}
    for kind, name in sorted(found.items()):
        row = Row(name, type_title(kind), ", ".join(notes.get(kind, [])), metrics[name].n, (cell(name, metrics[name]),))
        grouped.setdefault(families.get(kind, "other"), []).append(row)
    return dict(sorted(grouped.items()))


def type_title(kind: str) -> str:
    """`localization_t3` is "Localization in 3 s"."""
    return plain(re.sub(r"_t(\d+)$", lambda match: f" in {match[1]} s" if match[1] != "0" else " now", kind))
