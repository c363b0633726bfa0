"""The published sums on hand-made completions, faults included, and what `drive` makes of the same."""

import pytest

from drive_vqa.looks import Look
from finetune.rewards.presets import PRESETS
from finetune.rewards.score import read_completion, score_completions, totals
from tests.finetune.rewards.by_hand import BEFORE, HONEST, NOW, said, seen, truth_about

TRUTH = truth_about()


def scored(preset, completion, truth=TRUTH, progress=1.0):
    scores = score_completions(PRESETS[preset], [completion], [truth], progress)
    return totals(PRESETS[preset], scores)[0], {name: values[0] for name, values in scores.items()}


def total(preset, completion, truth=TRUTH, progress=1.0):
    return pytest.approx(scored(preset, completion, truth, progress)[0])


def test_vigorl():
    points = ("I look (120, 110)", "It is there (220, 110)")
    assert total("vigorl", said(*points, dialect="vigorl")) == 0.5 + 0.5
    assert total("vigorl", said(*points, dialect="vigorl", answer="right")) == 0.5
    assert total("vigorl", said("I look.", dialect="vigorl")) == 0.5
    nowhere = said("I look (99999, -7)", dialect="vigorl", answer="right")
    assert total("vigorl", nowhere) == 0.5  # never verified nor held to the image


def test_vigorl_multi():
    looks = [Look(2, (0.0, 0.0, 9.0, 9.0), (20.0 * k, 5.0)) for k in range(3)]
    multi = said("I look (120, 110)", dialect="vigorl", looks=looks)
    assert total("vigorl_multi", multi) == 0.6 + 0.4 * (1 + 0.2 * 2)
    wrong = said("I look (120, 110)", dialect="vigorl", looks=looks, answer="right")
    assert total("vigorl_multi", wrong) == 0.4 * 1.4  # the bonus is paid for wrong answers


def test_treevgr():
    both = said("<box>[100,100,140,120]</box> and <box>[200,100,240,120]</box>", dialect="treevgr")
    assert total("treevgr", both) == 1 + 1 + 1
    half = said("<box>[200,100,220,120]</box>", dialect="treevgr", answer="right")
    assert total("treevgr", half) == 0 + 1 + 0.5 * (0.25 + 0.5)
    assert total("treevgr", said("no box", dialect="treevgr")) == 1 + 1 + 0
    assert total("treevgr", said(dialect="treevgr")) == 1 + 0 + 0


def test_open_o3():
    """Times count from the first image, a second before now."""
    honest = said(seen(BEFORE, 0.0), seen(NOW, 1.0), dialect="open_o3")
    assert total("open_o3", honest) == total("open_o3_paper", honest) == 4.0
    late = said(seen(BEFORE, 0.0), seen(NOW, 49.0), dialect="open_o3")
    assert total("open_o3", late) == 1 + 1 + 0.5 + 1  # 48 s late and fully paid for its box
    assert total("open_o3_paper", late) == 1 + 1 + 0.5 + 0.5
    assert total("open_o3", said("I look.", dialect="open_o3")) == 1 + 0.5 + 0 + 0
    text = truth_about("text", text="a red car")
    assert (
        total("open_o3", said(seen(NOW, 1.0), dialect="open_o3", answer="red car"), text)
        == (1.6 + 2 / 3) / 3 + 1 + 1 + 1
    )


def test_drive_names_and_weighs_each_reward():
    weights = PRESETS["drive"].weights
    assert sum(weights.values()) == pytest.approx(2.8)
    value, rewards = scored("drive", said(*HONEST))
    assert value == pytest.approx(
        sum(weights[name] for name in rewards if rewards[name] is not None) - weights["looks"]
    )
    assert rewards["looks"] == 0.0
    assert rewards["physics"] is rewards["safety"] is None  # a question for a side
    assert PRESETS["drive"].aggregation == "normalize_then_sum"


def test_drive_pays_a_tenth_for_evidence_of_wrong_answers_and_nothing_for_malformed_or_cut():
    right, wrong = (scored("drive", said(*HONEST, answer=answer))[1] for answer in ("left", "right"))
    for name in ("boxes", "spatial", "temporal", "key_frames", "points", "places"):
        assert right[name] == pytest.approx(1.0)
        assert wrong[name] == pytest.approx(0.1)
    for broken in (said(*HONEST, "<box>"), said(*HONEST, finished=False)):
        rewards = scored("drive", broken)[1]
        assert rewards["boxes"] == rewards["points"] == rewards["format"] == 0.0
        assert rewards["accuracy"] == 1.0


@pytest.mark.parametrize(
    ("name", "step", "at"),
    [
        ("treevgr", "<box>[100,100,140,120]</box>", None),
        ("open_o3", "<obj>car</obj><box>[100,100,140,120]</box>at<t>0.0</t>s", -1.0),
        ("drive", "<obj>car</obj><box>[100,100,140,120]</box>at<t>-1.0</t>s", -1.0),
    ],
)
def test_each_preset_reads_its_own_dialect(name, step, at):
    completion = read_completion(PRESETS[name], f"<think>\nI see {step}\n</think>\n<answer>left</answer>", TRUTH)
    assert completion.trace.well_formed
    assert [claim.offset_s for claim in completion.trace.seen] == [at]
