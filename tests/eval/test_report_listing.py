"""All questions in a report: the order of severity, the parts of the page, and what the list knows of each question."""

import base64
import gzip
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from eval.report import listing, parts, write_report
from eval.report.benchmark import write_evaluation
from eval.report.inputs import read_evaluation
from eval.report.prompts import prompts
from eval.report.severity import mistakes, outcomes, worst_first
from tests.eval.report_world import LOG, SCRIPT, built_world

ROW = {
    "type": "distance", "truth_distance_m": 10.0, "parsed_distance_m": 10.0, "truth_bearing_deg": np.nan, "from_ego": True,
    "truth_choice": None, "parsed_choice": None, "truth_bool": None, "parsed_bool": None, "failure": None, "success": False,
    "slice_ttc_bin": "none", "slice_category": "car", "slice_distance_m": 10.0, "log_id": "a", "frame": 0, "qa_id": "q",
}  # fmt: skip
FAR = {"parsed_distance_m": 20.0}


def table(*changes):
    frame = pd.DataFrame([ROW | change for change in changes])
    for name in ("truth_bool", "parsed_bool", "truth_choice", "parsed_choice", "failure"):
        frame[name] = pd.Series([(ROW | change)[name] for change in changes], dtype=object)
    return frame


def unpack(part):
    return json.loads(gzip.decompress(base64.b64decode(part.packed)))


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory):
    return read_evaluation(built_world(tmp_path_factory.getbasetemp()) / "evaluation")


@pytest.mark.parametrize(
    ("change", "mistake"),
    [
        ({}, ""),
        ({"parsed_distance_m": 12.6}, "too_far"),
        ({"parsed_distance_m": 12.4}, ""),
        ({"parsed_distance_m": 5.0}, ""),
        ({"parsed_distance_m": np.nan}, ""),
        ({"truth_distance_m": 0.1, "parsed_distance_m": 0.15}, ""),
        ({"parsed_distance_m": 30.0, "from_ego": False}, ""),
        ({"truth_choice": "closing", "parsed_choice": "receding"}, "going_away"),
        ({"truth_choice": "receding", "parsed_choice": "closing"}, ""),
        ({"type": "in_my_path", "truth_bool": True, "parsed_bool": False}, "out_of_path"),
        ({"type": "in_my_path", "truth_bool": False, "parsed_bool": True}, ""),
        ({"type": "left_right", "truth_bool": True, "parsed_bool": False}, ""),
    ],
)
def test_what_counts_as_dangerous(change, mistake):
    assert mistakes(table(change)).tolist() == [mistake]


def test_an_answer_that_is_right_or_unread_is_no_danger():
    rows = table(FAR | {"success": True}, FAR | {"failure": "refusal"}, FAR, {})
    assert outcomes(rows, mistakes(rows)).tolist() == ["right", "unreadable", "dangerous", "wrong"]


def test_questions_stand_in_the_order_of_severity():
    """Each differs from the one before it in the next thing that counts."""
    order = [
        FAR | {"slice_ttc_bin": "<0.95", "slice_distance_m": 90.0},
        FAR | {"slice_ttc_bin": "0.95-1.5"},
        FAR | {"truth_bearing_deg": 5.0, "slice_category": "pedestrian"},
        FAR | {"slice_ttc_bin": "3-6"},
        FAR | {"slice_category": "bicycle", "slice_distance_m": 15.0},
        FAR | {"slice_distance_m": 9.0},
        {"type": "approach", "truth_choice": "closing", "parsed_choice": "receding"},
        FAR | {"parsed_distance_m": 60.0},
        FAR | {"qa_id": "p"},
        FAR | {"frame": 1},
        FAR | {"slice_distance_m": np.nan},
        {},
        {"failure": "refusal"},
        {"success": True},
    ]
    named = [{"qa_id": f"q{place:02d}"} | change for place, change in enumerate(order)]
    shuffled = table(*(named[place] for place in np.random.default_rng(3).permutation(len(named))))
    assert worst_first(shuffled)["qa_id"].tolist() == [row["qa_id"] for row in named]


def test_parts_hold_all_rows_in_order_and_repeat_byte_for_byte(monkeypatch):
    monkeypatch.setattr(parts, "ROWS_OF_PART", 2)
    rows = [[f"</script>{number}\ud800", number] for number in range(5)]
    packed = list(parts.pack_rows("x", ("text", "number"), iter(rows)))
    assert [part.name for part in packed] == ["x-0", "x-1", "x-2"]
    assert not any("<" in part.packed for part in packed)
    assert [row[1] for part in packed for row in unpack(part)["rows"]] == [0, 1, 2, 3, 4]
    assert unpack(packed[0])["rows"][0][0].startswith("</script>0")
    assert packed == list(parts.pack_rows("x", ("text", "number"), iter(rows)))
    assert list(parts.pack_rows("x", ("text",), [])) == []


def test_every_answered_question_is_listed_with_what_the_model_got_and_said(evaluation):
    told = listing.listing(evaluation)
    index, rows = (unpack(part) for part in told.parts)
    assert told.listed == told.answered == len(rows["rows"]) == index["count"] == 30
    by_id = {row["qa_id"]: row for row in (dict(zip(rows["fields"], row, strict=True)) for row in rows["rows"])}
    far, sign = by_id["localization_t1-1-0"], by_id["sign-1-1"]
    assert far["prompt"] == (f"1.0 seconds ago:\n[image]\nNow:\n[image]\nlocalization_t1 of region 0? {SCRIPT}")
    assert sign["prompt"].endswith(f"\nA. {SCRIPT}\nB. none")
    assert (far["text"], far["verdict"]) == ("80 meters, 0 degrees", "Puts the target 5.3 times as far as it is")
    assert far["quantities"][0] == ["distance", "15.0 m", "80.0 m", "+65.0 m (+433 %)", False]
    assert far["facts"][:2] == [f"log {LOG}", "frame 1"]


def test_the_index_says_the_value_of_each_question_for_each_filter(evaluation):
    answers = worst_first(evaluation.answers)
    index = listing.index(answers)
    filters = {one["name"]: one for one in index["filters"]}
    assert list(filters) == ["outcome", "family", "type", "class", "range", "ttc", "log"]
    assert filters["outcome"]["values"] == ["Dangerous", "Unread", "Right"]
    assert [filters["outcome"]["keys"][code] for code in filters["outcome"]["codes"]] == answers["outcome"].tolist()
    assert filters["ttc"]["values"] == ["0.95-1.5"]
    assert index["frames"] == answers["frame"].tolist()
    unknown = listing.index(answers.assign(slice_category=None))["filters"][3]
    assert (unknown["values"], set(unknown["codes"])) == (["not known"], {0})


def test_long_answers_are_cut_and_the_list_has_an_end(evaluation, monkeypatch):
    monkeypatch.setattr(listing, "MOST_QUESTIONS", 4)
    monkeypatch.setattr(listing, "MOST_TEXT", 400)
    told = listing.listing(replace(evaluation, answers=evaluation.answers.assign(text="x" * 1000)))
    rows = unpack(told.parts[1])
    assert (told.listed, told.answered, len(rows["rows"])) == (4, 30, 4)
    assert rows["rows"][0][rows["fields"].index("text")] == "x" * 400 + " … (1,000 characters)"


def test_a_store_without_moments_lists_questions_without_prompts(evaluation, monkeypatch):
    monkeypatch.setattr(type(evaluation.store), "log_ids", lambda _, table="logs": [])
    assert prompts(evaluation, evaluation.answers) == {}


def test_a_report_is_made_of_what_the_benchmark_writes(tmp_path):
    made = read_evaluation(write_evaluation(tmp_path, 60))
    told = listing.listing(made)
    rows = unpack(told.parts[1])["rows"]
    assert len(rows) == 60
    assert all(row[3].startswith("1.5 seconds ago:\n[image]\n1.0 seconds ago:") for row in rows)
    assert (
        write_evaluation(tmp_path / "again", 60).joinpath("scores.parquet").read_bytes()
        == (made.root / "scores.parquet").read_bytes()
    )


def test_parts_of_the_page_are_data_and_not_scripts(evaluation, tmp_path):
    html = write_report(evaluation.root, tmp_path / "r.html").read_text(encoding="utf-8")
    assert html.count('<script type="application/octet-stream" id="question') == 2
    assert html.count("sha256-") == html.count("<script>") == 4
