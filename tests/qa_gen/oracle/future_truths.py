"""What will be true in up to three seconds."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from drive_vqa.categories import CATEGORIES
from tests.qa_gen.oracle.case import Case, OnTheEdge, Truth, above, below, degrees, require, wrap
from tests.qa_gen.oracle.collision import collision_s
from tests.qa_gen.oracle.crossing import first_crossing
from tests.qa_gen.oracle.ego_truths import shares_strip
from tests.qa_gen.oracle.manoeuvre import manoeuvre

Fields = dict[str, Any]


def _localization(h: int) -> Truth:
    def truth(case: Case) -> Fields:
        place = case.place(case.ids[0], case.then(h))
        return {"distance_m": abs(place), "bearing_deg": degrees(place)}

    return truth


def _only(name: str, h: int) -> Truth:
    return lambda case: {name: _localization(h)(case)[name]}


def _relative_speed(h: int) -> Truth:
    def truth(case: Case) -> Fields:
        body = case.body(case.ids[0], case.then(h))
        return {"speed_mps": abs(complex(case.known(body.vx_mps), case.known(body.vy_mps)) - case.ego_speed(h))}

    return truth


def _position_then(h: int) -> Truth:
    def truth(case: Case) -> Fields:
        place = case.place(case.ids[0], case.then(h))
        return {"x_m": place.real, "y_m": place.imag}

    return truth


def _position_now(h: int) -> Truth:
    def truth(case: Case) -> Fields:
        place = case.place(case.ids[0], case.then(h), case.now)
        return {"x_m": place.real, "y_m": place.imag}

    return truth


def _approach(h: int) -> Truth:
    def truth(case: Case) -> Fields:
        change_m = abs(case.place(case.ids[0], case.then(h))) - abs(case.place(case.ids[0]))
        require(below(abs(change_m), 0.4) or above(abs(change_m), 0.6), "neither kept nor changed")
        if abs(change_m) < 0.5:
            return {"choice": "keeping its distance"}
        return {"choice": "receding" if change_m > 0 else "closing"}

    return truth


def _is_movable(case: Case) -> None:
    require(CATEGORIES[case.body(case.ids[0]).category].movable, "it cannot move by itself")


def _motion_state(case: Case) -> Fields:
    track_id = case.ids[0]
    require(CATEGORIES[case.body(track_id).category].vehicle, "no vehicle")
    if above(case.speed(track_id), 1.0):
        return {"choice": "moving"}
    require(below(case.speed(track_id), 0.3), "neither moving nor standing")
    frames = case.log.frames_of[track_id]
    speeds = {case.log.time_ns[frame]: case.body(track_id, frame).speed_mps for frame in frames}
    known = {time_ns: speed for time_ns, speed in speeds.items() if speed is not None}
    there_s = (max(known) - min(known)) / 1e9
    if below(max(known.values()), 0.3):
        require(there_s >= 5.0, "not seen for long")
        return {"choice": "parked"}
    require(above(max(known.values()), 1.0), "not seen to move, not seen to stay")
    return {"choice": "stopped"}


def _change_words(now_mps: float, then_mps: float, keeping: str) -> Fields:
    require(above(max(now_mps, then_mps), 1.0), "it stands")
    change_mps = then_mps - now_mps
    if above(change_mps, 1.0):
        return {"choice": "speeding up"}
    if below(change_mps, -1.0):
        return {"choice": "slowing down"}
    require(below(abs(change_mps), 0.5), "a slight change")
    return {"choice": keeping}


def _speed_change(case: Case) -> Fields:
    _is_movable(case)
    track_id = case.ids[0]
    return _change_words(case.speed(track_id), case.speed(track_id, 2), "keeping its speed")


def _ego_speed_change(case: Case) -> Fields:
    return _change_words(case.ego_speed(), case.ego_speed(2), "keeping my speed")


def _turn_words(turn: Callable[[], float], speeds: list[float]) -> Fields:
    if all(below(speed, 0.3) for speed in speeds):
        return {"choice": "standing still"}
    require(above(speeds[0], 1.0) and above(speeds[3], 1.0), "it is slow")
    turn_deg = turn()
    if above(turn_deg, 15.0):
        return {"choice": "turning left"}
    if below(turn_deg, -15.0):
        return {"choice": "turning right"}
    require(below(abs(turn_deg), 7.0), "a slight turn")
    return {"choice": "going straight"}


def _turning(case: Case) -> Fields:
    _is_movable(case)
    track_id = case.ids[0]
    speeds = [case.speed(track_id, h) for h in range(4)]

    def turn() -> float:
        yaws = [math.degrees(case.log.heading(case.then(h), track_id)) for h in (0, 3)]
        return wrap(yaws[1] + _ego_turn_deg(case, 3) - yaws[0])

    return _turn_words(turn, speeds)


def _ego_turn_deg(case: Case, h: int) -> float:
    return wrap(math.degrees(case.known(case.log.ego_turn(case.then(h), case.now))))


def _ego_turning(case: Case) -> Fields:
    return _turn_words(lambda: _ego_turn_deg(case, 3), [case.ego_speed(h) for h in range(4)])


def _ego_turn(h: int) -> Truth:
    return lambda case: {"yaw_deg": _ego_turn_deg(case, h)}


def _way_m(case: Case, h: int) -> float:
    place = case.log.ego_place(case.then(h), case.now)
    require(place is not None, "no pose")
    return math.hypot(place[0], place[1])  # type: ignore[index]


def _ego_displacement(h: int) -> Truth:
    return lambda case: {"distance_m": _way_m(case, h)}


def _ego_motion(case: Case) -> Fields:
    return {"distance_m": _way_m(case, 3), "yaw_deg": _ego_turn_deg(case, 3)}


def _distances(case: Case) -> dict[int, float]:
    """Frame → distance over the next three seconds."""
    track_id = case.ids[0]
    for h in range(4):
        case.body(track_id, case.then(h))
    frames = case.log.frames_until(case.now, case.then(3))
    return {frame: abs(case.place(track_id, frame)) for frame in frames if track_id in case.log.bodies[frame]}


def _closest_distance(case: Case) -> Fields:
    return {"distance_m": min(_distances(case).values())}


def _closest_time(case: Case) -> Fields:
    values = _distances(case)
    nearest = min(values, key=values.__getitem__)
    apart = [value for frame, value in values.items() if abs(_after_ns(case, frame, nearest)) >= 500_000_000]
    if min(value for frame, value in values.items() if frame != nearest) - values[nearest] < 1e-9:
        raise OnTheEdge
    require(not apart or above(min(apart), 1.05 * values[nearest]), "it stays as near for long")
    time_s = _after_ns(case, nearest, case.now) / 1e9
    require(0.3 <= time_s <= 2.7, "at the start or the end")
    return {"time_s": time_s}


def _after_ns(case: Case, frame: int, other: int) -> int:
    return case.log.time_ns[frame] - case.log.time_ns[other]


def collision(case: Case, track_id: str) -> float | None:
    """When a mark and the ego collide if both keep their velocities; None: not within 10 s."""

    def make() -> float | None:
        body = case.body(track_id)
        velocity = complex(case.known(body.vx_mps), case.known(body.vy_mps)) - case.ego_speed()
        place, heading = case.place(track_id), case.log.heading(case.now, track_id)
        return collision_s(place, heading, body.length_m, body.width_m, velocity)

    return case.log.remembered(("collision", case.now, track_id), make)


def _time_to_collision(case: Case) -> Fields:
    time_s = collision(case, case.ids[0])
    require(time_s is not None and 0 < time_s <= 6.0 + 1e-9, "no collision ahead")
    return {"time_s": time_s}


def _collision_course(case: Case) -> Fields:
    time_s = collision(case, case.ids[0])
    if time_s is not None and time_s <= 4.0 + 1e-9:
        return {"bool": True}
    require(time_s is None or time_s > 6.0 + 1e-9, "a collision far ahead")
    return {"bool": False}


def _arrives_first(case: Case) -> Fields:
    _is_movable(case)
    track_id = case.ids[0]
    frames = [case.then(0.5 * k) for k in range(7)]
    mine = [case.log.ego_place(frame, case.now) for frame in frames]
    require(None not in mine, "no pose")
    ego = [complex(place[0], place[1]) for place in mine]  # type: ignore[index]
    its = [case.place(track_id, frame, case.now) for frame in frames]
    crossing = first_crossing(ego, its)
    require(crossing is not None, "the paths do not cross")
    require(not below(crossing.angle_deg, 20.0), "the paths are nearly one")  # type: ignore[union-attr]
    off_s = _time_at(case, frames, crossing.first) - _time_at(case, frames, crossing.second)  # type: ignore[union-attr]
    require(not below(abs(off_s), 0.5), "both at once")
    return {"choice": "I" if off_s < 0 else case.name(track_id)}


def _time_at(case: Case, frames: list[int], at: float) -> float:
    """Seconds from now at a place along a path, counted in segments."""
    k = min(int(at), len(frames) - 2)
    start, end = (_after_ns(case, frame, case.now) / 1e9 for frame in frames[k : k + 2])
    return start + (at - k) * (end - start)


def _enters_path(case: Case) -> Fields:
    track_id = case.ids[0]
    for h in (1, 2, 3):
        case.body(track_id, case.then(h))
    require(not shares_strip(case.log.ground(case.now, track_id), 2.1), "it is in the path already")
    grounds = [case.log.ground(case.then(h), track_id) for h in (1, 2, 3)]
    enters = any(shares_strip(ground, 1.5) for ground in grounds)
    require(enters or not any(shares_strip(ground, 2.1) for ground in grounds), "at the edge of the path")
    return {"bool": enters}


def _leaves_view(h: int) -> Truth:
    def truth(case: Case) -> Fields:
        camera = case.group["context"][-1]["camera"]
        require(camera is not None, "no cameras")
        seen = case.body(case.ids[0]).views.get(camera)
        require(seen is not None and seen[4] >= 0.25, "not seen now")
        view = case.body(case.ids[0], case.then(h)).views.get(camera)
        share = 0.0 if view is None else view[4]
        leaves = not above(share, 0.02)
        require(leaves or not below(share, 0.25), "seen a little")
        return {"bool": leaves}

    return truth


def _manoeuvre(case: Case) -> Fields:
    name = manoeuvre(case, case.ids[0])
    require(name != "overtaking me", "what comes from behind has no region")
    return {"choice": name}


def _faster(case: Case) -> Fields:
    a, b = case.ids
    off_mps = case.speed(a) - case.speed(b)
    require(not below(abs(off_mps), 1.0), "as fast")
    return {"choice": case.name(a if off_mps > 0 else b)}


TYPES: dict[str, tuple[int, str, Truth]] = {
    **{f"localization_t{h}": (1, "localization", _localization(h)) for h in range(4)},
    **{f"distance_t{h}": (1, "distance", _only("distance_m", h)) for h in range(4)},
    **{f"bearing_t{h}": (1, "bearing", _only("bearing_deg", h)) for h in range(4)},
    **{f"ego_speed_t{h}": (0, "speed", lambda case, h=h: {"speed_mps": case.ego_speed(h)}) for h in range(4)},
    **{
        f"target_speed_t{h}": (1, "speed", lambda case, h=h: {"speed_mps": case.speed(case.ids[0], h)})
        for h in range(4)
    },
    **{f"relative_speed_t{h}": (1, "speed", _relative_speed(h)) for h in range(4)},
    "position_t0": (1, "position", _position_then(0)),
    **{f"position_then_t{h}": (1, "position", _position_then(h)) for h in (1, 2, 3)},
    **{f"position_now_t{h}": (1, "position", _position_now(h)) for h in (1, 2, 3)},
    **{f"approach_t{h}": (1, "choice", _approach(h)) for h in (1, 2, 3)},
    "motion_state": (1, "choice", _motion_state),
    "speed_change_t2": (1, "choice", _speed_change),
    "ego_speed_change_t2": (0, "choice", _ego_speed_change),
    "turning_t3": (1, "choice", _turning),
    "ego_turning_t3": (0, "choice", _ego_turning),
    **{f"ego_turn_t{h}": (0, "turn", _ego_turn(h)) for h in (1, 2, 3)},
    **{f"ego_displacement_t{h}": (0, "distance", _ego_displacement(h)) for h in (1, 2, 3)},
    "ego_motion_t3": (0, "motion", _ego_motion),
    "manoeuvre": (1, "choice", _manoeuvre),
    "closest_distance": (1, "distance", _closest_distance),
    "closest_time": (1, "time", _closest_time),
    "time_to_collision": (1, "time", _time_to_collision),
    "collision_course": (1, "bool", _collision_course),
    "arrives_first": (1, "choice", _arrives_first),
    "enters_path_t3": (1, "bool", _enters_path),
    **{f"leaves_view_t{h}": (1, "bool", _leaves_view(h)) for h in (1, 2, 3)},
    "faster": (2, "choice", _faster),
}
"""Type → how many roles, answer type, truth."""
