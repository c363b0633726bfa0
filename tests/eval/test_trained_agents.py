"""Where one log is split by time, agents that training knows are told from the others."""

from __future__ import annotations

import pytest

from drive_vqa.schema import table_from_rows
from eval.cases import read_cases
from eval.judged import judge_predictions
from eval.trained_agents import split_rule, trained_agent_samples, trained_agents
from tests.eval.conftest import write_world


@pytest.fixture(scope="module")
def split_by_time(tmp_path_factory):
    """One log, whose first moment is for training and asks nothing about the crossing pedestrian (mark 2)."""
    store = write_world(tmp_path_factory.mktemp("world") / "store", {"a": "test"})
    rows = store.read("questions", "a").to_pylist()
    train = [row | {"split": "train"} for row in rows if row["frame"] == 0 and "crossing" not in row["track_ids"]]
    later = [row for row in rows if row["frame"] > 0]
    store.write("questions", "a", table_from_rows("questions", train + later), "split by time")
    store.write_manifest("generate", {"split": {"rule": "time-within-log"}})
    return store


def true_answers(store):
    cases = read_cases(store, ["test"])
    told = store.read_all("questions", ["qa_id", "answer"]).to_pandas().rename(columns={"answer": "text"})
    return judge_predictions(cases, told.assign(model="m", sample=0)).answered


def test_who_training_asks_about_is_known(split_by_time):
    cases = read_cases(split_by_time, ["test"])
    known = trained_agents(split_by_time, cases)
    assert set(cases["track_id"][known]) == {"lead", "oncoming", "parked"}
    assert "crossing" in set(cases["track_id"][~known])


def test_each_target_is_in_one_of_the_two_slices(split_by_time):
    answered = true_answers(split_by_time)
    samples = trained_agent_samples(split_by_time, answered)
    moments = answered.cases["group_id"].nunique()
    counts = {
        value: len(samples[f"slice.agent_in_training.{value}.localization.tlc"].values) for value in ("true", "false")
    }
    assert counts == {"true": 3 * moments, "false": moments}
    assert samples["slice.agent_in_training.false.localization.mlsr"].values.tolist() == [1.0] * 4 * moments
    questions = len(samples["slice.agent_in_training.false.accuracy"].values)
    assert questions == (answered.cases["track_id"] == "crossing").sum()


def test_stores_that_are_split_by_log_have_no_such_slices(world):
    assert split_rule(world) == "whole-logs"
    assert trained_agent_samples(world, true_answers(world)) == {}


@pytest.mark.parametrize("split", ["time-within-log", None, ["rule"]])
def test_a_manifest_that_tells_no_rule_is_no_error(tmp_path, write_store, split):
    store = write_store(tmp_path / "store", {"a": "test"})
    store.write_manifest("generate", {"split": split})
    assert split_rule(store) is None
