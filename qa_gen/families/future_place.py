"""Where a marked agent is now and will be: distance, bearing and position in 0, 1, 2 and 3 seconds.

A place in the future is told from where the ego will be then, in the ego frame at that time; `position_now` alone is told from
where the ego is now.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from qa_gen.asked import Asked
from qa_gen.config import HORIZONS_S
from qa_gen.families.horizon import ONLY_SEQUENCE, at_horizon
from qa_gen.question_type import EXACT, WITHIN_10_DEGREES, WITHIN_25_PERCENT, QuestionType, Truth
from qa_gen.relations.margins import first_that_holds

KEEPS_DISTANCE_M = 0.4
"""A distance that changes by less than this counts as kept."""
CHANGES_DISTANCE_M = 0.6
"""One that changes by this or more counts as closing or receding; in between it is not asked."""

WITHIN_25_PERCENT_OF_DISTANCE = f"{WITHIN_25_PERCENT} of the distance"
DISTANCES_M = (5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0)
BEARINGS_DEG = (-30.0, -15.0, -5.0, 0.0, 5.0, 15.0, 30.0)

LOCALIZATION_NOW = (
    "Where is {a} now: how far from me to its center in meters, and at what bearing {bearing}?",
    "Give the present distance from me to the center of {a} in meters and its bearing {bearing}.",
    "How many meters away is the center of {a} now, and what is its bearing {bearing}?",
    "At what distance in meters and at what bearing, {bearing}, is the center of {a} now?",
    "Locate {a} now by the distance to its center in meters and its bearing {bearing}.",
    "State how far away the center of {a} is from me now, in meters, and its bearing {bearing}.",
    "What are the distance to the center of {a}, in meters, and its bearing, {bearing}, right now?",
    "Tell me the distance in meters and the bearing, {bearing}, of the center of {a} as I see it now.",
)
LOCALIZATION_LATER = (
    "In {t}, how far from me will the center of {a} be in meters, and at what bearing {bearing}? "
    "Measure from where I will be then, facing as I will then.",
    "Where will {a} be in {t}, seen from where I will be then and facing as I will then: how far to its center in "
    "meters, and at what bearing {bearing}?",
    "Give the distance to the center of {a} in meters and its bearing {bearing}, in {t}, as seen from my position and "
    "direction at that time.",
    "Looking {t} ahead, from my position and direction then, how many meters away will the center of {a} be, and what "
    "will its bearing be {bearing}?",
    "Locate the center of {a} in {t}: its distance in meters and its bearing {bearing}, from where I will be then, "
    "facing as I will then.",
    "At what distance in meters and at what bearing, {bearing}, will the center of {a} be from me in {t}, given my "
    "place and direction at that time?",
    "Predict where {a} will be in {t}: the distance from me to its center in meters and its bearing {bearing}, both "
    "as seen from my place and direction then.",
    "State how far from me the center of {a} will be in {t}, in meters, and its bearing {bearing}, taking my own "
    "position and direction at that moment.",
)
DISTANCE_NOW = (
    "How many meters is the center of {a} away from me now?",
    "What is the present distance from me to the center of {a}, in meters?",
    "How far from me is the center of {a} now, in meters?",
    "Give the distance in meters between me and the center of {a} at this moment.",
    "At what distance in meters is the center of {a} from me right now?",
    "State, in meters, how far away the center of {a} is from me now.",
    "Tell me the current distance from my car to the center of {a} in meters.",
    "What distance in meters lies between me and the center of {a} now?",
)
DISTANCE_LATER = (
    "How many meters from me will the center of {a} be in {t}, measured from where I will be then?",
    "In {t}, what will the distance be from me to the center of {a}, in meters, measured from where I will be then?",
    "How far away, in meters, will the center of {a} be in {t} from where I will be at that time?",
    "Give the distance in meters that there will be between me and the center of {a} in {t}, both of us having moved "
    "by then.",
    "At what distance in meters will the center of {a} be from me in {t}, counted from my position at that time?",
    "Predict the distance in meters from my position in {t} to the center of {a} at that same time.",
    "Looking {t} ahead, how many meters will lie between me, where I will be then, and the center of {a}?",
    "State, in meters, how far from me the center of {a} will be in {t}, taking my own position at that moment.",
)
DISTANCE_CLAIMS_NOW = (
    "the center of {a} is more than {v} away from me now",
    "there are more than {v} between me and the center of {a} now",
)
DISTANCE_CLAIMS_LATER = (
    "the center of {a} will be more than {v} away in {t}, measured from where I will be then",
    "there will be more than {v} between me and the center of {a} in {t}, both of us having moved by then",
)
BEARING_NOW = (
    "What is the bearing of the center of {a} now, {bearing}?",
    "At what bearing, {bearing}, is the center of {a} now?",
    "Give the present bearing of the center of {a} {bearing}.",
    "State the bearing, {bearing}, at which I see the center of {a} now.",
    "In what direction from me is the center of {a} now? Answer with its bearing {bearing}.",
    "Tell me the current bearing of the center of {a}, measured {bearing}.",
    "By what angle from straight ahead is the center of {a} off to the side now, {bearing}?",
    "Which bearing, {bearing}, does the center of {a} have from me at this moment?",
)
BEARING_LATER = (
    "What will the bearing of the center of {a} be in {t}, {bearing}, from where I will be then and facing as I will "
    "then?",
    "In {t}, at what bearing, {bearing}, will the center of {a} be, as seen from my position and direction at that "
    "time?",
    "For the center of {a} in {t}, give its bearing {bearing}, from where I will be then, facing as I will then.",
    "Predict the bearing, {bearing}, that the center of {a} will have from me in {t}, given my place and direction "
    "then.",
    "In what direction from me will the center of {a} be in {t}? Answer with its bearing {bearing}, "
    "taking my position and direction at that time.",
    "Looking {t} ahead, what bearing, {bearing}, will the center of {a} have from my place and direction at that "
    "moment?",
    "State the bearing, {bearing}, that the center of {a} will have in {t}, seen from where I will be then, facing as I "
    "will then.",
    "By what angle from my straight ahead at that time will the center of {a} be off to the side in {t}, {bearing}, "
    "seen from where I will be then?",
)
BEARING_CLAIMS_NOW = (
    "the bearing of the center of {a} now, 0 straight ahead and positive to the left, is greater than {v}",
)
BEARING_CLAIMS_LATER = (
    "the bearing of the center of {a} in {t}, 0 straight ahead and positive to the left, from where I will be then "
    "and facing as I will then, will be greater than {v}",
)
POSITION_NOW = (
    "Where is the center of {a} now? Answer with x meters ahead and y meters to the left of me.",
    "Give the present position of the center of {a} as x meters ahead of me and y meters to my left.",
    "What are x, in meters ahead of me, and y, in meters to my left, of the center of {a} now?",
    "State how many meters ahead of me (x) and how many meters to my left (y) the center of {a} is now.",
    "At what position, x meters ahead and y meters to the left of me, is the center of {a} right now?",
    "Locate the center of {a} now by its x, meters ahead of me, and its y, meters to my left.",
    "Tell me the current x (meters ahead of me) and y (meters to my left) of the center of {a}.",
    "How far ahead of me, x in meters, and how far to my left, y in meters, is the center of {a} at this moment?",
)
POSITION_THEN = (
    "Where will the center of {a} be in {t}? Answer with x meters ahead and y meters to the left, from where I will "
    "be then, facing as I will then.",
    "Give the position of the center of {a} in {t} as x meters ahead of me and y meters to my left, as seen from my "
    "position and direction at that time.",
    "In {t}, what will be x, in meters ahead, and y, in meters to the left, of the center of {a}, measured from where "
    "I will be then and facing as I will then?",
    "Predict how many meters ahead of me (x) and how many meters to my left (y) the center of {a} will be in {t}, "
    "taking my own place and direction at that moment.",
    "At what position, x meters ahead and y meters to the left of where I will be then, facing as I will then, will "
    "the center of {a} be in {t}?",
    "Locate the center of {a} in {t} by x, meters ahead, and y, meters to the left, with respect to my position and "
    "direction at that time.",
    "Looking {t} ahead, how far ahead of me, x in meters, and how far to my left, y in meters, will the center of {a} "
    "be, from my place and direction then?",
    "State the x (meters ahead) and y (meters to the left) that the center of {a} will have in {t}, counted from "
    "where I will be then and the way I will face then.",
)
POSITION_FROM_NOW = (
    "Where will the center of {a} be in {t}? Answer with x meters ahead and y meters to the left, from where I am now, "
    "facing as I do now.",
    "Give the position that the center of {a} will have in {t} as x meters ahead and y meters to the left of where I "
    "am now, in my present direction.",
    "In {t}, what will be x, in meters ahead, and y, in meters to the left, of the center of {a}, measured from where "
    "I am now and facing as I do now?",
    "Predict how many meters ahead (x) and how many meters to the left (y) of my present position the center of {a} "
    "will be in {t}, with my present direction as straight ahead.",
    "At what position, x meters ahead and y meters to the left of where I am now, facing as I do now, will the center "
    "of {a} be in {t}?",
    "Locate the center of {a} in {t} by x, meters ahead, and y, meters to the left, with respect to my position and "
    "direction now.",
    "Looking {t} ahead, how far ahead, x in meters, and how far to the left, y in meters, of my present place and "
    "direction will the center of {a} be?",
    "State the x (meters ahead) and y (meters to the left) that the center of {a} will have in {t}, counted from "
    "where I am now and the way I face now.",
)
APPROACH = (
    "Over the next {span}, is {a} closing, receding, or keeping its distance from me to within half a meter?",
    "In the coming {span}, will {a} be receding from me, closing, or keeping its distance, changing it by less than "
    "half a meter?",
    "Is {a} keeping its distance from me over the next {span} (a change below half a meter), closing, or receding?",
    "How will the distance between me and {a} change over the next {span}: closing, receding, or keeping its distance "
    "to within half a meter?",
    "Compare the distance between {a} and me in {t} with the distance now: is {a} closing, receding, or keeping its "
    "distance, which means a change of less than half a meter?",
    "With both of us moving on for {t}, will {a} be closing, receding, or keeping its distance from me "
    "to within half a meter?",
    "Will {a} come nearer to me (closing), get farther away (receding), or stay as far to within half a meter "
    "(keeping its distance) over the next {span}?",
    "What will {a} be doing with respect to me over the next {span}: receding, closing, or keeping its distance with "
    "a change below half a meter?",
)
APPROACH_CLAIMS = (
    "{a} will come closer to me by more than half a meter over the next {span}",
    "{a} will get farther away from me by more than half a meter over the next {span}",
    "the distance between {a} and me will stay the same to within half a meter over the next {span}",
)


def _localization(horizon_s: float) -> Callable[[Asked], Truth]:
    def truth(asked: Asked) -> Truth:
        agent = asked.then(horizon_s)
        return {"distance_m": agent.distance_m, "bearing_deg": agent.bearing_deg}

    return truth


def _distance(horizon_s: float) -> Callable[[Asked], Truth]:
    return lambda asked: {"distance_m": asked.then(horizon_s).distance_m}


def _bearing(horizon_s: float) -> Callable[[Asked], Truth]:
    return lambda asked: {"bearing_deg": asked.then(horizon_s).bearing_deg}


def _position(horizon_s: float) -> Callable[[Asked], Truth]:
    return lambda asked: {"x_m": asked.then(horizon_s).x_m, "y_m": asked.then(horizon_s).y_m}


def _position_from_now(horizon_s: float) -> Callable[[Asked], Truth]:
    def truth(asked: Asked) -> Truth:
        place_m = asked.now_frame_xyz_m(horizon_s)
        return {"x_m": place_m[:, 0], "y_m": place_m[:, 1]}

    return truth


def _approach(horizon_s: float) -> Callable[[Asked], Truth]:
    def truth(asked: Asked) -> Truth:
        change_m = asked.then(horizon_s).distance_m - asked.now().distance_m
        closes, recedes = change_m <= -CHANGES_DISTANCE_M, change_m >= CHANGES_DISTANCE_M
        return {"choice": first_that_holds(closes, recedes, np.abs(change_m) < KEEPS_DISTANCE_M)}

    return truth


def _localization_type(horizon_s: int) -> QuestionType:
    return QuestionType(
        name=f"localization_t{horizon_s}",
        family="future",
        answer_type="localization",
        roles=1,
        wordings=at_horizon(LOCALIZATION_LATER if horizon_s else LOCALIZATION_NOW, horizon_s),
        definition=(
            "The ground distance and the bearing of A's center at the horizon, from where I am at that time and "
            "facing as I do then."
        ),
        truth=_localization(float(horizon_s)),
        tolerance=f"{WITHIN_25_PERCENT} and {WITHIN_10_DEGREES}",
        horizon_s=float(horizon_s),
        version=2,
    )


def _distance_type(horizon_s: int) -> QuestionType:
    return QuestionType(
        name=f"distance_t{horizon_s}",
        family="future",
        answer_type="distance",
        roles=1,
        wordings=at_horizon(DISTANCE_LATER if horizon_s else DISTANCE_NOW, horizon_s),
        definition=(
            "The ground distance from the ego origin to A's center at the horizon, both where they are at that time."
        ),
        truth=_distance(float(horizon_s)),
        tolerance=WITHIN_25_PERCENT,
        claims=at_horizon(DISTANCE_CLAIMS_LATER if horizon_s else DISTANCE_CLAIMS_NOW, horizon_s),
        thresholds=DISTANCES_M,
        kinds=ONLY_SEQUENCE if horizon_s else (),
        horizon_s=float(horizon_s),
    )


def _bearing_type(horizon_s: int) -> QuestionType:
    return QuestionType(
        name=f"bearing_t{horizon_s}",
        family="future",
        answer_type="bearing",
        roles=1,
        wordings=at_horizon(BEARING_LATER if horizon_s else BEARING_NOW, horizon_s),
        definition=(
            "The bearing of A's center at the horizon, from where I am at that time and relative to my heading then."
        ),
        truth=_bearing(float(horizon_s)),
        tolerance=WITHIN_10_DEGREES,
        claims=at_horizon(BEARING_CLAIMS_LATER if horizon_s else BEARING_CLAIMS_NOW, horizon_s),
        thresholds=BEARINGS_DEG,
        kinds=ONLY_SEQUENCE if horizon_s else (),
        horizon_s=float(horizon_s),
    )


def _position_type(horizon_s: int) -> QuestionType:
    return QuestionType(
        name=f"position_then_t{horizon_s}" if horizon_s else "position_t0",
        family="future",
        answer_type="position",
        roles=1,
        wordings=at_horizon(POSITION_THEN if horizon_s else POSITION_NOW, horizon_s),
        definition=("A's center at the horizon in the ego frame of that time: x ahead, y to the left."),
        truth=_position(float(horizon_s)),
        tolerance=WITHIN_25_PERCENT_OF_DISTANCE,
        kinds=ONLY_SEQUENCE,
        horizon_s=float(horizon_s),
    )


def _position_from_now_type(horizon_s: int) -> QuestionType:
    return QuestionType(
        name=f"position_now_t{horizon_s}",
        family="future",
        answer_type="position",
        roles=1,
        wordings=at_horizon(POSITION_FROM_NOW, horizon_s),
        definition=(
            "A's center at the horizon in the ego frame of now, by way of the global frame: x ahead, y to the left of "
            "where I am now. Not asked without poses."
        ),
        truth=_position_from_now(float(horizon_s)),
        tolerance=WITHIN_25_PERCENT_OF_DISTANCE,
        kinds=ONLY_SEQUENCE,
        horizon_s=float(horizon_s),
    )


def _approach_type(horizon_s: int) -> QuestionType:
    return QuestionType(
        name=f"approach_t{horizon_s}",
        family="future",
        answer_type="choice",
        roles=1,
        wordings=at_horizon(APPROACH, horizon_s),
        definition=(
            "The ground distance to A's center at the horizon, from where I am then, against the distance now: "
            f"closing if it is smaller by {CHANGES_DISTANCE_M:g} m or more, receding if it is greater by as much, "
            f"keeping its distance if it differs by less than {KEEPS_DISTANCE_M:g} m. Not asked in between."
        ),
        truth=_approach(float(horizon_s)),
        tolerance=EXACT,
        choices=("closing", "receding", "keeping its distance"),
        claims=at_horizon(APPROACH_CLAIMS, horizon_s),
        kinds=ONLY_SEQUENCE,
        horizon_s=float(horizon_s),
    )


TYPES: tuple[QuestionType, ...] = (
    *map(_localization_type, HORIZONS_S),
    *map(_distance_type, HORIZONS_S),
    *map(_bearing_type, HORIZONS_S),
    *map(_position_type, HORIZONS_S),
    *map(_position_from_now_type, HORIZONS_S[1:]),
    *map(_approach_type, HORIZONS_S[1:]),
)
