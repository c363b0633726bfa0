"""Tracks → nuScenes' tracking submission, one JSON file for a store.

    {"meta": {"use_camera", "use_lidar", ...}, "results": {SAMPLE_TOKEN: [{"sample_token", "translation", "size" [w, l, h],
     "rotation" [w, x, y, z], "velocity", "tracking_id", "tracking_name", "tracking_score"}]}}

Boxes are in the global frame. Every sample of every log is there, with or without boxes. The seven classes of the tracking task
are kept; an unknown velocity is NaN, as nuscenes-devkit writes it; the score of annotated tracks is 1. A sample with more than
500 boxes, which the task does not allow, keeps the surest. `meta` names the kinds of sensors that the store has files of: correct
it where a submission must say more.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from drive_vqa.errors import CalibrationError, StoreError
from drive_vqa.schema import pose_from_struct
from drive_vqa.store import Store, replacing

logger = logging.getLogger(__name__)

FILE = "tracking.json"
NAMES = ("bicycle", "bus", "car", "motorcycle", "pedestrian", "trailer", "truck")
"""Classes of the tracking task; they have the names of our categories."""
MAX_BOXES = 500
MODALITIES = ("camera", "lidar", "radar")
NUMBERS = ("x_m", "y_m", "z_m", "width_m", "length_m", "height_m", "yaw_rad")

Sample = tuple[str, list[dict[str, Any]]]


def export_nuscenes_tracking(store: Store, out: Path) -> Path:
    """Write the submission of every log of a store that was read from nuScenes and has tracks.

    Args:
        store: with `tracks`.
        out: folder, made where absent.

    Returns:
        The file.

    Raises:
        StoreError: there is no such log, or two logs have a sample in common.
        CalibrationError: a frame with tracks has no ego pose, or a track's box is not finite.
    """
    log_ids = [log_id for log_id in store.log_ids() if _has_samples(store, log_id)]
    ready = [log_id for log_id in log_ids if store.path("tracks", log_id).exists()]
    if not ready:
        raise StoreError(
            f"{store.root} has no tracks with sample tokens: ingest logs with --format nuscenes and fuse them"
        )
    if len(ready) < len(log_ids):
        logger.warning("not exported, without tracks: %s", ", ".join(sorted(set(log_ids) - set(ready))))
    out.mkdir(parents=True, exist_ok=True)
    path, seen = out / FILE, set[str]()
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(f'{{"meta": {json.dumps(_meta(store, ready))}, "results": {{')
        for log_id in ready:
            for token, boxes in _samples(store, log_id):
                if token in seen:
                    raise StoreError(f"log {log_id} has sample {token!r}, which was there before: ingest again")
                file.write(f"{',' if seen else ''}\n{json.dumps(token)}: {json.dumps(boxes)}")
                seen.add(token)
        file.write("\n}}\n")
    return path


def _has_samples(store: Store, log_id: str) -> bool:
    source_frame = store.read("frames", log_id, ["source_frame"])["source_frame"]
    return bool(source_frame.null_count < len(source_frame))


def _meta(store: Store, log_ids: list[str]) -> dict[str, bool]:
    used: set[str] = set()
    for log_id in log_ids:
        captures = store.read("sensor_data", log_id, ["modality", "path"])
        used |= set(captures.filter(pc.is_valid(captures["path"]))["modality"].to_pylist())
    return {**{f"use_{name}": name in used for name in MODALITIES}, "use_map": False, "use_external": False}


def _samples(store: Store, log_id: str) -> list[Sample]:
    """Each sample of a log with its boxes, in frame order."""
    tracks = store.read("tracks", log_id)
    tracks = tracks.filter(pc.is_in(tracks["category"], pa.array(NAMES)))
    boxes_of: dict[int, list[dict[str, Any]]] = {}
    for row in tracks.sort_by([("frame", "ascending"), ("track_id", "ascending")]).to_pylist():
        boxes_of.setdefault(row["frame"], []).append(row)
    samples: list[Sample] = []
    for frame in store.read("frames", log_id).sort_by("frame").to_pylist():
        if frame["source_frame"] is not None:
            rows = _surest(boxes_of.get(frame["frame"], []))
            samples.append((frame["source_frame"], _boxes(rows, frame, log_id)))
    return samples


def _surest(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The boxes with the greatest scores, in their old order; of equal ones the first."""
    places = sorted(range(len(rows)), key=lambda place: (-_score(rows[place]), place))[:MAX_BOXES]
    return [rows[place] for place in sorted(places)]


def _score(row: dict[str, Any]) -> float:
    return 1.0 if row["score"] is None else float(row["score"])


def _boxes(rows: list[dict[str, Any]], frame: dict[str, Any], log_id: str) -> list[dict[str, Any]]:
    """The boxes of one sample in the global frame."""
    if not rows:
        return []
    where = f"log {log_id}, frame {frame['frame']}"
    if frame["global_SE3_ego"] is None:
        raise CalibrationError(
            f"{where} has tracks but no ego pose, which the global frame needs: ingest the log again"
        )
    numbers = np.array([[row[name] for name in NUMBERS] for row in rows], dtype=np.float64)
    if not np.isfinite(numbers).all():
        raise CalibrationError(f"{where} has a track whose box is not finite: run `drive-vqa fuse` again")
    pose = pose_from_struct(frame["global_SE3_ego"])
    velocity = np.array([[row["vx_mps"], row["vy_mps"], 0.0] for row in rows], dtype=np.float64)
    centre_m, global_velocity = pose @ numbers[:, :3], pose.rotate(velocity)
    rotation = _rotations(pose.quaternion_wxyz, numbers[:, 6])
    return [
        {
            "sample_token": frame["source_frame"],
            "translation": centre_m[place].tolist(),
            "size": numbers[place, 3:6].tolist(),
            "rotation": rotation[place].tolist(),
            "velocity": global_velocity[place, :2].tolist(),
            "tracking_id": row["track_id"],
            "tracking_name": row["category"],
            "tracking_score": _score(row),
        }
        for place, row in enumerate(rows)
    ]


def _rotations(wxyz: np.ndarray, yaw_rad: np.ndarray) -> np.ndarray:
    """Quaternions `global_R_ego · turn by yaw`, w x y z."""
    w, x, y, z = wxyz
    cos, sin = np.cos(0.5 * yaw_rad), np.sin(0.5 * yaw_rad)
    return np.stack([w * cos - z * sin, x * cos + y * sin, y * cos - x * sin, z * cos + w * sin], axis=-1)
