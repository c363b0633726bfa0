"""The step `fuse`: what was labelled, detected or sensed in a log → its ego-frame track table: `drive-vqa fuse STORE`."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from drive_vqa.config import strict_config, to_dict
from drive_vqa.errors import ConfigError, LogFormatError
from drive_vqa.executor import Summary, map_logs, write_errors
from drive_vqa.store import Store, file_sha256, fingerprint
from sensors.annotated_tracks import tracks_from_annotations
from sensors.detection.detect import DetectionConfig, detect_log
from sensors.detection_files.read import read_detections
from sensors.lidar_occlusion import LidarReturns
from sensors.tracking.fused_tracks import tracks_from_detections
from sensors.tracking.settings import TrackerSettings

logger = logging.getLogger(__name__)

INPUTS = ("logs", "frames", "sensor_data")


@strict_config
@dataclass(frozen=True)
class FuseConfig:
    """How tracks are made.

    Attributes:
        source: annotations: the labelled boxes; detections: boxes of an outside detector; sensors: lidar, camera and radar files.
        ego_poses: use the log's ego poses; without, all is tracked in the ego frame and velocities over ground are unknown.
        lidar_visibility: let lidar sweeps tell what hides a box from a camera; else only other boxes do.
        tracker: settings of the tracker.
        detection: what to detect in raw sensors.
    """

    source: Literal["annotations", "detections", "sensors"] = "annotations"
    ego_poses: bool = True
    lidar_visibility: bool = True
    tracker: TrackerSettings = field(default_factory=TrackerSettings)
    detection: DetectionConfig = field(default_factory=DetectionConfig)


STANDARD = FuseConfig()
SAME_FRAME_NS = 500_000_000
"""A measurement is not further than this from its frame."""


@dataclass(frozen=True)
class FuseJob:
    """One log to fuse."""

    store: Store
    log_id: str
    config: FuseConfig
    detections: Path | None = None
    detections_digest: str = ""


def fuse(
    store: Store, config: FuseConfig = STANDARD, *, detections: Path | None = None, workers: int | None = None
) -> Summary:
    """Write the `tracks` table of every log in a store, and `detections` where tracks are made from such.

    A log whose table is there and was made from the same inputs is skipped. Failures go to STORE/errors-fuse.jsonl.

    Args:
        store: of ingested logs.
        config: how.
        detections: file or folder of an outside detector's boxes; where absent, the store's own table `detections` is used.
        workers: processes; default the number of cores.

    Raises:
        ConfigError: detections are given but not used.
        LogFormatError: they are not there.
    """
    if detections is not None and config.source != "detections":
        raise ConfigError("--detections goes with --from detections only")
    digest = _digest(detections) if detections is not None else ""
    jobs = [FuseJob(store, log_id, config, detections, digest) for log_id in store.log_ids()]
    summary = map_logs(fuse_log, jobs, step="fuse", workers=workers)
    write_errors(store.root / "errors-fuse.jsonl", summary)
    store.write_manifest("fuse", to_dict(config))
    if config.source != "annotations":
        _warn_of_nothing(store, summary)
    return summary


def _warn_of_nothing(store: Store, summary: Summary) -> None:
    empty = [
        log_id
        for log_id in (*summary.done, *summary.skipped)
        if not store.read("detections", log_id, ["frame"]).num_rows
    ]
    if empty:
        logger.warning("nothing was detected in %d logs (%s): they have no tracks", len(empty), ", ".join(empty[:5]))


def fuse_log(job: FuseJob) -> bool:
    """Write the tracks of one log.

    Returns:
        False where they were there already.

    Raises:
        LogFormatError: what tracks are to be made from is missing or contradicts itself.
        CalibrationError: a pose, a camera or a box is unusable.
    """
    if job.config.source == "annotations":
        return _fuse_annotations(job)
    store, log_id = job.store, job.log_id
    detected = _detect(job)
    inputs = {table: store.digest(table, log_id) for table in (*INPUTS, "detections")}
    key = fingerprint("fuse", {**to_dict(job.config), "detection": None}, inputs)
    if store.is_current("tracks", log_id, key) and not detected:
        return False
    measured, sensor_data = store.read("detections", log_id), store.read("sensor_data", log_id)
    tracks = tracks_from_detections(measured, _frames(job), sensor_data, job.config.tracker, _lidar(job))
    store.write("tracks", log_id, tracks, key)
    return True


def annotated_tracks(job: FuseJob) -> pa.Table:
    """The tracks that a log's labels give.

    Raises:
        LogFormatError: it has no labels.
    """
    store, log_id = job.store, job.log_id
    return tracks_from_annotations(
        store.read("annotations", log_id), _frames(job), store.read("sensor_data", log_id), _lidar(job)
    )


def _fuse_annotations(job: FuseJob) -> bool:
    store, log_id = job.store, job.log_id
    inputs = {table: store.digest(table, log_id) for table in ("frames", "sensor_data", "annotations")}
    settings = {name: getattr(job.config, name) for name in ("source", "ego_poses", "lidar_visibility")}
    key = fingerprint("fuse", settings, inputs)
    if store.is_current("tracks", log_id, key):
        return False
    store.write("tracks", log_id, annotated_tracks(job), key)
    return True


def _detect(job: FuseJob) -> bool:
    """Make the table `detections` where it is missing or of other inputs; whether it was made."""
    store, log_id = job.store, job.log_id
    inputs = {table: store.digest(table, log_id) for table in INPUTS}
    if job.config.source == "sensors":
        files = {name: _digest(Path(name)) for name in job.config.detection.files()}
        key = fingerprint("detect", to_dict(job.config.detection), {**inputs, **files})
    elif job.detections is not None:
        key = fingerprint("detections", {}, {**inputs, "detections": job.detections_digest})
    else:
        _check_frames(store, log_id)
        return False
    if store.is_current("detections", log_id, key):
        return False
    if job.config.source == "sensors":
        _check_files(store, log_id, job.config.detection)
        data = detect_log(store, log_id, job.config.detection)
    else:
        assert job.detections is not None
        data = read_detections(job.detections, log_id, store.read("frames", log_id), store.read("sensor_data", log_id))
    store.write("detections", log_id, data, key)
    return True


def _check_files(store: Store, log_id: str, config: DetectionConfig) -> None:
    """A log without sensor files has no tracks to give, and must not lose those that it has."""
    captures = store.read("sensor_data", log_id, ["modality", "path"])
    if not config.camera_boxes and not pc.any(pc.is_valid(captures["path"])).as_py():
        raise LogFormatError(f"log {log_id} has no lidar, radar or camera files: use --from annotations or detections")


def _check_frames(store: Store, log_id: str) -> None:
    """Detections that were made before the log was ingested again may be of other frames."""
    frames = store.read("frames", log_id, ["frame", "timestamp_ns"])
    place = pc.index_in(store.read("detections", log_id, ["frame"])["frame"], frames["frame"].combine_chunks())
    if place.null_count == 0:
        measured = store.read("detections", log_id, ["timestamp_ns"])["timestamp_ns"]
        apart_ns = pc.abs(pc.subtract(measured, frames["timestamp_ns"].take(place)))
        if not len(measured) or pc.max(apart_ns).as_py() <= SAME_FRAME_NS:
            return
    raise LogFormatError(
        f"log {log_id}: its detections are of other frames than it has now: give --detections PATH again, or use --from sensors"
    )


def _lidar(job: FuseJob) -> LidarReturns | None:
    return LidarReturns(job.store, job.log_id) if job.config.lidar_visibility else None


def _frames(job: FuseJob) -> pa.Table:
    frames = job.store.read("frames", job.log_id)
    return frames if job.config.ego_poses else without_poses(frames)


def without_poses(frames: pa.Table) -> pa.Table:
    """The table `frames` as of a log that has no ego poses."""
    index = frames.schema.get_field_index("global_SE3_ego")
    kind = frames.schema.field(index)
    return frames.set_column(index, kind, pa.nulls(frames.num_rows, kind.type))


def _digest(path: Path) -> str:
    """SHA-256 over the names and contents of a file or of all files in a folder."""
    if not path.exists():
        raise LogFormatError(f"{path} does not exist: give the file or folder of the detector")
    files = sorted(file for file in path.rglob("*.txt") if file.is_file()) if path.is_dir() else [path]
    if not path.is_dir() and not path.is_file():
        raise LogFormatError(f"{path} is neither a file nor a folder: give the file or folder of the detector")
    total = hashlib.sha256()
    for file in files:
        total.update(f"{file.relative_to(path).as_posix()} {file_sha256(file)} ".encode())
    return total.hexdigest()
