"""Drawing as inline SVG in the page's own colours, so that it follows light and dark and stays sharp on a phone."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import matplotlib as mpl
import numpy as np
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sensors.quality.box_errors import RANGE_NAMES
from sensors.quality.label_quality import GroupErrors

INCH_PX = 72
WIDTH_PX = 380
PALETTE = {
    name: f"#0201{place:02x}"
    for place, name in enumerate(
        ("ink", "muted", "line", "paper", "right", "wrong", "danger", "series-0", "series-1", "series-2", "series-3"), 1
    )
}
"""Stand-in colours, replaced by the CSS variable of that name."""

SERIES = ("series-0", "series-1", "series-2", "series-3")
MARKERS = ("o", "D", "s", "^")
RANGE_TITLES = ("0–20", "20–30", "30–50", "> 50")
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
    """A figure as wide as a phone; `name` salts its ids, so that figures on one page cannot mix."""
    with mpl.rc_context({**RC, "svg.hashsalt": name}):
        drawing = Figure(figsize=(WIDTH_PX / INCH_PX, height_px / INCH_PX), layout="constrained")
        yield drawing, drawing.add_subplot()


def to_svg(drawing: Figure, label: str) -> Markup:
    """The figure as an `<svg>` element, described by `label`; call it inside the `figure` block."""
    buffer = io.StringIO()
    drawing.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    svg = buffer.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    for name, color in PALETTE.items():
        svg = svg.replace(color, f"var(--{name})")
    svg = re.sub(r"font: ([\d.]+)px [^;\"]+", r"font-size: \1px", svg)
    width, height = (round(inches * INCH_PX) for inches in drawing.get_size_inches())
    head = f'<svg role="img" aria-label="{escape(label)}" viewBox="0 0 {width} {height}">'
    return Markup(re.sub(r"<svg[^>]*>", lambda _: head, svg, count=1))  # noqa: S704 - matplotlib escapes text


def range_chart(errors: Mapping[str, GroupErrors], groups: Sequence[str], error: str, label: str) -> Markup | None:
    """An error over range bins with its intervals, a line a group; None where no bin has one."""
    series = [(group, _bins(errors[group], error)) for group in groups if group in errors]
    series = [(group, values) for group, values in series if np.isfinite(values[0]).any()]
    if not series:
        return None
    with figure(f"range-{error}", 270) as (drawing, axes):
        for index, (group, (mean, low, high)) in enumerate(series):
            x = np.arange(len(RANGE_NAMES)) + 0.09 * (index - (len(series) - 1) / 2)
            color, known = PALETTE[SERIES[index % len(SERIES)]], np.isfinite(low)
            axes.vlines(x[known], low[known], high[known], color=color, linewidth=1.8)
            title = group.replace("_", " ")
            axes.plot(x, mean, "-", marker=MARKERS[index % len(MARKERS)], color=color, markersize=6, label=title)
        axes.set_xticks(range(len(RANGE_NAMES)), RANGE_TITLES)
        axes.set(xlabel="distance from the ego (m)", ylabel=label, xlim=(-0.4, len(RANGE_NAMES) - 0.6))
        axes.set_ylim(bottom=0)
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        drawing.legend(loc="outside upper left", ncols=4, handlelength=1.2, columnspacing=1.2, handletextpad=0.5)
        return to_svg(drawing, f"{label} by distance from the ego")


def _bins(group: GroupErrors, error: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, low and high end in every bin, NaN where there is none."""
    means = [group.by_range[name][error] if name in group.by_range else None for name in RANGE_NAMES]
    values = [[np.nan] * 3 if mean is None else [mean.value, mean.low, mean.high] for mean in means]
    mean, low, high = np.array(values, dtype=np.float64).T
    return mean, low, high
