"""One question as the oracle sees it: its marks, its moment, and comparisons that know how near they came to their limit."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.qa_gen.oracle.raw import Body, RawLog, Row

EDGE = 1e-6
"""A value this near to a limit may fall on either side."""


class NotAsked(Exception):  # noqa: N818
    """By its definition there is no clear answer, so there must be no question."""


class OnTheEdge(Exception):  # noqa: N818
    """A value lies on a limit: every answer is allowed."""


def wrap(angle_deg: float) -> float:
    """To (-180, 180]."""
    turned = math.remainder(angle_deg, 360.0)
    return 180.0 if turned == -180.0 else turned


def above(value: float, limit: float) -> bool:
    """Whether value > limit."""
    if abs(value - limit) <= EDGE:
        raise OnTheEdge
    return value > limit


def below(value: float, limit: float) -> bool:
    """Whether value < limit."""
    return not above(value, limit)


def within(value: float, low: float, high: float) -> bool:
    """Whether low < value < high."""
    return above(value, low) and below(value, high)


def require(condition: bool, why: str) -> None:
    """Refuse the question unless the condition holds."""
    if not condition:
        raise NotAsked(why)


@dataclass
class Case:
    """A question with what it is about."""

    log: RawLog
    group: Row
    row: Row
    ids: list[Any] = field(default_factory=list)
    """Tracks by role; None for one that is not there."""

    def __post_init__(self) -> None:
        self.now: int = self.group["frame"]
        self.ids = self.row["track_ids"]

    @property
    def all_ids(self) -> list[str]:
        """Every mark of the group."""
        return [mark["track_id"] for mark in self.group["marks"]]

    @property
    def others(self) -> list[str]:
        """All marks but the first of the question."""
        return [track_id for track_id in self.all_ids if track_id != self.ids[0]]

    @property
    def has_roles(self) -> bool:
        """Whether certain marks are asked about, not all of the group."""
        return bool(self.row["marks"])

    @property
    def claim(self) -> str:
        """What a yes-or-no question claims of a number or a choice."""
        return self.row["parameter"] or ""

    @property
    def parameter(self) -> str:
        """What else the question names."""
        require(self.row["parameter"] is not None, "it needs a parameter")
        return self.row["parameter"]

    def name(self, track_id: str) -> str:
        """Region n."""
        return f"Region {self.number(track_id)}"

    def number(self, track_id: str) -> int:
        """The mark of a track."""
        return next(mark["mark"] for mark in self.group["marks"] if mark["track_id"] == track_id)

    def body(self, track_id: str, frame: int | None = None) -> Body:
        """A track at a frame, by default now."""
        found = self.log.bodies[self.now if frame is None else frame].get(track_id)
        require(found is not None, f"{track_id} is not tracked")
        return found  # type: ignore[return-value]

    def then(self, seconds: float) -> int:
        """The frame that many seconds from now."""
        frame = self.log.frame_after(self.now, seconds)
        require(frame is not None, f"no frame in {seconds} s")
        return frame  # type: ignore[return-value]

    def place(self, track_id: str, frame: int | None = None, from_frame: int | None = None) -> complex:
        """Centre on the ground, forward + left·j, in the ego frame of `from_frame` (default: of that moment)."""
        seen = self.log.seen(self.now if frame is None else frame, track_id, from_frame)
        require(seen is not None, f"{track_id} is not tracked, or there is no pose")
        return complex(seen[0], seen[1])  # type: ignore[index]

    def known(self, value: float | None) -> float:
        """A value that must not be null."""
        require(value is not None, "a value is not known")
        return value  # type: ignore[return-value]

    def speed(self, track_id: str, seconds: float = 0.0) -> float:
        """Of a track at a horizon."""
        return self.known(self.body(track_id, self.then(seconds)).speed_mps)

    def ego_speed(self, seconds: float = 0.0) -> float:
        """Of the ego at a horizon."""
        return self.known(self.log.ego_speed[self.then(seconds)])

    def offset(self, first: str, second: str) -> complex:
        """From one mark to another, now, ego axes."""
        return self.place(second) - self.place(first)

    def seen_from(self, viewer: str, target: str) -> complex:
        """Target from the viewer's place and heading."""
        return self.offset(viewer, target) * complex(
            math.cos(self.log.heading(self.now, viewer)), -math.sin(self.log.heading(self.now, viewer))
        )

    def regions(self, track_id: str) -> dict[int, Row]:
        """Context image → region of a mark."""
        mark = next(mark for mark in self.group["marks"] if mark["track_id"] == track_id)
        return {region["context"]: region for region in mark["regions"]}


def degrees(place: complex) -> float:
    """Bearing of a place."""
    return math.degrees(math.atan2(place.imag, place.real))


def clock(angle_deg: float) -> int:
    """The hour whose direction is nearest."""
    off = {hour: abs(math.remainder(angle_deg + 30.0 * hour, 360.0)) for hour in range(1, 13)}
    best, second = sorted(off, key=off.__getitem__)[:2]
    if off[second] - off[best] <= EDGE:
        raise OnTheEdge
    return best


def ratio(first: float, second: float, least: float) -> bool:
    """Whether the first is the greater; refused unless the greater is `least` times the smaller."""
    require(above(max(first, second), least * min(first, second)), "the two are too alike")
    return first > second


def first_of(values: dict[str, float], least: float) -> str:
    """The key of the least value; the next must be `least` times as great."""
    ranked = sorted(values, key=values.__getitem__)
    require(len(ranked) >= 2 and above(values[ranked[1]], least * values[ranked[0]]), "two are as near")
    return ranked[0]


Truth = Callable[[Case], dict[str, Any]]
