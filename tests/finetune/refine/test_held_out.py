"""Runs judged on held-out questions, and the table of what each part is worth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from drive_vqa.vlm import Sampling, Vlm
from finetune.refine import held_out
from finetune.refine.ablation import _line, against
from finetune.refine.asked import Asked, choose_questions
from finetune.refine.config import RefineConfig
from finetune.refine.held_out import estimate, judge_run
from finetune.rewards.presets import PRESETS
from tests.finetune.refine.asked_store import HELD_OUT, write_asked_store, write_tuned_run

THOUGHT = "<think>\n<obj>Region {mark}</obj><box>[{box}]</box>at<t>0.0</t>s is at <pos>{place}</pos>.\n</think>\n"
GROUNDED = THOUGHT + "<answer>{answer}</answer>"


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Asked:
    store = write_asked_store(tmp_path_factory.mktemp("asked"))
    return choose_questions(store, RefineConfig(), "marks", split="val", most=100)


@pytest.fixture
def tuned(base: Path, tmp_path: Path) -> Path:
    return write_tuned_run(tmp_path / "tuned", base)


def honest(asked: Asked) -> list[str]:
    """A grounded right answer to each question."""
    texts = []
    for one in asked.questions:
        box = next(box for box in one.truth.evidence.boxes if box.offset_s == 0.0)
        corners = ",".join(f"{value:.0f}" for value in box.box_px)
        place = f"{box.distance_m:.1f} m, {box.bearing_deg:.0f}°"
        texts.append(GROUNDED.format(mark=box.mark, box=corners, place=place, answer=one.question["answer"]))
    return texts


def test_held_out_questions_are_those_of_their_split(asked: Asked) -> None:
    assert len(asked) == 4 * len(HELD_OUT)
    assert {one.group["group_id"] for one in asked.questions} == {f"group-{number}" for number in HELD_OUT}


def test_answers_are_judged_one_by_one(asked: Asked, tuned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = honest(asked)
    said[0] = "It is far away."

    def speak(_vlm: Vlm, messages: list[Any], frames: list[Any], *_: Any, **_more: Any) -> list[str]:
        assert [len(own) for own in frames] == [2] * len(messages)
        return said[: len(messages)]

    monkeypatch.setattr(Vlm, "generate", speak)
    judged = judge_run(tuned, asked, PRESETS["drive"], device="cpu")
    assert judged["right"].tolist() == [0.0] + [1.0] * (len(asked) - 1)
    assert judged["total"].iloc[0] < judged["total"].iloc[1:].min()
    assert judged["text"].tolist() == said
    assert judged["qa_id"].tolist() == [one.question["qa_id"] for one in asked.questions]


def test_a_model_of_random_weights_earns_nothing(asked: Asked, base: Path, tmp_path: Path) -> None:
    tuned = write_tuned_run(tmp_path / "tuned", base, answers="plain")  # which are short
    for blank in (False, True):
        judged = judge_run(tuned, asked, PRESETS["treevgr"], blank=blank, device="cpu")
        assert estimate(judged, "right").value == 0.0


def test_intervals_are_over_logs_and_what_does_not_apply_is_left_out() -> None:
    judged = pd.DataFrame(
        {"right": [1.0, 1.0, 0.0, 0.0], "boxes": [np.nan, 0.5, 0.5, np.nan], "log": [0, 0, 1, 1], "frame": [0, 1, 2, 3]}
    )
    assert estimate(judged, "right").value == 0.5
    assert estimate(judged, "right").n == 4
    assert (estimate(judged, "boxes").value, estimate(judged, "boxes").n) == (0.5, 2)
    judged = judged.assign(total=judged["right"], drawn=0.25, format=1.0, places=1.0)
    assert _line("arm", judged) == "| arm | 0.250 | 0.500 | 0.500 | 1.000 | 0.500 | 1.000 |"  # two logs set no limits
    better = against(judged.assign(drawn=1.0), judged)
    assert _line("arm", better).startswith("| arm | 0.750 | 0.000 |")
    several = pd.concat([judged.assign(log=judged["log"] + 2 * copy, right=judged["right"]) for copy in range(4)])
    one = estimate(several, "right")
    assert one.low is not None
    assert one.high is not None
    assert one.low < 0.5 < one.high
    assert f"| 0.500 [{one.low:.3f}, {one.high:.3f}] |" in _line("arm", several)


def test_drawn_answers_differ_from_batch_to_batch(
    asked: Asked, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_out, "BATCH", 1)
    again = Asked(asked.store, asked.questions[:1] * 3)
    tuned = write_tuned_run(tmp_path / "tuned", base, answers="plain")
    texts = [
        judge_run(tuned, again, PRESETS["treevgr"], sampling=Sampling(1.0, 1.0, seed), device="cpu")["text"].tolist()
        for seed in (0, 0, 1)
    ]
    assert len(set(texts[0])) == 3
    assert texts[0] == texts[1] != texts[2]
