"""A store with questions of every answer type, form and family, evaluated from its own answers, and from wrong ones."""

from __future__ import annotations

import json

import pytest

from drive_vqa.schema import TRUTH, table_from_rows
from drive_vqa.store import Store, read_table
from eval.evaluate import evaluate
from eval.parse import ANSWER_TYPES
from eval.report import gallery
from eval.report.inputs import read_evaluation
from eval.report.page import render

BOX = {"u0_px": 412.0, "v0_px": 300.0, "u1_px": 480.0, "v1_px": 372.0}
MARKS = {3: "car-1", 7: "walker-2"}

# type, family, form, answer type, marks, horizon, truth, answer, a wrong answer
ASKED = [
    ("width", "object", "open", "distance", [3], 0, {"distance_m": 2.0}, "2.0 meters", "9 meters"),
    ("pair_distance", "object", "open", "distance", [3, 7], 0, {"distance_m": 5.0}, "5.0 meters", "50 meters"),
    ("pair_bearing", "object", "open", "bearing", [3, 7], 0, {"bearing_deg": 40.0}, "40 degrees", "-40 degrees"),
    ("pair_lateral", "object", "open", "lateral", [3, 7], 0, {"y_m": -4.0}, "-4.0 meters", "4.0 meters"),
    ("pair_longitudinal", "object", "open", "longitudinal", [3, 7], 0, {"x_m": 6.0}, "6.0 meters", "-6.0 meters"),
    ("relative_heading", "object", "open", "turn", [3, 7], 0, {"yaw_deg": -90.0}, "-90 degrees", "90 degrees"),
    ("order_from", "object", "open", "ranking", [3], 0, {"marks": [7, 0, 4]}, "Region 7, Region 0, Region 4", "7, 4, 0"),
    ("left_right", "object", "choice", "choice", [3, 7], 0, {"choice": "left"}, "left", "right"),
    ("left_right", "object", "yes_no", "bool", [3, 7], 0, {"bool": True}, "yes", "no"),
    ("distance", "ego", "open", "distance", [3], 0, {"distance_m": 20.0}, "20.0 meters", "40 meters"),
    ("distance", "ego", "choice", "choice", [3], 0, {"choice": "20.0 meters"}, "20.0 meters", "8.1 meters"),
    ("distance", "ego", "yes_no", "bool", [3], 0, {"bool": False}, "no", "yes"),
    ("bearing", "ego", "open", "bearing", [3], 0, {"bearing_deg": 30.0}, "30 degrees", "-30 degrees"),
    ("clock", "ego", "open", "clock", [3], 0, {"clock_hour": 11}, "11 o'clock", "4 o'clock"),
    ("marks_within", "ego", "open", "regions", [], 0, {"marks": [3, 7]}, "Region 3, Region 7", "none"),
    ("marks_within", "ego", "open", "regions", [], 0, {"marks": []}, "none", "Region 3"),
    ("count_class", "ego", "open", "count", [], 0, {"count": 2}, "2", "3"),
    ("localization_t1", "future", "open", "localization", [3], 1, {"distance_m": 18.0, "bearing_deg": 30.0},
     "18.0 meters, 30 degrees", "18.0 meters, -30 degrees"),
    ("position_then_t2", "future", "open", "position", [3], 2, {"x_m": 12.4, "y_m": -3.1},
     "x 12.4 meters, y -3.1 meters", "x 12.4 meters, y 9 meters"),
    ("ego_motion_t3", "future", "open", "motion", [], 3, {"distance_m": 15.0, "yaw_deg": -4.0},
     "15.0 meters, -4 degrees", "30 meters, -4 degrees"),
    ("ego_displacement_t3", "future", "open", "distance", [], 3, {"distance_m": 15.0}, "15.0 meters", "40 meters"),
    ("relative_speed_t1", "future", "open", "speed", [3], 1, {"speed_mps": 5.0}, "5.0 m/s", "9 m/s"),
    ("target_speed_t1", "future", "open", "speed", [3], 1, {"speed_mps": 3.0}, "3.0 m/s", "9 m/s"),
    ("closest_time", "future", "open", "time", [3], 3, {"time_s": 1.5}, "1.5 seconds", "2.5 seconds"),
    ("approach_t1", "future", "choice", "choice", [3], 1, {"choice": "closing"}, "closing", "receding"),
    ("when_moving", "when_where", "open", "interval", [3], 0, {"start_s": -1.5, "end_s": -0.5},
     "from 1.5 to 0.5 seconds ago", "from 3.5 to 2.5 seconds ago"),
    ("where_starts", "when_where", "open", "box", [3], 0, BOX, "[412, 300, 480, 372]", "[0, 0, 10, 10]"),
    ("starts_when_where", "when_where", "open", "interval_box", [3], 0, {"start_s": -1.5, "end_s": -1.0, **BOX},
     "from 1.5 to 1.0 seconds ago, [412, 300, 480, 372]", "from 1.5 to 1.0 seconds ago, [0, 0, 10, 10]"),
    ("absent_mark", "unanswerable", "open", "undetermined", [5], 0, {"undetermined": True},
     "cannot be determined", "12 meters"),
]  # fmt: skip

OPTIONS = {"left": ["left", "right"], "20.0 meters": ["8.1 meters", "20.0 meters"], "closing": ["closing", "receding"]}


def _row(log_id, split, number, asked):
    kind, family, form, answer_type, marks, horizon_s, truth, answer, _ = asked
    slices = {"category": "car", "distance_m": 20.0, "visible_fraction": 0.9, "moving": True, "in_view_at_t": True}
    slices |= {"ttc_bin": "none", "difficulty": ("easy", "moderate", "hard")[number % 3], "relation": "crossing"}
    row = {"qa_id": f"{log_id}-{number:02d}", "group_id": f"{log_id}-00000-sequence", "log_id": log_id, "frame": 0}
    row |= {"truth_frame": horizon_s, "family": family, "type": kind, "form": form, "answer_type": answer_type}
    row |= {"marks": marks, "track_ids": [MARKS.get(mark) for mark in marks], "question": f"{kind}?", "answer": answer}
    row |= {"options": OPTIONS.get(answer, []) if form == "choice" else [], "truth": truth}
    return row | {"horizon_s": float(horizon_s), "split": split, "slices": slices if marks else {}}


def _log(store, log_id, split):
    view = {"frame": 0, "offset_s": 0.0}  # no camera: the log has no images
    marks = [{"mark": number, "track_id": track, "category": "car"} for number, track in MARKS.items()]
    group = {"group_id": f"{log_id}-00000-sequence", "kind": "sequence", "log_id": log_id, "frame": 0, "split": split}
    track = {"log_id": log_id, "frame": 0, "x_m": 17.3, "y_m": 10.0, "vx_mps": 3.0, "vy_mps": 0.0, "speed_mps": 3.0}
    tables = {
        "logs": [{"log_id": log_id, "recording": log_id, "source_format": "test", "source_root": "../source"}],
        "frames": [{"log_id": log_id, "frame": 0, "timestamp_ns": 0, "speed_mps": 5.0}],
        "tracks": [track | {"track_id": name, "category": "car"} for name in MARKS.values()],
        "groups": [group | {"context": [view], "marks": [mark | {"regions": []} for mark in marks]}],
        "questions": [_row(log_id, split, number, asked) for number, asked in enumerate(ASKED)],
    }
    for name, rows in tables.items():
        store.write(name, log_id, table_from_rows(name, rows), "by hand")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    made = Store.create(tmp_path_factory.mktemp("types") / "store")
    for log_id, split in {"a": "bench", "b": "bench", "c": "train"}.items():
        _log(made, log_id, split)
    made.write_manifest("generate", {})
    return made


def _evaluated(store, out, column):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("drive_vqa.tracking.session.find_spec", lambda name: None)
        lines = [
            json.dumps({"qa_id": f"{log_id}-{number:02d}", "text": asked[column]})
            for log_id in "ab"
            for number, asked in enumerate(ASKED)
        ]
        (out / "model.jsonl").write_text("\n".join(lines))
        evaluate(store, out / "model.jsonl", out / "eval")
    return json.loads((out / "eval/metrics.json").read_text())


@pytest.fixture(scope="module")
def right(store, tmp_path_factory):
    out = tmp_path_factory.mktemp("right")
    return out, _evaluated(store, out, 7)


@pytest.fixture(scope="module")
def wrong(store, tmp_path_factory):
    out = tmp_path_factory.mktemp("wrong")
    return out, _evaluated(store, out, 8)


def test_every_answer_type_is_asked():
    assert {row[3] for row in ASKED} == set(ANSWER_TYPES)
    used = {name for row in ASKED for name in row[6]}
    assert used == set(TRUTH.names)


def test_taught_answers_are_all_right(right):
    _, metrics = right
    assert metrics["accuracy"]["value"] == metrics["coverage"]["value"] == 1.0
    assert metrics["parse.failure_rate"]["value"] == 0.0
    for name in ("form.open", "form.choice", "form.yes_no", "family.when_where", "family.unanswerable"):
        assert metrics[f"{name}.accuracy"]["value"] == 1.0
    assert metrics["form.choice.accuracy"]["n"] == 2 * 3
    assert metrics["grounding.tiou"] | {"value": 1.0, "n": 2 * 2} == metrics["grounding.tiou"]
    assert metrics["grounding.miou"] | {"value": 1.0, "n": 2 * 2} == metrics["grounding.miou"]
    assert metrics["safety.hallucination_rate"] | {"value": 0.0, "n": 2} == metrics["safety.hallucination_rate"]
    for name in ("easy", "moderate", "hard"):
        assert metrics[f"slice.difficulty.{name}.accuracy"]["value"] == 1.0
    assert metrics["slice.relation.crossing.accuracy"]["value"] == 1.0
    assert metrics["slice.relation.crossing.localization.mlsr"]["n"] == 2 * 4


def test_wrong_answers_are_all_wrong_and_told_by_how_much(wrong):
    _, metrics = wrong
    assert metrics["accuracy"]["value"] == 0.0
    assert metrics["parse.failure_rate"]["value"] == 0.0
    assert metrics["safety.hallucination_rate"]["value"] == 1.0
    assert metrics["grounding.tiou"]["value"] == pytest.approx(0.5)  # of two intervals one was right
    assert metrics["grounding.miou"]["value"] == 0.0
    errors = {
        "pair_lateral.median_signed_error_m": 8.0,
        "pair_lateral.median_abs_error_m": 8.0,
        "pair_longitudinal.median_signed_error_m": -12.0,
        "relative_heading.median_abs_error_deg": 180.0,
        "position_then_t2.median_abs_error_m": 12.1,
        "ego_motion_t3.median_signed_relative_error_distance": 1.0,
        "ego_motion_t3.median_abs_error_deg": 0.0,
        "closest_time.median_signed_error_s": 1.0,
        "clock.accuracy_within_one_hour": 0.0,
    }
    assert {name: metrics[f"type.{name}"]["value"] for name in errors} == {
        name: pytest.approx(value) for name, value in errors.items()
    }


def test_only_what_is_measured_from_the_ego_is_dangerous(wrong):
    """Of the four distances that are too far, sizes, pairs and the ego's own way do not count; nor do speeds between others."""
    _, metrics = wrong
    far, flip = metrics["safety.dangerous_far_rate"], metrics["safety.left_right_flip_rate"]
    assert (far["n"], far["value"]) == (2 * 2, 0.5)  # distance (too far) and localization_t1 (right distance)
    assert (flip["n"], flip["value"]) == (2 * 2, 1.0)  # bearing and localization_t1, not pair_bearing
    assert metrics["speed.sr.target"]["n"] == 2
    assert metrics["speed.sr.ego"]["n"] == 0


def test_scores_keep_what_was_read(right):
    out, _ = right
    scores = read_table(out / "eval/scores.parquet", "scores").to_pylist()
    by_id = {row["qa_id"]: row for row in scores}
    for number, asked in enumerate(ASKED):
        parsed = by_id[f"a-{number:02d}"]["parsed"]
        given = {name: value for name, value in parsed.items() if value is not None}
        assert given == {
            name: pytest.approx(value) if isinstance(value, float) else value for name, value in asked[6].items()
        }


def test_baselines_answer_what_they_can(right):
    _, metrics = right
    usual = "baseline.class_median."
    assert metrics[usual + "type.order_from.accuracy"]["value"] == 1.0
    assert metrics[usual + "type.left_right.accuracy"]["n"] == 2 * 2
    assert f"{usual}family.unanswerable.accuracy" not in metrics
    answered = {name.split(".")[3] for name in metrics if name.startswith("baseline.constant_velocity.type.")}
    assert answered == {"localization_t1", "position_then_t2", "target_speed_t1", "approach_t1"}
    assert metrics["baseline.constant_velocity.type.target_speed_t1.accuracy"]["value"] == 1.0


@pytest.mark.parametrize("name", ["right", "wrong"])
def test_a_report_of_every_type_is_written(name, request):
    out, _ = request.getfixturevalue(name)
    evaluation = read_evaluation(out / "eval")
    page = render(evaluation)
    for words in ("When where", "Unanswerable", "By difficulty", "By form of the question", "asked without images"):
        assert words in page
    cards = {card.qa_id: card for card in gallery.cards(evaluation, 1000)}
    refused = cards[f"a-{len(ASKED) - 1:02d}"]
    assert refused.verdict == ("Correct" if name == "right" else "Answers what cannot be known from what is shown")
    box = cards["a-26"]
    assert [one.truth for one in box.quantities] == ["412 px", "300 px", "480 px", "372 px"]
    assert {one.ok for one in box.quantities} == {name == "right"}
