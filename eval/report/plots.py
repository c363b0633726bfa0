"""Plots as inline SVG: they follow the page's colours (also in the dark), its font, and stay sharp on a phone.

Every figure is drawn about as wide as a phone, so that its letters keep their size there; a desktop shows several in a row.
Text from data is never read as mathematics, and ids are salted with the plot's name, so that figures on one page cannot mix.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import matplotlib as mpl
import numpy as np
import pandas as pd
from jaxtyping import Float
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from eval.report.numbers import Cell, Row

INCH_PX = 72
WIDTH_PX = 380
PALETTE = {
    "ink": "#010101",
    "muted": "#010102",
    "line": "#010103",
    "paper": "#010104",
    "right": "#010105",
    "wrong": "#010106",
    "danger": "#010107",
    "series-0": "#010108",
    "series-1": "#010109",
    "series-2": "#01010a",
    "series-3": "#01010b",
    "series-4": "#01010c",
}
"""Stand-in colours, replaced by the CSS variable of that name."""

SERIES = ("series-0", "series-1", "series-2", "series-3", "series-4")
MARKERS = ("o", "D", "s", "^", "v")
MAX_ARROWS = 250
MAX_POINTS = 600
DISTANCE_BINS_M = np.array([0.0, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 65.0, 80.0, 120.0])
MIN_BIN = 5
"""Bins with fewer answers have no quartiles worth drawing."""

RC = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 12.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": PALETTE["line"],
    "axes.labelcolor": PALETTE["muted"],
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "grid.color": PALETTE["line"],
    "grid.linewidth": 0.8,
    "xtick.color": PALETTE["line"],
    "ytick.color": PALETTE["line"],
    "xtick.labelcolor": PALETTE["muted"],
    "ytick.labelcolor": PALETTE["muted"],
    "text.color": PALETTE["ink"],
    "legend.frameon": False,
    "legend.fontsize": 12,
}


@contextmanager
def figure(name: str, height_px: int) -> Iterator[tuple[Figure, Axes]]:
    """A figure in the report's style; `name` salts its ids."""
    with mpl.rc_context({**RC, "svg.hashsalt": name}):
        drawing = Figure(figsize=(WIDTH_PX / INCH_PX, height_px / INCH_PX), layout="constrained")
        yield drawing, drawing.add_subplot()


def to_svg(drawing: Figure, label: str) -> Markup:
    """The figure as an `<svg>` element, described by `label`; call it inside the `figure` block."""
    buffer = io.StringIO()
    drawing.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    for name, color in PALETTE.items():
        svg = svg.replace(color, f"var(--{name})")
    svg = re.sub(r"font: ([\d.]+)px [^;\"]+", r"font-size: \1px", svg)
    width, height = (round(inches * INCH_PX) for inches in drawing.get_size_inches())
    head = f'<svg role="img" aria-label="{escape(label)}" viewBox="0 0 {width} {height}">'
    return Markup(re.sub(r"<svg[^>]*>", lambda _: head, svg, count=1))  # noqa: S704 - matplotlib escapes text


def intervals_plot(rows: Sequence[Row], columns: Sequence[str]) -> Markup:
    """Dots with intervals: each metric a line, the model and the next columns marks of their own shape and colour."""
    columns = columns[: len(SERIES)]
    with figure("intervals", 70 + 46 * len(rows)) as (drawing, axes):
        step = 0.46 / max(len(columns) - 1, 1)
        for index, column in enumerate(columns):
            y = np.arange(len(rows)) - 0.23 + step * index
            _dots(axes, [row.cells[index] for row in rows], y, index, column)
        axes.set_yticks(range(len(rows)), [row.title for row in rows])
        axes.tick_params(axis="y", length=0, labelcolor=PALETTE["ink"])
        axes.set(xlim=(-2, 102), ylim=(len(rows) - 0.5, -0.5), xlabel="per cent of questions or groups")
        axes.grid(axis="x")
        axes.set_axisbelow(True)
        axes.spines["left"].set_visible(False)
        drawing.legend(loc="outside upper center", ncols=2, handletextpad=0.3, columnspacing=1.2)
        return to_svg(drawing, "Each headline metric with its interval, the model beside the baselines")


def _dots(axes: Axes, cells: Sequence[Cell], y: Float[np.ndarray, "n"], index: int, label: str) -> None:
    color = PALETTE[SERIES[index]]
    width = 2.4 if index == 0 else 1.4
    for cell, height in zip(cells, y, strict=True):
        if cell.low is not None and cell.high is not None:
            axes.plot([100 * cell.low, 100 * cell.high], [height, height], color=color, linewidth=width)
    values = [np.nan if cell.share is None else 100 * cell.share for cell in cells]
    size = 7.5 if index == 0 else 5.5
    axes.plot(values, y, MARKERS[index], color=color, markersize=size, label=label, clip_on=False)


def distance_plot(answers: pd.DataFrame, baselines: pd.DataFrame) -> Markup | None:
    """Signed distance error against true distance: points, the middle half, the median, and that of constant velocity."""
    model = located(answers[answers["from_ego"]], "distance_m")
    if model.empty:
        return None
    limit = float(np.clip(np.quantile(model["truth_distance_m"], 0.99), 10.0, 120.0))
    with figure("distance", 320) as (drawing, axes):
        _tolerance(axes, limit)
        shown = _sample(model, MAX_POINTS)
        for dangerous, color in ((False, "series-0"), (True, "danger")):
            part = shown[(shown["parsed_distance_m"] > 1.25 * shown["truth_distance_m"]) == dangerous]
            x, y = part["truth_distance_m"], part["parsed_distance_m"] - part["truth_distance_m"]
            axes.plot(x, y, ".", color=PALETTE[color], markersize=4, alpha=0.35, markeredgewidth=0)
        _median_line(axes, model, "series-0", "-", "Model, median and middle half", band=True)
        if "constant_velocity" in set(baselines["model"]):
            chosen = (baselines["model"] == "constant_velocity") & baselines["from_ego"]
            other = located(baselines[chosen], "distance_m")
            _median_line(axes, other, "series-1", "--", "Constant velocity, median", band=False)
        reach = max(
            0.35 * limit, float(np.quantile(np.abs(model["parsed_distance_m"] - model["truth_distance_m"]), 0.95))
        )
        axes.set(xlim=(0, limit), ylim=(-reach, reach), xlabel="true distance (m)", ylabel="answer − truth (m)")
        axes.text(0.02, 0.97, "too far: dangerous", transform=axes.transAxes, va="top", color=PALETTE["danger"])
        axes.text(0.02, 0.03, "too near", transform=axes.transAxes, color=PALETTE["muted"])
        drawing.legend(loc="outside upper left", ncols=1)
        return to_svg(drawing, "Distance error of the answers against the true distance")


def _tolerance(axes: Axes, limit: float) -> None:
    x = np.array([0.0, limit])
    axes.fill_between(x, -0.25 * x, 0.25 * x, color=PALETTE["right"], alpha=0.14, linewidth=0, label="Within 25 %")
    axes.axhline(0.0, color=PALETTE["muted"], linewidth=0.8)


def _median_line(axes: Axes, rows: pd.DataFrame, color: str, line: str, label: str, *, band: bool) -> None:
    error_m = (rows["parsed_distance_m"] - rows["truth_distance_m"]).to_numpy()
    bins = np.digitize(rows["truth_distance_m"], DISTANCE_BINS_M)
    filled = [index for index in np.unique(bins) if (bins == index).sum() >= MIN_BIN]
    if not filled:
        return
    x = np.array([np.median(rows["truth_distance_m"][bins == index]) for index in filled])
    low, middle, high = np.array([np.quantile(error_m[bins == index], [0.25, 0.5, 0.75]) for index in filled]).T
    if band:
        axes.fill_between(x, low, high, color=PALETTE[color], alpha=0.2, linewidth=0)
    marker = "o" if band else "D"
    axes.plot(x, middle, line, marker=marker, markersize=4, color=PALETTE[color], linewidth=2, label=label)


def field_plot(answers: pd.DataFrame, horizon_s: float) -> Markup | None:
    """Bird's-eye error field: an arrow from where a target is to where the answer puts it, in the ego frame of that time."""
    rows = located(answers, "distance_m", "bearing_deg")
    rows = rows[rows["horizon_s"].fillna(0.0) == horizon_s]
    if rows.empty:
        return None
    rows = _sample(rows, MAX_ARROWS)
    truth = _ego_xy_m(rows["truth_distance_m"], rows["truth_bearing_deg"])
    answer = _ego_xy_m(rows["parsed_distance_m"], rows["parsed_bearing_deg"])
    right = rows["success"].eq(True).to_numpy()
    dangerous = ~right & (rows["parsed_distance_m"] > 1.25 * rows["truth_distance_m"]).to_numpy()
    with figure(f"field-{horizon_s:g}", 430) as (drawing, axes):
        limits = _field_limits(truth, answer)
        for mask, color, label in (
            (right, "right", "right"),
            (~right & ~dangerous, "wrong", "wrong"),
            (dangerous, "danger", "dangerous: too far"),
        ):
            _arrows(axes, truth[mask], answer[mask], color, f"{label} ({mask.sum()})")
        ego_and_rings(axes, max(abs(value) for value in limits))
        axes.set(
            xlim=limits[:2], ylim=limits[2:], aspect="equal", xlabel="← left · metres · right →", ylabel="ahead (m)"
        )
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.xaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
        drawing.legend(loc="outside upper left", ncols=2, handlelength=0.8, columnspacing=1.0, handletextpad=0.4)
        when = "now" if horizon_s == 0 else f"in {horizon_s:g} s"
        return to_svg(drawing, f"Bird's-eye view {when}: arrows from the true place to the answered place")


def _arrows(
    axes: Axes, truth: Float[np.ndarray, "n 2"], answer: Float[np.ndarray, "n 2"], color: str, label: str
) -> None:
    """Plotted with left on the left: the horizontal axis is -y."""
    axes.plot(-truth[:, 1], truth[:, 0], "o", markersize=4, color=PALETTE[color], label=label, markeredgewidth=0)
    shift = answer - truth
    axes.quiver(
        -truth[:, 1], truth[:, 0], -shift[:, 1], shift[:, 0],
        angles="xy", scale_units="xy", scale=1, width=0.0045, headwidth=5, color=PALETTE[color], alpha=0.75,
    )  # fmt: skip


def _field_limits(
    truth: Float[np.ndarray, "n 2"], answer: Float[np.ndarray, "n 2"]
) -> tuple[float, float, float, float]:
    """Right-left and back-ahead limits that hold the truth and all but far-off answers, about as wide as high."""
    reach = np.concatenate([truth, answer[np.linalg.norm(answer, axis=1) <= 1.3 * np.linalg.norm(truth, axis=1).max()]])
    back, ahead = min(-5.0, float(reach[:, 0].min()) - 3.0), max(20.0, float(reach[:, 0].max()) + 3.0)
    side = max(0.42 * (ahead - back), float(np.abs(reach[:, 1]).max()) + 3.0)
    return -side, side, back, ahead


def ego_and_rings(axes: Axes, reach_m: float) -> None:
    """The own car at the origin and a ring each 10, 20 or 50 m."""
    step_m = 10 if reach_m <= 45 else 20 if reach_m <= 110 else 50
    for radius_m in range(step_m, int(1.5 * reach_m) + step_m, step_m):
        angle = np.linspace(0, 2 * np.pi, 91)
        axes.plot(radius_m * np.cos(angle), radius_m * np.sin(angle), color=PALETTE["line"], linewidth=0.8, zorder=0)
    shape = np.array([[-0.95, -1.2], [-0.95, 2.6], [0.0, 3.8], [0.95, 2.6], [0.95, -1.2]])
    axes.fill(shape[:, 0], shape[:, 1], color=PALETTE["ink"], zorder=3, linewidth=0)


def located(rows: pd.DataFrame, *fields: str) -> pd.DataFrame:
    """Rows whose truth and answer both have all the fields."""
    needed = [f"{side}_{field}" for field in fields for side in ("truth", "parsed")]
    return rows[rows[needed].notna().all(axis=1)]


def _sample(rows: pd.DataFrame, most: int) -> pd.DataFrame:
    """An even share of the rows where there are too many to draw."""
    if len(rows) <= most:
        return rows
    chosen = np.random.default_rng([7, len(rows)]).choice(len(rows), most, replace=False)
    return rows.iloc[np.sort(chosen)]


def _ego_xy_m(distance_m: pd.Series, bearing_deg: pd.Series) -> Float[np.ndarray, "n 2"]:
    angle = np.radians(bearing_deg.to_numpy())
    return np.asarray(np.stack([np.cos(angle), np.sin(angle)], axis=-1) * distance_m.to_numpy()[:, None])
