"""Rewards of boxes and of times, by hand."""

import math

import pytest

from finetune.rewards.dual_iou import dual_iou, one_to_one
from finetune.rewards.key_frames import key_frame_recall
from finetune.rewards.places import true_places
from finetune.rewards.spatial_gate import CODE_GATE_S, PUBLISHED_GATE_S, gated_iou
from finetune.rewards.temporal import annealed_s, temporal, temporal_published
from tests.finetune.rewards.by_hand import BEFORE, HONEST, NOTHING, NOW, said, seen, truth_about

TRUTH = truth_about()
HALF_NOW = (200, 100, 220, 120)
FAR = (500, 400, 520, 420)


def tree(*boxes):
    return said(*(f"<box>[{','.join(map(str, box))}]</box>" for box in boxes), dialect="treevgr")


def box(one):
    return tuple(map(int, one.box_px))


def test_dual_iou_as_published():
    assert dual_iou(tree(box(BEFORE), box(NOW)), TRUTH, 0.0) == 1.0
    assert dual_iou(tree(box(BEFORE)), TRUTH, 0.0) == pytest.approx(0.5 * (0.5 + 1.0))
    assert dual_iou(tree(HALF_NOW), TRUTH, 0.0) == pytest.approx(0.5 * (0.25 + 0.5))
    assert dual_iou(tree(box(NOW), FAR, FAR, FAR), TRUTH, 0.0) == pytest.approx(0.5 * (0.5 + 0.25))
    assert dual_iou(tree("nothing"), TRUTH, 0.0) == 0.0
    assert dual_iou(tree(box(NOW)), truth_about(evidence=NOTHING), 0.0) is None


def test_duplicates_are_free_as_published_and_cost_in_ours():
    good = (seen(BEFORE, -1.0), seen(NOW, 0.0))
    assert dual_iou(tree(*[box(BEFORE), box(NOW)] * 5), TRUTH, 0.0) == 1.0
    assert one_to_one(said(*good), TRUTH, 0.0) == 1.0
    assert one_to_one(said(*good * 5), TRUTH, 0.0) == pytest.approx(2 / 10)


def test_one_to_one_knows_images_and_names():
    assert one_to_one(said(seen(BEFORE, 0.0), seen(NOW, -1.0)), TRUTH, 0.0) == 0.0
    assert one_to_one(said(seen(BEFORE, -1.0, "Region 4"), seen(NOW, 0.0, "Region 3")), TRUTH, 0.0) == 0.5
    assert one_to_one(said(seen(BEFORE, -1.0, "the car"), seen(NOW, 0.0, "the car")), TRUTH, 0.0) == 1.0
    assert one_to_one(said(seen(HALF_NOW, 0.0)), TRUTH, 0.0) == pytest.approx(0.25)


def test_where_nothing_is_to_be_seen_claims_cost():
    nothing = truth_about(evidence=NOTHING)
    assert one_to_one(said("It is not there."), nothing, 0.0) == 1.0
    assert one_to_one(said(seen(NOW, 0.0)), nothing, 0.0) == 0.0


def test_key_frames():
    assert key_frame_recall(said(*HONEST), TRUTH, 0.0) == 1.0
    assert key_frame_recall(said(HONEST[0]), TRUTH, 0.0) == 0.5
    assert key_frame_recall(said(seen(HALF_NOW, 0.0)), TRUTH, 0.0) == 0.5
    assert key_frame_recall(said(seen((200, 100, 219, 120), 0.0)), TRUTH, 0.0) == 0.0
    assert key_frame_recall(said(*HONEST), truth_about(evidence=NOTHING), 0.0) is None


@pytest.mark.parametrize(
    ("progress", "sigma_s"), [(0.0, 4.0), (0.375, 2.5), (0.5, 2.0), (0.75, 1.0), (0.9, 1.0), (1.0, 1.0), (-1.0, 4.0)]
)
def test_sigma_as_published(progress, sigma_s):
    assert annealed_s((4.0, 1.0), progress) == pytest.approx(sigma_s)
    completion = said(seen(NOW, 1.5), dialect="open_o3")  # 0.5 s from now, where the images begin a second ago
    assert temporal_published(completion, TRUTH, progress) == pytest.approx(math.exp(-(0.5**2) / (2 * sigma_s**2)))


def test_one_safe_time_pays_as_published_and_half_in_ours():
    one = said(seen(FAR, 0.0))
    assert temporal_published(one, TRUTH, 1.0) == 1.0
    assert temporal(one, TRUTH, 1.0) == pytest.approx(0.5 * (1 + 0.5 * (1 + math.exp(-0.5 * 4**2))))
    assert temporal(said(*HONEST), TRUTH, 1.0) == 1.0
    assert temporal(said("nothing"), TRUTH, 1.0) == temporal_published(said("nothing"), TRUTH, 1.0) == 0.0
    assert temporal(one, truth_about(evidence=NOTHING), 1.0) is None


def test_times_that_stand_alone_are_paid_as_published_and_not_by_ours():
    alone = said("It is there at <t>1.0</t>s.", dialect="open_o3")
    assert temporal_published(alone, TRUTH, 1.0) == 1.0
    assert temporal(alone, TRUTH, 1.0) == 0.0


def test_ours_anneals_from_1_s_to_a_quarter():
    late = said(seen(NOW, -0.5))
    for progress, sigma_s in ((0.0, 1.0), (0.75, 0.25)):
        near = math.exp(-0.5 * (0.5 / sigma_s) ** 2)
        assert temporal(late, TRUTH, progress) == pytest.approx(near)


def test_intervals_pay_the_share_of_times_inside():
    truth = truth_about("interval", start_s=-0.6, end_s=0.0)
    told = said(seen(NOW, 0.0), seen(NOW, 0.5), seen(NOW, 1.0), seen(NOW, 7.0), dialect="open_o3")
    assert temporal_published(told, truth, 0.0) == pytest.approx(2 / 4)
    assert temporal_published(said("nothing"), truth, 0.0) == 0.0


def test_the_gate_as_published_is_one_sided():
    """A claim 48 s late passes in the released code, one 2 s early does not; the paper's gate and ours are symmetric."""
    late, early = (said(seen(one, at)) for one, at in ((NOW, 48.0), (BEFORE, -3.0)))
    code = {"gate_s": CODE_GATE_S, "one_sided": True, "named": False}
    paper = {"gate_s": PUBLISHED_GATE_S, "named": False}
    assert gated_iou(late, TRUTH, 0.0, **code) == 1.0
    assert gated_iou(late, TRUTH, 0.0, **paper) == 0.0
    assert gated_iou(late, TRUTH, 0.0) == 0.0
    assert gated_iou(early, TRUTH, 0.0, **code) == 0.0
    assert gated_iou(early, TRUTH, 0.0, **paper) == 1.0
    assert gated_iou(early, TRUTH, 0.0) == 0.0


def test_the_gate_compares_with_the_nearest_key_frame_that_it_lets_through():
    code = {"gate_s": CODE_GATE_S, "one_sided": True, "named": False}
    between = said(seen(BEFORE, -0.4))  # nearer to now
    assert gated_iou(between, TRUTH, 0.0, **code) == 0.0
    assert gated_iou(said(seen(BEFORE, -0.6)), TRUTH, 0.0, **code) == 1.0
    assert gated_iou(said(seen(BEFORE, -1.0), seen(FAR, 0.0)), TRUTH, 0.0, **code) == 0.5
    assert gated_iou(said("nothing"), TRUTH, 0.0) == 0.0
    assert gated_iou(between, truth_about(evidence=NOTHING), 0.0) is None


def test_ours_lets_half_a_second_through_and_knows_names():
    assert gated_iou(said(seen(NOW, -0.5, "car")), TRUTH, 0.0) == 1.0  # as near to the frame before: both count
    assert gated_iou(said(seen(NOW, -0.6, "car")), TRUTH, 0.0) == 0.0
    assert gated_iou(said(seen(NOW, 0.5, "car")), TRUTH, 0.0) == 1.0
    assert gated_iou(said(seen(NOW, 0.6, "car")), TRUTH, 0.0) == 0.0
    assert gated_iou(said(seen(NOW, 0.0, "Region 4")), TRUTH, 0.0) == 0.0


def test_places():
    assert true_places(said(*HONEST), TRUTH, 0.0) == pytest.approx(1.0)
    assert true_places(said(HONEST[1]), TRUTH, 0.0) == pytest.approx(0.5)
    assert true_places(said(*HONEST, *HONEST), TRUTH, 0.0) == pytest.approx(0.5)
    off = said(seen(NOW, 0.0) + " is at <pos>22.5 m, 18°</pos>.")  # one band off in both
    assert true_places(off, TRUTH, 0.0) == pytest.approx(0.5 * math.exp(-1))
    swapped = said(seen(NOW, 0.0, "Region 4") + " is at <pos>18.0 m, 8°</pos>.")
    assert true_places(swapped, TRUTH, 0.0) == 0.0
    assert true_places(said("nothing"), TRUTH, 0.0) == 0.0
    assert true_places(said(*HONEST), truth_about(evidence=NOTHING), 0.0) is None
