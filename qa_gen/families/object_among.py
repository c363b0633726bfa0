"""One marked agent and the others around it: nearest, farthest, in order, between, within a radius."""

from __future__ import annotations

import numpy as np

from qa_gen.asked import Asked
from qa_gen.question_type import EXACT, QuestionType, Truth
from qa_gen.relations.among import ORDER_RATIO, RADIUS_SHARE, farthest, in_order, nearest, within
from qa_gen.relations.margins import greater, yes_no

CLOSER_RATIO = 1.1
ORDER_STEP_M = 0.3
MOST_IN_ORDER = 4
BETWEEN_SHARE, BETWEEN_ASIDE_M = 0.1, 2.0
"""Between: at least this share of the way from both ends, and no farther than this from the line."""
OUTSIDE_SHARE, OUTSIDE_ASIDE_M = 0.05, 2.5
"""Not between: at least this share of the way beyond an end, or farther than this from the line."""
LEAST_APART_M = 2.0
RADII_M = np.array([5.0, 10.0, 20.0])

BETWEEN_WORDS = "no more than 2 meters to the side of the straight line between their centers"


def _distances_m(asked: Asked) -> np.ndarray:
    """From the centre of a to those of all marks of the group, on the ground."""
    marks, one = asked.marks(), asked.now()
    return np.asarray(np.hypot(marks.x_m - one.x_m[:, None], marks.y_m - one.y_m[:, None]))


def _others(asked: Asked) -> np.ndarray:
    return np.where(asked.is_other, asked.mark_numbers, -1)


def _nearest_to(asked: Asked) -> Truth:
    mark = nearest(_distances_m(asked), asked.is_other, asked.mark_numbers)
    return {"mark": mark, "options": _others(asked)}


def _farthest_from(asked: Asked) -> Truth:
    mark = farthest(_distances_m(asked), asked.is_other, asked.mark_numbers)
    return {"mark": mark, "options": _others(asked)}


def _order_from(asked: Asked) -> Truth:
    return in_order(_distances_m(asked), asked.is_other, asked.mark_numbers, MOST_IN_ORDER, ORDER_STEP_M)


def _between(asked: Asked) -> Truth:
    first, second, third = asked.now(0), asked.now(1), asked.now(2)
    bx_m, by_m = second.x_m - first.x_m, second.y_m - first.y_m
    cx_m, cy_m = third.x_m - first.x_m, third.y_m - first.y_m
    apart_m = np.hypot(bx_m, by_m)
    apart_m = np.where(apart_m >= LEAST_APART_M, apart_m, np.nan)
    share = (cx_m * bx_m + cy_m * by_m) / apart_m**2
    aside_m = np.abs(bx_m * cy_m - by_m * cx_m) / apart_m
    inside = (share > BETWEEN_SHARE) & (share < 1.0 - BETWEEN_SHARE) & (aside_m < BETWEEN_ASIDE_M)
    outside = (share < -OUTSIDE_SHARE) | (share > 1.0 + OUTSIDE_SHARE) | (aside_m > OUTSIDE_ASIDE_M)
    return {"bool": yes_no(inside, outside)}


def _closer_to(asked: Asked) -> Truth:
    one, second, third = asked.now(0), asked.now(1), asked.now(2)
    second_m = np.hypot(second.x_m - one.x_m, second.y_m - one.y_m)
    third_m = np.hypot(third.x_m - one.x_m, third.y_m - one.y_m)
    return {"choice": greater(third_m, second_m, CLOSER_RATIO)}


def _count_within(asked: Asked) -> Truth:
    others = asked.is_other
    inside, clear = within(_distances_m(asked), others, RADII_M[asked.parameter])
    return {"count": np.where(clear & (others.sum(axis=1) >= 2), inside.sum(axis=1), -1)}


TYPES: tuple[QuestionType, ...] = (
    QuestionType(
        name="nearest_to",
        family="object",
        answer_type="choice",
        roles=1,
        wordings=(
            "Which of the other marked regions is nearest to {a}, from center to center along the ground?",
            "Of all other marked regions, which has the shortest distance to {a}, measured along the ground between "
            "centers?",
            "Apart from {a} itself, which marked region is closest to {a} in the real world?",
            "Which other region is the nearest neighbor of {a} on the ground, center to center?",
            "Leaving my own car aside, which other marked region lies closest to {a} along the ground?",
            "Starting from {a}, which other marked region is the shortest distance away along the ground?",
            "Which one of the other marked regions is at the least distance from {a}, in real meters and not in the "
            "image?",
            "Looking around {a}, which other marked region is the closest, by the distance between centers on the "
            "ground?",
        ),
        definition=(
            "The one of the other marks whose center is at the least ground distance from A's center. Needs two other "
            f"marks or more; not asked where the second nearest is less than {ORDER_RATIO:g} times as far."
        ),
        truth=_nearest_to,
        tolerance=EXACT,
    ),
    QuestionType(
        name="farthest_from",
        family="object",
        answer_type="choice",
        roles=1,
        wordings=(
            "Which of the other marked regions is farthest from {a}, from center to center along the ground?",
            "Of all other marked regions, which has the longest distance to {a}, measured along the ground between "
            "centers?",
            "Apart from {a} itself, which marked region is the farthest away from {a} in the real world?",
            "Which other region is the most distant from {a} on the ground, center to center?",
            "Leaving my own car aside, which other marked region lies farthest away from {a} along the ground?",
            "Starting from {a}, which other marked region is the longest distance away along the ground?",
            "Which one of the other marked regions is at the greatest distance from {a}, in real meters and not in "
            "the image?",
            "Looking around {a}, which other marked region is the farthest off, by the distance between centers on "
            "the ground?",
        ),
        definition=(
            "The one of the other marks whose center is at the greatest ground distance from A's center. Needs two "
            f"other marks or more; not asked where it is less than {ORDER_RATIO:g} times as far as the second."
        ),
        truth=_farthest_from,
        tolerance=EXACT,
    ),
    QuestionType(
        name="order_from",
        family="object",
        answer_type="ranking",
        roles=1,
        wordings=(
            "List the other marked regions by their distance from {a} along the ground, center to center, nearest "
            "first.",
            "Put all other marked regions in order of their distance to {a}, from the nearest to the farthest, "
            "measured along the ground between centers.",
            "In what order, from nearest to farthest, are the other marked regions away from {a} along the ground?",
            "Starting with the one closest to {a}, rank all the other marked regions by the ground distance of their "
            "centers from {a}.",
            "Sort the other marked regions by how far their centers are from {a} in real meters, the nearest one "
            "first.",
            "Going outward from {a}, in what order do the centers of the other marked regions come, nearest first?",
            "Name all marked regions except {a}, ordered by rising distance from {a} on the ground, center to center.",
            "How do the other marked regions rank by distance from {a}, measured along the ground between centers, if "
            "the nearest comes first?",
        ),
        definition=(
            f"The other marks by ground distance from A's center to theirs, nearest first. Needs 2 to {MOST_IN_ORDER} "
            f"other marks; not asked where one is less than {ORDER_RATIO:g} times as far as the one before it, or less "
            f"than {ORDER_STEP_M:g} m farther."
        ),
        truth=_order_from,
        tolerance=EXACT,
    ),
    QuestionType(
        name="between",
        family="object",
        answer_type="bool",
        roles=3,
        wordings=(
            f"Is {{c}} between {{a}} and {{b}}, with its center {BETWEEN_WORDS}? Answer yes or no.",
            f"Yes or no: does {{c}} lie between {{a}} and {{b}}, {BETWEEN_WORDS}?",
            f"Seen from above, is the center of {{c}} between those of {{a}} and {{b}}, {BETWEEN_WORDS}? Answer no or "
            "yes.",
            f"Does {{c}} stand in between {{b}} and {{a}}, which here means {BETWEEN_WORDS}? Answer yes or no.",
            "Going straight along the ground from the center of {a} to the center of {b}, would I pass the center of "
            "{c} at no more than 2 meters to the side, yes or no?",
            "Draw a straight line on the ground from the center of {b} to the center of {a}. Is the center of {c} "
            "beside that line, no more than 2 meters away and not beyond its ends, yes or no?",
            "Is the center of {c} within 2 meters of the straight line on the ground from {a} to {b}, and between its "
            "two ends? Answer no or yes.",
            f"Tell me with yes or no whether {{c}} is located between {{a}} and {{b}}, {BETWEEN_WORDS}.",
        ),
        definition=(
            f"Seen from above, by centers: yes if C is less than {BETWEEN_ASIDE_M:g} m from the straight line through "
            f"A and B and more than {BETWEEN_SHARE:.0%} of the way from A to B away from both ends. No if it is more "
            f"than {OUTSIDE_ASIDE_M:g} m from that line, or more than {OUTSIDE_SHARE:.0%} of the way beyond an end. "
            f"Not asked in between, nor where A and B are less than {LEAST_APART_M:g} m apart."
        ),
        truth=_between,
        tolerance=EXACT,
    ),
    QuestionType(
        name="closer_to",
        family="object",
        answer_type="choice",
        roles=3,
        wordings=(
            "Which is closer to {a}, {b} or {c}, from center to center along the ground?",
            "Is {c} or {b} nearer to {a}, measured along the ground between centers?",
            "Of {b} and {c}, which has the shorter distance to {a} on the ground?",
            "Starting from {a}, is the way along the ground shorter to {c} or to {b}, center to center?",
            "Which of the two is the closer neighbor of {a} in the real world, {b} or {c}?",
            "Compare the distances of {c} and {b} from {a} along the ground. Which one is closer to {a}?",
            "In real meters and not in the image, is {b} or {c} the one closer to {a}?",
            "Which one of {c} and {b} has its center nearer to the center of {a}, measured on the ground?",
        ),
        definition=(
            "The one of B and C whose center is at the smaller ground distance from A's center. Not asked where the "
            f"greater distance is less than {CLOSER_RATIO:g} times the smaller."
        ),
        truth=_closer_to,
        tolerance=EXACT,
        choices=("{b}", "{c}"),
        claims=(
            "{b} is closer to {a} than {c} is, from center to center along the ground",
            "{c} is closer to {a} than {b} is, from center to center along the ground",
        ),
    ),
    QuestionType(
        name="count_within",
        family="object",
        answer_type="count",
        roles=1,
        wordings=(
            "How many of the other marked regions are within {p} of {a}, from center to center along the ground?",
            "Count the other marked regions whose centers are no more than {p} from the center of {a} along the "
            "ground. How many are there?",
            "Not counting {a} itself, how many marked regions lie within {p} of {a}, measured along the ground "
            "between centers?",
            "Draw a circle of radius {p} on the ground around the center of {a}. How many other marked regions have "
            "their centers inside?",
            "How many other marked regions are at most {p} away from {a}, center to center on the ground?",
            "What is the number of marked regions, {a} not included, with centers within {p} of the center of {a} on "
            "the ground?",
            "Of the other marked regions, how many are {p} or less away from {a} in the real world, center to center?",
            "Looking around {a} to a distance of {p} along the ground, how many of the other marked regions have "
            "their centers there?",
        ),
        definition=(
            "How many of the other marks have their centers at most the named radius from A's center on the ground. "
            f"Needs two other marks or more; not asked where the distance of one is within {RADIUS_SHARE:.0%} of the "
            "radius."
        ),
        truth=_count_within,
        tolerance=EXACT,
        parameters=tuple(f"{radius_m:.0f} meters" for radius_m in RADII_M),
    ),
)
