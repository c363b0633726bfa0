"""Where one marked agent is as seen from another, or as I see the two side by side."""

from __future__ import annotations

import numpy as np

from drive_vqa.geometry import bearing_deg, wrap_deg
from drive_vqa.ground_boxes import gap_m
from qa_gen.asked import Asked
from qa_gen.question_type import EXACT, WITHIN_10_DEGREES, WITHIN_25_PERCENT, QuestionType, Truth
from qa_gen.relations.margins import clock_hours, first_that_holds, greater, side

LEFT_RIGHT_MARGIN_DEG = 2.0
CLOSER_RATIO = 1.1
AHEAD_MARGIN_M = 1.0
FRONT_BELOW_DEG, BEHIND_ABOVE_DEG = 80.0, 100.0
OWN_SIDE_MARGIN_DEG = 10.0
ABOVE_MARGIN_M = 0.5
LEAST_GAP_M = 0.3
"""Nearer to equal than these, or to the edge between two answers, and a person could not tell: not asked."""

OWN_CLOCK = "with 12 o'clock straight ahead of {a} and 3 o'clock to its right"
OWN_BEARING = "in degrees, 0 straight ahead of {a}, positive to its left and negative to its right"


def seen_from_a(asked: Asked) -> tuple[np.ndarray, np.ndarray]:
    """Metres that the centre of b is ahead of a's centre and to its left, along a's own heading."""
    viewer, other = asked.now(0), asked.now(1)
    dx_m, dy_m = other.x_m - viewer.x_m, other.y_m - viewer.y_m
    cos, sin = np.cos(viewer.yaw_rad), np.sin(viewer.yaw_rad)
    return cos * dx_m + sin * dy_m, cos * dy_m - sin * dx_m


def _own_bearing_deg(asked: Asked) -> np.ndarray:
    return np.asarray(bearing_deg(*seen_from_a(asked)))


def _left_right(asked: Asked) -> Truth:
    apart_deg = wrap_deg(asked.now(0).bearing_deg - asked.now(1).bearing_deg)
    return {"choice": side(apart_deg, LEFT_RIGHT_MARGIN_DEG)}


def _closer(asked: Asked) -> Truth:
    return {"choice": greater(asked.now(1).distance_m, asked.now(0).distance_m, CLOSER_RATIO)}


def _farther_ahead(asked: Asked) -> Truth:
    return {"choice": side(asked.now(0).x_m - asked.now(1).x_m, AHEAD_MARGIN_M)}


def _front_behind(asked: Asked) -> Truth:
    off_deg = np.abs(_own_bearing_deg(asked))
    return {"choice": first_that_holds(off_deg < FRONT_BELOW_DEG, off_deg > BEHIND_ABOVE_DEG)}


def _left_right_own(asked: Asked) -> Truth:
    own_deg = _own_bearing_deg(asked)
    choice = side(own_deg, OWN_SIDE_MARGIN_DEG)
    choice[np.abs(own_deg) > 180.0 - OWN_SIDE_MARGIN_DEG] = -1
    return {"choice": choice}


def _above_below(asked: Asked) -> Truth:
    return {"choice": side(asked.now(0).z_m - asked.now(1).z_m, ABOVE_MARGIN_M)}


def _pair_clock(asked: Asked) -> Truth:
    return {"clock_hour": clock_hours(_own_bearing_deg(asked))}


def _pair_bearing(asked: Asked) -> Truth:
    return {"bearing_deg": _own_bearing_deg(asked)}


def _pair_distance(asked: Asked) -> Truth:
    first, second = asked.now(0), asked.now(1)
    return {"distance_m": np.hypot(second.x_m - first.x_m, second.y_m - first.y_m)}


def _pair_gap(asked: Asked) -> Truth:
    apart_m = gap_m(asked.now(0).ground_box, asked.now(1).ground_box)
    return {"distance_m": np.where(apart_m >= LEAST_GAP_M, apart_m, np.nan)}


def _pair_lateral(asked: Asked) -> Truth:
    return {"y_m": asked.now(1).y_m - asked.now(0).y_m}


def _pair_longitudinal(asked: Asked) -> Truth:
    return {"x_m": asked.now(1).x_m - asked.now(0).x_m}


TYPES: tuple[QuestionType, ...] = (
    QuestionType(
        name="left_right",
        family="object",
        answer_type="choice",
        roles=2,
        wordings=(
            "From my point of view, is {a} to the left or to the right of {b}?",
            "As I see it, does {a} lie to the right or to the left of {b}?",
            "Looking from my car, on which side of {b} is {a}, left or right?",
            "Seen from where I am, is {a} right or left of {b}?",
            "To see {a} after looking at {b}, would I turn my eyes to the left or to the right?",
            "Comparing the directions in which I see their centers, is {a} farther right or farther left than {b}?",
            "From the driver's seat of my car, which side of {b} is {a} on, the right or the left?",
            "Is the direction from my car to {a} left or right of the direction from my car to {b}?",
            "In my view, where is {a} with respect to {b}: right or left of it?",
        ),
        definition=(
            "Left if my bearing to the center of A is greater (farther left) than my bearing to the center of B, the "
            f"shorter way around, else right. Not asked where the two differ by less than {LEFT_RIGHT_MARGIN_DEG:g} "
            "degrees."
        ),
        truth=_left_right,
        tolerance=EXACT,
        choices=("left", "right"),
        claims=("{a} is to the left of {b} as I see it", "{a} is to the right of {b} as I see it"),
    ),
    QuestionType(
        name="closer",
        family="object",
        answer_type="choice",
        roles=2,
        wordings=(
            "Which is closer to me, {a} or {b}?",
            "Which one is nearer to my car, {b} or {a}?",
            "Of {a} and {b}, which is at the shorter distance from me?",
            "Is {b} or {a} the one that is closer to where I am?",
            "Which of the two, {a} or {b}, has its center nearer to my car along the ground?",
            "Measured along the ground to their centers, is {b} or {a} closer to me?",
            "Between {b} and {a}, which is the nearer one to my car?",
            "Which is the shorter distance away from me in a straight line along the ground, {a} or {b}?",
            "Take {a} and {b}: which is less far away from me?",
        ),
        definition=(
            "The one of A and B whose center is at the smaller ground distance from me. Not asked where the greater "
            f"distance is less than {CLOSER_RATIO:g} times the smaller."
        ),
        truth=_closer,
        tolerance=EXACT,
        choices=("{a}", "{b}"),
        claims=("{a} is closer to me than {b}", "{b} is closer to me than {a}"),
    ),
    QuestionType(
        name="farther_ahead",
        family="object",
        answer_type="choice",
        roles=2,
        wordings=(
            "Which is farther ahead of me along the direction my car is facing, {a} or {b}?",
            "Along my own heading, is {b} or {a} farther forward?",
            "Measured straight ahead from my car and leaving aside how far it is to the side, which is farther ahead, "
            "{a} or {b}?",
            "Of {b} and {a}, whose center lies farther forward along my car's straight-ahead line?",
            "If I look only at the distance along my straight-ahead line, which of {a} and {b} is farther ahead?",
            "Counting only meters straight forward from my car, is {a} or {b} the one farther ahead?",
            "Which of the two is farther ahead in the direction in which I am facing, {b} or {a}?",
            "Driving straight on, which would I draw level with later if nothing else moved, {a} or {b}?",
        ),
        definition=(
            "The one of A and B whose center lies farther along my heading (greater x in the ego frame), whatever its "
            f"sideways place. Not asked where the two differ by less than {AHEAD_MARGIN_M:g} m."
        ),
        truth=_farther_ahead,
        tolerance=EXACT,
        choices=("{a}", "{b}"),
        claims=(
            "{a} is farther ahead than {b} along my straight-ahead line",
            "{b} is farther ahead than {a} along my straight-ahead line",
        ),
    ),
    QuestionType(
        name="front_behind",
        family="object",
        answer_type="choice",
        roles=2,
        wordings=(
            "From the position of {a} and facing the way it faces, is {b} in front or behind?",
            "Judged by the heading of {a}, is {b} behind it or in front of it?",
            "Is {b} in front of {a} or behind it, where the front of {a} is the side it faces?",
            "If I were in the place of {a} and looked the way it faces, would {b} be behind me or in front of me?",
            "Draw a line across {a} through its center, at right angles to its heading. Is {b} in front of that line "
            "or behind it?",
            "As seen from {a}, not from my car, is {b} behind or in front?",
            "Taking the side that {a} faces as its front, where is {b}: in front of it or behind it?",
            "Taking the heading of {a} as forward, does {b} lie in front of {a} or behind {a}?",
            "Relative to the way {a} points, is the center of {b} behind or in front of the center of {a}?",
        ),
        definition=(
            "By the bearing of B's center seen from A's center, 0 along A's own heading: in front below "
            f"{FRONT_BELOW_DEG:g} degrees to either side, behind above {BEHIND_ABOVE_DEG:g}. Not asked in between."
        ),
        truth=_front_behind,
        tolerance=EXACT,
        choices=("in front", "behind"),
        claims=(
            "{b} is in front of {a}, judged by the heading of {a}",
            "{b} is behind {a}, judged by the heading of {a}",
        ),
    ),
    QuestionType(
        name="left_right_own",
        family="object",
        answer_type="choice",
        roles=2,
        wordings=(
            "From the position of {a} and facing the way it faces, is {b} to the left or to the right?",
            "Judged by the heading of {a}, on which side of it is {b}, right or left?",
            "If I were in the place of {a} and looked the way it faces, would {b} be on my right or on my left?",
            "Is {b} on the left or on the right side of {a}, where left and right are those of {a} itself?",
            "Seen from {a} along its own heading, does {b} lie to the right or to the left?",
            "As seen from {a}, not from my car, is {b} left or right?",
            "Taking the heading of {a} as forward, is {b} to its right or to its left?",
            "Extend the heading of {a} into a straight line through its center. On which side of that line is {b}, "
            "left or right?",
        ),
        definition=(
            "By the bearing of B's center seen from A's center, 0 along A's own heading: left from "
            f"{OWN_SIDE_MARGIN_DEG:g} to {180 - OWN_SIDE_MARGIN_DEG:g} degrees, right from "
            f"-{180 - OWN_SIDE_MARGIN_DEG:g} to -{OWN_SIDE_MARGIN_DEG:g}. Not asked where B is nearer to straight "
            "ahead of A or straight behind it."
        ),
        truth=_left_right_own,
        tolerance=EXACT,
        choices=("left", "right"),
        claims=(
            "{b} is on the left side of {a}, judged by the heading of {a}",
            "{b} is on the right side of {a}, judged by the heading of {a}",
        ),
    ),
    QuestionType(
        name="above_below",
        family="object",
        answer_type="choice",
        roles=2,
        wordings=(
            "Is the center of {a} higher or lower than the center of {b}?",
            "Comparing the heights of their centers, is {a} lower or higher than {b}?",
            "In the real world, does the middle of {a} lie higher or lower than the middle of {b}?",
            "Measured from one level plane, is the center of {a} lower or higher than that of {b}?",
            "Which is true of the middle of {a}: is it lower or higher up than the middle of {b}?",
            "By the height of its center, is {a} higher or lower than {b}?",
            "Is the midpoint of {a} lower or higher than the midpoint of {b} in real height, not in the image?",
            "How does the center of {a} compare in height with the center of {b}, higher or lower?",
        ),
        definition=(
            "Whether A's center is higher or lower than B's, by z in the ego frame. Not asked where they differ by "
            f"less than {ABOVE_MARGIN_M:g} m."
        ),
        truth=_above_below,
        tolerance=EXACT,
        choices=("higher", "lower"),
        claims=(
            "the center of {a} is higher than the center of {b}",
            "the center of {a} is lower than the center of {b}",
        ),
    ),
    QuestionType(
        name="pair_clock",
        family="object",
        answer_type="clock",
        roles=2,
        wordings=(
            f"Seen from {{a}}, {OWN_CLOCK}, in which clock direction is {{b}}?",
            "Take the way {a} is facing as 12 o'clock and its right side as 3 o'clock. In which clock direction is "
            "{b} from {a}?",
            "Imagine being in the place of {a} and facing the way it faces, which is 12 o'clock, with 3 o'clock to "
            "the right. In which clock direction is {b}?",
            "From the viewpoint of {a}, not mine, in which clock direction is {b}, if 12 o'clock is where {a} faces "
            "and 3 o'clock is to its right?",
            f"In which clock direction does {{b}} lie from {{a}}, {OWN_CLOCK}?",
            f"To the nearest hour, in which clock direction from {{a}} is the center of {{b}}, {OWN_CLOCK}?",
            "Lay a clock face around {a}, with 12 where it is heading and 3 to its right. At which hour is {b}?",
            f"Standing at {{a}}, at what hour on the clock would {{b}} be, {OWN_CLOCK}?",
            "Where is {b} as seen from {a}, as a clock direction with 12 o'clock along the heading of {a} and 3 "
            "o'clock to its right?",
        ),
        definition=(
            "The hour nearest to the bearing of B's center seen from A's center, with 12 o'clock along A's own "
            "heading and 3 o'clock to its right."
        ),
        truth=_pair_clock,
        tolerance=EXACT,
    ),
    QuestionType(
        name="pair_bearing",
        family="object",
        answer_type="bearing",
        roles=2,
        wordings=(
            f"Seen from the center of {{a}}, what is the bearing of the center of {{b}}, {OWN_BEARING}?",
            f"At what bearing from {{a}} is the center of {{b}}, {OWN_BEARING}?",
            f"In which direction from {{a}} does {{b}} lie, {OWN_BEARING}?",
            f"What is the bearing of {{b}} from {{a}}, {OWN_BEARING}?",
            "Imagine being at the center of {a} and facing the way it faces. At what bearing is the center of {b}, in "
            "degrees, 0 straight ahead, positive to the left?",
            "By how many degrees is {b} off the heading of {a}, seen from {a}, positive to the left of that heading "
            "and negative to the right?",
            "Take the heading of {a} as 0 degrees and count positive to its left. At what bearing from the center of "
            "{a} is the center of {b}, in degrees?",
            f"From the viewpoint of {{a}}, not mine, at what bearing is {{b}}, {OWN_BEARING}?",
        ),
        definition=(
            "The bearing of B's center seen from A's center: 0 along A's own heading, left positive, from -180 to 180 "
            "degrees."
        ),
        truth=_pair_bearing,
        tolerance=WITHIN_10_DEGREES,
    ),
    QuestionType(
        name="pair_distance",
        family="object",
        answer_type="distance",
        roles=2,
        wordings=(
            "How far apart are {a} and {b}, from center to center along the ground, in meters?",
            "What is the distance between the centers of {a} and {b} on the ground, in meters?",
            "How many meters is the center of {a} from the center of {b}, measured along the ground?",
            "Measured on the ground between their centers, how many meters separate {a} from {b}?",
            "From the center of {a} to the center of {b}, how many meters is it along the ground?",
            "What is the ground distance in meters from the middle of {a} to the middle of {b}?",
            "How long, in meters, is a straight line on the ground between the centers of {a} and {b}?",
            "In meters along the ground, at what distance from {a} is {b}, center to center?",
            "How far is {b} from {a} in meters, taking their centers on the ground?",
        ),
        definition="The ground distance between the centers of A and B.",
        truth=_pair_distance,
        tolerance=WITHIN_25_PERCENT,
        claims=(
            "the centers of {a} and {b} are more than {v} apart along the ground",
            "it is more than {v} along the ground from the center of {a} to the center of {b}",
        ),
        thresholds=(3.0, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0),
    ),
    QuestionType(
        name="pair_gap",
        family="object",
        answer_type="distance",
        roles=2,
        wordings=(
            "How wide is the gap between {a} and {b}, from surface to surface along the ground, in meters?",
            "What is the shortest distance along the ground between the outsides of {a} and {b}, in meters?",
            "How many meters of free space are there between {a} and {b} where they come closest, measured along the "
            "ground?",
            "From surface to surface, not center to center, how many meters apart are {a} and {b} along the ground?",
            "What is the clearance between {a} and {b} on the ground, in meters?",
            "At their nearest points on the ground, how many meters separate {a} and {b}?",
            "How long is the shortest line on the ground from the edge of {a} to the edge of {b}, in meters?",
            "Measured along the ground between their closest sides or corners, how far is {a} from {b}, in meters?",
        ),
        definition=(
            "The least distance between the outlines of A and B on the ground (their boxes seen from above). Not "
            f"asked where it is less than {LEAST_GAP_M:g} m."
        ),
        truth=_pair_gap,
        tolerance=WITHIN_25_PERCENT,
        claims=(
            "the gap between {a} and {b} is more than {v} from surface to surface along the ground",
            "{a} and {b} are more than {v} apart where they come closest along the ground",
        ),
        thresholds=(3.0, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0),
    ),
    QuestionType(
        name="pair_lateral",
        family="object",
        answer_type="lateral",
        roles=2,
        wordings=(
            "With left and right as my car faces, how many meters is the center of {b} to the left of the center of "
            "{a}? Negative means to the right.",
            "How far to the left of {a} is {b} as my car faces, in meters between their centers at right angles to my "
            "heading, negative if it is to the right?",
            "Measured sideways across my heading, what is the offset in meters from the center of {a} to the center "
            "of {b}, positive to my left?",
            "Counting only sideways distance as my car faces, how many meters is {b} from {a}, center to center, "
            "positive to the left and negative to the right?",
            "What is the sideways offset of {b} from {a} in meters, across my straight-ahead line and positive to my "
            "left?",
            "Going from the center of {a} to the center of {b}, how many meters would I move to the left, as my car "
            "faces now? Count movement to the right as negative.",
            "By how many meters does the center of {b} lie farther to my left than the center of {a}, negative if "
            "farther to my right?",
            "Across the direction my car faces, how far is {b} from {a} in meters, positive to my left, from center "
            "to center?",
        ),
        definition=(
            "How far B's center is to the left of A's center, at right angles to my heading: y of B minus y of A in "
            "the ego frame, negative to the right."
        ),
        truth=_pair_lateral,
        tolerance=WITHIN_25_PERCENT,
        claims=(
            "the sideways offset from the center of {a} to the center of {b}, across my heading and positive to my "
            "left, is greater than {v}",
            "the sideways distance from the center of {a} to the center of {b}, positive to my left and negative to "
            "my right, is greater than {v}",
        ),
        thresholds=(-20.0, -15.0, -10.0, -7.0, -5.0, -3.0, 0.0, 3.0, 5.0, 7.0, 10.0, 15.0, 20.0),
    ),
    QuestionType(
        name="pair_longitudinal",
        family="object",
        answer_type="longitudinal",
        roles=2,
        wordings=(
            "Along my heading, how many meters is the center of {b} farther ahead than the center of {a}? Negative "
            "means less far ahead.",
            "How much farther ahead of me than {a} is {b}, in meters between their centers along my straight-ahead "
            "line, negative if it is less far ahead?",
            "Measured along the direction my car faces, what is the offset in meters from the center of {a} to the "
            "center of {b}, positive forward?",
            "Counting only distance along my car's heading, how many meters is {b} from {a}, center to center, "
            "positive if {b} is farther ahead?",
            "What is the forward offset of {b} from {a} in meters, along my straight-ahead line and negative if {b} "
            "is less far ahead?",
            "Going from the center of {a} to the center of {b}, how many meters would I move in the direction I face "
            "now? Count backward movement as negative.",
            "By how many meters does the center of {b} lie farther forward than the center of {a}, seen along my "
            "heading, negative if it lies farther back?",
            "Along the direction my car faces, how far is {b} ahead of {a} in meters from center to center, negative "
            "if it is behind {a}?",
        ),
        definition=(
            "How much farther ahead B's center is than A's center, along my heading: x of B minus x of A in the ego "
            "frame, negative if less far ahead."
        ),
        truth=_pair_longitudinal,
        tolerance=WITHIN_25_PERCENT,
        claims=(
            "the forward offset from the center of {a} to the center of {b}, along my heading and positive ahead, is "
            "greater than {v}",
            "the distance forward from the center of {a} to the center of {b}, along my heading and negative for "
            "backward, is greater than {v}",
        ),
        thresholds=(-30.0, -20.0, -15.0, -10.0, -5.0, 0.0, 5.0, 10.0, 15.0, 20.0, 30.0),
    ),
)
