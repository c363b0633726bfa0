"""Accuracy by hand, and against the score: what is right there is right here."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drive_vqa.schema import TRUTH
from eval.cases import answer_columns
from eval.parse import parse
from eval.scoring import judge
from finetune.rewards.accuracy import accuracy, exact_accuracy, is_right
from finetune.rewards.rouge import rouge
from tests.finetune.rewards.by_hand import said, truth_about

HALF_SIGMA = math.exp(-0.5)


def paid(answer_type, answer, **truth):
    return accuracy(said(answer=answer), truth_about(answer_type, **truth), 0.0)


@pytest.mark.parametrize(
    ("answer", "reward"),
    [
        ("left", 1.0),
        ("A", 1.0),
        ("(B)", 0.0),
        ("to the right", 0.0),
        ("left or right", 0.0),
        ("cannot be determined", 0.0),
        ("", 0.0),
    ],
)
def test_letter_or_choice(answer, reward):
    assert paid("choice", answer, choice="left") == reward


@pytest.mark.parametrize(
    ("answer", "reward"),
    [
        ("12.5 m", 1.0),  # 25 % off
        ("7.5 m", 1.0),
        ("15 m", 0.5 * math.exp(-0.5 * 2**2)),  # two bands of 2.5 m
        ("12.6 m", 0.5 * math.exp(-0.5 * 1.04**2)),
        ("1 km", 0.0),
        ("12.5", 0.0),  # no unit
        ("-10 m", 0.0),
    ],
)
def test_number_falls_smoothly_outside_of_the_band(answer, reward):
    assert paid("distance", answer, distance_m=10.0) == pytest.approx(reward, abs=1e-12)


def test_bands_of_other_numbers():
    assert paid("bearing", "-170°", bearing_deg=179.0) == pytest.approx(0.5 * math.exp(-0.5 * 1.1**2))
    assert paid("speed", "6 m/s", speed_mps=5.0) == 1.0
    assert paid("speed", "7 m/s", speed_mps=5.0) == pytest.approx(0.5 * math.exp(-2))
    assert paid("time", "2.0 s", time_s=1.0) == pytest.approx(0.5 * math.exp(-0.5 * 16))
    assert paid("distance", "0.3 m", distance_m=0.2) == 1.0


def test_joint_answer_has_the_mean_of_its_parts():
    truth = {"distance_m": 10.0, "bearing_deg": 0.0}
    assert paid("localization", "11 m, 5°", **truth) == 1.0
    assert paid("localization", "11 m, 20°", **truth) == pytest.approx(0.5 * (1 + math.exp(-2)) / 2)
    assert paid("localization", "11 m", **truth) == 0.0


def test_box_and_interval():
    box = {"u0_px": 0.0, "v0_px": 0.0, "u1_px": 10.0, "v1_px": 10.0}
    assert paid("box", "[0, 0, 8, 10]", **box) == pytest.approx(0.8)
    assert paid("box", "[0, 0, 4, 10]", **box) == pytest.approx(0.5 * 0.4)
    assert paid("interval", "from 1.0 to 3.0 seconds ago", start_s=-3.0, end_s=-1.0) == 1.0
    assert paid("interval", "from 2.5 to 3.0 seconds ago", start_s=-3.0, end_s=-1.0) == pytest.approx(0.5 * 0.25)
    both = paid("interval_box", "from 1.0 to 3.0 seconds ago, [0, 0, 8, 10]", start_s=-3.0, end_s=-1.0, **box)
    assert both == pytest.approx(0.9)


def test_sets_orders_and_what_cannot_be_known():
    assert paid("ranking", "Region 4, Region 7", marks=[4, 7]) == 1.0
    assert paid("ranking", "Region 7, Region 4", marks=[4, 7]) == 0.0
    assert paid("regions", "Region 7, Region 4", marks=[4, 7]) == 1.0
    assert paid("undetermined", "It cannot be determined.", undetermined=True) == 1.0
    assert paid("undetermined", "12 m", undetermined=True) == 0.0


def test_free_text():
    """ROUGE-1 2·2/(3+2), ROUGE-2 2·1/(2+1), ROUGE-L as ROUGE-1."""
    value = (0.8 + 2 / 3 + 0.8) / 3
    assert rouge("a red car", "red car!") == pytest.approx(value)
    assert paid("text", "red car!", text="a red car") == pytest.approx(value)
    assert paid("text", "a dog", text="a red car") == pytest.approx(0.5 * (0.4 + 0 + 0.4) / 3)
    assert rouge("a b c", "c b a") == pytest.approx((1 + 0 + 1 / 3) / 3)
    assert rouge("", "") == rouge("word", "") == 0.0


def test_no_single_answer_pays_nothing():
    truth = truth_about("choice", choice="left")
    assert accuracy(said(answer="left</answer><answer>left"), truth, 0.0) == 0.0
    assert exact_accuracy(said(answer="right"), truth, 0.0) == 0.0
    assert exact_accuracy(said(answer="left"), truth, 0.0) == 1.0


NUMBERS = {
    "distance": ("distance_m", "{} m", 0.0),
    "bearing": ("bearing_deg", "{} degrees", -180.0),
    "turn": ("yaw_deg", "{} degrees", -180.0),
    "speed": ("speed_mps", "{} m/s", 0.0),
    "longitudinal": ("x_m", "{} m", -50.0),
    "lateral": ("y_m", "{} m", -50.0),
    "time": ("time_s", "{} s", 0.0),
}


@pytest.mark.parametrize("kind", sorted(NUMBERS))
def test_right_is_what_the_score_calls_right_and_pays_clearly_more(kind):
    field, form, least = NUMBERS[kind]
    rng = np.random.default_rng(0)
    true = rng.uniform(least, 50.0, 60).round(2)
    told = (true * rng.uniform(0.6, 1.4, 60)).round(2)
    columns = {"answer_type": kind, **{f"truth_{name}": true if name == field else np.nan for name in TRUTH.names}}
    answers = answer_columns([parse(form.format(value), kind).as_truth() for value in told])
    verdicts = judge(pd.DataFrame(columns, index=range(60)), answers)["success"]
    assert 10 < verdicts.sum() < 55
    for verdict, value, truth in zip(verdicts, told, true, strict=True):
        completion = said(answer=form.format(value))
        assert is_right(completion, truth_about(kind, **{field: truth})) == verdict
        reward = accuracy(completion, truth_about(kind, **{field: truth}), 0.0)
        assert reward == 1.0 if verdict else reward <= 0.5 * HALF_SIGMA


@given(st.lists(st.floats(0, 100), min_size=4, max_size=4))
@settings(max_examples=100)
def test_a_wrong_box_pays_less_than_half_of_any_right_one(numbers):
    u0, v0, width, height = numbers
    answer = f"[{u0:.1f}, {v0:.1f}, {u0 + width + 0.1:.1f}, {v0 + height + 0.1:.1f}]"
    truth = truth_about("box", u0_px=10.0, v0_px=10.0, u1_px=60.0, v1_px=50.0)
    reward = accuracy(said(answer=answer), truth, 0.0)
    assert reward >= 0.5 - 1e-9 if is_right(said(answer=answer), truth) else reward < 0.25
