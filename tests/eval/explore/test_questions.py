"""Filters, pages, and the questions behind a number: those, and only those, that the number is made of."""

import json

import numpy as np
import pytest

from eval.cases import find_targets, read_cases
from eval.explore import questions as questions_module
from eval.explore.answers import MODEL, answers_in
from eval.explore.cells import has_questions, questions_behind
from eval.explore.questions import Place, Wanted, find, fitting
from tests.eval.report_world import LOG, SCRIPT


def _all(store, wanted, answerer=None, log_id=""):
    page = find(store, log_id, wanted, answerer, [], Place())
    rows = page["questions"]
    while page["next"] is not None:
        page = find(store, log_id, wanted, answerer, [], Place(**page["next"]))
        rows += page["questions"]
    return rows


def test_pages_together_are_all_questions_once(world, monkeypatch):
    monkeypatch.setattr(questions_module, "PAGE", 7)
    ids = [row["qa_id"] for row in _all(world, Wanted())]
    stored = [qa_id for log_id in world.log_ids() for qa_id in world.read("questions", log_id)["qa_id"].to_pylist()]
    assert ids == stored


def test_looking_ends_when_its_time_is_over_and_goes_on_from_there(world):
    log_ids = world.log_ids()
    rare = Wanted(equal={"split": "train"})  # of the last two of five logs
    start, found = Place(), []
    for place in range(len(log_ids)):
        page = find(world, "", rare, None, [], start, at_once_s=-1.0)
        found += [row["qa_id"] for row in page["questions"]]
        assert page["complete"] == (place == len(log_ids) - 1)
        if page["next"] and page["next"]["offset"]:
            break
        start = Place(**page["next"])
    assert page["next"]["log"] == log_ids.index("d")
    assert page["count"] == world.read("questions", "d").num_rows
    assert find(world, "", rare, None, [], Place())["count"] == 2 * page["count"]


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        (Wanted(equal={"family": "ego"}), lambda row: row["family"] == "ego"),
        (
            Wanted(equal={"type": "clock", "split": "train"}),
            lambda row: (row["type"], row["split"]) == ("clock", "train"),
        ),
        (Wanted(equal={"group_id": "a-1"}), lambda row: row["group_id"] == "a-1"),
        (Wanted(frame=2), lambda row: row["frame"] == 2),
        (Wanted(category="pedestrian"), lambda row: (row["slices"] or {}).get("category") == "pedestrian"),
        (Wanted(track="parked"), lambda row: "parked" in row["track_ids"]),
        (Wanted(text="CLOSING"), lambda row: "closing" in row["answer"]),
        (Wanted(text="a-1-clock-2"), lambda row: row["qa_id"] == "a-1-clock-2"),
        (Wanted(text="no such text"), lambda row: False),
        (Wanted(text=".*"), lambda row: False),
    ],
)
def test_filters_leave_what_fits(world, wanted, fits):
    stored = [row for log_id in world.log_ids() for row in world.read("questions", log_id).to_pylist()]
    expected = [row["qa_id"] for row in stored if fits(row)]
    assert [row["qa_id"] for row in _all(world, wanted)] == expected


def test_outcomes_are_those_of_the_answers(explorer):
    answerer, ids = explorer.evaluations[0].answerers[MODEL], {}
    for name in ("dangerous", "wrong", "unreadable", "right", "unanswered"):
        ids[name] = [row["qa_id"] for row in _all(explorer.store, Wanted(outcome=name), answerer)]
    assert {"localization_t1-1-0", "in_my_path-2-0"} <= set(ids["dangerous"])
    assert "localization_t2-2-0" in ids["unreadable"]
    assert ids["unanswered"] == []
    everything = [qa_id for named in ids.values() for qa_id in named]
    assert sorted(everything) == sorted(explorer.store.read("questions", LOG)["qa_id"].to_pylist())


def test_a_question_has_what_each_answerer_made_of_it(served):
    told = served.ask("/api/question", log=LOG, question="localization_t1-1-0").json
    model = told["answers"][0]
    assert (model["text"], model["outcome"]) == ("80 meters, 0 degrees", "dangerous")
    assert model["values"][0]["name"] == "distance"
    names = [answer["name"] for answer in told["answers"] if answer]
    assert names[0] == MODEL
    assert "constant_velocity" in names


def test_hostile_texts_stay_texts(served):
    told = served.ask("/api/questions", text="sign", log=LOG).json["questions"]
    assert len(told) == 3
    assert all(SCRIPT in row["question"] for row in told)


def _metrics(world):
    return json.loads((world / "evaluation" / "metrics.json").read_text())


def _samples(explorer, name):
    answerer = explorer.evaluations[0].answerers[MODEL]
    answers = answers_in(explorer.store, answerer, LOG)
    return answers, questions_behind(explorer.store, answers, name)


def _counts_targets(name):
    """Whether the cases of a number are targets, or seconds of them, which have several questions each."""
    over = ("prediction.", "safety.critical", "safety.dangerous_slow_closing_rate", "safety.missed_approach_rate")
    return ".tlc" in name or (name.startswith(over) and not name.endswith(".stated"))


def test_the_questions_behind_a_number_are_as_many_as_it_is_taken_over(explorer, evaluated_world):
    checked = 0
    for name, number in _metrics(evaluated_world).items():
        if has_questions(name) and not _counts_targets(name):
            assert len(_samples(explorer, name)[1]) == number["n"], name
            checked += 1
    assert checked > 100


HORIZONS = {
    "localization.tlc": (0, 1, 2, 3),
    "localization.tlc.k1": (0, 1),
    "localization.lsr.t2": (2,),
    "localization.mlsr": (0, 1, 2, 3),
    "prediction.miss_rate_2m": (1, 2, 3),
}


@pytest.mark.parametrize("name", HORIZONS)
def test_a_number_over_targets_leads_to_their_horizons(explorer, name):
    cases = read_cases(explorer.store, ["test"])
    asked = find_targets(cases).rows[:, list(HORIZONS[name])].ravel()
    answers, rows = _samples(explorer, name)
    found = answers.answered.cases["qa_id"].to_numpy()[rows]
    assert sorted(found) == sorted(cases["qa_id"].to_numpy()[asked[asked >= 0]])


def test_a_slow_closing_rate_leads_to_both_ends_of_its_seconds(explorer):
    answers, rows = _samples(explorer, "safety.dangerous_slow_closing_rate")
    walker = [f"localization_t{horizon_s}-{frame}-1" for frame in (1, 2, 3) for horizon_s in (0, 1, 2, 3)]
    passed = "localization_t3-3-1"  # in that last second it is behind and goes away
    assert set(answers.answered.cases["qa_id"].to_numpy()[rows]) == set(walker) - {passed}


def test_a_number_from_elsewhere_has_no_questions(explorer):
    assert not has_questions("versus.constant_velocity.localization.mlsr")
    assert not has_questions("calibration.ece")
    assert len(_samples(explorer, "type.no_such_type.accuracy")[1]) == 0


def test_a_cell_of_a_slice_has_its_questions(explorer):
    answers, rows = _samples(explorer, "slice.ttc_bin.0_95-1_5.localization.mlsr")
    cases = answers.answered.cases
    wanted = (cases["answer_type"] == "localization") & (cases["slice_ttc_bin"] == "0.95-1.5")
    assert np.array_equal(rows, np.flatnonzero(wanted))
    assert len(rows) == 24


def test_a_log_is_a_slice_of_its_own(explorer):
    whole = _samples(explorer, "localization.mlsr")[1]
    assert np.array_equal(_samples(explorer, "slice.log.drive-1.localization.mlsr")[1], whole)
    assert len(_samples(explorer, "slice.log.another.localization.mlsr")[1]) == 0


def test_baselines_lead_to_what_they_answered(explorer, evaluated_world):
    velocity = explorer.evaluations[0].answerers["constant_velocity"]
    rows = fitting(explorer.store, LOG, Wanted(metric="accuracy"), velocity)
    assert len(rows) == _metrics(evaluated_world)["baseline.constant_velocity.accuracy"]["n"]


def test_facets_are_the_values_there_are(served_without_images, world):
    values = served_without_images.ask("/api/store").json["values"]
    assert values["split"] == ["test", "train"]
    assert values["family"] == sorted(set(world.read("questions", "a")["family"].to_pylist()))
