"""How far off distances are, by range, time to collision and kind of object: the median and the middle half of each part.

The error is (answer − truth) / truth in per cent: to the right of the shaded tolerance the answer is dangerously far. Only
answers about where a target is from the own car count; a part with fewer than five is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.axes import Axes

from drive_vqa.time_to_collision import BIN_NAMES
from eval.report.plots import MIN_BIN, PALETTE, figure, located, to_svg
from eval.report.slices import value_order, value_title
from eval.safety import range_bin

MOST_PARTS = 10
NAME_CHARACTERS = 24
LEAST_TRUTH_M = 0.4
"""A share of nearly nothing says nothing."""

TOLERANCE = 25.0
LIMITS = (-105.0, 205.0)
"""Of the axis, per cent; a bar that goes on is cut."""

TITLES = {"range": "true distance (m)", "ttc": "time to collision (s)", "class": "kind of object"}


def error_plots(answers: pd.DataFrame, baselines: pd.DataFrame) -> dict[str, Markup]:
    """Words for a dimension → plot; those with at least one part.

    Args:
        answers: of the model, see `eval.report.inputs.Evaluation`.
        baselines: likewise; constant velocity is drawn where it is among them.
    """
    model = _errors(answers)
    other = _errors(baselines[baselines["model"] == "constant_velocity"])
    plots = {}
    for dimension, title in TITLES.items():
        parts = _parts(model[dimension])
        if parts:
            plots[title] = _plot(dimension, parts, {"Model": model, "Constant velocity": other})
    return plots


def _errors(answers: pd.DataFrame) -> pd.DataFrame:
    """Relative error in per cent, and the part of each dimension that its target belongs to."""
    rows = located(answers[answers["from_ego"].astype(bool)], "distance_m")
    rows = rows[rows["truth_distance_m"] >= LEAST_TRUTH_M]
    truth_m = rows["truth_distance_m"].to_numpy(np.float64)
    columns = {
        "error": 100 * (rows["parsed_distance_m"].to_numpy(np.float64) - truth_m) / truth_m,
        "range": range_bin(truth_m),
        "ttc": rows["slice_ttc_bin"].to_numpy(),
        "class": rows["slice_category"].to_numpy(),
    }
    return pd.DataFrame(columns)


def _parts(values: pd.Series) -> list[str]:
    """Parts with enough answers, in natural order: the most frequent ones where there are many."""
    counts = values.value_counts()
    names = list(counts[counts >= MIN_BIN].index[:MOST_PARTS])
    return sorted(names, key=lambda name: (BIN_NAMES.index(name) if name in BIN_NAMES else 0, value_order(name)))


def _plot(dimension: str, parts: Sequence[str], errors: Mapping[str, pd.DataFrame]) -> Markup:
    with figure(f"errors-{dimension}", 92 + 34 * len(parts)) as (drawing, axes):
        axes.axvspan(-TOLERANCE, TOLERANCE, color=PALETTE["right"], alpha=0.14, linewidth=0, label="Within 25 %")
        axes.axvline(0.0, color=PALETTE["muted"], linewidth=0.8)
        for number, (label, rows) in enumerate(errors.items()):
            _bars(axes, parts, rows[dimension], rows["error"], number, label)
        counts = errors["Model"][dimension].value_counts()
        axes.set_yticks(range(len(parts)), [f"{_name(part)} ({counts[part]:,})" for part in parts])
        axes.tick_params(axis="y", length=0, labelcolor=PALETTE["ink"])
        axes.set(xlim=LIMITS, ylim=(len(parts) - 0.5, -0.5), xlabel="distance error (%), too far →")
        axes.spines["left"].set_visible(False)
        drawing.legend(loc="outside upper left", ncols=3, handlelength=1.0, columnspacing=1.0, handletextpad=0.4)
        return to_svg(drawing, f"Relative distance error by {TITLES[dimension]}, median and middle half")


def _name(part: str) -> str:
    return "No conflict" if part == "none" else value_title(part)[:NAME_CHARACTERS]


def _bars(axes: Axes, parts: Sequence[str], values: pd.Series, errors: pd.Series, number: int, label: str) -> None:
    """A dot at the median and a line over the middle half of each part."""
    color, marker = PALETTE[f"series-{number}"], "oD"[number]
    for place, part in enumerate(parts):
        own = errors[values == part].to_numpy()
        if len(own) < MIN_BIN:
            continue
        low, middle, high = np.clip(np.quantile(own, [0.25, 0.5, 0.75]), *LIMITS)
        height = place - 0.15 + 0.3 * number
        axes.plot([low, high], [height, height], color=color, linewidth=3 - number)
        axes.plot(middle, height, marker, color=color, markersize=7 - number, label=label)
        label = ""
