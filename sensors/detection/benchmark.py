"""Recall, precision, centre error and time of lidar detection against labels.

    python -m sensors.detection.benchmark KITTI_ROOT [--sequence 0000] [--frames 0-31]
    python -m sensors.detection.benchmark --store STORE [--log LOG]

Matching: centres within 2 m on the ground plane (see `accuracy.py`); 3D overlap of the matched boxes is printed beside it.
Cars within 30 m of the lidar. KITTI labels only what its left colour camera sees: boxes with their centre outside that image
are left out on both sides. Its vans are cars, as in `sensors.readers.kitti` (and in the recorded sequence 0000 every vehicle of
frames 0 to 31 is a van). A label with fewer than 5 returns is asked of nobody. Of a store, labels are those of the frame; all
directions count.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float

from drive_vqa.errors import ConfigError
from drive_vqa.schema import pose_from_struct
from drive_vqa.store import Store
from sensors.detection.accuracy import BoxSet, Matches, centre_error, join, match_frame
from sensors.detection.detect import lidar_origin
from sensors.detection.lidar import LidarBoxes, LidarConfig, detect_lidar
from sensors.detection.sweeps import load_sweep

RANGE_M = 30.0
MIN_POINTS = 5
KITTI_CAMERA = "image_02"
KITTI_SIZE_PX = (1242, 375)
CLASSES = {"car": ("car",), "vehicle": ("car", "truck", "bus"), "pedestrian": ("pedestrian",), "bicycle": ("bicycle",)}
SURE_SCORE = 0.4
"""Where one figure is wanted; a tracker does better to start tracks here and to go on with what scores less."""
SCORES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)


@dataclass(frozen=True, eq=False)
class Sweep:
    """One sweep with what is labelled in it."""

    frame: int
    boxes: LidarBoxes
    labels: list[dict[str, Any]]
    sensor_xy_m: Float[np.ndarray, "2"]
    camera: dict[str, Any] | None
    seconds: float
    cpu_seconds: float


def main() -> None:
    """Print the tables."""
    arguments = _arguments()
    if arguments.store:
        store = Store.open(arguments.store)
        log_id = arguments.log or store.log_ids()[0]
        logs, sensor_data, annotations = (store.read(name, log_id) for name in ("logs", "sensor_data", "annotations"))
        sweeps = detect_sweeps(logs, sensor_data, annotations, store.source_root(log_id), None, arguments.frames)
        print(f"log {log_id}, all directions")
    else:
        sweeps = _kitti_sweeps(arguments.source, arguments.sequence, arguments.frames)
        print(f"KITTI tracking {arguments.sequence}, in view of {KITTI_CAMERA}")
    report(sweeps)


def _kitti_sweeps(root: Path, sequence: str, frames: tuple[int, int]) -> list[Sweep]:
    """Detect in the sweeps of one sequence of KITTI tracking."""
    from sensors.readers import kitti

    handles = [handle for handle in kitti.list_logs(root) if handle.log_id == f"kitti-{sequence}"]
    if not handles:
        raise ConfigError(f"{root} has no sequence {sequence}: give --sequence NNNN of one that is there")
    log = kitti.read_log(handles[0])
    return detect_sweeps(log.logs, log.sensor_data, log.annotations, handles[0].root, KITTI_CAMERA, frames)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, nargs="?", help="folder of KITTI tracking")
    parser.add_argument("--sequence", default="0000")
    parser.add_argument("--frames", type=_frames, default=None, help="FIRST-LAST; KITTI: 0-31")
    parser.add_argument("--store", type=Path, help="a store with lidar and annotations instead")
    parser.add_argument("--log", help="log of the store; default: the first")
    arguments = parser.parse_args()
    if (arguments.source is None) == (arguments.store is None):
        parser.error("give KITTI_ROOT or --store STORE")
    if arguments.frames is None and arguments.store is None:
        arguments.frames = (0, 31)
    return arguments


def _frames(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    return int(first), int(last or first)


def detect_sweeps(
    logs: pa.Table,
    sensor_data: pa.Table,
    annotations: pa.Table,
    root: Path,
    camera: str | None,
    frames: tuple[int, int] | None,
) -> list[Sweep]:
    """Run the detector on every sweep of a log that is at hand."""
    source_format = logs["source_format"][0].as_py()
    captures = sensor_data.to_pylist()
    labels: dict[int, list[dict[str, Any]]] = {}
    for row in annotations.to_pylist():
        labels.setdefault(row["frame"], []).append(row)
    cameras = {row["frame"]: row for row in captures if row["sensor"] == camera}
    first, last = frames or (0, 10**9)
    sweeps = []
    for row in captures:
        if row["modality"] != "lidar" or row["path"] is None or not first <= row["frame"] <= last:
            continue
        ego_SE3_sensor = pose_from_struct(row["ego_SE3_sensor"])
        global_SE3_ego = None if row["global_SE3_ego"] is None else pose_from_struct(row["global_SE3_ego"])
        points_m = load_sweep(source_format, root / row["path"], ego_SE3_sensor, global_SE3_ego)
        origin_m = lidar_origin(row, captures)
        start_s, start_cpu_s = time.perf_counter(), time.process_time()
        boxes = detect_lidar(points_m, origin_m, LidarConfig())
        seconds, cpu_seconds = time.perf_counter() - start_s, time.process_time() - start_cpu_s
        of_frame = labels.get(row["frame"], [])
        sweeps.append(
            Sweep(row["frame"], boxes, of_frame, origin_m[:2], cameras.get(row["frame"]), seconds, cpu_seconds)
        )
    return sweeps


def report(sweeps: list[Sweep]) -> None:
    """Print one table a class."""
    wall_ms, cpu_ms = 1e3 * np.median([(sweep.seconds, sweep.cpu_seconds) for sweep in sweeps], axis=0)
    print(f"{len(sweeps)} sweeps, {wall_ms:.0f} ms a sweep, {cpu_ms:.0f} ms of a core (medians)")
    for name, categories in CLASSES.items():
        matches = join(
            [match_frame(frame_detections(sweep, categories), frame_labels(sweep, categories)) for sweep in sweeps]
        )
        print(f"\n{name}: {len(matches.labels)} labels within {RANGE_M:.0f} m")
        if len(matches.labels):
            _print_table(matches)


def _print_table(matches: Matches) -> None:
    from sensors.quality.rotated_iou import upright_iou

    recall, precision, _ = matches.at(SURE_SCORE)
    print(f"recall {recall:.3f} at precision {precision:.3f} (score from {SURE_SCORE} on)")
    print("score  recall  precision  detections | centre error m: median  mean   away   left  height | yaw° | IoU>0.25")
    for score in SCORES:
        recall, precision, count = matches.at(score)
        found, labels = matches.pairs(score)
        error = centre_error(found, labels)
        overlap = (upright_iou(found, labels) > 0.25).mean() if len(found) else 0.0
        print(
            f"{score:5.1f}  {recall:6.3f}  {precision:9.3f}  {count:10d} |"
            f"          {error.median_m:12.2f} {error.mean_m:5.2f} {error.away_m:+6.2f} {error.left_m:+6.2f}"
            f"  {error.height_m:+6.2f} | {error.yaw_deg:4.1f} | {overlap:.2f}"
        )


def frame_detections(sweep: Sweep, categories: tuple[str, ...]) -> BoxSet:
    """Detected boxes of some categories; those out of range or view do not count."""
    wanted = np.array([category in categories for category in sweep.boxes.category], dtype=bool)
    boxes = sweep.boxes
    rows = np.column_stack([boxes.centre_m, boxes.size_lwh_m, boxes.yaw_rad])[wanted]
    return BoxSet(rows, boxes.score[wanted], _in_range(rows, sweep) & _in_view(rows, sweep))


def frame_labels(sweep: Sweep, categories: tuple[str, ...]) -> BoxSet:
    """Labelled boxes of some categories; those out of range or view or with few returns do not count."""
    rows, points = [], []
    for label in sweep.labels:
        if label["category"] in categories:
            pose = pose_from_struct(label["ego_SE3_box"])
            size = (label["length_m"], label["width_m"], label["height_m"])
            rows.append([*pose.translation_m, *size, pose.yaw_rad])
            points.append(MIN_POINTS if label["lidar_points"] is None else label["lidar_points"])
    boxes = np.array(rows, dtype=np.float64).reshape(-1, 7)
    counted = (np.array(points) >= MIN_POINTS) & _in_range(boxes, sweep) & _in_view(boxes, sweep)
    return BoxSet(boxes, np.zeros(len(boxes)), counted)


def _in_range(boxes: Float[np.ndarray, "n 7"], sweep: Sweep) -> Bool[np.ndarray, "n"]:
    return np.asarray(np.linalg.norm(boxes[:, :2] - sweep.sensor_xy_m, axis=1) <= RANGE_M)


def _in_view(boxes: Float[np.ndarray, "n 7"], sweep: Sweep) -> Bool[np.ndarray, "n"]:
    """Whether the centre is in the image; all where no camera is asked for."""
    if sweep.camera is None:
        return np.ones(len(boxes), dtype=bool)
    cam_m = pose_from_struct(sweep.camera["ego_SE3_sensor"]).inverse() @ boxes[:, :3]
    image = cam_m @ np.array(sweep.camera["intrinsics"]).reshape(3, 3).T
    width, height = KITTI_SIZE_PX
    u, v = image[:, 0], image[:, 1]
    depth_m = image[:, 2]
    inside = (u >= 0) & (u <= width * depth_m) & (v >= 0) & (v <= height * depth_m)
    return np.asarray(inside & (depth_m > 0.5))


if __name__ == "__main__":
    main()
