"""What stands beside a model in an evaluation, and files that say more or less than they answer."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from drive_vqa.errors import ConfigError, PredictionError, StoreError
from eval.evaluate import evaluate
from eval.gated import gate_evaluation
from eval.predict.selection import ASKED_KEY, LEFT_OUT_KEY, SELECTION_KEY, Selection
from eval.tracked import data_digest


@pytest.fixture(autouse=True)
def untracked(monkeypatch):
    monkeypatch.setattr("drive_vqa.tracking.session.find_spec", lambda name: None)


@pytest.fixture(scope="module")
def true(world):
    rows = world.read_all("questions", ["qa_id", "answer", "split", "type"]).to_pylist()
    return {row["qa_id"]: row["answer"] for row in rows if row["split"] == "test"}


def write(path, answers, selection=None, left_out=(), control=""):
    rows = [{"qa_id": key, "text": text, "model": "m", "sample": 0} for key, text in answers.items()]
    metadata = {LEFT_OUT_KEY: json.dumps(list(left_out)), ASKED_KEY: json.dumps({"settings": {"control": control}})}
    if selection is not None:
        metadata[SELECTION_KEY] = selection.as_json()
    pq.write_table(pa.Table.from_pylist(rows).replace_schema_metadata(metadata), path)
    return path


def metrics_of(folder):
    return json.loads((folder / "metrics.json").read_text())


def test_only_what_was_asked_is_scored(world, true, tmp_path):
    clocks = {key: text for key, text in true.items() if "-clock-" in key}
    answered = dict(list(clocks.items())[1:])
    told = evaluate(world, write(tmp_path / "p.parquet", answered, Selection("test", types=("clock",))), tmp_path / "e")
    metrics = metrics_of(tmp_path / "e")
    assert (metrics["accuracy"]["n"], metrics["coverage"]["value"]) == (36, 35 / 36)
    assert f"Asked were 36 of the {len(true)} questions of the split." in told
    assert "1 of 36 questions have no answer and count as wrong." in told
    assert pq.read_table(tmp_path / "e/unanswered.parquet")["qa_id"].to_pylist() == [next(iter(clocks))]


def test_what_could_not_be_asked_so_does_not_count(world, true, tmp_path):
    left_out = list(true)[:5]
    answered = {key: text for key, text in true.items() if key not in left_out}
    evaluate(world, write(tmp_path / "p.parquet", answered, Selection("test"), left_out), tmp_path / "e")
    assert (
        metrics_of(tmp_path / "e")["coverage"] | {"value": 1.0, "n": len(answered)}
        == metrics_of(tmp_path / "e")["coverage"]
    )


@pytest.mark.parametrize(
    "claim", [{"selection": Selection("test", limit=5)}, {"selection": Selection("test"), "left_out": True}]
)
def test_answers_that_the_file_disowns_are_refused(world, true, tmp_path, claim):
    claim |= {"left_out": list(true)[:3]} if "left_out" in claim else {}
    with pytest.raises(PredictionError, match="says that it was not asked"):
        evaluate(world, write(tmp_path / "p.parquet", true, **claim), tmp_path / "e")


def test_a_control_is_what_its_file_says(world, true, tmp_path):
    main, blank = write(tmp_path / "p.parquet", true), write(tmp_path / "b.parquet", true, control="blank")
    with pytest.raises(ConfigError, match="asked under blank: it is no control mirror"):
        evaluate(world, main, tmp_path / "e", controls={"mirror": blank})
    with pytest.raises(ConfigError, match="asked as stored: it is no control blank"):
        evaluate(world, main, tmp_path / "e", controls={"blank": main})
    with pytest.raises(ConfigError, match="there is no control 'a.b': choose one of blank"):
        evaluate(world, main, tmp_path / "e", controls={"a.b": blank})
    evaluate(world, main, tmp_path / "e", controls={"blank": blank})
    metrics = metrics_of(tmp_path / "e")
    assert metrics["versus.control.blank.accuracy"]["value"] == 0.0
    assert metrics["safety.hallucination_rate.blank"]["value"] == 1.0


def test_a_probe_gives_agreement_and_no_panel(world, true, tmp_path):
    main = write(tmp_path / "p.parquet", true)
    other = {key: "12 o'clock" if "-clock-" in key else text for key, text in true.items()}
    evaluate(
        world, main, tmp_path / "e", controls={"paraphrase": write(tmp_path / "o.parquet", other, control="paraphrase")}
    )
    metrics = metrics_of(tmp_path / "e")
    agreement = metrics["consistency.paraphrase.type.clock.agreement"]
    assert agreement["value"] == sum(true[key] == "12 o'clock" for key in true if "-clock-" in key) / 36
    assert metrics["consistency.paraphrase.type.bearing.agreement"]["value"] == 1.0
    assert not [name for name in metrics if name.startswith("control.")]


def test_learned_baselines_are_not_asked_what_they_learned_from(world, tmp_path):
    rows = world.read_all("questions", ["qa_id", "answer", "split"]).to_pylist()
    train = {row["qa_id"]: row["answer"] for row in rows if row["split"] == "train"}
    evaluate(world, write(tmp_path / "p.parquet", train), tmp_path / "e")
    names = {name.split(".")[1] for name in metrics_of(tmp_path / "e") if name.startswith("baseline.")}
    assert names == {"constant_position", "constant_velocity", "own_present"}


def test_the_data_digest_is_that_of_the_questions(world):
    config = {"questions_sha256": "a", "selection": {}}
    assert data_digest(world, config) == data_digest(world, {**config, "selection": {"limit": 1000}})
    assert data_digest(world, config) != data_digest(world, {**config, "questions_sha256": "b"})
    assert data_digest(world, config) != data_digest(world, {**config, "selection": {"regions": "boxes"}})


@pytest.mark.parametrize(
    "entry",
    [
        {"value": 0.5, "n": 10, "low": 0.4, "high": float("nan")},
        {"value": float("nan"), "n": 10, "low": 0.4, "high": 0.5},
    ],
)
def test_a_gate_does_not_open_for_what_is_no_number(tmp_path, entry):
    (tmp_path / "metrics.json").write_text(json.dumps({"accuracy": entry}))
    (tmp_path / "gate.yaml").write_text("limits: [{metric: accuracy, at_least: 0.1, at_most: 0.9}]")
    assert not gate_evaluation(tmp_path, tmp_path / "gate.yaml").passed


@pytest.mark.parametrize("content", ["[" * 100_000, '{"accuracy": {"value": "x", "n": 1}}', "{}x", '{"accuracy": 1}'])
def test_damaged_numbers_are_one_clear_error(tmp_path, content):
    (tmp_path / "metrics.json").write_text(content)
    (tmp_path / "gate.yaml").write_text("limits: [{metric: accuracy, at_least: 0.1}]")
    with pytest.raises(StoreError, match="damaged"):
        gate_evaluation(tmp_path, tmp_path / "gate.yaml")


def test_numbers_of_before_are_gone_before_new_answers_are_written(world, true, tmp_path, monkeypatch):
    path = write(tmp_path / "p.parquet", true)
    evaluate(world, path, tmp_path / "e")
    monkeypatch.setattr("eval.evaluate.write_scores", lambda *_: (_ for _ in ()).throw(OSError("killed")))
    with pytest.raises(OSError, match="killed"):
        evaluate(world, path, tmp_path / "e")
    assert not (tmp_path / "e/metrics.json").exists()
