import math

import mlflow
import pytest

from drive_vqa.tracking import EXPERIMENT, default_uri, mlflow_run


def test_run_is_kept_in_the_output_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "out"
    out.mkdir()
    (out / "note.txt").write_text("kept")
    with mlflow_run(out, "train", params={"lr": 0.1}, tags={"digest": "d"}) as run:
        run.log_metrics({"loss": 2.0, "bad": math.nan}, step=1)
        run.log_artifact(out / "note.txt")
    with pytest.raises(RuntimeError), mlflow_run(out, "broken"):
        raise RuntimeError
    client = mlflow.MlflowClient(default_uri(out))
    experiment = client.get_experiment_by_name(EXPERIMENT)
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert runs["train"].data.metrics == {"loss": 2.0}
    assert runs["train"].data.params == {"lr": "0.1"}
    assert runs["train"].info.status == "FINISHED"
    assert runs["broken"].info.status == "FAILED"
    assert list(out.rglob("note.txt")) != [out / "note.txt"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]  # nothing beside the output folder


def test_each_output_folder_has_its_own_store(tmp_path):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        with mlflow_run(tmp_path / name, name):
            pass
    for name in ("first", "second"):
        (run,) = mlflow.MlflowClient(default_uri(tmp_path / name)).search_runs(["1"])
        assert run.info.run_name == name
