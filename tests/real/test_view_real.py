"""Films and recordings of recorded drives."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from PIL import Image

from drive_vqa.store import Store, relative_source
from sensors.annotated_tracks import tracks_from_annotations
from sensors.reader import list_logs, read_log
from sensors.view.birds_eye import BirdsEye
from sensors.view.film import pictures, write_birds_eye
from sensors.view.log_view import LogView
from sensors.view.recording import write_recording

DATA = Path(os.environ.get("DRIVE_VQA_REAL_DATA", Path(__file__).parents[3] / "shared" / "data"))
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no recorded driving at {DATA} (set DRIVE_VQA_REAL_DATA)")


def store_of(root: Path, folder: str, source_format: str, name: str, frames: range) -> Store:
    """A store with some frames of one log."""
    (handle,) = (one for one in list_logs(DATA / folder, source_format) if name in one.log_id)
    log, store = read_log(handle), Store.create(root / "store")
    for table in ("frames", "sensor_data", "annotations", "map_elements"):
        rows = getattr(log, table)
        if "frame" in rows.column_names:
            rows = rows.filter(pc.is_in(rows["frame"], pa.array(frames, pa.int32())))
        store.write(table, handle.log_id, rows, "x")
    place = pa.array([relative_source(handle.root, store.root)])
    column = log.logs.column_names.index("source_root")
    store.write("logs", handle.log_id, log.logs.set_column(column, log.logs.schema.field(column), place), "x")
    tables = [store.read(table, handle.log_id) for table in ("annotations", "frames", "sensor_data")]
    store.write("tracks", handle.log_id, tracks_from_annotations(*tables), "x")
    return store


@pytest.fixture(scope="module")
def pandaset(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return store_of(tmp_path_factory.mktemp("pandaset"), "pandaset", "pandaset", "002", range(73, 77))


def test_a_film_with_six_cameras(pandaset: Store, tmp_path: Path) -> None:
    assert write_birds_eye(pandaset, "pandaset-002", tmp_path / "film.gif", size_px=360) == 4
    with Image.open(tmp_path / "film.gif") as film:
        assert (film.n_frames, film.info["duration"]) == (4, 100)
    view = LogView.read(pandaset, "pandaset-002")
    assert len(view.cameras()) == 6
    first, *_, last = (np.asarray(film)[:, 360:] for film in pictures(view, BirdsEye(360, 45.0)))
    black = [(panel[220:].max(axis=2) < 20).mean() for panel in (first, last)]
    assert black[0] > 0.9  # only the front camera has an image of frame 73
    assert black[1] < 0.7


def test_points_of_a_recording_lie_in_its_boxes(pandaset: Store, tmp_path: Path) -> None:
    """As many as the labels count, but for those on a face: the recording keeps 32 bits."""
    rerun = pytest.importorskip("rerun", reason="rerun-sdk is not installed (extra `view`)")
    write_recording(pandaset, "pandaset-002", tmp_path / "log.rrd")
    recording = rerun.dataframe.load_recording(tmp_path / "log.rrd")
    rows = recording.view(index="frame", contents="/world/ego/lidar/**").select().read_all().to_pydict()
    name = next(name for name in rows if "Position3D" in name or "positions" in name)
    points_m = np.array(rows[name][rows["frame"].index(75)])
    assert len(points_m) > 100_000
    expected, found = [], []
    for row in pandaset.read("tracks", "pandaset-002").to_pylist():
        if row["frame"] == 75 and row["category"] == "car":
            offset_m = points_m - [row["x_m"], row["y_m"], row["z_m"]]
            cos, sin = np.cos(row["yaw_rad"]), np.sin(row["yaw_rad"])
            along = np.abs(offset_m @ np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]))
            expected.append(row["lidar_points"])
            found.append(
                (along <= 0.5 * np.array([row["length_m"], row["width_m"], row["height_m"]])).all(axis=1).sum()
            )
    assert sum(expected) > 5000
    np.testing.assert_allclose(sum(found), sum(expected), rtol=0.03)  # the track's box has lost its tilt


@pytest.mark.parametrize(
    ("folder", "source_format", "name"),
    [("kitti_tracking", "kitti", "0005"), ("av2", "av2", "7fab2350"), ("scenarionet", "scenarionet", "scene-0103")],
)
def test_films_without_images(tmp_path: Path, folder: str, source_format: str, name: str) -> None:
    store = store_of(tmp_path, folder, source_format, name, range(20, 24))
    (log_id,) = store.log_ids()
    view = LogView.read(store, log_id)
    assert (view.global_SE3_ego is None) == (name == "0005")
    assert bool(view.map_lines) == (folder != "kitti_tracking")
    assert write_birds_eye(store, log_id, tmp_path / "film.gif", size_px=300) == 4
