"""The whole way from a predictions file to metrics.json, on a world whose numbers are known by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from drive_vqa.errors import PredictionError
from drive_vqa.schema import table_from_rows
from drive_vqa.store import read_table
from eval.evaluate import evaluate
from eval.localization import lsr, mlsr, tlc


@pytest.fixture(autouse=True)
def untracked(monkeypatch):
    """MLflow has its own test below; a store a test would be slow."""
    monkeypatch.setattr("drive_vqa.tracking.session.find_spec", lambda name: None)


def true_answers(store, split="test"):
    table = store.read_all("questions", ["qa_id", "type", "answer", "split"])
    return {row["qa_id"]: row["answer"] for row in table.to_pylist() if row["split"] == split}


def write_lines(path: Path, answers) -> Path:
    path.write_text("".join(json.dumps({"qa_id": key, "text": text}) + "\n" for key, text in answers.items()))
    return path


def scored(store, tmp_path, answers, **options):
    headline = evaluate(store, write_lines(tmp_path / "model.jsonl", answers), tmp_path / "eval", **options)
    return json.loads((tmp_path / "eval/metrics.json").read_text()), headline


def test_perfect_answers_are_all_right(world, tmp_path):
    metrics, headline = scored(world, tmp_path, true_answers(world))
    right = [name for name in metrics if name.rpartition(".")[2].startswith(("mlsr", "tlc", "accuracy", "sr_", "lsr"))]
    right = [name for name in right if not name.startswith(("baseline.", "versus."))]
    assert {name for name in right if metrics[name]["value"] != 1.0} == {"slice.in_view_at_t.false.localization.mlsr"}
    assert metrics["slice.in_view_at_t.false.localization.mlsr"]["n"] == 0
    assert metrics["localization.tlc"]["n"] == 3 * 3 * 4
    assert metrics["localization.mlsr"]["n"] == 3 * 3 * 4 * 4
    assert (
        metrics["localization.mlsr"] | {"value": 1.0, "clusters": 3, "cluster_kind": "log"}
        == metrics["localization.mlsr"]
    )
    assert metrics["coverage"]["value"] == metrics["localization.coverage"]["value"] == 1.0
    for name in ("dangerous_far_rate", "over_cautious_rate", "dangerous_slow_closing_rate", "missed_approach_rate"):
        assert metrics[f"safety.{name}"]["value"] == 0.0
        assert metrics[f"safety.{name}"]["n"] > 0
    assert metrics["parse.failure_rate"]["value"] == 0.0
    assert "equal to constant velocity from the true state (MLSR 100.0 %" in headline


def test_distances_a_quarter_too_far_fail_and_are_dangerous(world, tmp_path):
    answers = true_answers(world)
    for row in world.read_all("questions").to_pylist():
        if row["answer_type"] == "localization" and row["qa_id"] in answers:
            truth = row["truth"]
            answers[row["qa_id"]] = f"{1.26 * truth['distance_m']:.4f} m, {truth['bearing_deg']:.2f} degrees"
    metrics, headline = scored(world, tmp_path, answers)
    assert metrics["localization.mlsr"]["value"] == 0.0
    assert metrics["localization.sr_distance"]["value"] == 0.0
    assert metrics["localization.sr_bearing"]["value"] == 1.0
    assert metrics["safety.dangerous_far_rate"]["value"] == 1.0
    assert metrics["safety.dangerous_far_rate.class.pedestrian"]["value"] == 1.0
    assert metrics["safety.over_cautious_rate"]["value"] == 0.0
    assert metrics["type.localization_t0.median_signed_relative_error_distance"]["value"] == pytest.approx(
        0.26, abs=1e-4
    )
    assert metrics["versus.constant_velocity.localization.mlsr"]["value"] == -1.0
    assert "below constant velocity" in headline


def test_constant_velocity_is_perfect_here_and_constant_position_is_not(world, tmp_path):
    metrics, _ = scored(world, tmp_path, true_answers(world))
    velocity, position = "baseline.constant_velocity.", "baseline.constant_position."
    for name in ("localization.mlsr", "localization.tlc", "speed.sr.ego", "type.approach_t1.accuracy"):
        assert metrics[velocity + name]["value"] == 1.0
    assert metrics[position + "localization.lsr.t0"]["value"] == 1.0
    assert metrics[position + "localization.lsr.t3"]["value"] < 0.6
    assert metrics[velocity + "prediction.fde_m"]["value"] == pytest.approx(0.0, abs=1e-9)
    assert metrics["baseline.class_median.type.people.accuracy"]["value"] == 1.0
    assert metrics["baseline.class_median.localization.coverage"]["value"] == 1.0


def test_questions_without_a_prediction_fail_and_show_in_coverage(world, tmp_path):
    answers = {key: text for key, text in true_answers(world).items() if "-localization_t3-" not in key}
    metrics, _ = scored(world, tmp_path, answers)
    assert metrics["localization.lsr.t3"]["value"] == 0.0
    assert metrics["localization.mlsr"]["value"] == metrics["localization.coverage"]["value"] == 0.75
    assert metrics["localization.tlc"]["value"] == 0.0
    assert metrics["localization.tlc.k2"]["value"] == 1.0
    assert metrics["localization.mlsr_parsed_only"]["value"] == 1.0
    assert metrics["prediction.ade_m"] == {
        "value": None,
        "n": 0,
        "low": None,
        "high": None,
        "clusters": 0,
        "cluster_kind": None,
    }
    assert metrics["prediction.miss_rate_2m"]["value"] == 1.0


def test_a_horizon_that_was_not_asked_fails_but_not_in_asked_only(tmp_path, write_store):
    store = write_store(tmp_path / "store", {"a": "test", "b": "test"})
    for log_id in store.log_ids():
        table = store.read("questions", log_id)
        kept = [row for row in table.to_pylist() if row["qa_id"] != f"{log_id}-0-localization_t2-1"]
        store.write("questions", log_id, table_from_rows("questions", kept), "one question less")
    metrics, _ = scored(store, tmp_path, true_answers(store))
    assert metrics["localization.mlsr"]["value"] == metrics["localization.coverage"]["value"] == 1 - 2 / (2 * 3 * 4 * 4)
    assert metrics["localization.tlc"]["value"] == 1 - 2 / (2 * 3 * 4)
    assert metrics["localization.lsr.t1"]["value"] == 1.0
    assert metrics["localization.mlsr_asked_only"]["value"] == metrics["localization.tlc_asked_only"]["value"] == 1.0
    assert metrics["localization.tlc_asked_only"]["n"] == 2 * 3 * 4 - 2


def test_the_panel_is_the_formulas(world, tmp_path):
    """MLSR, TLC and LSR as eval.localization defines them on the very answers."""
    answers = true_answers(world)
    wrong = [key for number, key in enumerate(sorted(answers)) if "localization" in key and number % 7 == 0]
    metrics, _ = scored(world, tmp_path, answers | dict.fromkeys(wrong, "1 m, 170 degrees"))
    groups = sorted(
        {(key.split("-localization")[0], key.rpartition("-")[2]) for key in answers if "localization" in key}
    )
    success = np.array([[f"{g}-localization_t{t}-{mark}" not in wrong for t in range(4)] for g, mark in groups])
    assert 0 < tlc(success) < mlsr(success) < 1
    assert metrics["localization.mlsr"]["value"] == pytest.approx(mlsr(success))
    assert metrics["localization.tlc"]["value"] == pytest.approx(tlc(success))
    assert [metrics[f"localization.tlc.k{k}"]["value"] for k in (1, 2)] == pytest.approx(
        [tlc(success, 1), tlc(success, 2)]
    )
    assert [metrics[f"localization.lsr.t{t}"]["value"] for t in range(4)] == pytest.approx(lsr(success))


def test_unreadable_answers_fail_with_their_reason(world, tmp_path):
    answers = true_answers(world)
    bad = sorted(key for key in answers if "-localization_t1-" in key)
    answers |= {bad[0]: "I cannot tell.", bad[1]: "12, 30", bad[2]: "10 to 20 meters, 3 degrees", bad[3]: ""}
    metrics, _ = scored(world, tmp_path, answers)
    for reason in ("refusal", "missing_unit", "several_values", "empty"):
        assert metrics[f"parse.failure_rate.{reason}"]["value"] == pytest.approx(1 / len(answers))
    scores = {row["qa_id"]: row for row in read_table(tmp_path / "eval/scores.parquet", "scores").to_pylist()}
    assert [scores[key]["failure"] for key in bad[:4]] == ["refusal", "missing_unit", "several_values", "empty"]
    assert all(scores[key]["parsed"] is None and scores[key]["success"] is False for key in bad[:4])
    assert scores[bad[4]]["parsed"]["distance_m"] > 0
    assert scores[bad[4]]["speed_ok"] is None


def test_the_share_of_unreadable_answers_is_theirs_alone(world, tmp_path):
    answers = true_answers(world)
    refused = sorted(answers)[: len(answers) // 4]
    metrics, _ = scored(world, tmp_path, answers | dict.fromkeys(refused, "I cannot tell."))
    assert metrics["parse.failure_rate"]["value"] == pytest.approx(len(refused) / len(answers))
    assert metrics["parse.failure_rate.refusal"]["value"] == pytest.approx(len(refused) / len(answers))


def test_files_say_what_was_evaluated(world, tmp_path):
    scored(world, tmp_path, true_answers(world))
    config = yaml.safe_load((tmp_path / "eval/config.yaml").read_text())
    assert not Path(config["store"]).is_absolute()
    assert (tmp_path / "eval" / config["store"]).resolve() == world.root.resolve()
    assert (config["model"], config["split"], config["split_rule"], config["logs"]) == (
        "model",
        "test",
        "whole-logs",
        3,
    )
    assert config["questions"] == config["answers"] == len(true_answers(world))
    baselines = read_table(tmp_path / "eval/baseline_scores.parquet", "scores")
    names = {"constant_position", "constant_velocity", "class_median", "text_only", "majority", "own_present"}
    assert set(baselines["model"].to_pylist()) == names
    assert sorted(path.name for path in (tmp_path / "eval").iterdir()) == [
        "baseline_scores.parquet",
        "calibration.json",
        "config.yaml",
        "metrics.json",
        "scores.parquet",
        "unanswered.parquet",
    ]


def test_the_same_predictions_give_the_same_bytes(world, tmp_path):
    predictions = write_lines(tmp_path / "model.jsonl", true_answers(world))
    for name in ("one", "two"):
        evaluate(world, predictions, tmp_path / name)
    for file in ("metrics.json", "scores.parquet", "baseline_scores.parquet", "config.yaml"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_slices_have_names_that_mlflow_takes(world, tmp_path):
    metrics, _ = scored(world, tmp_path, true_answers(world))
    for name in ("moving.true", "moving.false", "category.car", "ttc_bin.under_0_95", "ttc_bin.none", "range.20_40"):
        assert metrics[f"slice.{name}.localization.mlsr"]["value"] == 1.0
    assert metrics["slice.category.car.localization.tlc"]["n"] == 3 * 3 * 2
    assert metrics["slice.in_view_at_t.true.localization.mlsr"]["n"] == 3 * 3 * 4 * 4
    allowed = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-. /")
    assert all(set(name) <= allowed for name in metrics)


def test_one_log_draws_frames(tmp_path, write_store):
    store = write_store(tmp_path / "store", {"only": "test"})
    metrics, _ = scored(store, tmp_path, true_answers(store))
    assert metrics["accuracy"]["cluster_kind"] == "frame"
    assert metrics["accuracy"]["clusters"] == 3
    assert metrics["baseline.class_median.accuracy"]["value"] is None


def test_parquet_predictions_with_samples(world, tmp_path):
    answers = true_answers(world)
    rows = [{"qa_id": key, "text": "no idea", "model": "m", "sample": 1} for key in answers]
    rows += [{"qa_id": key, "text": text, "model": "m", "sample": 0} for key, text in answers.items()]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "p.parquet")
    evaluate(world, tmp_path / "p.parquet", tmp_path / "eval")
    metrics = json.loads((tmp_path / "eval/metrics.json").read_text())
    assert metrics["accuracy"]["value"] == 1.0
    assert read_table(tmp_path / "eval/scores.parquet", "scores").num_rows == 2 * len(answers)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (['{"qa_id": "nowhere", "text": "5"}'], "'nowhere'"),
        (['{"qa_id": "a-0-people-None", "text": "1"}'] * 2, "twice"),
        (['{"qa_id": "a-0-people-None", "text": 1}'], "'text' must be text, got int"),
        (['{"qa_id": "a-0-people-None", "text": null}'], "'text' must be text, got NoneType"),
        (['{"qa_id": "a-0-people-None"}'], "has no 'text'"),
        (["[1, 2]"], "line 1 is not a JSON object"),
        (['{"qa_id": '], "line 1 is not JSON"),
        (["[" * 100_000], "line 1 is not JSON"),
        (['{"qa_id": "a-0-people-None", "text": "1", "sample": -1}'], "'sample' must be"),
        ([], "holds no predictions"),
        (
            [
                '{"qa_id": "a-0-people-None", "text": "1", "model": "x"}',
                '{"qa_id": "b-0-people-None", "text": "1", "model": "y"}',
            ],
            "several models",
        ),
        (
            ['{"qa_id": "a-0-people-None", "text": "1"}', '{"qa_id": "b-0-people-None", "text": "1", "model": "y"}'],
            "other keys",
        ),
    ],
)
def test_bad_json_lines_are_refused_in_one_sentence(world, tmp_path, lines, message):
    path = tmp_path / "bad.jsonl"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(PredictionError, match=message) as caught:
        evaluate(world, path, tmp_path / "eval")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "eval").exists()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"qa_id": ["a-0-people-None"], "text": [1.0]}, "column 'text' has type double"),
        ({"qa_id": ["a-0-people-None"]}, "has no 'text'"),
        ({"qa_id": ["a-0-people-None"], "text": pa.array([None], pa.string())}, "row 1 has no text"),
        ({"qa_id": ["a-0-people-None"], "text": ["1"], "sample": [0.5]}, "column 'sample' has type double"),
        (
            {"qa_id": ["a-0-people-None"], "text": pa.array([b"\xff"], pa.binary()).view(pa.string())},
            "not a readable Parquet",
        ),
    ],
)
def test_bad_parquet_is_refused(world, tmp_path, columns, message):
    pq.write_table(pa.table(columns), tmp_path / "bad.parquet")
    with pytest.raises(PredictionError, match=message):
        evaluate(world, tmp_path / "bad.parquet", tmp_path / "eval")


@pytest.mark.parametrize(
    ("suffix", "content"),
    [(".parquet", b""), (".parquet", b"PAR1 no"), (".jsonl", b""), (".jsonl", b"\xff\xfe\x00"), (".csv", b"")],
)
def test_files_of_other_kinds_are_refused(world, tmp_path, suffix, content):
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(content)
    with pytest.raises(PredictionError, match="bad"):
        evaluate(world, path, tmp_path / "eval")


def test_a_lone_surrogate_in_an_answer_is_scored_as_unreadable(world, tmp_path):
    path = tmp_path / "odd.jsonl"
    path.write_text('{"qa_id": "a-0-people-None", "text": "\\ud800 \\u0000"}\n')
    evaluate(world, path, tmp_path / "eval")
    scores = read_table(tmp_path / "eval/scores.parquet", "scores").to_pylist()
    assert scores[0]["failure"] == "empty"


def test_a_split_can_be_chosen(world, tmp_path):
    answers = true_answers(world) | true_answers(world, "train")
    metrics, _ = scored(world, tmp_path, answers, split="train")
    assert metrics["accuracy"]["n"] == len(true_answers(world, "train"))
    with pytest.raises(PredictionError, match="no question of split 'val'"):
        scored(world, tmp_path, answers, split="val")


def test_all_is_in_mlflow(world, tmp_path, monkeypatch):
    monkeypatch.undo()
    import mlflow

    uri = f"sqlite:///{tmp_path / 'runs.db'}"
    metrics, headline = scored(world, tmp_path, true_answers(world), tracking_uri=uri)
    mlflow.set_tracking_uri(uri)
    run = mlflow.search_runs(search_all_experiments=True, output_format="list")[0]
    assert run.data.metrics["localization.mlsr"] == metrics["localization.mlsr"]["value"] == 1.0
    assert "baseline.constant_velocity.localization.mlsr" in run.data.metrics
    assert run.data.tags["headline"] == headline
    assert run.data.params["split"] == "test"
