"""What a trace states in words about places and motion, and how well it fits together.

Read are the sentences of the trace writer (`qa_gen.tracing`), as far as numbers and units go:

    (12.28, -1.73) m, which is 12.4 m away at -8°          polar: (x, y) against distance and bearing
    The center of Region 3 is 12.28 m along my heading and -1.73 m to my left[, which is 12.4 m away | at a bearing of -8°]
    Region 3 has moved by (-3.00, 0.15) m … in 1.5 s, that is (-2.00, 0.10) m/s        motion: displacement / time = rate
    from 15.30 m to 12.40 m in 1.5 s, -1.93 m/s
    In 2 seconds this would lead to (8.28, -1.53) m                                    place of now + time · rate
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from drive_vqa.geometry import wrap_deg
from eval.localization import BEARING_BAND_DEG
from eval.reasoning.trace import PlaceClaim, ReadTrace

_N = r"(-?[0-9]{1,6}(?:\.[0-9]{1,4})?)"
_NAME = r"(Region [0-9]{1,4})"
_PAIR = rf"\({_N}, {_N}\)"
_POLAR = re.compile(rf"{_PAIR} m(?: from me)?,(?: which is)? {_N} m(?: away)? at {_N}°")
_ALONG = re.compile(
    rf"center of {_NAME} is {_N} m along my heading and {_N} m to my left"
    rf"(?:, which is (?:at a bearing of {_N}°|{_N} m away))?"
)
_MOVED = re.compile(rf"{_NAME} has moved by {_PAIR} m[a-z ]{{0,40}} in {_N} s, that is {_PAIR} m/s")
_STARTS = re.compile(rf"It is at {_PAIR} m and moves at {_PAIR} m/s")
_LEADS = re.compile(rf"In {_N} seconds? this would lead to {_PAIR} m")
_GONE = re.compile(rf"from {_N} m to {_N} m in {_N} s, {_N} m/s")
_POSITION = re.compile(rf"(?:x |\(){_N}(?: m, y |, ){_N}\)? m\b(?!/)")
_LENGTH = re.compile(rf"{_N} m\b(?!/)")
_ANGLE = re.compile(rf"{_N}°")
_CLAIMED_PLACE = re.compile(r"<pos>[^<>]*</pos>")
_CONCLUDES = "So the answer"

TOLD_M, TOLD_DEG = 0.06, 0.55
"""Most that rounding takes from a length told to a tenth and from an angle told to a degree, with a little for floating point."""

_TOLD_FINE, _TOLD_S = 0.011, 0.051
"""The same for two decimals, and for a time told to a tenth."""

_LEAST_SCALE, _SCALE_SHARE = 0.2, 0.1
_FAR = 40.0

Xy = tuple[float, float]
Key = tuple[str | None, float]
"""Name and time of a place."""


@dataclass(frozen=True)
class Reasoning:
    """What was found.

    Attributes:
        polar: agreement in [0, 1] of each statement of a position.
        motion: likewise, of a motion.
        repeats: likewise, of places that are claimed more than once for one time.
        length_m: stated last before the conclusion, claimed places apart; None: none.
        angle_deg: likewise.
        position_m: likewise, (x, y).
    """

    polar: tuple[float, ...]
    motion: tuple[float, ...]
    repeats: tuple[float, ...]
    length_m: float | None
    angle_deg: float | None
    position_m: Xy | None


def read_reasoning(trace: ReadTrace) -> Reasoning:
    """Statements of the steps of a trace."""
    text = "\n".join(step for step in trace.steps if not step.startswith(_CONCLUDES))
    claimed = _claimed(trace.places)
    xy_of = {key: (sum(x) / len(x), sum(y) / len(y)) for key, (x, y) in claimed.items()}
    positions, apart = _last(_POSITION, text), _CLAIMED_PLACE.sub("", text)
    return Reasoning(
        polar=(*_polar(text), *_along(text, xy_of)),
        motion=(*_moved(text, xy_of), *_leads(text, xy_of), *_gone(text)),
        repeats=tuple(_spread(x, y) for x, y in claimed.values()),
        length_m=next(iter(_last(_LENGTH, apart)), None),
        angle_deg=next(iter(_last(_ANGLE, apart)), None),
        position_m=(positions[0], positions[1]) if positions else None,
    )


def agreement(stated: float, implied: float, rounding: float) -> float:
    """1 up to what rounding explains, then a Gaussian fall with a tenth of the value, at least 0.2, as σ."""
    over = abs(stated - implied) - rounding
    scale = max(_LEAST_SCALE, _SCALE_SHARE * abs(implied))
    return 1.0 if over <= 0 else math.exp(-0.5 * min(over / scale, _FAR) ** 2)


def angle_agreement(stated_deg: float, implied_deg: float) -> float:
    """The same for angles told to a degree, a bearing's band as σ."""
    over = abs(float(wrap_deg(stated_deg - implied_deg))) - TOLD_DEG
    return 1.0 if over <= 0 else math.exp(-0.5 * (over / BEARING_BAND_DEG) ** 2)


def _claimed(places: Sequence[PlaceClaim]) -> dict[Key, tuple[list[float], list[float]]]:
    """All x and all y that are claimed for a name and a time."""
    found: dict[Key, tuple[list[float], list[float]]] = {}
    for place in places:
        x_m, y_m = _xy(place)
        all_x, all_y = found.setdefault((place.name, round(place.offset_s, 1)), ([], []))
        all_x.append(x_m)
        all_y.append(y_m)
    return found


def _spread(x_m: list[float], y_m: list[float]) -> float:
    """Agreement of places that should be one."""
    low_m, high_m = (min(x_m), min(y_m)), (max(x_m), max(y_m))
    return _same_place(low_m, high_m, _rounding_m(low_m) + _rounding_m(high_m))


def _polar(text: str) -> Iterator[float]:
    for x_m, y_m, distance_m, told_deg in _found(_POLAR, text):
        yield agreement(distance_m, math.hypot(x_m, y_m), TOLD_M)
        yield _bearing_agreement(told_deg, x_m, y_m)


def _along(text: str, xy_of: Mapping[Key, Xy]) -> Iterator[float]:
    for found in _ALONG.finditer(text):
        x_m, y_m = float(found[2]), float(found[3])
        if found[4] is not None:
            yield _bearing_agreement(float(found[4]), x_m, y_m)
        if found[5] is not None:
            yield agreement(float(found[5]), math.hypot(x_m, y_m), TOLD_M)
        if (place := xy_of.get((found[1], 0.0))) is not None:
            yield _same_place((x_m, y_m), place, _rounding_m(place))


def _moved(text: str, xy_of: Mapping[Key, Xy]) -> Iterator[float]:
    """The rate against the displacement, and that against the places at both ends where both are claimed."""
    for found in _MOVED.finditer(text):
        dx_m, dy_m, time_s, vx_mps, vy_mps = map(float, found.groups()[1:])
        rounding_m = (_TOLD_S + 0.01) * math.hypot(vx_mps, vy_mps) + _TOLD_FINE * (1 + time_s)
        yield agreement(dx_m, vx_mps * time_s, rounding_m)
        yield agreement(dy_m, vy_mps * time_s, rounding_m)
        first, last = xy_of.get((found[1], round(-time_s, 1))), xy_of.get((found[1], 0.0))
        if first is not None and last is not None:
            told_m = _rounding_m(first) + _rounding_m(last)
            yield _same_place((first[0] + dx_m, first[1] + dy_m), last, told_m)


def _leads(text: str, xy_of: Mapping[Key, Xy]) -> Iterator[float]:
    """Where the last rate before leads to, from the place that goes with it."""
    start: re.Match[str] | None = None
    every = (*_MOVED.finditer(text), *_STARTS.finditer(text), *_LEADS.finditer(text))
    for found in sorted(every, key=lambda one: one.start()):
        if found.re is not _LEADS:
            start = found
        elif start is not None and (origin := _origin(start, xy_of)) is not None:
            time_s, x_m, y_m = map(float, found.groups())
            vx_mps, vy_mps = map(float, start.groups()[-2:])
            implied = (origin[0] + time_s * vx_mps, origin[1] + time_s * vy_mps)
            yield _same_place((x_m, y_m), implied, _rounding_m(origin) + _TOLD_FINE * (1 + time_s))


def _origin(start: re.Match[str], xy_of: Mapping[Key, Xy]) -> Xy | None:
    if start.re is _STARTS:
        return float(start[1]), float(start[2])
    return xy_of.get((start[1], 0.0))


def _gone(text: str) -> Iterator[float]:
    for before_m, after_m, time_s, rate_mps in _found(_GONE, text):
        rounding_m = (_TOLD_S + 0.01) * abs(rate_mps) + _TOLD_FINE * (2 + time_s)
        yield agreement(after_m - before_m, rate_mps * time_s, rounding_m)


def _same_place(stated_m: Xy, implied_m: Xy, rounding_m: float) -> float:
    return agreement(math.dist(stated_m, implied_m), 0.0, rounding_m + _TOLD_FINE)


def _rounding_m(place_m: Xy) -> float:
    """Most that rounding takes from a place told to a tenth of a metre and to a degree."""
    return TOLD_M + math.radians(TOLD_DEG) * math.hypot(*place_m)


def _bearing_agreement(told_deg: float, x_m: float, y_m: float) -> float:
    return angle_agreement(told_deg, math.degrees(math.atan2(y_m, x_m)))


def _xy(place: PlaceClaim) -> Xy:
    bearing_rad = math.radians(place.bearing_deg)
    return place.distance_m * math.cos(bearing_rad), place.distance_m * math.sin(bearing_rad)


def _found(pattern: re.Pattern[str], text: str) -> Iterator[list[float]]:
    for match in pattern.finditer(text):
        yield [float(number) for number in match.groups()]


def _last(pattern: re.Pattern[str], text: str) -> list[float]:
    """The numbers of the last match."""
    return next(iter(deque(_found(pattern, text), maxlen=1)), [])
