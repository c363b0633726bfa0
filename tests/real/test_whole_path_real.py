"""The whole path on a real PandaSet log through the command line: real images, real lidar, real track ids."""

import os
import re
from pathlib import Path

import pytest

from drive_vqa.cli import main
from drive_vqa.store import Store
from tests.alone import run_alone
from tests.qa_gen.oracle import check_log

DATA = Path(os.environ.get("DRIVE_VQA_REAL_DATA", "../shared/data"))
LOG = "pandaset-002"
pytestmark = pytest.mark.skipif(not (DATA / "pandaset").is_dir(), reason=f"no real data at {DATA}")


def _run(*arguments):
    assert main([str(argument) for argument in arguments]) == 0


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pandaset") / "store"
    run_alone("ingest", DATA / "pandaset", "--format", "pandaset", "--out", folder)
    run_alone("fuse", folder)
    run_alone("generate", folder)
    return Store.open(folder)


def test_every_answer_is_recomputed_from_the_raw_tables(store):
    result = check_log(store, LOG)
    assert result.total > 1000
    assert result.mismatches == []


def test_tracks_are_the_objects_of_the_log_seen_in_six_cameras(store):
    tracks = store.read("tracks", LOG).to_pandas()
    assert tracks["track_id"].nunique() == 98
    seen = {view["camera"] for views in tracks["cameras"] for view in views}
    assert seen == {f"{side}camera" for side in ("front_", "front_left_", "front_right_", "left_", "right_", "back_")}


def test_from_the_log_to_the_report(store, tmp_path):
    run = tmp_path / "run"
    quick = (
        "max_steps=2",
        "types=[]",
        "kinds=[]",
        "image_size_px=[112,56]",
    )
    _run("finetune", store.root, "--model", "tiny", "--out", run, *quick)
    _run(
        "predict",
        store.root,
        "--split",
        "test",
        "--model",
        "tiny",
        "--adapter",
        run,
        "--out",
        tmp_path / "p.parquet",
        "--kinds",
        "surround",  # at frames with images of all cameras, which are every fifth
        "--limit",
        20,
    )
    _run("evaluate", store.root, "--predictions", tmp_path / "p.parquet", "--out", tmp_path / "eval")
    _run("report", tmp_path / "eval", "--out", tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "time-within-log" in page or "one log" in page.lower()
    for camera in (
        "front_camera",
        "front_left_camera",
        "front_right_camera",
        "left_camera",
        "right_camera",
        "back_camera",
    ):
        assert re.search(rf"\b{camera}\b", page), camera
