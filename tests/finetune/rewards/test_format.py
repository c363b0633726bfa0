import pytest

from finetune.rewards.trace_format import finished_with_evidence, think_answer, with_evidence, with_point
from tests.finetune.rewards.by_hand import HONEST, NOTHING, NOW, said, seen, truth_about

TRUTH, WITHOUT = truth_about(), truth_about(evidence=NOTHING)


def test_open_o3_pays_half_without_evidence():
    assert with_evidence(said(seen(NOW, 1.0), dialect="open_o3"), TRUTH, 0.0) == 1.0
    assert with_evidence(said("I look.", dialect="open_o3"), TRUTH, 0.0) == 0.5
    assert with_evidence(said("I look.", dialect="open_o3"), WITHOUT, 0.0) == 1.0
    assert with_evidence(said(dialect="open_o3"), TRUTH, 0.0) == 0.0
    assert with_evidence(said("<obj>car</obj> without a box", dialect="open_o3"), TRUTH, 0.0) == 0.0


@pytest.mark.parametrize("answer", ["left</answer> and more", "left</answer><answer>left", ""])
def test_malformed_pays_nothing_anywhere(answer):
    for reward in (think_answer, with_point, with_evidence, finished_with_evidence):
        assert reward(said(*HONEST, answer=answer), TRUTH, 0.0) == 0.0


def test_treevgr_and_vigorl():
    assert think_answer(said("I look.", dialect="treevgr"), TRUTH, 0.0) == 1.0
    assert think_answer(said(dialect="treevgr"), TRUTH, 0.0) == 0.0
    assert with_point(said("I look (3, 4)", dialect="vigorl"), TRUTH, 0.0) == 1.0
    assert with_point(said("I look (3, 4)", "and see", dialect="vigorl"), TRUTH, 0.0) == 1.0
    assert with_point(said("I look.", dialect="vigorl"), TRUTH, 0.0) == 0.0


def test_drive_pays_nothing_for_what_was_cut():
    assert finished_with_evidence(said(*HONEST), TRUTH, 0.0) == 1.0
    assert finished_with_evidence(said(*HONEST, finished=False), TRUTH, 0.0) == 0.0
