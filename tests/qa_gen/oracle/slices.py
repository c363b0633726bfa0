"""The slices of a question: what its first mark is, where it is, how well it is seen, and what it does."""

from __future__ import annotations

from collections.abc import Iterable

from tests.qa_gen.oracle.case import Case, NotAsked, OnTheEdge, above
from tests.qa_gen.oracle.future_truths import collision
from tests.qa_gen.oracle.manoeuvre import manoeuvre
from tests.qa_gen.oracle.raw import Row

TOLERANCE = 0.006
"""Slices are stored to a hundredth."""

EITHER = "either"
"""On an edge every word is allowed."""


def slice_faults(case: Case) -> Iterable[str]:
    """Which slices of the first mark are wrong."""
    slices = case.row["slices"]
    if not case.ids or case.ids[0] is None:
        if any(value is not None for value in slices.values()):
            yield f"slices of no mark: {slices}"
        return
    first = case.ids[0]
    true = case.log.remembered(("slices", case.group["group_id"], first), lambda: _slices(case, first))
    for name, value in true.items():
        stored = slices[name]
        if isinstance(value, set):
            wrong = stored not in value
        elif isinstance(value, float):
            wrong = stored is None or abs(stored - value) > TOLERANCE
        else:
            wrong = value != EITHER and stored != value
        if wrong:
            yield f"slice {name} {stored} instead of {value}"


def _slices(case: Case, track_id: str) -> Row:
    body = case.body(track_id)
    now = {index for index, view in enumerate(case.group["context"]) if view["offset_s"] == 0}
    regions = [region for context, region in case.regions(track_id).items() if context in now]
    best = max((region["visible_fraction"] for region in regions), default=None)
    return {
        "category": body.category,
        "distance_m": abs(case.place(track_id)),
        "visible_fraction": best,
        "moving": None if body.speed_mps is None else body.speed_mps > 0.5,
        "ttc_bin": _ttc_bin(case, track_id),
        "difficulty": {_difficulty(region) for region in regions if region["visible_fraction"] == best}
        or {_far(abs(case.place(track_id)))},
        "relation": _relation(case, track_id),
    }


def _difficulty(region: Row) -> str:
    height_px = region["v1_px"] - region["v0_px"]
    for name, least_px, least_visible in (("easy", 40.0, 0.85), ("moderate", 25.0, 0.5)):
        if height_px >= least_px and region["visible_fraction"] >= least_visible:
            return name
    return "hard"


def _far(distance_m: float) -> str:
    """For what no present image shows."""
    return "hard" if above(distance_m, 40.0) else "moderate" if above(distance_m, 20.0) else "easy"


def _ttc_bin(case: Case, track_id: str) -> str | None:
    try:
        time_s = collision(case, track_id)
    except NotAsked:
        return None
    except OnTheEdge:
        return EITHER
    if time_s is None:
        return "none"
    edges = ((0.95, "<0.95"), (1.5, "0.95-1.5"), (3.0, "1.5-3"), (6.05, "3-6"))
    return next((name for edge, name in edges if time_s < edge - 1e-9), ">6")


def _relation(case: Case, track_id: str) -> str | None:
    try:
        return manoeuvre(case, track_id).replace(" ", "_")
    except NotAsked:
        return None
    except OnTheEdge:
        return EITHER
