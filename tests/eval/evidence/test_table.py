"""Evidence metrics from a predictions file to metrics.json, on a store whose numbers are known by hand, and on honest traces."""

import json
import math
from collections import Counter

import pytest

from drive_vqa.cli import main
from drive_vqa.errors import StoreError
from drive_vqa.schema import table_from_rows
from drive_vqa.store import Store
from drive_vqa.traces import DIALECTS
from eval.compare import compare
from eval.evaluate import evaluate
from eval.evidence.judge import judge_evidence
from eval.evidence.truth import read_evidence
from eval.reasoning.read import read_trace
from qa_gen.ask import ask
from qa_gen.config import GenerateConfig
from qa_gen.drive import read_drive
from qa_gen.tracing.scene import read_states
from qa_gen.tracing.write import write_trace
from tests.qa_gen.oracle.world import CAMERAS, Looks, make_traffic, write_traffic

CORNERS = {"u0_px": 100.0, "v0_px": 100.0, "u1_px": 140.0, "v1_px": 120.0}
TRUE = "<obj>Region 0</obj><box>[100,100,140,120]</box>at<t>0.0</t>s"
HALF = TRUE.replace("140", "120")
FIGURES = (
    "miou_recall",
    "miou_precision",
    "miou_matched",
    "key_time_recall",
    "key_time_precision",
    "temporal_iou",
    "visual_iou",
)


@pytest.fixture(autouse=True)
def untracked(monkeypatch):
    monkeypatch.setattr("drive_vqa.tracking.session.find_spec", lambda name: None)


@pytest.fixture
def asked(tmp_path, write_store):
    """Two logs; questions about the lead rest on its box of now, those about nothing on none."""
    store = write_store(tmp_path / "store", {"a": "test", "b": "test"}, frames=1)
    for log_id in store.log_ids():
        view = {"frame": 0, "offset_s": 0.0, "camera": "front", "path": "x.png", "width": 640, "height": 480}
        mark = {"mark": 0, "track_id": "lead", "category": "car", "regions": [{"context": 0, **CORNERS}]}
        group = {**store.read("groups", log_id).to_pylist()[0], "context": [view], "marks": [mark]}
        evidence = [{"mark": 0, "context": 0}]
        rows = [
            row | {"evidence": evidence if row["marks"] == [0] else []}
            for row in store.read("questions", log_id).to_pylist()
        ]
        store.write("groups", log_id, table_from_rows("groups", [group]), "f")
        store.write("questions", log_id, table_from_rows("questions", rows), "f")
    return store


def rows_of(store):
    return store.read_all("questions").to_pylist()


def metrics_of(store, tmp_path, texts, **options):
    predictions = tmp_path / "model.jsonl"
    rows = [entry if isinstance(entry, dict) else {"text": entry} for entry in texts.values()]
    lines = (json.dumps({"qa_id": qa_id, **row}) for qa_id, row in zip(texts, rows, strict=True))
    predictions.write_text("\n".join(lines))
    evaluate(store, predictions, tmp_path / "eval", **options)
    return json.loads((tmp_path / "eval/metrics.json").read_text())


def reasoned(*steps, answer="x"):
    thought = "\n".join(steps)
    return f"<think>\n{thought}\n</think>\n<answer>{answer}</answer>"


def test_answers_are_right_or_wrong_over_questions_with_evidence_alone(asked, tmp_path):
    """What a control that hides the evidence is compared by; half of them are answered, and others do not count."""
    rows = rows_of(asked)
    about = [row for row in rows if row["evidence"]]
    texts = {row["qa_id"]: row["answer"] for row in about[::2]} | {
        row["qa_id"]: "x" for row in rows if row not in about
    }
    accuracy = metrics_of(asked, tmp_path, texts, traces="drive")["grounding.accuracy"]
    assert (accuracy["value"], accuracy["n"]) == (pytest.approx(len(about[::2]) / len(about)), len(about))


def test_every_question_with_evidence_counts(asked, tmp_path):
    about = [row for row in rows_of(asked) if row["evidence"]]
    metrics = metrics_of(
        asked, tmp_path, {row["qa_id"]: reasoned(TRUE, answer=row["answer"]) for row in about}, traces="drive"
    )
    for name in FIGURES:
        assert (metrics[f"grounding.{name}"]["value"], metrics[f"grounding.{name}"]["n"]) == (1.0, len(about))
    recall = metrics["grounding.miou_recall"]
    assert (recall["high"], recall["clusters"], recall["cluster_kind"]) == (1.0, 2, "log")
    assert 0.0 < recall["low"] < 0.5  # two logs that agree say little about others
    assert metrics["grounding.traced"]["value"] == metrics["grounding.well_formed"]["value"] == 1.0
    assert metrics["grounding.am"]["value"] == 1.0
    assert metrics["grounding.lgm"]["value"] == pytest.approx(-math.log(1e-6))
    assert metrics["grounding.points_in_box"]["n"] == metrics["grounding.places_in_band"]["n"] == 0


def test_what_reasons_nothing_counts_as_nothing_told(asked, tmp_path):
    about = [row["qa_id"] for row in rows_of(asked) if row["evidence"]]
    quarter = len(about) // 4
    texts = dict.fromkeys(about[:quarter], reasoned(HALF)) | dict.fromkeys(
        about[quarter : 2 * quarter], "<answer>x</answer>"
    )
    metrics = metrics_of(asked, tmp_path, texts, traces="drive")  # the other half has no prediction
    assert (
        metrics["grounding.miou_recall"] | {"n": len(about), "value": pytest.approx(0.5 * quarter / len(about))}
        == metrics["grounding.miou_recall"]
    )
    assert metrics["grounding.miou_recall_traced_only"]["value"] == 0.5
    assert metrics["grounding.miou_recall_traced_only"]["n"] == quarter
    assert (metrics["grounding.traced"]["value"], metrics["grounding.traced"]["n"]) == (0.5, 2 * quarter)


def test_what_is_claimed_is_compared_pair_by_pair(asked, tmp_path):
    """Half of a box in every trace against all of it: matched boxes gain one half, and texts without traces are not compared."""
    about = [row["qa_id"] for row in rows_of(asked) if row["evidence"]]
    told = {"half": (HALF, "drive"), "whole": (TRUE, "drive"), "silent": (TRUE, None)}
    for name, (step, traces) in told.items():
        (tmp_path / name).mkdir()
        metrics_of(asked, tmp_path / name, dict.fromkeys(about, reasoned(step)), traces=traces)
    compare([tmp_path / name / "eval" for name in told], tmp_path / "out")
    runs = json.loads((tmp_path / "out/comparison.json").read_text())["runs"]
    whole, silent = ({one["metric"]: one for one in run["metrics"]} for run in runs)
    matched = whole["grounding.miou_matched"]
    assert (matched["base"], matched["other"], matched["difference"], matched["n"]) == (0.5, 1.0, 0.5, len(about))
    assert not [name for name in whole if name.endswith("_only")]
    assert not [name for name in silent if name.startswith("grounding.miou_")]


def test_chain_metrics_are_those_of_the_means(asked, tmp_path):
    about = [row for row in rows_of(asked) if row["evidence"]]
    texts = {
        row["qa_id"]: reasoned(HALF, answer=row["answer"] if place % 2 else "no") for place, row in enumerate(about)
    }
    metrics = metrics_of(asked, tmp_path, texts, traces="drive")
    accuracy = metrics["grounding.am"]["value"] * 3 - 1.0 - 0.5
    assert 0.4 < accuracy < 0.6
    expected = -(math.log(1 - accuracy) + math.log(1e-6) + math.log(0.5)) / 3
    assert metrics["grounding.lgm"]["value"] == pytest.approx(expected)


def test_nobody_asked_for_traces(asked, tmp_path):
    texts = {row["qa_id"]: reasoned(TRUE) for row in rows_of(asked)}
    metrics = metrics_of(asked, tmp_path, texts)
    assert {name for name in metrics if name.startswith("grounding.")} == {
        f"grounding.{name}{ending}" for name in ("tiou", "miou") for ending in ("", "_parsed_only")
    }


def test_of_repeated_answers_the_first_sample_counts(asked, tmp_path):
    qa_id = next(row["qa_id"] for row in rows_of(asked) if row["evidence"])
    predictions = tmp_path / "model.jsonl"
    samples = ((1, reasoned(TRUE)), (0, reasoned(HALF)))
    predictions.write_text(
        "\n".join(json.dumps({"qa_id": qa_id, "sample": sample, "text": text}) for sample, text in samples)
    )
    evaluate(asked, predictions, tmp_path / "eval", traces="drive")
    metrics = json.loads((tmp_path / "eval/metrics.json").read_text())
    assert metrics["grounding.miou_recall_traced_only"]["value"] == 0.5


def test_a_dialect_is_not_judged_by_what_it_cannot_say(asked, tmp_path):
    texts = {row["qa_id"]: "<think>\nit is there (120, 110)\n</think>\n<answer>x</answer>" for row in rows_of(asked)}
    metrics = metrics_of(asked, tmp_path, texts, traces="vigorl")
    assert metrics["grounding.points_in_box"]["value"] == 1.0
    assert "grounding.miou_recall" not in metrics
    texts = dict.fromkeys(texts, "<think>\na car <box>[100,100,140,120]</box>\n</think>\n<answer>x</answer>")
    metrics = metrics_of(asked, tmp_path, texts, traces="treevgr")
    assert metrics["grounding.miou_matched"]["value"] == 1.0
    assert "grounding.key_time_recall" not in metrics
    assert "grounding.am" not in metrics


def test_the_command_line(asked, tmp_path):
    predictions = tmp_path / "model.jsonl"
    predictions.write_text(json.dumps({"qa_id": rows_of(asked)[0]["qa_id"], "text": reasoned(TRUE)}))
    words = ["evaluate", str(asked.root), "--predictions", str(predictions), "--out", str(tmp_path / "eval")]
    assert main([*words, "--traces", "drive"]) == 0
    assert "grounding.miou_matched" in json.loads((tmp_path / "eval/metrics.json").read_text())
    assert "traces: drive" in (tmp_path / "eval/config.yaml").read_text()
    with pytest.raises(SystemExit):
        main([*words, "--traces", "latin"])


def test_a_question_of_a_lost_group_is_named(asked, tmp_path):
    asked.write("groups", "b", table_from_rows("groups", []), "f")
    qa_id = next(row["qa_id"] for row in rows_of(asked) if row["log_id"] == "b")
    with pytest.raises(StoreError, match=r"is about the group b-0, which log b of .* lacks: run `drive-vqa generate`"):
        metrics_of(asked, tmp_path, {qa_id: reasoned(TRUE)}, traces="drive")


@pytest.fixture(scope="module")
def traffic(tmp_path_factory):
    """Questions of all types about a log with six cameras, with what their traces are written from."""
    store = Store.create(tmp_path_factory.mktemp("traffic") / "store")
    write_traffic(store, "log", make_traffic(1, seconds=14.0), Looks(tuple(CAMERAS)))
    groups, questions = ask(read_drive(store, "log"), ["test"], GenerateConfig(), bench_groups=2)
    groups = {group["group_id"]: group for group in groups.to_pylist()}
    rows = [(question, groups[question["group_id"]]) for question in questions.to_pylist()[::73]]
    return rows, read_states(store, "log"), read_evidence(store, "log")


UNTOLD = {"vigorl": ("iou_", "visual", "key_", "temporal"), "treevgr": ("visual", "key_", "temporal")}
"""How the figures start that a dialect says nothing of."""


@pytest.mark.parametrize("dialect", DIALECTS)
def test_honest_traces_of_all_kinds_of_questions_have_all(traffic, dialect):
    rows, states, evidence_of = traffic
    applied = Counter()
    for question, group in rows:
        evidence = evidence_of(question, group)
        text = write_trace(question, group, states, style="chain", dialect=dialect)
        figures = vars(judge_evidence(read_trace(text, dialect, first_s=evidence.first_s), evidence))
        told = {name: value for name, value in figures.items() if not name.startswith(UNTOLD.get(dialect, ("none",)))}
        assert set(told.values()) <= {1.0, None}, text
        applied.update(name for name, value in told.items() if value is not None)
    assert applied["points_in_box" if dialect == "vigorl" else "iou_matched"] > 0.9 * len(rows) > 90
    assert applied["places_in_band"] > (80 if dialect in ("drive", "open_o3") else -1)
