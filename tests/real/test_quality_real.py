"""Label quality on recorded driving: KITTI's metrics beside those of their authors, and the peer tracker on nuScenes traffic."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from drive_vqa.schema import table_from_rows
from drive_vqa.store import Store, relative_source
from sensors.annotated_tracks import tracks_from_annotations
from sensors.detection_files.read import read_detections
from sensors.quality.kitti_metrics import evaluate_kitti
from sensors.quality.kitti_store import kitti_scores
from sensors.quality.kitti_tracks import read_kitti_tracks
from sensors.quality.label_quality import label_quality
from sensors.quality.nearest_centre import nearest_centre_tracks
from sensors.readers import kitti
from sensors.readers.scenarionet import list_logs, read_log

DATA = Path(os.environ.get("DRIVE_VQA_REAL_DATA", Path(__file__).parents[3] / "shared" / "data"))
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no recorded driving at {DATA} (set DRIVE_VQA_REAL_DATA)")

KITTI = DATA / "kitti_tracking"
SEQUENCES = ("0000", "0004", "0017")
NEAR_M = 2.5
KINDS = {"Car": "Van", "Pedestrian": "Person_sitting", "Cyclist": "Cyclist"}

AUTHORS = {
    "Car": (0.6746, 0.2479, 0.6995, 0.5341, 0.7829, 105, 165, 0.7714, 0.9460, 999, 57, 296),
    "Pedestrian": (0.6120, 0.2013, 0.3832, 0.4842, 0.5259, 44, 121, 0.6273, 0.8746, 537, 77, 319),
    "Cyclist": (0.6434, 0.2302, 0.4970, 0.5419, 0.6703, 6, 26, 0.5737, 0.9835, 179, 3, 133),
}
"""What AB3DMOT's own evaluation prints for the files that `careless_results` writes: sAMOTA, AMOTA, AMOTP, MOTA, MOTP,
switches, fragments, recall, precision, true positives, false positives, misses."""


def careless_results(folder: Path) -> None:
    """Result files of a bad tracker: nearest box within 2.5 m without motion, with detections, ids and classes lost by chance."""
    random = np.random.RandomState(0)
    for name in SEQUENCES:
        rows: list[tuple[int, str]] = []
        fresh = 0
        for kind, neighbour in KINDS.items():
            boxes = np.loadtxt(KITTI / "detections" / f"pointrcnn_{kind}" / f"{name}.txt", delimiter=",", ndmin=2)
            before: list[tuple[int, float, float]] = []
            for frame in range(int(boxes[:, 0].max()) + 1):
                seen = boxes[boxes[:, 0] == frame]
                now: list[tuple[int, float, float]] = []
                for box in seen[random.rand(len(seen)) > 0.15]:
                    free = [old for old in before if old[0] not in {new[0] for new in now}]
                    near = min(((np.hypot(box[10] - x, box[12] - z), i) for i, x, z in free), default=(np.inf, -1))
                    chance = random.rand(2)
                    track = near[1] if near[0] < NEAR_M and chance[0] > 0.03 else fresh
                    fresh += track == fresh
                    now.append((track, box[10], box[12]))
                    words = [frame, track, neighbour if chance[1] < 0.05 else kind, 0, 0, box[14], *box[2:6]]
                    rows.append((frame, " ".join(str(word) for word in [*words, *box[7:14], box[6]])))
                before = now
        lines = [text + "\n" for _, text in sorted(rows, key=lambda row: row[0])]
        (folder / f"{name}.txt").write_text("".join(lines))


def test_kitti_scores_are_those_of_their_authors(tmp_path: Path) -> None:
    careless_results(tmp_path)
    truth = {name: read_kitti_tracks(KITTI / "training" / "label_02" / f"{name}.txt") for name in SEQUENCES}
    results = {name: read_kitti_tracks(tmp_path / f"{name}.txt") for name in SEQUENCES}
    for kind, wanted in AUTHORS.items():
        s = evaluate_kitti(truth, results, kind)
        ours = (s.samota, s.amota, s.amotp, s.mota, s.motp, s.id_switches, s.fragments, s.recall, s.precision)
        assert (*ours, s.true_positives, s.false_positives, s.misses) == pytest.approx(wanted, abs=6e-5), kind


def test_every_label_file_is_a_perfect_result_of_itself() -> None:
    """23,211 boxes; labels that do not count (`Van`, cut off, hidden) count as found and never as false alarms."""
    folder = KITTI / "training" / "label_02"
    truth = {path.stem: read_kitti_tracks(path) for path in sorted(folder.glob("*.txt"))}
    assert (
        sum(len(boxes) for boxes in truth.values()) - sum((b.type == "DontCare").sum() for b in truth.values())
        == 23_211
    )
    for kind in KINDS:
        scores = evaluate_kitti(truth, truth, kind)
        assert (scores.misses, scores.id_switches, scores.false_positives) == (0, 0, 0)
        assert scores.motp == pytest.approx(1.0)


def test_annotations_of_a_store_come_back_as_perfect_kitti_results(tmp_path: Path) -> None:
    """Reader, conversion to the ego frame and back, result file, metrics: nothing on the way moves a box."""
    handle = next(handle for handle in kitti.list_logs(KITTI) if handle.log_id == "kitti-0004")
    log, store = kitti.read_log(handle), Store.create(tmp_path / "store")
    source = [{**row, "source_root": relative_source(handle.root, store.root)} for row in log.logs.to_pylist()]
    tracks = tracks_from_annotations(log.annotations, log.frames, log.sensor_data)
    named = {"logs": table_from_rows("logs", source), "sensor_data": log.sensor_data, "tracks": tracks}
    for name, table in named.items():
        store.write(name, handle.log_id, table, "x")
    scores = kitti_scores(store, tmp_path / "results")
    assert scores["Car"].objects > 300
    for kind in KINDS:
        assert (scores[kind].misses, scores[kind].false_positives, scores[kind].id_switches) == (0, 0, 0)
        assert scores[kind].motp == pytest.approx(1.0, abs=1e-3)


def test_the_peer_on_nuscenes_traffic() -> None:
    """CenterPoint's boxes lie where the annotations are: 0.16 m off in the median (README of the data), 0.27 m in the mean."""
    log = read_log(list_logs(DATA / "scenarionet" / "sd_nuscenes_v1.0-mini_scene-0103.pkl")[0])
    truth = tracks_from_annotations(log.annotations, log.frames, log.sensor_data)
    path = DATA / "nuscenes_detections" / "centerpoint_scene-0103.json"
    detections = read_detections(path, "scene-0103", log.frames, log.sensor_data)
    peer = nearest_centre_tracks(detections, log.frames)
    assert peer.num_rows == detections.num_rows == 6868
    quality = label_quality(truth, peer, max_range_m=50.0)
    assert quality.instants == 40  # keyframes only
    cars = quality.errors["car"].everywhere["position_m"]
    assert cars.n > 700
    assert 0.2 < cars.value < 0.4
    assert quality.delivered.recall > 0.9
    assert 0.7 < quality.scores["car"].amota < 0.9
    assert 5 < quality.best.id_switches < 80
