"""Where one marked agent is as seen from my car."""

from __future__ import annotations

import numpy as np

from drive_vqa.ground_boxes import gap_m, overlap
from qa_gen.asked import Asked
from qa_gen.question_type import (
    BEARING_WORDS,
    CLOCK_WORDS,
    EXACT,
    WITHIN_10_DEGREES,
    WITHIN_25_PERCENT,
    QuestionType,
    Truth,
)
from qa_gen.relations.margins import clock_hours, first_that_holds, side, yes_no

PATH_HALF_WIDTH_M = 1.8
PATH_LENGTH_M = 60.0
PATH_BOX = np.array([[0.5 * PATH_LENGTH_M, 0.0, PATH_LENGTH_M, 2.0 * PATH_HALF_WIDTH_M, 0.0]])
"""The straight strip ahead, as a ground-plane box in the ego frame."""

PATH_WORDS = "within 1.8 meters on either side of my straight-ahead line and up to 60 meters ahead"
LEAST_GAP_M = 0.3
SIDE_MARGIN_DEG = 5.0
AHEAD_ABOVE_M, BEHIND_BELOW_M = 5.0, -3.0


def _distance(asked: Asked) -> Truth:
    return {"distance_m": asked.now().distance_m}


def _gap(asked: Asked) -> Truth:
    config = asked.config
    ego = np.array([[config.ego_centre_x_m, 0.0, config.ego_length_m, config.ego_width_m, 0.0]])
    apart_m = gap_m(asked.now().ground_box, ego)
    return {"distance_m": np.where(apart_m >= LEAST_GAP_M, apart_m, np.nan)}


def _bearing(asked: Asked) -> Truth:
    return {"bearing_deg": asked.now().bearing_deg}


def _clock(asked: Asked) -> Truth:
    return {"clock_hour": clock_hours(asked.now().bearing_deg)}


def _side(asked: Asked) -> Truth:
    choice = side(asked.now().bearing_deg, SIDE_MARGIN_DEG)
    choice[np.abs(asked.now().bearing_deg) > 180.0 - SIDE_MARGIN_DEG] = -1
    return {"choice": choice}


def _ahead_behind(asked: Asked) -> Truth:
    x_m = asked.now().x_m
    return {"choice": first_that_holds(x_m > AHEAD_ABOVE_M, x_m < BEHIND_BELOW_M)}


def _lateral(asked: Asked) -> Truth:
    return {"y_m": asked.now().y_m}


def _longitudinal(asked: Asked) -> Truth:
    return {"x_m": asked.now().x_m}


def _in_my_path(asked: Asked) -> Truth:
    box = asked.now().ground_box
    return {"bool": yes_no(overlap(box, PATH_BOX), np.isfinite(box).all(axis=1))}


TYPES: tuple[QuestionType, ...] = (
    QuestionType(
        name="distance",
        family="ego",
        answer_type="distance",
        roles=1,
        wordings=(
            "How far away from me is {a}, in meters along the ground to its center?",
            "What is the distance from my car to the center of {a}, in meters along the ground?",
            "How many meters away is the center of {a} from me, measured along the ground?",
            "Measured along the ground to its center, at what distance from me is {a}, in meters?",
            "How far is it from my car to the center of {a}, in meters along the ground?",
            "What is the ground distance in meters between me and the center of {a}?",
            "At how many meters from my car, along the ground, is the center of {a}?",
            "In meters along the ground, how far off is the center of {a} from where I am?",
            "Give my distance to {a} in meters, along the ground to its center.",
        ),
        definition="The ground distance from the ego origin to A's center.",
        truth=_distance,
        tolerance=WITHIN_25_PERCENT,
        claims=(
            "{a} is more than {v} away from me, measured along the ground to its center",
            "it is more than {v} along the ground from my car to the center of {a}",
            "the distance from me to the center of {a} along the ground is more than {v}",
        ),
        thresholds=(5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0),
    ),
    QuestionType(
        name="gap",
        family="ego",
        answer_type="distance",
        roles=1,
        wordings=(
            "How wide is the gap between my car and {a}, from surface to surface along the ground, in meters?",
            "What is the shortest distance along the ground between the outside of my car and the outside of {a}, in "
            "meters?",
            "How many meters of free space are there between my car and {a} where they come closest, measured along "
            "the ground?",
            "From surface to surface, not center to center, how many meters is my car away from {a} along the ground?",
            "What is the clearance between my car and {a} on the ground, in meters?",
            "At their nearest points on the ground, how many meters separate my car and {a}?",
            "How long is the shortest line on the ground from the edge of my car to the edge of {a}, in meters?",
            "Measured along the ground between their closest sides or corners, how far is my car from {a}, in meters?",
        ),
        definition=(
            "The least distance between the outlines of my car and A on the ground (their boxes seen from above; my "
            f"car's size and place are settings). Not asked where it is less than {LEAST_GAP_M:g} m."
        ),
        truth=_gap,
        tolerance=WITHIN_25_PERCENT,
        claims=(
            "the gap between my car and {a} is more than {v} from surface to surface along the ground",
            "my car and {a} are more than {v} apart where they come closest along the ground",
        ),
        thresholds=(3.0, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0),
    ),
    QuestionType(
        name="bearing",
        family="ego",
        answer_type="bearing",
        roles=1,
        wordings=(
            f"At what bearing do I see the center of {{a}}, {BEARING_WORDS}?",
            f"What is the bearing of the center of {{a}} from my car, {BEARING_WORDS}?",
            f"In which direction from me is the center of {{a}}, {BEARING_WORDS}?",
            "By how many degrees is the center of {a} off my straight-ahead line, positive to the left and negative "
            "to the right?",
            f"At what angle from my heading is the center of {{a}}, {BEARING_WORDS} and negative to the right?",
            f"Seen from my car, what is the bearing of {{a}}, {BEARING_WORDS}?",
            f"What bearing does the center of {{a}} have from where I am, {BEARING_WORDS}?",
            "Take the direction my car faces as 0 degrees and count positive to the left and negative to the right. "
            "At what bearing is the center of {a}, in degrees?",
            f"Toward what bearing would I point to show the center of {{a}}, {BEARING_WORDS}?",
        ),
        definition=(
            "The direction of A's center from the ego origin: 0 straight ahead, left positive, from -180 to 180 "
            "degrees."
        ),
        truth=_bearing,
        tolerance=WITHIN_10_DEGREES,
        claims=(
            "the bearing of the center of {a} from my car, with 0 straight ahead and positive to the left, is greater "
            "than {v}",
            "I see the center of {a} at a bearing greater than {v}, with 0 straight ahead and positive to the left",
        ),
        thresholds=(-120.0, -90.0, -60.0, -30.0, -20.0, -10.0, 0.0, 10.0, 20.0, 30.0, 60.0, 90.0, 120.0),
    ),
    QuestionType(
        name="clock",
        family="ego",
        answer_type="clock",
        roles=1,
        wordings=(
            f"In which clock direction do I see {{a}}, {CLOCK_WORDS}?",
            f"In which clock direction is {{a}} from my car, {CLOCK_WORDS}?",
            f"To the nearest hour, in which clock direction is {{a}}, {CLOCK_WORDS}?",
            f"Where is {{a}} on a clock face laid around my car, {CLOCK_WORDS}?",
            f"At which hour of the clock is the center of {{a}} from me, {CLOCK_WORDS}?",
            f"Toward which hour of the clock would I look to see {{a}}, {CLOCK_WORDS}?",
            f"Give the clock direction of the center of {{a}} as seen from my car, {CLOCK_WORDS}.",
            "If straight ahead of me is 12 o'clock and to my right is 3 o'clock, at which o'clock position is {a}?",
            "Imagine a clock lying flat around my car, its 12 pointing forward and its 3 to the right. Which hour is "
            "nearest to the direction of {a}?",
        ),
        definition=(
            "The hour nearest to the bearing of A's center, with 12 o'clock straight ahead of me and 3 o'clock to my "
            "right."
        ),
        truth=_clock,
        tolerance=EXACT,
    ),
    QuestionType(
        name="side",
        family="ego",
        answer_type="choice",
        roles=1,
        wordings=(
            "Is {a} to my left or to my right?",
            "On which side of my straight-ahead line is the center of {a}, right or left?",
            "Does {a} lie to the right or to the left of the direction I am facing?",
            "From my car, is the center of {a} on the left or on the right?",
            "Which side of me is {a} on, left or right, as seen along my heading?",
            "Extend my car's heading into a straight line through my car. On which side of it is the center of {a}, "
            "right or left?",
            "Looking straight ahead, would I find {a} to my right or to my left?",
            "Taking my heading as the dividing line, is {a} left or right of my car?",
        ),
        definition=(
            f"Left if the bearing of A's center is from {SIDE_MARGIN_DEG:g} to {180 - SIDE_MARGIN_DEG:g} degrees, "
            f"right if it is from -{180 - SIDE_MARGIN_DEG:g} to -{SIDE_MARGIN_DEG:g}. Not asked nearer to straight "
            "ahead or straight behind."
        ),
        truth=_side,
        tolerance=EXACT,
        choices=("left", "right"),
        claims=("{a} is to my left", "{a} is to my right"),
    ),
    QuestionType(
        name="ahead_behind",
        family="ego",
        answer_type="choice",
        roles=1,
        wordings=(
            "Is {a} ahead of my car or behind it?",
            "Does {a} lie behind me or ahead of me?",
            "Seen along my heading, is the center of {a} ahead of my car or behind my car?",
            "Which is true of {a}: is it behind me or ahead of me, as my car is facing?",
            "Is {a} farther forward than my whole car, or is it behind my car?",
            "Along the direction I am facing, is {a} behind or ahead?",
            "Would I look to the back or to the front of my car to see {a}, that is, is it behind or ahead?",
            "Draw a line across my car at right angles to my heading. Is {a} behind that line or ahead of it?",
        ),
        definition=(
            f"Ahead if A's center is more than {AHEAD_ABOVE_M:g} m ahead of the ego origin along my heading, behind if "
            f"it is more than {-BEHIND_BELOW_M:g} m behind it. Not asked in between."
        ),
        truth=_ahead_behind,
        tolerance=EXACT,
        choices=("ahead", "behind"),
        claims=("{a} is ahead of my car", "{a} is behind my car"),
        kinds=("surround",),
    ),
    QuestionType(
        name="lateral",
        family="ego",
        answer_type="lateral",
        roles=1,
        wordings=(
            "How many meters to my left is the center of {a}, measured at right angles to my heading? Negative means "
            "to my right.",
            "How far sideways from my straight-ahead line is the center of {a}, in meters, positive to the left and "
            "negative to the right?",
            "What is the sideways offset of {a} from my straight-ahead line, in meters to its center, positive to my "
            "left?",
            "Measured across my heading, how many meters off to the side is the center of {a}, positive to my left "
            "and negative to my right?",
            "By how many meters is the center of {a} to the left of the line straight ahead of me? Use a negative "
            "number for the right.",
            "Leaving aside how far ahead it is, how many meters to my left is the center of {a}, negative if it is to "
            "my right?",
            "At what sideways distance from my car's center line is the center of {a}, in meters with left positive "
            "and right negative?",
            "In meters, positive to my left, how far is the center of {a} from the straight line along which my car "
            "is facing?",
        ),
        definition=(
            "How far A's center is to the left of my straight-ahead line: y in the ego frame, negative to the right."
        ),
        truth=_lateral,
        tolerance=WITHIN_25_PERCENT,
        claims=(
            "the sideways offset of the center of {a} from my straight-ahead line, positive to my left and negative "
            "to my right, is greater than {v}",
            "measured across my heading and positive to my left, the center of {a} is at more than {v}",
        ),
        thresholds=(-20.0, -15.0, -10.0, -7.0, -5.0, -3.0, 0.0, 3.0, 5.0, 7.0, 10.0, 15.0, 20.0),
    ),
    QuestionType(
        name="longitudinal",
        family="ego",
        answer_type="longitudinal",
        roles=1,
        wordings=(
            "How many meters ahead of me is the center of {a}, measured along my heading? Negative means behind me.",
            "How far forward is the center of {a} along my straight-ahead line, in meters, negative if it is behind "
            "me?",
            "What is the forward offset of {a} from my car, in meters along my heading to its center, positive ahead?",
            "Leaving aside how far it is to the side, how many meters ahead of me is the center of {a}, negative if "
            "it is behind me?",
            "Measured along the direction my car faces, how many meters forward is the center of {a}, positive ahead "
            "and negative behind?",
            "By how many meters is the center of {a} ahead of me, sideways distance not counted? Use a negative "
            "number for behind.",
            "Counting only meters straight forward, how far ahead is the center of {a}, negative if it is behind my "
            "car?",
            "In meters along my heading, positive forward, where is the center of {a} as seen from me?",
        ),
        definition=(
            "How far A's center is ahead of the ego origin along my heading: x in the ego frame, negative behind."
        ),
        truth=_longitudinal,
        tolerance=WITHIN_25_PERCENT,
        claims=(
            "the center of {a}, measured along my heading with positive ahead and negative behind, is at more than {v}",
            "along my straight-ahead line, with positive ahead and negative behind, the forward offset of the center "
            "of {a} is greater than {v}",
        ),
        thresholds=(-30.0, -20.0, -10.0, 0.0, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0),
    ),
    QuestionType(
        name="in_my_path",
        family="ego",
        answer_type="bool",
        roles=1,
        wordings=(
            f"Is any part of {{a}} {PATH_WORDS}? Answer yes or no.",
            f"Does {{a}} reach into the strip {PATH_WORDS}? Answer no or yes.",
            f"Call my path the strip {PATH_WORDS}. Is {{a}} at least partly in my path, yes or no?",
            f"Yes or no: is {{a}}, or a part of it, {PATH_WORDS}?",
            "Picture the strip that I would cover driving straight on for 60 meters, reaching 1.8 meters to either "
            "side of my straight-ahead line. Is any part of {a} in it now? Answer yes or no.",
            f"Does any part of {{a}} lie {PATH_WORDS}, no or yes?",
            "Think of a straight strip from my car, 3.6 meters wide about my straight-ahead line and 60 meters long. "
            "Is {a} at least partly in it, yes or no?",
            f"Is {{a}} in my path, that is, with at least a part of it {PATH_WORDS}? Answer no or yes.",
        ),
        definition=(
            f"Yes if A's outline on the ground shares area with the straight strip that reaches {PATH_HALF_WIDTH_M:g} "
            f"m to either side of my straight-ahead line and from the ego origin {PATH_LENGTH_M:g} m ahead, else no."
        ),
        truth=_in_my_path,
        tolerance=EXACT,
    ),
)
