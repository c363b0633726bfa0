"""The few numbers of a judgement that a terminal shows."""

from __future__ import annotations

from collections.abc import Mapping

from sensors.quality.kitti import table
from sensors.quality.label_quality import LabelQuality
from sensors.quality.page import QualityReport

COLUMNS = {
    "AMOTA": "all.amota",
    "best MOTA": "all.best.mota",
    "its IDS": "all.best.id_switches",
    "all: MOTA": "all.delivered.mota",
    "precision": "all.delivered.precision",
    "recall": "all.delivered.recall",
    "IDS": "all.delivered.id_switches",
    "position m": "all.error.position_m",
    "velocity m/s": "all.error.velocity_mps",
    "moving vehicles m/s": "vehicle.error.velocity_moving_mps",
}


def headline(report: QualityReport) -> str:
    """A table of these tracks and of each peer's; KITTI's own scores below for logs of KITTI.

    MOTA and identity switches stand twice: at the score threshold that is best for each class, and of all tracks delivered.
    """
    judged: Mapping[str, LabelQuality] = {"these tracks": report.quality, **report.peers}
    lines = [f"{'':<16}" + "".join(f"{name:>{max(len(name), 8) + 2}}" for name in COLUMNS)]
    for name, quality in judged.items():
        numbers = quality.numbers()
        cells = ((max(len(title), 8) + 2, numbers.get(key, float("nan"))) for title, key in COLUMNS.items())
        lines.append(f"{name:<16}" + "".join(f"{value:>{width}.3g}" for width, value in cells))
    return "\n".join([*lines, *([table(report.kitti)] if report.kitti else [])])
