from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from drive_vqa.errors import StoreError
from drive_vqa.geometry import SE3
from drive_vqa.schema import pose_to_struct, table_from_rows
from sensors.quality.centre_mot import ClearMot
from sensors.quality.intervals import mean_with_interval
from sensors.quality.label_quality import label_quality
from sensors.quality.nearest_centre import nearest_centre_tracks
from sensors.quality.nuscenes_eval import devkit_tracking
from tests.sensors.quality_world import box, faulty_world, tables

DEVKIT = {
    "car": (0.765806789, 0.932945601, 0.7125, 0.655022594, 4, 5, 66, 9, 10),
    "truck": (0.710769219, 0.94623271, 0.6, 0.596497286, 5, 13, 69, 9, 26),
    "pedestrian": (0.700383088, 0.988782428, 0.62, 0.612583466, 7, 11, 76, 14, 17),
}
"""What nuscenes-devkit 1.2.0 (motmetrics 1.4.0) says about `faulty_world()`: AMOTA, AMOTP, and at the best threshold MOTA, MOTP,
switches, fragments, matches, false alarms, misses."""

SHARED = ("mota", "motp_m", "id_switches", "fragments", "matches", "false_positives", "misses")


class TestTrackingScores:
    def test_figures_are_those_of_the_devkit(self) -> None:
        quality = label_quality(*faulty_world())
        assert set(quality.scores) == set(DEVKIT)
        for category, wanted in DEVKIT.items():
            scores = quality.scores[category]
            ours = (scores.amota, scores.amotp_m, *(getattr(scores.best, name) for name in SHARED))
            assert ours == pytest.approx(wanted, abs=1e-8), category
        assert quality.amota == pytest.approx(np.mean([figures[0] for figures in DEVKIT.values()]), abs=1e-8)

    def test_the_devkit_itself(self) -> None:

        truth, fused = faulty_world(seed=1, logs=1, frames=4, objects=6)
        quality, devkit = label_quality(truth, fused), devkit_tracking(truth, fused)
        known = [category for category in quality.scores if np.isfinite(devkit["ids"][category])]
        assert known
        for category in quality.scores:
            scores = quality.scores[category]
            assert devkit["amota"][category] == pytest.approx(scores.amota, nan_ok=True)
            assert category not in known or devkit["ids"][category] == scores.best.id_switches

    def test_perfect_tracks(self) -> None:
        truth, _ = faulty_world()
        quality = label_quality(truth, truth)
        assert (quality.amota, quality.amotp_m, quality.delivered.mota) == pytest.approx((1.0, 0.0, 1.0))
        assert quality.delivered.errors == 0
        assert all(mean.value == pytest.approx(0, abs=1e-9) for mean in quality.errors["all"].everywhere.values())

    def test_order_of_rows_does_not_matter(self) -> None:
        truth, fused = faulty_world()
        random = np.random.default_rng(0)
        mixed = [table.take(pa.array(random.permutation(table.num_rows))) for table in (truth, fused)]
        assert label_quality(*mixed).as_dict() == label_quality(truth, fused).as_dict()

    def test_a_track_is_kept_while_it_stays_near(self) -> None:
        truth = [box("a", f, "t", 10.0, 0.0) for f in range(4)]
        fused = [box("a", f, "kept", 11.5, 0.0, score=0.9) for f in range(4)]
        fused += [box("a", f, "nearer", 10.1, 0.0, score=0.8) for f in (1, 2, 3)]
        delivered = label_quality(*tables(truth, fused)).delivered
        assert (delivered.matches, delivered.id_switches, delivered.false_positives) == (4, 0, 3)

    def test_gap_switch_and_recall(self) -> None:
        truth = [box("a", f, "t", 10.0, 0.0) for f in range(6)]
        fused = [box("a", f, "one", 10.5, 0.0) for f in (0, 1)] + [box("a", f, "two", 9.0, 0.0) for f in (3, 4)]
        delivered = label_quality(*tables(truth, fused)).delivered
        assert delivered == ClearMot(
            threshold=-math.inf,
            objects=6,
            matches=3,
            id_switches=1,
            misses=2,
            false_positives=0,
            fragments=1,
            motp_m=0.75,
        )
        assert (delivered.recall, delivered.precision, delivered.mota) == pytest.approx((4 / 6, 1.0, 0.5))

    def test_categories_and_instants_are_kept_apart(self) -> None:
        truth = [box("a", 0, "t", 10.0, 0.0), box("b", 0, "t", 10.0, 0.0), box("a", 1, "t", 30.0, 0.0)]
        fused = [
            box("a", 0, "f", 10.0, 0.0, category="truck"),
            box("b", 1, "f", 10.0, 0.0),  # no truth at this instant: not compared
            box("b", 0, "f", 30.0, 0.0),
            box("c", 0, "f", 10.0, 0.0),  # a log without truth
        ]
        quality = label_quality(*tables(truth, fused))
        assert (quality.delivered.matches, quality.delivered.false_positives) == (0, 2)
        assert math.isnan(quality.scores["truck"].amota)
        assert quality.amota == 0.0

    def test_only_observed_frames_and_seen_objects_in_range(self) -> None:
        truth = [box("a", f, "t", 10.0, 0.0, observed=f % 2 == 0, lidar_points=5, radar_points=None) for f in range(5)]
        truth += [box("a", f, "late", 20.0, 0.0, lidar_points=int(f == 2), radar_points=0) for f in range(5)]
        truth += [box("a", f, "far", 70.0, 0.0) for f in range(5)]
        quality = label_quality(*tables([row for row in truth if row["frame"] in (0, 1, 2)], truth), max_range_m=50)
        assert quality.instants == 3
        assert quality.delivered.objects == 3 + 1
        truth = [row for row in truth if row["track_id"] == "t"]
        assert label_quality(*tables(truth, truth)).instants == 3

    def test_no_fused_tracks_at_all(self) -> None:
        truth, nothing = tables([box("a", 0, "t", 10.0, 0.0)], [])
        quality = label_quality(truth, nothing)
        assert (quality.amota, quality.amotp_m, quality.delivered.misses) == (0.0, 2.0, 1)
        assert quality.as_dict()["all.error.position_m"] == {"value": None, "n": 0, "low": None, "high": None}
        assert label_quality(nothing, truth).instants == 0

    @pytest.mark.parametrize(
        ("broken", "message"),
        [
            ({"x_m": float("nan")}, "not finite"),
            ({"category": "ufo"}, "ufo"),
            ({"length_m": None}, "not finite"),
        ],
    )
    def test_broken_tables_are_refused(self, broken: dict[str, Any], message: str) -> None:
        good = [box("a", 0, "t", 10.0, 0.0)]
        broken_rows = [box("a", 0, "f", 10.0, 0.0), {**box("a", 0, "g", 12.0, 0.0), **broken}]
        with pytest.raises(StoreError, match=message):
            label_quality(*tables(good, broken_rows))
        with pytest.raises(StoreError, match="twice in frame 0"):
            label_quality(*tables(good, good + good))


class TestErrors:
    def test_known_errors(self) -> None:
        truth = [box("a", f, "t", 10.0, 25.0, vx_mps=3.0, yaw_rad=math.pi - 0.1) for f in range(3)]
        truth += [box("a", f, "u", 5.0, 0.0, vx_mps=0.3, vy_mps=None) for f in range(3)]
        fused = [
            box("a", f, "f", 10.6, 25.8, vx_mps=3.0, vy_mps=0.5, yaw_rad=-math.pi + 0.1, length_m=5.0, height_m=1.2)
            for f in range(3)
        ]
        fused += [box("a", f, "g", 5.0, 0.2) for f in range(3)]
        quality = label_quality(*tables(truth, fused))
        far = quality.errors["car"].by_range["20_30m"]
        assert far["position_m"].value == pytest.approx(1.0)
        assert far["velocity_mps"].value == pytest.approx(0.5)
        assert far["yaw_deg"].value == pytest.approx(math.degrees(0.2))
        assert (far["length_m"].value, far["width_m"].value, far["height_m"].value) == pytest.approx((1.0, 0.0, 0.3))
        assert far["scale"].value == pytest.approx(1 - 9.6 / (12 + 12 - 9.6))
        everywhere = quality.errors["vehicle"].everywhere
        assert (everywhere["position_m"].value, everywhere["position_m"].n) == (pytest.approx(0.6), 6)
        assert (everywhere["velocity_mps"].n, everywhere["velocity_moving_mps"].n) == (3, 3)
        assert set(quality.errors["car"].by_range) == {"0_20m", "20_30m"}

    def test_names_are_dotted_and_values_plain(self) -> None:
        numbers = label_quality(*faulty_world()).as_dict()
        for name in (
            "all.amota",
            "car.best.id_switches",
            "vehicle.error.velocity_moving_mps",
            "car.error.0_20m.yaw_deg",
        ):
            assert set(numbers[name]) == {"value", "n", "low", "high"}
        position = numbers["all.error.position_m"]
        assert position["low"] < position["value"] < position["high"]

    def test_interval_covers_what_clusters_say(self) -> None:
        random = np.random.default_rng(1)
        tracks = np.repeat(np.arange(50), 20)
        values = random.normal(0, 1, 50)[tracks]  # boxes of a track agree: 50 cases, not 1,000
        mean = mean_with_interval(values, np.zeros(1000, dtype=np.int64), tracks)
        standard_error = values.reshape(50, 20)[:, 0].std() / math.sqrt(50)
        assert mean.high - mean.low == pytest.approx(2 * 1.96 * standard_error, rel=0.15)
        assert math.isnan(mean_with_interval(values[:20], np.zeros(20, np.int64), tracks[:20]).low)
        many_logs = mean_with_interval(values, tracks, np.arange(1000))
        assert many_logs == mean


def detections(rows: list[dict[str, Any]]) -> pa.Table:
    kept = (
        "log_id",
        "frame",
        "timestamp_ns",
        "category",
        "source_category",
        "x_m",
        "y_m",
        "z_m",
        "length_m",
        "width_m",
    )
    more = ("height_m", "yaw_rad", "score", "vx_mps", "vy_mps")
    return table_from_rows("detections", [{**{k: r.get(k) for k in (*kept, *more)}, "kind": "box_3d"} for r in rows])


def frames(count: int, ego_x_mps: float | None = None) -> pa.Table:
    """An ego that stands or drives ahead; None: no poses."""
    rows = []
    for f in range(count):
        pose = None if ego_x_mps is None else pose_to_struct(SE3.from_yaw(0.0, [ego_x_mps * f * 0.5, 0.0, 0.0]))
        rows.append({"log_id": "a", "frame": f, "timestamp_ns": f * 500_000_000, "global_SE3_ego": pose})
    return table_from_rows("frames", rows)


def names(tracks: pa.Table) -> list[tuple[int, str]]:
    return sorted(zip(tracks["frame"].to_pylist(), tracks["track_id"].to_pylist(), strict=True))


class TestNearestCentre:
    def test_a_parked_car_past_a_moving_ego(self) -> None:
        rows = [box("a", f, "", 40.0 - 5.0 * f, 3.0, vx_mps=None, vy_mps=None) for f in range(6)]
        tracks = nearest_centre_tracks(detections(rows), frames(6, ego_x_mps=10.0))
        assert len(set(tracks["track_id"].to_pylist())) == 1
        assert tracks["vx_mps"].to_pylist()[0] is None
        assert tracks["vx_mps"].to_pylist()[1:] == pytest.approx([0.0] * 5)
        in_ego_frame = nearest_centre_tracks(detections(rows), frames(6))
        assert len(set(in_ego_frame["track_id"].to_pylist())) == 6  # 5 m a frame is beyond the gate

    def test_velocity_carries_a_fast_car(self) -> None:
        rows = [box("a", f, "", 10.0 * f, 0.0, vx_mps=20.0, vy_mps=0.0) for f in range(4)]
        tracks = nearest_centre_tracks(detections(rows), frames(4, 0.0))
        assert len(set(tracks["track_id"].to_pylist())) == 1
        assert tracks["speed_mps"].to_pylist()[1:] == pytest.approx([20.0] * 3)

    def test_the_surest_chooses_first_and_kinds_do_not_mix(self) -> None:
        rows = [box("a", 0, "", 10.0, 0.0, score=0.5), box("a", 0, "", 10.0, 0.1, score=0.5, category="pedestrian")]
        rows += [box("a", 1, "", 11.0, 0.0, score=0.3), box("a", 1, "", 12.0, 0.0, score=0.9)]
        tracks = nearest_centre_tracks(detections(rows), frames(2, 0.0)).to_pylist()
        kept = {row["x_m"]: row["track_id"] for row in tracks if row["category"] == "car"}
        assert kept[12.0] == kept[10.0]
        assert len({row["track_id"] for row in tracks}) == 3

    def test_age_and_frames_without_a_detector(self) -> None:
        other = [box("a", f, "", -30.0, 0.0) for f in range(9)]
        seen = [box("a", f, "", 10.0, 0.0) for f in (0, 3, 8)]
        tracks = [
            r for r in nearest_centre_tracks(detections(other + seen), frames(9, 0.0)).to_pylist() if r["x_m"] > 0
        ]
        assert tracks[0]["track_id"] == tracks[1]["track_id"] != tracks[2]["track_id"]
        alone = nearest_centre_tracks(detections(seen), frames(9, 0.0))  # the detector ran three times only
        assert len(set(alone["track_id"].to_pylist())) == 1

    def test_order_of_detections_does_not_matter(self) -> None:
        random = np.random.default_rng(5)
        rows = [
            box("a", f, "", *random.uniform(-20, 20, 2), score=float(random.random()))
            for f in range(6)
            for _ in range(9)
        ]
        first = nearest_centre_tracks(detections(rows), frames(6, 2.0))
        mixed = [rows[i] for i in random.permutation(len(rows))]
        assert nearest_centre_tracks(detections(mixed), frames(6, 2.0)).equals(first)
        assert len(names(first)) == 54

    def test_wrong_tables_are_refused(self) -> None:
        with pytest.raises(StoreError, match="frame 3"):
            nearest_centre_tracks(detections([box("a", 3, "", 1.0, 1.0)]), frames(2))
        with pytest.raises(StoreError, match="no box"):
            nearest_centre_tracks(detections([box("a", 0, "", float("nan"), 1.0)]), frames(2))
