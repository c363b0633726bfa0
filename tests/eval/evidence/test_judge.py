"""Figures of hand-made traces: honest ones, wrong ones, and those that are made to look good."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drive_vqa.traces import DIALECTS
from eval.evidence.judge import EvidenceFigures, image_time_s, judge_evidence
from eval.evidence.truth import TrueBox, TrueEvidence, TrueFrame
from eval.reasoning.read import read_trace

BEFORE, NOW = (100.0, 100.0, 140.0, 120.0), (110.0, 100.0, 150.0, 120.0)
OTHER = (300.0, 200.0, 340.0, 260.0)
FRAMES = tuple(TrueFrame(offset_s, 640, 480) for offset_s in (-1.0, -0.5, 0.0))
EVIDENCE = TrueEvidence(
    FRAMES,
    (TrueBox(3, 0, -1.0, BEFORE, 20.0, 10.0), TrueBox(3, 2, 0.0, NOW, 18.0, 8.0)),
    (TrueBox(5, 2, 0.0, OTHER, 8.0, -40.0),),
)


def seen(box, at, name="Region 3", place=""):
    numbers = ",".join(f"{value:.0f}" for value in box)
    return f"<obj>{name}</obj><box>[{numbers}]</box>at<t>{at}</t>s{place}"


def judged(*steps, evidence=EVIDENCE, dialect="drive"):
    thought = "\n".join(steps)
    text = f"<think>\n{thought}\n</think>\n<answer>18.0 meters</answer>"
    return judge_evidence(read_trace(text, dialect, first_s=evidence.first_s), evidence)


HONEST = (
    seen(BEFORE, -1.0, place=" was at <pos>20.0 m, 10°</pos>"),
    seen(NOW, 0.0, place=" is at <pos>18.2 m, 8°</pos>"),
)


def test_an_honest_trace_has_all():
    assert judged(*HONEST, "So there <point>(130,110)</point>") == EvidenceFigures(*[1.0] * 9)


def test_a_direct_answer_tells_nothing():
    figures = judge_evidence(read_trace("<answer>18.0 meters</answer>", "drive"), EVIDENCE)
    assert figures == EvidenceFigures(*[0.0] * 7, points_in_box=None, places_in_band=None)


def test_without_evidence_nothing_but_places_applies():
    bare = TrueEvidence(FRAMES, (), EVIDENCE.others)
    step = seen(OTHER, 0.0, "Region 5", " is at <pos>8.0 m, -40°</pos>")
    assert judged(step, evidence=bare) == EvidenceFigures(places_in_band=1.0)
    assert judged("I drive on", evidence=TrueEvidence((), (), ())) == EvidenceFigures()


def test_one_of_two_key_images():
    figures = judged(HONEST[1])
    assert (figures.iou_recall, figures.iou_precision, figures.iou_matched) == (0.5, 1.0, 0.5)
    assert (figures.key_time_recall, figures.key_time_precision, figures.temporal_iou) == (0.5, 1.0, 0.5)
    assert figures.visual_iou == 0.5


def test_a_right_box_at_the_wrong_time_is_wrong():
    figures = judged(seen(NOW, -0.5), seen(BEFORE, -1.0))
    assert (figures.iou_recall, figures.iou_precision, figures.iou_matched) == (0.5, 0.5, 0.5)
    assert (figures.key_time_recall, figures.key_time_precision) == (0.5, 0.5)
    assert figures.temporal_iou == pytest.approx(1 / 3)
    swapped = judged(seen(NOW, -1.0), seen(BEFORE, 0.0))  # 30 of 50 pixels in common
    assert swapped.iou_matched == swapped.visual_iou == pytest.approx(30 / 50)
    assert swapped.temporal_iou == 1.0


@pytest.mark.parametrize("late", [48.0, 1000.0, -300.0])
def test_a_time_far_away_is_of_no_image(late):
    figures = judged(seen(NOW, late))
    assert (figures.iou_recall, figures.iou_precision, figures.key_time_precision) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("told", "meant"), [(-0.1, 0.0), (-0.2, 0.0), (-0.3, -0.5), (-0.25, -0.25), (-0.9, -1.0), (7.0, 7.0)]
)
def test_a_told_time_means_the_image_nearby(told, meant):
    assert image_time_s(EVIDENCE, told) == meant
    assert image_time_s(EVIDENCE, None) is None


def test_a_time_without_any_image_is_itself():
    assert image_time_s(TrueEvidence((), (), ()), -3.0) == -3.0


def test_boxes_that_the_answer_does_not_rest_on_are_wrong():
    figures = judged(*HONEST, seen(OTHER, 0.0, "Region 5"))
    assert (figures.iou_recall, figures.iou_precision, figures.iou_matched) == (
        1.0,
        pytest.approx(2 / 3),
        pytest.approx(2 / 3),
    )
    assert figures.visual_iou == 0.75  # the second box of now takes its share


def test_duplicates_do_not_pay():
    figures = judged(*[HONEST[1]] * 8)
    assert figures.iou_matched == 1 / 8
    assert (figures.key_time_recall, figures.key_time_precision) == (0.5, 1.0)


def test_listing_boxes_pays_in_the_published_recall_only():
    listed = [seen((u, v, u + 40, v + 20), at) for u in range(0, 640, 10) for v in (80, 100) for at in (-1.0, 0.0)]
    figures = judged(*listed)
    assert figures.iou_recall == 1.0
    assert figures.iou_precision < 0.1
    assert figures.iou_matched == pytest.approx(2 / len(listed))
    assert figures.visual_iou < 0.01


def test_naming_every_time_lifts_recall_but_not_both():
    figures = judged(*[seen(NOW, at / 2) for at in range(-10, 1)])
    assert figures.key_time_recall == 1.0
    assert figures.key_time_precision == figures.temporal_iou == pytest.approx(2 / 11)


def test_points_count_in_the_image_of_their_time_or_in_any():
    assert judged("<point>(105,110)</point>").points_in_box == 1.0
    assert judged("<point>(105,110)</point> <point>(320,230)</point>").points_in_box == 0.5
    assert judged(f"{seen(NOW, 0.0)} <point>(105,110)</point>").points_in_box == 0.0  # there it was a second before
    assert judged("1. it is there (130, 110)", dialect="vigorl").points_in_box == 1.0
    everywhere = " ".join(f"<point>({u},{v})</point>" for u in range(0, 640, 40) for v in range(0, 480, 40))
    assert judged(everywhere).points_in_box < 0.05


def test_boxes_without_a_time_may_be_of_any_image():
    figures = judged("a car <box>[100,100,140,120]</box>", dialect="treevgr")
    assert (figures.iou_recall, figures.iou_precision) == (pytest.approx((1 + 30 / 50) / 2), 1.0)
    assert figures.key_time_recall == 0.0


def test_open_o3_counts_from_the_first_image():
    assert judged(seen(BEFORE, 0.0), seen(NOW, 1.0), dialect="open_o3").iou_matched == 1.0


@pytest.mark.parametrize(
    ("place", "share"),
    [
        ("22.5 m, 8°", 1.0),
        ("22.6 m, 8°", 0.0),
        ("18.0 m, 18°", 1.0),
        ("18.0 m, 19°", 0.0),
        ("18.0 m, 368°", 1.0),
        ("-18 m, 8°", 0.0),
    ],
)
def test_places_are_judged_as_localization_answers_are(place, share):
    assert judged(seen(NOW, 0.0, place=f" is at <pos>{place}</pos>")).places_in_band == share


def test_places_are_those_of_the_region_and_the_time_that_are_named():
    place = " is at <pos>8.0 m, -40°</pos>"
    assert judged(seen(OTHER, 0.0, "Region 5", place)).places_in_band == 1.0
    assert judged(seen(NOW, 0.0, "Region 3", place)).places_in_band == 0.0
    assert judged(seen(OTHER, -1.0, "Region 5", place)).places_in_band == 0.0
    assert judged(seen(OTHER, 0.0, "Region 9", place)).places_in_band == 0.0
    assert judged(seen(NOW, 0.0, "a car", " is at <pos>18.0 m, 8°</pos>")).places_in_band == 1.0
    assert judged(seen(OTHER, 0.0, "a car", place)).places_in_band == 0.0


def test_places_that_cannot_be_judged_are_left_out():
    unknown = TrueEvidence(FRAMES, (TrueBox(3, 2, 0.0, NOW, None, None),), ())
    assert judged(seen(NOW, 0.0, place=" is at <pos>1.0 m, 1°</pos>"), evidence=unknown).places_in_band is None
    assert judged("It is at <pos>1.0 m, 1°</pos>").places_in_band is None


TAGS = ("<box>", "</box>", "<t>", "</t>s", "<obj>", "</obj>", "<think>", "</think>", "at", "\n")
NUMBERS = ("[1,2,3,4]", "[100,100,140,120]", "0.0", "-1.0", "9" * 30, "NaN", "(9,9)", "Region 3")
WHOLE = (*HONEST, "<point>(110,110)</point>", "<pos>18.0 m, 8°</pos>")
pieces = st.sampled_from((*TAGS, *NUMBERS, *WHOLE))
texts = st.lists(pieces, max_size=30).map("".join) | st.text(max_size=80)


@settings(max_examples=150)
@given(texts, st.sampled_from(DIALECTS))
def test_no_text_raises_and_all_figures_are_shares(text, dialect):
    figures = judge_evidence(read_trace(f"<think>\n{text}\n</think>", dialect, first_s=-1.0), EVIDENCE)
    for value in vars(figures).values():
        assert value is None or (math.isfinite(value) and 0.0 <= value <= 1.0)
    assert figures.iou_matched <= figures.iou_recall + 1e-12
