"""The whole path through the command line, on a small synthetic world; and the same bytes however it is run."""

import hashlib
import json

import mlflow
import pandas as pd
import pytest

from drive_vqa.cli import main
from drive_vqa.store import Store
from drive_vqa.tracking import default_uri

SYNTH = ["--scenes", "3", "--seed", "5", "--duration", "6"]


def _run(*arguments):
    assert main([str(argument) for argument in arguments]) == 0


def _make_store(folder, workers):
    """Drives and store below a folder; both have the same names in every folder."""
    _run("synth", "--out", folder / "drives", *SYNTH, "--workers", workers)
    _run("ingest", folder / "drives", "--format", "nuscenes", "--out", folder / "store", "--workers", workers)
    _run("fuse", folder / "store", "--workers", workers)
    _run("generate", folder / "store", "--workers", workers)
    return folder / "store"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two_workers")
    _make_store(folder, workers=2)
    return folder


def _digests(folder):
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def test_the_same_seed_and_another_number_of_workers_give_the_same_bytes(folder, tmp_path):
    _make_store(tmp_path, workers=1)
    assert _digests(tmp_path) == _digests(folder)


def test_a_second_call_writes_nothing(folder):
    before = {path: path.stat().st_mtime_ns for path in (folder / "store").rglob("*.parquet")}
    _make_store(folder, workers=1)
    after = {path: path.stat().st_mtime_ns for path in (folder / "store").rglob("*.parquet")}
    assert before == after


def test_every_family_has_at_least_four_types_and_splits_never_share_a_log(folder):
    questions = Store.open(folder / "store").read_all("questions").to_pandas()
    assert (questions.groupby("family")["type"].nunique() >= 4).all()
    assert set(questions["family"]) == {"object", "ego", "future"}
    assert (questions.groupby("log_id")["split"].nunique() == 1).all()
    assert set(questions["split"]) == {"train", "val", "test"}
    assert questions["qa_id"].is_unique


def test_from_store_to_report(folder, tmp_path):
    store, run = folder / "store", tmp_path / "run"
    _run("finetune", store, "--model", "tiny", "--out", run, "max_steps=3", "dense_pretraining.steps=0")
    _run("predict", store, "--split", "test", "--model", "tiny", "--adapter", run, "--out", tmp_path / "p.parquet", "--limit", 40)
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
    lines = [json.dumps({"qa_id": row.qa_id, "text": row.answer}) for row in questions.itertuples() if row.split == "test"]
    (tmp_path / "truth.jsonl").write_text("\n".join(lines))
    _run("evaluate", folder / "store", "--predictions", tmp_path / "truth.jsonl", "--out", tmp_path / "eval")
    metrics = json.loads((tmp_path / "eval" / "metrics.json").read_text())
    assert metrics["parse.failure_rate"]["value"] == 0
    assert metrics["localization.tlc"]["value"] == metrics["localization.coverage"]["value"]
    for name, metric in metrics.items():
        if name.startswith("type.") and name.endswith(".accuracy"):
            assert metric["value"] == 1, name
