"""Kinds and causes of wrong answers, by hand and against a slow chain of ifs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from eval.error_analysis.causes import CAUSES, KINDS, cause_codes, kind_codes
from eval.error_analysis.examples import choose_examples
from eval.error_analysis.sizes import median_of, medians_by_part, relative_error
from eval.error_analysis.slices import binned
from eval.error_analysis.target_answers import TargetAnswers
from eval.localization import bearing_ok, distance_ok
from eval.panel import Answered
from eval.panel.located import Located

NONE = float("nan")


def told(truth_m, said_m, said_deg=None, truth_deg=None):
    """Answers in numbers, without the questions that they are to; bearings are 0 where none are given."""
    truth_m, said_m = (np.array(values, dtype=np.float64) for values in (truth_m, said_m))
    truth_deg = np.zeros_like(truth_m) if truth_deg is None else np.array(truth_deg, dtype=np.float64)
    said_deg = np.where(np.isnan(said_m), NONE, 0.0) if said_deg is None else np.array(said_deg, dtype=np.float64)
    distance, bearing = distance_ok(truth_m, said_m), bearing_ok(truth_deg, said_deg)
    rows = np.arange(truth_m.size).reshape(truth_m.shape)
    asked, read = np.ones(truth_m.shape, dtype=bool), np.isfinite(said_m)
    located = Located(rows[:, 0], rows, asked, asked, read, distance & bearing, distance, bearing)
    nothing = Answered(*(pd.DataFrame() for _ in range(3)))
    return TargetAnswers(nothing, located, truth_m, truth_deg, said_m, said_deg, left_out=0)


def causes_of(answers, predictable=None):
    predictable = np.ones(answers.truth_m.shape, dtype=bool) if predictable is None else predictable
    codes = cause_codes(answers, predictable)
    return [[CAUSES[code] if code >= 0 else None for code in row] for row in codes]


@pytest.mark.parametrize(
    ("truth_m", "said_m", "causes"),
    [
        ([20, 18, 16, 14], [20, 18, 16, 14], [None, None, None, None]),
        ([20, 18, 16, 14], [30, 18, 24, 24], [None, None, "present wrong", "present wrong"]),
        ([20, 18, 16, 14], [NONE, 18, 24, NONE], [None, None, "present wrong", "present wrong"]),
        ([20, 18, 16, 14], [20, NONE, 16, 14], [None, "not readable", None, None]),
        ([20, 18, 16, 14], [20, 20, 20, 20], [None, None, None, "too little"]),  # 25 % at 2 s is still right
        ([20, 16, 12, 8], [20, 24, 28, 32], [None, "wrong way", "wrong way", "wrong way"]),
        ([20, 18, 16, 14], [20, 14, 8, 2], [None, None, "too much", "too much"]),
        ([10, 8, 6, 4], [12, 10, 8, 6.5], [None, None, "rest", "rest"]),
        ([1, 1, 1, 1], [1, 1.4, 1.6, 0.4], [None, "rest", "too much", "too much"]),  # 0.5 m are always allowed
    ],
)
def test_each_wrong_answer_has_the_first_cause_that_holds(truth_m, said_m, causes):
    assert causes_of(told([truth_m], [said_m])) == [causes]


def test_what_constant_velocity_does_not_foresee_is_hardly_predictable():
    answers = told([[20, 18, 16, 14]], [[20, 40, 40, 40]])
    predictable = np.array([[True, True, False, False]])
    assert causes_of(answers, predictable) == [[None, "wrong way", "hardly predictable", "hardly predictable"]]


def test_a_right_distance_with_a_wrong_bearing_is_told_apart():
    answers = told([[20, 18, 16, 14]], [[20, 18, 16, 40]], said_deg=[[0, 11, -11, 11]])
    assert causes_of(answers) == [[None, "bearing alone", "bearing alone", "wrong way"]]


def test_kinds_name_what_is_wrong():
    answers = told(
        [[10, 10, 10, 10], [10, 10, 10, 10]], [[10, 13, 10, 13], [NONE, 10, 10, 10]], [[0, 0, 11, 11], [0] * 4]
    )
    names = [[KINDS[code] if code >= 0 else "right" for code in row] for row in kind_codes(answers.located)]
    assert names == [["right", "distance alone", "bearing alone", "both"], ["not readable", "right", "right", "right"]]


def slow_cause(answers, predictable, target, at):
    located, truth_m, said_m = answers.located, answers.truth_m[target], answers.said_m[target]
    if located.success[target, at] or at == 0:
        return None
    if not located.success[target, 0]:
        return "present wrong"
    if not located.read[target, at]:
        return "not readable"
    if not predictable[target, at]:
        return "hardly predictable"
    if located.distance_ok[target, at]:
        return "bearing alone"
    true_m, change_m = truth_m[at] - truth_m[0], said_m[at] - said_m[0]
    if abs(change_m - true_m) <= max(0.5 * abs(true_m), 0.5):
        return "rest"
    if change_m * true_m < 0:
        return "wrong way"
    return "too little" if abs(change_m) < abs(true_m) else "too much"


def test_random_answers_have_the_causes_that_a_slow_chain_finds():
    random = np.random.default_rng(5)
    truth_m = random.uniform(1, 30, (400, 4))
    said_m = truth_m * random.uniform(0.7, 1.3, truth_m.shape)
    said_m[random.random(said_m.shape) < 0.1] = NONE
    answers = told(truth_m, said_m, said_deg=random.uniform(-14, 14, truth_m.shape))
    predictable = random.random(truth_m.shape) < 0.7
    found = causes_of(answers, predictable)
    assert found == [[slow_cause(answers, predictable, target, at) for at in range(4)] for target in range(400)]
    assert {cause for row in found for cause in row} == {None, *CAUSES}


def test_the_case_of_a_kind_is_the_one_at_the_middle_distance():
    truth_m = [[distance_m] * 4 for distance_m in (30, 10, 20, 5, 40)]
    answers = told(truth_m, [*truth_m[:3], [10, 5, 5, 5], [40, 60, 60, 60]])
    codes = cause_codes(answers, np.ones((5, 4), dtype=bool))
    assert choose_examples(answers, codes) == {"right": 2, "present_wrong": 3, "motion_wrong": 4}


def test_relative_errors_are_signed_and_leave_out_what_is_too_near():
    answers = told([[10, 10, 0.3, 20]], [[12, 9, 0.6, NONE]])
    assert relative_error(answers) == pytest.approx(np.array([[0.2, -0.1, NONE, NONE]]), nan_ok=True)


def test_medians_are_taken_by_the_distance_at_the_time_asked_about():
    answers = told([[5, 15, 5, 5], [5, 5, 5, 15]], [[6, 15, 5, 5], [8, 5, NONE, 12]])
    parts = binned(answers.truth_m.ravel(), (0, 10, 20), "m")
    medians = medians_by_part(relative_error(answers), parts)
    assert list(medians) == ["0 to 10 m", "10 to 20 m", "from 20 m on"]
    near, middle, far = ([(one.value, one.n) for one in cells] for cells in medians.values())
    assert near == [(pytest.approx(0.4), 2), (0.0, 1), (0.0, 1), (0.0, 1)]
    assert middle[1] == (0.0, 1)
    assert middle[3] == (pytest.approx(-0.2), 1)
    assert [n for _, n in far] == [0, 0, 0, 0]
    assert np.isnan(median_of(np.array([NONE])).value)
