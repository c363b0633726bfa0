"""The page on label quality: one HTML file that needs nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from drive_vqa import __version__
from sensors.quality.birds_eye import Poses, worst_drives, worst_moments
from sensors.quality.charts import range_chart
from sensors.quality.intervals import Mean
from sensors.quality.kitti_metrics import KittiScores
from sensors.quality.label_quality import LabelQuality

HERE = Path(__file__).parent
MOMENTS = 6
DRIVES = 3
CHART_GROUPS = 3
NONE = "–"
ERRORS = (
    ("position_m", "Position (m)", 2),
    ("velocity_mps", "Velocity (m/s)", 2),
    ("velocity_moving_mps", "Velocity, moving (m/s)", 2),
    ("yaw_deg", "Yaw (°)", 1),
    ("length_m", "Length (m)", 2),
    ("width_m", "Width (m)", 2),
    ("height_m", "Height (m)", 2),
)
CHARTS = (
    ("position_m", "position error (m)"),
    ("velocity_mps", "velocity error (m/s)"),
    ("yaw_deg", "yaw error (°)"),
)


@dataclass(frozen=True)
class QualityReport:
    """What the page and the numbers file tell.

    Attributes:
        quality: of the fused tracks.
        peers: of other trackers on the same logs, by what they are called.
        kitti: KITTI's metrics by class, where the logs are KITTI's.
        devkit: nuscenes-devkit's metrics, metric → class → value, where it was run.
        poses: `global_SE3_ego` by log and frame, for the pictures of whole drives.
        settings: where the tracks come from, by name.
    """

    quality: LabelQuality
    peers: Mapping[str, LabelQuality] = field(default_factory=dict)
    kitti: Mapping[str, KittiScores] = field(default_factory=dict)
    devkit: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    poses: Poses = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)


def render(report: QualityReport) -> str:
    """The page as text; the same report gives the same bytes."""
    # Whatever comes from data is escaped by the template; only our own CSS and SVG are trusted.
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    quality = report.quality
    return environment.get_template("template.html").render(
        style=Markup((HERE / "style.css").read_text(encoding="utf-8")),  # noqa: S704
        logs=quality.logs,
        instants=quality.instants,
        objects=quality.delivered.objects,
        tiles=_tiles(quality),
        compared=_compared(report),
        categories=_categories(quality),
        unlabelled=_unlabelled(quality),
        errors=_errors(quality),
        error_titles=[title for _, title, _ in ERRORS],
        charts=_charts(quality),
        kitti=_kitti(report.kitti),
        devkit=_devkit(report.devkit),
        moments=worst_moments(quality, MOMENTS),
        drives=worst_drives(quality, report.poses, DRIVES),
        settings={**report.settings, "written by": f"drive-vqa {__version__}"},
    )


def _tiles(quality: LabelQuality) -> list[dict[str, str]]:
    """The figures that say most, large."""
    vehicle = quality.errors["vehicle"].everywhere
    position, velocity = quality.errors["all"].everywhere["position_m"], vehicle["velocity_moving_mps"]
    return [
        {"title": "AMOTA", "value": _text(quality.amota, 3), "note": "mean over categories, 1 is perfect"},
        {"title": "MOTA", "value": _text(quality.best.mota, 3), "note": "at the best threshold of each category"},
        {"title": "ID switches", "value": f"{quality.best.id_switches:,}", "note": "at the same thresholds"},
        {"title": "Recall", "value": _percent(quality.delivered.recall), "note": "of all tracks as delivered"},
        {"title": "Position error", "value": f"{_text(position.value, 2)} m", "note": _spread(position, 2)},
        {
            "title": "Velocity error",
            "value": f"{_text(velocity.value, 2)} m/s",
            "note": f"moving vehicles · {_spread(velocity, 2)}",
        },
    ]


def _compared(report: QualityReport) -> list[dict[str, str]]:
    """A row for our tracks and one for each peer; none without peers."""
    if not report.peers:
        return []
    return [
        {
            "name": name,
            "amota": _text(q.amota, 3),
            "mota": _text(q.best.mota, 3),
            "switches": f"{q.best.id_switches:,}",
            "delivered_switches": f"{q.delivered.id_switches:,}",
            "fragments": f"{q.best.fragments:,}",
            "position": _text(q.errors["all"].everywhere["position_m"].value, 2),
            "velocity": _text(q.errors["vehicle"].everywhere["velocity_moving_mps"].value, 2),
        }
        for name, q in {"these tracks": report.quality, **report.peers}.items()
    ]


def _categories(quality: LabelQuality) -> list[dict[str, str]]:
    return [
        {
            "name": name.replace("_", " "),
            "objects": f"{s.best.objects:,}",
            "amota": _text(s.amota, 3),
            "amotp": _text(s.amotp_m, 2),
            "mota": _text(s.best.mota, 3),
            "switches": f"{s.best.id_switches:,}",
            "fragments": f"{s.best.fragments:,}",
            "recall": _percent(s.best.recall),
            "precision": _percent(s.best.precision),
            "delivered_recall": _percent(s.delivered.recall),
            "delivered_precision": _percent(s.delivered.precision),
            "delivered_switches": f"{s.delivered.id_switches:,}",
        }
        for name, s in quality.scores.items()
        if s.best.objects
    ]


def _unlabelled(quality: LabelQuality) -> list[str]:
    """Categories of tracks that the annotations do not hold."""
    return [
        f"{name.replace('_', ' ')} ({s.delivered.false_positives:,} boxes)"
        for name, s in quality.scores.items()
        if not s.best.objects
    ]


def _errors(quality: LabelQuality) -> list[dict[str, Any]]:
    return [
        {
            "name": name.replace("_", " "),
            "n": f"{group.everywhere['position_m'].n:,}",
            "cells": [
                {"value": _text(group.everywhere[key].value, digits), "spread": _spread(group.everywhere[key], digits)}
                for key, _, digits in ERRORS
            ],
        }
        for name, group in quality.errors.items()
        if group.everywhere["position_m"].n
    ]


def _charts(quality: LabelQuality) -> list[dict[str, Any]]:
    """Errors over range, of the categories with the most matches."""
    named = [name for name in quality.errors if name not in ("all", "vehicle")]
    often = sorted(named, key=lambda name: -quality.errors[name].everywhere["position_m"].n)[:CHART_GROUPS]
    drawn = [(label, range_chart(quality.errors, often, error, label)) for error, label in CHARTS]
    return [{"title": label.capitalize(), "svg": svg} for label, svg in drawn if svg is not None]


def _kitti(scores: Mapping[str, KittiScores]) -> list[dict[str, str]]:
    return [
        {
            "name": name,
            "samota": f"{100 * s.samota:.2f}",
            "amota": f"{100 * s.amota:.2f}",
            "mota": f"{100 * s.mota:.2f}",
            "motp": f"{100 * s.motp:.2f}",
            "switches": f"{s.id_switches:,}",
            "fragments": f"{s.fragments:,}",
        }
        for name, s in scores.items()
    ]


def _devkit(metrics: Mapping[str, Mapping[str, float]]) -> list[dict[str, str]]:
    """A row a class that the truth holds, with the devkit's own figures."""
    wanted = {"amota": 3, "amotp": 2, "mota": 3, "recall": 3, "ids": 0, "frag": 0}
    names = sorted(metrics.get("amota", {}))
    rows = [{"name": n, **{key: _text(metrics[key][n], digits) for key, digits in wanted.items()}} for n in names]
    return [row for row in rows if row["amota"] != NONE]


def _text(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}" if math.isfinite(value) else NONE


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %" if math.isfinite(value) else NONE


def _spread(mean: Mean, digits: int) -> str:
    """The interval, or nothing."""
    return f"{_text(mean.low, digits)} to {_text(mean.high, digits)}" if math.isfinite(mean.low) else ""
