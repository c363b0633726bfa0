"""Errors of predicted places in metres (eval.trajectory), over targets that were asked for at 1, 2 and 3 s."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from eval import trajectory
from eval.cases import Targets
from eval.panel.answered import Answered, share_of
from eval.statistics import Sample


def prediction(answered: Answered, targets: Targets) -> Iterator[tuple[str, Sample]]:
    """ADE, FDE, misses, and the error along and across the ego's direction; errors of targets with all three answers."""
    asked = targets.take((targets.rows[:, 1:] >= 0).all(axis=1))
    truth_xy_m, answer_xy_m = (places[:, 1:] for places in answered.places_m(asked))
    errors_m = trajectory.displacement_m(truth_xy_m, answer_xy_m)
    whole = np.isfinite(errors_m).all(axis=1)
    along_m, across_m = np.moveaxis(np.abs(answer_xy_m - truth_xy_m).mean(axis=1), -1, 0)
    for name, values in (
        ("ade_m", trajectory.average_displacement_m(errors_m)),
        ("fde_m", trajectory.final_displacement_m(errors_m)),
        ("longitudinal_error_m", along_m),
        ("lateral_error_m", across_m),
    ):
        yield f"prediction.{name}", Sample(values[whole], asked.anchors[whole])
    yield "prediction.miss_rate_2m", share_of(trajectory.missed(errors_m), asked.anchors)
