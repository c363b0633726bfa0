"""Detections in nuScenes' submission format, all logs in one JSON file.

    {"meta": {...}, "results": {SAMPLE_TOKEN: [{"translation", "size" [w, l, h], "rotation" [w, x, y, z], "velocity",
                                                "detection_name", "detection_score"}]}}

Boxes are in the global frame; a sample is found by `frames.source_frame`. A velocity of NaN is unknown.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int
from scipy.spatial.transform import Rotation

from drive_vqa.errors import CalibrationError, LogFormatError
from drive_vqa.geometry import angle_rad
from drive_vqa.schema import pose_from_struct
from sensors.detection_files.boxes import DetectedBoxes, empty_detections
from sensors.detection_files.json_file import AGAIN, names, numbers, scalars

CATEGORY_OF_NAME = {
    name: name
    for name in (
        "car",
        "truck",
        "bus",
        "trailer",
        "construction_vehicle",
        "pedestrian",
        "motorcycle",
        "bicycle",
        "traffic_cone",
        "barrier",
    )
}
"""nuScenes' ten detection classes have the names of our categories."""


def is_nuscenes_json(content: Any) -> bool:
    """Whether a JSON file is of this format."""
    return (
        isinstance(content, dict) and isinstance(content.get("meta"), dict) and isinstance(content.get("results"), dict)
    )


def read_nuscenes_json(content: dict[str, Any], path: Path, log_id: str, frames: pa.Table) -> pa.Table:
    """Detections of the samples of one log.

    Raises:
        LogFormatError: a box holds a wrong value, or the log has no ego pose where there are boxes.
    """
    boxes: list[Any] = []
    frame: list[int] = []
    for row in frames.select(["frame", "source_frame"]).to_pylist():
        found = content["results"].get(row["source_frame"], [])
        if not isinstance(found, list):
            raise LogFormatError(f"{path}: sample {row['source_frame']} is not a list of boxes: {AGAIN}")
        boxes += found
        frame += [row["frame"]] * len(found)
    if not boxes:
        return empty_detections()
    detected = _boxes(boxes, np.array(frame, dtype=np.int64), frames, f"{path}, log {log_id}")
    return detected.to_table(log_id, frames, CATEGORY_OF_NAME)


def _boxes(boxes: list[Any], frame: Int[np.ndarray, "n"], frames: pa.Table, where: str) -> DetectedBoxes:
    size_wlh_m = np.array(numbers(boxes, "size", 3, where), dtype=np.float64)
    centre_m = np.array(numbers(boxes, "translation", 3, where), dtype=np.float64)
    velocity_mps = np.array(numbers(boxes, "velocity", 2, where), dtype=np.float64)
    global_R_ego, global_origin_m = _ego_poses(frames, frame, where)
    forward = _forward(np.array(numbers(boxes, "rotation", 4, where), dtype=np.float64), where)
    heading = np.einsum("nji,nj->ni", global_R_ego, forward)
    velocity = np.einsum("nji,nj->ni", global_R_ego, np.column_stack([velocity_mps, np.zeros(len(velocity_mps))]))
    return DetectedBoxes(
        where=where,
        frame=frame,
        kind=np.array(names(boxes, "detection_name", where), dtype=object),
        score=np.array(scalars(boxes, "detection_score", where), dtype=np.float64),
        centre_m=np.einsum("nji,nj->ni", global_R_ego, centre_m - global_origin_m),
        size_lwh_m=size_wlh_m[:, [1, 0, 2]],
        yaw_rad=angle_rad(heading[:, 1], heading[:, 0]),
        velocity_mps=velocity[:, :2],
    )


def _forward(quaternion_wxyz: Float[np.ndarray, "n 4"], where: str) -> Float[np.ndarray, "n 3"]:
    """The x axis of each box in the global frame."""
    norm = np.linalg.norm(quaternion_wxyz, axis=1)
    usable = (norm > 1e-6) & np.isfinite(norm)
    if not usable.all():
        raise LogFormatError(f"{where}, box {int(np.argmin(usable))} has a rotation that is 0 or not finite: {AGAIN}")
    return np.asarray(Rotation.from_quat(quaternion_wxyz[:, [1, 2, 3, 0]]).apply([1.0, 0.0, 0.0]))


def _ego_poses(
    frames: pa.Table, frame: Int[np.ndarray, "n"], where: str
) -> tuple[Float[np.ndarray, "n 3 3"], Float[np.ndarray, "n 3"]]:
    """Rotation and origin of the ego at each box's frame."""
    structs = dict(zip(frames["frame"].to_pylist(), frames["global_SE3_ego"].to_pylist(), strict=True))
    wanted, index = np.unique(frame, return_inverse=True)
    if any(structs[number] is None for number in wanted.tolist()):
        raise LogFormatError(f"{where} has no ego pose in a frame with boxes of the global frame: ingest the log again")
    try:
        poses = [pose_from_struct(structs[number]) for number in wanted.tolist()]
    except CalibrationError as error:
        raise LogFormatError(f"{where}: {error}: ingest the log again") from error
    rotation, origin_m = np.stack([pose.rotation for pose in poses]), np.stack([pose.translation_m for pose in poses])
    return rotation[index], origin_m[index]
