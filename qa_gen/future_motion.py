"""Future motion: four front images up to now, and what will be true in 0, 1, 2 and 3 seconds.

A place in the future is told from where the ego will be then, in the ego frame at that time.
"""

from __future__ import annotations

from qa_gen.config import HORIZONS_S
from qa_gen.question_type import (
    BEARING_WORDS,
    EXACT,
    WITHIN_10_DEGREES,
    WITHIN_20_PERCENT,
    WITHIN_25_PERCENT,
    Asked,
    QuestionType,
    Truth,
)

KEEPS_DISTANCE_M = 0.5
"""A distance that changes by less than this in a second counts as kept."""


def _localization(asked: Asked) -> Truth:
    return {"distance_m": asked.then[0].distance_m, "bearing_deg": asked.then[0].bearing_deg}


def _ego_speed(asked: Asked) -> Truth | None:
    return None if asked.ego_speed_then_mps is None else {"speed_mps": asked.ego_speed_then_mps}


def _target_speed(asked: Asked) -> Truth | None:
    speed_mps = asked.then[0].speed_mps
    return None if speed_mps is None else {"speed_mps": speed_mps}


def _closing_or_receding(asked: Asked) -> Truth:
    change_m = asked.then[0].distance_m - asked.now[0].distance_m
    if abs(change_m) < KEEPS_DISTANCE_M:
        return {"choice": "keeping its distance"}
    return {"choice": "receding" if change_m > 0 else "closing"}


LOCALIZATION_NOW = (
    f"Where is {{a}} now: how far from me to its center in meters, and at what bearing {BEARING_WORDS}?",
    f"Give the present distance from me to the center of {{a}} in meters and its bearing {BEARING_WORDS}.",
    f"How many meters away is the center of {{a}} now, and what is its bearing {BEARING_WORDS}?",
    f"At what distance in meters and at what bearing, {BEARING_WORDS}, is the center of {{a}} now?",
)
LOCALIZATION_LATER = (
    "In {t}, how far from me will the center of {{a}} be in meters, and at what bearing {bearing}? "
    "Measure from where I will be then, facing as I will then.",
    "Where will {{a}} be in {t}, seen from where I will be then: how far to its center in meters, and at what bearing {bearing}?",
    "Give the distance to the center of {{a}} in meters and its bearing {bearing}, in {t}, as seen from my position and "
    "direction at that time.",
    "Looking {t} ahead, from my position then, how many meters away will the center of {{a}} be, and what will its bearing "
    "be {bearing}?",
)
EGO_SPEED_NOW = (
    "How fast am I driving now, in meters per second?",
    "What is my speed now, in meters per second?",
    "At how many meters per second am I moving now?",
    "Give my present speed in meters per second.",
)
EGO_SPEED_LATER = (
    "How fast will I be driving in {t}, in meters per second?",
    "What will my speed be in {t}, in meters per second?",
    "At how many meters per second will I be moving in {t}?",
    "Give the speed that I will have in {t}, in meters per second.",
)
TARGET_SPEED_NOW = (
    "How fast is {{a}} moving over the ground now, in meters per second?",
    "What is the speed of {{a}} over the ground now, in meters per second?",
    "At how many meters per second is {{a}} moving over the ground now?",
    "Give the present speed of {{a}} over the ground in meters per second.",
)
TARGET_SPEED_LATER = (
    "How fast will {{a}} be moving over the ground in {t}, in meters per second?",
    "What will the speed of {{a}} over the ground be in {t}, in meters per second?",
    "At how many meters per second will {{a}} be moving over the ground in {t}?",
    "Give the speed over the ground that {{a}} will have in {t}, in meters per second.",
)


def _wordings(templates: tuple[str, ...], horizon_s: int) -> tuple[str, ...]:
    time = f"{horizon_s} second" if horizon_s == 1 else f"{horizon_s} seconds"
    return tuple(template.format(t=time, bearing=BEARING_WORDS) for template in templates)


def _localization_type(horizon_s: int) -> QuestionType:
    return QuestionType(
        name=f"localization_t{horizon_s}",
        family="future",
        answer_type="localization",
        marks=1,
        wordings=_wordings(LOCALIZATION_LATER, horizon_s) if horizon_s else LOCALIZATION_NOW,
        truth=_localization,
        tolerance=f"{WITHIN_25_PERCENT} and {WITHIN_10_DEGREES}",
        horizon_s=float(horizon_s),
    )


def _ego_speed_type(horizon_s: int) -> QuestionType:
    return QuestionType(
        name=f"ego_speed_t{horizon_s}",
        family="future",
        answer_type="speed",
        marks=0,
        wordings=_wordings(EGO_SPEED_LATER if horizon_s else EGO_SPEED_NOW, horizon_s),
        truth=_ego_speed,
        tolerance=WITHIN_20_PERCENT,
        horizon_s=float(horizon_s),
    )


def _target_speed_type(horizon_s: int) -> QuestionType:
    return QuestionType(
        name=f"target_speed_t{horizon_s}",
        family="future",
        answer_type="speed",
        marks=1,
        wordings=_wordings(TARGET_SPEED_LATER if horizon_s else TARGET_SPEED_NOW, horizon_s),
        truth=_target_speed,
        tolerance=WITHIN_20_PERCENT,
        horizon_s=float(horizon_s),
    )


CLOSING_OR_RECEDING = QuestionType(
    name="closing_or_receding",
    family="future",
    answer_type="choice",
    marks=1,
    wordings=(
        "Over the next second, is {a} closing, receding, or keeping its distance from me to within half a meter?",
        "In the coming second, will {a} be receding from me, closing, or keeping its distance, changing it by less "
        "than half a meter?",
        "Is {a} keeping its distance from me over the next second (a change below half a meter), closing or receding?",
        "How will the distance between me and {a} change over the next second: closing, receding, or keeping its distance "
        "to within half a meter?",
    ),
    truth=_closing_or_receding,
    tolerance=EXACT,
    options=("closing", "receding", "keeping its distance"),
    horizon_s=1.0,
)

TYPES = (
    *(_localization_type(horizon_s) for horizon_s in HORIZONS_S),
    *(_ego_speed_type(horizon_s) for horizon_s in HORIZONS_S),
    *(_target_speed_type(horizon_s) for horizon_s in HORIZONS_S),
    CLOSING_OR_RECEDING,
)
