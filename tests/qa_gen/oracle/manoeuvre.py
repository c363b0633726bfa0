"""What a marked agent does over the next three seconds, in words."""

from __future__ import annotations

import cmath
import math
from dataclasses import dataclass

from drive_vqa.categories import CATEGORIES
from tests.qa_gen.oracle.case import Case, above, below, require, within, wrap
from tests.qa_gen.oracle.crossing import first_crossing


@dataclass(frozen=True)
class Course:
    """Agent and ego at 0, 1, 2, 3 s: forward + left·j, degrees."""

    then: list[complex]
    """The agent's centre in the ego frame of that time."""
    yaw: list[float]
    here: list[complex]
    """The agent's centre in the ego frame of now."""
    ego: list[complex]
    ego_turn: float
    speed: float
    ego_speed: float

    @property
    def turn(self) -> float:
        """How far the agent turns."""
        return wrap(self.yaw[3] + self.ego_turn - self.yaw[0])

    @property
    def shift(self) -> float:
        """How far it moves to the left of its mean heading."""
        mean = cmath.rect(1.0, math.radians(self.yaw[0] + self.turn / 2))
        return ((self.here[3] - self.here[0]) * mean.conjugate()).imag


def manoeuvre(case: Case, track_id: str) -> str:
    """The first that holds; refused where none does."""
    course = _course(case, track_id)
    require(above(course.speed, 1.0), "it is slow")
    category = CATEGORIES[case.body(track_id).category]
    on_wheels = category.vehicle or category.name == "bicycle"
    for name, holds in TRIED:
        if (on_wheels or (name == "crossing" and category.movable)) and holds(course):
            return name
    require(False, "none of these")
    return ""


def _course(case: Case, track_id: str) -> Course:
    frames = [case.then(second) for second in range(4)]
    egos = [case.log.ego_place(frame, case.now) for frame in frames]
    require(None not in egos, "no pose")
    return Course(
        then=[case.place(track_id, frame) for frame in frames],
        yaw=[wrap(math.degrees(case.log.heading(frame, track_id))) for frame in frames],
        here=[case.place(track_id, frame, case.now) for frame in frames],
        ego=[complex(place[0], place[1]) for place in egos],  # type: ignore[index]
        ego_turn=math.degrees(case.known(case.log.ego_turn(frames[3], case.now))),
        speed=case.speed(track_id),
        ego_speed=case.ego_speed(),
    )


def _along(c: Course, *times: int) -> bool:
    return all(below(abs(c.yaw[k]), 45.0) for k in times)


def _beside(c: Course) -> bool:
    return not above(abs(c.then[0].imag), 10.0) and not above(abs(c.then[3].imag), 10.0)


def _oncoming(c: Course) -> bool:
    return (
        above(abs(c.yaw[0]), 135.0)
        and above(c.then[0].real, 0.0)
        and any(not above(place.real, 0.0) for place in c.then[1:])
    )


def _overtaken(c: Course) -> bool:
    goes = above(c.then[0].real, 2.0) and below(c.then[3].real, -2.0)
    return goes and _along(c, 0, 3) and above(c.ego_speed, 1.0) and _beside(c)


def _overtakes(c: Course) -> bool:
    goes = below(c.then[0].real, -2.0) and above(c.then[3].real, 2.0)
    return goes and _along(c, 0, 3) and _beside(c)


def _cuts_in(c: Course) -> bool:
    start = c.then[0]
    if not (_along(c, 0) and above(start.real, 0.0) and above(abs(start.imag), 1.8) and below(abs(c.turn), 10.0)):
        return False
    return below(c.shift * math.copysign(1.0, start.imag), -1.5) and any(
        within(at.real, 0.0, 40.0) and below(abs(at.imag), 1.2) and above(abs(start.imag) - abs(at.imag), 1.0)
        for at in c.then[1:]
    )


def _crosses(c: Course) -> bool:
    if below(abs(c.yaw[0]), 45.0) or above(abs(c.yaw[0]), 135.0):
        return False
    straight_on = c.ego[3] + cmath.rect(40.0, math.radians(c.ego_turn))
    return first_crossing([*c.ego, straight_on], c.here) is not None


def _changes_lane(c: Course) -> bool:
    straight = below(abs(c.yaw[0]), 30.0) and above(c.speed, 2.0) and below(abs(c.turn), 10.0)
    return straight and within(abs(c.shift), 2.0, 5.0)


def _diverges(c: Course) -> bool:
    return _along(c, 0) and above(abs(wrap(c.yaw[3] - c.yaw[0])), 30.0)


def _change_m(c: Course) -> float:
    return abs(c.then[3]) - abs(c.then[0])


def _keeps_station(c: Course) -> bool:
    return _along(c, 0) and not above(abs(_change_m(c)), 2.0) and not above(abs((c.then[3] - c.then[0]).real), 2.0)


TRIED = (
    ("oncoming pass", _oncoming),
    ("being overtaken by me", _overtaken),
    ("overtaking me", _overtakes),
    ("cutting in", _cuts_in),
    ("crossing", _crosses),
    ("changing lane", _changes_lane),
    ("diverging at a junction", _diverges),
    ("pulling away", lambda c: _along(c, 0) and above(c.then[0].real, 0.0) and above(_change_m(c), 4.0)),
    ("keeping station", _keeps_station),
)
"""Names in the order in which they are tried."""
