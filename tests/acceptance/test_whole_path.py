"""The whole path through the command line, on a small synthetic world; and the same bytes however it is run."""

import hashlib
import json
import shutil

import mlflow
import numpy as np
import pandas as pd
import pytest

from drive_vqa.cli import main
from drive_vqa.geometry import wrap_rad
from drive_vqa.store import Store
from drive_vqa.tracking import default_uri
from tests.alone import run_alone
from tests.qa_gen.oracle import check_log

SCENES = 3
SYNTH = ["--seed", "5", "--duration", "5.6"]


def _run(*arguments):
    assert main([str(argument) for argument in arguments]) == 0


def _make_drives(folder, scenes, workers, run=_run):
    run("synth", "--out", folder / "drives", "--scenes", scenes, *SYNTH, "--workers", workers)


def _make_store(folder, workers, run=_run):
    """Beside the drives, whose folder has the same name everywhere."""
    run("ingest", folder / "drives", "--format", "nuscenes", "--out", folder / "store", "--workers", workers)
    run("fuse", folder / "store", "--workers", workers)
    run("generate", folder / "store", "--workers", workers)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two_workers")
    _make_drives(folder, SCENES, workers=2)
    _make_store(folder, workers=2)
    return folder


def _digests(folder):
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and ".drive-vqa-cache" not in path.parts)
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


@pytest.mark.timeout(900)  # draws the world, which a busy machine does slowly
def test_the_same_drives_and_another_number_of_workers_give_the_same_store(folder, tmp_path):
    without_cache = shutil.ignore_patterns(".drive-vqa-cache")
    shutil.copytree(folder / "drives", tmp_path / "drives", ignore=without_cache)
    _make_store(tmp_path, workers=1, run=run_alone)
    assert _digests(tmp_path / "store") == _digests(folder / "store")


def test_the_same_seed_and_other_numbers_of_workers_and_scenes_give_the_same_scene(folder, tmp_path):
    """All its sensor files and its rows. Finished tables are compared in tests/sensors/test_synth_dataset.py, drawn smaller."""
    _make_drives(tmp_path, 1, workers=1, run=run_alone)
    drawn, expected = (_digests(root / "drives" / "samples") for root in (tmp_path, folder))
    assert len(drawn) * SCENES == len(expected)
    assert drawn.items() <= expected.items()
    rows = "drives/.synth-work/scene-0000.json"
    assert (tmp_path / rows).read_bytes() == (folder / rows).read_bytes()


def test_a_second_call_writes_nothing(folder):
    before = {path: path.stat().st_mtime_ns for path in (folder / "store").rglob("*.parquet")}
    _make_drives(folder, SCENES, workers=1)
    _make_store(folder, workers=1)
    after = {path: path.stat().st_mtime_ns for path in (folder / "store").rglob("*.parquet")}
    assert before == after


def test_every_family_has_at_least_four_types_and_splits_never_share_a_log(folder):
    questions = Store.open(folder / "store").read_all("questions").to_pandas()
    assert (questions.groupby("family")["type"].nunique() >= 4).all()
    assert {"object", "ego", "future", "unanswerable"} <= set(questions["family"])
    assert (questions[questions["split"] != "bench"].groupby("log_id")["split"].nunique() == 1).all()
    of_bench, of_test = (set(questions[questions["split"] == split]["log_id"]) for split in ("bench", "test"))
    assert of_bench <= of_test
    assert set(questions["split"]) == {"train", "val", "test", "bench"}
    assert questions["qa_id"].is_unique


def test_from_store_to_report(folder, tmp_path):
    store, run = folder / "store", tmp_path / "run"
    _run("finetune", store, "--model", "tiny", "--out", run, "max_steps=3", "log_steps=1")
    _run(
        "predict",
        store,
        "--split",
        "test",
        "--model",
        "tiny",
        "--adapter",
        run,
        "--out",
        tmp_path / "p.parquet",
        "--limit",
        40,
    )
    _run("evaluate", store, "--predictions", tmp_path / "p.parquet", "--out", tmp_path / "eval")
    _run("report", tmp_path / "eval", "--out", tmp_path / "report.html")
    predictions = pd.read_parquet(tmp_path / "p.parquet")
    assert len(predictions) == 40
    assert set(predictions["qa_id"]) <= set(Store.open(store).read_all("questions")["qa_id"].to_pylist())
    metrics = json.loads((tmp_path / "eval" / "metrics.json").read_text())
    assert 0 <= metrics["parse.failure_rate"]["value"] <= 1
    assert metrics["baseline.constant_velocity.localization.mlsr"]["value"] > 0
    assert "<html" in (tmp_path / "report.html").read_text(encoding="utf-8")
    for output, metric in ((run, "loss"), (tmp_path / "eval", "localization.mlsr")):
        runs = mlflow.MlflowClient(default_uri(output)).search_runs(["1"])
        assert any(metric in name for name in runs[0].data.metrics), output
        assert runs[0].info.status == "FINISHED"


def test_predictions_of_any_other_model_can_be_scored(folder, tmp_path):
    """The truth as text passes; that is also the check that our own wording parses."""
    questions = Store.open(folder / "store").read_all("questions").to_pandas()
    lines = [
        json.dumps({"qa_id": row.qa_id, "text": row.answer}) for row in questions.itertuples() if row.split == "test"
    ]
    (tmp_path / "truth.jsonl").write_text("\n".join(lines))
    _run("evaluate", folder / "store", "--predictions", tmp_path / "truth.jsonl", "--out", tmp_path / "eval")
    metrics = json.loads((tmp_path / "eval" / "metrics.json").read_text())
    assert metrics["parse.failure_rate"]["value"] == 0
    assert metrics["localization.tlc"]["value"] == metrics["localization.coverage"]["value"]
    for name, metric in metrics.items():
        if name.startswith("type.") and name.endswith(".accuracy"):
            assert metric["value"] == 1, name


@pytest.fixture(scope="module")
def devkit(folder):
    from nuscenes.nuscenes import NuScenes

    return NuScenes(version="v1.0-mini", dataroot=str(folder / "drives"), verbose=False)


def _annotations(devkit):
    """Every annotation with its frame, and its box in the ego frame of the sample's LIDAR_TOP pose, as the devkit has them."""
    from pyquaternion import Quaternion

    for scene in devkit.scene:
        token, frame = scene["first_sample_token"], 0
        while token:
            sample = devkit.get("sample", token)
            lidar = devkit.get("sample_data", sample["data"]["LIDAR_TOP"])
            ego = devkit.get("ego_pose", lidar["ego_pose_token"])
            for annotation in sample["anns"]:
                box = devkit.get_box(annotation)
                box.velocity = devkit.box_velocity(annotation)
                box.translate(-np.array(ego["translation"]))
                box.rotate(Quaternion(ego["rotation"]).inverse)
                yield scene["name"], frame, sample, devkit.get("sample_annotation", annotation), box
            token, frame = sample["next"], frame + 1


def test_every_box_agrees_with_nuscenes_devkit(folder, devkit):
    """Ego-frame centre, yaw and velocity to 1e-6."""
    from nuscenes.eval.common.utils import quaternion_yaw

    tracks = Store.open(folder / "store").read_all("tracks").to_pandas().set_index(["log_id", "frame", "track_id"])
    compared = 0
    for name, frame, _, annotation, box in _annotations(devkit):
        ours = tracks.loc[(name, frame, annotation["instance_token"])]
        assert np.allclose(ours[["x_m", "y_m", "z_m"]].astype(float), box.center, rtol=0, atol=1e-6)
        assert abs(wrap_rad(ours["yaw_rad"] - quaternion_yaw(box.orientation))) < 1e-6
        assert np.allclose(
            ours[["vx_mps", "vy_mps"]].astype(float), box.velocity[:2], rtol=0, atol=1e-6, equal_nan=True
        )
        assert np.allclose(ours[["width_m", "length_m", "height_m"]].astype(float), box.wlh)
        compared += 1
    assert compared == len(tracks) == len(devkit.sample_annotation) > 100


def test_projected_boxes_agree_with_nuscenes_devkit(folder, devkit):
    """Boxes wholly in front of a camera, clipped to the image, to 1e-3 px."""
    from nuscenes.scripts.export_2d_annotations_as_json import post_process_coords
    from nuscenes.utils.geometry_utils import BoxVisibility, view_points

    tracks = Store.open(folder / "store").read_all("tracks", ["log_id", "frame", "track_id", "cameras"]).to_pandas()
    ours = {
        (row.log_id, row.frame, row.track_id, view["camera"]): view
        for row in tracks.itertuples()
        for view in row.cameras
    }
    compared = 0
    for name, frame, sample in {(name, frame, sample["token"]) for name, frame, sample, _, _ in _annotations(devkit)}:
        for camera, capture in devkit.get("sample", sample)["data"].items():
            if not camera.startswith("CAM"):
                continue
            _, boxes, intrinsic = devkit.get_sample_data(capture, box_vis_level=BoxVisibility.NONE)
            for box in boxes:
                track_id = devkit.get("sample_annotation", box.token)["instance_token"]
                view = ours.get((name, frame, track_id, camera))
                if view is None or box.corners()[2].min() < 0.1:
                    continue
                corners_px = view_points(box.corners(), np.array(intrinsic), normalize=True)[:2].T
                theirs_px = post_process_coords(corners_px.tolist(), imsize=(800, 450))
                assert np.allclose(
                    [view[key] for key in ("u0_px", "v0_px", "u1_px", "v1_px")], theirs_px, rtol=0, atol=1e-3
                )
                compared += 1
    assert compared > 100


def test_every_answer_is_recomputed_from_the_raw_tables(folder):
    store = Store.open(folder / "store")
    for log_id in store.log_ids():
        result = check_log(store, log_id)
        assert result.mismatches == []
        assert result.total > 50
