"""From sensor files to judged tracks, films and other tools' formats, through the command line."""

import json
import shutil

import numpy as np
import pytest

from drive_vqa.cli import main
from drive_vqa.store import Store
from tests.alone import run_alone


def _run(*arguments, status=0):
    assert main([str(argument) for argument in arguments]) == status


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sensors")
    run_alone("synth", "--out", folder / "drives", "--scenes", "1", "--seed", "3", "--duration", "3.1")
    run_alone("ingest", folder / "drives", "--format", "nuscenes", "--out", folder / "store")
    run_alone("fuse", folder / "store", "--from", "sensors", "--evaluate", "--max-range", 40)
    return folder


def test_raw_sensors_become_tracks_near_the_labelled_ones(folder):
    store = Store.open(folder / "store")
    kinds = store.read_all("detections")["kind"].to_pylist()
    assert {"box_3d", "radar"} <= set(kinds)
    tracks = store.read_all("tracks").to_pandas()
    assert set(tracks["source"]) == {"fused"}
    assert tracks["score"].between(0, 1).all()
    assert np.isfinite(tracks[["vx_mps", "vy_mps", "speed_mps"]]).all().all()
    numbers = json.loads((store.root / "quality" / "quality.json").read_text())["metrics"]
    assert numbers["car.delivered.recall"]["value"] > 0.4
    assert numbers["all.error.position_m"]["value"] < 0.6
    assert (store.root / "quality" / "quality.html").read_text().startswith("<!")


def test_a_second_call_does_nothing_and_other_settings_do_it_again(folder, capsys, caplog):
    store = Store.open(folder / "store")
    path = store.path("tracks", store.log_ids()[0])
    before = path.stat().st_mtime_ns
    with caplog.at_level("INFO"):
        _run("fuse", store.root, "--from", "sensors")
    assert path.stat().st_mtime_ns == before
    _run("fuse", store.root, "--from", "sensors", "tracker.smooth=false")
    assert path.stat().st_mtime_ns > before
    _run("fuse", store.root, "--from", "sensors")


def test_tracks_leave_for_other_tools(folder, tmp_path):
    _run("export", folder / "store", "--to", "nuscenes-tracking", "--out", tmp_path / "nus")
    results = json.loads((tmp_path / "nus" / "tracking.json").read_text())["results"]
    tokens = Store.open(folder / "store").read_all("frames")["source_frame"].to_pylist()
    assert set(results) == set(tokens)
    assert any(results.values())
    _run("export", folder / "store", "--to", "kitti-tracking", "--out", tmp_path / "kitti", status=1)


def test_a_film_of_the_log(folder, tmp_path):
    _run("view", folder / "store", "--out", tmp_path / "log.gif")
    assert (tmp_path / "log.gif").read_bytes()[:3] == b"GIF"


def test_resampled_logs_have_the_rate_that_was_asked_for(folder, tmp_path):
    _run("ingest", folder / "drives", "--format", "nuscenes", "--out", tmp_path / "fast", "--rate-hz", 4)
    times_ns = Store.open(tmp_path / "fast").read_all("frames")["timestamp_ns"].to_numpy()
    np.testing.assert_allclose(np.diff(times_ns), 0.25e9, atol=2e6)
    observed = Store.open(tmp_path / "fast").read_all("annotations")["observed"].to_pylist()
    assert set(observed) == {True, False}


def test_wrong_use_is_said_so(folder, capsys):
    _run("fuse", folder / "store", "--detections", folder, status=2)
    assert "--detections goes with --from detections" in capsys.readouterr().err
    _run("fuse", folder / "store", "--from", "detections", "--detections", folder / "none.json", status=1)
    assert "does not exist" in capsys.readouterr().err
    _run("ingest", folder / "drives", "--format", "nuscenes", "--out", folder / "x", "--rate-hz", 1000, status=2)
    assert "--rate-hz must be between" in capsys.readouterr().err


def test_the_detections_of_a_store_can_be_tracked_again(folder, tmp_path):
    shutil.copytree(folder / "store", tmp_path / "store")
    _run("fuse", tmp_path / "store", "--from", "detections")
    columns = ["frame", "track_id", "x_m", "vx_mps"]
    again = Store.open(tmp_path / "store").read_all("tracks", columns)
    assert again.equals(Store.open(folder / "store").read_all("tracks", columns))
