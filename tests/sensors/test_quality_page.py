from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from drive_vqa.errors import StoreError
from drive_vqa.geometry import SE3
from drive_vqa.schema import pose_to_struct, table_from_rows
from drive_vqa.store import Store
from sensors.quality import page, write
from sensors.quality.label_quality import label_quality
from sensors.quality.page import QualityReport, render
from sensors.quality.write import write_quality
from tests.sensors.quality_world import box, faulty_world, tables

FRAMES = 6


def row_of(name: str, rows: list[dict[str, Any]]) -> Any:
    return table_from_rows(name, rows)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """One log: two cars, their annotations, detections and fused tracks, which lose one car half-way."""
    made = Store.create(tmp_path / "store")
    cars = [(f, name, 10.0 + 8 * i, 3.0) for f in range(FRAMES) for i, name in enumerate(("near", "far"))]
    boxes = [box("log", f, name, x, y) for f, name, x, y in cars]
    pose = pose_to_struct(SE3.from_yaw(0.3, [100.0, 50.0, 0.0]))
    times = {f: round(f * 0.5e9) for f in range(FRAMES)}
    log = {"log_id": "log", "source_format": "nuscenes"}
    keep = ("log_id", "frame", "timestamp_ns", "track_id", "category", "source_category", "observed")
    size = {"length_m": 4.0, "width_m": 2.0, "height_m": 1.5}
    annotations = [
        {**{k: b[k] for k in keep}, **size, "ego_SE3_box": pose_to_struct(SE3.from_yaw(0.0, [b["x_m"], b["y_m"], 0.8]))}
        for b in boxes
    ]
    seen = ("log_id", "frame", "timestamp_ns", "category", "source_category", "x_m", "y_m", "z_m", "yaw_rad")
    detections = [{**{k: b[k] for k in seen}, **size, "kind": "box_3d", "score": 0.9} for b in boxes]
    fused = [
        {
            **b,
            "source": "fused",
            "score": 0.8,
            "track_id": f"{b['track_id']}{int(b['frame'] > 2)}",
            "x_m": b["x_m"] + 0.5,
        }
        for b in boxes
    ]
    made.write("logs", "log", row_of("logs", [log]), "x")
    made.write(
        "frames",
        "log",
        row_of(
            "frames",
            [{"log_id": "log", "frame": f, "timestamp_ns": t, "global_SE3_ego": pose} for f, t in times.items()],
        ),
        "x",
    )
    made.write("annotations", "log", row_of("annotations", annotations), "x")
    made.write("detections", "log", row_of("detections", detections), "x")
    made.write("tracks", "log", row_of("tracks", fused), "x")
    return made


class Tags(HTMLParser):
    """Collects tags, their attributes, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


class Logged:
    """Stands in for MLflow, which takes seconds to make its database."""

    @contextmanager
    def run(self, output: Path, name: str, *, tracking_uri: str | None, params: dict[str, str]) -> Iterator[Logged]:
        self.params, self.metrics, self.files = dict(params), dict[str, float](), list[str]()
        yield self

    def log_metrics(self, metrics: dict[str, float]) -> None:
        self.metrics.update(metrics)

    def log_artifact(self, path: Path) -> None:
        assert path.is_file()
        self.files.append(path.name)


def test_a_store_is_judged_beside_the_peer(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    logged = Logged()
    monkeypatch.setattr(write, "mlflow_run", logged.run)
    written = write_quality(store, out, settings={"from": "detections"})
    assert written == out / "quality.html"
    numbers = json.loads((out / "quality.json").read_text())["metrics"]
    assert numbers["car.delivered.id_switches"]["value"] == 2
    assert numbers["all.error.position_m"]["value"] == pytest.approx(0.5)
    assert numbers["peer.nearest_centre.car.delivered.id_switches"]["value"] == 0
    assert numbers["peer.nearest_centre.car.amota"]["value"] == pytest.approx(1.0)
    shown = Tags(written.read_text())
    assert "nearest centre" in shown.text
    assert "log, frame 3" in shown.text
    assert "Worst drives" in shown.text
    assert logged.metrics["car.delivered.id_switches"] == 2
    assert logged.params == {"from": "detections", "max_range_m": "all"}
    assert logged.files == ["quality.json", "quality.html"]
    assert all(re.fullmatch(r"[\w\-. :/]+", name) for name in [*logged.metrics, *logged.params])  # MLflow's rule


def test_without_fused_tracks_it_says_what_to_do(store: Store, tmp_path: Path) -> None:
    annotated = store.read("tracks", "log").to_pylist()
    store.write("tracks", "log", row_of("tracks", [{**r, "source": "annotated"} for r in annotated]), "x")
    with pytest.raises(StoreError, match="fuse --from"):
        write_quality(store, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_page_needs_nothing_else_and_trusts_no_name() -> None:
    evil = '<script>alert("x")</script>$\\frac{1}{0}$'
    truth, fused = faulty_world(logs=1, frames=4, objects=6)
    rows = [{**r, "track_id": evil + r["track_id"], "log_id": evil} for r in fused.to_pylist()]
    quality = label_quality(
        table_from_rows("tracks", [{**r, "log_id": evil} for r in truth.to_pylist()]), table_from_rows("tracks", rows)
    )
    html = render(QualityReport(quality, peers={evil: quality}, settings={evil: evil}))
    shown = Tags(html)
    assert "script" not in shown.tags
    assert 'alert("x")' in shown.text
    assert not re.search(r"""(?:src|href)\s*=\s*["']?(?:https?:|//)""", html)
    assert not any(name.startswith("on") for name, _ in shown.attributes)
    assert "nan" not in shown.text.lower().split()


def test_the_same_report_gives_the_same_bytes_and_an_empty_one_a_page() -> None:
    quality = label_quality(*faulty_world(logs=1, frames=3, objects=5))
    report = QualityReport(
        quality,
        devkit={
            "amota": {"car": 0.5, "bus": float("nan")},
            **{key: {"car": 1.0, "bus": 0.0} for key in ("amotp", "mota", "recall", "ids", "frag")},
        },
    )
    first = render(report)
    assert render(report) == first
    assert "nuscenes-devkit" in first
    nothing = QualityReport(label_quality(*tables([box("a", 0, "t", 1.0, 1.0, observed=False)], [])))
    assert "No annotated box was compared" in render(nothing)
    assert write.metrics(nothing)["all.amota"]["value"] is None
    assert page.NONE in render(replace(report, quality=nothing.quality))
