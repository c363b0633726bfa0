"""KITTI's metrics for the tracks of a store that was read from KITTI."""

from __future__ import annotations

from pathlib import Path

from drive_vqa.store import Store
from sensors.export.kitti_tracking import export_kitti_tracking
from sensors.quality.kitti_metrics import NEIGHBOUR, KittiScores, evaluate_kitti
from sensors.quality.kitti_tracks import read_kitti_tracks
from sensors.readers.kitti import FORMAT, PREFIX


def kitti_scores(store: Store, out: Path) -> dict[str, KittiScores]:
    """Write the result files of a store's KITTI logs and score them against the label files that the logs came from.

    Args:
        store: with `tracks`; its sources lie where they were.
        out: folder for the result files `NNNN.txt`.

    Returns:
        Scores by class; empty where no log is of KITTI, or none has labels and tracks.

    Raises:
        LogFormatError: a label file does not follow the format.
    """
    labels = {log_id: _labels(store, log_id) for log_id in store.log_ids() if _is_kitti(store, log_id)}
    labels = {
        log_id: path for log_id, path in labels.items() if path.is_file() and store.path("tracks", log_id).exists()
    }
    if not labels:
        return {}
    export_kitti_tracking(store, out)
    truth = {log_id: read_kitti_tracks(path) for log_id, path in labels.items()}
    found = {log_id: read_kitti_tracks(out / f"{log_id.removeprefix(PREFIX)}.txt") for log_id in labels}
    return {kitti_class: evaluate_kitti(truth, found, kitti_class) for kitti_class in NEIGHBOUR}


def _is_kitti(store: Store, log_id: str) -> bool:
    return bool(store.read("logs", log_id, ["source_format"])["source_format"][0].as_py() == FORMAT)


def _labels(store: Store, log_id: str) -> Path:
    return store.source_root(log_id) / "label_02" / f"{log_id.removeprefix(PREFIX)}.txt"
