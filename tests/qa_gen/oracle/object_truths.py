"""What is true of marked agents in one image, among themselves."""

from __future__ import annotations

import itertools
import math
import re
from typing import Any

from drive_vqa.categories import CATEGORIES
from tests.qa_gen.oracle.case import Case, Truth, above, below, clock, degrees, first_of, ratio, require, within, wrap

Fields = dict[str, Any]


def _left_right(case: Case) -> Fields:
    off = wrap(degrees(case.place(case.ids[0])) - degrees(case.place(case.ids[1])))
    require(not below(abs(off), 2.0), "nearly one behind the other")
    return {"choice": "left" if off > 0 else "right"}


def _closer(case: Case) -> Fields:
    a, b = case.ids
    farther = ratio(abs(case.place(a)), abs(case.place(b)), 1.1)
    return {"choice": case.name(b if farther else a)}


def _farther_ahead(case: Case) -> Fields:
    a, b = case.ids
    off_m = case.place(a).real - case.place(b).real
    require(not below(abs(off_m), 1.0), "nearly abreast")
    return {"choice": case.name(a if off_m > 0 else b)}


def _front_behind(case: Case) -> Fields:
    off = abs(degrees(case.seen_from(*case.ids)))
    front, behind = below(off, 80.0), above(off, 100.0)
    require(front or behind, "beside")
    return {"choice": "in front" if front else "behind"}


def _left_right_own(case: Case) -> Fields:
    angle = degrees(case.seen_from(*case.ids))
    require(within(abs(angle), 10.0, 170.0), "straight ahead or behind")
    return {"choice": "left" if angle > 0 else "right"}


def _above_below(case: Case) -> Fields:
    heights = [case.log.seen(case.now, track_id) for track_id in case.ids]
    off_m = heights[0][2] - heights[1][2]
    require(not below(abs(off_m), 0.5), "as high")
    return {"choice": "higher" if off_m > 0 else "lower"}


def _gap(case: Case) -> Fields:
    a, b = (case.log.ground(case.now, track_id) for track_id in case.ids)
    gap_m = float(a.distance(b))
    require(not below(gap_m, 0.3), "they touch")
    return {"distance_m": gap_m}


def _greater(name: str) -> Truth:
    def truth(case: Case) -> Fields:
        a, b = case.ids
        return {"choice": case.name(a if ratio(getattr(case.body(a), name), getattr(case.body(b), name), 1.1) else b)}

    return truth


def _bigger(case: Case) -> Fields:
    a, b = case.ids
    volume = [body.length_m * body.width_m * body.height_m for body in (case.body(a), case.body(b))]
    return {"choice": case.name(a if ratio(*volume, 1.2) else b)}


def _size(name: str) -> Truth:
    return lambda case: {"distance_m": getattr(case.body(case.ids[0]), name)}


def _pair_heading(case: Case) -> Fields:
    a, b = (case.log.heading(case.now, track_id) for track_id in case.ids)
    off = abs(wrap(math.degrees(a - b)))
    if below(off, 30.0):
        return {"choice": "the same way"}
    if above(off, 150.0):
        return {"choice": "opposite ways"}
    require(within(off, 60.0, 120.0), "slanting")
    return {"choice": "across each other"}


def _relative_heading(case: Case) -> Fields:
    a, b = (case.log.heading(case.now, track_id) for track_id in case.ids)
    return {"yaw_deg": wrap(math.degrees(b - a))}


def _distances(case: Case) -> dict[str, float]:
    return {track_id: abs(case.offset(case.ids[0], track_id)) for track_id in case.others}


def _nearest_to(case: Case) -> Fields:
    return {"choice": case.name(first_of(_distances(case), 1.1))}


def _farthest_from(case: Case) -> Fields:
    values = _distances(case)
    ranked = sorted(values, key=values.__getitem__, reverse=True)
    require(len(ranked) >= 2 and above(values[ranked[0]], 1.1 * values[ranked[1]]), "two are as far")
    return {"choice": case.name(ranked[0])}


def _order_from(case: Case) -> Fields:
    values = _distances(case)
    require(2 <= len(values) <= 4, "too few or too many to order")
    ranked = sorted(values, key=values.__getitem__)
    for near, far in itertools.pairwise(ranked):
        require(above(values[far], 1.1 * values[near]) and above(values[far], values[near] + 0.3), "two are as far")
    return {"marks": [case.number(track_id) for track_id in ranked]}


def _between(case: Case) -> Fields:
    a, b, c = (case.place(track_id) for track_id in case.ids)
    require(above(abs(b - a), 2.0), "the two ends are one place")
    across = (c - a) / (b - a)
    share, off_m = across.real, abs(across.imag) * abs(b - a)
    if within(share, 0.1, 0.9) and below(off_m, 2.0):
        return {"bool": True}
    require(below(share, -0.05) or above(share, 1.05) or above(off_m, 2.5), "nearly between")
    return {"bool": False}


def _closer_to(case: Case) -> Fields:
    a, b, c = case.ids
    farther = ratio(abs(case.offset(a, b)), abs(case.offset(a, c)), 1.1)
    return {"choice": case.name(c if farther else b)}


def radius_m(case: Case) -> float:
    """The radius that the parameter names."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?) meters", case.parameter)
    require(found is not None, f"no radius: {case.parameter}")
    return float(found[1])  # type: ignore[index]


def _count_within(case: Case) -> Fields:
    radius, values = radius_m(case), _distances(case)
    require(radius in (5.0, 10.0, 20.0) and len(values) >= 2, "too few to count")
    require(all(above(abs(value - radius), 0.05 * radius) for value in values.values()), "one is on the circle")
    return {"count": sum(value < radius for value in values.values())}


def _category(case: Case) -> Fields:
    name = case.body(case.ids[0]).category
    require(name not in ("other", "animal"), "no clear noun")
    return {"choice": CATEGORIES[name].noun}


TYPES: dict[str, tuple[int, str, Truth]] = {
    "left_right": (2, "choice", _left_right),
    "closer": (2, "choice", _closer),
    "farther_ahead": (2, "choice", _farther_ahead),
    "front_behind": (2, "choice", _front_behind),
    "left_right_own": (2, "choice", _left_right_own),
    "above_below": (2, "choice", _above_below),
    "pair_clock": (2, "clock", lambda case: {"clock_hour": clock(degrees(case.seen_from(*case.ids)))}),
    "pair_bearing": (2, "bearing", lambda case: {"bearing_deg": degrees(case.seen_from(*case.ids))}),
    "pair_distance": (2, "distance", lambda case: {"distance_m": abs(case.offset(*case.ids))}),
    "pair_gap": (2, "distance", _gap),
    "pair_lateral": (2, "lateral", lambda case: {"y_m": case.offset(*case.ids).imag}),
    "pair_longitudinal": (2, "longitudinal", lambda case: {"x_m": case.offset(*case.ids).real}),
    "taller": (2, "choice", _greater("height_m")),
    "wider": (2, "choice", _greater("width_m")),
    "longer": (2, "choice", _greater("length_m")),
    "bigger": (2, "choice", _bigger),
    "height": (1, "distance", _size("height_m")),
    "width": (1, "distance", _size("width_m")),
    "length": (1, "distance", _size("length_m")),
    "pair_heading": (2, "choice", _pair_heading),
    "relative_heading": (2, "turn", _relative_heading),
    "nearest_to": (1, "choice", _nearest_to),
    "farthest_from": (1, "choice", _farthest_from),
    "order_from": (1, "ranking", _order_from),
    "between": (3, "bool", _between),
    "closer_to": (3, "choice", _closer_to),
    "count_within": (1, "count", _count_within),
    "category": (1, "choice", _category),
    "same_category": (2, "bool", lambda case: {"bool": len({case.body(track).category for track in case.ids}) == 1}),
}
"""Type → how many roles, answer type, truth."""
