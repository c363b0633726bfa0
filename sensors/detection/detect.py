"""All raw measurements of one log as the table `detections`.

Every capture is looked at by itself, in its own frame and at its own time: a lidar box is in the ego frame at the time of its
sweep, a radar cluster in the frame of its radar, a 2D box in the image of its camera. Each row carries the capture's time
stamp, and `sensor_data` has the ego's pose at that time, so that a tracker can bring them together without a guess at the
ego's motion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from drive_vqa.categories import CATEGORIES
from drive_vqa.config import strict_config
from drive_vqa.errors import ConfigError, LogFormatError
from drive_vqa.geometry import SE3
from drive_vqa.schema import pose_from_struct, table_from_rows
from drive_vqa.store import Store
from sensors.detection.camera_file import EDGES, CameraBox, read_camera_boxes
from sensors.detection.lidar import LidarConfig, detect_lidar
from sensors.detection.radar import RadarConfig, detect_radar
from sensors.detection.sweeps import load_radar, load_sweep

MODALITIES = ("lidar", "camera", "radar")


@strict_config
@dataclass(frozen=True)
class DetectionConfig:
    """What to detect, and how.

    Attributes:
        modalities: which sensors are used: some of lidar, camera, radar.
        camera_boxes: file of 2D boxes (see `camera_file.py`); empty: there is none.
        camera_model: YAML of an ONNX detector (see `camera_onnx.py`) that is run on every image; empty: none.
        lidar: settings of the boxes from sweeps.
        radar: settings of the clusters from radar returns.

    Raises:
        ConfigError: an unknown modality, or two sources of 2D boxes.
    """

    modalities: tuple[str, ...] = MODALITIES
    camera_boxes: str = ""
    camera_model: str = ""
    lidar: LidarConfig = field(default_factory=LidarConfig)
    radar: RadarConfig = field(default_factory=RadarConfig)

    def __post_init__(self) -> None:
        unknown = sorted(set(self.modalities) - set(MODALITIES))
        if unknown or not self.modalities:
            raise ConfigError(f"modalities must be some of {', '.join(MODALITIES)}, got {', '.join(unknown) or 'none'}")
        if self.camera_boxes and self.camera_model:
            raise ConfigError("give camera_boxes or camera_model, not both")

    def files(self) -> tuple[str, ...]:
        """Files beside the log's own that detections are made from."""
        return tuple(name for name in (self.camera_boxes, self.camera_model) if name)


def detect_log(store: Store, log_id: str, settings: DetectionConfig) -> pa.Table:
    """Measurements of one log, in the order of frames and sensors.

    Args:
        store: with `logs` and `sensor_data` of the log, whose files are at hand.
        log_id: which log.
        settings: what to detect.

    Returns:
        Table `detections`. A capture without a file gives no rows.

    Raises:
        LogFormatError: a point file or a record of the camera boxes is wrong.
        StoreError: a table or a file is missing.
    """
    source_format = store.read("logs", log_id)["source_format"][0].as_py()
    captures = store.read("sensor_data", log_id).to_pylist()
    captures.sort(key=lambda capture: (capture["frame"], capture["sensor"]))
    boxes = _camera_boxes(captures, log_id, settings)
    rows: list[dict[str, Any]] = []
    for capture in captures:
        if capture["modality"] not in settings.modalities:
            continue
        if capture["modality"] == "camera":
            rows += _camera_rows(capture, boxes, store, settings)
        elif capture["path"] is not None:
            path = store.media_path(log_id, capture["path"])
            rows += _point_rows(capture, path, source_format, settings, lidar_origin(capture, captures))
    return table_from_rows("detections", rows)


def _point_rows(
    capture: Mapping[str, Any],
    path: Path,
    source_format: str,
    settings: DetectionConfig,
    origin_m: Float[np.ndarray, "3"],
) -> list[dict[str, Any]]:
    if capture["modality"] == "lidar":
        return _lidar_rows(capture, path, source_format, settings.lidar, origin_m)
    return _radar_rows(capture, path, source_format, settings.radar)


def lidar_origin(capture: Mapping[str, Any], captures: Sequence[Mapping[str, Any]]) -> Float[np.ndarray, "3"]:
    """Where a sweep was seen from, ego frame.

    Where its points come from several lidars, and its own mounting is the ego's origin (Argoverse 2), the middle of the frame's
    other lidars.
    """
    own_m = pose_from_struct(capture["ego_SE3_sensor"]).translation_m
    if capture["modality"] != "lidar" or own_m.any():
        return own_m
    others = [
        pose_from_struct(other["ego_SE3_sensor"]).translation_m
        for other in captures
        if (other["frame"], other["modality"]) == (capture["frame"], "lidar") and other["sensor"] != capture["sensor"]
    ]
    return np.asarray(np.mean(others, axis=0)) if others else own_m


def _of(capture: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """The columns that every row of a capture has."""
    return {name: capture[name] for name in ("log_id", "frame", "timestamp_ns", "sensor")} | {"kind": kind}


def _pose(struct: Mapping[str, float] | None) -> SE3 | None:
    return None if struct is None else pose_from_struct(struct)


def _lidar_rows(
    capture: Mapping[str, Any], path: Path, source_format: str, config: LidarConfig, origin_m: Float[np.ndarray, "3"]
) -> list[dict[str, Any]]:
    ego_SE3_sensor = pose_from_struct(capture["ego_SE3_sensor"])
    points_m = load_sweep(source_format, path, ego_SE3_sensor, _pose(capture["global_SE3_ego"]))
    boxes = detect_lidar(points_m, origin_m, config)
    numbers = np.column_stack([boxes.centre_m, boxes.size_lwh_m, boxes.yaw_rad, boxes.score]).tolist()
    names = ("x_m", "y_m", "z_m", "length_m", "width_m", "height_m", "yaw_rad", "score")
    return [
        _of(capture, "box_3d")
        | dict(zip(names, row, strict=True))
        | {"category": category, "source_category": category, "lidar_points": points}
        for row, category, points in zip(numbers, boxes.category, boxes.points.tolist(), strict=True)
    ]


def _radar_rows(
    capture: Mapping[str, Any], path: Path, source_format: str, config: RadarConfig
) -> list[dict[str, Any]]:
    echoes = load_radar(source_format, path)
    found = detect_radar(echoes.xy_m, echoes.compensated_mps, echoes.dyn_prop, echoes.rcs_dbsm, config)
    numbers = np.column_stack([found.range_m, found.azimuth_rad, found.range_rate_mps]).tolist()
    names = ("range_m", "azimuth_rad", "range_rate_mps")
    return [
        _of(capture, "radar")
        | dict(zip(names, row, strict=True))
        | {"source_category": "moving" if moving else "standing"}
        for row, moving in zip(numbers, found.moving.tolist(), strict=True)
    ]


def _camera_boxes(
    captures: list[dict[str, Any]], log_id: str, settings: DetectionConfig
) -> dict[tuple[int, str], list[CameraBox]]:
    """Boxes of the file by frame and camera."""
    if not settings.camera_boxes or "camera" not in settings.modalities:
        return {}
    known = {(row["frame"], row["sensor"]) for row in captures if row["modality"] == "camera"}
    grouped: dict[tuple[int, str], list[CameraBox]] = {}
    for box in read_camera_boxes(Path(settings.camera_boxes), log_id):
        if (box.frame, box.camera) not in known:
            raise LogFormatError(
                f"{settings.camera_boxes}: log {log_id} has no image of {box.camera!r} in frame {box.frame}: mend that box"
            )
        grouped.setdefault((box.frame, box.camera), []).append(box)
    return grouped


def _camera_rows(
    capture: Mapping[str, Any],
    boxes: Mapping[tuple[int, str], list[CameraBox]],
    store: Store,
    settings: DetectionConfig,
) -> list[dict[str, Any]]:
    found = boxes.get((capture["frame"], capture["sensor"]), [])
    if settings.camera_model and capture["path"] is not None:
        from sensors.detection.camera_onnx import detect_image, load_model

        image = store.media_path(capture["log_id"], capture["path"])
        found = detect_image(load_model(Path(settings.camera_model)), image, capture["frame"], capture["sensor"])
    return [
        _of(capture, "box_2d")
        | {name: getattr(box, name) for name in EDGES}
        | {
            "category": box.category if box.category in CATEGORIES else None,
            "source_category": box.category,
            "score": box.score,
        }
        for box in found
    ]
