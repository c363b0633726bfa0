"""What follows from a clip, and why some questions have no answer."""

from __future__ import annotations

from collections.abc import Callable

from drive_vqa.traces import decimal
from qa_gen.families.when_where import MOVING_MPS, STANDING_MPS
from qa_gen.tracing.reasons import Reason, finely
from qa_gen.tracing.scene import Scene


def _by_speed(scene: Scene) -> list[str]:
    """What it does in each frame."""
    states = [(offset_s, state.speed_mps) for offset_s, state in scene.in_context() if state.speed_mps is not None]
    told = [f"{finely(value)} m/s {_when(offset_s)} ({_state(value)})" for offset_s, value in states]
    return [f"The speeds of {scene.names[0]} are: {', '.join(told)}."]


def _state(speed_mps: float) -> str:
    return "moving" if speed_mps > MOVING_MPS else "standing" if speed_mps < STANDING_MPS else "between"


def _when(offset_s: float) -> str:
    return f"{decimal(-offset_s)} s ago" if offset_s else "now"


def _run(said: Reason, holds: Callable[[Scene], list[float]], what: str) -> Reason:
    """Something held in frames that follow each other."""

    def reason(scene: Scene) -> list[str]:
        times_s = holds(scene)
        if not times_s:
            return [*said(scene), f"It is {what} in no frame."]
        span = f"the first is that of {_when(times_s[0])}, the last that of {_when(times_s[-1])}"
        return [*said(scene), f"Of the frames in which it is {what}, {span}."]

    return reason


def _change(said: Reason, holds: Callable[[Scene], list[float]], what: str) -> Reason:
    """Something holds from a frame on."""

    def reason(scene: Scene) -> list[str]:
        first_s = min(holds(scene), default=scene.offsets_s[0])
        before_s = max((offset_s for offset_s in scene.offsets_s if offset_s < first_s), default=first_s)
        return [
            *said(scene),
            f"It {what} in the frame of {_when(first_s)} for the first time, and not yet in that of {_when(before_s)}.",
        ]

    return reason


def _by_view(scene: Scene) -> list[str]:
    seen = _marked(scene)
    unseen = [offset_s for offset_s in scene.offsets_s if offset_s not in seen]
    told = f"{scene.names[0]} is marked in these frames: {', '.join(map(_when, seen))}"
    return [f"{told}; it is not in these: {', '.join(map(_when, unseen))}." if unseen else f"{told}."]


def _marked(scene: Scene) -> list[float]:
    return [scene.offsets_s[context] for context in sorted(scene.regions(scene.question["marks"][0]))]


def _at_speed(state: str) -> Callable[[Scene], list[float]]:
    def times_s(scene: Scene) -> list[float]:
        states = scene.in_context()
        return [
            offset_s for offset_s, agent in states if agent.speed_mps is not None and _state(agent.speed_mps) == state
        ]

    return times_s


def _closest(scene: Scene) -> list[str]:
    distances = [(offset_s, state.distance_m) for offset_s, state in scene.in_context()]
    told = ", ".join(f"{finely(distance_m)} m {_when(offset_s)}" for offset_s, distance_m in distances)
    nearest_s = min(distances, key=lambda entry: entry[1])[0]
    before_s = max((offset_s for offset_s, _ in distances if offset_s < nearest_s), default=nearest_s)
    after_s = min((offset_s for offset_s, _ in distances if offset_s > nearest_s), default=nearest_s)
    return [
        f"The distances of {scene.names[0]} from me are: {told}.",
        f"The least is that of {_when(nearest_s)}; the frames next to it are those of {_when(before_s)} and {_when(after_s)}.",
    ]


def _absent(scene: Scene) -> list[str]:
    gone = [name for name, track in zip(scene.names, scene.roles, strict=True) if track is None]
    there = sorted(scene.marks)
    return [
        f"The regions marked are {', '.join(map(str, there))}.",
        f"The number {gone[-1].removeprefix('Region ')} is drawn nowhere, so there is no {gone[-1]} to look at.",
    ]


def _hidden(scene: Scene) -> list[str]:
    noun = scene.question["parameter"]
    return [
        f"What {scene.names[0]} hides entirely shows in no image, so I see nothing of the {noun}.",
        f"Without its size and its place in an image I have nothing to judge the distance of the {noun} by.",
    ]


def _behind(_: Scene) -> list[str]:
    return [
        "What is shown lies ahead of me.",
        "Nothing of it tells what is behind my car or how far away that is.",
    ]


_MOVES = _change(_by_speed, _at_speed("moving"), "moves")
_STANDS = _change(_by_speed, _at_speed("standing"), "stands")
_APPEARS = _change(_by_view, _marked, "is marked")

TIME_REASONS: dict[str, Reason] = {
    "when_moving": _run(_by_speed, _at_speed("moving"), "moving"),
    "when_standing": _run(_by_speed, _at_speed("standing"), "standing"),
    "when_visible": _run(_by_view, _marked, "in view"),
    "when_starts": _MOVES,
    "where_starts": _MOVES,
    "starts_when_where": _MOVES,
    "when_stops": _STANDS,
    "where_stops": _STANDS,
    "stops_when_where": _STANDS,
    "when_appears": _APPEARS,
    "where_appears": _APPEARS,
    "appears_when_where": _APPEARS,
    "when_closest": _closest,
    "where_closest": _closest,
    "closest_when_where": _closest,
    "absent_mark": _absent,
    "absent_mark_future": _absent,
    "absent_pair": _absent,
    "hidden_behind": _hidden,
    "unseen_behind": _behind,
}
"""By type."""
