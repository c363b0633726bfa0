"""The few numbers of a judgement that a terminal shows."""

from __future__ import annotations

from collections.abc import Mapping

from sensors.quality.kitti import table
from sensors.quality.label_quality import LabelQuality
from sensors.quality.page import QualityReport

COLUMNS = {
    "AMOTA": "all.amota",
    "MOTA": "all.best.mota",
    "IDS": "all.best.id_switches",
    "frag": "all.best.fragments",
    "recall": "all.delivered.recall",
    "position m": "all.error.position_m",
    "velocity m/s": "all.error.velocity_mps",
    "moving vehicles m/s": "vehicle.error.velocity_moving_mps",
}


def headline(report: QualityReport) -> str:
    """A table of these tracks and of each peer's; KITTI's own scores below for logs of KITTI."""
    judged: Mapping[str, LabelQuality] = {"these tracks": report.quality, **report.peers}
    lines = [f"{'':<16}" + "".join(f"{name:>{len(name) + 2}}" for name in COLUMNS)]
    for name, quality in judged.items():
        numbers = quality.numbers()
        cells = ((len(title) + 2, numbers.get(key, float("nan"))) for title, key in COLUMNS.items())
        lines.append(f"{name:<16}" + "".join(f"{value:>{width}.3g}" for width, value in cells))
    return "\n".join([*lines, *([table(report.kitti)] if report.kitti else [])])
