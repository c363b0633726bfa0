"""The step behind `drive-vqa fuse STORE --evaluate`: judge a store's fused tracks and keep the outcome.

OUT/quality.json   every number under a stable dotted name, with n and interval
OUT/quality.html   the page
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from drive_vqa.errors import StoreError
from drive_vqa.geometry import SE3
from drive_vqa.schema import SCHEMA_VERSION, TABLES, pose_from_struct
from drive_vqa.store import Store, replacing, write_json
from drive_vqa.tracking import mlflow_run
from sensors.annotated_tracks import tracks_from_annotations
from sensors.quality.headline import headline
from sensors.quality.kitti_store import kitti_scores
from sensors.quality.label_quality import label_quality
from sensors.quality.nearest_centre import nearest_centre_tracks
from sensors.quality.nuscenes_eval import devkit_tracking
from sensors.quality.page import QualityReport, render

logger = logging.getLogger(__name__)

PEER = "nearest centre"
PAGE, NUMBERS = "quality.html", "quality.json"


def write_quality(
    store: Store,
    out: Path,
    *,
    log_ids: Sequence[str] | None = None,
    max_range_m: float = float("inf"),
    devkit: bool = False,
    settings: Mapping[str, str] | None = None,
    tracking_uri: str | None = None,
) -> Path:
    """Judge the fused tracks of every log that has annotations too; write page and numbers, and log them to MLflow.

    Where the store holds a detector's boxes, a greedy nearest-centre tracker runs on them and is judged beside.

    Args:
        store: with `frames`, `annotations` and fused `tracks`.
        out: folder for the files.
        log_ids: only these logs; default: all.
        max_range_m: leave out what is further from the ego.
        devkit: run nuscenes-devkit's evaluation too (minutes; needs motmetrics).
        settings: where the tracks come from, for the page and as parameters of the run: names of letters, digits and _-./ only.
        tracking_uri: of MLflow; default as in `drive_vqa.tracking.mlflow_run`.

    Returns:
        The page.

    Raises:
        StoreError: no log has both annotations and fused tracks, or a table is not usable.
        DependencyError: `devkit` without motmetrics.
    """
    chosen = store.log_ids("tracks") if log_ids is None else sorted(log_ids)
    report = quality_report(store, chosen, max_range_m=max_range_m, devkit=devkit, settings=settings or {})
    report = replace(report, kitti=kitti_scores(store, out / "kitti"))
    out.mkdir(parents=True, exist_ok=True)
    numbers = metrics(report)
    write_json(out / NUMBERS, {"schema_version": SCHEMA_VERSION, "metrics": numbers})
    with replacing(out / PAGE) as temporary:
        temporary.write_text(render(report), encoding="utf-8", errors="backslashreplace")
    logger.info("%s", headline(report))
    with mlflow_run(out, "label-quality", tracking_uri=tracking_uri, params=report.settings) as run:
        run.log_metrics({name: entry["value"] for name, entry in numbers.items() if entry["value"] is not None})
        run.log_artifact(out / NUMBERS)
        run.log_artifact(out / PAGE)
    return out / PAGE


def quality_report(
    store: Store, chosen: Sequence[str], *, max_range_m: float, devkit: bool, settings: Mapping[str, str]
) -> QualityReport:
    """Judge the fused tracks of a store; arguments and errors as for `write_quality`."""
    log_ids = [log_id for log_id in chosen if _is_judged(store, log_id)]
    if len(log_ids) < len(chosen):
        logger.info(
            "judged: %d of %d logs, the others have no labels or nothing was detected", len(log_ids), len(chosen)
        )
    fused, truth = _fused(store, log_ids), _truth(store, log_ids)
    if not truth.num_rows or not fused.num_rows:
        raise StoreError(
            f"{store.root} has no log with both annotations and fused tracks: run drive-vqa fuse --from detections or sensors"
        )
    peer = _peer(store, log_ids)
    return QualityReport(
        quality=label_quality(truth, fused, max_range_m),
        peers={PEER: label_quality(truth, peer, max_range_m)} if peer.num_rows else {},
        devkit=devkit_tracking(truth, fused) if devkit else {},
        poses=_poses(store, log_ids),
        settings={**settings, "max_range_m": "all" if math.isinf(max_range_m) else f"{max_range_m:g}"},
    )


def _is_judged(store: Store, log_id: str) -> bool:
    """Whether a log has labels and detections: one that a detector's file does not have is no fault of the tracks."""
    tables = ("annotations", "detections")
    return all(store.path(table, log_id).exists() and store.read(table, log_id, ["frame"]).num_rows for table in tables)


def metrics(report: QualityReport) -> dict[str, dict[str, Any]]:
    """Every number of a report by dotted name: `car.amota`, `peer.nearest_centre.all.best.id_switches`, `kitti.Car.samota`, …."""
    numbers = dict(report.quality.as_dict())
    for name, peer in report.peers.items():
        numbers |= {f"peer.{name.replace(' ', '_')}.{key}": entry for key, entry in peer.as_dict().items()}
    for kind, scores in report.kitti.items():
        for column in fields(scores):
            numbers[f"kitti.{kind}.{column.name}"] = _entry(getattr(scores, column.name), scores.objects)
    for metric, by_class in report.devkit.items():
        for kind, value in by_class.items():
            numbers[f"nuscenes.{kind}.{metric}"] = _entry(value, _objects(report, kind))
    return numbers


def _objects(report: QualityReport, kind: str) -> int:
    """Annotated boxes of a category."""
    scores = report.quality.scores.get(kind)
    return scores.delivered.objects if scores else 0


def _entry(value: float, n: int) -> dict[str, Any]:
    return {"value": float(value) if math.isfinite(value) else None, "n": n, "low": None, "high": None}


def _truth(store: Store, log_ids: list[str]) -> pa.Table:
    """Annotations as tracks; what cameras see of them plays no part here."""
    no_sensors = TABLES["sensor_data"].empty_table()
    parts = [
        tracks_from_annotations(store.read("annotations", log_id), store.read("frames", log_id), no_sensors)
        for log_id in log_ids
        if store.read("annotations", log_id, ["frame"]).num_rows
    ]
    return pa.concat_tables([TABLES["tracks"].empty_table(), *parts])


def _fused(store: Store, log_ids: list[str]) -> pa.Table:
    tracks = pa.concat_tables([TABLES["tracks"].empty_table(), *(store.read("tracks", log_id) for log_id in log_ids)])
    return tracks.filter(pa.array([source == "fused" for source in tracks["source"].to_pylist()], type=pa.bool_()))


def _peer(store: Store, log_ids: list[str]) -> pa.Table:
    with_boxes = [log_id for log_id in log_ids if store.path("detections", log_id).exists()]
    parts = [
        nearest_centre_tracks(store.read("detections", log_id), store.read("frames", log_id)) for log_id in with_boxes
    ]
    return pa.concat_tables([TABLES["tracks"].empty_table(), *parts])


def _poses(store: Store, log_ids: list[str]) -> dict[tuple[str, int], SE3]:
    rows = [
        (log_id, row)
        for log_id in log_ids
        for row in store.read("frames", log_id, ["frame", "global_SE3_ego"]).to_pylist()
    ]
    return {
        (log_id, row["frame"]): pose_from_struct(row["global_SE3_ego"])
        for log_id, row in rows
        if row["global_SE3_ego"] is not None
    }
