"""What each sensor and the smoother add: `python -m sensors.tracking.ablation STORE`.

STORE is an ingested data set with lidar and radar files and labels, such as one of `drive-vqa synth`. Lidar and radar are
detected from their files; 2D boxes are the truth made worse as a detector would (`sensors.detection.simulated_camera`), since no
image detector is shipped. The same detections are tracked with lidar alone, with cameras, with radars and with both, smoothed
and not.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from drive_vqa.store import Store
from sensors.annotated_tracks import tracks_from_annotations
from sensors.detection.camera_file import EDGES
from sensors.detection.detect import DetectionConfig, detect_log
from sensors.detection.simulated_camera import camera_boxes_from_truth
from sensors.quality.label_quality import LabelQuality, label_quality
from sensors.synth.tables import BOX_TABLE, VERSION
from sensors.tracking.fused_tracks import tracks_from_detections
from sensors.tracking.settings import TrackerSettings

KINDS = {
    "lidar": ("box_3d",),
    "lidar + radar": ("box_3d", "radar"),
    "lidar + camera": ("box_3d", "box_2d"),
    "lidar + camera + radar": ("box_3d", "box_2d", "radar"),
}
COLUMNS = {
    "AMOTA": "all.amota",
    "MOTA": "all.best.mota",
    "IDS": "all.best.id_switches",
    "IDS, all tracks": "all.delivered.id_switches",
    "recall": "all.delivered.recall",
    "position m": "all.error.position_m",
    "velocity m/s": "all.error.velocity_mps",
    "moving m/s": "all.error.velocity_moving_mps",
}
RANGE_M = 50.0


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("--seed", type=int, default=0, help="of the simulated camera detector")
    arguments = parser.parse_args()
    store = Store.open(arguments.store)
    truth = {log_id: _truth(store, log_id) for log_id in store.log_ids()}
    found = {log_id: _detect(store, log_id, truth[log_id], arguments.seed) for log_id in truth}
    print(
        f"{len(truth)} logs, {sum(table.num_rows for table in found.values())} measurements, within {RANGE_M:.0f} m of the ego"
    )
    print(f"{'':<34}" + "".join(f"{name:>17}" for name in COLUMNS))
    for smoothed in (True, False):
        for name, kinds in KINDS.items():
            quality = _judge(store, truth, found, kinds, TrackerSettings(smooth=smoothed))
            _print(f"{name}{'' if smoothed else ', no smoother'}", quality)


def _truth(store: Store, log_id: str) -> pa.Table:
    return tracks_from_annotations(*(store.read(table, log_id) for table in ("annotations", "frames", "sensor_data")))


def _detect(store: Store, log_id: str, truth: pa.Table, seed: int) -> pa.Table:
    boxes = camera_boxes_from_truth(_as_drawn(store, log_id, truth), store.read("sensor_data", log_id), seed)
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.write("\n".join(json.dumps(box) for box in boxes))
        file.flush()
        return detect_log(store, log_id, DetectionConfig(camera_boxes=file.name))


def _as_drawn(store: Store, log_id: str, truth: pa.Table) -> pa.Table:
    """The tracks with the image boxes of the synthetic world's own table: of what was drawn, at the time of each image.

    A label projected into an image is where the object was at the time of the label, some milliseconds earlier or later.
    """
    folder = store.source_root(log_id) / VERSION
    names = {row["token"]: row["filename"] for row in json.loads((folder / "sample_data.json").read_bytes())}
    captures = {row["path"]: (row["frame"], row["sensor"]) for row in store.read("sensor_data", log_id).to_pylist()}
    drawn: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for row in json.loads((folder / f"{BOX_TABLE}.json").read_bytes()):
        if (capture := captures.get(names[row["sample_data_token"]])) is not None:
            box = dict(zip(EDGES, map(float, row["bbox"]), strict=True))
            view = {"camera": capture[1], **box, "visible_fraction": row["visible_fraction"]}
            drawn.setdefault((capture[0], row["instance_token"]), []).append(view)
    rows = truth.to_pylist()
    views = [drawn.get((row["frame"], row["track_id"]), []) for row in rows]
    return truth.set_column(
        truth.schema.get_field_index("cameras"),
        truth.schema.field("cameras"),
        pa.array(views, truth.schema.field("cameras").type),
    )


def _judge(
    store: Store,
    truth: dict[str, pa.Table],
    found: dict[str, pa.Table],
    kinds: tuple[str, ...],
    settings: TrackerSettings,
) -> LabelQuality:
    fused = [
        tracks_from_detections(
            table.filter(pc.is_in(table["kind"], pa.array(kinds))),
            store.read("frames", log_id),
            store.read("sensor_data", log_id),
            settings,
        )
        for log_id, table in found.items()
    ]
    return label_quality(pa.concat_tables(truth.values()), pa.concat_tables(fused), RANGE_M)


def _print(name: str, quality: LabelQuality) -> None:
    numbers = quality.numbers()
    print(f"{name:<34}" + "".join(f"{numbers.get(key, float('nan')):>17.3f}" for key in COLUMNS.values()))


if __name__ == "__main__":
    main()
