"""STRIDE-QA-Bench by hand, and our own export scored here as our own panel scores it."""

from __future__ import annotations

import json

import pytest

from drive_vqa.errors import RecordError
from eval.benchmarks import stride
from eval.benchmarks.scored import score_parsed
from eval.cases import read_cases
from eval.judged import judge_predictions
from eval.panel import panel
from eval.predictions import read_predictions
from qa_gen.export.questions import export_questions
from tests.eval.benchmarks.examples import write_json, write_predictions, write_stride
from tests.qa_gen.export_world import make_store


def by_category(tasks, group):
    return {task.slices["qa_category"]: task.task_id for task in tasks if task.group == group}


def test_success_by_hand(tmp_path, values):
    data, right = write_stride(tmp_path)
    tasks = stride.read(data)
    first, second = by_category(tasks, "g1"), by_category(tasks, "g2")
    right[first["ego_distance_data"]] = "25.1 m"  # 25.5 % too far: g1 fails at 0 s
    right[second["ego_distance_data_4d_t2"]] = "16 meters, 22.5 degrees"  # 10.5° off: g2 fails at 2 s
    right[second["ego_distance_data_4d_t3"]] = "17.5 meters, 3 degrees"  # limits: g2 passes at 3 s
    right[second["ego_speed_data"]] = "6.1 m/s"  # 22 % too fast
    del right[first["target_speed_data_4d_t3"]]
    found = values("stride-bench", tasks, right)
    assert [found[f"localization.lsr.t{horizon_s}"] for horizon_s in range(4)] == [0.5, 1.0, 0.5, 1.0]
    assert found["localization.mlsr"] == 6 / 8
    assert (found["localization.tlc"], found["localization.tlc.k1"]) == (0.0, 0.5)
    assert (found["localization.sr_distance"], found["localization.sr_bearing"]) == (7 / 8, 7 / 8)
    assert found["localization.coverage"] == 1.0
    assert (found["speed.sr.ego"], found["speed.sr.ego.t0"], found["speed.sr.target.t3"]) == (7 / 8, 0.5, 0.5)
    assert found["coverage"] == 25 / 26
    assert found["accuracy"] == 22 / 26
    assert found["slice.relation.Oncoming_Pass.localization.mlsr"] == 3 / 4  # g2 has no relation, and stays in the rest


def test_a_group_that_lacks_a_horizon_fails_there(tmp_path, values):
    data, right = write_stride(tmp_path, ("g1",))
    file = data / "annotation_files" / "strideqa_bench_t2.json"
    write_json(file, [record for record in json.loads(file.read_text()) if "distance" not in record["qa_category"]])
    found = values("stride-bench", stride.read(data), right)
    assert (found["localization.mlsr"], found["localization.tlc"], found["localization.lsr.t2"]) == (0.75, 0.0, 0.0)
    assert (found["localization.coverage"], found["coverage"]) == (0.75, 1.0)


def test_groups_of_one_image_are_one_cluster(tmp_path):
    data, _ = write_stride(tmp_path)
    assert {task.cluster for task in stride.read(data)} == {"g1.jpg", "g2.jpg"}


def test_the_sheet_may_be_missing_but_not_damaged(tmp_path):
    data, _ = write_stride(tmp_path)
    sheet = data / "annotation_files" / "annotation_sheet.csv"
    sheet.write_text("group,relation\ng1,Overtake\n")
    with pytest.raises(RecordError, match="annotation_sheet.csv is not a table with group_id and relation"):
        stride.read(data)
    sheet.unlink()
    assert {task.slices["relation"] for task in stride.read(data / "annotation_files")} == {""}


EXPORTED = "beta-00036-target"
ASKED = ("distance_t0", "bearing_t0", "localization_t1", "localization_t2", "localization_t3")
METRICS = [
    f"localization.{name}"
    for name in ("mlsr", "tlc", "tlc.k1", "tlc.k2", "coverage", *(f"lsr.t{horizon_s}" for horizon_s in range(4)))
]
WRONG = {"localization": "90 m, 90 degrees", "distance": "90 m", "bearing": "90 degrees"}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Our questions for the place of the exported target, and the folder of the export."""
    root = tmp_path_factory.mktemp("stride")
    store = make_store(root)
    assert export_questions(store, "stride-bench", root / "bench", workers=1).exit_status == 0
    cases = read_cases(store, ["bench"])
    cases = cases[(cases["group_id"] == EXPORTED) & cases["answer_type"].isin(WRONG)].reset_index(drop=True)
    horizon_s = cases["type"].str[-1].astype(float)  # which the questions of this store do not tell
    return cases.assign(horizon_s=horizon_s), root / "bench"


def answer(case, *, right):
    if not right:
        return WRONG[case["answer_type"]]
    place = [f"{case['truth_distance_m']} m", f"{case['truth_bearing_deg']} degrees"]
    return ", ".join(part for part in place if "nan" not in part)


def test_our_export_has_the_numbers_of_our_panel(exported, tmp_path):
    """Nothing wrong, one thing wrong (distance or bearing now, or the place in 1, 2 or 3 s), and everything."""
    cases, bench = exported
    tasks = stride.read(bench)
    records = [json.loads(file.read_text()) for file in sorted((bench / "annotation_files").glob("*.json"))]
    ours = {record["qa_id"]: record["question_id"] for part in records for record in part}
    for wrong in (set(), *({kind} for kind in ASKED), set(ASKED)):
        is_right = {kind: kind not in wrong for kind in ASKED}
        is_right["localization_t0"] = is_right["distance_t0"] and is_right["bearing_t0"]
        told = {case["qa_id"]: answer(case, right=is_right[case["type"]]) for case in cases.to_dict("records")}
        by_id = {ours[qa_id]: text for qa_id, text in told.items() if qa_id in ours}
        found = dict(stride.metrics(score_parsed(tasks, [by_id.get(task.task_id) for task in tasks])))
        predictions = read_predictions(write_predictions(tmp_path / "told.jsonl", told))
        expected = panel(judge_predictions(cases, predictions).answered)
        for metric in METRICS:
            assert found[metric].values.mean() == expected[metric].values.mean(), (metric, wrong)
