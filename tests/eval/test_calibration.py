"""Calibration of repeated answers: by hand, against slow loops, and on answers that are calibrated by how they are made."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest

from eval.calibration import calibrate, covers

KINDS = {"distance": "distance_m", "speed": "speed_mps", "bearing": "bearing_deg"}


def asked(truths, logs=2):
    """Localization questions with these (distance, bearing); the first half is of one log."""
    count = len(truths)
    return pd.DataFrame(
        {
            "qa_id": [f"q{number}" for number in range(count)],
            "answer_type": "localization",
            "truth_distance_m": [truth[0] for truth in truths],
            "truth_bearing_deg": [truth[1] for truth in truths],
            "truth_speed_mps": np.nan,
            "log_code": np.arange(count) * logs // count,
            "frame_code": np.arange(count),
        }
    )


def told(answers):
    """Answers by question: a list of (distance, bearing), None where it was not read."""
    rows = [
        {"qa_id": qa_id, "sample": sample, "distance_m": pair[0], "bearing_deg": pair[1], "speed_mps": math.nan}
        for qa_id, pairs in answers.items()
        for sample, pair in enumerate((math.nan, math.nan) if one is None else one for one in pairs)
    ]
    return pd.DataFrame(rows)


def value(found, name):
    return found.metrics[f"calibration.{name}"].value


def test_intervals_by_hand():
    """Three answers: places 1 and 3 for 50 %. Of nine, places 2.5 and 7.5 for 50 %, and 1 and 9 for 80 %."""
    three, rows = np.array([3.0, 1.0, 2.0]), np.zeros(3, dtype=int)
    for truth, holds in ((1.0, True), (3.0, True), (0.99, False), (3.01, False)):
        held, who = covers(three, rows, np.array([truth]), 0.5)
        assert (held.tolist(), who.tolist()) == ([holds], [0])
    assert [len(covers(three, rows, np.array([2.0]), level)[0]) for level in (0.8, 0.9)] == [0, 0]
    nine, rows = np.arange(1.0, 10.0), np.zeros(9, dtype=int)
    for truth, at_50, at_80 in ((2.5, True, True), (2.49, False, True), (7.51, False, True), (9.1, False, False)):
        assert covers(nine, rows, np.array([truth]), 0.5)[0].tolist() == [at_50]
        assert covers(nine, rows, np.array([truth]), 0.8)[0].tolist() == [at_80]
    assert len(covers(nine, rows, np.array([5.0]), 0.9)[0]) == 0
    nineteen = covers(np.arange(1.0, 20.0), np.zeros(19, dtype=int), np.array([1.0]), 0.9)
    assert nineteen[0].tolist() == [True]


def test_bearings_are_covered_across_the_back():
    found = calibrate(asked([(10.0, 179.0)]), told({"q0": [(10.0, 175.0), (10.0, -175.0), (10.0, -178.0)]}))
    assert value(found, "coverage.p50.bearing") == 1.0
    missed = calibrate(asked([(10.0, 0.0)]), told({"q0": [(10.0, 175.0), (10.0, -175.0), (10.0, -178.0)]}))
    assert value(missed, "coverage.p50.bearing") == 0.0
    assert value(missed, "coverage.p50") == 0.5  # with the distance, which is exact
    assert missed.metrics["calibration.coverage.p50"].n == 2


def test_answers_from_the_distribution_of_the_truth_are_covered_as_promised():
    random = np.random.default_rng(8)
    count, samples = 4000, 9
    centre, scale = random.uniform(20, 40, count), random.uniform(0.2, 3, count)
    truth = centre + scale * random.normal(size=count)
    values = centre[:, None] + scale[:, None] * random.normal(size=(count, samples))
    rows = np.repeat(np.arange(count), samples)
    for level in (0.5, 0.8):
        assert covers(values.ravel(), rows, truth, level)[0].mean() == pytest.approx(level, abs=0.03)
    too_sure = centre[:, None] + 0.4 * scale[:, None] * random.normal(size=(count, samples))
    assert covers(too_sure.ravel(), rows, truth, 0.8)[0].mean() < 0.6


WORLD = asked([(10.0, 0.0)] * 4)
ANSWERS = {
    "q0": [(10.0, 0.0), (10.0, 5.0), (11.0, 0.0), (9.0, 0.0), (10.0, 1.0)],  # right, all 4 others agree
    "q1": [(10.0, 0.0), (10.0, 5.0), (30.0, 0.0), None, (10.0, 50.0)],  # right, 1 of 4 agrees
    "q2": [(20.0, 0.0), (20.0, 5.0), (20.0, 0.0), (20.0, 0.0), (21.0, 1.0)],  # wrong, all agree
    "q3": [(20.0, 0.0), (9.0, 0.0), (9.0, 0.0), (9.0, 0.0), (9.0, 1.0)],  # wrong, none agrees
}


def test_ece_and_reliability_by_hand():
    """Of the last bin 1 of 2 is right at a confidence of 1; 1 of 1 at 1/4; 0 of 1 at 0: (2·0.5 + 0.75 + 0) / 4."""
    found = calibrate(WORLD, told(ANSWERS))
    assert value(found, "ece") == pytest.approx((2 * 0.5 + 0.75) / 4)
    assert found.curves["reliability"] == [
        {"low": 0.0, "high": 0.1, "confidence": 0.0, "accuracy": 0.0, "n": 1},
        {"low": 0.2, "high": 0.3, "confidence": 0.25, "accuracy": 1.0, "n": 1},
        {"low": 0.9, "high": 1.0, "confidence": 1.0, "accuracy": 0.5, "n": 2},
    ]


def test_aurc_by_hand():
    """Risk 1/2 up to a coverage of 1/2; then errors stay 1/4: ∫ 1/(4c) to 3/4; then 1/4 + (c - 3/4) to 1."""
    found = calibrate(WORLD, told(ANSWERS))
    expected = 0.25 + 0.25 * math.log(0.75 / 0.5) + (0.25 - 0.75) * math.log(1 / 0.75) + 0.25
    assert value(found, "aurc") == pytest.approx(expected)
    assert found.curves["risk_coverage"] == {
        "confidence": [1.0, 0.25, 0.0],
        "coverage": [0.5, 0.75, 1.0],
        "risk": pytest.approx([0.5, 1 / 3, 0.5]),
    }


def test_the_area_is_that_under_the_curve_of_many_questions():
    """As the mean of the risk over all numbers of answered questions, ties broken at random many times."""
    random = np.random.default_rng(3)
    count, samples = 3000, 6
    sure = random.random(count)
    answers = {}
    for number in range(count):
        right = random.random(samples) < sure[number]
        answers[f"q{number}"] = [(10.0, 0.0) if one else (random.uniform(20, 2000), 0.0) for one in right]
    found = calibrate(asked([(10.0, 0.0)] * count), told(answers))
    located = np.array([answers[f"q{number}"][0][0] == 10.0 for number in range(count)])
    share = np.array([_share(answers[f"q{number}"]) for number in range(count)])
    areas = []
    for _ in range(20):
        order = np.lexsort((random.random(count), -share))
        areas.append(np.mean(np.cumsum(~located[order]) / np.arange(1, count + 1)))
    assert value(found, "aurc") == pytest.approx(np.mean(areas), abs=0.005)
    low, high = found.metrics["calibration.aurc"].low, found.metrics["calibration.aurc"].high
    assert low < value(found, "aurc") < high


def _agrees(first, other):
    if first is None or other is None:
        return False
    angle_deg = abs((other[1] - first[1] + 180) % 360 - 180)
    band_m = 0.25 * first[0] if first[0] >= 0.4 else 0.1
    return abs(other[0] - first[0]) <= band_m + 1e-9 and angle_deg <= 10 + 1e-9


def _share(pairs):
    return sum(_agrees(pairs[0], other) for other in pairs[1:]) / (len(pairs) - 1)


def _slow_interval(values, level):
    ordered, place = sorted(values), (1 - level) * (len(values) + 1) / 2
    if place < 1 - 1e-9:
        return None

    def at(one):
        below = math.floor(one + 1e-9)
        rest = one - below
        return ordered[below - 1] if rest < 1e-9 else (1 - rest) * ordered[below - 1] + rest * ordered[below]

    return at(place), at(len(values) + 1 - place)


def _slow_bearing(values, truth):
    mean = math.degrees(math.atan2(*(sum(f(math.radians(v)) for v in values) for f in (math.sin, math.cos))))
    return [(v - mean + 180) % 360 - 180 for v in values], (truth - mean + 180) % 360 - 180


def test_random_answers_equal_slow_loops():
    random = np.random.default_rng(11)
    truths = [(random.uniform(0.1, 40), random.uniform(-180, 180)) for _ in range(120)]
    answers = {
        f"q{number}": [
            None
            if random.random() < 0.1
            else (d * random.choice([1, 1.1, 1.3]), (b + random.normal(0, 9) + 180) % 360 - 180)
            for _ in range(random.integers(1, 25))
        ]
        for number, (d, b) in enumerate(truths)
    }
    found = calibrate(asked(truths), told(answers).sample(frac=1.0, random_state=1))
    for level in (0.5, 0.8, 0.9):
        for kind in ("distance", "bearing"):
            held = []
            for number, (d, b) in enumerate(truths):
                pairs = [one for one in answers[f"q{number}"] if one is not None]
                if not pairs:
                    continue
                values, truth = (
                    ([one[0] for one in pairs], d)
                    if kind == "distance"
                    else _slow_bearing([one[1] for one in pairs], b)
                )
                if (interval := _slow_interval(values, level)) is not None:
                    held.append(interval[0] - 1e-9 <= truth <= interval[1] + 1e-9)
            metric = found.metrics[f"calibration.coverage.p{round(100 * level)}.{kind}"]
            assert (metric.n, metric.value) == (len(held), pytest.approx(sum(held) / len(held)))
    cases = [
        (_share(pairs), _agrees(truth, pairs[0]))
        for truth, pairs in zip(truths, answers.values(), strict=True)
        if len(pairs) > 1 and pairs[0] is not None
    ]
    bins = [[one for one in cases if min(int(10 * one[0] + 1e-9), 9) == number] for number in range(10)]
    ece = sum(abs(sum(right - share for share, right in one)) for one in bins) / len(cases)
    assert found.metrics["calibration.ece"].n == len(cases)
    assert value(found, "ece") == pytest.approx(ece)


def test_one_answer_tells_nothing_and_says_so():
    found = calibrate(WORLD, told({name: pairs[:1] for name, pairs in ANSWERS.items()}))
    assert {one.value for one in found.metrics.values()} == {None}
    assert {one.n for one in found.metrics.values()} == {0}
    assert found.curves["note"] == "every question has one answer: ask for several samples of each"
    assert found.curves["reliability"] == found.curves["risk_coverage"]["risk"] == []
    unread = calibrate(WORLD, told({name: [None, *pairs] for name, pairs in ANSWERS.items()}))
    assert value(unread, "ece") is None
    assert unread.curves["note"].startswith("no localization question has a first answer that was read")


def test_curves_are_plain_data_and_the_same_in_any_order():
    table = told(ANSWERS)
    found, shuffled = calibrate(WORLD, table), calibrate(WORLD, table.iloc[::-1])
    assert json.dumps(found.curves, allow_nan=False) == json.dumps(shuffled.curves, allow_nan=False)
    assert found.metrics == shuffled.metrics
    interval = found.curves["intervals"][0]
    assert (interval["level"], interval["coverage"], interval["n"]) == (0.5, value(found, "coverage.p50"), 8)
    assert [one["level"] for one in found.curves["intervals"]] == [0.5, 0.8, 0.9]


def test_more_spread_where_it_is_wrong_lowers_the_area():
    wrong_and_unsure = ANSWERS | {"q2": [(20.0, 0.0), (9.0, 0.0), (9.0, 0.0), (9.0, 0.0), (9.0, 0.0)]}
    assert value(calibrate(WORLD, told(wrong_and_unsure)), "aurc") < value(calibrate(WORLD, told(ANSWERS)), "aurc")
