"""Which way the ego and marked agents go over the next seconds: turns, the ego's own way, and manoeuvres."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from drive_vqa.geometry import wrap_deg
from qa_gen.asked import Asked
from qa_gen.config import HORIZONS_S
from qa_gen.families.future_speed import MOVES_MPS, STANDS_MPS
from qa_gen.families.horizon import ONLY_SEQUENCE, at_horizon
from qa_gen.question_type import EXACT, WITHIN_10_DEGREES, WITHIN_25_PERCENT, QuestionType, Truth
from qa_gen.relations.manoeuvres import MANOEUVRES, manoeuvre_codes
from qa_gen.relations.margins import first_that_holds

TURNS_DEG = 15.0
STRAIGHT_DEG = 7.0
TIMES_S = (0.0, 1.0, 2.0, 3.0)
LAST_HORIZON_S = 3

WAYS_M = (1.0, 3.0, 5.0, 10.0, 15.0, 20.0, 30.0)
TURN_CLAIMS_DEG = (-30.0, -10.0, -3.0, 3.0, 10.0, 30.0)

TURNING = (
    "Over the next {span}, is {a} turning left, turning right, going straight, or standing still? Turning: its "
    "heading changes by more than 15 degrees. Straight: by less than 7 degrees.",
    "In the coming {span}, will {a} be going straight (its heading kept to within 7 degrees), turning left or right "
    "(by more than 15 degrees), or standing still?",
    "Which way will {a} go over the next {span}: turning left or right by more than 15 degrees, going straight to "
    "within 7 degrees, or standing still?",
    "Compare the heading of {a} over the ground in {t} with its heading now: is it turning right or left by more than "
    "15 degrees, going straight to within 7 degrees, or standing still?",
    "Looking {t} ahead, is {a} standing still, going straight (less than 7 degrees of turn), or turning left or right "
    "(more than 15 degrees)?",
    "Predict what {a} does over the next {span}: standing still, turning left, turning right (a turn counts from 15 "
    "degrees on), or going straight (less than 7 degrees).",
    "Will {a} turn left or right by more than 15 degrees over the next {span}, go straight to within 7 degrees, or "
    "stand still all that time?",
    "What is {a} going to do over the next {span}: going straight, where its heading changes by less than 7 degrees, "
    "turning left or right, where it changes by more than 15 degrees, or standing still?",
)
TURNING_CLAIMS = (
    "{a} will turn left by more than 15 degrees over the next {span}",
    "{a} will turn right by more than 15 degrees over the next {span}",
    "{a} will keep moving over the next {span} and turn by less than 7 degrees",
    "{a} will stand still over the next {span}",
)
EGO_TURNING = (
    "Over the next {span}, am I turning left, turning right, going straight, or standing still? Turning: my heading "
    "changes by more than 15 degrees. Straight: by less than 7 degrees.",
    "In the coming {span}, will I be going straight (my heading kept to within 7 degrees), turning left or right (by "
    "more than 15 degrees), or standing still?",
    "Which way will my car go over the next {span}: turning left or right by more than 15 degrees, going straight to "
    "within 7 degrees, or standing still?",
    "Compare my heading in {t} with my heading now: am I turning right or left by more than 15 degrees, going "
    "straight to within 7 degrees, or standing still?",
    "Looking {t} ahead, am I standing still, going straight (less than 7 degrees of turn), or turning left or right "
    "(more than 15 degrees)?",
    "Predict what my car does over the next {span}: standing still, turning left, turning right (a turn counts from "
    "15 degrees on), or going straight (less than 7 degrees).",
    "Will I turn left or right by more than 15 degrees over the next {span}, go straight to within 7 degrees, or "
    "stand still all that time?",
    "What am I going to do over the next {span}: going straight, where my heading changes by less than 7 degrees, "
    "turning left or right, where it changes by more than 15 degrees, or standing still?",
)
EGO_TURNING_CLAIMS = (
    "I will turn left by more than 15 degrees over the next {span}",
    "I will turn right by more than 15 degrees over the next {span}",
    "I will keep moving over the next {span} and turn by less than 7 degrees",
    "I will stand still over the next {span}",
)
EGO_TURN = (
    "By how many degrees will my heading turn over the next {span}, positive to the left?",
    "How far will my car have turned in {t}, in degrees, positive to the left?",
    "By how many degrees will my heading have changed {t} from now, positive to the left?",
    "Give the angle in degrees, positive to the left, by which I will turn over the next {span}.",
    "In {t}, what will the angle be between my heading then and my heading now, in degrees, positive if I have turned "
    "to the left?",
    "Predict how many degrees my car will turn within the next {span}, positive to the left and negative to the right.",
    "Looking {t} ahead, by what angle will my direction differ from my present one, in degrees, positive to the left?",
    "State the turn of my car over the coming {span} in degrees, positive to the left.",
)
EGO_TURN_CLAIMS = ("the turn of my car over the next {span}, positive to the left, will be greater than {v}",)
EGO_DISPLACEMENT = (
    "How many meters from my present position will I be in {t}, in a straight line?",
    "How far, in a straight line, will I get from where I am now over the next {span}, in meters?",
    "What will be the straight distance in meters between where I am now and where I will be in {t}?",
    "Give the distance in meters, in a straight line, that I will be away from my present place in {t}.",
    "In {t}, how many meters will lie in a straight line between my car and the place where it is now?",
    "Predict the straight distance in meters from my present position to my position in {t}.",
    "Looking {t} ahead, how far will my car be from where it is now, in meters in a straight line?",
    "State how many meters my car will have moved away from its present place in {t}, in a straight line.",
)
EGO_DISPLACEMENT_CLAIMS = (
    "I will be more than {v} away from my present position in {t}, in a straight line",
    "in {t}, my car will be more than {v} in a straight line from where it is now",
)
EGO_MOTION = (
    "How many meters from my present position will I be in {t}, in a straight line, and by how many degrees will my "
    "heading have turned, positive to the left?",
    "How far, in a straight line, will I get over the next {span} in meters, and by what angle will I turn, in "
    "degrees, positive to the left?",
    "Give the straight distance in meters between where I am now and where I will be in {t}, and the turn of my "
    "heading in degrees, positive to the left.",
    "Predict my own motion over the next {span}: the straight distance from my present place in meters and the change "
    "of my heading in degrees, positive to the left.",
    "In {t}, how far will my car be from where it is now, in meters in a straight line, and how far will it have "
    "turned, in degrees, positive to the left?",
    "Looking {t} ahead, what will be the straight distance in meters to my present position and the angle in degrees, "
    "positive to the left, between my heading then and now?",
    "State how many meters my car will have moved away from its present place in {t}, in a straight line, and by how "
    "many degrees it will have turned, positive to the left.",
    "What will my car do within the next {span}: how many meters will it move, in a straight line from start to end, "
    "and how many degrees will it turn, positive to the left?",
)
ASKED_MANOEUVRES = tuple(name for name in MANOEUVRES if name != "overtaking me")
"""What comes from behind is in no front image and so has no mark."""
LEGEND = (
    "The first of these that fits counts. Oncoming pass: it comes toward me and past me. Being overtaken by me: it goes my "
    "way and falls from ahead of me to behind me. Cutting in: it goes my way and shifts sideways into the strip straight "
    "ahead of me. Crossing: it heads across my direction on a path that meets mine. Changing lane: it goes my way and "
    "shifts sideways by about one lane. Diverging at a junction: it goes my way now and turns away from my heading by more "
    "than 30 degrees. Pulling away: it goes my way and gets more than 4 meters farther from me. Keeping station: it goes my "
    "way and keeps its place ahead of me to within 2 meters."
)
MANOEUVRE = tuple(
    f"{question} {LEGEND}"
    for question in (
        "Which maneuver will {a} carry out with respect to me over the next {span}?",
        "What is {a} going to do with respect to my car over the next {span}?",
        "Name the maneuver of {a}, as seen from my car, over the coming {span}.",
        "How will {a} move in relation to me over the next {span}?",
        "Looking {t} ahead, which maneuver describes what {a} does with respect to me?",
        "Predict the maneuver of {a} over the next {span}, with respect to my car.",
        "Within the next {span}, which maneuver will {a} be making, as seen from me?",
        "What maneuver will I see {a} make over the coming {span}?",
    )
)
MANOEUVRE_CLAIMS = tuple(
    f"the maneuver of {{a}} over the next {{t}} is best called {words}"
    for words in (
        "an oncoming pass (it comes toward me and past me)",
        "being overtaken by me (we go the same way, and it falls from ahead of me to behind me)",
        "cutting in (it goes my way and shifts sideways into the strip straight ahead of me)",
        "crossing (it heads across my direction on a path that meets mine)",
        "changing lane (it goes my way and shifts sideways by about one lane, but does not cut in)",
        "diverging at a junction (it goes my way now and turns away from my heading by more than 30 degrees)",
        "pulling away (it goes my way, gets more than 4 meters farther from me, and does nothing else of note)",
        "keeping station (it goes my way, keeps its place ahead of me to within 2 meters, and does nothing else of note)",
    )
)


def _way(turn_deg: np.ndarray, speeds_mps: np.ndarray) -> np.ndarray:
    """0 left, 1 right, 2 straight, 3 standing still; -1 not clear. Speeds at 0, 1, 2 and 3 s, (n 4)."""
    moves = (speeds_mps[:, 0] > MOVES_MPS) & (speeds_mps[:, 3] > MOVES_MPS) & np.isfinite(speeds_mps).all(axis=1)
    stands = (speeds_mps < STANDS_MPS).all(axis=1)
    left, right, straight = turn_deg > TURNS_DEG, turn_deg < -TURNS_DEG, np.abs(turn_deg) < STRAIGHT_DEG
    return first_that_holds(moves & left, moves & right, moves & straight, stands)


def _turning(asked: Asked) -> Truth:
    agents = [asked.then(time_s) for time_s in TIMES_S]
    turn_deg = np.degrees(agents[-1].yaw_rad - agents[0].yaw_rad) + asked.ego_turn_deg(TIMES_S[-1])
    return {"choice": _way(np.asarray(wrap_deg(turn_deg)), np.stack([agent.speed_mps for agent in agents], axis=1))}


def _ego_turning(asked: Asked) -> Truth:
    speeds_mps = np.stack([asked.ego_speed_mps(time_s) for time_s in TIMES_S], axis=1)
    return {"choice": _way(asked.ego_turn_deg(TIMES_S[-1]), speeds_mps)}


def _ego_turn(horizon_s: float) -> Callable[[Asked], Truth]:
    return lambda asked: {"yaw_deg": asked.ego_turn_deg(horizon_s)}


def _ego_displacement(horizon_s: float) -> Callable[[Asked], Truth]:
    return lambda asked: {"distance_m": np.hypot(*asked.now_xyz_then_m(horizon_s)[:, :2].T)}


def _ego_motion(horizon_s: float) -> Callable[[Asked], Truth]:
    return lambda asked: {**_ego_displacement(horizon_s)(asked), **_ego_turn(horizon_s)(asked)}


def _manoeuvre(asked: Asked) -> Truth:
    choice_of = np.array(
        [*(ASKED_MANOEUVRES.index(name) if name in ASKED_MANOEUVRES else -1 for name in MANOEUVRES), -1]
    )
    return {"choice": choice_of[manoeuvre_codes(asked)]}


def _ego_turn_type(horizon_s: int) -> QuestionType:
    return QuestionType(
        name=f"ego_turn_t{horizon_s}",
        family="future",
        answer_type="turn",
        roles=0,
        wordings=at_horizon(EGO_TURN, horizon_s),
        definition=(
            "How far my heading at the horizon is turned from my heading now, left positive. Not asked without poses."
        ),
        truth=_ego_turn(float(horizon_s)),
        tolerance=WITHIN_10_DEGREES,
        claims=at_horizon(EGO_TURN_CLAIMS, horizon_s),
        thresholds=TURN_CLAIMS_DEG,
        kinds=ONLY_SEQUENCE,
        horizon_s=float(horizon_s),
    )


def _ego_displacement_type(horizon_s: int) -> QuestionType:
    return QuestionType(
        name=f"ego_displacement_t{horizon_s}",
        family="future",
        answer_type="distance",
        roles=0,
        wordings=at_horizon(EGO_DISPLACEMENT, horizon_s),
        definition=(
            "The straight ground distance from the ego origin now to the ego origin at the horizon. Not asked without "
            "poses."
        ),
        truth=_ego_displacement(float(horizon_s)),
        tolerance=WITHIN_25_PERCENT,
        claims=at_horizon(EGO_DISPLACEMENT_CLAIMS, horizon_s),
        thresholds=WAYS_M,
        kinds=ONLY_SEQUENCE,
        horizon_s=float(horizon_s),
    )


TURNING_TYPE = QuestionType(
    name=f"turning_t{LAST_HORIZON_S}",
    family="future",
    answer_type="choice",
    roles=1,
    wordings=at_horizon(TURNING, LAST_HORIZON_S),
    definition=(
        f"By the change of A's heading over the ground from now to {LAST_HORIZON_S} s: turning left above "
        f"{TURNS_DEG:g} degrees, turning right below -{TURNS_DEG:g}, going straight within {STRAIGHT_DEG:g}, each only "
        f"if A is faster than {MOVES_MPS:g} m/s both now and then. Standing still if it is slower than {STANDS_MPS:g} "
        "m/s now and at 1, 2, and 3 s. Else not asked, nor where a speed at these times is unknown."
    ),
    truth=_turning,
    tolerance=EXACT,
    choices=("turning left", "turning right", "going straight", "standing still"),
    claims=at_horizon(TURNING_CLAIMS, LAST_HORIZON_S),
    kinds=ONLY_SEQUENCE,
    horizon_s=float(LAST_HORIZON_S),
)
EGO_TURNING_TYPE = QuestionType(
    name=f"ego_turning_t{LAST_HORIZON_S}",
    family="future",
    answer_type="choice",
    roles=0,
    wordings=at_horizon(EGO_TURNING, LAST_HORIZON_S),
    definition=(
        f"By the change of my heading from now to {LAST_HORIZON_S} s: turning left above {TURNS_DEG:g} degrees, "
        f"turning right below -{TURNS_DEG:g}, going straight within {STRAIGHT_DEG:g}, each only if I am faster than "
        f"{MOVES_MPS:g} m/s both now and then. Standing still if I am slower than {STANDS_MPS:g} m/s now and at 1, 2, "
        "and 3 s. Else not asked, nor where a speed at these times is unknown."
    ),
    truth=_ego_turning,
    tolerance=EXACT,
    choices=("turning left", "turning right", "going straight", "standing still"),
    claims=at_horizon(EGO_TURNING_CLAIMS, LAST_HORIZON_S),
    kinds=ONLY_SEQUENCE,
    horizon_s=float(LAST_HORIZON_S),
)
EGO_MOTION_TYPE = QuestionType(
    name=f"ego_motion_t{LAST_HORIZON_S}",
    family="future",
    answer_type="motion",
    roles=0,
    wordings=at_horizon(EGO_MOTION, LAST_HORIZON_S),
    definition=(
        "The straight ground distance from the ego origin now to the ego origin at the horizon, and how far my "
        "heading is turned until then, left positive. Not asked without poses."
    ),
    truth=_ego_motion(float(LAST_HORIZON_S)),
    tolerance=f"{WITHIN_25_PERCENT} and {WITHIN_10_DEGREES}",
    kinds=ONLY_SEQUENCE,
    horizon_s=float(LAST_HORIZON_S),
)
MANOEUVRE_TYPE = QuestionType(
    name="manoeuvre",
    family="future",
    answer_type="choice",
    roles=1,
    wordings=at_horizon(MANOEUVRE, LAST_HORIZON_S),
    definition=(
        f"What A does with respect to me from now to {LAST_HORIZON_S} s: the first that fits of the list under "
        f"Maneuvers. Not asked where none fits, where A is not faster than {MOVES_MPS:g} m/s now, or for overtaking me "
        "(what comes from behind is in no front image)."
    ),
    truth=_manoeuvre,
    tolerance=EXACT,
    choices=ASKED_MANOEUVRES,
    claims=at_horizon(MANOEUVRE_CLAIMS, LAST_HORIZON_S),
    kinds=ONLY_SEQUENCE,
    horizon_s=float(LAST_HORIZON_S),
)

TYPES: tuple[QuestionType, ...] = (
    TURNING_TYPE,
    EGO_TURNING_TYPE,
    *map(_ego_turn_type, HORIZONS_S[1:]),
    *map(_ego_displacement_type, HORIZONS_S[1:]),
    EGO_MOTION_TYPE,
    MANOEUVRE_TYPE,
)
