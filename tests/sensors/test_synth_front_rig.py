"""The light rig: one camera and a sparse lidar, still a nuScenes data set that becomes tracks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from drive_vqa.errors import ConfigError
from drive_vqa.store import Store
from sensors.fuse import fuse
from sensors.ingest import ingest
from sensors.synth.rig import SIZES
from sensors.synth.synthesize import synthesize


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("front") / "set"
    synthesize(out, scenes=1, first_scene=7, seed=5, duration_s=1.0, workers=1, rig="front")
    return out


def test_it_has_the_front_camera_and_the_lidar_alone(root: Path) -> None:
    rows = json.loads((root / "v1.0-mini" / "sample_data.json").read_text())
    folders = {Path(row["filename"]).parent.name for row in rows}
    assert folders == {"CAM_FRONT", "LIDAR_TOP"}
    images = {(row["width"], row["height"]) for row in rows if row["fileformat"] == "jpg"}
    assert images == {SIZES["front"][:2]}


def test_it_becomes_tracks_with_boxes_in_the_image(root: Path, tmp_path: Path) -> None:
    assert not ingest(root, "nuscenes", tmp_path / "store", workers=1).failures
    store = Store.open(tmp_path / "store")
    assert not fuse(store, workers=1).failures
    (log_id,) = store.log_ids("tracks")
    assert log_id == "scene-0007"
    cameras = {one["camera"] for seen in store.read("tracks", log_id)["cameras"].to_pylist() for one in seen or ()}
    assert cameras == {"CAM_FRONT"}


def test_a_number_below_0_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="first_scene"):
        synthesize(tmp_path / "b", scenes=1, seed=0, first_scene=-1)
