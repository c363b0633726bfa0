"""When something happened in the clip of eight images, and where it was then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.qa_gen.oracle.case import Case, Truth, above, below, require

Fields = dict[str, Any]
Event = Callable[[Case], tuple[int, int, int]]
"""First and last context image of the interval, and the one that shows the event."""


def _moves(case: Case) -> list[bool]:
    """For each context image whether it moves; refused where that is not clear."""
    found = []
    for view in case.group["context"]:
        speed = case.known(case.body(case.ids[0], view["frame"]).speed_mps)
        moving = above(speed, 1.0)
        require(moving or below(speed, 0.3), "neither moving nor standing")
        found.append(moving)
    return found


def _marked(case: Case) -> list[bool]:
    regions = case.regions(case.ids[0])
    return [context in regions for context in range(len(case.group["context"]))]


def _run(flags: list[bool]) -> tuple[int, int]:
    """First and last of the one run of true."""
    true = [k for k, flag in enumerate(flags) if flag]
    require(0 < len(true) < len(flags), "always or never")
    require(true[-1] - true[0] + 1 == len(true), "more than one run")
    return true[0], true[-1]


def _interval(case: Case, first: int, last: int) -> Fields:
    context = case.group["context"]
    return {"start_s": context[first]["offset_s"], "end_s": context[last]["offset_s"]}


def _when_moving(case: Case) -> Fields:
    return _interval(case, *_run(_moves(case)))


def _when_standing(case: Case) -> Fields:
    return _interval(case, *_run([not moving for moving in _moves(case)]))


def _when_visible(case: Case) -> Fields:
    return _interval(case, *_run(_marked(case)))


def _change(flags: list[bool]) -> tuple[int, int, int]:
    """The last false and the first true, where all before are false and all after true."""
    first = flags.index(True) if True in flags else 0
    require(first >= 1 and all(flags[first:]), "not one change")
    return first - 1, first, first


def _starts(case: Case) -> tuple[int, int, int]:
    return _change(_moves(case))


def _stops(case: Case) -> tuple[int, int, int]:
    return _change([not moving for moving in _moves(case)])


def _appears(case: Case) -> tuple[int, int, int]:
    return _change(_marked(case))


def _closest(case: Case) -> tuple[int, int, int]:
    away = [abs(case.place(case.ids[0], view["frame"])) for view in case.group["context"]]
    k = away.index(min(away))
    require(1 <= k <= len(away) - 2, "closest at an end")
    require(not below(min(away[k - 1], away[k + 1]) - away[k], 0.2), "nearly as close before or after")
    return k - 1, k + 1, k


def _when(event: Event) -> Truth:
    return lambda case: _interval(case, *event(case)[:2])


def _where(event: Event) -> Truth:
    def truth(case: Case) -> Fields:
        at = event(case)[2]
        regions = case.regions(case.ids[0])
        require(at in regions, "not marked in that image")
        return {name: float(round(regions[at][name])) for name in ("u0_px", "v0_px", "u1_px", "v1_px")}

    return truth


def _both(event: Event) -> Truth:
    return lambda case: {**_when(event)(case), **_where(event)(case)}


EVENTS: dict[str, Event] = {"starts": _starts, "stops": _stops, "appears": _appears, "closest": _closest}

TYPES: dict[str, tuple[int, str, Truth]] = {
    "when_moving": (1, "interval", _when_moving),
    "when_standing": (1, "interval", _when_standing),
    "when_visible": (1, "interval", _when_visible),
    **{f"when_{name}": (1, "interval", _when(event)) for name, event in EVENTS.items()},
    **{f"where_{name}": (1, "box", _where(event)) for name, event in EVENTS.items()},
    **{f"{name}_when_where": (1, "interval_box", _both(event)) for name, event in EVENTS.items()},
}
"""Type → how many roles, answer type, truth."""
