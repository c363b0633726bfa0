"""What follows from how things move: from the frames shown to what is to be expected, for questions about the future.

Each reason first says what the frames show and where it would lead if it went on like that; then what is expected. The first is
arithmetic on true states, the second is the truth: where they differ, something changes speed or turns.
"""

from __future__ import annotations

import numpy as np

from drive_vqa.geometry import bearing_deg, wrap_deg
from drive_vqa.time_to_collision import time_to_collision_s
from drive_vqa.traces import decimal
from qa_gen.tracing.reasons import Reason, degrees, finely, metres, speed, tenths
from qa_gen.tracing.scene import MarkState, Scene

SAME, SMALL_CHANGE, SMALL_SHARE = 0.05, 0.5, 0.1
"""Up to this far off, in m or m/s, going on evenly is right; up to this far, or this share, nearly."""

COLLISION_TOLD_S = 6.0
TIMES_S = (1.0, 2.0, 3.0)


def _horizon_s(scene: Scene) -> float:
    return float(scene.question["horizon_s"])


def _in(horizon_s: float) -> str:
    return f"In {horizon_s:g} second{'s' if horizon_s != 1 else ''}"


def _rates_mps(scene: Scene) -> tuple[float, float, float] | None:
    """Change of x and y in the ego frame a second, from the first context frame in which it is tracked, and since when."""
    states = scene.in_context()
    if len(states) < 2:
        return None
    (start_s, first), (end_s, last) = states[0], states[-1]
    past_s = end_s - start_s
    return (last.x_m - first.x_m) / past_s, (last.y_m - first.y_m) / past_s, past_s


def _drift(scene: Scene) -> list[str]:
    """How its place in the ego frame has changed."""
    rates = _rates_mps(scene)
    if rates is None:
        return []
    rate_x, rate_y, past_s = rates
    moved = f"({finely(rate_x * past_s)}, {finely(rate_y * past_s)}) m ahead and to the left"
    return [
        f"Seen from me, {scene.names[0]} has moved by {moved} in {decimal(past_s)} s, "
        f"that is ({finely(rate_x)}, {finely(rate_y)}) m/s."
    ]


def _later_place(scene: Scene) -> list[str]:
    """Where it will be in the ego frame of then."""
    horizon_s, now, then = _horizon_s(scene), scene.now(), scene.then(_horizon_s(scene))
    if horizon_s == 0:
        where = f"({finely(now.x_m)}, {finely(now.y_m)}) m from me"
        return [f"Its center is now at {where}, which is {metres(now.distance_m)} away at {degrees(now.bearing_deg)}."]
    said, rates = _drift(scene), _rates_mps(scene)
    if rates is not None:
        x_m, y_m = now.x_m + horizon_s * rates[0], now.y_m + horizon_s * rates[1]
        leads = f"{metres(float(np.hypot(x_m, y_m)))} at {degrees(float(bearing_deg(x_m, y_m)))}"
        said.append(f"{_in(horizon_s)} this would lead to ({finely(x_m)}, {finely(y_m)}) m, which is {leads}.")
        straight = (x_m, y_m)
    else:
        straight = (np.nan, np.nan)
    return [*said, *_expected_place(scene, straight, then)]


def _expected_place(scene: Scene, straight_m: tuple[float, float], then: MarkState | None) -> list[str]:
    if then is None:
        return []
    off_m = float(np.hypot(then.x_m - straight_m[0], then.y_m - straight_m[1]))
    where = f"({finely(then.x_m)}, {finely(then.y_m)}) m, {metres(then.distance_m)} away at {degrees(then.bearing_deg)}"
    return [f"{_lead_in(off_m, then.distance_m)} {scene.names[0]} at {where}."]


def _lead_in(off: float, value: float) -> str:
    """How an expectation follows from going on evenly, which is off by so much."""
    if off <= SAME:
        return "So I expect"
    if off <= max(SMALL_CHANGE, SMALL_SHARE * abs(value)):
        return "Allowing for small changes, I expect"
    return "But it will not go on quite like that: I expect" if np.isfinite(off) else "I expect"


def _place_of_now(scene: Scene) -> list[str]:
    """Where it will be in the ego frame of now: over ground it moves by its own velocity."""
    horizon_s, now, then = _horizon_s(scene), scene.now(), scene.then(_horizon_s(scene))
    pose = scene.now_SE3_then(horizon_s)
    if then is None or pose is None:
        return []
    place_m = pose @ np.array([then.x_m, then.y_m, then.z_m])
    said, straight = [], (np.nan, np.nan)
    if now.vx_mps is not None and now.vy_mps is not None:
        straight = (now.x_m + horizon_s * now.vx_mps, now.y_m + horizon_s * now.vy_mps)
        said = [
            f"It is at ({finely(now.x_m)}, {finely(now.y_m)}) m and moves at ({finely(now.vx_mps)}, {finely(now.vy_mps)}) m/s "
            f"over the ground, along and across my heading.",
            f"{_in(horizon_s)} this would lead to ({finely(straight[0])}, {finely(straight[1])}) m, seen from where I am now.",
        ]
    off_m = float(np.hypot(place_m[0] - straight[0], place_m[1] - straight[1]))
    lead = _lead_in(off_m, float(np.hypot(place_m[0], place_m[1])))
    return [*said, f"{lead} {scene.names[0]} at x {metres(place_m[0])}, y {metres(place_m[1])}."]


def _ego_speeds(scene: Scene) -> list[tuple[float, float]]:
    speeds = ((offset_s, scene.ego_speed_mps(offset_s)) for offset_s in sorted(set(scene.offsets_s)))
    return [(offset_s, value) for offset_s, value in speeds if value is not None]


def _target_speeds(scene: Scene) -> list[tuple[float, float]]:
    return [(offset_s, state.speed_mps) for offset_s, state in scene.in_context() if state.speed_mps is not None]


def _speed_story(whose: str, speeds: list[tuple[float, float]], horizon_s: float, then: float | None) -> list[str]:
    """Speeds up to now, where they lead, and what is expected."""
    said = []
    straight = np.nan
    if speeds:
        *past, (_, straight) = speeds
        told = ", ".join(f"{speed(value)} {_when(offset_s)}" for offset_s, value in past)
        said = [f"{whose} speed {f'was {told}, and ' if past else ''}is {speed(straight)} now."]
    if len(speeds) > 1 and horizon_s:
        rate = (speeds[-1][1] - speeds[0][1]) / (speeds[-1][0] - speeds[0][0])
        straight = max(0.0, straight + horizon_s * rate)
        said.append(
            f"That is a change of {finely(rate)} m/s each second; {_in(horizon_s).lower()} it would lead to {speed(straight)}."
        )
    if horizon_s and then is not None:
        said.append(f"{_lead_in(abs(then - straight), then)} {speed(then)}.")
    return said


def _when(offset_s: float) -> str:
    return f"{decimal(-offset_s)} s ago" if offset_s else "now"


def _ego_speed(scene: Scene) -> list[str]:
    horizon_s = _horizon_s(scene)
    return _speed_story("My", _ego_speeds(scene), horizon_s, scene.ego_speed_mps(horizon_s))


def _target_speed(scene: Scene) -> list[str]:
    horizon_s, then = _horizon_s(scene), scene.then(_horizon_s(scene))
    return _speed_story(f"{scene.names[0]}'s", _target_speeds(scene), horizon_s, then.speed_mps if then else None)


def _relative_speed(scene: Scene) -> list[str]:
    said = []
    for offset_s in dict.fromkeys((0.0, _horizon_s(scene))):
        state, own_mps = scene.then(offset_s), scene.ego_speed_mps(offset_s)
        if state is None or own_mps is None or state.vx_mps is None or state.vy_mps is None:
            continue
        relative = float(np.hypot(state.vx_mps - own_mps, state.vy_mps))
        both = f"{scene.names[0]} moves at ({finely(state.vx_mps)}, {finely(state.vy_mps)}) m/s along and across my heading"
        when = "Now" if offset_s == 0 else f"{_in(offset_s)} I expect that"
        said.append(f"{when} {both} and I drive at {finely(own_mps)} m/s: relative to me that is {speed(relative)}.")
    return said


def _approach(scene: Scene) -> list[str]:
    horizon_s, now, then = _horizon_s(scene), scene.now(), scene.then(_horizon_s(scene))
    said = _distance_rate(scene, horizon_s)
    if then is not None:
        change_m = then.distance_m - now.distance_m
        verdict = "less than half a meter" if abs(change_m) < 0.5 else "farther" if change_m > 0 else "closer"
        by = f"{finely(now.distance_m)} m to {finely(then.distance_m)} m"
        said.append(f"I expect it to go from {by}, a change of {metres(change_m)}: {verdict}.")
    return said


def _distance_rate(scene: Scene, horizon_s: float) -> list[str]:
    states = scene.in_context()
    if len(states) < 2:
        return []
    (start_s, first), (end_s, last) = states[0], states[-1]
    rate = (last.distance_m - first.distance_m) / (end_s - start_s)
    told = f"from {finely(first.distance_m)} m to {finely(last.distance_m)} m in {decimal(end_s - start_s)} s"
    return [
        f"Its distance has gone {told}, {finely(rate)} m/s; going on for {horizon_s:g} s would change it by "
        f"{metres(rate * horizon_s)}."
    ]


def _motion_state(scene: Scene) -> list[str]:
    said = _speed_story(f"{scene.names[0]}'s", _target_speeds(scene), 0.0, None)
    speeds = [state.speed_mps for (_, track), state in scene.states.agents.items() if track == scene.roles[0]]
    greatest = max((value for value in speeds if value is not None), default=0.0)
    if (scene.now().speed_mps or 0.0) > 1.0:
        return [*said, "Faster than 1 m/s is moving."]
    if greatest > 1.0:
        return [*said, f"It stands now, but at another time it drives, at up to {speed(greatest)}."]
    return [*said, "It stands now, and nothing suggests that it drives at another time."]


def _change_in_words(before: float | None, after: float | None) -> list[str]:
    if before is None or after is None:
        return []
    change = after - before
    verdict = (
        "faster by more than 1 m/s" if change > 1 else "slower by more than 1 m/s" if change < -1 else "about the same"
    )
    return [f"From {finely(before)} m/s to {finely(after)} m/s is a change of {speed(change)}: {verdict}."]


def _speed_change(scene: Scene) -> list[str]:
    then = scene.then(_horizon_s(scene))
    return [*_target_speed(scene), *_change_in_words(scene.now().speed_mps, then.speed_mps if then else None)]


def _ego_speed_change(scene: Scene) -> list[str]:
    return [*_ego_speed(scene), *_change_in_words(scene.ego_speed_mps(), scene.ego_speed_mps(_horizon_s(scene)))]


def _faster(scene: Scene) -> list[str]:
    (a, b), first, second = scene.names, scene.now(0).speed_mps or 0.0, scene.now(1).speed_mps or 0.0
    faster = a if first > second else b
    return [f"Now {a} moves at {finely(first)} m/s and {b} at {finely(second)} m/s: {faster} is faster."]


def _own_turn_deg(scene: Scene, offset_s: float) -> float | None:
    pose = scene.now_SE3_then(offset_s)
    return None if pose is None else float(np.degrees(pose.yaw_rad))


def _turn_of(scene: Scene, offset_s: float) -> float | None:
    """How far the heading of the agent over ground differs, at another time, from that of now."""
    own_deg, then = _own_turn_deg(scene, offset_s), scene.then(offset_s)
    if own_deg is None or then is None:
        return None
    return float(wrap_deg(then.yaw_deg + own_deg - scene.now().yaw_deg))


def _turn_story(who: str, past: tuple[float, float | None], horizon_s: float, then_deg: float | None) -> list[str]:
    past_s, before_deg = past
    said = []
    if before_deg is not None and past_s < 0:
        rate = before_deg / past_s
        so_far = f"Over the last {decimal(-past_s)} s {who} turned by {tenths(-before_deg)}, left positive"
        said.append(f"{so_far}; going on like that for {horizon_s:g} s would make {degrees(rate * horizon_s)}.")
    if then_deg is not None:
        said.append(f"Over the next {horizon_s:g} s I expect a turn of {degrees(then_deg)}.")
    return said


def _turning(scene: Scene) -> list[str]:
    horizon_s, states = _horizon_s(scene), scene.in_context()
    start_s = states[0][0] if states else 0.0
    then, now = scene.then(horizon_s), scene.now()
    said = _turn_story(scene.names[0], (start_s, _turn_of(scene, start_s)), horizon_s, _turn_of(scene, horizon_s))
    if now.speed_mps is not None and then is not None and then.speed_mps is not None:
        said.append(f"It moves at {finely(now.speed_mps)} m/s now, and I expect {finely(then.speed_mps)} m/s then.")
    return said


def _ego_turn(scene: Scene) -> list[str]:
    horizon_s, start_s = _horizon_s(scene), scene.offsets_s[0]
    return _turn_story("I", (start_s, _own_turn_deg(scene, start_s)), horizon_s, _own_turn_deg(scene, horizon_s))


def _ego_turning(scene: Scene) -> list[str]:
    now, then = scene.ego_speed_mps(), scene.ego_speed_mps(_horizon_s(scene))
    speeds = (
        []
        if now is None or then is None
        else [f"I drive at {finely(now)} m/s now, and I expect {finely(then)} m/s then."]
    )
    return [*_ego_turn(scene), *speeds]


def _ego_displacement(scene: Scene) -> list[str]:
    horizon_s, now_mps = _horizon_s(scene), scene.ego_speed_mps()
    pose = scene.now_SE3_then(horizon_s)
    said, straight = _speed_story("My", _ego_speeds(scene), 0.0, None), np.nan
    if now_mps is not None:
        straight = now_mps * horizon_s
        said.append(f"At the present speed, {horizon_s:g} s make {metres(straight)}.")
    if pose is not None:
        way_m = float(np.hypot(*pose.translation_m[:2]))
        said.append(f"{_lead_in(abs(way_m - straight), way_m)} {metres(way_m)} in a straight line.")
    return said


def _ego_motion(scene: Scene) -> list[str]:
    return [*_ego_displacement(scene), *_ego_turn(scene)]


def _both_motions(scene: Scene) -> list[str]:
    now, own_mps = scene.now(), scene.ego_speed_mps()
    said = [
        f"{scene.names[0]} is at ({finely(now.x_m)}, {finely(now.y_m)}) m and points {degrees(now.yaw_deg)} off my heading."
    ]
    if now.speed_mps is not None and own_mps is not None:
        said.append(f"It moves at {finely(now.speed_mps)} m/s, and I drive at {finely(own_mps)} m/s.")
    return said


def _manoeuvre(scene: Scene) -> list[str]:
    return [*_both_motions(scene), *_later_positions(scene)]


def _later_positions(scene: Scene) -> list[str]:
    """Where it is expected to be, seen from the ego at each time."""
    states = [(time_s, scene.then(time_s)) for time_s in TIMES_S]
    places = [f"({finely(state.x_m)}, {finely(state.y_m)}) m in {time_s:g} s" for time_s, state in states if state]
    return [f"From where I will be, I expect it at {', '.join(places)}."] if places else []


def _closest(scene: Scene) -> list[str]:
    last = scene.frame_at(3.0)
    if last is None:
        return _drift(scene)
    frames = scene.states.frames_between(scene.frame, last)
    found = [(state.distance_m, frame) for frame in frames if (state := scene.state(frame, scene.roles[0])) is not None]
    least_m, frame = min(found)
    after_s = (scene.states.time_ns[frame] - scene.states.time_ns[scene.frame]) / 1e9
    return [
        *_drift(scene),
        *_later_positions(scene),
        f"Of all times up to 3 s from now I expect the least distance, {metres(least_m)}, {_after(after_s)}.",
    ]


def _after(time_s: float) -> str:
    return f"in {decimal(time_s)} s" if time_s else "now"


def _collision(scene: Scene) -> list[str]:
    now, own_mps, config = scene.now(), scene.ego_speed_mps(), scene.config
    said = _both_motions(scene)
    if own_mps is None or now.vx_mps is None or now.vy_mps is None:
        return said
    own_box = np.array([config.ego_centre_x_m, 0.0, config.ego_length_m, config.ego_width_m, 0.0])
    ttc_s = float(
        time_to_collision_s(
            own_box, np.array([own_mps]), now.ground_box[None], np.array([now.vx_mps]), np.array([now.vy_mps])
        )[0]
    )
    said.append(
        f"Relative to me it moves at ({finely(now.vx_mps - own_mps)}, {finely(now.vy_mps)}) m/s, along and across."
    )
    if ttc_s <= COLLISION_TOLD_S:
        return [*said, f"If both keep their velocity, the outlines touch in {decimal(ttc_s)} s."]
    return [*said, f"If both keep their velocity, the outlines do not touch within {COLLISION_TOLD_S:g} s."]


def _arrives_first(scene: Scene) -> list[str]:
    return [*_both_motions(scene), *_later_positions(scene), "Our paths cross, and one of us is there first."]


def _enters_path(scene: Scene) -> list[str]:
    return [*_drift(scene), *_later_positions(scene), "My path then reaches from -1.8 to 1.8 m to the side."]


def _leaves_view(scene: Scene) -> list[str]:
    horizon_s, now, then = _horizon_s(scene), scene.now(), scene.then(_horizon_s(scene))
    said = [f"Now it is at a bearing of {degrees(now.bearing_deg)}.", *_drift(scene)]
    if then is not None:
        said.append(f"{_in(horizon_s)} I expect it {metres(then.distance_m)} away at {degrees(then.bearing_deg)}.")
    return said


FUTURE_REASONS: dict[str, Reason] = {
    "localization": _later_place,
    "distance": _later_place,
    "bearing": _later_place,
    "position": _later_place,
    "position_then": _later_place,
    "position_now": _place_of_now,
    "ego_speed": _ego_speed,
    "target_speed": _target_speed,
    "relative_speed": _relative_speed,
    "approach": _approach,
    "motion_state": _motion_state,
    "speed_change": _speed_change,
    "ego_speed_change": _ego_speed_change,
    "faster": _faster,
    "turning": _turning,
    "ego_turning": _ego_turning,
    "ego_turn": _ego_turn,
    "ego_displacement": _ego_displacement,
    "ego_motion": _ego_motion,
    "manoeuvre": _manoeuvre,
    "closest_distance": _closest,
    "closest_time": _closest,
    "time_to_collision": _collision,
    "collision_course": _collision,
    "arrives_first": _arrives_first,
    "enters_path": _enters_path,
    "leaves_view": _leaves_view,
}
"""By type, without the horizon at its end."""
