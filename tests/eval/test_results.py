"""The page of results, from metrics made by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from drive_vqa.errors import StoreError
from eval.report.inputs import Number
from eval.results import Entry, write_results
from eval.results.cells import one, pooled

GOLDEN = Path(__file__).parents[1] / "golden" / "results.md"


def number(value, half=0.05, n=454, clusters=80):
    """A share with an interval of some width."""
    ends = {"low": None, "high": None} if half is None else {"low": value - half, "high": value + half}
    return {"value": value, "n": n, **ends, "clusters": clusters, "cluster_kind": "log"}


def located(mlsr, tlc, now, prefix=""):
    lsr = {f"{prefix}localization.lsr.t{time_s}": number(now - 0.15 * time_s) for time_s in range(4)}
    return {**lsr, f"{prefix}localization.mlsr": number(mlsr), f"{prefix}localization.tlc": number(tlc)}


def model(mlsr, tlc, now):
    """Metrics of one evaluation beside its baselines."""
    moving = {
        f"slice.moving.{value}.localization.{metric}": number(share, n=n)
        for value, shift, n in (("true", -0.04, 386), ("false", 0.08, 68))
        for metric, share in (("mlsr", mlsr + shift), ("tlc", tlc + shift))
    }
    position = located(0.481, 0.196, 1.0, "baseline.constant_position.")
    return {
        **located(mlsr, tlc, now),
        **moving,
        **position,
        **located(mlsr - 0.12, tlc - 0.07, now, "baseline.own_present."),
        "baseline.constant_position.slice.moving.true.localization.tlc": number(0.1, n=386),
        "baseline.class_median.localization.tlc": {"value": None, "n": 0},
        "versus.own_present.localization.mlsr": number(0.12, 0.03),
        "speed.sr.ego": number(0.7),
        "speed.sr.target": number(0.333, None),
        "safety.dangerous_far_rate": number(0.11),
        "safety.critical_recall": number(0.25, n=20),
        "safety.hallucination_rate": {"value": None, "n": 0},
        "accuracy": number(0.4, n=6354),
    }


GROUNDED = {
    "grounding.miou_recall": number(0.31),
    "grounding.miou_precision": number(0.35),
    "grounding.miou_matched": number(0.29),
    "grounding.mam": {"value": None, "n": 0},
    "grounding.am": number(0.42),
}
CONTROLLED = {
    **located(0.12, 0.02, 0.13, "control.blank."),
    "control.blank.accuracy": number(0.1),
    "versus.control.blank.localization.mlsr": number(0.46, 0.04),
    "versus.control.blank.accuracy": number(0.3, 0.02),
}


def evaluation(folder, metrics, questions=None, differences=()):
    """A folder of a row as the experiment leaves it."""
    (folder / "evaluation").mkdir(parents=True)
    (folder / "evaluation/metrics.json").write_text(json.dumps(metrics))
    if questions is not None:
        (folder / "run").mkdir()
        (folder / "run/run.json").write_text(json.dumps({"questions": questions}))
    for base, told in differences:
        (folder / f"against_{base}").mkdir()
        rows = [{"metric": name, "difference": entry["value"], **entry} for name, entry in told.items()]
        (folder / f"against_{base}/comparison.json").write_text(json.dumps({"runs": [{"metrics": rows}]}))
    return folder


@pytest.fixture
def entries(tmp_path):
    against = {"localization.mlsr": number(0.031, 0.02), "localization.tlc": number(-0.01, 0.02)}
    (tmp_path / "train").mkdir()
    sft = {
        "0": evaluation(tmp_path / "sft-0", model(0.58, 0.36, 0.91), 60_000),
        "1": evaluation(tmp_path / "sft-1", model(0.62, 0.43, 0.97), 60_000),
    }
    rl = {"0": evaluation(tmp_path / "rl-0", model(0.62, 0.34, 0.88) | GROUNDED, differences=[("sft", against)])}
    photos = model(0.3, 0.1, 0.5) | {
        f"slice.agent_in_training.false.localization.{metric}": number(0.2, 0.1, n=14) for metric in ("mlsr", "tlc")
    }
    return [
        Entry("train", "data", "Drives to train on", ("drive-vqa synth --out OUT/train",), {"": tmp_path / "train"}),
        Entry("sft", "model", "SFT", ("drive-vqa finetune OUT/train", "drive-vqa predict BENCH"), sft),
        Entry("rl", "model", "Cold start + RL", ("drive-vqa refine OUT/train",), rl),
        Entry("zoom", "model", "With closer looks", ("drive-vqa finetune OUT/train zoom=tiny",), {}),
        Entry(
            "controls",
            "control",
            "SFT",
            ("drive-vqa predict --control blank",),
            {"": evaluation(tmp_path / "controls", model(0.58, 0.36, 0.91) | CONTROLLED)},
        ),
        Entry(
            "growth_6",
            "growth",
            "SFT on 12 drives",
            ("drive-vqa finetune OUT/growth_6",),
            {"": evaluation(tmp_path / "growth_6", model(0.4, 0.2, 0.7), 6_000)},
        ),
        Entry(
            "photos", "real", "Real images", ("drive-vqa predict P",), {"0": evaluation(tmp_path / "photos-0", photos)}
        ),
    ]


def test_the_page_is_that_which_was_checked_by_hand(entries, tmp_path):
    write_results(entries, tmp_path / "results.md")
    assert (tmp_path / "results.md").read_text() == GOLDEN.read_text()


def test_the_same_evaluations_give_the_same_bytes_anywhere(entries, tmp_path):
    for name in ("one", "two"):
        write_results(entries, tmp_path / name / "results.md")
    assert (tmp_path / "one/results.md").read_bytes() == (tmp_path / "two/results.md").read_bytes()
    assert str(tmp_path) not in (tmp_path / "one/results.md").read_text()


def test_an_experiment_of_which_nothing_is_there_is_all_not_run(entries, tmp_path):
    nothing = [Entry(one.name, one.part, one.title, one.commands, {"": tmp_path / "none"}) for one in entries]
    write_results(nothing, tmp_path / "results.md")
    page = (tmp_path / "results.md").read_text()
    assert page.count("**Not run.**") == len(entries)
    assert "|" not in page
    assert [line for line in page.splitlines() if line.startswith("## ")] == ["## Commands"]


def test_an_aim_that_is_missed_is_called_so(entries, tmp_path):
    write_results(entries, tmp_path / "results.md")
    page = (tmp_path / "results.md").read_text()
    first = page[page.index("## What was aimed at") : page.index("## On the bench")]
    rows = [line.split(" | ") for line in first.splitlines() if line.startswith(("| SFT", "| Cold"))]
    # of SFT the means 94, 60, 39.5 and 12 of two seeds, of RL 88, 62, 34 and 12 of one; the intervals are ±5 and ±3
    assert [[cell.rpartition(": ")[2].rstrip(" |") for cell in row[1:]] for row in rows] == [
        ["reached, but not surely"] * 4,
        ["**missed** by 2.0", "reached, but not surely", "**missed** by 1.0", "reached, but not surely"],
    ]


def test_an_aim_is_surely_reached_where_every_interval_is_above_it(entries, tmp_path):
    path = tmp_path / "rl-0/evaluation/metrics.json"
    path.write_text(json.dumps(model(0.65, 0.35, 0.96)))
    write_results(entries, tmp_path / "results.md")
    line = next(
        line for line in (tmp_path / "results.md").read_text().splitlines() if line.startswith("| Cold start + RL |")
    )
    assert (
        "96.0 [91.0, 101.0]: reached | 65.0 [60.0, 70.0]: reached | 35.0 [30.0, 40.0]: reached, but not surely |"
        in line
    )


@pytest.mark.parametrize(
    ("numbers", "signed", "text"),
    [
        ([], False, "–"),
        ([Number(None, 0)], False, "–"),
        ([Number(0.631, 9, 0.6, 0.662)], False, "63.1 [60.0, 66.2]"),
        ([Number(0.631, 9)], False, "63.1"),
        ([Number(0.62, 9, 0.5, 0.7), Number(0.64, 9, 0.5, 0.7)], False, "63.0 (62.0 to 64.0)"),
        ([Number(-0.01, 9, -0.03, 0.01)], True, "−1.0 [−3.0, +1.0]"),
        ([Number(-0.00001, 9, 0.0, 0.0)], True, "0.0 [0.0, 0.0]"),
        ([Number(0.02, 9), Number(-0.02, 9)], True, "0.0 (−2.0 to +2.0)"),
    ],
)
def test_how_a_number_is_written(numbers, signed, text):
    assert pooled(numbers, signed=signed) == text
    if len(numbers) == 1:
        assert one(numbers[0], signed=signed) == text


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("sft-0/evaluation/metrics.json", "{"),
        ("sft-0/run/run.json", "[]"),
        ("rl-0/against_sft/comparison.json", '{"runs": []}'),
        ("rl-0/against_sft/comparison.json", '{"runs": [{"metrics": [{}]}]}'),
        ("rl-0/against_sft/comparison.json", "[" * 100_000),
    ],
)
def test_damaged_files_are_one_clear_error_and_leave_no_page(entries, tmp_path, path, content):
    (tmp_path / path).write_text(content)
    with pytest.raises(StoreError, match=path):
        write_results(entries, tmp_path / "results.md")
    assert not (tmp_path / "results.md").exists()


def test_several_seeds_have_a_difference_together(entries, tmp_path, monkeypatch):
    asked = []

    def together(evaluations, metrics):
        asked.append(list(evaluations))
        return {"localization.mlsr": Number(0.021, 908, 0.004, 0.038, 80, "log")}

    monkeypatch.setattr("eval.results.page.over_seeds", together)
    against = {"localization.mlsr": number(0.011, 0.02)}
    second = evaluation(tmp_path / "rl-1", model(0.6, 0.3, 0.9), differences=[("sft", against)])
    entries[2].folders["1"] = second
    write_results(entries, tmp_path / "results.md")
    page = (tmp_path / "results.md").read_text()
    assert "| **Cold start + RL, all seeds − SFT** | – | +2.1 [+0.4, +3.8] | – | – | – | – | – |" in page
    assert asked == [[(tmp_path / f"sft-{seed}/evaluation", tmp_path / f"rl-{seed}/evaluation") for seed in "01"]]
