"""Metrics in words: which stand in which table, what they are called, and how a share with its interval is written.

Percent everywhere, with the ends of the 95 % interval. Where all logs gave the same share the bootstrap
cannot tell how sure that is: no interval is shown then, since one of no width would read as certainty.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from drive_vqa.categories import CATEGORIES
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

GROUNDING = {
    "grounding.tiou": ("When", "mean overlap of the answered with the true interval, as a share of both together"),
    "grounding.miou": ("Where", "mean overlap of the answered with the true box, as a share of both together"),
}
"""Rows that follow them where it was asked when and where."""

SAFETY = {
    "safety.dangerous_far_rate": ("Dangerously far", "answers that put a target more than 25 % farther than it is"),
    "safety.dangerous_slow_closing_rate": (
        "Dangerously slow closing",
        "of targets that come nearer, those whose closing speed is answered more than 20 % too low",
    ),
    "safety.missed_approach_rate": (
        "Missed approach",
        "of targets that come nearer, those whose distances are answered as growing",
    ),
    "safety.missed_approach_rate.stated": (
        "Missed approach, stated",
        "of targets that come nearer, those called receding",
    ),
    "safety.corridor_swap_rate": (
        "Corridor swap",
        "answers that put a target into the own corridor that is not there, or the reverse",
    ),
    "safety.left_right_flip_rate": ("Left-right flip", "answers that put a target on the wrong side"),
    "safety.critical_recall": ("Critical recall", "of critical targets, those located at every time asked"),
    "safety.hallucination_rate": (
        "Hallucination",
        "answers, other than a refusal, to questions that what is shown does not tell",
    ),
    "safety.over_cautious_rate": ("Over-cautious", "answers that put a target more than 25 % nearer than it is"),
    "parse.failure_rate": ("Unreadable", "answers without a usable value; they count as failed everywhere"),
}
"""Lines of the safety panel that are known by name; others under `safety.` follow with a plain name."""

REASONS = "parse.failure_rate."
BREAKDOWN = re.compile(r"safety\.(?P<rate>[^.]+)\.(?P<dimension>class|range)\.(?P<value>[^.]+)")
SLICE = re.compile(r"slice\.(?P<dimension>[^.]+)\.(?P<value>[^.]+)\.(?P<rate>.+)")
TYPE = re.compile(r"type\.(?P<type>.+)\.(?P<measure>[^.]+)")
FORM = re.compile(r"form\.(?P<value>[^.]+)\.(?P<rate>[^.]+)")
TYPE_NOTES = {
    "accuracy_within_one_hour": "within one hour",
    "median_abs_relative_error_distance": "median distance error",
    "median_abs_relative_error_speed": "median speed error",
    "median_abs_error_deg": "median angle error",
    "median_abs_error_m": "median error",
    "median_abs_error_s": "median error",
}
"""What is told beside the accuracy of a type."""

VERSUS = "versus.constant_velocity.localization.mlsr"
ALARMING = ("dangerous", "missed", "hallucination", "corridor_swap")
"""Words in the name of a rate that is shown in the colour of danger."""

BASELINES = {
    "constant_velocity": "Constant velocity",
    "constant_position": "Constant position",
    "class_median": "Class median",
}
"""Baselines in the order of the table; others follow by name."""

DIMENSIONS = {
    "category": "By kind of object",
    "moving": "Target is moving",
    "ttc_bin": "By time to collision (s)",
    "range": "By distance now (m)",
    "visible": "By visible share",
    "difficulty": "By difficulty",
    "relation": "By what the target does",
    "form": "By form of the question",
    "in_view_at_t": "Still in view at the time asked about",
    "safety by class": "Distance mistakes by kind of object",
    "safety by range": "Distance mistakes by true distance (m)",
}
YES_NO = {"true": "Yes", "false": "No"}
HUNDREDTHS = re.compile(r".*\.m?lgm")
"""Numbers without a unit that are no shares, told in hundredths."""

UNITS = {"_m": " m", "_deg": "°", "_mps": " m/s", "_s": " s"}


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


@dataclass(frozen=True)
class SliceTable:
    """Rates over the parts of one dimension: a row a part, a column a rate."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


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


def _spread(number: Number, scale: float) -> str:
    """The interval; empty where it has no width: that comes from logs that all agree, often over a handful of cases."""
    if number.low is None or number.high is None or number.low == number.high:
        return ""
    return f"{scale * number.low:.1f}–{scale * number.high:.1f}"


def _interval(number: Number, scale: float, suffix: str) -> str:
    logs = "" if number.clusters is None else f", {_count(number.clusters, number.cluster_kind or 'log')}"
    n = "" if number.n is None else f"; n = {number.n:,}"
    if number.low is None or number.high is None:
        return f"no interval{n}{logs}"
    if number.low == number.high:
        return f"no interval: all alike{n}{logs}"
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
    asked = {name: words for name, words in GROUNDING.items() if name in metrics and metrics[name].n}
    for name, (title, note) in {**HEADLINE, **asked}.items():
        if name not in metrics:
            continue
        others = [cell(name, metrics.get(f"baseline.{baseline}.{name}")) for baseline in baselines]
        rows.append(Row(name, title, note, metrics[name].n, (cell(name, metrics[name]), *others)))
    return rows


def safety_rows(metrics: Mapping[str, Number]) -> list[Row]:
    """The safety panel: known lines in order, then other rates of the whole; breakdowns have tables of their own."""
    names = [name for name in SAFETY if name in metrics]
    names += [name for name in metrics if re.fullmatch(r"safety\.[^.]+", name) and name not in SAFETY]
    rows = []
    for name in names:
        title, note = SAFETY.get(name, (_plain(name.partition(".")[2]), ""))
        note += _reasons(metrics) if name == "parse.failure_rate" else ""
        rows.append(Row(name, title, note, metrics[name].n, (cell(name, metrics[name]),)))
    return rows


def _reasons(metrics: Mapping[str, Number]) -> str:
    """Why answers could not be read, most frequent first, as an end of a sentence."""
    known = [(number.value or 0.0, name) for name, number in metrics.items() if name.startswith(REASONS)]
    told = [
        f"{name.removeprefix(REASONS).replace('_', ' ')} {100 * share:.1f} %"
        for share, name in sorted(known)[::-1]
        if share
    ]
    return f" ({', '.join(told)})" if told else ""


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
    return _plain(re.sub(r"_t(\d+)$", lambda match: f" in {match[1]} s" if match[1] != "0" else " now", kind))


def slice_tables(metrics: Mapping[str, Number]) -> list[SliceTable]:
    """`slice.DIMENSION.VALUE.RATE` as a table a dimension; `safety.RATE.class|range.VALUE` and `form.VALUE.RATE` likewise.

    A row is a value in natural order, a column a rate.
    """
    tables: dict[str, dict[str, dict[str, str]]] = {}
    for name in metrics:
        if (match := SLICE.fullmatch(name)) is not None:
            tables.setdefault(match["dimension"], {}).setdefault(match["value"], {})[match["rate"]] = name
        elif (match := FORM.fullmatch(name)) is not None:
            tables.setdefault("form", {}).setdefault(match["value"], {})[match["rate"]] = name
        elif (match := BREAKDOWN.fullmatch(name)) is not None:
            title = f"safety by {match['dimension']}"
            tables.setdefault(title, {}).setdefault(match["value"], {})[f"safety.{match['rate']}"] = name
    return [_slice_table(title, values, metrics) for title, values in tables.items()]


def _slice_table(title: str, values: Mapping[str, Mapping[str, str]], metrics: Mapping[str, Number]) -> SliceTable:
    rates = sorted({rate for row in values.values() for rate in row}, key=_rate_order)
    columns = tuple((HEADLINE.get(rate) or SAFETY.get(rate) or (_plain(rate), ""))[0] for rate in rates)
    rows = []
    for value in sorted(values, key=_value_order):
        numbers = [metrics.get(values[value].get(rate, "")) for rate in rates]
        n = max((number.n or 0 for number in numbers if number is not None), default=None)
        cells = tuple(cell(rate, number) for rate, number in zip(rates, numbers, strict=True))
        rows.append(Row(value, value_title(value), "", n, cells))
    return SliceTable(DIMENSIONS.get(title, _plain(title)), columns, tuple(rows))


def value_title(value: str) -> str:
    """A slug back in words: `under_0_95` is "< 0.95", `0_95-1_5` is "0.95–1.5", `10_20` is "10–20", `80_up` is "80 and more"."""
    if value in YES_NO:
        return YES_NO[value]
    text = re.sub(r"^(\d+)_(\d+)$", r"\1–\2", re.sub(r"^(\d+)_up$", r"\1 and more", value))
    text = re.sub(r"(?<=\d)_(?=\d)", ".", text).replace("-", "–")
    text = re.sub(r"^under_(?=\d)", "< ", re.sub(r"^over_(?=\d)", "> ", text))
    return text if text[:1].isdigit() or text[:1] in "<>" else _plain(text)


def _rate_order(rate: str) -> tuple[int, str]:
    known = [*HEADLINE, *SAFETY]
    return (known.index(rate) if rate in known else len(known), rate)


def _value_order(value: str) -> tuple[int, list[tuple[int, float, str]]]:
    """Ranges upwards, "under" first and "over" last; road users without a shell before others."""
    rank = -1 if value.startswith("under_") else 1 if value.startswith("over_") else 2 if value == "none" else 0
    known = CATEGORIES.get(value)
    rank = -1 if known is not None and known.vulnerable else rank
    return rank, _natural(value)


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
        paired = _paired(metrics) if baseline == "constant_velocity" else ""
        sentences.append(f"This model is {relation} {baseline_title(baseline).lower()}: {numbers}{paired}.")
    return sentences


def _paired(metrics: Mapping[str, Number]) -> str:
    """The paired difference to constant velocity, where it was made."""
    number = metrics.get(VERSUS)
    if number is None or number.value is None or number.low is None or number.high is None:
        return ""
    chance = "; that may be chance" if number.low <= 0.0 <= number.high and number.value else ""
    interval = f"95 % interval {100 * number.low:+.1f} to {100 * number.high:+.1f}"
    return f", a difference of {100 * number.value:+.1f} points on the same questions ({interval}){chance}"


def is_below(metrics: Mapping[str, Number], baseline: str) -> bool:
    """Whether the model's MLSR is lower than that of a baseline."""
    model, other = metrics.get("localization.mlsr"), metrics.get(f"baseline.{baseline}.localization.mlsr")
    return bool(model and other and model.value is not None and other.value is not None and model.value < other.value)


def _plain(name: str) -> str:
    words = name.replace("_", " ").replace(".", " · ").strip()
    return words[:1].upper() + words[1:]


def _natural(name: str) -> list[tuple[int, float, str]]:
    """Sort key that puts 5 before 10."""
    parts = re.split(r"(\d+(?:\.\d+)?)", name)
    return [(1, float(part), "") if index % 2 else (0, 0.0, part) for index, part in enumerate(parts)]
