"""Traces that the writer makes from tracks: honest ones earn all there is, of every kind of question."""

from collections import Counter

import pytest

from drive_vqa.store import Store
from finetune.rewards.presets import PRESETS
from finetune.rewards.score import read_completion, score_completions
from finetune.rewards.truth import truths_of
from qa_gen.ask import ask
from qa_gen.config import GenerateConfig
from qa_gen.drive import read_drive
from qa_gen.tracing.scene import read_states
from qa_gen.tracing.write import write_trace
from tests.qa_gen.oracle.world import CAMERAS, Looks, make_traffic, write_traffic

CONFIG = GenerateConfig(max_marks=3, time_tolerance_s=0.15, need_images=False)
A_TYPE = 1
"""Questions of each type that are tried."""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = Store.create(tmp_path_factory.mktemp("real") / "store")
    write_traffic(store, "one", make_traffic(1, seconds=8.0), Looks(tuple(CAMERAS)))
    groups, questions = ask(read_drive(store, "one"), ["test"], CONFIG, bench_groups=1)
    store.write("groups", "one", groups, "f")
    store.write("questions", "one", questions, "f")
    return store


@pytest.fixture(scope="module")
def asked(store):
    """Question, group and truth, a few of every type."""
    truths = truths_of(store, "one")
    groups = {row["group_id"]: row for row in store.read("groups", "one").to_pylist()}
    kinds = Counter()
    found = []
    for row in store.read("questions", "one").to_pylist():
        kinds[row["type"]] += 1
        if kinds[row["type"]] <= A_TYPE:
            found.append((row, groups[row["group_id"]], truths[row["qa_id"]]))
    assert len(kinds) > 60
    return found


def scored(preset, store, asked, style):
    states = read_states(store, "one")
    for question, group, truth in asked:
        text = write_trace(question, group, states, style=style, dialect=preset.dialect, config=CONFIG)
        completion = read_completion(preset, text, truth)
        assert completion.trace.well_formed, text
        scores = score_completions(preset, [completion], [truth], 1.0)
        yield truth, {name: values[0] for name, values in scores.items()}


def test_honest_chains_earn_all_under_drive(store, asked):
    checked = Counter()
    for truth, rewards in scored(PRESETS["drive"], store, asked, "chain"):
        assert rewards.pop("looks") in (0.0, None)
        assert rewards.pop("safety") in (0.0, None)
        for name, value in rewards.items():
            checked[name] += value is not None
            least = 0.5 if name == "physics" and truth.question_type == "closest_distance" else 0.95
            assert value is None or value > least - 1e-9, (name, truth.question_type)
    assert checked["physics"] > 10
    assert checked["places"] > 60


@pytest.mark.parametrize("name", ["vigorl", "treevgr", "open_o3"])
def test_honest_chains_are_right_and_well_formed_for_the_published(name, store, asked):
    for _, rewards in scored(PRESETS[name], store, asked[::4], "chain"):
        assert rewards["accuracy"] > 0.99


def test_direct_answers_are_right_and_earn_no_evidence(store, asked):
    for truth, rewards in scored(PRESETS["drive"], store, asked[::4], "direct"):
        assert rewards["accuracy"] > 0.99
        assert rewards["format"] == 0.0
        assert not (truth.evidence.boxes and rewards["boxes"])


def test_a_truth_has_what_its_question_has(asked):
    for question, _, truth in asked:
        assert (truth.qa_id, truth.family, truth.question_type) == (
            question["qa_id"],
            question["family"],
            question["type"],
        )
        assert truth.answer == question["truth"]
        assert truth.options == tuple(question["options"])
        assert {(box.mark, box.context) for box in truth.evidence.boxes} <= {
            (fact["mark"], fact["context"]) for fact in question["evidence"]
        }
