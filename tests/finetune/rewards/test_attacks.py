"""No attack under `drive` beats an honest, grounded, right answer: the named ones, and random ones."""

import subprocess
import sys
from random import Random

import numpy as np
import pytest

from finetune.rewards.accuracy import is_right
from finetune.rewards.attack_table import earned, exceeds, is_ungrounded, main, trial
from finetune.rewards.attack_world import examples
from finetune.rewards.attacks import RIGHT, WRONG, honest, honest_imperfect
from finetune.rewards.gate import WRONG_PAY
from finetune.rewards.presets import PRESETS
from finetune.rewards.random_attacks import random_attempt
from finetune.rewards.score import read_completion

DRIVE = PRESETS["drive"]
EXAMPLES = {example.truth.qa_id: example for example in examples()}
RANDOM = 340
"""Completions for each of the three questions; `attack_table --random` tries more."""


@pytest.fixture(scope="module", params=EXAMPLES)
def example(request):
    return EXAMPLES[request.param]


@pytest.fixture(scope="module")
def top(example):
    return earned(DRIVE, example, honest(example, "drive"))


@pytest.fixture(scope="module")
def near(example):
    return earned(DRIVE, example, honest_imperfect(example, "drive"))


def test_honest_answers_are_what_the_proof_takes_them_for(top, near):
    assert top.completion.trace.well_formed
    for name, value in top.rewards.items():
        assert value is None or value == pytest.approx(0.0 if name == "safety" else 1.0, abs=1e-3)
    assert near.rewards["boxes"] == near.rewards["spatial"] == pytest.approx(0.6)
    assert near.rewards["key_frames"] == near.rewards["points"] == 1.0
    evidence = set(near.rewards) - {"accuracy", "format", "looks", "safety"}
    assert all(near.rewards[name] is None or near.rewards[name] >= WRONG_PAY for name in evidence)


@pytest.mark.parametrize("name", WRONG)
def test_without_the_right_answer_no_reward_is_greater(name, example, top, near):
    attempt = earned(DRIVE, example, WRONG[name](example, "drive"))
    assert not is_right(attempt.completion, example.truth)
    assert not exceeds(attempt, near)
    assert attempt.total < near.total - 0.5 < top.total


@pytest.mark.parametrize("name", RIGHT)
def test_right_without_the_evidence_stays_below_honest_with_imperfect_boxes(name, example, top, near):
    attempt = earned(DRIVE, example, RIGHT[name](example, "drive"))
    assert attempt.total < near.total < top.total


@pytest.mark.parametrize(
    ("preset", "name"),
    [
        ("vigorl", "points everywhere, right answer"),
        ("treevgr", "name of another region, right answer"),
        ("open_o3", "duplicates of a good box, right answer"),
    ],
)
def test_published_presets_pay_these_in_full(preset, name, example):
    """The table must show what is wrong with them."""
    dialect = PRESETS[preset].dialect
    attempt, best = (earned(PRESETS[preset], example, make(example, dialect)) for make in (RIGHT[name], honest))
    assert attempt.total == pytest.approx(best.total)


def test_random_completions(example):
    found = trial(example, 30, seed=1)
    assert found.better_than_honest == found.wrong_better == found.ungrounded_better == 0
    assert 0.0 < found.best_wrong < found.imperfect < found.honest
    assert found.best_attack.startswith("<think>")


def test_random_completions_hold_all_kinds(example):
    """Right and wrong, well-formed and not, grounded and not: what never reads well would be no trial."""
    random = Random(3)
    texts = [random_attempt(example, random).text for _ in range(80)]
    tried = [read_completion(DRIVE, text, example.truth) for text in texts]
    assert 15 < sum(is_right(one, example.truth) for one in tried) < 65
    assert 30 < sum(one.trace.well_formed for one in tried) < 75
    assert 8 < sum(is_ungrounded(one, example) for one in tried) < 72


def test_the_command_tries_a_thousand():
    """In a process of its own, where annotations are not checked: that takes a quarter of the time."""
    command = [sys.executable, "-m", "finetune.rewards.attack_table", "--random", str(RANDOM)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 2 + 2 + len(RIGHT) + len(WRONG)
    assert all(line.count("|") == len(PRESETS) + 2 for line in rows)
    assert "several_answers" in next(line for line in rows if "three answers" in line)
    assert lines.count("- better than honest: 0") == len(EXAMPLES)
    assert done.stdout.count("better than imperfect: 0\n") == 2 * len(EXAMPLES)


def test_the_exit_status_tells_when_an_attack_succeeds(monkeypatch):
    """Without the gate, evidence is paid for a wrong answer, and the trial must see it."""
    monkeypatch.setattr("finetune.rewards.gate.WRONG_PAY", 1.0)
    monkeypatch.setattr("finetune.rewards.attack_table.table", lambda _: iter(()))
    monkeypatch.setattr(sys, "argv", ["attack_table", "--random", "20"])
    assert main() == 1


def test_wrong_answers_stay_below_after_each_reward_is_normalized(example, near):
    """As TRL's normalize_then_sum does in a group; sums that are right need not stay so, single rewards that are right do."""
    group = [
        near,
        *(earned(DRIVE, example, make(example, "drive")) for name, make in WRONG.items() if "10 MB" not in name),
    ]
    columns = [(weight, [one.rewards[name] for one in group]) for name, weight in DRIVE.weights.items()]
    told = [(weight, np.array(values, float)) for weight, values in columns if values[0] is not None]
    sums = sum(weight * (values - values.mean()) / (values.std() + 1e-4) for weight, values in told)
    assert (sums[1:] < sums[0] - 1.0).all()
