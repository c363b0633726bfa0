"""Every benchmark from its files to metrics: perfect answers, none, and what is written."""

from __future__ import annotations

import json
import math
import re
from random import Random

import pyarrow.parquet as pq
import pytest
import yaml

from drive_vqa.errors import ConfigError, PredictionError, RecordError
from drive_vqa.schema import SCORES
from eval.benchmarks.score import BENCHMARKS, score_benchmark
from eval.benchmarks.scored import estimated
from eval.evidence.chains import LEAST_MISS
from eval.reasoning.hostile import make_text
from tests.eval.benchmarks.examples import EXAMPLES, write_predictions, write_treebench


@pytest.fixture
def example(request, tmp_path):
    """Name, data and right answers of a benchmark."""
    (tmp_path / "data").mkdir()
    return request.param, *EXAMPLES[request.param](tmp_path / "data")


def every(name="example"):
    return pytest.mark.parametrize(name, EXAMPLES, indirect=True)


def test_every_benchmark_has_an_example():
    assert set(EXAMPLES) == set(BENCHMARKS)


@every()
def test_perfect_answers_give_everything(example, tmp_path):
    name, data, right = example
    predictions = write_predictions(tmp_path / "perfect.jsonl", right)
    sentence = score_benchmark(name, data, predictions, tmp_path / "out")
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["coverage"] == metrics["coverage"] | {"value": 1.0, "high": 1.0, "n": len(right)}
    assert "without an answer" not in sentence
    for metric, entry in metrics.items():
        best = 0.0 if "error" in metric or "failure" in metric else 1.0
        best = -math.log(LEAST_MISS) if metric.endswith("lgm") else best
        if not metric.startswith("quantitative."):  # SpatialRGPT-Bench allows errors
            assert entry["value"] == pytest.approx(best), metric


@every()
def test_no_answers_give_nothing(example):
    name, data, _ = example
    benchmark = BENCHMARKS[name]
    tasks = benchmark.read(data)
    scored = benchmark.score(tasks, [None] * len(tasks))
    metrics = estimated(benchmark.metrics(scored), scored)
    assert {metrics[metric].value for metric in (*benchmark.headline, "coverage")} == {0.0}
    assert {entry.value for entry in metrics.values()} <= {0.0, None}


@every()
def test_answers_that_say_nothing_are_wrong_and_counted(example, tmp_path):
    name, data, right = example
    predictions = write_predictions(tmp_path / "mute.jsonl", dict.fromkeys(right, "..."))
    score_benchmark(name, data, predictions, tmp_path / "out")
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["parse.failure_rate"]["value"] == 1.0
    assert all(metrics[metric]["value"] == 0.0 for metric in BENCHMARKS[name].headline)
    assert set(pq.read_table(tmp_path / "out" / "scores.parquet")["failure"].to_pylist()) <= {"empty", "no_answer"}


@every()
def test_no_text_is_too_odd(example):
    name, data, _ = example
    benchmark = BENCHMARKS[name]
    tasks = benchmark.read(data)
    for text in (*(make_text(Random(seed)) for seed in range(8)), "1e999 \ud800\x00[NaN]", "[1," * 400_000):
        metrics = benchmark.metrics(benchmark.score(tasks, [text] * len(tasks)))
        assert {metric for metric, _ in metrics} >= set(benchmark.headline)


def test_what_is_written(tmp_path):
    data, _ = write_treebench(tmp_path)
    predictions = write_predictions(tmp_path / "model.jsonl", {"1": "B"})
    sentence = score_benchmark("treebench", data, predictions, tmp_path / "out")
    assert re.sub(r" \[.*?\]", "", sentence) == (
        "treebench, model: accuracy 0.0, grounding.miou_recall 0.0 (in hundredths, n = 2). "
        "Questions without an answer, which count as wrong: 1."
    )
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert set(metrics["accuracy"]) == {"value", "n", "low", "high", "clusters", "cluster_kind"}
    assert (metrics["accuracy"]["clusters"], metrics["accuracy"]["cluster_kind"]) == (2, "question")
    assert metrics["coverage"]["value"] == 0.5
    config = yaml.safe_load((tmp_path / "out" / "config.yaml").read_text())
    assert (config["benchmark"], config["questions"], config["answers"]) == ("treebench", 2, 1)
    scores = pq.read_table(tmp_path / "out" / "scores.parquet")
    assert scores.schema.remove_metadata() == SCORES
    (row,) = scores.to_pylist()
    assert (row["qa_id"], row["text"], row["success"], row["parsed"]["choice"]) == ("1", "B", False, "the vase")


def test_of_repeated_answers_the_first_makes_the_metrics(tmp_path):
    data, _ = write_treebench(tmp_path)
    lines = [{"qa_id": "0", "text": "A", "sample": 1}, {"qa_id": "0", "text": "B", "sample": 0}]
    predictions = tmp_path / "sampled.jsonl"
    predictions.write_text("".join(json.dumps(line) + "\n" for line in lines))
    score_benchmark("treebench", data, predictions, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["accuracy"]["value"] == 0.5
    rows = pq.read_table(tmp_path / "out" / "scores.parquet").to_pylist()
    assert [(row["sample"], row["success"]) for row in rows] == [(0, True), (1, False)]


def test_wrong_use_is_told(tmp_path):
    data, right = write_treebench(tmp_path)
    predictions = write_predictions(tmp_path / "model.jsonl", {**right, "7": "A", "8": "A"})
    with pytest.raises(ConfigError, match="there is no benchmark 'tree': give one of stride-bench, treebench"):
        score_benchmark("tree", data, predictions, tmp_path / "out")
    with pytest.raises(ConfigError, match="is a file: give --out a folder"):
        score_benchmark("treebench", data, predictions, data)
    with pytest.raises(
        PredictionError, match="answers question '7' and 1 more, which .* does not have: .* such as '0'"
    ):
        score_benchmark("treebench", data, predictions, tmp_path / "out")
    with pytest.raises(RecordError, match="nowhere does not exist: give the benchmark's file or folder"):
        score_benchmark("treebench", tmp_path / "nowhere", predictions, tmp_path / "out")
    assert not (tmp_path / "out").exists()
