"""Agreement of a run with a probe, by hand."""

from __future__ import annotations

import pytest

from drive_vqa.errors import ConfigError
from eval.consistency import probe_samples
from eval.consistency.probes import TURNED_BACK
from eval.controls.by_name import PROBES
from tests.eval.consistency.answered import question, run


def runs(*pairs, **fields):
    """(type, answer type, first answer, second answer) → both runs."""
    return tuple(
        run([question(kind, answer_type, told[place], **fields) for kind, answer_type, *told in pairs])
        for place in (0, 1)
    )


def agreement(name, *pairs, **fields):
    return probe_samples(*runs(*pairs, **fields), name)[f"consistency.{name}.agreement"].values.tolist()


def test_every_probe_is_known():
    assert set(TURNED_BACK) == set(PROBES)
    with pytest.raises(ConfigError, match="choose one of paraphrase"):
        probe_samples(*runs(("side", "choice", {"choice": "left"}, {"choice": "left"})), "blank")


def test_numbers_agree_within_the_band_around_the_first():
    assert agreement(
        "paraphrase",
        ("distance", "distance", {"distance_m": 20.0}, {"distance_m": 25.0}),
        ("distance", "distance", {"distance_m": 25.0}, {"distance_m": 18.7}),
        ("bearing", "bearing", {"bearing_deg": -175.0}, {"bearing_deg": 175.0}),
        ("ego_speed_t1", "speed", {"speed_mps": 0.1}, {"speed_mps": 0.3}),
        ("lateral", "lateral", {"y_m": 0.2}, {"y_m": -0.3}),
        ("count_class", "count", {"count": 2}, {"count": 3}),
        ("side", "choice", {"choice": "left"}, {"choice": "left"}),
        ("in_my_path", "bool", {"bool": True}, {"bool": False}),
        ("rank_by_distance", "ranking", {"marks": [1, 2]}, {"marks": [2, 1]}),
        ("when_stops", "interval", {"start_s": -2.0, "end_s": 0.0}, {"start_s": -1.0, "end_s": 0.0}),
    ) == [1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0]


def test_only_what_was_read_twice_counts():
    pairs = [
        ("side", "choice", {"choice": "left"}, None),
        ("side", "choice", None, {"choice": "left"}),
        ("side", "choice", None, None),
        ("side", "choice", {"choice": "left"}, {"choice": "right"}),
    ]
    sample = probe_samples(*runs(*pairs), "option_order")["consistency.option_order.agreement"]
    assert (sample.values.tolist(), sample.rows.tolist(), sample.statistic) == ([0.0], [3], "share")


def test_nothing_in_common_is_no_case():
    model, probe = runs(("side", "choice", {"choice": "left"}, {"choice": "left"}))
    probe.cases["qa_id"] = "another"
    assert {name: len(sample.values) for name, sample in probe_samples(model, probe, "paraphrase").items()} == {
        "consistency.paraphrase.agreement": 0
    }


def test_runs_are_joined_by_question_and_in_any_order():
    def named(*rows):
        return run([question("count_class", "count", {"count": count}, qa_id=name) for name, count in rows])

    model = named(("a", 1), ("b", 2), ("c", 3))
    probe = named(("c", 3), ("x", 7), ("b", 5))
    sample = probe_samples(model, probe, "paraphrase")["consistency.paraphrase.agreement"]
    assert dict(zip(sample.rows.tolist(), sample.values.tolist(), strict=True)) == {1: 0.0, 2: 1.0}


def test_swapped_answers_are_turned_back():
    assert agreement(
        "swap_roles",
        ("pair_distance", "distance", {"distance_m": 10.0}, {"distance_m": 10.0}),
        ("pair_lateral", "lateral", {"y_m": 4.0}, {"y_m": -4.0}),
        ("pair_longitudinal", "longitudinal", {"x_m": 4.0}, {"x_m": 4.0}),
        ("relative_heading", "turn", {"yaw_deg": 180.0}, {"yaw_deg": 180.0}),
        ("left_right", "choice", {"choice": "left"}, {"choice": "right"}),
        ("above_below", "choice", {"choice": "lower"}, {"choice": "lower"}),
        ("closer", "choice", {"choice": "Region 3"}, {"choice": "Region 3"}),
        ("between", "bool", {"bool": True}, {"bool": True}),
    ) == [1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0]
    assert agreement(
        "swap_roles",
        ("closer", "bool", {"bool": True}, {"bool": False}),
        ("pair_distance", "bool", {"bool": True}, {"bool": False}),
        ("left_right", "bool", {"bool": True}, {"bool": True}),
        form="yes_no",
    ) == [1.0, 0.0, 0.0]


def test_mirrored_answers_are_turned_back():
    assert agreement(
        "mirror",
        (
            "localization_t1",
            "localization",
            {"distance_m": 9.0, "bearing_deg": 30.0},
            {"distance_m": 9.0, "bearing_deg": -30.0},
        ),
        (
            "localization_t1",
            "localization",
            {"distance_m": 9.0, "bearing_deg": 30.0},
            {"distance_m": 9.0, "bearing_deg": 30.0},
        ),
        ("clock", "clock", {"clock_hour": 2}, {"clock_hour": 10}),
        ("turning_t3", "choice", {"choice": "turning left"}, {"choice": "turning right"}),
        ("side", "choice", {"choice": "left"}, {"choice": "left"}),
        ("distance", "distance", {"distance_m": 9.0}, {"distance_m": 9.0}),
    ) == [1.0, 0.0, 1.0, 1.0, 0.0, 1.0]


def test_each_type_has_its_own_line():
    samples = probe_samples(
        *runs(
            ("pair_distance", "distance", {"distance_m": 10.0}, {"distance_m": 10.0}),
            ("pair_gap", "distance", {"distance_m": 10.0}, {"distance_m": 1.0}),
            ("pair_distance", "distance", {"distance_m": 10.0}, {"distance_m": 1.0}),
        ),
        "swap_roles",
    )
    assert {name: sample.values.tolist() for name, sample in samples.items()} == {
        "consistency.swap_roles.agreement": [1.0, 0.0, 0.0],
        "consistency.swap_roles.type.pair_distance.agreement": [1.0, 0.0],
        "consistency.swap_roles.type.pair_gap.agreement": [0.0],
    }
