"""Intervals and paired differences against cases with a known answer and against a slow bootstrap by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval import bootstrap
from eval.bootstrap import outer_limits
from eval.statistics import (
    NOTHING,
    Sample,
    difference_each,
    estimate_each,
    estimate_mean,
    estimate_of_means,
)

DRAWS = 10_000
"""As everywhere but in the other tests."""


@pytest.fixture(autouse=True, scope="module")
def all_draws():
    bootstrap._kept_weights.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bootstrap, "DRAWS", DRAWS)
        yield
    bootstrap._kept_weights.cache_clear()


def estimate_median(values, logs, frames):
    return estimate_each({"": Sample(values, np.arange(len(values)), "median")}, logs, frames)[""]


def cases(logs, each, values):
    log = np.repeat(np.arange(logs), each)
    return np.asarray(values, dtype=np.float64), log, np.arange(logs * each)


def unequal(random, logs):
    """Logs of 1 to 20 answers, some logs better than others: values, logs, frames."""
    log = np.repeat(np.arange(logs), random.integers(1, 21, size=logs))
    return (random.random(len(log)) < random.beta(3, 3, size=logs)[log]).astype(float), log, np.arange(len(log))


@pytest.mark.parametrize("estimate", [estimate_mean, estimate_median])
def test_no_cases_have_no_value(estimate):
    none = np.zeros(0, dtype=np.int64)
    assert estimate(np.zeros(0), none, none) == NOTHING
    assert (NOTHING.value, NOTHING.n, NOTHING.low) == (None, 0, None)


def test_a_share_on_which_all_logs_agree_has_the_interval_of_so_many_trials():
    """As Clopper and Pearson have it of 5 trials: the far end is 0.025 to the power 1/5 from the other side."""
    far = 0.025 ** (1 / 5)
    none = estimate_mean(*cases(5, 2, [0.0] * 10), "share")
    assert (none.value, none.low, none.high, none.n, none.clusters) == (0.0, 0.0, pytest.approx(1 - far), 10, 5)
    every = estimate_mean(*cases(5, 2, [1.0] * 10), "share")
    assert (every.value, every.low, every.high) == (1.0, pytest.approx(far), 1.0)
    half = estimate_mean(*cases(4, 2, [0.0, 1.0] * 4), "share")
    unseen = 1 - 0.025 ** (1 / 4)  # of logs may be others, at worst all wrong or all right
    assert (half.low, half.high) == pytest.approx((0.5 - 0.5 * unseen, 0.5 + 0.5 * unseen))


def test_the_outer_limits_count_logs_by_their_size():
    """One log of 90 answers and ten of 1: (90 + 10)² / (90² + 10) = 1.233 logs."""
    counts = np.array([[90.0], *[[1.0]] * 10])
    _, high = outer_limits(np.zeros(1), counts)
    assert high[0] == pytest.approx(1 - 0.025 ** (8110 / 10000))


def test_metres_on_which_all_logs_agree_have_no_interval():
    found = estimate_mean(*cases(5, 2, [0.25] * 10))
    assert (found.value, found.low, found.high, found.clusters) == (0.25, None, None, 5)


def test_logs_count_and_not_answers():
    """Two logs, one all right and one all wrong, say nearly nothing, however many answers there are."""
    found = estimate_mean(*cases(2, 500, [1.0] * 500 + [0.0] * 500), "share")
    assert (found.value, found.low, found.high) == (0.5, pytest.approx(0.01257912), pytest.approx(0.98742088))  # 1 of 2


def test_logs_count_by_their_answers():
    values = np.array([1.0] * 9 + [0.0])
    found = estimate_mean(values, np.array([0] * 9 + [1]), np.arange(10))
    assert found.value == 0.9


def test_one_log_draws_its_frames_and_says_so():
    values, log, frame = cases(1, 40, [0.0, 0.0, 1.0, 1.0] * 10)
    found = estimate_mean(values, log, frame // 2, "share")
    assert (found.cluster_kind, found.clusters) == ("frame", 20)
    assert 0.2 < found.low < 0.35
    assert found.high == pytest.approx(1 - found.low, abs=0.03)


def test_one_frame_has_no_interval():
    found = estimate_mean(np.array([0.0, 1.0]), np.zeros(2, dtype=np.int64), np.zeros(2, dtype=np.int64), "share")
    assert (found.value, found.low, found.high, found.clusters) == (0.5, None, None, 1)


def test_the_width_is_that_of_the_binomial():
    """Independent logs of one answer: 1.96 √(p (1 - p) / n) either way."""
    found = estimate_mean(*cases(400, 1, [1.0] * 100 + [0.0] * 300), "share")
    half = 1.96 * np.sqrt(0.25 * 0.75 / 400)
    assert found.value - found.low == pytest.approx(half, rel=0.08)
    assert found.high - found.value == pytest.approx(half, rel=0.08)


def slow_interval(values, log, draws=4000):
    """The outer of bootstrap-t and expanded percentiles, log by log and draw by draw."""
    random = np.random.default_rng(8)
    logs = [values[log == one] for one in np.unique(log)]
    told = sum(map(len, logs))

    def mean_and_error(drawn):
        mean = sum(map(sum, drawn)) / sum(map(len, drawn))
        return mean, math.sqrt(sum((sum(one) - mean * len(one)) ** 2 for one in drawn)) / sum(map(len, drawn))

    mean, error = mean_and_error(logs)
    assert mean == pytest.approx(values.sum() / told)
    again = np.array(
        [mean_and_error([logs[one] for one in random.integers(len(logs), size=len(logs))]) for _ in range(draws)]
    )
    t_low, t_high = np.quantile((again[:, 0] - mean) / again[:, 1], [0.025, 0.975])
    tail = {20: 0.01586945}[len(logs)]  # Φ(-√(20/19) · 2.093024)
    low, high = np.quantile(again[:, 0], [tail, 1 - tail])
    return min(mean - t_high * error, low), max(mean - t_low * error, high)


@pytest.mark.parametrize("seed", [1, 2])
def test_it_agrees_with_drawing_by_hand(seed):
    values, log, frame = unequal(np.random.default_rng(seed), 20)
    found = estimate_mean(values, log, frame)
    assert (found.low, found.high) == pytest.approx(slow_interval(values, log), abs=0.012)


def test_it_covers_the_truth_about_as_often_as_it_says():
    """150 evaluations of 25 logs, mean 0.6: 97 % less at most three standard errors of 1.8 points."""
    random = np.random.default_rng(5)
    log, frames, samples = np.repeat(np.arange(25), 10), np.arange(250), {}
    for index in range(150):
        chance = random.beta(6, 4, size=25)[log]
        samples[str(index)] = Sample((random.random(250) < chance).astype(float), frames, "share")
    hits = sum(found.low <= 0.6 <= found.high for found in estimate_each(samples, log, frames).values())
    assert 0.895 * 150 <= hits <= 149


def test_the_seed_is_fixed():
    random = np.random.default_rng(0)
    sample = cases(30, 5, random.random(150))
    assert estimate_mean(*sample) == estimate_mean(*sample)


def test_together_is_as_alone():
    """Metrics over some of the logs, of every kind, and one over nothing."""
    random = np.random.default_rng(2)
    values, log, frame = unequal(random, 30)
    first, some = np.flatnonzero(log < 7), np.flatnonzero(log % 3 == 0)
    samples = {
        "all": Sample(values, frame, "share"),
        "first": Sample(values[first], first, "share"),
        "some": Sample(values[some], some, "share"),
        "metres": Sample(random.exponential(size=len(log)), frame),
        "median": Sample(random.exponential(size=len(log)), frame, "median"),
        "nothing": Sample(np.zeros(0), np.zeros(0, dtype=np.int64), "share"),
    }
    together = estimate_each(samples, log, frame)
    assert list(together) == list(samples)
    assert together["nothing"] == NOTHING
    for name, sample in samples.items():
        alone = estimate_mean(sample.values, log[sample.rows], frame[sample.rows], sample.statistic)
        assert vars(together[name]) == pytest.approx(vars(alone))
    assert [together[name].clusters for name in ("all", "first", "some")] == [30, 7, 10]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from([0.0, 0.25, 1.0])), min_size=1, max_size=30),
    st.sampled_from(["share", "mean", "median"]),
)
def test_an_interval_holds_its_value_and_keeps_to_the_limits(rows, statistic):
    logs, values = np.array([log for log, _ in rows]), np.array([value for _, value in rows])
    found = estimate_mean(values, logs, np.arange(len(rows)), statistic)
    assert (found.low is None) == (found.high is None)
    if found.low is not None:
        assert found.low <= found.value <= found.high
    if statistic == "share":
        assert found.clusters == 1 or 0.0 <= found.low <= found.high <= 1.0


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
    assert (found.low, found.high) == pytest.approx(np.quantile(drawn, [0.0158695, 0.9841305]), abs=0.04)


def test_median_of_many_is_close_to_exact():
    random = np.random.default_rng(4)
    values, log, frame = cases(10, 1000, random.normal(size=10_000))
    found = estimate_median(values, log, frame)
    assert found.low < found.value < found.high
    assert found.high - found.low == pytest.approx(2 * 2.262 * 1.2533 / 100, rel=0.6)


def test_a_function_of_one_mean_is_about_that_mean():
    values, log, frame = unequal(np.random.default_rng(6), 40)
    found = estimate_of_means(values[:, None], log, frame, lambda means: means[..., 0])
    plain = estimate_mean(values, log, frame, "share")
    assert (found.value, found.n, found.clusters) == (pytest.approx(plain.value), plain.n, 40)
    assert (found.low, found.high) == pytest.approx((plain.low, plain.high), abs=0.02)


def difference(base, other, log, frames, statistic="share"):
    rows = np.arange(len(log))
    samples = [{"m": Sample(np.asarray(one, dtype=float), rows, statistic)} for one in (base, other)]
    return difference_each(*samples, log, frames)["m"]


def test_pairing_takes_out_what_both_runs_share():
    """Logs differ widely, yet the other run is right once or twice more in every log."""
    base = np.array([[0, 0, 0, 0], [0, 0, 1, 1], [0, 0, 1, 0], [0, 0, 0, 1]] * 5, dtype=float)
    other = base.copy()
    other[:, 0], other[:10, 1] = 1.0, 1.0
    values, log, frames = cases(20, 4, base.ravel())
    found = difference(values, other.ravel(), log, frames)
    assert (found.base, found.other, found.difference.value) == (0.25, 0.625, 0.375)
    assert (found.difference.low, found.difference.high) == pytest.approx((0.3125, 0.4375), abs=0.02)
    assert found.p < 0.002


def test_p_is_below_a_twentieth_where_the_interval_leaves_out_0():
    random = np.random.default_rng(12)
    values, log, frames = unequal(random, 15)
    rows = np.arange(len(log))
    others = {
        str(index): Sample(np.where(random.random(len(log)) < 0.12, 1.0, values), rows, "share") for index in range(60)
    }
    found = difference_each(dict.fromkeys(others, Sample(values, rows, "share")), others, log, frames).values()
    told = [(one.difference.low > 0 or one.difference.high < 0, one.p < 0.05) for one in found]
    assert all(apart == sure for apart, sure in told)
    assert {apart for apart, _ in told} == {True, False}


def test_one_right_answer_less_may_be_chance():
    values, log, frames = cases(30, 4, [1.0, 0.0, 1.0, 0.0] * 30)
    other = values.copy()
    other[0] = 0.0
    found = difference(values, other, log, frames)
    assert found.difference.value == pytest.approx(-1 / 120)
    assert found.difference.low < found.difference.value < 0.0 <= found.difference.high
    assert found.p > 0.3


def test_a_run_against_itself_differs_by_nothing():
    values, log, frames = unequal(np.random.default_rng(7), 25)
    found = difference(values, values, log, frames)
    assert (found.difference.value, found.p) == (0.0, 1.0)
    assert found.difference.low == -found.difference.high < 0.0


@pytest.mark.parametrize(("logs", "p"), [(3, 0.25), (5, 0.0625), (6, 0.03125), (20, 2.0**-19)])
def test_few_logs_cannot_make_a_difference_sure(logs, p):
    """All agree: the p-value is that of a sign test, and the interval leaves out 0 from six logs on."""
    values, log, frames = cases(logs, 10, [0.0] * (10 * logs))
    agreed = difference(values, [1.0] * (10 * logs), log, frames)
    assert (agreed.difference.value, agreed.p) == (1.0, pytest.approx(p))
    assert (agreed.difference.low > 0.0) == (p < 0.05)
    nearly = difference(values, [0.0] + [1.0] * (10 * logs - 1), log, frames)
    assert nearly.p >= 2.0 ** (1 - logs)


def test_differences_over_other_cases_are_of_the_two_means():
    """What each run could be judged by; a slow bootstrap draws the same logs for both."""
    random = np.random.default_rng(9)
    values, log, frames = unequal(random, 20)
    better = np.where(random.random(len(log)) < 0.4, 1.0, values)
    base, other = (np.flatnonzero(random.random(len(log)) < 0.7) for _ in range(2))
    samples = ({"m": Sample(values[base], base, "share")}, {"m": Sample(better[other], other, "share")})
    found = difference_each(*samples, log, frames)["m"]
    assert found.difference.value == pytest.approx(better[other].mean() - values[base].mean())
    drawn = []
    for _ in range(3000):
        weights = np.bincount(random.integers(20, size=20), minlength=20)
        means = [np.average(one[rows], weights=weights[log[rows]]) for one, rows in ((better, other), (values, base))]
        drawn.append(means[0] - means[1])
    width = np.diff(np.quantile(drawn, [0.0158695, 0.9841305]))[0]
    assert 0.95 * width < found.difference.high - found.difference.low < 1.25 * width
    assert found.p < 0.002


def test_both_ways_of_pairing_agree_on_the_same_cases():
    """Case by case, and as the difference of two ratios, are the same numbers: the second, of rows in another order."""
    random = np.random.default_rng(10)
    values, log, frames = unequal(random, 40)
    other = np.where(random.random(len(log)) < 0.2, 1 - values, values)
    by_case = difference(values, other, log, frames)
    turned = {"m": Sample(other[::-1], np.arange(len(log))[::-1], "share")}
    by_ratio = difference_each({"m": Sample(values, np.arange(len(log)), "share")}, turned, log, frames)["m"]
    assert by_ratio.p == pytest.approx(by_case.p, rel=1e-6)
    assert (by_ratio.difference.low, by_ratio.difference.high) == pytest.approx(
        (by_case.difference.low, by_case.difference.high)
    )


def test_medians_are_paired_too():
    """The other run errs exactly 0.3 m less everywhere; its distance to the base does not vary with the drawn logs."""
    random = np.random.default_rng(11)
    values, log, frames = cases(30, 8, 1.0 + random.exponential(size=240))
    found = difference(values, values - 0.3, log, frames, "median")
    assert found.difference.value == pytest.approx(-0.3)
    shuffled = difference(values, random.permutation(values) - 0.3, log, frames, "median")
    assert shuffled.difference.low < shuffled.difference.value < shuffled.difference.high
    assert shuffled.difference.high - shuffled.difference.low > 0.1


def test_a_metric_that_only_one_run_has_is_left_out_and_one_without_cases_has_no_difference():
    log, rows = np.arange(4), np.arange(4)
    some, none = Sample(np.ones(4), rows, "share"), Sample(np.zeros(0), np.zeros(0, dtype=np.int64), "share")
    found = difference_each({"a": some, "b": some}, {"b": none, "c": some}, log, rows)
    assert list(found) == ["b"]
    assert (found["b"].base, found["b"].other, found["b"].difference, found["b"].p) == (1.0, None, NOTHING, None)
