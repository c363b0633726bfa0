"""How the ways of the ego and a marked agent meet: closest approach, collision, who comes first, my path, my view."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from drive_vqa.ground_boxes import overlap
from drive_vqa.time_to_collision import STEP_S, time_to_collision_s
from qa_gen.asked import Agents, Asked
from qa_gen.config import HORIZONS_S
from qa_gen.families.horizon import ONLY_SEQUENCE, at_horizon
from qa_gen.question_type import EXACT, WITHIN_25_PERCENT, QuestionType, Truth
from qa_gen.relations.crossing import first_crossing
from qa_gen.relations.margins import side, yes_no

LAST_HORIZON_S = 3
TIMES_S = (0.0, 1.0, 2.0, 3.0)
PATH_TIMES_S = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)

CLOSEST_AFTER_S = (0.3, 2.7)
"""A closest approach at an end of the three seconds is no approach."""
CLOSEST_APART_NS = 500_000_000
CLOSEST_RATIO = 1.05
"""Moments so far from the closest one must be farther by this ratio."""
COLLIDES_WITHIN_S = 4.0
COLLISION_TOLD_S = 6.0
FIRST_BY_S = 0.5
CROSSES_AT_DEG = 20.0
PATH_AHEAD_M = 60.0
PATH_HALF_WIDTH_M = 1.8
PATH_MARGIN_M = 0.3
SEEN_FRACTION = 0.25
GONE_FRACTION = 0.02

WITHIN_HALF_A_SECOND = "0.5 s"
DISTANCES_M = (3.0, 5.0, 10.0, 15.0, 20.0, 30.0)
CLOSEST_TIMES_S = (0.8, 1.3, 1.8, 2.3)
COLLISION_TIMES_S = (1.0, 2.0, 3.0, 4.0)

CLOSEST_DISTANCE = (
    "What will be the least distance between me and the center of {a} within the next {span}, in meters?",
    "How near, in meters, will the center of {a} come to me at the nearest within the next {span}?",
    "Over the coming {span}, how close will {a} and I get to each other, in meters from me to its center?",
    "Give the smallest distance in meters from me to the center of {a} over the next {span}, both of us moving on.",
    "At the moment within the next {span} when {a} is closest to me, how many meters away will its center be?",
    "Predict how many meters will separate me from the center of {a} at our closest approach within the next {span}.",
    "Looking up to {t} ahead, what is the least distance in meters that the center of {a} will have from me?",
    "State the distance in meters of closest approach between me and the center of {a} over the coming {span}.",
)
CLOSEST_DISTANCE_CLAIMS = (
    "the center of {a} will stay more than {v} away from me all through the next {span}",
    "the least distance between me and the center of {a} within the next {span} will be more than {v}",
)
CLOSEST_TIME = (
    "In how many seconds will {a} be closest to me, within the next {span}?",
    "Within the next {span}, after how many seconds will the distance between me and {a} be least?",
    "How many seconds from now will {a} be nearest to me, looking {t} ahead?",
    "Give the time in seconds from now at which {a} and I will be closest to each other within the next {span}.",
    "When, in seconds from now, will the closest approach between {a} and me come within the next {span}?",
    "Predict how many seconds it will take until {a} is as near to me as it gets in the next {span}.",
    "Over the coming {span}, in how many seconds will {a} reach its least distance from me?",
    "State in how many seconds {a} and I will pass closest to each other, counting the next {span} only.",
)
CLOSEST_TIME_CLAIMS = (
    "it will take more than {v} until {a} is closest to me, counting the next {span} only",
    "of the next {span}, more than {v} will pass before {a} is closest to me",
)
TIME_TO_COLLISION = (
    "If {a} and I both keep our present speed and direction, in how many seconds will we collide?",
    "With both of us moving on straight at constant speed, how many seconds are left until {a} and my car collide?",
    "What is the time to collision between {a} and my car, in seconds, if neither changes its speed or direction from "
    "now on?",
    "Give the time to collision with {a} in seconds, taking both its velocity and mine as constant from now on.",
    "Suppose that {a} and I go on exactly as now, straight and at the same speeds: after how many seconds will our "
    "outlines touch?",
    "How many seconds from now would {a} and my car run into each other if both kept their present velocity?",
    "State in how many seconds my car and {a} would hit each other at constant velocities.",
    "Assuming that speeds and directions stay as they are now, when will {a} and I collide, in seconds from now?",
)
TIME_TO_COLLISION_CLAIMS = (
    "it would take more than {v} until {a} and my car collide if both kept their present speed and direction",
    "more than {v} would pass before {a} and I collide if both of us went on at the present velocity",
)
COLLISION_COURSE = (
    "If {a} and I both keep our present speed and direction, will we collide within 4 seconds? Answer yes or no.",
    "Are {a} and my car on a collision course, that is, would they collide within 4 seconds at their present "
    "velocities? Answer no or yes.",
    "Yes or no: would {a} and I run into each other within 4 seconds if neither changed its speed or direction from "
    "now on?",
    "Suppose that {a} and I go on exactly as now, straight and at the same speeds: do we collide within 4 seconds, "
    "yes or no?",
    "With the present speed and direction kept by both, would my car hit or be hit by {a} within 4 seconds? Answer "
    "yes or no.",
    "Will there be a collision between {a} and my car within 4 seconds if both move on at constant velocity, no or "
    "yes?",
    "Taking its velocity and mine as constant, will {a} and my car collide in the next 4 seconds, yes or no?",
    "At constant speed and direction of both, is it at most 4 seconds until {a} and I collide? Answer no or yes.",
)
ARRIVES_FIRST = (
    "Within the next {span}, my path and that of {a} cross. Who is the first to get to the point where they cross, I "
    "or {a}?",
    "Who will be first at the point where my path and the path of {a} over the next {span} cross: {a} or I?",
    "The paths that {a} and I take over the next {span} cross. Which of us gets to the crossing point earlier?",
    "Over the next {span}, do I or does {a} reach first the point where our paths cross?",
    "Looking {t} ahead, our paths cross: which of us, {a} or I, passes that point before the other?",
    "Which of us arrives first where my path and the path of {a} cross within the next {span}, I or {a}?",
    "Predict who comes first to the point where our paths over the next {span} cross, I or {a}.",
    "There is a point on the ground that both {a} and I pass within the next {span}. Who passes it first, {a} or I?",
)
ARRIVES_FIRST_CLAIMS = (
    "I will be first, before {a}, at the point where our paths over the next {span} cross",
    "{a} will be first, before me, at the point where our paths over the next {span} cross",
)
STRIP = "the strip that reaches 1.8 meters to each side of my straight-ahead line and 60 meters ahead of my car"
ENTERS_PATH = (
    f"At 1, 2, or 3 seconds from now, will any part of {{a}} be in my path, which is {STRIP} at that time? Answer yes or no.",
    f"Will {{a}} come into my path within the next 3 seconds, that is, reach into {STRIP} at 1, 2, or 3 seconds from now? "
    f"Answer no or yes.",
    f"Seen from my car at 1, 2, and 3 seconds from now, will {{a}} at any of these times reach into {STRIP}? Answer yes or "
    f"no.",
    f"{{a}} is not in my path now. Will it be there 1, 2, or 3 seconds from now, my path being {STRIP} at that time? Answer "
    f"no or yes.",
    f"Yes or no: is {{a}} going to be in my path at 1, 2, or 3 seconds from now? My path is {STRIP} at that time.",
    f"Looking 3 seconds ahead in steps of one second, does {{a}} get into my path, which is {STRIP} at each time? Answer "
    f"yes or no.",
    f"Take {STRIP} as my path at each time. Will any part of {{a}} be in it 1, 2, or 3 seconds from now, yes or no?",
    f"Predict with yes or no whether {{a}} will reach into {STRIP}, as it lies then, at 1, 2, or 3 seconds from now.",
)
LEAVES_VIEW = (
    "In {t}, will {a} be out of sight of my front camera, outside its image or hidden? Answer yes or no.",
    "Will {a} have left the view of my front camera in {t}, so that nothing of it can be seen there, yes or no?",
    "Looking {t} ahead, is {a} gone from the image of my front camera, because it is outside or hidden? Answer no or "
    "yes.",
    "Yes or no: will my front camera no longer see anything of {a} in {t}?",
    "Will the image that my front camera takes {t} from now show nothing of {a} anymore? Answer yes or no.",
    "Predict whether {a} will be out of sight of my front camera in {t}, either outside its image or hidden. Answer "
    "yes or no.",
    "Does {a} disappear from the view of my front camera, so that in {t} no part of it is visible there, no or yes?",
    "In {t}, will no part of {a} be visible to my front camera any longer? Answer yes or no.",
)


def _closest(asked: Asked) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distances in all frames up to 3 s from now, inf where not tracked, (n w); nanoseconds from now; index of the least."""
    last = asked.frame_at(float(LAST_HORIZON_S))
    window = int(np.max(last - asked.frame, initial=0)) + 1
    frames = asked.frame[:, None] + np.arange(window)
    frames = np.where(frames <= last[:, None], frames, -1)
    agents = Agents(asked.drive, asked.drive.row_of(frames, np.broadcast_to(asked.tracks[:, :1], frames.shape)))
    tracked = np.isfinite(np.stack([asked.then(time_s).distance_m for time_s in TIMES_S], axis=1)).all(axis=1)
    distance_m = np.where(np.isfinite(agents.distance_m) & tracked[:, None], agents.distance_m, np.inf)
    after_ns = asked.drive.time_ns[frames] - asked.drive.time_ns[asked.frame][:, None]
    return distance_m, after_ns, distance_m.argmin(axis=1)


def _closest_distance(asked: Asked) -> Truth:
    distance_m, _, least = _closest(asked)
    least_m = distance_m[np.arange(len(asked)), least]
    return {"distance_m": np.where(np.isfinite(least_m), least_m, np.nan)}


def _closest_time(asked: Asked) -> Truth:
    distance_m, after_ns, least = _closest(asked)
    each = np.arange(len(asked))
    least_m, least_ns = distance_m[each, least], after_ns[each, least]
    apart = np.abs(after_ns - least_ns[:, None]) >= CLOSEST_APART_NS
    alone = (~apart | (distance_m > CLOSEST_RATIO * least_m[:, None])).all(axis=1)
    time_s = least_ns / 1e9
    clear = alone & (time_s >= CLOSEST_AFTER_S[0]) & (time_s <= CLOSEST_AFTER_S[1]) & np.isfinite(least_m)
    return {"time_s": np.where(clear, time_s, np.nan)}


def _ttc_s(asked: Asked) -> np.ndarray:
    now, config = asked.now(), asked.config
    ego_box = np.array([config.ego_centre_x_m, 0.0, config.ego_length_m, config.ego_width_m, 0.0])
    return np.asarray(time_to_collision_s(ego_box, asked.ego_speed_mps(), now.ground_box, now.vx_mps, now.vy_mps))


def _time_to_collision(asked: Asked) -> Truth:
    ttc_s = _ttc_s(asked)
    return {"time_s": np.where((ttc_s > 0.0) & (ttc_s <= COLLISION_TOLD_S), ttc_s, np.nan)}


def _collision_course(asked: Asked) -> Truth:
    ttc_s = _ttc_s(asked)
    return {"bool": yes_no(ttc_s <= COLLIDES_WITHIN_S, ttc_s > COLLISION_TOLD_S)}


def _arrives_first(asked: Asked) -> Truth:
    """Times are those of the frames, between them as if all moved evenly."""
    ego_m = np.stack([asked.now_xyz_then_m(time_s)[:, :2] for time_s in PATH_TIMES_S])
    agent_m = np.stack([asked.now_frame_xyz_m(time_s)[:, :2] for time_s in PATH_TIMES_S])
    known = np.isfinite((ego_m + agent_m).sum(axis=(0, 2)))
    crossing = first_crossing(ego_m, agent_m)
    now_ns = asked.drive.time_ns[asked.frame]
    at_s = np.stack([asked.drive.time_ns[asked.frame_at(time_s)] - now_ns for time_s in PATH_TIMES_S]) / 1e9
    ego_s = _time_on(at_s, crossing.segment_a, crossing.share_a)
    agent_s = _time_on(at_s, crossing.segment_b, crossing.share_b)
    asks = known & crossing.found & (crossing.angle_deg >= CROSSES_AT_DEG)
    ahead_s = np.where(asks, agent_s - ego_s, np.nan)
    return {"choice": side(ahead_s, FIRST_BY_S)}


def _time_on(at_s: np.ndarray, segment: np.ndarray, share: np.ndarray) -> np.ndarray:
    each = np.arange(len(segment))
    return np.asarray(at_s[segment, each] * (1.0 - share) + at_s[segment + 1, each] * share)


def _enters_path(asked: Asked) -> Truth:
    boxes = np.stack([asked.then(time_s).ground_box for time_s in TIMES_S])
    touched = _in_strip(boxes, PATH_MARGIN_M)
    surely = touched.copy()
    surely[touched] = _in_strip(boxes[touched], -PATH_MARGIN_M)
    asks = np.isfinite(boxes.sum(axis=(0, 2))) & ~touched[0]
    return {"bool": yes_no(asks & surely[1:].any(axis=0), asks & ~touched[1:].any(axis=0))}


def _in_strip(boxes: np.ndarray, wider_m: float) -> np.ndarray:
    """Whether boxes (... 5) share area with the ego's path, taken a little wider or narrower."""
    half_m = PATH_HALF_WIDTH_M + wider_m
    strip = np.array([[0.5 * PATH_AHEAD_M, 0.0, PATH_AHEAD_M, 2.0 * half_m, 0.0]])
    reach_m = 0.5 * (boxes[..., 2] + boxes[..., 3])
    inside = np.asarray((np.abs(boxes[..., 1]) <= half_m + reach_m) & (boxes[..., 0] >= -reach_m))
    inside[inside] = overlap(boxes[inside], strip)
    return inside


def _leaves_view(horizon_s: float) -> Callable[[Asked], Truth]:
    def truth(asked: Asked) -> Truth:
        before = asked.region_at(asked.frame)[:, 4]
        after = np.nan_to_num(asked.region_at(asked.frame_at(horizon_s))[:, 4], nan=0.0)
        asks = (before >= SEEN_FRACTION) & asked.then(horizon_s).present
        return {"bool": yes_no(asks & (after <= GONE_FRACTION), asks & (after >= SEEN_FRACTION))}

    return truth


def _leaves_view_type(horizon_s: int) -> QuestionType:
    return QuestionType(
        name=f"leaves_view_t{horizon_s}",
        family="future",
        answer_type="bool",
        roles=1,
        wordings=at_horizon(LEAVES_VIEW, horizon_s),
        definition=(
            f"Yes if my front camera shows {GONE_FRACTION:.0%} of A or less at the horizon (hidden or outside the "
            f"image), no if it shows {SEEN_FRACTION:.0%} or more. Not asked in between, nor where it shows less than "
            f"{SEEN_FRACTION:.0%} now, nor without cameras."
        ),
        truth=_leaves_view(float(horizon_s)),
        tolerance=EXACT,
        kinds=ONLY_SEQUENCE,
        horizon_s=float(horizon_s),
    )


CLOSEST_DISTANCE_TYPE = QuestionType(
    name="closest_distance",
    family="future",
    answer_type="distance",
    roles=1,
    wordings=at_horizon(CLOSEST_DISTANCE, LAST_HORIZON_S),
    definition=(
        f"The least ground distance from the ego origin to A's center over all frames from now to {LAST_HORIZON_S} s, "
        "each from where I am in that frame. Not asked where A is not tracked now and at 1, 2, and 3 s."
    ),
    truth=_closest_distance,
    tolerance=WITHIN_25_PERCENT,
    claims=at_horizon(CLOSEST_DISTANCE_CLAIMS, LAST_HORIZON_S),
    thresholds=DISTANCES_M,
    kinds=ONLY_SEQUENCE,
    horizon_s=float(LAST_HORIZON_S),
)
CLOSEST_TIME_TYPE = QuestionType(
    name="closest_time",
    family="future",
    answer_type="time",
    roles=1,
    wordings=at_horizon(CLOSEST_TIME, LAST_HORIZON_S),
    definition=(
        "How long after now the least distance, as in closest_distance, is reached first. Not asked before "
        f"{CLOSEST_AFTER_S[0]:g} s or after {CLOSEST_AFTER_S[1]:g} s, nor where the distance in any frame "
        f"{CLOSEST_APART_NS / 1e9:g} s or more away from that moment is not greater than {CLOSEST_RATIO:g} times the "
        "least."
    ),
    truth=_closest_time,
    tolerance=WITHIN_HALF_A_SECOND,
    claims=at_horizon(CLOSEST_TIME_CLAIMS, LAST_HORIZON_S),
    thresholds=CLOSEST_TIMES_S,
    kinds=ONLY_SEQUENCE,
    horizon_s=float(LAST_HORIZON_S),
)
TIME_TO_COLLISION_TYPE = QuestionType(
    name="time_to_collision",
    family="future",
    answer_type="time",
    roles=1,
    wordings=TIME_TO_COLLISION,
    definition=(
        "The first time at which the outlines of my car and A on the ground share area if both keep their direction "
        f"and their velocity of now (mine straight ahead), in steps of {STEP_S:g} s. Not asked where they share area "
        f"now, nor where the time is more than {COLLISION_TOLD_S:g} s."
    ),
    truth=_time_to_collision,
    tolerance=WITHIN_HALF_A_SECOND,
    claims=TIME_TO_COLLISION_CLAIMS,
    thresholds=COLLISION_TIMES_S,
    kinds=ONLY_SEQUENCE,
)
COLLISION_COURSE_TYPE = QuestionType(
    name="collision_course",
    family="future",
    answer_type="bool",
    roles=1,
    wordings=COLLISION_COURSE,
    definition=(
        f"Yes if the time of time_to_collision, 0 where the outlines share area now, is at most {COLLIDES_WITHIN_S:g} "
        f"s, no if it is more than {COLLISION_TOLD_S:g} s or there is none. Not asked in between."
    ),
    truth=_collision_course,
    tolerance=EXACT,
    kinds=ONLY_SEQUENCE,
)
ARRIVES_FIRST_TYPE = QuestionType(
    name="arrives_first",
    family="future",
    answer_type="choice",
    roles=1,
    wordings=at_horizon(ARRIVES_FIRST, LAST_HORIZON_S),
    definition=(
        "Who is first at the point where our paths cross: those of the ego origin and A's center over the next "
        f"{LAST_HORIZON_S} s, straight between frames every {PATH_TIMES_S[1]:g} s; with several crossings the first on "
        f"my path counts. Not asked where the paths do not cross, cross at less than {CROSSES_AT_DEG:g} degrees, or "
        f"are passed there less than {FIRST_BY_S:g} s apart."
    ),
    truth=_arrives_first,
    tolerance=EXACT,
    choices=("I", "{a}"),
    claims=at_horizon(ARRIVES_FIRST_CLAIMS, LAST_HORIZON_S),
    kinds=ONLY_SEQUENCE,
    horizon_s=float(LAST_HORIZON_S),
)
ENTERS_PATH_TYPE = QuestionType(
    name=f"enters_path_t{LAST_HORIZON_S}",
    family="future",
    answer_type="bool",
    roles=1,
    wordings=ENTERS_PATH,
    definition=(
        f"My path is the straight strip of half width {PATH_HALF_WIDTH_M:g} m from the ego origin to {PATH_AHEAD_M:g} "
        f"m ahead, at each time where I am then. Yes if A's outline shares area with it, taken {PATH_MARGIN_M:g} m "
        "narrower on each side, at 1, 2, or 3 s; no if it does at none of them even where the strip is taken "
        f"{PATH_MARGIN_M:g} m wider. Not asked in between, nor where A shares area with the wider strip now."
    ),
    truth=_enters_path,
    tolerance=EXACT,
    kinds=ONLY_SEQUENCE,
    horizon_s=float(LAST_HORIZON_S),
)

TYPES: tuple[QuestionType, ...] = (
    CLOSEST_DISTANCE_TYPE,
    CLOSEST_TIME_TYPE,
    TIME_TO_COLLISION_TYPE,
    COLLISION_COURSE_TYPE,
    ARRIVES_FIRST_TYPE,
    ENTERS_PATH_TYPE,
    *map(_leaves_view_type, HORIZONS_S[1:]),
)
