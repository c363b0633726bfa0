"""How one marked agent stands to my car: its lane, where it faces, how long it is."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

from drive_vqa.geometry import angle_rad, wrap_deg
from qa_gen.asked import Asked
from qa_gen.drive import Lanes
from qa_gen.question_type import EXACT, WITHIN_10_DEGREES, QuestionType, Truth
from qa_gen.relations.lanes import (
    AGAINST_DEG,
    ALONG_DEG,
    BESIDE_FROM_M,
    BESIDE_TO_M,
    OWN_BELOW_M,
    REACH_M,
    RELATIONS,
    lane_relation,
)
from qa_gen.relations.margins import first_that_holds, yes_no

SAME_BELOW_DEG, OPPOSITE_ABOVE_DEG, ACROSS_FROM_DEG, ACROSS_TO_DEG = 35.0, 145.0, 55.0, 125.0
OWN_LENGTH_M = 4.6
"""The length of my car that the question tells."""
LONGER_RATIO = 1.1

LANE_NOTE = (
    "Oncoming traffic runs against my heading, a crossing lane runs across it at 45 to 135 degrees, and the lanes to "
    "my left and right run my way."
)


LANE_HEADING_DEG = 60.0
"""How far an agent's heading may be off the direction that its lane has with respect to mine."""

ONCOMING = "a lane of oncoming traffic"


def _lane_relation(asked: Asked) -> Truth:
    choice = np.full(len(asked), -1)
    log = asked.drive.log[asked.frame]
    for number, lanes in enumerate(asked.drive.lanes):
        here = np.flatnonzero(log == number)
        if lanes is not None and len(here):
            choice[here] = _lane_in_log(asked, lanes, here)
    return {"choice": np.where(_goes_with(choice, np.abs(_turn_deg(asked))), choice, -1)}


def _goes_with(choice: Int[np.ndarray, "n"], turn_deg: Float[np.ndarray, "n"]) -> Bool[np.ndarray, "n"]:
    """Whether an agent points along the lane that it is found in; one that walks or turns across it is not in it."""
    along, against = turn_deg < LANE_HEADING_DEG, turn_deg > 180.0 - LANE_HEADING_DEG
    across = np.abs(turn_deg - 90.0) < LANE_HEADING_DEG
    return np.where(
        choice < RELATIONS.index(ONCOMING), along, np.where(choice == RELATIONS.index(ONCOMING), against, across)
    )


def _lane_in_log(asked: Asked, lanes: Lanes, here: Int[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
    """The same for the subjects of one log, which share a map."""
    frame, ego = np.unique(asked.frame[here], return_inverse=True)
    pose, ego_xy_m = asked.drive.global_R_ego[frame], asked.drive.global_xyz_ego_m[frame, :2]
    ego_yaw_deg = np.degrees(angle_rad(pose[:, 1, 0], pose[:, 0, 0]))
    agent = asked.now()
    return lane_relation(lanes, ego_xy_m, ego_yaw_deg, ego, np.stack([agent.x_m, agent.y_m], axis=-1)[here])


def _turn_deg(asked: Asked) -> np.ndarray:
    return np.asarray(wrap_deg(np.degrees(asked.now().yaw_rad)))


def _facing(asked: Asked) -> Truth:
    off_deg = np.abs(_turn_deg(asked))
    across = (off_deg >= ACROSS_FROM_DEG) & (off_deg <= ACROSS_TO_DEG)
    return {"choice": first_that_holds(off_deg < SAME_BELOW_DEG, off_deg > OPPOSITE_ABOVE_DEG, across)}


def _heading(asked: Asked) -> Truth:
    return {"yaw_deg": _turn_deg(asked)}


def _longer_than_me(asked: Asked) -> Truth:
    length_m = asked.now().length_m
    return {"bool": yes_no(length_m >= LONGER_RATIO * OWN_LENGTH_M, LONGER_RATIO * length_m <= OWN_LENGTH_M)}


TYPES: tuple[QuestionType, ...] = (
    QuestionType(
        name="lane_relation",
        family="ego",
        answer_type="choice",
        roles=1,
        wordings=(
            f"Which lane is {{a}} in? {LANE_NOTE}",
            f"In which lane is the center of {{a}}, as seen from mine? {LANE_NOTE}",
            f"How does the lane of {{a}} relate to my own lane? {LANE_NOTE}",
            f"In which lane of the road is {{a}}, compared with the lane that I am in? {LANE_NOTE}",
            f"{LANE_NOTE} Which lane does {{a}} occupy, judged from my car?",
            f"Starting from the lane of my car, in which lane is {{a}}? {LANE_NOTE}",
            f"{LANE_NOTE} Which of these is the lane that the center of {{a}} is in?",
            f"Compare the lane of {{a}} with mine: which lane is it? {LANE_NOTE}",
        ),
        definition=(
            "A is in the lane whose center line is nearest to A's center, and I am in the nearest lane that runs "
            f"within {ALONG_DEG:g} degrees of my heading; both center lines must be within {REACH_M:g} m. A lane "
            f"turned more than {AGAINST_DEG:g} degrees from my heading is one of oncoming traffic, one turned by "
            f"{ALONG_DEG:g} to {AGAINST_DEG:g} is a crossing lane. Otherwise A's sideways distance from the center "
            f"line of my lane decides: below {OWN_BELOW_M:g} m it is my lane, between {BESIDE_FROM_M:g} and "
            f"{BESIDE_TO_M:g} m the lane on that side. Not asked elsewhere, beyond the ends of my lane, where two "
            f"lanes within {REACH_M:g} m of A differ in direction by more than {ALONG_DEG:g} degrees, where A points more "
            f"than {LANE_HEADING_DEG:g} degrees off the way that such a lane runs, or without a map."
        ),
        truth=_lane_relation,
        tolerance=EXACT,
        choices=RELATIONS,
        claims=(
            "{a} is in my lane",
            "{a} is in the lane next to mine on my left, which runs the same way as mine",
            "{a} is in the lane next to mine on my right, which runs the same way as mine",
            "{a} is in a lane of oncoming traffic",
            "{a} is in a lane that crosses my heading at 45 to 135 degrees",
        ),
    ),
    QuestionType(
        name="facing",
        family="ego",
        answer_type="choice",
        roles=1,
        wordings=(
            "Does {a} face the same way as me to within 45 degrees, the opposite way to within 45 degrees, or across?",
            "Which way does {a} point compared with my car: opposite way or same way, each to within 45 degrees, or "
            "across?",
            "Compared with where I am facing, is {a} facing across, the same way, or the opposite way? Same and "
            "opposite mean to within 45 degrees.",
            "Is the front of {a} turned the same way as mine, the opposite way, or across, where the first two mean "
            "to within 45 degrees?",
            "Is {a} facing the opposite way to my car, across my heading, or the same way, if same and opposite allow "
            "for 45 degrees?",
            "How is {a} oriented relative to my car? Less than 45 degrees off my heading is same way, more than 135 "
            "is opposite way, and the rest is across.",
            "If across means that its heading differs from mine by 45 to 135 degrees, less is same way, and more is "
            "opposite way, how does {a} face?",
            "Looking at where its front points, does {a} face across my heading, the opposite way, or the same way, "
            "the last two to within 45 degrees?",
        ),
        definition=(
            f"By the angle between A's heading and mine: same way below {SAME_BELOW_DEG:g} degrees, opposite way above "
            f"{OPPOSITE_ABOVE_DEG:g}, across from {ACROSS_FROM_DEG:g} to {ACROSS_TO_DEG:g}. Not asked in between."
        ),
        truth=_facing,
        tolerance=EXACT,
        choices=("same way", "opposite way", "across"),
        claims=(
            "{a} faces the same way as my car to within 45 degrees",
            "{a} faces the opposite way to my car to within 45 degrees",
            "{a} faces across my heading, turned from it by 45 to 135 degrees",
        ),
    ),
    QuestionType(
        name="heading",
        family="ego",
        answer_type="turn",
        roles=1,
        wordings=(
            "By how many degrees is the heading of {a} turned from mine, positive to the left and negative to the "
            "right?",
            "If my car were to face the same way as {a}, by how many degrees would it turn, positive to the left and "
            "negative to the right, the shorter way around?",
            "What is the angle from my heading to the heading of {a}, in degrees, positive to the left?",
            "Compared with where my car points, by how many degrees is {a} turned, counted positive to the left and "
            "from -180 to 180?",
            "Take my heading as 0 degrees and count positive to the left. Where does the front of {a} point, in "
            "degrees?",
            "How far is the direction {a} faces turned from the direction I face, in degrees, with left positive and "
            "right negative?",
            "In degrees from -180 to 180, with positive to the left, what is the heading of {a} relative to mine? I "
            "mean where it points, not where it is.",
            "From the way I face to the way {a} faces, how many degrees is the turn, positive if it is to the left?",
        ),
        definition=(
            "How far A's heading is turned from mine (where it points, not where it is): left positive, from -180 to "
            "180 degrees."
        ),
        truth=_heading,
        tolerance=WITHIN_10_DEGREES,
    ),
    QuestionType(
        name="longer_than_me",
        family="ego",
        answer_type="bool",
        roles=1,
        wordings=(
            "My car is 4.6 meters long. Is {a} longer than my car, from front to back? Answer yes or no.",
            "Is {a} longer than my car, which measures 4.6 meters from front to back? Answer no or yes.",
            "Yes or no: does {a} exceed the 4.6 meters of my car in real length?",
            "With my car being 4.6 meters long, is {a} the longer one of the two, yes or no?",
            "Does {a} measure more from front to back than my car with its 4.6 meters? Answer yes or no.",
            "Parked beside my car, which is 4.6 meters long, would {a} be the longer of the two? Answer no or yes.",
            "Is the real length of {a} more than 4.6 meters, which is the length of my car, yes or no?",
            "Compare lengths from front to back: mine is 4.6 meters. Is that of {a} greater, no or yes?",
        ),
        definition=(
            f"Yes if the length of A's box is greater than the {OWN_LENGTH_M:g} m that the question tells, else no. "
            f"Not asked where the greater of both lengths is less than {LONGER_RATIO:g} times the smaller."
        ),
        truth=_longer_than_me,
        tolerance=EXACT,
    ),
)
