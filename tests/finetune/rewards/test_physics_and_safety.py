"""What is stated must fit together; dangerous mistakes cost most."""

import math
from dataclasses import replace

import pytest

from finetune.rewards.physics import physics
from finetune.rewards.safety import safety
from tests.finetune.rewards.by_hand import BEFORE, NOTHING, NOW, said, seen, truth_about

LATER = truth_about("localization", distance_m=16.0, bearing_deg=0.0, horizon_s=2.0)
PRESENT = truth_about("distance", distance_m=5.0, horizon_s=0.0, family="ego")
SIGHTS = (
    seen(BEFORE, -1.0) + " was at <pos>20.0 m, 0°</pos>.",
    seen(NOW, 0.0) + " is at <pos>18.0 m, 0°</pos>.",
)
MOVED = "Seen from me, Region 3 has moved by (-2.00, 0.00) m ahead and to the left in 1.0 s, that is (-2.00, 0.00) m/s."
LEADS = "In 2 seconds this would lead to (14.00, 0.00) m, which is 14.0 m at 0°."
EXPECTS = "But it will not go on quite like that: I expect Region 3 at (16.00, 0.00) m, 16.0 m away at 0°."


def paid(*steps, answer="16.0 m, 0°", truth=LATER):
    return physics(said(*steps, answer=answer), truth, 0.0)


def test_a_story_that_fits_together():
    assert paid(*SIGHTS, MOVED, LEADS, EXPECTS, "So the answer is 16.0 m, 0°.") == 1.0


def test_silence_pays_less_than_what_is_true():
    assert paid(*SIGHTS) == 0.0  # places, but neither a motion nor a result
    assert paid(*SIGHTS, EXPECTS) == 0.5
    assert paid(*SIGHTS, MOVED, answer="I cannot tell.") == 0.5
    assert paid("I guess.") == 0.0
    assert paid() == 0.0


@pytest.mark.parametrize(
    "false",
    [
        MOVED.replace("(-2.00, 0.00) m/s", "(-5.00, 0.00) m/s"),  # the rate is not the displacement over the time
        MOVED.replace("(-2.00, 0.00)", "(-9.00, 0.00)"),  # not what the claimed places say
        LEADS.replace("14.00", "30.00").replace("14.0 m", "30.0 m"),  # not where the rate leads to
        LEADS.replace("at 0°", "at 60°"),  # the position is not at this bearing
        "Its distance has gone from 20.00 m to 18.00 m in 1.0 s, 3.00 m/s.",
    ],
)
def test_a_false_statement_costs_and_true_ones_do_not_make_up_for_it(false):
    story = (*SIGHTS, MOVED, false, EXPECTS)
    assert paid(*story) < 0.6
    assert paid(*story, *(MOVED,) * 9, EXPECTS) <= paid(*story) + 1e-12


def test_the_result_must_be_the_answer():
    assert paid(*SIGHTS, MOVED, LEADS, EXPECTS, answer="30.0 m, 0°") == pytest.approx(0.5, abs=1e-3)
    assert paid(*SIGHTS, MOVED, LEADS, EXPECTS, answer="16.0 m, 90°") == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("place", ["12.4 m, -38°", " 12.4 m , -38° ", "-12.4 m, +38°"])
def test_no_part_of_a_claimed_place_is_the_result(place):
    """Nor the end of its number: "12.4 m" does not state 2.4 m."""
    claim = f"It is at <pos>{place}</pos>."
    for answer in ("2.4 m, -8°", "12.4 m, -38°", "12.4 m, 38°"):
        assert paid(claim, answer=answer) == 0.0
    assert paid(*SIGHTS, EXPECTS, claim) == 0.5


def test_repeating_what_is_true_adds_nothing():
    assert paid(*SIGHTS, *(MOVED,) * 20, LEADS, EXPECTS) == 1.0
    assert paid(*(MOVED,) * 20) == 0.5


def test_two_places_at_one_time_contradict_each_other_in_any_order():
    story = (MOVED, LEADS, EXPECTS)
    false = seen(NOW, 0.0) + " is at <pos>30.0 m, 0°</pos>."
    assert paid(*SIGHTS, SIGHTS[1], *story) == 1.0
    assert paid(*SIGHTS, false, *story) == pytest.approx(paid(false, *SIGHTS, *story)) == pytest.approx(0.5, abs=1e-3)
    assert paid(*SIGHTS, SIGHTS[1], answer="I cannot tell.") == 0.0  # a place said twice is no story


def test_the_present_calls_for_a_position():
    along = "The center of Region 3 is 3.00 m along my heading and 4.00 m to my left, which is 5.0 m away."
    place = seen(NOW, 0.0) + " is at <pos>5.0 m, 53°</pos>."
    assert paid(place, along, answer="5.0 m", truth=PRESENT) == 1.0
    assert paid(place, along.replace("3.00", "4.00"), answer="5.0 m", truth=PRESENT) < 0.6
    other = seen(NOW, 0.0) + " is at <pos>5.0 m, -53°</pos>."
    assert paid(other, along, answer="5.0 m", truth=PRESENT) == pytest.approx(0.5, abs=1e-3)
    turned = "The center of Region 3 is 0.00 m along my heading and 5.00 m to my left, which is at a bearing of 90°."
    bearing = truth_about("bearing", bearing_deg=90.0, horizon_s=0.0, family="ego")
    assert paid(turned, answer="90°", truth=bearing) == 1.0


def test_positions_from_a_velocity():
    truth = truth_about("position", x_m=20.0, y_m=4.0, horizon_s=2.0)
    starts = "It is at (10.00, 2.00) m and moves at (5.00, 1.00) m/s over the ground, along and across my heading."
    leads = "In 2 seconds this would lead to (20.00, 4.00) m, seen from where I am now."
    expects = "So I expect Region 3 at x 20.0 m, y 4.0 m."
    assert paid(starts, leads, expects, answer="x 20.0 m, y 4.0 m", truth=truth) == 1.0
    assert paid(starts, leads.replace("20.00", "26.00"), expects, answer="x 20.0 m, y 4.0 m", truth=truth) < 0.6


def test_does_not_apply():
    assert paid(*SIGHTS, truth=truth_about()) is None
    assert paid(*SIGHTS, truth=truth_about("distance", distance_m=5.0, family="object")) is None
    assert paid(*SIGHTS, truth=truth_about("distance", distance_m=5.0, evidence=NOTHING)) is None


CALM = truth_about("distance", distance_m=40.0, slices={"ttc_bin": "none", "distance_m": 40.0})
SOON = truth_about("distance", distance_m=40.0, slices={"ttc_bin": "1.5-3", "distance_m": 40.0})
NEAR = truth_about("distance", distance_m=8.0, slices={"ttc_bin": None, "distance_m": 8.0})


def cost(answer, truth):
    return safety(said(answer=answer), truth, 0.0)


def test_far_costs_twice_and_critical_twice():
    missing = 1 - math.exp(-0.5 * 2**2)  # two bands off
    assert cost("60 m", SOON) == pytest.approx(-missing)
    assert cost("20 m", SOON) == pytest.approx(-missing / 2)
    assert cost("60 m", CALM) == pytest.approx(-missing / 2)
    assert cost("20 m", CALM) == pytest.approx(-missing / 4)
    assert cost("12 m", NEAR) == pytest.approx(-missing)


def test_right_costs_nothing_and_silence_most():
    assert cost("45 m", SOON) == cost("30 m", SOON) == cost("40 m", CALM) == 0.0
    assert cost("I cannot tell.", SOON) == cost("", SOON) == -1.0 <= cost("900 m", SOON)
    assert cost("I cannot tell.", CALM) == -0.5


def test_applies_to_distances_of_one_mark_from_the_ego():
    assert cost("left", truth_about()) is None
    assert cost("5 m", truth_about("distance", distance_m=5.0, family="object")) is None
    assert cost("5 m", replace(truth_about("distance", distance_m=5.0), marks=(1, 2))) is None
    assert cost("5 m", truth_about("distance", distance_m=5.0, slices={})) == 0.0
