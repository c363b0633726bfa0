"""What an annotator would write down at a keyframe: who is annotated, how many points hit them, how visible, doing what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from sensors.synth.camera_render import Seen
from sensors.synth.posed import Posed

_SEEN_WITHIN_M = 80.0
_LEAST_SEEN_PX = 12
_MOVING_MPS = 0.3


@dataclass(frozen=True)
class Label:
    """The annotation of one actor at one keyframe.

    Attributes:
        visibility: nuScenes' level: 1 (0-40 %), 2 (40-60 %), 3 (60-80 %), 4 (80-100 %) of it is visible in the six images.
        attribute: nuScenes' attribute name, or None where its category has none.
    """

    posed: Posed
    lidar_points: int
    radar_points: int
    visibility: int
    attribute: str | None


def label_actors(
    posed: Sequence[Posed],
    ego_xy_m: Float[np.ndarray, "2"],
    lidar_m: Float[np.ndarray, "n 3"],
    radar_m: Float[np.ndarray, "m 3"],
    seen: Sequence[Seen],
    everyone: bool = False,
) -> list[Label]:
    """Annotate everyone with a point, and everyone who shows in an image and is near enough; or everyone.

    Args:
        posed: at the time of the lidar.
        lidar_m, radar_m: all points, global frame.
        seen: of all cameras together.
    """
    pixels: dict[int, tuple[int, int]] = {}
    for view in seen:
        visible, alone = pixels.get(view.actor_index, (0, 0))
        pixels[view.actor_index] = (visible + view.visible_px, alone + view.alone_px)
    labels = []
    for one in posed:
        lidar_points, radar_points = _count(one, lidar_m), _count(one, radar_m)
        visible, alone = pixels.get(one.index, (0, 0))
        distance = float(np.hypot(*(one.global_SE3_actor.translation_m[:2] - ego_xy_m)))
        shows = visible >= _LEAST_SEEN_PX and distance <= _SEEN_WITHIN_M
        if everyone or lidar_points + radar_points > 0 or shows:
            labels.append(Label(one, lidar_points, radar_points, visibility_level(visible, alone), attribute_name(one)))
    return labels


def _count(posed: Posed, points_m: Float[np.ndarray, "n 3"]) -> int:
    centre = posed.global_SE3_actor.translation_m
    reach = posed.radius_m + 0.1
    beside = np.flatnonzero(np.abs(points_m[:, 0] - centre[0]) <= reach)
    near = points_m[beside[np.abs(points_m[beside, 1] - centre[1]) <= reach]]
    local = (near - centre) @ posed.global_SE3_actor.rotation
    return int((np.abs(local) <= 0.5 * np.array(posed.actor.size_lwh_m)).all(axis=1).sum())


def visibility_level(visible_px: int, alone_px: int) -> int:
    """The nuScenes token of a visible share; nothing in any image counts as hidden."""
    share = visible_px / alone_px if alone_px else 0.0
    return 1 + int(share >= 0.4) + int(share >= 0.6) + int(share >= 0.8)


def attribute_name(posed: Posed) -> str | None:
    """What it is doing, in nuScenes' words."""
    if posed.actor.attribute is not None:
        return posed.actor.attribute
    category, moving = posed.actor.category, posed.speed_mps > _MOVING_MPS
    if category in ("vehicle.bicycle", "vehicle.motorcycle"):
        return "cycle.with_rider"
    if category.startswith("vehicle."):
        return "vehicle.parked" if posed.actor.parked else "vehicle.moving" if moving else "vehicle.stopped"
    if category.startswith("human.pedestrian."):
        return "pedestrian.moving" if moving else "pedestrian.standing"
    return None
