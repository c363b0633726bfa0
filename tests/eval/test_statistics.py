"""The bootstrap against cases with a known answer."""

from __future__ import annotations

import time

import numpy as np
import pytest

from eval.statistics import NOTHING, estimate_mean, estimate_median


def cases(logs, each, values):
    log = np.repeat(np.arange(logs), each)
    return np.asarray(values, dtype=np.float64), log, np.arange(logs * each)


@pytest.mark.parametrize("estimate", [estimate_mean, estimate_median])
def test_no_cases_have_no_value(estimate):
    none = np.zeros(0, dtype=np.int64)
    assert estimate(np.zeros(0), none, none) == NOTHING
    assert (NOTHING.value, NOTHING.n, NOTHING.low) == (None, 0, None)


def test_equal_logs_have_no_spread():
    found = estimate_mean(*cases(5, 2, [0.0, 1.0] * 5))
    assert (found.value, found.low, found.high, found.n, found.clusters, found.cluster_kind) == (
        0.5,
        0.5,
        0.5,
        10,
        5,
        "log",
    )


def test_logs_are_drawn_and_not_answers():
    """Two logs, one all right and one all wrong: draws give 0, 1/2 or 1, however many answers there are."""
    found = estimate_mean(*cases(2, 500, [1.0] * 500 + [0.0] * 500))
    assert (found.value, found.low, found.high) == (0.5, 0.0, 1.0)


def test_logs_count_by_their_answers():
    values = np.array([1.0] * 9 + [0.0])
    found = estimate_mean(values, np.array([0] * 9 + [1]), np.arange(10))
    assert found.value == 0.9


def test_one_log_draws_its_frames_and_says_so():
    values, log, frame = cases(1, 40, [0.0, 1.0] * 20)
    found = estimate_mean(values, log, frame // 2)
    assert (found.cluster_kind, found.clusters, found.low, found.high) == ("frame", 20, 0.5, 0.5)


def test_one_frame_has_no_interval():
    found = estimate_mean(np.array([0.0, 1.0]), np.zeros(2, dtype=np.int64), np.zeros(2, dtype=np.int64))
    assert (found.value, found.low, found.high, found.clusters) == (0.5, None, None, 1)


def test_the_width_is_that_of_the_binomial():
    """Independent logs of one answer: 1.96 √(p (1 - p) / n) either way."""
    found = estimate_mean(*cases(400, 1, [1.0] * 100 + [0.0] * 300))
    half = 1.96 * np.sqrt(0.25 * 0.75 / 400)
    assert found.value - found.low == pytest.approx(half, rel=0.08)
    assert found.high - found.value == pytest.approx(half, rel=0.08)


def test_it_covers_the_truth_about_as_often_as_it_says():
    random = np.random.default_rng(5)
    hits = 0
    for _ in range(200):
        chance = random.beta(6, 4, size=40)  # logs differ: mean 0.6
        found = estimate_mean(*cases(40, 10, (random.random((40, 10)) < chance[:, None]).ravel()))
        hits += found.low <= 0.6 <= found.high
    assert 180 <= hits <= 199


def test_the_seed_is_fixed():
    random = np.random.default_rng(0)
    sample = cases(30, 5, random.random(150))
    assert estimate_mean(*sample) == estimate_mean(*sample)


def test_median_by_hand():
    found = estimate_median(*cases(5, 1, [1.0, 2.0, 3.0, 4.0, 100.0]))
    assert (found.value, found.n) == (3.0, 5)
    assert (found.low, found.high) == (1.0, 100.0)
    assert estimate_median(*cases(2, 2, [1.0, 3.0, 5.0, 7.0])).value == 4.0


def test_median_agrees_with_drawing_by_hand():
    random = np.random.default_rng(3)
    values, log, frame = cases(20, 7, random.normal(size=140))
    found = estimate_median(values, log, frame)
    drawn = [
        np.median(np.concatenate([values[log == one] for one in random.integers(20, size=20)])) for _ in range(4000)
    ]
    assert (found.low, found.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.03)


def test_median_of_many_is_close_to_exact():
    random = np.random.default_rng(4)
    values, log, frame = cases(10, 1000, random.normal(size=10_000))
    found = estimate_median(values, log, frame)
    assert found.low < found.value < found.high
    assert found.high - found.low == pytest.approx(2 * 1.96 * 1.2533 / 100, rel=0.6)


def test_a_metric_takes_less_than_a_fifth_of_a_second():
    random = np.random.default_rng(1)
    for logs in (20, 150):
        sample = cases(logs, 200, random.random(200 * logs))
        estimate_mean(*sample)
        start = time.process_time()
        estimate_mean(*sample)
        assert time.process_time() - start < 0.2
