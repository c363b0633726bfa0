"""Whether the model knows when it is right: the curves of EVAL/calibration.json as two plots.

    risk_coverage   coverage and risk: keep the surest answers only; the share kept, and the share of those that is wrong
    reliability     bins of told confidence: low, high, mean confidence, accuracy, n

The file says something only where several answers to a question, or a confidence, were given; each part may be absent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from drive_vqa.errors import StoreError
from eval.report.plots import PALETTE, figure, to_svg

HEIGHT_PX = 320
MOST_POINTS = 400
"""Of a drawn curve."""


@dataclass(frozen=True)
class Calibration:
    """The content of the file; empty where it says nothing.

    Attributes:
        risk_coverage: (coverage, risk), by rising coverage.
        reliability: (mean confidence, accuracy, n) of each bin.
    """

    risk_coverage: tuple[tuple[float, float], ...] = ()
    reliability: tuple[tuple[float, float, int], ...] = ()


def read_calibration(path: Path) -> Calibration:
    """Read the file; nothing where there is none.

    Raises:
        StoreError: it is damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        curve = content.get("risk_coverage") or {}
        points = zip(map(_share, curve.get("coverage", ())), map(_share, curve.get("risk", ())), strict=True)
        bins = content.get("reliability") or ()
        return Calibration(
            tuple(sorted(points)),
            tuple((_share(one["confidence"]), _share(one["accuracy"]), int(one["n"])) for one in bins if one["n"]),
        )
    except FileNotFoundError:
        return Calibration()
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        raise StoreError(f"{path} is damaged ({error}): run `drive-vqa evaluate` again") from error


def _share(value: Any) -> float:
    share = float(value)
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"{value} is not between 0 and 1")
    return share


def calibration_plots(calibration: Calibration) -> Mapping[str, Markup]:
    """Words below a plot → plot."""
    plots = {}
    if calibration.risk_coverage:
        words = "Risk–coverage. When only the surest answers are kept, how many of them are wrong."
        plots[words] = _risk_coverage_plot(calibration)
    if calibration.reliability:
        plots["Reliability. On the line, answers are right as often as the model is sure."] = _reliability_plot(
            calibration
        )
    return plots


def _risk_coverage_plot(calibration: Calibration) -> Markup:
    points = 100 * np.array(calibration.risk_coverage)
    shown = points[np.unique(np.linspace(0, len(points) - 1, min(len(points), MOST_POINTS)).round().astype(int))]
    with figure("risk-coverage", HEIGHT_PX) as (drawing, axes):
        axes.fill_between(shown[:, 0], 0.0, shown[:, 1], color=PALETTE["series-0"], alpha=0.15, linewidth=0)
        axes.plot(shown[:, 0], shown[:, 1], color=PALETTE["series-0"], linewidth=2)
        axes.set(xlim=(0, 101), ylim=(0, max(5.0, 1.1 * shown[:, 1].max())), xlabel="answers kept (%)")
        axes.set_ylabel("wrong among them (%)")
        axes.grid(axis="y")
        return to_svg(drawing, "Share of wrong answers among the surest, against the share of answers kept")


def _reliability_plot(calibration: Calibration) -> Markup:
    confidence, accuracy, n = np.array(calibration.reliability).T
    with figure("reliability", HEIGHT_PX) as (drawing, axes):
        axes.plot([0, 100], [0, 100], "--", color=PALETTE["muted"], linewidth=1)
        axes.plot(100 * confidence, 100 * accuracy, color=PALETTE["series-0"], linewidth=1.5)
        axes.scatter(100 * confidence, 100 * accuracy, 20 + 120 * n / n.max(), color=PALETTE["series-0"])
        axes.set(xlim=(-3, 103), ylim=(-3, 103), xlabel="told confidence (%)", ylabel="right (%)")
        axes.grid()
        axes.set_axisbelow(True)
        return to_svg(drawing, "Share of right answers against told confidence; larger dots stand for more answers")
