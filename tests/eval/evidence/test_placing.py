"""In which image a claim is looked for, and how well it agrees there; and that it is drawn there."""

import math

import numpy as np
import pytest
from PIL import Image

from eval.evidence.drawing import CLAIMED_RGB, TRUE_RGB, draw_claims
from eval.evidence.placing import ClaimedFrame, JudgedClaim, claimed_context, claimed_frames
from eval.evidence.truth import TrueBox, TrueEvidence, TrueFrame
from eval.reasoning.trace import PointClaim, SeenClaim

SIZE = (640, 480)
TIMES_S = (-0.5, 0.0)
VIEWS = [{"offset_s": time_s, "camera": "front"} for time_s in TIMES_S]
GROUP = {"context": VIEWS, "marks": []}
THEN = TrueBox(3, 0, -0.5, (100.0, 100.0, 140.0, 120.0), None, None)
NOW = TrueBox(3, 1, 0.0, (200.0, 200.0, 260.0, 240.0), None, None)
EVIDENCE = TrueEvidence(tuple(TrueFrame(time_s, *SIZE) for time_s in TIMES_S), (THEN, NOW), ())


def seen(box_px, offset_s, name="Region 3"):
    return SeenClaim(name, tuple(float(side) for side in box_px), offset_s, 0)


def placed(*claims, evidence=EVIDENCE, group=GROUP):
    """Context and agreement of each claim."""
    frames = claimed_frames(claims, evidence, group)
    told = [(frame.context, judged) for frame in frames for judged in frame.claims]
    return [next((context, one.agreement) for context, one in told if one.claim is claim) for claim in claims]


def test_a_claim_is_in_the_image_of_its_time():
    assert placed(seen(THEN.box_px, -0.5), seen(NOW.box_px, 0.0)) == [(0, 1.0), (1, 1.0)]
    assert placed(seen((100, 100, 120, 120), -0.4)) == [(0, 0.5)]


def test_the_box_of_another_time_agrees_with_nothing():
    assert placed(seen(THEN.box_px, 0.0)) == [(1, 0.0)]
    assert placed(seen(THEN.box_px, -9.0)) == [(0, 0.0)]
    assert placed(seen(THEN.box_px, 5.0)) == [(1, 0.0)]


def test_without_a_time_it_is_where_it_agrees_and_else_now():
    assert placed(seen(THEN.box_px, None)) == [(0, 1.0)]
    assert placed(seen((0, 0, 5, 5), None)) == [(1, 0.0)]


def test_points_are_inside_or_not():
    assert placed(PointClaim(110.0, 110.0, -0.5, 0), PointClaim(110.0, 110.0, 0.0, 0)) == [(0, 1.0), (1, 0.0)]
    assert placed(PointClaim(220.0, 220.0, None, 0)) == [(1, 1.0)]


def test_frames_hold_what_is_true_and_come_in_order():
    frames = claimed_frames([seen(NOW.box_px, 0.0)], EVIDENCE, GROUP)
    assert [(frame.context, frame.true, len(frame.claims)) for frame in frames] == [(0, (THEN,), 0), (1, (NOW,), 1)]
    assert [frame.context for frame in claimed_frames([], EVIDENCE, GROUP)] == [0, 1]


def test_without_evidence_nothing_is_judged():
    nothing = TrueEvidence(EVIDENCE.frames, (), ())
    assert placed(seen(THEN.box_px, -0.5), PointClaim(1.0, 1.0, None, 0), evidence=nothing) == [(0, None), (1, None)]
    assert claimed_frames([], nothing, GROUP) == []


def test_of_several_cameras_the_one_that_shows_the_region():
    views = [{"offset_s": 0.0, "camera": camera} for camera in ("left", "front", "right")]
    group = {"context": views, "marks": [{"mark": 3, "regions": [{"context": 1}]}]}
    assert claimed_context(seen(NOW.box_px, 0.0), group) == 1
    assert claimed_context(seen(NOW.box_px, 0.0, "Region 4"), group) == 2
    assert claimed_context(seen(NOW.box_px, 0.0, None), group) == 2
    assert claimed_context(PointClaim(1.0, 1.0, None, 0), group) == 2


@pytest.mark.parametrize("box_px", [(-1e300, 0, 1e300, 1), (5, 5, 1, 1), (math.inf, 0, 1, 1), (1e9, 1e9, 2e9, 2e9)])
def test_hostile_boxes_are_placed_and_drawn(box_px):
    claim = seen(box_px, -0.5, "Region 99999999999999999999")
    assert placed(claim) == [(0, 0.0)]
    frame = ClaimedFrame(0, (), (JudgedClaim(claim, 0.0),))
    assert CLAIMED_RGB in colors(draw_claims(Image.new("RGB", (64, 48)), SIZE, frame))


def colors(image):
    return {color for _, color in image.getcolors(1 << 16)}


def extent(image, color):
    """Left, top, right, bottom of the pixels of a color."""
    v, u = (np.asarray(image) == color).all(axis=-1).nonzero()
    return u.min(), v.min(), u.max(), v.max()


def test_true_is_solid_and_claimed_is_dashed_in_the_shown_size():
    blank = Image.new("RGB", (320, 240))
    claim = seen((20, 40, 120, 200), -0.5)
    drawn = draw_claims(blank, SIZE, ClaimedFrame(0, (THEN,), (JudgedClaim(claim, 0.1),)))
    assert colors(drawn) == {(0, 0, 0), TRUE_RGB, CLAIMED_RGB}
    assert extent(drawn, TRUE_RGB) == (50, 50, 70, 60)
    left, top, right, bottom = extent(drawn, CLAIMED_RGB)
    assert abs(np.array([left, top, right, bottom]) - [10, 20, 60, 100]).max() <= 1
    upper = (np.asarray(drawn)[20, 10:60] == CLAIMED_RGB).all(axis=-1)
    assert 0.3 < upper.mean() < 0.8
    assert (np.asarray(drawn)[50, 50:58] == TRUE_RGB).all()
    assert colors(blank) == {(0, 0, 0)}


def test_a_point_is_a_ring_around_it():
    claim = PointClaim(320.0, 240.0, None, 0)
    drawn = draw_claims(Image.new("RGB", (320, 240)), SIZE, ClaimedFrame(1, (), (JudgedClaim(claim, None),)))
    left, top, right, bottom = extent(drawn, CLAIMED_RGB)
    assert ((left + right) / 2, (top + bottom) / 2) == (160, 120)
    assert 8 <= right - left <= 16
