"""What follows from how marked agents stand to each other: the steps between evidence and answer of object-centric questions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from drive_vqa.geometry import bearing_deg, clock_hour, wrap_deg
from drive_vqa.traces import whole
from qa_gen.tracing.reasons import Reason, a_noun, degrees, finely, listed, metres, number_in, tenths, there_are
from qa_gen.tracing.scene import MarkState, Scene


def _left_right(scene: Scene) -> list[str]:
    (a, b), first, second = scene.names, scene.now(0), scene.now(1)
    apart_deg = wrap_deg(first.bearing_deg - second.bearing_deg)
    return [
        f"Left is positive: {a} is at a bearing of {tenths(first.bearing_deg)}, {b} at {tenths(second.bearing_deg)}.",
        f"So {a} is {tenths(abs(apart_deg))} farther to the {'left' if apart_deg > 0 else 'right'} than {b}.",
    ]


def _closer(scene: Scene) -> list[str]:
    return _greater(
        scene, lambda state: -state.distance_m, "is closer", lambda state: f"{metres(state.distance_m)} away"
    )


def _farther_ahead(scene: Scene) -> list[str]:
    return _greater(
        scene, lambda state: state.x_m, "is farther ahead", lambda state: f"{finely(state.x_m)} m ahead of me"
    )


def _greater(
    scene: Scene, value: Callable[[MarkState], float], which: str, say: Callable[[MarkState], str]
) -> list[str]:
    (a, b), first, second = scene.names, scene.now(0), scene.now(1)
    return [f"{a} is {say(first)}, and {b} is {say(second)}: {a if value(first) > value(second) else b} {which}."]


def _sized(value: Callable[[MarkState], float], adjective: str, comparative: str, unit: str = "m") -> Reason:
    def reason(scene: Scene) -> list[str]:
        return _greater(
            scene, value, f"is {comparative}", lambda state: f"about {finely(value(state))} {unit} {adjective}"
        )

    return reason


def _size(value: Callable[[MarkState], float], adjective: str) -> Reason:
    def reason(scene: Scene) -> list[str]:
        state = scene.now()
        return [
            f"{scene.names[0]} is {a_noun(state.category)}; from its look I take it to be {metres(value(state))} {adjective}."
        ]

    return reason


def _seen_from(scene: Scene) -> tuple[str, float]:
    """How the direction of b is found in a's own view, and its bearing there."""
    (a, b), first, second = scene.names, scene.now(0), scene.now(1)
    towards_deg = float(bearing_deg(second.x_m - first.x_m, second.y_m - first.y_m))
    own_deg = float(wrap_deg(towards_deg - np.degrees(first.yaw_rad)))
    return (
        f"{a} points {tenths(first.yaw_deg)} off my heading, and the way from {a} to {b} runs at {tenths(towards_deg)}: "
        f"seen from {a}, {b} is at a bearing of {degrees(own_deg)}.",
        own_deg,
    )


def _front_behind(scene: Scene) -> list[str]:
    said, own_deg = _seen_from(scene)
    return [said, f"That is {'in front of it' if abs(own_deg) < 90 else 'behind it'}."]


def _left_right_own(scene: Scene) -> list[str]:
    said, own_deg = _seen_from(scene)
    return [said, f"Left is positive, so that is on its {'left' if own_deg > 0 else 'right'}."]


def _pair_bearing(scene: Scene) -> list[str]:
    return [_seen_from(scene)[0]]


def _pair_clock(scene: Scene) -> list[str]:
    said, own_deg = _seen_from(scene)
    return [said, f"An hour is 30° clockwise, so that is {clock_hour(own_deg)} o'clock."]


def _above_below(scene: Scene) -> list[str]:
    (a, b), first, second = scene.names, scene.now(0), scene.now(1)
    apart_m = first.z_m - second.z_m
    heights = f"The center of {a} is at a height of {finely(first.z_m)} m, that of {b} at {finely(second.z_m)} m"
    return [f"{heights}: {a} is {metres(abs(apart_m))} {'higher' if apart_m > 0 else 'lower'}."]


def _offset(scene: Scene) -> tuple[str, float, float]:
    (a, b), first, second = scene.names, scene.now(0), scene.now(1)
    dx_m, dy_m = second.x_m - first.x_m, second.y_m - first.y_m
    return f"From {a} to {b} it is {finely(dx_m)} m along my heading and {finely(dy_m)} m to my left", dx_m, dy_m


def _pair_distance(scene: Scene) -> list[str]:
    said, dx_m, dy_m = _offset(scene)
    return [f"{said}, which makes {metres(float(np.hypot(dx_m, dy_m)))} between the centers."]


def _pair_gap(scene: Scene) -> list[str]:
    said, dx_m, dy_m = _offset(scene)
    gap_m = scene.now(0).gap_m(scene.now(1).ground_box)
    return [
        f"{said}, which makes {metres(float(np.hypot(dx_m, dy_m)))} between the centers.",
        f"Taking off what both reach towards each other leaves {metres(gap_m)} between the surfaces.",
    ]


def _pair_lateral(scene: Scene) -> list[str]:
    (a, b), first, second = scene.names, scene.now(0), scene.now(1)
    sides = f"{a} is {finely(first.y_m)} m to my left and {b} {finely(second.y_m)} m"
    return [f"{sides}: from {a} to {b} it is {metres(second.y_m - first.y_m)} to my left."]


def _pair_longitudinal(scene: Scene) -> list[str]:
    (a, b), first, second = scene.names, scene.now(0), scene.now(1)
    ahead = f"{a} is {finely(first.x_m)} m ahead of me and {b} {finely(second.x_m)} m"
    return [f"{ahead}: from {a} to {b} it is {metres(second.x_m - first.x_m)} ahead."]


def _relative_heading(scene: Scene) -> list[str]:
    (a, b), first, second = scene.names, scene.now(0), scene.now(1)
    turn_deg = float(wrap_deg(second.yaw_deg - first.yaw_deg))
    headings = f"Measured from my heading, {a} points at {tenths(first.yaw_deg)} and {b} at {tenths(second.yaw_deg)}"
    return [f"{headings}: from {a} to {b} it is a turn of {degrees(turn_deg)}."]


def _pair_heading(scene: Scene) -> list[str]:
    turn_deg = abs(float(wrap_deg(scene.now(1).yaw_deg - scene.now(0).yaw_deg)))
    kind = "the same way" if turn_deg < 45 else "opposite ways" if turn_deg > 135 else "across each other"
    return [*_relative_heading(scene), f"So they face {kind}."]


def _from_first(scene: Scene) -> list[tuple[float, str]]:
    first = scene.now(0)
    others = scene.all_marks(without_roles=True)
    return sorted((float(np.hypot(state.x_m - first.x_m, state.y_m - first.y_m)), name) for name, state in others)


def _nearest_to(scene: Scene) -> list[str]:
    distances = _from_first(scene)
    return [f"From {scene.names[0]} it is {listed(distances)}.", f"The nearest is {distances[0][1]}."]


def _farthest_from(scene: Scene) -> list[str]:
    distances = _from_first(scene)
    return [f"From {scene.names[0]} it is {listed(distances)}.", f"The farthest is {distances[-1][1]}."]


def _order_from(scene: Scene) -> list[str]:
    return [f"From {scene.names[0]} it is, by rising distance, {listed(_from_first(scene))}."]


def _count_within(scene: Scene) -> list[str]:
    distances, limit_m = _from_first(scene), number_in(scene.question["parameter"])
    inside = [name for distance_m, name in distances if distance_m <= limit_m]
    return [
        f"From {scene.names[0]} it is {listed(distances)}.",
        f"Within {limit_m:g} m {there_are(inside)}: {len(inside)}.",
    ]


def _between(scene: Scene) -> list[str]:
    a, b, c = (np.array([state.x_m, state.y_m]) for state in (scene.now(0), scene.now(1), scene.now(2)))
    way = b - a
    share = float((c - a) @ way / (way @ way))
    aside_m = abs(float(way[0] * (c - a)[1] - way[1] * (c - a)[0])) / float(np.hypot(*way))
    first, second, third = scene.names
    along = f"{whole(100 * share)} % of the way from {first} to {second}"
    return [
        f"Along the line, {third} is at {along} (0 % and 100 % are its ends), and {metres(aside_m)} to the side of it."
    ]


def _closer_to(scene: Scene) -> list[str]:
    a, b, c = scene.now(0), scene.now(1), scene.now(2)
    second_m, third_m = (float(np.hypot(state.x_m - a.x_m, state.y_m - a.y_m)) for state in (b, c))
    first, second, third = scene.names
    nearer = second if second_m < third_m else third
    return [
        f"From {first} it is {finely(second_m)} m to {second} and {finely(third_m)} m to {third}: {nearer} is nearer to it."
    ]


def _category(scene: Scene) -> list[str]:
    return [f"By its shape and size, {scene.names[0]} is {a_noun(scene.now().category)}."]


def _same_category(scene: Scene) -> list[str]:
    (a, b), first, second = scene.names, scene.now(0).category, scene.now(1).category
    verdict = "the same kind" if first == second else "not the same kind"
    return [f"{a} is {a_noun(first)} and {b} is {a_noun(second)}: {verdict}."]


def _volume_m3(state: MarkState) -> float:
    return state.length_m * state.width_m * state.height_m


OBJECT_REASONS: dict[str, Reason] = {
    "left_right": _left_right,
    "closer": _closer,
    "farther_ahead": _farther_ahead,
    "front_behind": _front_behind,
    "left_right_own": _left_right_own,
    "above_below": _above_below,
    "pair_clock": _pair_clock,
    "pair_bearing": _pair_bearing,
    "pair_distance": _pair_distance,
    "pair_gap": _pair_gap,
    "pair_lateral": _pair_lateral,
    "pair_longitudinal": _pair_longitudinal,
    "taller": _sized(lambda state: state.height_m, "tall", "taller"),
    "wider": _sized(lambda state: state.width_m, "wide", "wider"),
    "longer": _sized(lambda state: state.length_m, "long", "longer"),
    "bigger": _sized(_volume_m3, "in volume", "bigger", "m³"),
    "height": _size(lambda state: state.height_m, "tall"),
    "width": _size(lambda state: state.width_m, "wide"),
    "length": _size(lambda state: state.length_m, "long"),
    "pair_heading": _pair_heading,
    "relative_heading": _relative_heading,
    "nearest_to": _nearest_to,
    "farthest_from": _farthest_from,
    "order_from": _order_from,
    "between": _between,
    "closer_to": _closer_to,
    "count_within": _count_within,
    "category": _category,
    "same_category": _same_category,
}
"""By type."""
