"""A model's own present held, in a world where constant velocity is the truth."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from eval.cases import read_cases
from eval.evaluate import evaluate
from eval.held import own_present, present_rows
from eval.judged import judge_baselines, judge_predictions
from eval.report import write_report


@pytest.fixture(autouse=True)
def untracked(monkeypatch):
    monkeypatch.setattr("drive_vqa.tracking.session.find_spec", lambda name: None)


@pytest.fixture(scope="module")
def true(world):
    rows = world.read_all("questions", ["qa_id", "answer", "split"]).to_pylist()
    return {row["qa_id"]: row["answer"] for row in rows if row["split"] == "test"}


@pytest.fixture(scope="module")
def cases(world):
    return read_cases(world, ["test"])


def held(cases, answers):
    told = pd.DataFrame({"qa_id": list(answers), "text": list(answers.values()), "model": "m", "sample": 0})
    return own_present(judge_predictions(cases, told).answered)


def of_question(answered, qa_id):
    row = int(answered.cases.index[answered.cases["qa_id"] == qa_id][0])
    return answered.answers.loc[row], bool(answered.success[row])


def scored(world, answers, folder, **options):
    folder.mkdir()
    lines = (json.dumps({"qa_id": key, "text": text}) + "\n" for key, text in answers.items())
    (folder / "p.jsonl").write_text("".join(lines))
    evaluate(world, folder / "p.jsonl", folder / "e", **options)
    return json.loads((folder / "e/metrics.json").read_text())


def test_the_answer_at_0_stands_for_all_times(cases, true):
    # the lead at 3 m/s before an ego at 5 m/s: 20 m away now, about 14 m in 3 s
    answers = true | {"a-0-localization_t0-0": "14.0 meters, 2 degrees"}
    found = held(cases, answers)
    for time_s in range(4):
        answer, _ = of_question(found, f"a-0-localization_t{time_s}-0")
        assert (answer["distance_m"], answer["bearing_deg"]) == (14.0, 2.0)
    assert [of_question(found, f"a-0-localization_t{time_s}-0")[1] for time_s in range(4)] == [False, True, True, True]


def test_each_mark_and_each_kind_of_question_holds_its_own(cases, true):
    found = held(cases, true)
    assert of_question(found, "a-0-localization_t3-1")[0]["distance_m"] == pytest.approx(45.4)  # (45, 6)
    assert of_question(found, "b-1-ego_speed_t3-None")[0]["speed_mps"] == 5.0
    kinds = {kind.rpartition("_t")[0] for kind in found.cases["type"]}
    assert kinds == {"localization", "ego_speed"}


@pytest.mark.parametrize("text", [None, "I cannot tell.", "about 20 to 25 meters", ""])
def test_what_was_not_readable_at_0_fails_at_all_times(cases, true, text):
    answers = {key: value for key, value in true.items() if key != "a-0-localization_t0-0"}
    found = held(cases, answers if text is None else answers | {"a-0-localization_t0-0": text})
    for time_s in range(4):
        answer, right = of_question(found, f"a-0-localization_t{time_s}-0")
        assert not right
        assert not answer["answered"]
        assert answer["failure"] == "no_answer"
    assert len(found.cases) == len(held(cases, true).cases)


def test_what_was_not_asked_at_0_is_left_out(cases, true):
    without = cases[cases["qa_id"] != "a-0-localization_t0-0"].reset_index(drop=True)
    left = held(without, true).cases["qa_id"]
    assert not left.isin([f"a-0-localization_t{time_s}-0" for time_s in range(4)]).any()
    assert left.isin(["a-0-localization_t3-1", "a-1-localization_t3-0"]).sum() == 2
    later = cases[cases["type"] == "localization_t2"].reset_index(drop=True)
    assert present_rows(later).tolist() == [-1] * len(later)
    assert len(held(later, true).cases) == 0


def test_no_question_gives_no_row(cases):
    assert present_rows(cases.iloc[:0]).tolist() == []


@pytest.fixture(scope="module")
def perfect(world, true, tmp_path_factory):
    """A folder with the evaluation `e` of true answers."""
    folder = tmp_path_factory.mktemp("perfect") / "own"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("drive_vqa.tracking.session.find_spec", lambda name: None)
        scored(world, true, folder)
    return folder


def test_a_perfect_model_is_above_its_own_present_where_things_move(perfect, tmp_path):
    metrics = json.loads((perfect / "e/metrics.json").read_text())
    name = "localization.mlsr"
    held_mlsr = metrics[f"baseline.own_present.{name}"]["value"]
    assert metrics["baseline.own_present.localization.lsr.t0"]["value"] == 1.0
    assert metrics[f"baseline.constant_position.{name}"]["value"] == held_mlsr < 1.0
    paired = metrics[f"versus.own_present.{name}"]
    assert paired["value"] == pytest.approx(1.0 - held_mlsr)
    assert paired["low"] <= paired["value"] <= paired["high"]
    assert metrics["baseline.own_present.speed.sr.ego"]["value"] == 1.0  # the ego keeps its speed
    write_report(perfect / "e", tmp_path / "report.html")
    assert "Own present" in (tmp_path / "report.html").read_text()


def test_a_model_that_repeats_itself_is_equal_to_its_own_present(world, true, tmp_path):
    answers = dict(true)
    for key in true:
        if "-localization_t" in key:
            log_frame, _, mark = key.rpartition("-localization_t")
            answers[key] = true[f"{log_frame}-localization_t0-{mark.partition('-')[2]}"]
    metrics = scored(world, answers, tmp_path / "same")
    for name in ("localization.mlsr", "accuracy"):
        assert metrics[f"versus.own_present.{name}"]["value"] == 0.0


def test_a_model_without_a_readable_present_has_a_row_of_nothing_right(world, true, tmp_path):
    silent = {key: "no idea" if "_t0-" in key else text for key, text in true.items()}
    metrics = scored(world, silent, tmp_path / "silent")
    mlsr = metrics["baseline.own_present.localization.mlsr"]
    assert (mlsr["value"], mlsr["n"]) == (0.0, 3 * 3 * 4 * 4)
    assert metrics["baseline.own_present.localization.coverage"]["value"] == 0.0


def test_what_is_usual_may_be_told_by_another_store(world, true, perfect, tmp_path, write_store):
    tests = write_store(tmp_path / "tests", {"a": "test", "b": "test", "c": "test"})
    assert not judge_baselines(tests, read_cases(tests, ["test"]))["class_median"].present.any()
    taught = scored(tests, true, tmp_path / "taught", training=world)
    own = json.loads((perfect / "e/metrics.json").read_text())
    names = [name for name in own if name.startswith(("baseline.class_median.", "baseline.text_only."))]
    assert len(names) > 20
    assert {name: taught[name] for name in names} == {name: own[name] for name in names}
    assert 0.0 < taught["baseline.class_median.localization.mlsr"]["value"] < 1.0


def test_a_store_does_not_tell_what_is_usual_about_itself(world):
    train = read_cases(world, ["train"])
    assert set(judge_baselines(world, train, training=world)) == {"constant_position", "constant_velocity"}
