"""How fast the ego and marked agents are now and will be, and whether they speed up, slow down, stand or are parked."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from drive_vqa.categories import CATEGORIES
from qa_gen.asked import Asked
from qa_gen.config import HORIZONS_S
from qa_gen.drive import Drive
from qa_gen.families.horizon import ONLY_SEQUENCE, at_horizon
from qa_gen.question_type import EXACT, WITHIN_20_PERCENT, QuestionType, Truth
from qa_gen.relations.margins import first_that_holds, side

MOVES_MPS = 1.0
"""Faster than this an agent moves."""
STANDS_MPS = 0.3
"""Slower than this it stands; what is in between is not asked."""
PARKED_NS = 5_000_000_000
"""For at least so long an agent must have been tracked to be called parked."""
CHANGES_MPS = 1.0
KEEPS_MPS = 0.5
FASTER_MPS = 1.0
CHANGE_HORIZON_S = 2

SPEEDS_MPS = (0.5, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 15.0)
_VEHICLE = np.array([*(category.vehicle for category in CATEGORIES.values()), False])

EGO_SPEED_NOW = (
    "How fast am I driving now, in meters per second?",
    "What is my speed now, in meters per second?",
    "At how many meters per second am I moving now?",
    "Give my present speed in meters per second.",
    "What is the current speed of my car, in meters per second?",
    "State how fast my car is moving right now, in meters per second.",
    "Estimate my own speed at this moment in meters per second.",
    "Tell me the speed at which I am driving now in meters per second.",
)
EGO_SPEED_LATER = (
    "How fast will I be driving in {t}, in meters per second?",
    "What will my speed be in {t}, in meters per second?",
    "At how many meters per second will I be moving in {t}?",
    "Give the speed that I will have in {t}, in meters per second.",
    "What speed will my car have in {t}, in meters per second?",
    "Predict my own speed in {t}, in meters per second.",
    "Looking {t} ahead, how many meters per second will my car be doing?",
    "State how fast my car will be moving in {t}, in meters per second.",
)
EGO_SPEED_CLAIMS_NOW = ("I am driving faster than {v} now", "my speed now is more than {v}")
EGO_SPEED_CLAIMS_LATER = ("I will be driving faster than {v} in {t}", "my speed in {t} will be more than {v}")
TARGET_SPEED_NOW = (
    "How fast is {a} moving over the ground now, in meters per second?",
    "What is the speed of {a} over the ground now, in meters per second?",
    "At how many meters per second is {a} moving over the ground now?",
    "Give the present speed of {a} over the ground in meters per second.",
    "What is the current speed over the ground of {a}, in meters per second?",
    "State how fast {a} is moving over the ground at this moment, in meters per second.",
    "Estimate the speed of {a} over the ground right now in meters per second.",
    "Tell me how many meters per second {a} is covering over the ground now.",
)
TARGET_SPEED_LATER = (
    "How fast will {a} be moving over the ground in {t}, in meters per second?",
    "What will the speed of {a} over the ground be in {t}, in meters per second?",
    "At how many meters per second will {a} be moving over the ground in {t}?",
    "Give the speed over the ground that {a} will have in {t}, in meters per second.",
    "Predict the speed of {a} over the ground in {t}, in meters per second.",
    "Looking {t} ahead, how many meters per second will {a} be doing over the ground?",
    "State how fast {a} will be moving over the ground in {t}, in meters per second.",
    "What speed over the ground, in meters per second, will {a} have in {t}?",
)
TARGET_SPEED_CLAIMS_NOW = (
    "{a} is moving faster than {v} over the ground now",
    "the speed of {a} over the ground is more than {v} now",
)
TARGET_SPEED_CLAIMS_LATER = (
    "{a} will be moving faster than {v} over the ground in {t}",
    "the speed of {a} over the ground will be more than {v} in {t}",
)
RELATIVE_SPEED_NOW = (
    "How fast is {a} moving relative to me now, in meters per second, whatever the direction?",
    "What is the speed of {a} relative to my car now, in meters per second, regardless of direction?",
    "Give the present magnitude of the difference between the velocity vectors of {a} and my car, in meters per "
    "second.",
    "As seen from my moving car, how many meters per second is {a} moving now, whatever the direction?",
    "How large is the velocity of {a} relative to mine at this moment, in meters per second?",
    "State the current relative speed between {a} and me in meters per second, 0 if we move exactly alike.",
    "Taking my moving car as the fixed point, how fast is {a} moving now, in meters per second?",
    "Tell me the relative speed of {a} and my car right now in meters per second, 0 if both move the same way at the "
    "same speed.",
)
RELATIVE_SPEED_LATER = (
    "How fast will {a} be moving relative to me in {t}, in meters per second, whatever the direction?",
    "What will the speed of {a} relative to my car be in {t}, in meters per second, regardless of direction?",
    "Give the magnitude that the difference between the velocity vectors of {a} and my car will have in {t}, in "
    "meters per second.",
    "As seen from my moving car, how many meters per second will {a} be moving in {t}, whatever the direction?",
    "How large will the velocity of {a} relative to mine be in {t}, in meters per second?",
    "State the relative speed that {a} and I will have in {t}, in meters per second, 0 if we move exactly alike.",
    "Taking my moving car as the fixed point, how fast will {a} be moving in {t}, in meters per second?",
    "Predict the relative speed of {a} and my car in {t}, in meters per second, 0 if both move the same way at the "
    "same speed.",
)
RELATIVE_SPEED_CLAIMS_NOW = ("the speed of {a} relative to me, whatever the direction, is more than {v} now",)
RELATIVE_SPEED_CLAIMS_LATER = ("the speed of {a} relative to me, whatever the direction, will be more than {v} in {t}",)
MOTION_STATE = (
    "Is {a} moving, stopped, or parked now? Stopped: it stands but drives at another time of this recording. Parked: "
    "it stands throughout this recording.",
    "Is {a} now parked (it stands throughout this recording), stopped (it stands but drives at another time of it), "
    "or moving?",
    "What is the state of {a} now: moving (faster than 1 m/s), stopped (it stands now but drives earlier or later in "
    "this recording), or parked (it stands all through it)?",
    "Tell whether {a} is moving, only stopped (standing now, driving at another time of this recording), or parked "
    "(standing at all times of it).",
    "At this moment, is {a} stopped, parked, or moving, where parked means that it has not moved and will not move in "
    "this recording, and stopped that it stands only for a time?",
    "Does {a} move now, or does it stand? Answer moving, stopped (it stands but drives before or after this in the "
    "recording), or parked (it never drives in the recording).",
    "Choose what {a} is now: parked (it has stood and will stand for the whole recording), moving, or stopped (it "
    "stands, but not for the whole recording).",
    "How is {a} to be described now: as moving, as stopped, which is standing but driving at another time of this "
    "recording, or as parked, which is standing all the time of this recording?",
)
MOTION_STATE_CLAIMS = (
    "{a} is moving now, faster than 1 m/s",
    "{a} is stopped now, which means that it stands but drives at another time of this recording",
    "{a} is parked, which means that it stands throughout this recording",
)
SPEED_CHANGE = (
    "Over the next {span}, is {a} speeding up, slowing down, or keeping its speed? Up or down: by more than 1 m/s. "
    "Keeping: to within 0.5 m/s.",
    "In the coming {span}, will {a} be slowing down by more than 1 m/s, speeding up by more than 1 m/s, or keeping "
    "its speed to within 0.5 m/s?",
    "How will the speed of {a} change over the next {span}: speeding up or slowing down, by more than 1 m/s, or "
    "keeping its speed to within 0.5 m/s?",
    "Compare the speed of {a} in {t} with its speed now: is it keeping its speed to within 0.5 m/s, or speeding up or "
    "slowing down by more than 1 m/s?",
    "Will {a} be faster by more than 1 m/s in {t} (speeding up), slower by more than 1 m/s (slowing down), or the "
    "same to within 0.5 m/s (keeping its speed)?",
    "What is {a} going to do over the next {span}: keep its speed to within 0.5 m/s, or speed up or slow down by more "
    "than 1 m/s?",
    "Looking {t} ahead, is {a} slowing down, keeping its speed, or speeding up, where keeping means a change below "
    "0.5 m/s and the others one above 1 m/s?",
    "Predict what {a} does with its speed over the next {span}: speeding up by more than 1 m/s, keeping its speed to "
    "within 0.5 m/s, or slowing down by more than 1 m/s.",
)
SPEED_CHANGE_CLAIMS = (
    "{a} will be faster in {t} than now by more than 1 m/s",
    "{a} will be slower in {t} than now by more than 1 m/s",
    "the speed of {a} in {t} will be the same as now to within 0.5 m/s",
)
EGO_SPEED_CHANGE = (
    "Over the next {span}, am I speeding up, slowing down, or keeping my speed? Up or down: by more than 1 m/s. "
    "Keeping: to within 0.5 m/s.",
    "In the coming {span}, will I be slowing down by more than 1 m/s, speeding up by more than 1 m/s, or keeping my "
    "speed to within 0.5 m/s?",
    "How will my own speed change over the next {span}: speeding up or slowing down, by more than 1 m/s, or keeping "
    "my speed to within 0.5 m/s?",
    "Compare my speed in {t} with my speed now: am I keeping my speed to within 0.5 m/s, or speeding up or slowing "
    "down by more than 1 m/s?",
    "Will I be faster by more than 1 m/s in {t} (speeding up), slower by more than 1 m/s (slowing down), or the same "
    "to within 0.5 m/s (keeping my speed)?",
    "What is my car going to do over the next {span}: keep its speed to within 0.5 m/s, or speed up or slow down by "
    "more than 1 m/s?",
    "Looking {t} ahead, am I slowing down, keeping my speed, or speeding up, where keeping means a change below 0.5 "
    "m/s and the others one above 1 m/s?",
    "Predict what I do with my speed over the next {span}: speeding up by more than 1 m/s, keeping my speed to within "
    "0.5 m/s, or slowing down by more than 1 m/s.",
)
EGO_SPEED_CHANGE_CLAIMS = (
    "I will be faster in {t} than now by more than 1 m/s",
    "I will be slower in {t} than now by more than 1 m/s",
    "my speed in {t} will be the same as now to within 0.5 m/s",
)
FASTER = (
    "Which is moving faster over the ground now, {a} or {b}?",
    "Which of {a} and {b} has the higher speed over the ground at this moment?",
    "Of {a} and {b}, which one is the faster now, measured over the ground?",
    "Is it {a} or {b} that is moving at the greater speed over the ground now?",
    "Compare the present speeds over the ground of {a} and {b}: which is higher?",
    "Between {a} and {b}, which one is covering more ground per second now?",
    "Name the faster of the two now: {a} or {b}. Speeds are over the ground.",
    "Right now, does {a} or {b} have the greater speed over the ground?",
)
FASTER_CLAIMS = (
    "{a} is moving faster over the ground than {b} now",
    "{b} is moving faster over the ground than {a} now",
)


def _ego_speed(horizon_s: float) -> Callable[[Asked], Truth]:
    return lambda asked: {"speed_mps": asked.ego_speed_mps(horizon_s)}


def _target_speed(horizon_s: float) -> Callable[[Asked], Truth]:
    return lambda asked: {"speed_mps": asked.then(horizon_s).speed_mps}


def _relative_speed(horizon_s: float) -> Callable[[Asked], Truth]:
    def truth(asked: Asked) -> Truth:
        agent = asked.then(horizon_s)
        return {"speed_mps": np.hypot(agent.vx_mps - asked.ego_speed_mps(horizon_s), agent.vy_mps)}

    return truth


def _motion_state(asked: Asked) -> Truth:
    now, track = asked.now(), asked.tracks[:, 0]
    most_mps, tracked_ns = _whole_log(asked.drive)
    stands = now.speed_mps < STANDS_MPS
    parked = stands & (most_mps[track] < STANDS_MPS) & (tracked_ns[track] >= PARKED_NS)
    state = first_that_holds(now.speed_mps > MOVES_MPS, stands & (most_mps[track] > MOVES_MPS), parked)
    return {"choice": np.where(_VEHICLE[now.category], state, -1)}


def _whole_log(drive: Drive) -> tuple[np.ndarray, np.ndarray]:
    """Highest speed of each track in the log, NaN at the end, and nanoseconds from its first to its last row that has a speed."""
    speed_mps = drive.boxes["speed_mps"][:-1]
    known = np.isfinite(speed_mps)
    track, time_ns = drive.row_track[known], drive.time_ns[drive.row_frame[known]]
    most_mps = np.full(len(drive.track_ids) + 1, -np.inf)
    first_ns, last_ns = (np.full(len(most_mps), time_ns[at] if len(time_ns) else 0) for at in (-1, 0))
    np.maximum.at(most_mps, track, speed_mps[known])
    np.minimum.at(first_ns, track, time_ns)
    np.maximum.at(last_ns, track, time_ns)
    return np.where(np.isfinite(most_mps), most_mps, np.nan), last_ns - first_ns


def _change(before_mps: np.ndarray, after_mps: np.ndarray) -> np.ndarray:
    """0 speeding up, 1 slowing down, 2 keeping its speed; -1 not clear, or hardly moving before and after."""
    change_mps = after_mps - before_mps
    moves = (before_mps > MOVES_MPS) | (after_mps > MOVES_MPS)
    speeds_up, slows_down = change_mps > CHANGES_MPS, change_mps < -CHANGES_MPS
    return np.where(moves, first_that_holds(speeds_up, slows_down, np.abs(change_mps) < KEEPS_MPS), -1)


def _speed_change(asked: Asked) -> Truth:
    return {"choice": _change(asked.now().speed_mps, asked.then(float(CHANGE_HORIZON_S)).speed_mps)}


def _ego_speed_change(asked: Asked) -> Truth:
    return {"choice": _change(asked.ego_speed_mps(), asked.ego_speed_mps(float(CHANGE_HORIZON_S)))}


def _faster(asked: Asked) -> Truth:
    more_mps = asked.now(0).speed_mps - asked.now(1).speed_mps
    return {"choice": side(more_mps, FASTER_MPS)}


def _ego_speed_type(horizon_s: int) -> QuestionType:
    return QuestionType(
        name=f"ego_speed_t{horizon_s}",
        family="future",
        answer_type="speed",
        roles=0,
        wordings=at_horizon(EGO_SPEED_LATER if horizon_s else EGO_SPEED_NOW, horizon_s),
        definition="My speed over the ground at the horizon.",
        truth=_ego_speed(float(horizon_s)),
        tolerance=WITHIN_20_PERCENT,
        claims=at_horizon(EGO_SPEED_CLAIMS_LATER if horizon_s else EGO_SPEED_CLAIMS_NOW, horizon_s),
        thresholds=SPEEDS_MPS,
        horizon_s=float(horizon_s),
        version=2,
    )


def _target_speed_type(horizon_s: int) -> QuestionType:
    return QuestionType(
        name=f"target_speed_t{horizon_s}",
        family="future",
        answer_type="speed",
        roles=1,
        wordings=at_horizon(TARGET_SPEED_LATER if horizon_s else TARGET_SPEED_NOW, horizon_s),
        definition="A's speed over the ground at the horizon.",
        truth=_target_speed(float(horizon_s)),
        tolerance=WITHIN_20_PERCENT,
        claims=at_horizon(TARGET_SPEED_CLAIMS_LATER if horizon_s else TARGET_SPEED_CLAIMS_NOW, horizon_s),
        thresholds=SPEEDS_MPS,
        horizon_s=float(horizon_s),
        version=2,
    )


def _relative_speed_type(horizon_s: int) -> QuestionType:
    return QuestionType(
        name=f"relative_speed_t{horizon_s}",
        family="future",
        answer_type="speed",
        roles=1,
        wordings=at_horizon(RELATIVE_SPEED_LATER if horizon_s else RELATIVE_SPEED_NOW, horizon_s),
        definition=(
            "The length of the difference between A's velocity over the ground and mine at the horizon, mine taken as "
            "straight ahead; 0 or more, whatever the direction."
        ),
        truth=_relative_speed(float(horizon_s)),
        tolerance=WITHIN_20_PERCENT,
        claims=at_horizon(RELATIVE_SPEED_CLAIMS_LATER if horizon_s else RELATIVE_SPEED_CLAIMS_NOW, horizon_s),
        thresholds=SPEEDS_MPS,
        kinds=ONLY_SEQUENCE,
        horizon_s=float(horizon_s),
    )


MOTION_STATE_TYPE = QuestionType(
    name="motion_state",
    family="future",
    answer_type="choice",
    roles=1,
    wordings=MOTION_STATE,
    definition=(
        f"Moving if A is faster than {MOVES_MPS:g} m/s now. If it is slower than {STANDS_MPS:g} m/s now: stopped if it "
        f"is faster than {MOVES_MPS:g} m/s at any time of the log, parked if it is always slower than {STANDS_MPS:g} "
        f"m/s and tracked for {PARKED_NS / 1e9:g} s or more. Asked about vehicles only; not asked in between."
    ),
    truth=_motion_state,
    tolerance=EXACT,
    choices=("moving", "stopped", "parked"),
    claims=MOTION_STATE_CLAIMS,
    kinds=ONLY_SEQUENCE,
)
SPEED_CHANGE_TYPE = QuestionType(
    name="speed_change_t2",
    family="future",
    answer_type="choice",
    roles=1,
    wordings=at_horizon(SPEED_CHANGE, CHANGE_HORIZON_S),
    definition=(
        f"A's speed in {CHANGE_HORIZON_S} s minus its speed now: speeding up above {CHANGES_MPS:g} m/s, slowing down "
        f"below -{CHANGES_MPS:g} m/s, keeping its speed if it changes by less than {KEEPS_MPS:g} m/s. Not asked in "
        f"between, nor where neither speed is above {MOVES_MPS:g} m/s."
    ),
    truth=_speed_change,
    tolerance=EXACT,
    choices=("speeding up", "slowing down", "keeping its speed"),
    claims=at_horizon(SPEED_CHANGE_CLAIMS, CHANGE_HORIZON_S),
    kinds=ONLY_SEQUENCE,
    horizon_s=float(CHANGE_HORIZON_S),
)
EGO_SPEED_CHANGE_TYPE = QuestionType(
    name="ego_speed_change_t2",
    family="future",
    answer_type="choice",
    roles=0,
    wordings=at_horizon(EGO_SPEED_CHANGE, CHANGE_HORIZON_S),
    definition=(
        f"My speed in {CHANGE_HORIZON_S} s minus my speed now: speeding up above {CHANGES_MPS:g} m/s, slowing down "
        f"below -{CHANGES_MPS:g} m/s, keeping my speed if it changes by less than {KEEPS_MPS:g} m/s. Not asked in "
        f"between, nor where neither speed is above {MOVES_MPS:g} m/s."
    ),
    truth=_ego_speed_change,
    tolerance=EXACT,
    choices=("speeding up", "slowing down", "keeping my speed"),
    claims=at_horizon(EGO_SPEED_CHANGE_CLAIMS, CHANGE_HORIZON_S),
    kinds=ONLY_SEQUENCE,
    horizon_s=float(CHANGE_HORIZON_S),
)
FASTER_TYPE = QuestionType(
    name="faster",
    family="future",
    answer_type="choice",
    roles=2,
    wordings=FASTER,
    definition=(
        "The one of A and B with the greater speed over the ground now. Not asked where they differ by less than "
        f"{FASTER_MPS:g} m/s."
    ),
    truth=_faster,
    tolerance=EXACT,
    choices=("{a}", "{b}"),
    claims=FASTER_CLAIMS,
    kinds=ONLY_SEQUENCE,
)

TYPES: tuple[QuestionType, ...] = (
    *map(_ego_speed_type, HORIZONS_S),
    *map(_target_speed_type, HORIZONS_S),
    *map(_relative_speed_type, HORIZONS_S),
    MOTION_STATE_TYPE,
    SPEED_CHANGE_TYPE,
    EGO_SPEED_CHANGE_TYPE,
    FASTER_TYPE,
)
