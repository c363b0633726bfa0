"""The panel against slow loops on random worlds, mirrored, cut into slices, and with published numbers."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from eval.cases import answer_columns
from eval.panel import Answered, estimates, hallucination_on_control, panel
from eval.parse import ParseFailure, parse
from eval.scoring import judge
from tests.eval import slow_metrics as slow
from tests.eval.random_answers import random_answered


@pytest.fixture(scope="module", params=[0, 1, 2])
def answered(request):
    return random_answered(40, request.param)


def rows_of(answered):
    said = answered.answers.add_prefix("said_").rename(columns={"said_answered": "answered", "said_failure": "failure"})
    rows = pd.concat([answered.cases, said], axis=1).astype(object)
    return rows.where(rows.notna(), None).to_dict("records")


def assert_same(samples, expected, prefix=""):
    assert expected
    for name, (value, n) in expected.items():
        sample = samples[f"{prefix}{name}"]
        reduced = np.median if sample.statistic == "median" else np.mean
        found = float(reduced(sample.values)) if len(sample.values) else None
        assert (len(sample.values), found) == (n, pytest.approx(value)), name


def test_random_answers_score_as_slow_loops_say(answered):
    samples, rows = panel(answered), rows_of(answered)
    targets = slow.targets_of(rows)
    assert_same(samples, slow.section_1(targets), "localization.")
    assert_same(samples, slow.speeds(rows))
    assert_same(samples, slow.type_errors(rows))
    assert_same(samples, slow.section_3(targets))
    assert_same(samples, slow.section_4(rows, targets))
    spread = [samples[f"localization.{name}"].values.mean() for name in ("mlsr", "tlc", "lsr.t3", "coverage")]
    assert all(0 < share < 1 for share in spread)


def test_slices_are_the_metrics_of_their_part(answered):
    samples, rows = panel(answered), rows_of(answered)
    targets = slow.targets_of(rows)
    names = {
        "under_0_95": "<0.95",
        "0_95-1_5": "0.95-1.5",
        "1_5-3": "1.5-3",
        "3-6": "3-6",
        "over_6": ">6",
        "none": "none",
    }
    for name, stored in names.items():
        own = [one for one in targets if _fact(one, "ttc_bin") == stored]
        assert_same(samples, slow.section_1(own), f"slice.ttc_bin.{name}.localization.")
        own = [one for one in targets if slow.ttc_range_rate(one) == name]
        if own:
            assert_same(samples, slow.section_1(own), f"slice.ttc_range_rate.{name}.localization.")
    parts = {
        **{f"category.{kind}": ("category", lambda v, k=kind: v == k) for kind in ("car", "pedestrian", "bicycle")},
        "vru.true": ("category", lambda v: v in ("pedestrian", "bicycle")),
        "vru.false": ("category", lambda v: v in ("car", "truck")),
        "moving.true": ("moving", lambda v: v is True),
        "visible.under_half": ("visible_fraction", lambda v: v is not None and v < 0.5),
        "visibility.0_40": ("visible_fraction", lambda v: v is not None and v < 0.4),
        "visibility.60_80": ("visible_fraction", lambda v: v is not None and 0.6 <= v < 0.8),
        "visibility.80_100": ("visible_fraction", lambda v: v is not None and v >= 0.8),
        "range.20_40": ("distance_m", lambda v: 20 <= v < 40),
        "difficulty.hard": ("difficulty", lambda v: v == "hard"),
        "relation.overtaking": ("relation", lambda v: v == "overtaking"),
    }
    for name, (fact, holds) in parts.items():
        own = slow.section_1([one for one in targets if holds(_fact(one, fact))])
        headline = {f"slice.{name}.localization.{metric}": own[metric] for metric in ("mlsr", "tlc")}
        right = [ok for row, ok in zip(rows, answered.success, strict=True) if holds(row[f"slice_{fact}"])]
        assert_same(samples, headline | {f"slice.{name}.accuracy": slow.mean(right)})


def _fact(target, name):
    return next(iter(target.values()))[f"slice_{name}"]


def test_slices_by_log_and_by_view_at_the_time(answered):
    samples, rows = panel(answered), rows_of(answered)
    for log in range(4):
        own = [row for row in rows if row["log_id"] == f"log-{log}"]
        expected = slow.section_1(slow.targets_of(own))
        assert_same(samples, {"mlsr": expected["mlsr"], "tlc": expected["tlc"]}, f"slice.log.log-{log}.localization.")
        assert len(samples[f"slice.log.log-{log}.accuracy"].values) == len(own)
    for seen in (True, False):
        cells = [row for row in rows if row["answer_type"] == "localization" and row["slice_in_view_at_t"] is seen]
        name = f"slice.in_view_at_t.{str(seen).lower()}"
        assert_same(samples, {f"{name}.localization.mlsr": slow.mean(map(slow.located, cells))})
    one_log = Answered(answered.cases.assign(log_code=0, log_id="a"), answered.answers, answered.verdicts)
    assert not [name for name in panel(one_log) if name.startswith("slice.log.")]


def mirrored(answered):
    """Left and right swapped in the world and in the answers."""
    tables = {"cases": answered.cases.copy(), "answers": answered.answers.copy()}
    for table, prefix in ((tables["cases"], "truth_"), (tables["answers"], "")):
        for name in ("bearing_deg", "yaw_deg", "y_m"):
            table[prefix + name] = -table[prefix + name]
        table[f"{prefix}clock_hour"] = (11 - table[f"{prefix}clock_hour"]) % 12 + 1
        left, right = table[f"{prefix}u0_px"], table[f"{prefix}u1_px"]
        table[f"{prefix}u0_px"], table[f"{prefix}u1_px"] = 200 - right, 200 - left
    return Answered(**tables, verdicts=judge(tables["cases"], tables["answers"]))


def test_a_mirrored_world_scores_the_same(answered):
    there, mirror = panel(answered), panel(mirrored(answered))
    assert list(there) == list(mirror)
    signed = re.compile(r".*median_signed_error_(deg|m)")  # those change their sign
    for name, sample in there.items():
        sign = -1 if signed.fullmatch(name) else 1
        assert sorted(mirror[name].values) == pytest.approx(sorted(sign * sample.values)), name
        assert sorted(mirror[name].rows) == sorted(sample.rows)


def test_the_order_of_questions_does_not_matter(answered):
    order = np.random.default_rng(0).permutation(len(answered.cases))
    shuffled = Answered(*(table.iloc[order].reset_index(drop=True) for table in vars_of(answered)))
    one, other = panel(answered), panel(shuffled)
    assert list(one) == list(other)
    assert all(sorted(one[name].values) == pytest.approx(sorted(other[name].values)) for name in one)


def vars_of(answered):
    return answered.cases, answered.answers, answered.verdicts


def test_no_questions_have_no_numbers():
    whole = random_answered(3, 0)
    nothing = Answered(*(table.iloc[:0].reset_index(drop=True) for table in vars_of(whole)))
    samples = panel(nothing)
    assert "localization.mlsr" in samples
    assert {one.value for one in estimates(samples, nothing.cases).values()} == {None}


PUBLISHED = {
    "GPT-4o": ([18.1, 6.6, 6.1, 7.6], 9.6, 0.7),
    "Qwen2.5-VL-7B": ([1.0, 3.4, 4.4, 1.0], 2.4, 0.0),
    "STRIDE-Qwen2.5-VL-7B": ([96.3, 46.2, 38.4, 38.9], 55.0, 28.4),
}
"""Rows of STRIDE-QA's table: LSR at 0, 1, 2, 3 s, MLSR and TLC, percent of 409 groups."""

GROUPS = 409


def located_as(counts, at_all_times):
    """Which group is located when: so many at each time, so many at all times."""
    success = np.zeros((GROUPS, 4), dtype=bool)
    success[:at_all_times] = True
    start = at_all_times
    for t, count in enumerate(counts):
        rest = count - at_all_times
        others = [row for row in range(at_all_times, GROUPS) if success[row].sum() < 3]
        chosen = [others[(start + number) % len(others)] for number in range(rest)]
        success[chosen, t] = True
        start += rest
    return success


@pytest.mark.parametrize("model", PUBLISHED)
def test_texts_made_to_have_the_published_numbers_score_them(model):
    """All shares are those of whole groups: 18.1 % of 409 are 74. Answers are read and judged as those of any model."""
    lsr, mlsr, tlc = PUBLISHED[model]
    success = located_as([round(share / 100 * GROUPS) for share in lsr], round(tlc / 100 * GROUPS))
    random = np.random.default_rng(1)
    truth_m = random.choice([6.2, 17.0, 48.5], success.shape)
    truth_deg = random.choice([-33.0, 0.0, 4.5], success.shape)
    wrong_m, wrong_deg = random.random((2, *success.shape)) < 0.5
    texts = []
    for at in np.ndindex(success.shape):
        far = 1.0 if success[at] or not wrong_m[at] else 1.3
        turned = 0.0 if success[at] or (wrong_m[at] and not wrong_deg[at]) else -15.0
        distance_m, bearing_deg = far * truth_m[at], truth_deg[at] + turned
        texts.append(f"Region [0] in {at[1]} seconds is {distance_m:.2f} meters away, at {bearing_deg:.1f} degrees.")
    metrics = scored_texts(texts, truth_m, truth_deg)
    assert [round(100 * metrics[f"localization.lsr.t{t}"].values.mean(), 1) for t in range(4)] == lsr
    assert round(100 * metrics["localization.mlsr"].values.mean(), 1) == mlsr
    assert round(100 * metrics["localization.tlc"].values.mean(), 1) == tlc
    assert len(metrics["localization.tlc"].values) == GROUPS


def scored_texts(texts, truth_m, truth_deg):
    """The panel of texts that answer where the one mark of each group is at 0, 1, 2, 3 s."""
    groups, horizons = truth_m.shape
    cases = random_answered(1, 0).cases.iloc[[0]].loc[[0] * groups * horizons].reset_index(drop=True)
    cases["qa_id"] = [f"q{row}" for row in range(len(cases))]
    cases["group_id"] = np.repeat([f"g{row}" for row in range(groups)], horizons)
    cases["horizon_s"] = np.tile(np.arange(float(horizons)), groups)
    cases["family"], cases["answer_type"], cases["slice_relation"] = "future", "localization", None
    cases["truth_distance_m"], cases["truth_bearing_deg"] = truth_m.ravel(), truth_deg.ravel()
    outcomes = {text: parse(text, "localization") for text in dict.fromkeys(texts)}
    parsed = [outcomes[text] for text in texts]
    answers = answer_columns([None if isinstance(one, ParseFailure) else one.as_truth() for one in parsed])
    failure = pd.Series([one.reason if isinstance(one, ParseFailure) else None for one in parsed], dtype=object)
    return panel(Answered(cases, answers.assign(answered=True, failure=failure), judge(cases, answers)))


def test_a_group_without_a_relation_counts_overall():
    metrics = scored_texts(["10 meters, 0 degrees"] * 4, np.full((1, 4), 10.0), np.zeros((1, 4)))
    assert metrics["localization.tlc"].values.tolist() == [1.0]
    assert not [name for name in metrics if name.startswith("slice.relation.")]


def test_numbers_told_of_a_blank_image_are_made_up():
    """Of questions for a number of a mark: one has a number, one a refusal, one is unreadable, one has no answer."""
    kinds = ["distance", "bearing", "clock", "speed", "count", "choice", "undetermined", "speed"]
    cases = pd.DataFrame({"answer_type": kinds, "mark_count": [1, 2, 1, 1, 1, 1, 1, 0]})
    failure = [None, "refusal", "missing_unit", None, None, None, None, None]
    answers = pd.DataFrame({"answered": [True, True, True, False, True, True, True, True]})
    answers["failure"] = pd.Series(failure, dtype=object)
    found = hallucination_on_control(Answered(cases, answers, pd.DataFrame()), "blank image")
    ((name, sample),) = found.items()
    assert name == "safety.hallucination_rate.blank_image"
    assert (sample.values.tolist(), sample.rows.tolist()) == ([1.0, 0.0, 0.0], [0, 1, 2])
