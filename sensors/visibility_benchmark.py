"""How right the visible fractions are, by boxes alone and with lidar: `python -m sensors.visibility_benchmark STORE_OR_DRIVES`.

The synthetic world knows which share of an object's pixels each image shows (its table `synth_object_ann`). An annotated object
that is not listed for an image shows nothing there. The truth is a share of the pixels inside the image, so ours is divided by
the part of the box that lies inside; boxes mostly outside or smaller than `LEAST_PX` are left out.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from drive_vqa.errors import LogFormatError
from drive_vqa.schema import pose_from_struct
from drive_vqa.store import Store
from sensors.camera import OrientedBoxes, PinholeCamera, image_boxes, may_be_in_view
from sensors.fuse import fuse
from sensors.ingest import ingest
from sensors.lidar_occlusion import LidarReturns
from sensors.view.log_view import BOX_COLUMNS, LogView, Row
from sensors.visibility import visible_fractions

LEAST_PX = 4.0
LEAST_INSIDE = 0.5
TRUTH_TABLE = "synth_object_ann.json"


@dataclass(frozen=True, eq=False)
class Comparison:
    """Visible fractions of boxes in images.

    Attributes:
        truth: by the renderer.
        by_boxes, with_lidar: ours.
        boxes_s, lidar_s: processor time for an image.
    """

    truth: Float[np.ndarray, "n"]
    by_boxes: Float[np.ndarray, "n"]
    with_lidar: Float[np.ndarray, "n"]
    boxes_s: float
    lidar_s: float


def compare(store: Store, log_id: str) -> Comparison:
    """Both estimates beside the truth, for every box in every image of one log.

    Raises:
        LogFormatError: the log's source does not know the truth.
    """
    view, lidar, shares = LogView.read(store, log_id), LidarReturns(store, log_id), _true_shares(store, log_id)
    parts, boxes_s, lidar_s = [], [], []
    for capture in (row for rows in view.captures.values() for row in rows if row["modality"] == "camera"):
        rows = view.tracks.get(capture["frame"], [])
        camera, boxes = PinholeCamera.from_row(capture), _cam_boxes(view, capture, rows)
        near = may_be_in_view(camera, boxes)
        boxes, rows = boxes.take(near), [row for row, keep in zip(rows, near, strict=True) if keep]
        boxes_px = image_boxes(camera, boxes)
        start_s = time.process_time()
        by_boxes = visible_fractions(camera, boxes, boxes_px)
        middle_s = time.process_time()
        with_lidar = visible_fractions(camera, boxes, boxes_px, lidar.in_camera(capture))
        boxes_s.append(middle_s - start_s)
        lidar_s.append(time.process_time() - middle_s)
        inside = visible_fractions(camera, boxes, np.full_like(boxes_px, np.nan))  # nobody can hide anybody
        of_image = shares[capture["path"]]
        truth = np.array([of_image.get(row["track_id"], 0.0) for row in rows])
        keep = (boxes_px[:, 2:] - boxes_px[:, :2] >= LEAST_PX).all(axis=1) & (inside >= LEAST_INSIDE)
        parts.append(
            np.stack([truth, by_boxes / np.maximum(inside, 1e-9), with_lidar / np.maximum(inside, 1e-9)])[:, keep]
        )
    truth, by_boxes, with_lidar = np.concatenate([np.empty((3, 0)), *parts], axis=1)
    return Comparison(truth, by_boxes, with_lidar, float(np.mean(boxes_s)), float(np.mean(lidar_s)))


def _cam_boxes(view: LogView, capture: Row, rows: list[Row]) -> OrientedBoxes:
    """Boxes of tracks in the frame of a camera at its own time."""
    columns = np.array([[row[name] for name in BOX_COLUMNS] for row in rows], dtype=np.float64).reshape(-1, 7)
    cos, sin, zero, one = np.cos(columns[:, 6]), np.sin(columns[:, 6]), np.zeros(len(rows)), np.ones(len(rows))
    rotation = np.stack([cos, -sin, zero, sin, cos, zero, zero, zero, one], axis=1).reshape(-1, 3, 3)
    ego_SE3_cam = pose_from_struct(capture["ego_SE3_sensor"])
    if view.global_SE3_ego is not None:
        now = view.global_SE3_ego[capture["frame"]]
        ego_SE3_cam = now.inverse() @ pose_from_struct(capture["global_SE3_ego"]) @ ego_SE3_cam
    return OrientedBoxes(columns[:, :3], rotation, 0.5 * columns[:, 3:6]).moved(ego_SE3_cam.inverse())


def _true_shares(store: Store, log_id: str) -> Mapping[str, Mapping[str, float]]:
    """Visible share by image file and track."""
    tables = sorted(store.source_root(log_id).glob(f"*/{TRUTH_TABLE}"))
    if not tables:
        raise LogFormatError(
            f"{store.source_root(log_id)} has no {TRUTH_TABLE}: the truth is known for `drive-vqa synth` drives only"
        )
    captures = json.loads((tables[0].parent / "sample_data.json").read_text(encoding="utf-8"))
    of_image: dict[str, dict[str, float]] = {row["filename"]: {} for row in captures}
    path = {row["token"]: row["filename"] for row in captures}
    for row in json.loads(tables[0].read_text(encoding="utf-8")):
        of_image[path[row["sample_data_token"]]][row["instance_token"]] = row["visible_fraction"]
    return of_image


def report(parts: list[Comparison]) -> Iterator[str]:
    """Lines of the table."""
    truth, by_boxes, with_lidar = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("truth", "by_boxes", "with_lidar")
    )
    yield f"{len(truth)} boxes in images; mean absolute error of the visible fraction (its mean error)"
    yield f"{'true share':<18}{'boxes':>7}{'boxes only':>20}{'boxes and lidar':>20}"
    bands = (("all", 0.0, 1.0), ("below 0.05", 0.0, 0.05), ("0.05 to 0.95", 0.05, 0.95), ("above 0.95", 0.95, 1.0))
    for name, low, high in bands:
        within = (truth >= low) & ((truth < high) | (high == 1.0))
        if within.any():
            errors = [estimate[within] - truth[within] for estimate in (by_boxes, with_lidar)]
            cells = "".join(f"{np.abs(error).mean():>11.3f} ({error.mean():+.3f})" for error in errors)
            yield f"{name:<18}{within.sum():>7}{cells}"
    times_ms = [1e3 * float(np.mean([getattr(part, name) for part in parts])) for name in ("boxes_s", "lidar_s")]
    yield f"processor time an image: {times_ms[0]:.1f} ms by boxes, {times_ms[1]:.1f} ms with lidar and its reading"


def main(arguments: list[str]) -> int:
    """Print the table for a store with tracks, or a folder of synthetic drives."""
    parser = argparse.ArgumentParser(prog="python -m sensors.visibility_benchmark", description=__doc__)
    parser.add_argument("place", type=Path, metavar="STORE_OR_DRIVES")
    place = parser.parse_args(arguments).place
    with tempfile.TemporaryDirectory() as folder:
        if not (place / "logs").is_dir():
            store_root = Path(folder) / "store"
            ingest(place, "nuscenes", store_root)
            fuse(Store.open(store_root))
            place = store_root
        store = Store.open(place)
        for line in report([compare(store, log_id) for log_id in store.log_ids("tracks")]):
            sys.stdout.write(f"{line}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
