"""Whether what is asked can really not be told from what is shown."""

from __future__ import annotations

from typing import Any

from drive_vqa.categories import CATEGORIES
from tests.qa_gen.oracle.case import Case, Truth, above, below, degrees, require, wrap

Fields = dict[str, Any]
UNDETERMINED: Fields = {"undetermined": True}


def _dealt(case: Case) -> set[int]:
    return {mark["mark"] for mark in case.group["marks"]}


def _absent_mark(case: Case) -> Fields:
    require(case.row["marks"][0] not in _dealt(case), "the region is there")
    require(case.ids[0] is None, "a track for a region that is not there")
    return UNDETERMINED


def _absent_pair(case: Case) -> Fields:
    present, absent = case.row["marks"]
    require(present in _dealt(case) and absent not in _dealt(case), "one region must be there and one not")
    require(case.ids[0] is not None and case.ids[1] is None, "a track for a region that is not there")
    return UNDETERMINED


def _shares(case: Case, track_id: str) -> list[float]:
    """Visible fraction in each image of the group."""
    found = []
    for view in case.group["context"]:
        body = case.log.bodies[view["frame"]].get(track_id)
        shown = None if body is None else body.views.get(view["camera"])
        found.append(0.0 if shown is None else shown[4])
    return found


def _is_hidden(case: Case, track_id: str) -> bool:
    """Behind the first mark, and in no image of the group."""
    body, mark = case.body(track_id), case.place(case.ids[0])
    if not (CATEGORIES[body.category].movable and CATEGORIES[body.category].noun == case.parameter and body.in_view):
        return False
    place = case.place(track_id)
    return (
        all(below(share, 0.02) for share in _shares(case, track_id))
        and not above(abs(wrap(degrees(place) - degrees(mark))), 3.0)
        and above(abs(place), abs(mark))
        and not above(abs(place), 60.0)
    )


def _hidden_behind(case: Case) -> Fields:
    others = [track_id for track_id in case.log.bodies[case.now] if track_id != case.ids[0]]
    require(any(_is_hidden(case, track_id) for track_id in others), "nothing of the kind is hidden behind it")
    return UNDETERMINED


def _unseen_behind(case: Case) -> Fields:
    def follows(track_id: str) -> bool:
        place = case.place(track_id)
        return (
            CATEGORIES[case.body(track_id).category].vehicle
            and above(abs(degrees(place)), 150.0)
            and below(abs(place), 30.0)
            and max(_shares(case, track_id)) <= 0.0
        )

    require(any(follows(track_id) for track_id in case.log.bodies[case.now]), "nothing follows")
    return UNDETERMINED


TYPES: dict[str, tuple[int, str, Truth]] = {
    "absent_mark": (1, "undetermined", _absent_mark),
    "absent_mark_future": (1, "undetermined", _absent_mark),
    "absent_pair": (2, "undetermined", _absent_pair),
    "hidden_behind": (1, "undetermined", _hidden_behind),
    "unseen_behind": (0, "undetermined", _unseen_behind),
}
"""Type → how many roles, answer type, truth."""
