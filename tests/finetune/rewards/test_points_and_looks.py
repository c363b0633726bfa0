"""Points and looks, by hand: as ViGoRL pays them, and verified."""

import math

import pytest

from drive_vqa.looks import Look
from finetune.rewards.distinct_looks import distinct_looks, format_with_looks
from finetune.rewards.points import verified_points
from finetune.rewards.trace_format import with_point
from tests.finetune.rewards.by_hand import BEFORE, HONEST, NOTHING, NOW, said, seen, truth_about

TRUTH = truth_about()


def at(u, v):
    return said(f"Here <point>({u},{v})</point>")


def look(u, v, context=2):
    return Look(context, (u - 10.0, v - 10.0, u + 10.0, v + 10.0), (float(u), float(v)))


def test_a_point_pays_inside_of_a_true_box_and_of_the_image():
    assert verified_points(at(220, 110), TRUTH, 0.0) == 1.0
    assert verified_points(at(120, 110), TRUTH, 0.0) == 1.0  # without a time it may be in any image
    assert verified_points(at(240, 130), TRUTH, 0.0) == pytest.approx(math.exp(-0.5))  # 10 px below, σ = 20 px / 2
    assert verified_points(at(600, 400), TRUTH, 0.0) == pytest.approx(0.0, abs=1e-12)
    assert verified_points(at(-5, 110), TRUTH, 0.0) == 0.0
    assert verified_points(at(220, 99_999), TRUTH, 0.0) == 0.0
    assert verified_points(said("nothing"), TRUTH, 0.0) == 0.0
    assert verified_points(at(220, 110), truth_about(evidence=NOTHING), 0.0) is None


def test_points_just_outside_of_the_image_do_not_pay():
    edge = truth_about(
        evidence=type(TRUTH.evidence)(
            TRUTH.evidence.frames, (NOW.__class__(3, 2, 0.0, (600.0, 0.0, 640.0, 40.0), None, None),), ()
        )
    )
    assert verified_points(at(640, 20), edge, 0.0) == 1.0
    assert verified_points(at(641, 20), edge, 0.0) == 0.0


def test_middles_of_boxes_are_points_of_their_image():
    assert verified_points(said(*HONEST), TRUTH, 0.0) == 1.0
    assert verified_points(said(seen(NOW, -1.0)), TRUTH, 0.0) < 1e-6
    assert verified_points(said(seen(BEFORE, -1.0), seen(BEFORE, 0.0)), TRUTH, 0.0) == pytest.approx(0.5, abs=1e-6)


def test_points_everywhere_pay_little_here_and_all_in_vigorl():
    steps = [f"Here ({u}, {v})" for u in range(0, 640, 40) for v in range(0, 480, 40)]
    everywhere = said(*steps, dialect="vigorl")
    assert with_point(everywhere, TRUTH, 0.0) == 1.0
    assert verified_points(everywhere, TRUTH, 0.0) < 0.05


def test_vigorl_counts_looks_10_px_apart():
    def paid(*looks, answer="left", **changes):
        return format_with_looks(
            said("It is there (4, 5)", dialect="vigorl", answer=answer, looks=looks, **changes), TRUTH, 0.0
        )

    assert paid() == paid(look(10, 10)) == 1.0
    assert paid(look(10, 10), look(20, 10)) == pytest.approx(1.2)
    assert paid(look(10, 10), look(19, 10)) == 1.0
    assert (
        paid(look(10, 10), look(16, 10), look(22, 10)) == 1.0
    )  # the third is 12 px from the first, but 6 px from the second
    assert paid(*(look(20 * k, 300) for k in range(8))) == pytest.approx(1 + 0.2 * 7)  # at nothing, uncapped
    assert paid(look(10, 10), look(40, 10), answer="right") == pytest.approx(1.2)  # and for a wrong answer
    malformed = said("no", answer="left</answer>left<answer>", looks=[look(10, 10), look(40, 10)])
    assert format_with_looks(malformed, TRUTH, 0.0) == 0.0


def test_ours_counts_verified_looks_of_right_answers_up_to_three_more():
    def paid(*looks, answer="left"):
        return distinct_looks(said("so", answer=answer, looks=looks), TRUTH, 0.0)

    inside = [look(u, 110) for u in (200, 212, 224, 236)]
    assert paid() == paid(inside[0]) == paid(inside[0], inside[0]) == 0.0
    assert paid(*inside[:2]) == pytest.approx(1 / 3)
    assert paid(*inside) == 1.0
    assert paid(*inside, look(120, 110, context=0)) == 1.0
    assert paid(look(220, 110), look(120, 110, context=0)) == pytest.approx(1 / 3)
    assert paid(*inside, answer="right") == 0.0
    assert paid(*(look(20 * k, 300) for k in range(8))) == 0.0
    assert paid(look(220, 110), look(120, 110)) == 0.0  # the second is where it was a second ago
    assert paid(*inside[:3]) == paid(*inside[2::-1])
    assert distinct_looks(said("so", looks=inside), truth_about(evidence=NOTHING), 0.0) is None
