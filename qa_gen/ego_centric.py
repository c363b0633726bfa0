"""Ego-centric questions: one image and where a marked agent is as seen from the ego."""

from __future__ import annotations

import numpy as np

from drive_vqa.boxes import overlaps
from drive_vqa.geometry import clock_hour, wrap_deg
from qa_gen.question_type import (
    BEARING_WORDS,
    CLOCK_WORDS,
    EXACT,
    WITHIN_10_DEGREES,
    WITHIN_25_PERCENT,
    Asked,
    QuestionType,
    Truth,
)

PATH_HALF_WIDTH_M = 1.8
PATH_LENGTH_M = 60.0
PATH_BOX = np.array([0.5 * PATH_LENGTH_M, 0.0, PATH_LENGTH_M, 2.0 * PATH_HALF_WIDTH_M, 0.0])
"""The straight corridor ahead, as a ground-plane box in the ego frame."""

PATH_WORDS = "within 1.8 meters on either side of my straight-ahead line and up to 60 meters ahead"
FACING_MARGIN_DEG = 10.0
"""Nearer than this to the edge between two answers (45 and 135 degrees): not asked."""


def _distance(asked: Asked) -> Truth:
    return {"distance_m": asked.now[0].distance_m}


def _bearing(asked: Asked) -> Truth:
    return {"bearing_deg": asked.now[0].bearing_deg}


def _clock(asked: Asked) -> Truth:
    return {"clock_hour": clock_hour(asked.now[0].bearing_deg)}


def _in_my_path(asked: Asked) -> Truth:
    return {"bool": overlaps(asked.now[0].ground_box, PATH_BOX)}


def _facing(asked: Asked) -> Truth | None:
    turn_deg = abs(float(wrap_deg(np.degrees(asked.now[0].yaw_rad))))
    if min(abs(turn_deg - 45.0), abs(turn_deg - 135.0)) < FACING_MARGIN_DEG:
        return None
    return {"choice": "same way" if turn_deg < 45.0 else "opposite way" if turn_deg > 135.0 else "across"}


TYPES = (
    QuestionType(
        name="distance",
        family="ego",
        answer_type="distance",
        marks=1,
        wordings=(
            "How far away from me is {a}, in meters along the ground to its center?",
            "What is the distance from my car to the center of {a}, in meters along the ground?",
            "How many meters away is the center of {a} from me, measured along the ground?",
            "Measured along the ground to its center, at what distance from me is {a}, in meters?",
        ),
        truth=_distance,
        tolerance=WITHIN_25_PERCENT,
    ),
    QuestionType(
        name="bearing",
        family="ego",
        answer_type="bearing",
        marks=1,
        wordings=(
            f"At what bearing do I see the center of {{a}}, {BEARING_WORDS}?",
            f"What is the bearing of the center of {{a}} from my car, {BEARING_WORDS}?",
            f"In which direction from me is the center of {{a}}, {BEARING_WORDS}?",
            f"By how many degrees is the center of {{a}} off my straight-ahead line, {BEARING_WORDS}?",
        ),
        truth=_bearing,
        tolerance=WITHIN_10_DEGREES,
    ),
    QuestionType(
        name="clock",
        family="ego",
        answer_type="clock",
        marks=1,
        wordings=(
            f"In which clock direction do I see {{a}}, {CLOCK_WORDS}?",
            f"In which clock direction is {{a}} from my car, {CLOCK_WORDS}?",
            f"To the nearest hour, in which clock direction is {{a}}, {CLOCK_WORDS}?",
            f"Where is {{a}} on a clock face laid around my car, {CLOCK_WORDS}?",
        ),
        truth=_clock,
        tolerance=EXACT,
    ),
    QuestionType(
        name="in_my_path",
        family="ego",
        answer_type="bool",
        marks=1,
        wordings=(
            f"Is any part of {{a}} {PATH_WORDS}? Answer yes or no.",
            f"Does {{a}} reach into the strip {PATH_WORDS}? Answer no or yes.",
            f"Call my path the strip {PATH_WORDS}. Is {{a}} at least partly in my path, yes or no?",
            f"Yes or no: is {{a}}, or a part of it, {PATH_WORDS}?",
        ),
        truth=_in_my_path,
        tolerance=EXACT,
    ),
    QuestionType(
        name="facing",
        family="ego",
        answer_type="choice",
        marks=1,
        wordings=(
            "Does {a} face the same way as me to within 45 degrees, the opposite way to within 45 degrees, or across? "
            "Answer same way, opposite way or across.",
            "Which way does {a} point compared with my car: opposite way or same way, each to within 45 degrees, or across?",
            "Compared with where I am facing, is {a} facing across, the same way or the opposite way? "
            "Same and opposite mean to within 45 degrees.",
            "Is the front of {a} turned the same way as mine, the opposite way, or across, where the first two mean to "
            "within 45 degrees?",
        ),
        truth=_facing,
        tolerance=EXACT,
        options=("same way", "opposite way", "across"),
    ),
)
