"""Object-centric questions: one image, two marked agents and how they stand to each other."""

from __future__ import annotations

import numpy as np

from drive_vqa.geometry import bearing_deg, clock_hour, wrap_deg
from qa_gen.question_type import EXACT, WITHIN_25_PERCENT, Asked, QuestionType, Truth

LEFT_RIGHT_MARGIN_DEG = 2.0
BIGGER_MARGIN = 1.2
CLOSER_MARGIN = 1.1
"""Nearer to equal than this and a person could not tell: not asked."""


def _left_right(asked: Asked) -> Truth | None:
    first, second = asked.now
    apart_deg = wrap_deg(first.bearing_deg - second.bearing_deg)
    if abs(apart_deg) < LEFT_RIGHT_MARGIN_DEG:
        return None
    return {"choice": "left" if apart_deg > 0 else "right"}


def _distance(asked: Asked) -> Truth:
    first, second = asked.now
    return {"distance_m": float(np.hypot(second.x_m - first.x_m, second.y_m - first.y_m))}


def _clock(asked: Asked) -> Truth:
    viewer, other = asked.now
    direction_deg = bearing_deg(other.x_m - viewer.x_m, other.y_m - viewer.y_m)
    return {"clock_hour": clock_hour(float(wrap_deg(direction_deg - np.degrees(viewer.yaw_rad))))}


def _bigger(asked: Asked) -> Truth | None:
    first_m3, second_m3 = (agent.volume_m3 for agent in asked.now)
    if max(first_m3, second_m3) < BIGGER_MARGIN * min(first_m3, second_m3):
        return None
    return {"choice": asked.names[0] if first_m3 > second_m3 else asked.names[1]}


def _closer(asked: Asked) -> Truth | None:
    first_m, second_m = (agent.distance_m for agent in asked.now)
    if max(first_m, second_m) < CLOSER_MARGIN * min(first_m, second_m):
        return None
    return {"choice": asked.names[0] if first_m < second_m else asked.names[1]}


TYPES = (
    QuestionType(
        name="left_right",
        family="object",
        answer_type="choice",
        marks=2,
        wordings=(
            "From my point of view, is {a} to the left or to the right of {b}?",
            "As I see it, does {a} lie to the right or to the left of {b}?",
            "Looking from my car, on which side of {b} is {a}: left or right?",
            "Seen from where I am, is {a} right or left of {b}?",
        ),
        truth=_left_right,
        tolerance=EXACT,
        options=("left", "right"),
    ),
    QuestionType(
        name="pair_distance",
        family="object",
        answer_type="distance",
        marks=2,
        wordings=(
            "How far apart are {a} and {b}, from center to center along the ground, in meters?",
            "What is the distance between the centers of {a} and {b} on the ground, in meters?",
            "How many meters is the center of {a} from the center of {b}, measured along the ground?",
            "Measured on the ground between their centers, how many meters separate {a} from {b}?",
        ),
        truth=_distance,
        tolerance=WITHIN_25_PERCENT,
    ),
    QuestionType(
        name="pair_clock",
        family="object",
        answer_type="clock",
        marks=2,
        wordings=(
            "Seen from {a}, with 12 o'clock straight ahead of {a} and 3 o'clock to its right, in which clock direction is {b}?",
            "Take the way {a} is facing as 12 o'clock and its right side as 3 o'clock. In which clock direction is {b} from {a}?",
            "Imagine sitting in the place of {a} and facing where it faces, which is 12 o'clock, with 3 o'clock to the right. "
            "In which clock direction is {b}?",
            "From the viewpoint of {a}, not mine, in which clock direction is {b}, if 12 o'clock is where {a} faces and "
            "3 o'clock is to its right?",
        ),
        truth=_clock,
        tolerance=EXACT,
    ),
    QuestionType(
        name="bigger",
        family="object",
        answer_type="choice",
        marks=2,
        wordings=(
            "Which has the larger real volume, {a} or {b}?",
            "Which is bigger in reality by volume, {b} or {a}?",
            "By length times width times height, is {a} or {b} the bigger one?",
            "Of {b} and {a}, which takes up more space in the real world?",
        ),
        truth=_bigger,
        tolerance=EXACT,
        options=("{a}", "{b}"),
    ),
    QuestionType(
        name="closer",
        family="object",
        answer_type="choice",
        marks=2,
        wordings=(
            "Which is closer to me, {a} or {b}?",
            "Which one is nearer to my car, {b} or {a}?",
            "Of {a} and {b}, which is at the shorter distance from me?",
            "Is {b} or {a} the one that is closer to where I am?",
        ),
        truth=_closer,
        tolerance=EXACT,
        options=("{a}", "{b}"),
    ),
)
