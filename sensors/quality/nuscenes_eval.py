"""nuscenes-devkit's own tracking evaluation on our tables, as a check and for figures that others can compare with.

`TrackingEval.evaluate` (classes, thresholds, averages) and `TrackingEvaluation` run unchanged; only the loading is ours, because
`TrackingEval` reads a NuScenes data set of known splits. Not done here: filling gaps in tracks, bicycle racks.
The devkit needs `motmetrics`, which it does not install by itself.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import pyarrow as pa

from drive_vqa.errors import DependencyError
from sensors.quality.track_boxes import CATEGORY_NAMES, Comparison, TrackBoxes

Tracks = dict[str, dict[int, list[Any]]]


def devkit_tracking(truth: pa.Table, fused: pa.Table) -> dict[str, dict[str, float]]:
    """Run the devkit's evaluation (tracking challenge settings: 2 m, its classes and their ranges).

    Distances between centres do not depend on the frame, so boxes stay in the ego frame.

    Args:
        truth: table `tracks` with annotated rows; only frames with an observed row are compared.
        fused: table `tracks` to judge.

    Returns:
        metric → class → value, as the devkit names them (`amota`, `ids`, …), NaN where it gives none.

    Raises:
        DependencyError: motmetrics is not installed.
        StoreError: a table is not usable.
    """
    try:
        from nuscenes.eval.tracking.evaluate import TrackingEval
    except ImportError as error:
        raise DependencyError(f"the devkit's tracking evaluation needs {error.name}: pip install motmetrics") from error
    from nuscenes.eval.common.config import config_factory

    settings = config_factory("tracking_nips_2019")
    comparison = Comparison.of(truth, fused)
    evaluation = TrackingEval.__new__(TrackingEval)  # its __init__ loads a data set from disk
    evaluation.cfg, evaluation.verbose = settings, False
    evaluation.output_dir, evaluation.render_classes = None, None
    evaluation.tracks_gt = _devkit_tracks(comparison, comparison.truth, settings.class_range)
    evaluation.tracks_pred = _devkit_tracks(comparison, comparison.fused, settings.class_range)
    metrics, _ = evaluation.evaluate()
    return {name: {kind: float(v) for kind, v in values.items()} for name, values in metrics.label_metrics.items()}


def _devkit_tracks(comparison: Comparison, boxes: TrackBoxes, class_range_m: dict[str, float]) -> Tracks:
    """Boxes as the devkit holds them: log → frame → list; every frame that is compared is there, also in both tables."""
    from nuscenes.eval.tracking.data_classes import TrackingBox

    tracks: dict[str, dict[int, list[Any]]] = {name: defaultdict(list) for name in comparison.log_ids}
    for part in (comparison.truth, comparison.fused):
        for log, frame in np.unique(np.column_stack([part.log, part.frame]), axis=0).tolist():
            tracks[comparison.log_ids[log]][frame] = []
    for i in np.lexsort((boxes.track, boxes.frame, boxes.log)).tolist():
        kind = CATEGORY_NAMES[boxes.category[i]]
        if kind in class_range_m and boxes.range_m[i] < class_range_m[kind]:
            box = TrackingBox(
                translation=tuple(boxes.xyz_m[i].tolist()),
                tracking_id=str(boxes.track[i]),
                tracking_name=kind,
                tracking_score=float(boxes.score[i]),
            )
            tracks[comparison.log_ids[boxes.log[i]]][int(boxes.frame[i])].append(box)
    return {name: dict(sorted(frames.items())) for name, frames in tracks.items()}
