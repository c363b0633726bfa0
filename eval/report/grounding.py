"""The section of grounded evidence: how well what was claimed in reasoning agrees with the tracks (`eval.evidence.table`)."""

from __future__ import annotations

from collections.abc import Mapping

from eval.report.inputs import Number
from eval.report.numbers import Row, cell

TRACED = "grounding.traced"
"""Stands in the metrics where reasoning was asked for."""

PARTS = {
    "What is reasoned": {
        "traced": ("With reasoning", "answers with at least one step"),
        "well_formed": ("Well formed", "answers that follow the grammar throughout"),
        "accuracy": ("Right answers", "of the questions whose evidence an image shows"),
    },
    "Where": {
        "miou_recall": (
            "Box recall",
            "mean over true boxes of the best IoU with a claimed one; listing boxes inflates it",
        ),
        "miou_precision": ("Box precision", "mean over claimed boxes of the best IoU with a true one"),
        "miou_matched": ("Boxes matched", "mean IoU one to one; a missing or needless box counts 0"),
        "points_in_box": ("Points in a box", "claimed points that lie in a true box"),
        "places_in_band": ("Places in band", "claimed places within 25 % distance and 10° bearing"),
    },
    "When": {
        "key_time_recall": ("Key times told", "of the times at which an image shows the evidence"),
        "key_time_precision": ("Told times right", "of the claimed times, those at which an image shows the evidence"),
        "temporal_iou": ("Temporal IoU", "claimed and true times, as a share of both together"),
        "visual_iou": ("Visual IoU", "mean over true times of the IoU of boxes; a time without a claim counts 0"),
    },
    "What, when and where": {
        "am": ("AM", "mean of right answers, temporal and visual IoU"),
        "lgm": ("LGM", "mean of their −ln(1 − x), in hundredths; not a share"),
        "mam": ("mAM", "mean AM of two chains: of questions that ask when, and of those that ask where"),
        "mlgm": ("mLGM", "their mean LGM, in hundredths; not a share"),
    },
}
"""Title of a table → name of a metric after `grounding.` → title and note."""


def grounding_tables(metrics: Mapping[str, Number]) -> dict[str, list[Row]]:
    """The tables by their titles, without numbers over no cases; none where no reasoning was asked for."""
    if TRACED not in metrics:
        return {}
    found = {name for name, number in metrics.items() if number.n}
    tables = {
        title: [
            _row(f"grounding.{name}", words, metrics) for name, words in part.items() if f"grounding.{name}" in found
        ]
        for title, part in PARTS.items()
    }
    return {title: rows for title, rows in tables.items() if rows}


def _row(name: str, words: tuple[str, str], metrics: Mapping[str, Number]) -> Row:
    title, note = words
    traced = metrics.get(f"{name}_traced_only")
    if traced is not None and traced.value is not None and traced.value != metrics[name].value:
        note += f"; {cell(name, traced).text} where there is reasoning"
    return Row(name, title, note, metrics[name].n, (cell(name, metrics[name]),))
