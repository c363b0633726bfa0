"""What a marked agent does with respect to the ego over the next three seconds.

Symbols, at k = 0, 1, 2, 3 s: x_k, y_k, ψ_k are the target's box centre and its yaw in the ego frame OF THAT TIME, d_k its
distance on the ground; v the target's speed now, e the ego's; φ_k how far the ego has turned; p_k the target's centre and
q_k the ego origin in the ego frame of NOW. All of them must be known, and v > 1 m/s, or there is no name.

The target's own change of heading is Δ = wrap(ψ_3 + φ_3 − ψ_0). Its shift s is the part of p_3 − p_0 that lies across its
mean heading ψ_0 + Δ/2, left positive: on a circle the chord has the mean heading, so a steady curve is no shift.

The first that holds, angles in degrees and lengths in meters:

    oncoming pass             |ψ_0| > 135, x_0 > 0, x_k ≤ 0 at some k ≥ 1
    being overtaken by me     |ψ_0| < 45, |ψ_3| < 45, e > 1 m/s, x_0 > 2, x_3 < −2, |y_0| ≤ 10, |y_3| ≤ 10
    overtaking me             |ψ_0| < 45, |ψ_3| < 45, x_0 < −2, x_3 > 2, |y_0| ≤ 10, |y_3| ≤ 10
    cutting in                |ψ_0| < 45, x_0 > 0, |y_0| > 1.8, |Δ| < 10, s towards the ego's side by more than 1.5,
                              and at some k ≥ 1: 0 < x_k ≤ 40, |y_k| < 1.2, |y_0| − |y_k| > 1
    crossing                  45 ≤ |ψ_0| ≤ 135, and the polyline p_0 … p_3 meets q_0 … q_3 and 40 m straight on from q_3
    changing lane             |ψ_0| < 30, v > 2 m/s, |Δ| < 10, 2 ≤ |s| ≤ 5
    diverging at a junction   |ψ_0| < 45, |wrap(ψ_3 − ψ_0)| > 30
    pulling away              |ψ_0| < 45, x_0 > 0, d_3 − d_0 > 4
    keeping station           |ψ_0| < 45, |d_3 − d_0| ≤ 2, |x_3 − x_0| ≤ 2

Crossing is told of all marks (they are what can move by itself), the others of vehicles and bicycles only.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from drive_vqa.categories import CATEGORIES
from drive_vqa.geometry import wrap_deg
from qa_gen.asked import Asked
from qa_gen.relations.crossing import first_crossing
from qa_gen.relations.margins import first_that_holds

MANOEUVRES: tuple[str, ...] = (
    "oncoming pass",
    "being overtaken by me",
    "overtaking me",
    "cutting in",
    "crossing",
    "changing lane",
    "diverging at a junction",
    "pulling away",
    "keeping station",
)
"""Names in the order in which they are tried."""

TIMES_S = (0.0, 1.0, 2.0, 3.0)
MOVES_MPS = 1.0
SAME_WAY_DEG = 45.0
OPPOSITE_WAY_DEG = 135.0
PASSED_M = 2.0
BESIDE_M = 10.0
OFF_PATH_M = 1.8
IN_PATH_M = 1.2
IN_PATH_AHEAD_M = 40.0
COMES_NEARER_M = 1.0
CUTS_IN_SHIFT_M = 1.5
STRAIGHT_DEG = 10.0
LANE_CHANGE_WAY_DEG = 30.0
LANE_CHANGE_MPS = 2.0
LANE_CHANGE_SHIFT_M = (2.0, 5.0)
DIVERGES_DEG = 30.0
PATH_GOES_ON_M = 40.0
PULLS_AWAY_M = 4.0
KEEPS_STATION_M = 2.0

_ON_WHEELS = np.array([*(category.vehicle or category.name == "bicycle" for category in CATEGORIES.values()), False])


@dataclass(frozen=True, eq=False)
class _Course:
    """Target and ego at 0, 1, 2 and 3 s, one row a time; the symbols are told above."""

    x_m: Float[np.ndarray, "4 n"]
    y_m: Float[np.ndarray, "4 n"]
    yaw_deg: Float[np.ndarray, "4 n"]
    now_xy_m: Float[np.ndarray, "4 n 2"]
    ego_xy_m: Float[np.ndarray, "4 n 2"]
    ego_turn_deg: Float[np.ndarray, "n"]
    speed_mps: Float[np.ndarray, "n"]
    ego_speed_mps: Float[np.ndarray, "n"]

    @cached_property
    def way_deg(self) -> Float[np.ndarray, "n"]:
        """|ψ_0|."""
        return np.asarray(np.abs(self.yaw_deg[0]))

    @cached_property
    def turn_deg(self) -> Float[np.ndarray, "n"]:
        """Δ: how far it turns by itself."""
        return np.asarray(wrap_deg(self.yaw_deg[3] + self.ego_turn_deg - self.yaw_deg[0]))

    @cached_property
    def shift_m(self) -> Float[np.ndarray, "n"]:
        """The shift s: how far it moves across its mean heading."""
        mean_rad = np.radians(self.yaw_deg[0] + 0.5 * self.turn_deg)
        moved_m = self.now_xy_m[3] - self.now_xy_m[0]
        return np.asarray(moved_m[:, 1] * np.cos(mean_rad) - moved_m[:, 0] * np.sin(mean_rad))

    @property
    def known(self) -> Bool[np.ndarray, "n"]:
        """Whether all is known."""
        states = (self.x_m + self.y_m + self.yaw_deg).sum(axis=0)
        paths = (self.now_xy_m + self.ego_xy_m).sum(axis=0)
        return np.asarray(np.isfinite(states + paths[:, 0] + paths[:, 1] + self.speed_mps + self.ego_speed_mps))


def manoeuvre_codes(asked: Asked, role: int = 0) -> Int[np.ndarray, "n"]:
    """Index into MANOEUVRES of what the agent in a role does over three seconds; -1: nothing that has a name, or not known."""
    course = _course(asked, role)
    crosses = _crosses(course)
    code = first_that_holds(*_passes(course), _cuts_in(course), crosses, *_parts(course))
    on_foot = ~_ON_WHEELS[asked.now(role).category]
    code[on_foot] = np.where(crosses[on_foot], MANOEUVRES.index("crossing"), -1)
    code[~(course.known & (course.speed_mps > MOVES_MPS))] = -1
    return code


def _course(asked: Asked, role: int) -> _Course:
    agents = [asked.then(time_s, role) for time_s in TIMES_S]
    yaw_rad = np.stack([agent.yaw_rad for agent in agents])
    return _Course(
        x_m=np.stack([agent.x_m for agent in agents]),
        y_m=np.stack([agent.y_m for agent in agents]),
        yaw_deg=np.asarray(wrap_deg(np.degrees(yaw_rad))),
        now_xy_m=np.stack([asked.now_frame_xyz_m(time_s, role)[:, :2] for time_s in TIMES_S]),
        ego_xy_m=np.stack([asked.now_xyz_then_m(time_s)[:, :2] for time_s in TIMES_S]),
        ego_turn_deg=asked.ego_turn_deg(TIMES_S[-1]),
        speed_mps=agents[0].speed_mps,
        ego_speed_mps=asked.ego_speed_mps(),
    )


def _passes(course: _Course) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Oncoming pass, being overtaken, overtaking."""
    first_m, last_m = course.x_m[0], course.x_m[3]
    oncoming = (course.way_deg > OPPOSITE_WAY_DEG) & (first_m > 0) & (course.x_m[1:] <= 0).any(axis=0)
    along = (course.way_deg < SAME_WAY_DEG) & (np.abs(course.yaw_deg[3]) < SAME_WAY_DEG)
    beside = along & (np.abs(course.y_m[0]) <= BESIDE_M) & (np.abs(course.y_m[3]) <= BESIDE_M)
    falls_back = (first_m > PASSED_M) & (last_m < -PASSED_M) & (course.ego_speed_mps > MOVES_MPS)
    comes_past = (first_m < -PASSED_M) & (last_m > PASSED_M)
    return oncoming, beside & falls_back, beside & comes_past


def _cuts_in(course: _Course) -> np.ndarray:
    aside_m, ahead_m = np.abs(course.y_m), course.x_m
    starts = (course.way_deg < SAME_WAY_DEG) & (ahead_m[0] > 0) & (aside_m[0] > OFF_PATH_M)
    shifts = -course.shift_m * np.sign(course.y_m[0]) > CUTS_IN_SHIFT_M
    comes_in = (aside_m[1:] < IN_PATH_M) & (aside_m[0] - aside_m[1:] > COMES_NEARER_M)
    comes_in &= (ahead_m[1:] > 0) & (ahead_m[1:] <= IN_PATH_AHEAD_M)
    return np.asarray(starts & shifts & (np.abs(course.turn_deg) < STRAIGHT_DEG) & comes_in.any(axis=0))


def _crosses(course: _Course) -> np.ndarray:
    crosses = (course.way_deg >= SAME_WAY_DEG) & (course.way_deg <= OPPOSITE_WAY_DEG)
    turn_rad = np.radians(course.ego_turn_deg[crosses])
    ego_path_m = course.ego_xy_m[:, crosses]
    goes_on_m = ego_path_m[3] + PATH_GOES_ON_M * np.stack([np.cos(turn_rad), np.sin(turn_rad)], axis=-1)
    crosses[crosses] = first_crossing(np.concatenate([ego_path_m, goes_on_m[None]]), course.now_xy_m[:, crosses]).found
    return crosses


def _parts(course: _Course) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Changing lane, diverging, pulling away, keeping station."""
    shift_m = np.abs(course.shift_m)
    sideways = (shift_m >= LANE_CHANGE_SHIFT_M[0]) & (shift_m <= LANE_CHANGE_SHIFT_M[1])
    straight = (course.way_deg < LANE_CHANGE_WAY_DEG) & (np.abs(course.turn_deg) < STRAIGHT_DEG)
    same = course.way_deg < SAME_WAY_DEG
    diverges = np.abs(wrap_deg(course.yaw_deg[3] - course.yaw_deg[0])) > DIVERGES_DEG
    farther_m = np.hypot(course.x_m[3], course.y_m[3]) - np.hypot(course.x_m[0], course.y_m[0])
    away = same & (course.x_m[0] > 0) & (farther_m > PULLS_AWAY_M)
    changes_lane = sideways & straight & (course.speed_mps > LANE_CHANGE_MPS)
    stays = (np.abs(farther_m) <= KEEPS_STATION_M) & (np.abs(course.x_m[3] - course.x_m[0]) <= KEEPS_STATION_M)
    return changes_lane, same & diverges, away, same & stays
