"""Panels of rates: safety, calibration and consistency, each driven by the names in metrics.json.

A panel is a list of rows, known ones in a fixed order with a note, then whatever else has its prefix under a plain name. Numbers
over no cases are left out, so that a panel appears only where there is something to tell.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from eval.report.inputs import Number
from eval.report.numbers import Row, cell, natural, plain

SAFETY = {
    "safety.critical_recall": (
        "Critical recall",
        "of critical targets, those located at every time asked; higher is better",
    ),
    "safety.critical_recall_asked_only": (
        "Critical recall, asked in full",
        "of those that were asked for at all times",
    ),
    "safety.critical_false_alarm_rate": (
        "Critical false alarm",
        "of targets that are not critical, those that the answers make critical",
    ),
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
    "safety.hallucination_rate": (
        "Hallucination",
        "answers, other than a refusal, to questions that what is shown does not tell",
    ),
    "safety.over_cautious_rate": ("Over-cautious", "answers that put a target more than 25 % nearer than it is"),
    "parse.failure_rate": ("Unreadable", "answers without a usable value; they count as failed everywhere"),
}
"""Lines of the safety panel that are known by name; others under `safety.` follow with a plain name."""

ALARMING = ("dangerous", "missed", "hallucination", "corridor_swap", "false_alarm")
"""Words in the name of a rate that is shown in the colour of danger."""


CONSISTENCY = {
    "consistency.paraphrase.agreement": ("Reworded", "answers that stay when the question is told in other words"),
    "consistency.option_order.agreement": ("Options reordered", "answers that stay when the options change places"),
    "consistency.swap_roles.agreement": (
        "Roles swapped",
        "answers that turn round with the question, as A to B and B to A",
    ),
    "consistency.mirror.agreement": ("Mirrored", "answers that change sides when the images do"),
    "consistency.joint_single.distance": (
        "Joint and single distance",
        "distances told with a bearing that agree with those asked for alone",
    ),
    "consistency.joint_single.bearing": ("Joint and single bearing", "bearings likewise"),
    "consistency.clock_degrees": ("Clock and degrees", "hours that agree with the bearing in degrees"),
    "consistency.implausible_speed_rate": (
        "Impossible speed",
        "answers that imply a speed beyond the limit of the class",
    ),
    "consistency.implausible_acceleration_rate": (
        "Impossible acceleration",
        "answers that imply an acceleration beyond the limit of the class",
    ),
}
"""Likewise of the panel of consistency."""

CALIBRATION = {
    "calibration.ece": ("Calibration error", "mean gap between told confidence and share right (ECE); lower is better"),
    **{
        f"calibration.coverage.p{level}": (f"{level} % interval", f"truths that it holds; it should hold {level} %")
        for level in (50, 80, 90)
    },
    "calibration.aurc": ("Risk–coverage area", "mean risk over all shares of answers kept; lower is better"),
}
"""Likewise of the panel of calibration."""

REASONS = "parse.failure_rate."
OF_TYPE = re.compile(r".+\.type\..+")
BREAKDOWN = re.compile(r"safety\.(?P<rate>[^.]+)\.(?P<dimension>class|range)\.(?P<value>[^.]+)")
"""Rates of a type of question, and of a part of the targets: those have tables of their own, or stand among all numbers."""


def safety_rows(metrics: Mapping[str, Number]) -> list[Row]:
    """The safety panel: rates of the whole."""
    rows = _rows(metrics, "safety.", SAFETY)
    return [_with_reasons(row, metrics) if row.name == "parse.failure_rate" else row for row in rows]


def consistency_rows(metrics: Mapping[str, Number]) -> list[Row]:
    """What answers say about each other, without any truth."""
    return _rows(metrics, "consistency.", CONSISTENCY)


def calibration_rows(metrics: Mapping[str, Number]) -> list[Row]:
    """Whether the model knows when it is right."""
    return _rows(metrics, "calibration.", CALIBRATION)


def _rows(metrics: Mapping[str, Number], prefix: str, known: Mapping[str, tuple[str, str]]) -> list[Row]:
    """Known rates in their order, each followed by the rates of its parts, then the others with the prefix."""
    parts = (BREAKDOWN, OF_TYPE)
    own = {name for name in metrics if name.startswith(prefix) and not any(part.fullmatch(name) for part in parts)}
    shown = [name for name in own | set(known) if name in metrics and metrics[name].n != 0]
    return [_row(name, prefix, known, metrics[name]) for name in sorted(shown, key=lambda name: _order(name, known))]


def _order(name: str, known: Mapping[str, tuple[str, str]]) -> tuple[int, list[tuple[int, float, str]]]:
    order = list(known)
    whole = next((index for index, one in enumerate(order) if name == one or name.startswith(f"{one}.")), len(order))
    return order.index(name) if name in known else whole, natural(name)


def _row(name: str, prefix: str, known: Mapping[str, tuple[str, str]], number: Number) -> Row:
    title, note = known.get(name, (_title(name, prefix, known), ""))
    return Row(name, title, note, number.n, (cell(name, number),))


def _title(name: str, prefix: str, known: Mapping[str, tuple[str, str]]) -> str:
    """Of a part of a known rate: that rate and the part."""
    whole = next((one for one in known if name.startswith(f"{one}.")), None)
    if whole is None:
        return plain(name.removeprefix(prefix))
    return f"{known[whole][0]}: {plain(name.removeprefix(whole + '.')).lower()}"


def _with_reasons(row: Row, metrics: Mapping[str, Number]) -> Row:
    """Why answers could not be read, most frequent first, at the end of the note."""
    known = [(number.value or 0.0, name) for name, number in metrics.items() if name.startswith(REASONS)]
    told = [
        f"{name.removeprefix(REASONS).replace('_', ' ')} {100 * share:.1f} %"
        for share, name in sorted(known)[::-1]
        if share
    ]
    return replace(row, note=f"{row.note} ({', '.join(told)})") if told else row


def alarming(name: str) -> bool:
    """Whether this is a rate of dangerous mistakes."""
    return any(word in name for word in ALARMING)
