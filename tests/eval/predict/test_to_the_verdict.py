"""From a model on a server to a verdict through the command line: a control, a gate, a report, a comparison."""

from __future__ import annotations

import json

import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml

from drive_vqa.cli import main

GATE = """
limits:
  - {metric: localization.mlsr, at_least: 0.9, on: value}
  - {metric: safety.dangerous_far_rate.class.*, at_most: 0.05, on: value}
"""
TYPES = ["localization_t0", "localization_t1", "localization_t2", "localization_t3", "clock"]


def run(*words: object) -> int:
    return main([str(word) for word in words])


@pytest.fixture
def predicted(write_store, server, tmp_path):
    """A store and the answers of a server that reads the right ones off a list; the control's are never right."""
    store = write_store(tmp_path / "store", {"a": "test", "b": "test", "d": "train"})
    true = {row["question"]: row["answer"] for row in store.read_all("questions").to_pylist() if row["log_id"] == "a"}
    say = {"text": lambda question: true[question.splitlines()[0]]}

    def behave(handler, question, _before):
        choice = {"message": {"role": "assistant", "content": say["text"](question)}}
        handler.send(200, {"choices": [choice], "usage": {"prompt_tokens": 1000, "completion_tokens": 10}})

    server.behave = behave
    words = ["predict", store.root, "--model", server.url, "--control", "no_image", "--types", ",".join(TYPES)]
    assert run(*words, "--out", tmp_path / "right.parquet", "--price-in", 2, "--price-out", 5) == 0
    say["text"] = lambda _question: "99 meters, 170 degrees"
    assert run(*words, "--out", tmp_path / "wrong.parquet") == 0
    return store


def test_all_the_way(predicted, tmp_path):
    import mlflow

    uri = f"sqlite:///{tmp_path / 'runs.db'}"
    (tmp_path / "gate.yaml").write_text(GATE)
    asked = [
        row for row in predicted.read_all("questions").to_pylist() if row["split"] == "test" and row["type"] in TYPES
    ]
    assert pq.read_table(tmp_path / "right.parquet").num_rows == len(asked)
    words = ["evaluate", predicted.root, "--gate", tmp_path / "gate.yaml", "--tracking-uri", uri]
    right = [*words, "--predictions", tmp_path / "right.parquet", "--control", f"no_image={tmp_path / 'wrong.parquet'}"]
    # log b has other truths than a, so not all are right
    assert run(*right, "--out", tmp_path / "eval", "--step", 7, "--fused", predicted.root) == 1
    metrics = json.loads((tmp_path / "eval/metrics.json").read_text())
    config = yaml.safe_load((tmp_path / "eval/config.yaml").read_text())
    assert (config["questions"], config["answered"], config["selection"]) == (
        len(asked),
        len(asked),
        {"types": sorted(TYPES)},
    )
    assert config["questions_of_split"] > config["questions"]
    assert metrics["control.no_image.localization.mlsr"]["value"] == 0.0
    assert metrics["versus.control.no_image.localization.mlsr"]["value"] == metrics["localization.mlsr"]["value"]
    assert metrics["baseline.constant_velocity_fused.localization.mlsr"]["value"] == 1.0
    assert "safety.hallucination_rate.no_image" in metrics
    assert run("report", tmp_path / "eval", "--out", tmp_path / "report.html") == 0
    assert run(*words, "--predictions", tmp_path / "wrong.parquet", "--out", tmp_path / "worse") == 1
    assert (
        run("compare", tmp_path / "eval", tmp_path / "worse", "--out", tmp_path / "compared", "--tracking-uri", uri)
        == 0
    )
    assert run("gate", tmp_path / "eval", "--gate", tmp_path / "gate.yaml") == 1
    assert "localization.mlsr" in (tmp_path / "eval/gate.md").read_text()
    flips = pd.read_parquet(tmp_path / "compared/flips.parquet")
    assert len(flips) > 0

    mlflow.set_tracking_uri(uri)
    runs = mlflow.search_runs(search_all_experiments=True, output_format="list")
    named = {name: [one for one in runs if one.info.run_name.startswith(name)] for name in ("evaluate", "compare")}
    first = max(named["evaluate"], key=lambda one: one.data.metrics["accuracy"])
    client = mlflow.MlflowClient(uri)
    assert [point.step for point in client.get_metric_history(first.info.run_id, "localization.mlsr")] == [7]
    kept = {file.path for file in client.list_artifacts(first.info.run_id)}
    assert {"metrics.json", "scores.parquet", "report.html", "gate.xml", "gate.md"} <= kept
    assert first.data.tags["gate"] == "failed"
    digest = first.data.tags["data_digest"]
    assert first.inputs.dataset_inputs[0].dataset.digest == digest[:36]
    assert {one.data.tags["data_digest"] for one in named["evaluate"]} == {digest}
    assert "comparison.html" in {file.path for file in client.list_artifacts(named["compare"][0].info.run_id)}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["predict", "STORE", "--model", "URL", "--adapter", "RUN"], "--adapter goes with a model that is loaded here"),
        (["predict", "STORE", "--model", "tiny", "--concurrency", "3"], "--concurrency goes with a server"),
        (["predict", "STORE", "--model", "URL", "--types", "localisation_t0"], "did you mean localization_t0"),
        (["predict", "STORE", "--model", "URL", "--control", "blanc"], "there is no control 'blanc'"),
        (["evaluate", "STORE", "--predictions", "P", "--limit", "3"], "need --split"),
        (["evaluate", "STORE", "--predictions", "P", "--gate", "no.yaml"], "no.yaml"),
    ],
)
def test_wrong_use_is_said_in_one_line(world, server, tmp_path, capsys, words, said):
    places = {"STORE": str(world.root), "URL": server.url}
    out = ["--out", str(tmp_path / "out.parquet")]
    assert main([*(places.get(word, word) for word in words), *out]) == 2
    told = capsys.readouterr().err.strip()
    assert said in told
    assert "\n" not in told
    assert not list(tmp_path.iterdir())
