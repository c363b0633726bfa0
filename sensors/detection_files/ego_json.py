"""Detections of one scene in the ego frame, as JSON by keyframe.

    {"scene": LOG_ID, "results": {"0": [{"translation_ego", "size" [w, l, h], "yaw_ego", "detection_name", "detection_score"}]}}

Keyframe k is 0.5 s after k - 1. A log at 2 Hz has keyframe k as its frame k (its steps are not exactly 0.5 s, and would run away
from the grid); in any other log it is the frame nearest to k · 0.5 s after the first, at most 60 ms off.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Int

from drive_vqa.errors import LogFormatError
from sensors.detection_files.boxes import DetectedBoxes, empty_detections, unknown_frame
from sensors.detection_files.json_file import AGAIN, names, numbers, scalars
from sensors.detection_files.nuscenes_json import CATEGORY_OF_NAME

KEYFRAME_S = 0.5
KEYFRAME_STEP_S = (0.4, 0.6)
"""Median step of a log whose frames are the keyframes."""
REACH_S = 0.06
MAX_KEYFRAMES = 100_000


def is_ego_json(content: Any) -> bool:
    """Whether a JSON file is of this format."""
    return (
        isinstance(content, dict) and isinstance(content.get("scene"), str) and isinstance(content.get("results"), dict)
    )


def read_ego_json(content: dict[str, Any], path: Path, log_id: str, frames: pa.Table) -> pa.Table:
    """Detections of the log that is named as the file's scene.

    Raises:
        LogFormatError: a keyframe has no frame in the log, or a box holds a wrong value.
    """
    if content["scene"] != log_id:
        return empty_detections()
    keyframes = _keyframes(content["results"], path)
    frame_of = _frames_of(sorted(keyframes), frames, path, log_id)
    boxes: list[Any] = []
    frame: list[int] = []
    for keyframe in sorted(keyframes):
        boxes += keyframes[keyframe]
        frame += [frame_of[keyframe]] * len(keyframes[keyframe])
    where = str(path)
    size_wlh_m = np.array(numbers(boxes, "size", 3, where), dtype=np.float64).reshape(-1, 3)
    detected = DetectedBoxes(
        where=where,
        frame=np.array(frame, dtype=np.int64),
        kind=np.array(names(boxes, "detection_name", where), dtype=object),
        score=np.array(scalars(boxes, "detection_score", where), dtype=np.float64),
        centre_m=np.array(numbers(boxes, "translation_ego", 3, where), dtype=np.float64).reshape(-1, 3),
        size_lwh_m=size_wlh_m[:, [1, 0, 2]],
        yaw_rad=np.array(scalars(boxes, "yaw_ego", where), dtype=np.float64),
        velocity_mps=np.full((len(boxes), 2), np.nan),
    )
    return detected.to_table(log_id, frames, CATEGORY_OF_NAME)


def _keyframes(results: dict[str, Any], path: Path) -> dict[int, list[Any]]:
    keyframes: dict[int, list[Any]] = {}
    for key, boxes in results.items():
        if not (key.isascii() and key.isdigit() and len(key) < 7 and int(key) < MAX_KEYFRAMES):
            raise LogFormatError(f"{path}: {key!r:.40} is not the number of a keyframe: {AGAIN}")
        if int(key) in keyframes or not isinstance(boxes, list):
            raise LogFormatError(f"{path}: keyframe {key} stands twice or is not a list of boxes: {AGAIN}")
        keyframes[int(key)] = boxes
    return keyframes


def _frames_of(keyframes: list[int], frames: pa.Table, path: Path, log_id: str) -> dict[int, int]:
    """The log's frame of each keyframe."""
    order = np.argsort(frames["timestamp_ns"].to_numpy(), kind="stable")
    frame, times_ns = frames["frame"].to_numpy()[order], frames["timestamp_ns"].to_numpy()[order]
    if not len(frame):
        raise LogFormatError(f"{path}: log {log_id} has no frames: ingest it again")
    found = {keyframe: _place(keyframe, times_ns) for keyframe in keyframes}
    for keyframe, place in found.items():
        if place is None:
            raise unknown_frame(f"{path}, keyframe {keyframe}", f"{keyframe * KEYFRAME_S:g} s after the first", log_id)
    return {keyframe: int(frame[place]) for keyframe, place in found.items() if place is not None}


def _place(keyframe: int, times_ns: Int[np.ndarray, "n"]) -> int | None:
    step_s = float(np.median(np.diff(times_ns))) * 1e-9 if len(times_ns) > 1 else 0.0
    if KEYFRAME_STEP_S[0] < step_s < KEYFRAME_STEP_S[1]:
        return keyframe if keyframe < len(times_ns) else None
    off_s = np.abs((times_ns - times_ns[0]) * 1e-9 - keyframe * KEYFRAME_S)
    place = int(np.argmin(off_s))
    return place if off_s[place] <= REACH_S else None
