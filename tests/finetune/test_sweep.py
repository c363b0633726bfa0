"""Sweeps over a stand-in for the training."""

from __future__ import annotations

import csv
import json

import mlflow
import pytest

from drive_vqa.errors import ConfigError, ModelError
from drive_vqa.tracking import EXPERIMENT, default_uri, mlflow_run
from finetune.sweep import Axis, parse_axes, sweep

AXES = parse_axes(["lora.rank=4,8", "learning_rates.language=1e-3,2e-3"])


class Training:
    """Its loss is known: the rate, times 100 with a rank of 4."""

    def __init__(self, broken=()) -> None:
        self.broken = set(broken)
        self.seen = []

    def __call__(self, config, out, resume):
        rank, rate = config.lora.rank, config.learning_rates.language
        self.seen.append((rank, rate, resume))
        with mlflow_run(out, f"{rank}-{rate}", resume=resume) as run:
            if (rank, rate) in self.broken:
                raise ModelError("the loss is not a number")
            run.log_metrics({"train/loss": rate}, step=1)
        return {"eval/loss": rate * (100 if rank == 4 else 1), "train/loss": 1.0}


@pytest.fixture(autouse=True)
def _no_server(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def test_every_combination_is_trained_and_one_that_fails_stops_no_other(tmp_path):
    training = Training(broken=[(8, 1e-3)])
    result = sweep("stride", ["seed=3"], AXES, out=tmp_path / "run", train=training)
    assert training.seen == [(4, 1e-3, False), (4, 2e-3, False), (8, 1e-3, False), (8, 2e-3, False)]
    assert [row.status for row in result.rows] == ["finished", "finished", "failed", "finished"]
    assert result.failed == 1
    assert result.best == "rank=8,language=2e-3"
    written = json.loads((tmp_path / "run/sweep.json").read_text())
    assert (written["best"], written["compared_by"]) == (result.best, "eval/loss")
    rows = list(csv.DictReader((tmp_path / "run/sweep.csv").read_text().splitlines()))
    assert [row["lora.rank"] for row in rows] == ["4", "4", "8", "8"]
    assert rows[2]["error"] == "the loss is not a number"
    assert float(rows[3]["eval/loss"]) == 2e-3

    again = Training()
    result = sweep("stride", ["seed=3"], AXES, out=tmp_path / "run", train=again, resume=True)
    assert again.seen == [(8, 1e-3, True)]
    assert (result.failed, result.best) == (0, "rank=8,language=1e-3")
    with pytest.raises(ConfigError, match="--resume"):
        sweep("stride", ["seed=3"], AXES, out=tmp_path / "run", train=again)
    with pytest.raises(ConfigError, match="other settings"):
        sweep("stride", ["seed=4"], AXES, out=tmp_path / "run", train=again, resume=True)

    client = mlflow.MlflowClient(default_uri(tmp_path / "run"))
    runs = client.search_runs([client.get_experiment_by_name(EXPERIMENT).experiment_id])
    (parent,) = [run for run in runs if run.info.run_name == "sweep"]
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert sorted(run.info.status for run in children) == ["FINISHED"] * 4  # what failed was taken up again
    assert len(runs) == 5
    assert parent.data.params["lora.rank"] == "4,8"
    assert parent.data.tags["best"] == "rank=8,language=1e-3"
    assert not (tmp_path / "run" / result.best / "mlflow.db").exists()


def test_a_wrong_combination_is_refused_before_anything_is_trained(tmp_path):
    training = Training()
    with pytest.raises(ConfigError, match="rank"):
        sweep("stride", [], parse_axes(["lora.rank=4,0"]), out=tmp_path / "run", train=training)
    assert not training.seen
    assert not (tmp_path / "run").exists()


def test_axes_are_read_as_they_are_written():
    assert parse_axes(["a.b=1, 2", "c=[x,y],[z]"]) == (Axis("a.b", ("1", "2")), Axis("c", ("[x,y]", "[z]")))


@pytest.mark.parametrize("texts", [["a"], ["=1"], ["a="], ["a=1,,2"], ["a=1,1"], ["a=1", "a=2"]])
def test_axes_of_another_form_are_refused(texts):
    with pytest.raises(ConfigError, match="--sweep"):
        parse_axes(texts)


def test_names_stay_inside_the_sweeps_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")  # a process that records nothing
    axes = parse_axes(["lora.targets=../../x,/etc/y"])
    folders = []

    def train(_config, out, _resume):
        folders.append(out)
        return {}

    sweep("stride", [], axes, out=tmp_path / "run", train=train)
    assert all(folder.parent == tmp_path / "run" for folder in folders)
    assert len(set(folders)) == 2
