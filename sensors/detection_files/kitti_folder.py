"""Detections in KITTI-style folders: one file a sequence, one folder a class or detector.

    PATH/NNNN.txt  or  PATH/*/NNNN.txt
    frame,type,x1,y1,x2,y2,score,h,w,l,x,y,z,rot_y,alpha

`type` is 1 pedestrian, 2 car, 3 cyclist. Boxes are in the rectified camera frame with their bottom centre, as KITTI's labels. The
2D box and `alpha` are not kept: both follow from the 3D box.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from drive_vqa.errors import LogFormatError
from drive_vqa.geometry import SE3
from sensors.detection_files.boxes import DetectedBoxes, empty_detections, unknown_frame
from sensors.readers.kitti import CATEGORY_OF_TYPE, PREFIX
from sensors.readers.kitti_boxes import centres_to_ego, yaws_to_ego
from sensors.readers.kitti_calibration import rect_mounting

COLUMNS = ("frame", "type", "x1", "y1", "x2", "y2", "score", "h", "w", "l", "x", "y", "z", "rot_y", "alpha")
USED = ("frame", "type", "score", "h", "w", "l", "x", "y", "z", "rot_y")
TYPES = {1: "Pedestrian", 2: "Car", 3: "Cyclist"}
MAX_BYTES = 256 << 20


def is_kitti_folder(path: Path) -> bool:
    """Whether a folder, or a folder in it, has files named after sequences."""
    return any(file.stem.isdigit() for file in (*path.glob("*.txt"), *path.glob("*/*.txt")))


def read_kitti_folder(path: Path, log_id: str, frames: pa.Table, sensor_data: pa.Table) -> pa.Table:
    """Detections of one log: those of `path` itself, else of every folder in it, in the order of their names.

    Raises:
        LogFormatError: a file is not readable, holds a wrong value or a frame that the log does not have, or the log has files
            here but was not read from KITTI.
    """
    name = f"{log_id.removeprefix(PREFIX)}.txt"
    found = (
        [path / name] if (path / name).is_file() else sorted(file for file in path.glob(f"*/{name}") if file.is_file())
    )
    if not log_id.startswith(PREFIX) or not found:
        return empty_detections()
    ego_SE3_rect = rect_mounting(sensor_data)
    if ego_SE3_rect is None:
        raise LogFormatError(f"{found[0]}: log {log_id} has no KITTI calibration: ingest it with --format kitti")
    parts = [_read_file(file) for file in found]
    for file, values in zip(found, parts, strict=True):
        _check_frames(file, values[:, 0], log_id, frames)
    where = str(found[0] if len(found) == 1 else path / "*" / name)
    return _boxes(np.concatenate(parts), ego_SE3_rect, where).to_table(log_id, frames, CATEGORY_OF_TYPE)


def _read_file(path: Path) -> Float[np.ndarray, "n c"]:
    """The columns `USED`."""
    from pyarrow import csv

    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise LogFormatError(f"{path} is larger than {MAX_BYTES >> 20} MiB: split it by sequence")
        if not size:
            return np.empty((0, len(USED)))
        table = csv.read_csv(
            path,
            csv.ReadOptions(column_names=list(COLUMNS), use_threads=False),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(COLUMNS, pa.float64()), include_columns=list(USED), null_values=[]
            ),
        )
    except (pa.ArrowException, OSError) as error:
        words = " ".join(str(error).split())[:160]
        raise LogFormatError(
            f"{path} must have {len(COLUMNS)} numbers a line ({words}): run the detector again"
        ) from error
    return np.stack([column.to_numpy() for column in table.columns], axis=-1)


def _check_frames(path: Path, values: Float[np.ndarray, "n"], log_id: str, frames: pa.Table) -> None:
    unknown = ~np.isin(values, frames["frame"].to_numpy())
    if unknown.any():
        line = int(np.argmax(unknown))
        raise unknown_frame(f"{path}, line {line + 1}", f"{values[line]:g}", log_id)


def _boxes(values: Float[np.ndarray, "n c"], ego_SE3_rect: SE3, where: str) -> DetectedBoxes:
    frame, kind, score, height_m, width_m, length_m, *bottom_m, rotation_y_rad = values.T
    kinds = np.full(len(values), None, dtype=object)
    for number, name in TYPES.items():
        kinds[kind == number] = name
    unknown = ~np.isin(kind, list(TYPES))
    if unknown.any():
        wrong = int(np.argmax(unknown))
        raise LogFormatError(
            f"{where}: box {wrong}, in frame {frame[wrong]:g}, has type {kind[wrong]:g}: it must be 1, 2 or 3"
        )
    with np.errstate(invalid="ignore"):  # a value that is not finite is named by DetectedBoxes
        centre_m = centres_to_ego(np.stack(bottom_m, axis=-1), height_m, ego_SE3_rect)
        yaw_rad = yaws_to_ego(rotation_y_rad, ego_SE3_rect)
    return DetectedBoxes(
        where=where,
        frame=frame.astype(np.int64),
        kind=kinds,
        score=score,
        centre_m=centre_m,
        size_lwh_m=np.stack([length_m, width_m, height_m], axis=-1),
        yaw_rad=yaw_rad,
        velocity_mps=np.full((len(values), 2), np.nan),
    )
