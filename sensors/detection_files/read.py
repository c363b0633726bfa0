"""Boxes of an outside 3D detector → the table `detections` of a log, whatever the format.

| PATH is | format |
|---|---|
| a folder with `NNNN.txt`, or of such folders | KITTI style |
| a JSON file with `results` by sample token | nuScenes submission, global frame |
| a JSON file with `scene` and `results` by keyframe | ego frame, one scene |
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from drive_vqa.errors import LogFormatError
from sensors.detection_files.ego_json import is_ego_json, read_ego_json
from sensors.detection_files.json_file import read_json
from sensors.detection_files.kitti_folder import is_kitti_folder, read_kitti_folder
from sensors.detection_files.nuscenes_json import is_nuscenes_json, read_nuscenes_json


def read_detections(path: Path, log_id: str, frames: pa.Table, sensor_data: pa.Table) -> pa.Table:
    """The 3D boxes that a file or folder holds for one log.

    Args:
        path: of the detections, see above.
        log_id: the log's name.
        frames: its table `frames`.
        sensor_data: its table `sensor_data`, for the calibration.

    Returns:
        Rows of the table `detections`, sorted by frame, in file order within it; none where there is nothing for this log.

    Raises:
        LogFormatError: the path is missing, of no known format, or holds a wrong value.
    """
    if path.is_dir():
        if not is_kitti_folder(path):
            raise LogFormatError(f"{path} has no NNNN.txt and no folder with such: give a KITTI folder or a JSON file")
        return read_kitti_folder(path, log_id, frames, sensor_data)
    content = read_json(path)
    if is_ego_json(content):
        return read_ego_json(content, path, log_id, frames)
    if is_nuscenes_json(content):
        return read_nuscenes_json(content, path, log_id, frames)
    raise LogFormatError(
        f"{path} is neither a nuScenes submission (meta, results by sample token) nor an ego-frame file (scene, results by "
        "keyframe): give one of them, or a KITTI folder"
    )
