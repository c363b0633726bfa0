"""The preset `answers`: what plain answers earn, and why by a slope."""

import math
from itertools import pairwise
from random import Random

import numpy as np
import pytest

from eval.parse import ParseFailure, parse
from eval.reasoning.hostile import make_text
from finetune.rewards.attacks import LARGE
from finetune.rewards.presets import PRESETS
from finetune.rewards.score import read_completion, score_completions, totals
from tests.finetune.rewards.by_hand import truth_about

ANSWERS = PRESETS["answers"]
DISTANCE_M, BEARING_DEG = 16.0, -29.0
TRUTH = truth_about("localization", distance_m=DISTANCE_M, bearing_deg=BEARING_DEG)
TWO_BANDS = math.exp(-0.5 * 2**2)


def earned(text, truth=TRUTH):
    completion = read_completion(ANSWERS, text, truth)
    return totals(ANSWERS, score_completions(ANSWERS, [completion], [truth], 0.5))[0]


@pytest.mark.parametrize(
    ("text", "reward"),
    [
        ("16.0 meters, -29 degrees", 1.0),
        ("16.0 meters, 29 degrees to the right", 1.0),
        ("20.0 meters, -39 degrees", 1.0),  # on the edge of both bands
        ("16.0 meters, -9 degrees", 0.5 * (1 + TWO_BANDS) / 2),
        ("24.0 meters, -49 degrees", 0.5 * TWO_BANDS),
        ("90 meters, 150 degrees", 0.0),
    ],
)
def test_right_near_and_wrong(text, reward):
    assert earned(text) == pytest.approx(reward, abs=1e-9)


def test_an_answer_that_was_cut_earns_nothing():
    completion = read_completion(ANSWERS, "16.0 meters, -29 degrees", TRUTH, finished=False)
    assert totals(ANSWERS, score_completions(ANSWERS, [completion], [TRUTH], 0.5)) == [0.0]


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n",
        "\x00\ud800",
        "cannot be determined",
        "16.0, -29",  # no units
        "16.0 meters",
        "16.0 meters or 20 meters, -29 degrees",
        "nan meters, inf degrees",
        "16.0 meters, -29 degrees " * 200,
        pytest.param("9" * LARGE, id="ten megabytes"),
        "<answer>12",
    ],
)
def test_what_is_no_answer_earns_nothing(text):
    assert earned(text) == 0.0


def test_what_stands_around_an_answer_is_read_as_in_the_score():
    assert earned("<think>\nIt turns.\n</think>\n<answer>16.0 meters, -29 degrees</answer>") == 1.0
    random = Random(5)
    found = set()
    for _ in range(40):
        text = make_text(random)[:500] + random.choice(["", " 16.0 meters, -29 degrees", "<answer>16 m, -29°"])
        is_read = not isinstance(parse(text, "localization"), ParseFailure)
        assert is_read or earned(text) == 0.0
        assert not text.endswith("<answer>16 m, -29°") or earned(text) == 1.0
        found.add(is_read)
    assert found == {True, False}


def test_of_wrong_answers_the_nearer_one_earns_more():
    """Which is what a group of wrong answers can teach."""
    texts = [f"{DISTANCE_M + off:.1f} meters, {BEARING_DEG + 2 * off:.0f} degrees" for off in range(6, 18, 2)]
    rewards = [earned(text) for text in texts]
    assert all(0.0 < further < nearer < 0.5 for nearer, further in pairwise(rewards))


def test_the_best_answer_under_the_slope_is_right_as_often_as_any():
    """Of answers on a grid, to a place that is not well known and may be a second one farther away and to the left."""
    rng = np.random.default_rng(7)
    count = 40
    far = rng.random(count) < 0.35
    distances_m = DISTANCE_M * np.exp(rng.normal(0.0, 0.2, count)) * np.where(far, 1.8, 1.0)
    bearings_deg = BEARING_DEG + rng.normal(0.0, 8.0, count) + np.where(far, 30.0, 0.0)
    truths = [
        truth_about("localization", distance_m=float(one), bearing_deg=float(other))
        for one, other in zip(distances_m, bearings_deg, strict=True)
    ]
    texts = [f"{distance} meters, {bearing} degrees" for distance in range(10, 36, 4) for bearing in range(-47, 14, 9)]
    rewards = np.array([[earned(text, truth) for truth in truths] for text in texts])
    share_right = (rewards == 1.0).mean(axis=1)
    assert share_right[rewards.mean(axis=1).argmax()] == share_right.max()
    assert 0.2 < share_right.max() < 0.7
