"""The slices of a question, as far as they are places and manoeuvres."""

from __future__ import annotations

from collections.abc import Iterable

from tests.qa_gen.oracle.case import Case, NotAsked, OnTheEdge
from tests.qa_gen.oracle.manoeuvre import manoeuvre

SLICE_TOLERANCE_M = 0.006
"""Slices are stored to a hundredth."""


def slice_faults(case: Case) -> Iterable[str]:
    """Whether category, distance and manoeuvre of the first mark are right."""
    slices = case.row["slices"]
    if not case.ids or case.ids[0] is None or slices is None:
        return
    first = case.ids[0]
    if slices["category"] != case.body(first).category:
        yield f"slice category {slices['category']} instead of {case.body(first).category}"
    if abs(slices["distance_m"] - abs(case.place(first))) > SLICE_TOLERANCE_M:
        yield f"slice distance {slices['distance_m']} instead of {abs(case.place(first))}"
    relation = case.log.remembered(("relation", case.now, first), lambda: _relation(case, first))
    if relation != "either" and slices["relation"] != relation:
        yield f"slice relation {slices['relation']} instead of {relation}"


def _relation(case: Case, track_id: str) -> str | None:
    try:
        return manoeuvre(case, track_id).replace(" ", "_")
    except NotAsked:
        return None
    except OnTheEdge:
        return "either"
