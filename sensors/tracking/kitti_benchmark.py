"""Tracking of KITTI from a detector's boxes, scored and timed: `python -m sensors.tracking.kitti_benchmark KITTI_ROOT`.

The ego's GPS/IMU is not used. Scores (definitions of AB3DMOT's evaluation, 3D IoU 0.25) are over the sequences that have labels;
the time is that of the tracker (filter, smoother, selection, track table) on one core, all classes together and cars alone, for
tables in memory.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from drive_vqa.store import replacing
from sensors.detection_files.read import read_detections
from sensors.export.kitti_tracking import result_lines
from sensors.fuse import without_poses
from sensors.quality.kitti import score_folders, table
from sensors.readers.kitti import PREFIX, list_logs, read_log
from sensors.readers.kitti_calibration import rect_camera
from sensors.tracking.fused_tracks import tracks_from_detections
from sensors.tracking.settings import TrackerSettings

RUNS = 3


class Sequence(NamedTuple):
    """What the tracker needs of one sequence."""

    frames: pa.Table
    sensor_data: pa.Table
    detections: pa.Table


def main() -> None:
    """Print scores and frames a second."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("root", type=Path, help="folder with training/ and detections/")
    parser.add_argument("--detections", type=Path, help="default: ROOT/detections")
    parser.add_argument("--out", type=Path, help="keep the result files here")
    arguments = parser.parse_args()
    sequences = _read(arguments.root, arguments.detections or arguments.root / "detections")
    labels = arguments.root / "training" / "label_02"
    with tempfile.TemporaryDirectory() as temporary:
        out = arguments.out or Path(temporary)
        out.mkdir(parents=True, exist_ok=True)
        _write(sequences, out)
        print(f"{len(list(labels.glob('*.txt')))} labelled of {len(sequences)} sequences")
        print(table(score_folders(out, labels)))
    _print_time("all classes", sequences)
    _print_time("cars alone", {name: _only_cars(sequence) for name, sequence in sequences.items()})


def _read(root: Path, detections: Path) -> dict[str, Sequence]:
    sequences = {}
    for handle in list_logs(root):
        log = read_log(handle)
        boxes = read_detections(detections, handle.log_id, log.frames, log.sensor_data)
        sequences[handle.log_id.removeprefix(PREFIX)] = Sequence(without_poses(log.frames), log.sensor_data, boxes)
    return sequences


def _track(sequence: Sequence) -> pa.Table:
    return tracks_from_detections(sequence.detections, sequence.frames, sequence.sensor_data, TrackerSettings())


def _write(sequences: Mapping[str, Sequence], out: Path) -> None:
    for name, sequence in sequences.items():
        lines = result_lines(_track(sequence), rect_camera(sequence.sensor_data))
        with replacing(out / f"{name}.txt") as file:
            file.write_text("".join(f"{line}\n" for line in lines), encoding="ascii")


def _only_cars(sequence: Sequence) -> Sequence:
    boxes = sequence.detections
    return sequence._replace(detections=boxes.filter(pc.equal(boxes["category"], "car")))


def _print_time(name: str, sequences: Mapping[str, Sequence]) -> None:
    frames = sum(sequence.frames.num_rows for sequence in sequences.values())
    rates = []
    for _ in range(RUNS + 1):  # the first warms up
        started = time.process_time()
        for sequence in sequences.values():
            _track(sequence)
        rates.append(frames / (time.process_time() - started))
    print(
        f"{name:<12} {statistics.median(rates[1:]):.0f} frames/s (of {RUNS} runs: {min(rates[1:]):.0f} to {max(rates[1:]):.0f})"
    )


if __name__ == "__main__":
    main()
