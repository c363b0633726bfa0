"""All marked agents together, as seen from my car: the nearest, their order, how many of a class or on a side."""

from __future__ import annotations

import numpy as np

from drive_vqa.categories import CATEGORIES
from qa_gen.asked import Asked
from qa_gen.families.object_nature import CHOICE_OF_CODE, NOUNS
from qa_gen.question_type import EXACT, QuestionType, Truth
from qa_gen.relations.among import ORDER_RATIO, RADIUS_SHARE, in_order, nearest, within

MOST_IN_ORDER = 5
RADII_M = np.array([10.0, 20.0, 30.0])
LEFT_RIGHT_MARGIN_DEG = 2.0
QUARTER_MARGIN_DEG = 3.0
QUARTER_EDGES_DEG = (45.0, 135.0)

CLASSES = ("vehicles", "pedestrians", "cyclists and motorcyclists")
CLASS_NOTE = (
    "A motorcycle counts as a vehicle too, a bicycle does not, and either counts as a cyclist or motorcyclist "
    "even without a rider."
)
_IN_CLASS = np.array(
    [
        [category.vehicle, name == "pedestrian", name in ("bicycle", "motorcycle")]
        for name, category in CATEGORIES.items()
    ]
    + [[False] * 3]
)
"""By category code, which classes it belongs to; the last entry is for -1."""

SIDES = ("to my left", "to my right")
QUARTERS = ("ahead of me", "behind me", "to my left", "to my right")
SIDE_WORDS = "judged by which side of my straight-ahead line their centers are on"
QUARTER_NOTE = (
    "Ahead is less than 45 degrees off my heading, behind is more than 135 degrees off it, and left and right lie "
    "between."
)
DISTANCE_WORDS = "measured along the ground to its center"


def _nearest_of_class(asked: Asked) -> Truth:
    """The class is one of those that apply to the group."""
    marks, there = asked.marks(), asked.mark_tracks >= 0
    noun = np.where(there, CHOICE_OF_CODE[marks.category], -1)
    of_class = (noun[:, :, None] == np.arange(len(NOUNS))).sum(axis=1)
    applies = (of_class >= 2) & (of_class < there.sum(axis=1)[:, None])
    count = applies.sum(axis=1)
    wanted = asked.parameter % np.maximum(count, 1) + 1
    chosen = (applies.cumsum(axis=1) >= wanted[:, None]).argmax(axis=1)
    mark = nearest(marks.distance_m, noun == chosen[:, None], asked.mark_numbers)
    return {"mark": mark, "options": asked.mark_numbers, "parameter": np.where(count > 0, chosen, -1)}


def _nearest_mark(asked: Asked) -> Truth:
    mark = nearest(asked.marks().distance_m, asked.mark_tracks >= 0, asked.mark_numbers)
    return {"mark": mark, "options": asked.mark_numbers}


def _rank_by_distance(asked: Asked) -> Truth:
    return in_order(asked.marks().distance_m, asked.mark_tracks >= 0, asked.mark_numbers, MOST_IN_ORDER)


def _marks_within(asked: Asked) -> Truth:
    inside, clear = within(asked.marks().distance_m, asked.mark_tracks >= 0, RADII_M[asked.parameter])
    order = np.argsort(~inside, axis=1, kind="stable")
    numbers = np.where(inside, asked.mark_numbers, -1)
    return {"marks": np.take_along_axis(numbers, order, axis=1), "asked": clear}


def _count_class(asked: Asked) -> Truth:
    category = asked.marks().category
    known = ((category >= 0) | (asked.mark_tracks < 0)).all(axis=1)
    return {"count": np.where(known, _IN_CLASS[category, asked.parameter[:, None]].sum(axis=1), -1)}


def _count_side(asked: Asked) -> Truth:
    bearing_deg, empty = asked.marks().bearing_deg, asked.mark_tracks < 0
    clear = (np.abs(bearing_deg) >= LEFT_RIGHT_MARGIN_DEG) | empty
    inside = (bearing_deg > 0) == (asked.parameter == 0)[:, None]
    return {"count": np.where(clear.all(axis=1), (inside & ~empty).sum(axis=1), -1)}


def _count_quarter(asked: Asked) -> Truth:
    bearing_deg, empty = asked.marks().bearing_deg, asked.mark_tracks < 0
    off_deg = np.abs(bearing_deg)
    near_deg = np.minimum(np.abs(off_deg - QUARTER_EDGES_DEG[0]), np.abs(off_deg - QUARTER_EDGES_DEG[1]))
    beside = (off_deg > QUARTER_EDGES_DEG[0]) & (off_deg < QUARTER_EDGES_DEG[1])
    quarter = np.where(beside, np.where(bearing_deg > 0, 2, 3), off_deg > QUARTER_EDGES_DEG[1])
    inside = (quarter == asked.parameter[:, None]) & ~empty
    clear = ((near_deg >= QUARTER_MARGIN_DEG) | empty).all(axis=1)
    return {"count": np.where(clear, inside.sum(axis=1), -1)}


TYPES: tuple[QuestionType, ...] = (
    QuestionType(
        name="nearest_of_class",
        family="ego",
        answer_type="choice",
        roles=0,
        wordings=(
            f"Of the marked regions whose kind is {{p}}, which is nearest to me, {DISTANCE_WORDS}?",
            "Which marked {p} is closest to my car, from me to its center along the ground?",
            "Look only at marked regions of the kind {p}. Which one is the shortest distance away from me along the "
            "ground?",
            f"Which region is the nearest marked {{p}}, {DISTANCE_WORDS} from my car?",
            "Leaving aside all other kinds, which marked {p} is the closest one to me in the real world?",
            f"Among the marked regions of the kind {{p}}, which is the shortest distance from me, {DISTANCE_WORDS}?",
            "By distance along the ground, which marked region of the kind {p} comes first, starting from my car?",
            "There is more than one marked {p}. Which of them has its center closest to me along the ground?",
        ),
        definition=(
            "The mark of the named kind whose center is at the least ground distance from me. Asked where two marks "
            "or more are of that kind and one or more of another; not asked where the second nearest is less than "
            f"{ORDER_RATIO:g} times as far."
        ),
        truth=_nearest_of_class,
        tolerance=EXACT,
        parameters=NOUNS,
    ),
    QuestionType(
        name="nearest_mark",
        family="ego",
        answer_type="choice",
        roles=0,
        wordings=(
            f"Which marked region is nearest to me, {DISTANCE_WORDS}?",
            "Of all marked regions, which has its center closest to my car along the ground?",
            f"Which of the marked regions is the shortest distance away from me, {DISTANCE_WORDS}?",
            "By real distance along the ground and not by size in the image, which marked region is closest to me?",
            "Which region is the closest one to my car among all that are marked, by the ground distance to its "
            "center?",
            f"Looking at all marked regions, which one is the shortest distance from my car, {DISTANCE_WORDS}?",
            f"Among everything marked, what is the nearest region to where I am, {DISTANCE_WORDS}?",
            "Going outward from my car along the ground, the center of which marked region comes first?",
        ),
        definition=(
            "The mark whose center is at the least ground distance from me. Needs two marks or more; not asked where "
            f"the second nearest is less than {ORDER_RATIO:g} times as far."
        ),
        truth=_nearest_mark,
        tolerance=EXACT,
    ),
    QuestionType(
        name="rank_by_distance",
        family="ego",
        answer_type="ranking",
        roles=0,
        wordings=(
            "List all marked regions by their distance from me along the ground to their centers, nearest first.",
            "Put the marked regions in order of their distance from my car, from the nearest to the farthest, "
            "measured along the ground to their centers.",
            "In what order, from nearest to farthest, are the marked regions away from me along the ground?",
            "Starting with the one closest to me, rank all marked regions by how far their centers are from my car "
            "along the ground.",
            "Sort the marked regions by their real distance from me, the nearest one first.",
            "Going outward from my car, in what order do the centers of the marked regions come, nearest first?",
            "Name all marked regions, ordered by rising distance from me along the ground to their centers.",
            "How do the marked regions rank by their ground distance from my car, if the nearest comes first?",
        ),
        definition=(
            f"All marks by the ground distance of their centers from me, nearest first. Needs 2 to {MOST_IN_ORDER} "
            f"marks; not asked where one is less than {ORDER_RATIO:g} times as far as the one before it."
        ),
        truth=_rank_by_distance,
        tolerance=EXACT,
    ),
    QuestionType(
        name="marks_within",
        family="ego",
        answer_type="regions",
        roles=0,
        wordings=(
            "Which marked regions are within {p} of me, measured along the ground to their centers?",
            "List all marked regions whose centers are no more than {p} from my car along the ground; answer none if "
            "there are none.",
            "Name every marked region that lies within {p} of my car, along the ground to its center.",
            "Draw a circle of radius {p} on the ground around me. Which marked regions have their centers inside, if "
            "any?",
            "Which of the marked regions, if any, are at most {p} away from me along the ground to their centers?",
            "Looking around my car to a distance of {p} along the ground, the centers of which marked regions are "
            "there?",
            "Of all marked regions, which are {p} or less away from me in the real world, by their centers on the "
            "ground?",
            "What marked regions have their centers within {p} of my car along the ground? Say none if there are none.",
        ),
        definition=(
            "All marks whose centers are at most the named radius from me on the ground; there may be none. Not asked "
            f"where the distance of one is within {RADIUS_SHARE:.0%} of the radius."
        ),
        truth=_marks_within,
        tolerance=EXACT,
        parameters=tuple(f"{radius_m:.0f} meters" for radius_m in RADII_M),
    ),
    QuestionType(
        name="count_class",
        family="ego",
        answer_type="count",
        roles=0,
        wordings=(
            f"How many of the marked regions are {{p}}? {CLASS_NOTE}",
            f"{CLASS_NOTE} How many marked {{p}} are there?",
            f"Count the marked {{p}}. How many are there? {CLASS_NOTE}",
            f"What is the number of marked regions that show {{p}}? {CLASS_NOTE}",
            f"Looking at marked regions only, how many {{p}} are there? {CLASS_NOTE}",
            f"Of all marked regions, how many belong to the class of {{p}}? {CLASS_NOTE}",
            f"{CLASS_NOTE} Among everything marked, how many are {{p}}?",
            f"Give the number of {{p}} among the marked regions. {CLASS_NOTE}",
        ),
        definition=(
            "How many marks are of the named class. A motorcycle is both a vehicle and of the class of cyclists and "
            "motorcyclists, a bicycle only of the latter. Not asked where the category of a mark is unknown."
        ),
        truth=_count_class,
        tolerance=EXACT,
        parameters=CLASSES,
    ),
    QuestionType(
        name="count_sector",
        family="ego",
        answer_type="count",
        roles=0,
        wordings=(
            f"How many of the marked regions are {{p}}, {SIDE_WORDS}?",
            f"Count the marked regions that lie {{p}}, {SIDE_WORDS}. How many are there?",
            f"How many marked regions are there {{p}}, {SIDE_WORDS}?",
            f"What is the number of marked regions {{p}}, {SIDE_WORDS}?",
            f"Looking at marked regions only, how many are located {{p}}, {SIDE_WORDS}?",
            "Divide the scene along my straight-ahead line. How many marked regions have their centers {p}?",
            f"Of all marked regions, how many do I see {{p}}, {SIDE_WORDS}?",
            f"Give the number of marked regions {{p}}, {SIDE_WORDS}.",
        ),
        definition=(
            "How many marks have their centers on the named side of my straight-ahead line: bearing above 0 is left, "
            f"below 0 is right. Not asked where one is within {LEFT_RIGHT_MARGIN_DEG:g} degrees of straight ahead."
        ),
        truth=_count_side,
        tolerance=EXACT,
        parameters=SIDES,
        kinds=("single",),
    ),
    QuestionType(
        name="count_sector_around",
        family="ego",
        answer_type="count",
        roles=0,
        wordings=(
            f"How many of the marked regions have their centers {{p}}? {QUARTER_NOTE}",
            f"{QUARTER_NOTE} How many marked regions are there {{p}}?",
            f"Count the marked regions whose centers lie {{p}}. How many are there? {QUARTER_NOTE}",
            f"What is the number of marked regions {{p}}, by the directions of their centers? {QUARTER_NOTE}",
            f"Looking at marked regions only, how many are located {{p}}? {QUARTER_NOTE}",
            "Divide the surroundings of my car into four quarters: up to 45 degrees on either side of my heading is "
            "ahead, the opposite quarter is behind, and the other two are left and right. How many marked regions "
            "have their centers {p}?",
            f"{QUARTER_NOTE} Of all marked regions, how many have their centers {{p}}?",
            f"Give the number of marked regions with centers {{p}}. {QUARTER_NOTE}",
        ),
        definition=(
            f"How many marks have their centers in the named quarter: ahead below {QUARTER_EDGES_DEG[0]:g} degrees off "
            f"my heading, behind above {QUARTER_EDGES_DEG[1]:g}, left or right between. Not asked where one is within "
            f"{QUARTER_MARGIN_DEG:g} degrees of an edge."
        ),
        truth=_count_quarter,
        tolerance=EXACT,
        parameters=QUARTERS,
        kinds=("surround",),
    ),
)
