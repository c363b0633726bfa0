"""In which lane an agent is, from the centre lines of the map."""

from __future__ import annotations

import cmath
import itertools
import math
from dataclasses import dataclass

from tests.qa_gen.oracle.case import Case, OnTheEdge, above, below, require, within, wrap
from tests.qa_gen.oracle.raw import RawLog

NEAR_M = 2.0
TIE_M = 1e-6
FITTING_YAW_DEG = {"a lane of oncoming traffic": (120.0, 181.0), "a crossing lane": (30.0, 150.0)}
"""Where an agent must point for an answer; for the lanes of my way it is within 60 degrees of mine."""

Line = list[complex]


@dataclass(frozen=True)
class Foot:
    """The point of a lane nearest to a place."""

    lane: int
    away_m: float
    side_m: float
    """From the segment's straight line to the place, left positive."""
    direction_deg: float
    beyond: bool
    """The place lies before the first point of the lane or after the last."""


def ego_lanes(log: RawLog, frame: int) -> list[Line]:
    """The lanes' centre lines, forward + left·j; in the plane, so the ego's pose counts as a place and a heading."""

    def make() -> list[Line]:
        pose = log.pose.get(frame)
        require(pose is not None, "no pose")
        front = pose.turned((1.0, 0.0, 0.0))
        back = cmath.rect(1.0, -math.atan2(front[1], front[0]))
        here = complex(pose.origin[0], pose.origin[1])
        return [[(complex(x, y) - here) * back for x, y, _ in points] for _, points in log.lanes]

    return log.remembered(("lanes", frame), make)


def feet(line: Line, lane: int, place: complex, reach_m: float = math.inf) -> list[Foot]:
    """Of every segment of a lane, the point nearest to a place, where it is within reach."""
    found = []
    last = len(line) - 2
    for k, (start, end) in enumerate(itertools.pairwise(line)):
        along = end - start
        length = abs(along)
        if length < 1e-9:
            continue
        local = (place - start) / along * length
        if local.real < -reach_m or local.real > length + reach_m or abs(local.imag) > reach_m:
            continue
        beyond = (k == 0 and local.real < -TIE_M) or (k == last and local.real > length + TIE_M)
        away = abs(local - min(max(local.real, 0.0), length))
        if away <= reach_m:
            found.append(Foot(lane, away, local.imag, math.degrees(cmath.phase(along)), beyond))
    return found


def _nearest(found: list[Foot]) -> list[Foot]:
    """The nearest foot, and those as near."""
    least = min(foot.away_m for foot in found)
    return [foot for foot in found if foot.away_m <= least + TIE_M]


def lane_relation(case: Case) -> str:
    """The answer of `lane_relation`; on the edge where two lanes as near would give two answers."""
    lines = ego_lanes(case.log, case.now)
    own = _own(case, lines)
    of_it = _candidates(lines, case.place(case.ids[0]))
    answers = {_relation(case, lines, mine, its) for mine in own for its in of_it}
    if len(answers) > 1:
        raise OnTheEdge
    answer = answers.pop()
    require(answer is not None, "between lanes, or past the end of mine")
    low, high = FITTING_YAW_DEG.get(answer or "", (-1.0, 60.0))
    yaw = abs(wrap(math.degrees(case.log.heading(case.now, case.ids[0]))))
    require(not below(yaw, low) and not above(yaw, high), "it does not point along its lane")
    return answer  # type: ignore[return-value]


def _own(case: Case, lines: list[Line]) -> list[Foot]:
    def make() -> list[Foot]:
        found = [foot for lane, line in enumerate(lines) for foot in feet(line, lane, 0j, NEAR_M + TIE_M)]
        found = [foot for foot in found if below(abs(wrap(foot.direction_deg)), 45.0)]
        return _nearest(found) if found else []

    own = case.log.remembered(("own lane", case.now), make)
    require(bool(own), "I am in no lane")
    if own[0].away_m > NEAR_M - TIE_M:
        raise OnTheEdge
    return own


def _candidates(lines: list[Line], place: complex) -> list[Foot]:
    """The nearest lane of an agent; refused at junctions."""
    each = []
    for lane, line in enumerate(lines):
        found = feet(line, lane, place, NEAR_M + TIE_M)
        if found:
            each.append(_nearest(found))
    require(bool(each), "it is in no lane")
    for index, one in enumerate(each):
        for other in each[index + 1 :]:
            off = [abs(wrap(a.direction_deg - b.direction_deg)) for a in one for b in other]
            if min(off) <= 45.0 + TIE_M < max(off):
                raise OnTheEdge
            require(below(max(off), 45.0), "a junction")
    return _nearest([foot for one in each for foot in one])


def _relation(case: Case, lines: list[Line], mine: Foot, its: Foot) -> str | None:
    turn = abs(wrap(its.direction_deg))
    if above(turn, 135.0):
        return "a lane of oncoming traffic"
    if above(turn, 45.0):
        return "a crossing lane"
    marks = _nearest(feet(lines[mine.lane], mine.lane, case.place(case.ids[0])))
    words = {None if mark.beyond else _side(mark.side_m) for mark in marks}
    if len(words) > 1:
        raise OnTheEdge
    return words.pop()


def _side(side_m: float) -> str | None:
    if below(abs(side_m), 1.2):
        return "my lane"
    if within(abs(side_m), 2.3, 4.7):
        return "the lane to my left" if side_m > 0 else "the lane to my right"
    return None
