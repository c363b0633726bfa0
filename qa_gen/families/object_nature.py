"""What marked agents are: their kind, their size, and how their headings stand to each other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from drive_vqa.categories import CATEGORIES
from drive_vqa.geometry import wrap_deg
from qa_gen.asked import Agents, Asked
from qa_gen.drive import CATEGORY_CODES
from qa_gen.question_type import EXACT, WITHIN_10_DEGREES, WITHIN_25_PERCENT, QuestionType, Truth
from qa_gen.relations.margins import first_that_holds, greater, yes_no

SIZE_RATIO = 1.1
VOLUME_RATIO = 1.2
"""Nearer to equal than this and a person could not tell: not asked."""

SAME_BELOW_DEG, OPPOSITE_ABOVE_DEG, ACROSS_FROM_DEG, ACROSS_TO_DEG = 30.0, 150.0, 60.0, 120.0
"""Headings between these are neither the one nor the other: not asked."""

NAMED = tuple(name for name, category in CATEGORIES.items() if category.movable and name not in ("other", "animal"))
"""Categories that `category` asks for."""
NOUNS = tuple(CATEGORIES[name].noun for name in NAMED)
CHOICE_OF_CODE = np.array([NAMED.index(name) if name in NAMED else -1 for name in CATEGORY_CODES] + [-1])
"""By category code; the last entry is for -1."""

HEADING_WORDS = "the same way to within 45 degrees, opposite ways to within 45 degrees, or across each other"


def article(noun: str) -> str:
    """The noun with "a" or "an"."""
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def _greater_of(size: Callable[[Agents], np.ndarray], ratio: float) -> Callable[[Asked], Truth]:
    return lambda asked: {"choice": greater(size(asked.now(0)), size(asked.now(1)), ratio)}


def _volume_m3(agent: Agents) -> np.ndarray:
    return np.asarray(agent.length_m * agent.width_m * agent.height_m)


def _height(asked: Asked) -> Truth:
    return {"distance_m": asked.now().height_m}


def _width(asked: Asked) -> Truth:
    return {"distance_m": asked.now().width_m}


def _length(asked: Asked) -> Truth:
    return {"distance_m": asked.now().length_m}


def _turn_deg(asked: Asked) -> np.ndarray:
    """How far b's heading is turned from a's."""
    return np.asarray(wrap_deg(np.degrees(asked.now(1).yaw_rad - asked.now(0).yaw_rad)))


def _pair_heading(asked: Asked) -> Truth:
    off_deg = np.abs(_turn_deg(asked))
    across = (off_deg >= ACROSS_FROM_DEG) & (off_deg <= ACROSS_TO_DEG)
    return {"choice": first_that_holds(off_deg < SAME_BELOW_DEG, off_deg > OPPOSITE_ABOVE_DEG, across)}


def _relative_heading(asked: Asked) -> Truth:
    return {"yaw_deg": _turn_deg(asked)}


def _category(asked: Asked) -> Truth:
    return {"choice": CHOICE_OF_CODE[asked.now().category]}


def _same_category(asked: Asked) -> Truth:
    first, second = asked.now(0).category, asked.now(1).category
    known = (first >= 0) & (second >= 0)
    return {"bool": yes_no(known & (first == second), known)}


TYPES: tuple[QuestionType, ...] = (
    QuestionType(
        name="taller",
        family="object",
        answer_type="choice",
        roles=2,
        wordings=(
            "Which is taller in reality, {a} or {b}?",
            "Of {b} and {a}, which has the greater real height?",
            "Is {a} or {b} the taller one, measured from bottom to top?",
            "Which of the two reaches the greater height from its bottom to its top, {b} or {a}?",
            "By real height and not by size in the image, which is taller, {a} or {b}?",
            "Compare the heights of {b} and {a} in meters. Which one is taller?",
            "Which measures more from bottom to top in the real world, {a} or {b}?",
            "Standing side by side on level ground, which would be the taller, {b} or {a}?",
        ),
        definition=(
            "The one of A and B whose box is higher from bottom to top. Not asked where the greater height is less "
            f"than {SIZE_RATIO:g} times the smaller."
        ),
        truth=_greater_of(lambda agent: agent.height_m, SIZE_RATIO),
        tolerance=EXACT,
        choices=("{a}", "{b}"),
        claims=("{a} is taller than {b} in reality", "{b} is taller than {a} in reality"),
    ),
    QuestionType(
        name="wider",
        family="object",
        answer_type="choice",
        roles=2,
        wordings=(
            "Which is wider in reality, {a} or {b}?",
            "Of {b} and {a}, which has the greater real width, from its left side to its right side?",
            "Is {a} or {b} the wider one, measured across its own heading?",
            "Which of the two measures more from its left side to its right side, {b} or {a}?",
            "By real width across its own heading and not by size in the image, which is wider, {a} or {b}?",
            "Compare the widths of {b} and {a} in meters, each from its left to its right side. Which one is wider?",
            "Which takes up more width from side to side in the real world, {a} or {b}?",
            "Which would need the wider lane for itself, {b} or {a}?",
        ),
        definition=(
            "The one of A and B whose box is wider, each measured across its own heading. Not asked where the greater "
            f"width is less than {SIZE_RATIO:g} times the smaller."
        ),
        truth=_greater_of(lambda agent: agent.width_m, SIZE_RATIO),
        tolerance=EXACT,
        choices=("{a}", "{b}"),
        claims=(
            "{a} is wider than {b} in reality, from left side to right side",
            "{b} is wider than {a} in reality, from left side to right side",
        ),
    ),
    QuestionType(
        name="longer",
        family="object",
        answer_type="choice",
        roles=2,
        wordings=(
            "Which is longer in reality, {a} or {b}?",
            "Of {b} and {a}, which has the greater real length, from its front to its back?",
            "Is {a} or {b} the longer one, measured along its own heading?",
            "Which of the two measures more from front to back, {b} or {a}?",
            "By real length from front to back and not by size in the image, which is longer, {a} or {b}?",
            "Compare the lengths of {b} and {a} in meters, each from its front to its back. Which one is longer?",
            "Which extends farther from front to back in the real world, {a} or {b}?",
            "Standing one behind the other along a curb, which would take up more of it, {b} or {a}?",
        ),
        definition=(
            "The one of A and B whose box is longer, each measured along its own heading. Not asked where the greater "
            f"length is less than {SIZE_RATIO:g} times the smaller."
        ),
        truth=_greater_of(lambda agent: agent.length_m, SIZE_RATIO),
        tolerance=EXACT,
        choices=("{a}", "{b}"),
        claims=(
            "{a} is longer than {b} in reality, from front to back",
            "{b} is longer than {a} in reality, from front to back",
        ),
    ),
    QuestionType(
        name="bigger",
        family="object",
        answer_type="choice",
        roles=2,
        wordings=(
            "Which has the larger real volume, {a} or {b}?",
            "Which is bigger in reality by volume, {b} or {a}?",
            "By length times width times height, is {a} or {b} the bigger one?",
            "Of {b} and {a}, which takes up more space in the real world?",
            "Which would need the larger box to be packed in, {a} or {b}?",
            "Multiply length, width, and height of each. Which comes out larger, {b} or {a}?",
            "By real volume and not by size in the image, which is bigger, {a} or {b}?",
            "Is {b} or {a} the one that fills more cubic meters, each taken as a box around it?",
        ),
        definition=(
            "The one of A and B whose box has the greater volume, length times width times height. Not asked where "
            f"the greater volume is less than {VOLUME_RATIO:g} times the smaller."
        ),
        truth=_greater_of(_volume_m3, VOLUME_RATIO),
        tolerance=EXACT,
        choices=("{a}", "{b}"),
        claims=("{a} is bigger than {b} by real volume", "{b} is bigger than {a} by real volume"),
    ),
    QuestionType(
        name="height",
        family="object",
        answer_type="distance",
        roles=1,
        wordings=(
            "How tall is {a} in reality, in meters?",
            "What is the real height of {a}, in meters?",
            "How many meters does {a} measure from bottom to top?",
            "From its bottom to its top, how many meters is {a}?",
            "What is the height of {a} from its lowest to its highest point, in meters?",
            "How high is {a}, measured in meters from its bottom to its top?",
            "Give the height of {a} in the real world, in meters.",
            "How many meters tall is {a}?",
        ),
        definition="The height of A's box from bottom to top.",
        truth=_height,
        tolerance=WITHIN_25_PERCENT,
        claims=("{a} is more than {v} tall in reality", "the real height of {a} is more than {v}"),
        thresholds=(1.0, 1.3, 2.1, 2.6, 3.5, 4.2),
    ),
    QuestionType(
        name="width",
        family="object",
        answer_type="distance",
        roles=1,
        wordings=(
            "How wide is {a} in reality, from its left side to its right side, in meters?",
            "What is the real width of {a}, measured across its own heading, in meters?",
            "How many meters does {a} measure from its left side to its right side?",
            "From side to side across the way it faces, how many meters is {a}?",
            "What is the width of {a} in meters, from its left to its right?",
            "How broad is {a}, measured in meters across its own heading?",
            "Give the width of {a} in the real world, from its left side to its right side, in meters.",
            "How many meters wide is {a}, seen along the way it faces?",
        ),
        definition="The width of A's box across its own heading.",
        truth=_width,
        tolerance=WITHIN_25_PERCENT,
        claims=(
            "{a} is more than {v} wide in reality, from its left side to its right side",
            "the real width of {a} across its own heading is more than {v}",
        ),
        thresholds=(0.4, 1.2, 1.5, 2.2, 3.0),
    ),
    QuestionType(
        name="length",
        family="object",
        answer_type="distance",
        roles=1,
        wordings=(
            "How long is {a} in reality, from its front to its back, in meters?",
            "What is the real length of {a}, measured along its own heading, in meters?",
            "How many meters does {a} measure from its front to its back?",
            "From front to back along the way it faces, how many meters is {a}?",
            "What is the length of {a} in meters, from its front end to its rear end?",
            "How much ground does {a} cover from its front to its back, in meters?",
            "Give the length of {a} in the real world, from front to back, in meters.",
            "How many meters long is {a} along its own heading?",
        ),
        definition="The length of A's box along its own heading.",
        truth=_length,
        tolerance=WITHIN_25_PERCENT,
        claims=(
            "{a} is more than {v} long in reality, from its front to its back",
            "the real length of {a} along its own heading is more than {v}",
        ),
        thresholds=(0.4, 1.2, 3.0, 6.0, 9.0, 14.0),
    ),
    QuestionType(
        name="pair_heading",
        family="object",
        answer_type="choice",
        roles=2,
        wordings=(
            f"Do {{a}} and {{b}} face {HEADING_WORDS}?",
            f"How do the headings of {{a}} and {{b}} compare: do they point {HEADING_WORDS}?",
            "Are {a} and {b} turned across each other, the same way, or opposite ways? Same and opposite mean to "
            "within 45 degrees.",
            "Compare where {a} and {b} are facing: opposite ways, the same way, or across each other, the first two "
            "to within 45 degrees?",
            "Which describes the directions that {a} and {b} face? Within 45 degrees of equal is the same way, within "
            "45 degrees of reversed is opposite ways, and all else is across each other.",
            "Does {b} face the same way as {a}, the opposite way, or across it, if the same and the opposite way "
            "allow for 45 degrees?",
            f"Looking at where their fronts point, do {{b}} and {{a}} face {HEADING_WORDS}?",
            "If less than 45 degrees between two headings is the same way, more than 135 is opposite ways, and the "
            "rest is across each other, how do {a} and {b} face?",
        ),
        definition=(
            f"By the angle between the headings of A and B: the same way below {SAME_BELOW_DEG:g} degrees, opposite "
            f"ways above {OPPOSITE_ABOVE_DEG:g}, across each other from {ACROSS_FROM_DEG:g} to {ACROSS_TO_DEG:g}. Not "
            "asked in between."
        ),
        truth=_pair_heading,
        tolerance=EXACT,
        choices=("the same way", "opposite ways", "across each other"),
        claims=(
            "{a} and {b} face the same way to within 45 degrees",
            "{a} and {b} face opposite ways to within 45 degrees",
            "{a} and {b} face across each other, with 45 to 135 degrees between their headings",
        ),
    ),
    QuestionType(
        name="relative_heading",
        family="object",
        answer_type="turn",
        roles=2,
        wordings=(
            "By how many degrees is the heading of {b} turned from the heading of {a}, positive to the left and "
            "negative to the right?",
            "If {a} were to face the same way as {b}, by how many degrees would it turn, positive to the left and "
            "negative to the right, the shorter way around?",
            "What is the angle from the heading of {a} to the heading of {b}, in degrees, positive to the left?",
            "Compared with where {a} points, by how many degrees is {b} turned, counted positive to the left and from "
            "-180 to 180?",
            "Take the heading of {a} as 0 degrees and count positive to its left. Where does {b} point, in degrees?",
            "How far is the direction {b} faces turned from the direction {a} faces, in degrees, with left positive "
            "and right negative?",
            "In degrees from -180 to 180, with positive to the left, what is the heading of {b} relative to that of "
            "{a}?",
            "From the way {a} faces to the way {b} faces, how many degrees is the turn, positive if it is to the left?",
        ),
        definition=(
            "How far the heading of B is turned from the heading of A: left positive, from -180 to 180 degrees."
        ),
        truth=_relative_heading,
        tolerance=WITHIN_10_DEGREES,
    ),
    QuestionType(
        name="category",
        family="object",
        answer_type="choice",
        roles=1,
        wordings=(
            "What kind of road user is {a}?",
            "Which kind of object is {a}?",
            "What is {a}?",
            "To which class of traffic does {a} belong?",
            "Which of these words describes {a} best?",
            "What sort of vehicle or person is marked as {a}?",
            "How would you classify {a}?",
            "What is shown in {a}?",
            "Name the kind of object marked as {a}.",
        ),
        definition=(f"The category of A, one of {len(NAMED)} kinds of road users. Not asked about animals."),
        truth=_category,
        tolerance=EXACT,
        choices=NOUNS,
        claims=tuple(f"{{a}} is {article(noun)}" for noun in NOUNS),
    ),
    QuestionType(
        name="same_category",
        family="object",
        answer_type="bool",
        roles=2,
        wordings=(
            "Are {a} and {b} the same kind of object, such as two cars or two pedestrians? Answer yes or no.",
            "Yes or no: do {a} and {b} belong to the same class of road user, such as car, truck, bus, bicycle, or "
            "pedestrian?",
            "Do {a} and {b} show the same kind of vehicle or person? A car and a truck are different kinds. Answer no "
            "or yes.",
            "Is {b} the same kind of road user as {a}, yes or no, where car, truck, and bus are different kinds?",
            "Would you call {a} and {b} by the same name, such as car, truck, bus, motorcycle, or pedestrian? Answer "
            "yes or no.",
            "Are both {a} and {b} of one kind, for example both cars or both bicycles, yes or no?",
            "Tell me with yes or no whether {b} and {a} are the same kind of object, with cars, trucks, and buses "
            "told apart.",
            "Is it one and the same kind of road user that {a} and {b} show, with cars and trucks told apart? Answer "
            "no or yes.",
        ),
        definition=("Yes if A and B are of the same category. A car, a truck, and a bus are of different categories."),
        truth=_same_category,
        tolerance=EXACT,
    ),
)
