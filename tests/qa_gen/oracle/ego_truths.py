"""What is true of marked agents as seen from the ego, now."""

from __future__ import annotations

import itertools
import math
import re
from typing import Any

from shapely import Polygon, box

from drive_vqa.categories import CATEGORIES
from tests.qa_gen.oracle.case import (
    Case,
    OnTheEdge,
    Truth,
    above,
    below,
    clock,
    degrees,
    first_of,
    ratio,
    require,
    within,
    wrap,
)
from tests.qa_gen.oracle.lanes import lane_relation
from tests.qa_gen.oracle.object_truths import radius_m
from tests.qa_gen.oracle.raw import ego_box

Fields = dict[str, Any]
STRIPS = {half_m: box(0.0, -half_m, 60.0, half_m) for half_m in (1.5, 1.8, 2.1)}
"""The path ahead of the ego by its half width."""

BORDER_PX = 2.0


def shares_strip(ground: Polygon, half_m: float = 1.8) -> bool:
    """Whether a footprint shares area with the strip ahead of the ego."""
    if not ground.intersects(STRIPS[half_m]):
        return False
    area = ground.intersection(STRIPS[half_m]).area
    if area <= 1e-6:
        raise OnTheEdge
    return True


def _gap(case: Case) -> Fields:
    gap_m = float(case.log.ground(case.now, case.ids[0]).distance(ego_box()))
    require(not below(gap_m, 0.3), "it touches the ego")
    return {"distance_m": gap_m}


def _side(case: Case) -> Fields:
    angle = degrees(case.place(case.ids[0]))
    require(within(abs(angle), 5.0, 175.0), "straight ahead or behind")
    return {"choice": "left" if angle > 0 else "right"}


def _ahead_behind(case: Case) -> Fields:
    require(case.group["kind"] == "surround", "asked of surround views only")
    x_m = case.place(case.ids[0]).real
    ahead = above(x_m, 5.0)
    require(ahead or below(x_m, -3.0), "beside me")
    return {"choice": "ahead" if ahead else "behind"}


def _in_my_path(case: Case) -> Fields:
    return {"bool": shares_strip(case.log.ground(case.now, case.ids[0]))}


def _facing(case: Case) -> Fields:
    off = abs(wrap(math.degrees(case.log.heading(case.now, case.ids[0]))))
    if below(off, 35.0):
        return {"choice": "same way"}
    if above(off, 145.0):
        return {"choice": "opposite way"}
    require(within(off, 55.0, 125.0), "slanting")
    return {"choice": "across"}


def _lane_relation(case: Case) -> Fields:
    relation = lane_relation(case)
    off = abs(wrap(math.degrees(case.log.heading(case.now, case.ids[0]))))
    if relation == "a lane of oncoming traffic":
        require(above(off, 120.0), "it does not point my way")
    elif relation == "a crossing lane":
        require(within(off, 30.0, 150.0), "it does not point across")
    else:
        require(below(off, 60.0), "it does not point along its lane")
    return {"choice": relation}


def _heading(case: Case) -> Fields:
    return {"yaw_deg": wrap(math.degrees(case.log.heading(case.now, case.ids[0])))}


def _longer_than_me(case: Case) -> Fields:
    return {"bool": ratio(case.body(case.ids[0]).length_m, 4.6, 1.1)}


def _ranges(case: Case, ids: list[str]) -> dict[str, float]:
    return {track_id: abs(case.place(track_id)) for track_id in ids}


def _nearest_of_class(case: Case) -> Fields:
    nouns = {track_id: CATEGORIES[case.body(track_id).category].noun for track_id in case.all_ids}
    wanted = case.parameter
    of_it = [track_id for track_id, noun in nouns.items() if noun == wanted]
    require(len(of_it) >= 2 and len(of_it) < len(nouns), "needs two of the class and one of another")
    return {"choice": case.name(first_of(_ranges(case, of_it), 1.1))}


def _nearest_mark(case: Case) -> Fields:
    return {"choice": case.name(first_of(_ranges(case, case.all_ids), 1.1))}


def _rank_by_distance(case: Case) -> Fields:
    values = _ranges(case, case.all_ids)
    require(2 <= len(values) <= 5, "too few or too many to rank")
    ranked = sorted(values, key=values.__getitem__)
    for near, far in itertools.pairwise(ranked):
        require(above(values[far], 1.1 * values[near]), "two are as far")
    return {"marks": [case.number(track_id) for track_id in ranked]}


def _marks_within(case: Case) -> Fields:
    radius, values = radius_m(case), _ranges(case, case.all_ids)
    require(radius in (10.0, 20.0, 30.0), "no such radius")
    require(all(above(abs(value - radius), 0.05 * radius) for value in values.values()), "one is on the circle")
    return {"marks": sorted(case.number(track_id) for track_id, value in values.items() if value < radius)}


CLASSES = {
    "vehicles": lambda name: CATEGORIES[name].vehicle,
    "pedestrians": lambda name: name == "pedestrian",
    "cyclists and motorcyclists": lambda name: name in ("bicycle", "motorcycle"),
}


def _count_class(case: Case) -> Fields:
    require(case.parameter in CLASSES, f"no such class: {case.parameter}")
    return {"count": sum(CLASSES[case.parameter](case.body(track_id).category) for track_id in case.all_ids)}


SECTORS = {
    "single": {"to my left": ((0.0, 180.0),), "to my right": ((-180.0, 0.0),)},
    "surround": {
        "ahead of me": ((-45.0, 45.0),),
        "behind me": ((135.0, 180.0), (-180.0, -135.0)),
        "to my left": ((45.0, 135.0),),
        "to my right": ((-135.0, -45.0),),
    },
}
SECTOR_MARGIN_DEG = {"single": 2.0, "surround": 3.0}


def _count_sector(case: Case) -> Fields:
    kind = case.group["kind"]
    sector = re.sub(r"^on ", "", case.parameter)
    require(sector in SECTORS[kind], f"no such sector: {sector}")
    parts, margin = SECTORS[kind][sector], SECTOR_MARGIN_DEG[kind]
    edges = {edge for part in parts for edge in part if abs(edge) != 180.0}
    angles = [degrees(case.place(track_id)) for track_id in case.all_ids]
    for angle in angles:
        require(all(not below(abs(wrap(angle - edge)), margin) for edge in edges), "one is on the edge of the sector")
    return {"count": sum(any(low < angle <= high for low, high in parts) for angle in angles)}


def _partly_hidden(case: Case) -> Fields:
    regions = case.regions(case.ids[0])
    require(bool(regions), "no region")
    best = max(region["visible_fraction"] for region in regions.values())
    verdicts = []
    for context, region in regions.items():
        if region["visible_fraction"] == best:
            image = case.group["context"][context]
            inner = (
                region["u0_px"] > BORDER_PX
                and region["v0_px"] > BORDER_PX
                and region["u1_px"] < image["width"] - BORDER_PX
                and region["v1_px"] < image["height"] - BORDER_PX
            )
            verdicts.append(inner)
    if len(set(verdicts)) > 1:
        raise OnTheEdge
    require(verdicts[0], "it touches the border of the image")
    hidden = below(best, 0.7)
    require(hidden or above(best, 0.95), "neither hidden nor free")
    return {"bool": hidden}


def camera_words(name: str) -> frozenset[str]:
    """The words that tell one camera from another."""
    words = re.findall(r"[a-z]+", name.lower().replace("-", " ").replace("_", " "))
    same = {"rear": "back", "forward": "front"}
    return frozenset(same.get(word, word) for word in words) - {"cam", "camera", "ring", "the", "facing", "center"}


def _best_camera(case: Case) -> Fields:
    require(case.group["kind"] == "surround", "asked of surround views only")
    shown = {view["camera"] for view in case.group["context"]}
    shares = {
        camera: view[4] for camera, view in case.body(case.ids[0]).views.items() if camera in shown and view[4] > 0.0
    }
    require(bool(shares), "no camera sees it")
    ranked = sorted(shares, key=shares.__getitem__, reverse=True)
    require(len(ranked) == 1 or below(shares[ranked[1]], 0.8 * shares[ranked[0]]), "two cameras see it")
    return {"camera": ranked[0]}


TYPES: dict[str, tuple[int | None, str, Truth]] = {
    "distance": (1, "distance", lambda case: {"distance_m": abs(case.place(case.ids[0]))}),
    "gap": (1, "distance", _gap),
    "bearing": (1, "bearing", lambda case: {"bearing_deg": degrees(case.place(case.ids[0]))}),
    "clock": (1, "clock", lambda case: {"clock_hour": clock(degrees(case.place(case.ids[0])))}),
    "side": (1, "choice", _side),
    "ahead_behind": (1, "choice", _ahead_behind),
    "lateral": (1, "lateral", lambda case: {"y_m": case.place(case.ids[0]).imag}),
    "longitudinal": (1, "longitudinal", lambda case: {"x_m": case.place(case.ids[0]).real}),
    "in_my_path": (1, "bool", _in_my_path),
    "lane_relation": (1, "choice", _lane_relation),
    "facing": (1, "choice", _facing),
    "heading": (1, "turn", _heading),
    "longer_than_me": (1, "bool", _longer_than_me),
    "nearest_of_class": (None, "choice", _nearest_of_class),
    "nearest_mark": (None, "choice", _nearest_mark),
    "rank_by_distance": (None, "ranking", _rank_by_distance),
    "marks_within": (None, "regions", _marks_within),
    "count_class": (None, "count", _count_class),
    "count_sector": (None, "count", _count_sector),
    "count_sector_around": (None, "count", _count_sector),
    "partly_hidden": (1, "bool", _partly_hidden),
    "best_camera": (1, "choice", _best_camera),
}
"""Type → how many roles (None: about all marks), answer type, truth."""
