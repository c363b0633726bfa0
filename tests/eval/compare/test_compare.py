"""Two and three runs beside each other on a world whose answers are known by hand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from drive_vqa.errors import ConfigError, PredictionError, StoreError
from drive_vqa.store import Store
from eval.compare import compare
from eval.compare.changes import KINDS
from eval.compare.page import _table
from eval.compare.pairing import run_names
from eval.compare.words import OWN_TITLES
from eval.evaluate import evaluate
from eval.predict.selection import SELECTION_KEY, Selection
from tests.eval.conftest import write_world
from tests.eval.scored_runs import scored, true_answers

LOGS = 8
EVIL = "<script>alert()</script>|`*_\x00 \"'"
MODEL = f"model {EVIL}"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """`true` answers all; `worse` puts pedestrians twice as far, in all logs, and cannot tell one number of people."""
    root = tmp_path_factory.mktemp("runs")
    store = write_world(root / "store", {f"log{index}": "test" for index in range(LOGS)})
    true = true_answers(store)
    worse = dict(true)
    for row in store.read_all("questions").to_pylist():
        if row["answer_type"] == "localization" and row["slices"]["category"] == "pedestrian":
            truth = row["truth"]
            worse[row["qa_id"]] = f"{2 * truth['distance_m']:.3f} m, {truth['bearing_deg']:.2f} degrees"
        elif row["type"] == "people" and row["log_id"] == "log1" and row["frame"] == 0:
            worse[row["qa_id"]] = f"I cannot tell. {EVIL}"
    return {name: scored(store, root / name, told, MODEL) for name, told in (("true", true), ("worse", worse))} | {
        "root": root
    }


def part_of(run, folder, log_id):
    """A copy of an evaluation beside it with the scores of one log."""
    shutil.copytree(run, folder)
    scores = pq.read_table(run / "scores.parquet")
    pq.write_table(scores.filter(pc.starts_with(scores["qa_id"], f"{log_id}-")), folder / "scores.parquet")
    return folder


@pytest.fixture(scope="module")
def compared(runs):
    """What `compare` says, and comparison.json."""
    out = runs["root"] / "comparison"
    said = compare([runs["true"], runs["worse"]], out)
    return said, json.loads((out / "comparison.json").read_text(encoding="utf-8")), out


def metric(content, name, run=0):
    return next(one for one in content["runs"][run]["metrics"] if one["metric"] == name)


def test_a_regression_is_found_where_it_is(compared):
    said, content, _ = compared
    found = metric(content, "slice.category.pedestrian.localization.mlsr")
    assert (found["base"], found["other"], found["difference"]) == (1.0, 0.0, -1.0)
    everything = metric(content, "localization.mlsr")
    assert (everything["difference"], everything["n"], everything["clusters"]) == (-0.25, LOGS * 3 * 4 * 4, LOGS)
    far = metric(content, "safety.dangerous_far_rate.class.pedestrian")
    assert (far["difference"], far["better"], far["base"]) == (1.0, "lower", 0.0)
    assert metric(content, "slice.category.truck.localization.mlsr")["verdict"] == "same"
    assert said == content["runs"][0]["summary"]
    assert said.startswith("worse against true: ")
    assert f"{LOGS * 3 * 4 + 1} answers lost ({LOGS * 3 * 4} dangerously), 0 gained." in said


def test_regressions_come_first_and_improvements_last(compared):
    _, content, _ = compared
    order = ["regression", "suspected", "unclear", "same", "improvement"]
    ranks = [order.index(one["verdict"]) for one in content["runs"][0]["metrics"]]
    assert ranks == sorted(ranks)
    assert {1, 3} <= set(ranks)


def test_a_change_that_all_logs_agree_on_is_as_sure_as_so_many_logs_allow(compared):
    _, content, _ = compared
    found = metric(content, "slice.category.pedestrian.localization.mlsr")
    assert found["p"] == pytest.approx(2.0 ** (1 - LOGS))
    assert (found["low"], found["high"] < 0) == (-1.0, True)
    far = metric(content, "safety.dangerous_far_rate.class.pedestrian")
    assert far["p"] == pytest.approx(2.0 ** (1 - LOGS))
    assert (far["p_holm"] > 0.05, far["verdict"]) == (True, "suspected")  # so few logs, among so many rates


def test_flips_are_told_with_both_texts_the_dangerous_first(compared, runs):
    _, content, out = compared
    rows = pq.read_table(out / "flips.parquet").to_pylist()
    assert len(rows) == LOGS * 3 * 4 + 1
    assert {(row["run"], row["flip"]) for row in rows} == {("worse", "lost")}
    assert [row["dangerous"] for row in rows] == [True] * (len(rows) - 1) + [False]
    assert {row["slice_category"] for row in rows[:-1]} == {"pedestrian"}
    last = rows[-1]
    assert (last["qa_id"], last["truth"], last["base_text"]) == ("log1-0-people-None", "1", "1")
    assert (last["base_failure"], last["other_failure"]) == (None, "refusal")
    by = content["runs"][0]["flips_by"]
    assert by["category"]["pedestrian"] == {"n": LOGS * 3 * (4 + 4), "lost": LOGS * 3 * 4, "gained": 0}
    assert by["category"]["car"]["lost"] == 0


def test_the_other_way_round_is_the_same_with_another_sign(compared, runs, tmp_path):
    _, content, _ = compared
    compare([runs["worse"], runs["true"]], tmp_path / "out")
    turned = json.loads((tmp_path / "out/comparison.json").read_text(encoding="utf-8"))
    for name in ("localization.mlsr", "accuracy", "prediction.ade_m"):
        one, other = metric(content, name), metric(turned, name)
        assert one["difference"] == pytest.approx(-other["difference"])
        assert one["p"] == pytest.approx(other["p"]) if one["p"] is not None else other["p"] is None
    assert turned["runs"][0]["flips"] == {"lost": 0, "gained": LOGS * 3 * 4 + 1, "dangerous": 0}


def test_only_common_questions_are_compared_and_the_others_counted(runs, tmp_path):
    part = part_of(runs["worse"], runs["root"] / "part", "log1")
    compare([runs["true"], part, runs["worse"]], tmp_path / "out")
    content = json.loads((tmp_path / "out/comparison.json").read_text(encoding="utf-8"))
    each = content["questions"]
    assert content["logs"] == 1
    assert content["base"]["left_out"] == (LOGS - 1) * each
    assert [run["left_out"] for run in content["runs"]] == [0, (LOGS - 1) * each]
    found = metric(content, "accuracy")
    assert (found["base"], found["other"], found["cluster_kind"]) == (1.0, 1 - (3 * 4 + 1) / each, "frame")
    assert "One log only" in (tmp_path / "out/comparison.html").read_text(encoding="utf-8")


def test_a_copy_of_a_run_differs_in_nothing(runs, tmp_path):
    copy = shutil.copytree(runs["worse"], runs["root"] / "copy")
    compare([runs["worse"], copy], tmp_path / "out")
    content = json.loads((tmp_path / "out/comparison.json").read_text(encoding="utf-8"))
    assert {one["verdict"] for one in content["runs"][0]["metrics"]} == {"same"}
    assert content["runs"][0]["flips"] == {"lost": 0, "gained": 0, "dangerous": 0}
    assert "No question flipped." in (tmp_path / "out/comparison.html").read_text(encoding="utf-8")


def test_the_same_runs_give_the_same_bytes(compared, runs, tmp_path):
    compare([runs["true"], runs["worse"]], tmp_path / "again")
    for name in ("comparison.json", "comparison.md", "comparison.html", "flips.parquet"):
        assert (tmp_path / "again" / name).read_bytes() == (compared[2] / name).read_bytes()


def test_the_page_and_the_summary_escape_what_models_say(compared):
    _, _, out = compared
    html = (out / "comparison.html").read_text(encoding="utf-8")
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert" in html
    assert "http://" not in html.replace("http://www.w3.org", "")
    assert "https://" not in html
    text = (out / "comparison.md").read_text(encoding="utf-8")
    assert "| suspected | safety.dangerous\\_far\\_rate.class.pedestrian | 0.0 % | 100.0 % | +100.0 |" in text


def test_wrong_use_is_one_clear_error(runs, tmp_path):
    with pytest.raises(ConfigError, match="two or more different evaluations"):
        compare([runs["true"]], tmp_path / "out")
    with pytest.raises(ConfigError, match="two or more different evaluations"):
        compare([runs["true"], runs["root"] / "." / "true"], tmp_path / "out")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="is a file"):
        compare([runs["true"], runs["worse"]], tmp_path / "file")
    with pytest.raises(StoreError, match="not an evaluation"):
        compare([runs["true"], tmp_path], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nothing_in_common_is_one_clear_error(runs, tmp_path):
    folders = [
        part_of(runs[name], runs["root"] / f"only-{log}", log) for name, log in (("true", "log0"), ("worse", "log1"))
    ]
    with pytest.raises(PredictionError, match="were asked no question in common"):
        compare(folders, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_runs_are_called_by_the_ends_of_their_paths_that_differ():
    assert run_names([Path("/a/one/eval"), Path("/a/two/eval")]) == ["one/eval", "two/eval"]
    assert run_names([Path("/a/x"), Path("/b/y")]) == ["x", "y"]


def test_who_answers_only_what_it_gets_right_is_worse(runs, tmp_path):
    store, true = Store.open(runs["root"] / "store"), true_answers(Store.open(runs["root"] / "store"))
    some = {key: text for key, text in true.items() if "-localization_t3-" not in key}
    path = tmp_path / "some.parquet"
    rows = [{"qa_id": key, "text": text, "model": "some", "sample": 0} for key, text in some.items()]
    table = pa.Table.from_pylist(rows).replace_schema_metadata({SELECTION_KEY: Selection("test").as_json()})
    pq.write_table(table, path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("drive_vqa.tracking.session.find_spec", lambda name: None)
        evaluate(store, path, tmp_path / "some")
    told = compare([runs["true"], tmp_path / "some"], tmp_path / "out")
    content = json.loads((tmp_path / "out/comparison.json").read_text())
    assert content["questions"] == len(true)
    assert content["runs"][0]["unanswered"] == len(true) - len(some)
    assert content["runs"][0]["flips"]["lost"] == len(true) - len(some)
    assert f"{len(true) - len(some)} questions have no answer and count as wrong." in told
    mlsr = next(one for one in content["runs"][0]["metrics"] if one["metric"] == "localization.mlsr")
    assert (mlsr["base"], mlsr["other"]) == (1.0, 0.75)


def test_runs_on_other_truths_are_not_compared(runs, tmp_path):
    store = write_world(tmp_path / "store", {f"log{index}": "test" for index in range(2)}, frames=2)
    other = scored(store, tmp_path / "other", true_answers(store), MODEL)
    with pytest.raises(PredictionError, match="differ\\): evaluate both with one store"):
        compare([runs["true"], other], tmp_path / "out")


def test_what_is_not_tested_comes_last_in_the_page_and_metres_are_not_drawn_in_points(compared):
    _, content, _ = compared
    table = _table(content["runs"][0], "headline")
    ranks = [line.p == "–" for line in table.lines]
    assert ranks == sorted(ranks)
    assert {True, False} == set(ranks)
    (fde,) = (line for line in table.lines if line.name == "prediction.fde_m")
    assert (fde.title, fde.difference[-2:], fde.low, fde.at, fde.high) == ("FDE (m)", " m", None, None, None)


@pytest.mark.parametrize(("better", "cut"), [("higher", (True, False)), ("lower", (False, True))])
def test_an_interval_that_goes_on_is_marked_where_it_is_cut(compared, better, cut):
    _, content, _ = compared
    change = metric(content, "accuracy") | {"low": -0.3, "difference": -0.05, "high": 0.02, "better": better}
    change |= {"metric": "type.side.accuracy", "p": 0.2}
    run = {"metrics": [change | {"kind": "slice"}], "comparisons": {"slice": 1}}
    table = _table(run, "slice")
    (line,) = table.lines
    assert table.reach == pytest.approx(10.0)
    assert (line.is_cut_low, line.is_cut_high) == cut
    places = (0.0, 50.0, 120.0) if better == "higher" else (80.0, 150.0, 200.0)
    assert (line.low, line.at, line.high) == pytest.approx(places)


def test_every_headline_metric_has_a_name_in_words(compared):
    _, content, _ = compared
    titles = {line.name: line.title for line in _table(content["runs"][0], "headline").lines}
    assert titles["localization.sr_bearing"] == "Bearing within 10°"
    assert titles["prediction.miss_rate_2m"] == "Miss rate (2 m)"
    assert [title for title in titles.values() if "·" in title] == []
    assert [name for name in OWN_TITLES if KINDS["headline"].fullmatch(name) is None] == []
