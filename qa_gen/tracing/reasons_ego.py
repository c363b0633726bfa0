"""What follows from where marked agents are as seen from the ego: the steps between evidence and answer."""

from __future__ import annotations

import numpy as np

from drive_vqa.categories import CATEGORIES
from drive_vqa.geometry import clock_hour
from drive_vqa.traces import decimal
from qa_gen.tracing.reasons import Reason, a_noun, degrees, finely, listed, metres, number_in, there_are
from qa_gen.tracing.scene import Scene


def _coordinates(scene: Scene) -> str:
    state = scene.now()
    return (
        f"The center of {scene.names[0]} is {finely(state.x_m)} m along my heading and {finely(state.y_m)} m to my left"
    )


def _distance(scene: Scene) -> list[str]:
    return [f"{_coordinates(scene)}, which is {metres(scene.now().distance_m)} away."]


def _gap(scene: Scene) -> list[str]:
    config, state = scene.config, scene.now()
    own = np.array([config.ego_centre_x_m, 0.0, config.ego_length_m, config.ego_width_m, 0.0])
    return [
        f"{_coordinates(scene)}.",
        f"Taking off what my car and {scene.names[0]} reach towards each other leaves {metres(state.gap_m(own))}.",
    ]


def _bearing(scene: Scene) -> list[str]:
    return [f"{_coordinates(scene)}, which is at a bearing of {degrees(scene.now().bearing_deg)}."]


def _clock(scene: Scene) -> list[str]:
    state = scene.now()
    return [*_bearing(scene), f"An hour is 30° clockwise, so that is {clock_hour(state.bearing_deg)} o'clock."]


def _side(scene: Scene) -> list[str]:
    left = scene.now().bearing_deg > 0
    return [*_bearing(scene), f"Left is positive, so {scene.names[0]} is to my {'left' if left else 'right'}."]


def _coordinates_alone(scene: Scene) -> list[str]:
    return [f"{_coordinates(scene)}."]


def _ahead_behind(scene: Scene) -> list[str]:
    return [f"{_coordinates(scene)}.", f"So it is {'ahead of' if scene.now().x_m > 0 else 'behind'} me."]


def _in_my_path(scene: Scene) -> list[str]:
    x, y, length_m, width_m, yaw_rad = scene.now().ground_box
    reach_x = 0.5 * (abs(np.cos(yaw_rad)) * length_m + abs(np.sin(yaw_rad)) * width_m)
    reach_y = 0.5 * (abs(np.sin(yaw_rad)) * length_m + abs(np.cos(yaw_rad)) * width_m)
    return [
        f"To the side, {scene.names[0]} reaches from {decimal(y - reach_y)} to {decimal(y + reach_y)} m with left positive, "
        f"and along my heading from {decimal(x - reach_x)} to {decimal(x + reach_x)} m.",
        "My path reaches from -1.8 to 1.8 m to the side and from 0 to 60 m along my heading.",
    ]


def _heading(scene: Scene) -> list[str]:
    return [f"The front of {scene.names[0]} is turned {degrees(scene.now().yaw_deg)} from my heading, left positive."]


def _facing(scene: Scene) -> list[str]:
    turn_deg = abs(scene.now().yaw_deg)
    kind = "the same way" if turn_deg < 45 else "the opposite way" if turn_deg > 135 else "across"
    return [*_heading(scene), f"So it faces {kind}."]


def _longer_than_me(scene: Scene) -> list[str]:
    length_m = scene.now().length_m
    own = f"mine is {scene.config.ego_length_m:g} m"
    return [f"{scene.names[0]} is {a_noun(scene.now().category)} about {finely(length_m)} m long, {own}."]


def _by_distance(scene: Scene, noun: str | None = None) -> list[tuple[float, str]]:
    marks = scene.all_marks()
    return sorted((state.distance_m, name) for name, state in marks if noun is None or state.noun == noun)


def _nearest_of_class(scene: Scene) -> list[str]:
    noun = scene.question["parameter"]
    distances = _by_distance(scene, noun)
    return [
        f"Of the kind {noun} are {', '.join(name for _, name in distances)}.",
        f"From me it is {listed(distances)}: the nearest is {distances[0][1]}.",
    ]


def _nearest_mark(scene: Scene) -> list[str]:
    distances = _by_distance(scene)
    return [f"From me it is {listed(distances)}.", f"The nearest is {distances[0][1]}."]


def _rank_by_distance(scene: Scene) -> list[str]:
    return [f"By rising distance, from me it is {listed(_by_distance(scene))}."]


def _marks_within(scene: Scene) -> list[str]:
    distances, limit_m = _by_distance(scene), number_in(scene.question["parameter"])
    inside = [name for distance_m, name in distances if distance_m <= limit_m]
    return [f"From me it is {listed(distances)}.", f"Within {limit_m:g} m {there_are(inside)}."]


def _count_class(scene: Scene) -> list[str]:
    kind = scene.question["parameter"]
    marks = scene.all_marks()
    inside = [name for name, state in marks if _is_of(state.category, kind)]
    what = ", ".join(f"{name} is {a_noun(state.category)}" for name, state in marks)
    return [f"{what}.", f"Of the class of {kind} {there_are(inside)}: {len(inside)}."]


def _is_of(category: str, kind: str) -> bool:
    if kind == "vehicles":
        return CATEGORIES[category].vehicle
    return category in ({"pedestrian"} if kind == "pedestrians" else {"bicycle", "motorcycle"})


def _count_sector(scene: Scene) -> list[str]:
    sector, around = scene.question["parameter"], scene.question["type"].endswith("around")
    marks = scene.all_marks()
    inside = [name for name, state in marks if _sector(state.bearing_deg, around) == sector]
    where = ", ".join(f"{name} at {degrees(state.bearing_deg)}" for name, state in marks)
    return [f"The bearings, left positive, are: {where}.", f"So {sector} {there_are(inside)}: {len(inside)}."]


def _sector(bearing: float, around: bool) -> str:
    if around and abs(bearing) < 45:
        return "ahead of me"
    if around and abs(bearing) > 135:
        return "behind me"
    return "to my left" if bearing > 0 else "to my right"


def _partly_hidden(scene: Scene) -> list[str]:
    shown = _visible_percent(scene)
    return [f"Of {scene.names[0]}, about {max(shown.values())} % can be seen." if shown else "It cannot be seen."]


def _best_camera(scene: Scene) -> list[str]:
    shown = [
        f"{share} % of it in the image of {scene.camera(context)}" for context, share in _visible_percent(scene).items()
    ]
    return [f"I see {', '.join(shown)}."]


def _visible_percent(scene: Scene) -> dict[int, int]:
    mark = scene.marks[scene.question["marks"][0]]
    return {region["context"]: round(100 * region["visible_fraction"]) for region in mark["regions"]}


EGO_REASONS: dict[str, Reason] = {
    "distance": _distance,
    "gap": _gap,
    "bearing": _bearing,
    "clock": _clock,
    "side": _side,
    "ahead_behind": _ahead_behind,
    "lateral": _coordinates_alone,
    "longitudinal": _coordinates_alone,
    "in_my_path": _in_my_path,
    "lane_relation": _coordinates_alone,
    "facing": _facing,
    "heading": _heading,
    "longer_than_me": _longer_than_me,
    "nearest_of_class": _nearest_of_class,
    "nearest_mark": _nearest_mark,
    "rank_by_distance": _rank_by_distance,
    "marks_within": _marks_within,
    "count_class": _count_class,
    "count_sector": _count_sector,
    "count_sector_around": _count_sector,
    "partly_hidden": _partly_hidden,
    "best_camera": _best_camera,
}
"""By type."""
