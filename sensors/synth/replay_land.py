"""What covers the ground of a replayed scene: road, sidewalks and crosswalks as areas, lines of paint.

The map gives them where the log has one. Without it, or where the map is silent, there is road below the ego and below everyone
who drives, and a sidewalk beside it where people walk.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import shapely
from jaxtyping import Float
from shapely.geometry import LineString, MultiPoint, Polygon, box
from shapely.geometry.base import BaseGeometry

from sensors.synth.replay_scene import Drive
from sensors.synth.scene import Actor, Marking

REACH_M = 130.0
"""So far from the ego's path the land is drawn; beyond it there is grass."""
_HALF_LANE_M = 1.9
_EGO_HALF_M = 2.2
_SHOULDER_M = 0.6
_SEAM_M = 1.5
_SIDEWALK_M = 3.0
_GUTTER_M = 5.0
"""What is this near to both road and sidewalk is road."""
_LINE_WIDTH_M = 0.12
_BAR_M = 0.5
_STEP_M = 0.05
_FARTHEST_M = 1e7


@dataclass(frozen=True)
class Land:
    """Areas of the scene's frame, which do not overlap, and paint on them.

    Attributes:
        area: everything that is drawn.
        road: where one drives.
        sidewalk: raised beside it.
        bars: white bars of zebra crossings.
        markings: painted lines.
        paths: where anyone annotated ever is, and the ego.
    """

    area: BaseGeometry
    road: BaseGeometry
    sidewalk: BaseGeometry
    bars: tuple[Polygon, ...]
    markings: tuple[Marking, ...]
    paths: BaseGeometry


def build_land(drive: Drive, map_elements: pa.Table) -> Land:
    """Areas and lines around the ego's path."""
    ego = _line(drive.ego.xyz_m[:, :2])
    area = box(*ego.buffer(REACH_M).bounds)
    elements = list(_elements(map_elements, drive.offset_m, area))
    trails = [_trail(actor) for actor in drive.actors]
    wheels = [trail for actor, trail in zip(drive.actors, trails, strict=True) if actor.category.startswith("vehicle.")]
    driven = shapely.union_all([ego.buffer(_EGO_HALF_M), *(trail.buffer(_SHOULDER_M) for trail in wheels)])
    mapped = shapely.union_all([shape for kind, _, shape in elements if kind in _ROAD and shape.area > 0])
    lanes = [shape.buffer(_HALF_LANE_M, cap_style="flat") for kind, _, shape in elements if kind == "lane"]
    road = shapely.union_all([mapped, driven, *lanes]).buffer(_SEAM_M).buffer(-_SEAM_M)
    sidewalk = shapely.union_all([shape for kind, _, shape in elements if kind == "sidewalk" and shape.area > 0])
    if sidewalk.is_empty and any(actor.category.startswith("human.") for actor in drive.actors):
        sidewalk = road.buffer(_SIDEWALK_M)
    sidewalk = shapely.difference(sidewalk, shapely.union_all([mapped, driven]))
    gutter = shapely.intersection(road.buffer(_GUTTER_M), sidewalk.buffer(_GUTTER_M))
    road = shapely.union_all([road, gutter])
    road = _clean(shapely.intersection(shapely.difference(road, sidewalk), area))
    sidewalk = _clean(shapely.intersection(shapely.difference(sidewalk, road), area))
    return Land(
        area=area,
        road=road,
        sidewalk=sidewalk,
        bars=tuple(bar for kind, _, shape in elements if kind == "crosswalk" for bar in _zebra(shape)),
        markings=tuple(marking for element in elements for marking in _markings(*element, area)),
        paths=shapely.union_all([ego.buffer(_EGO_HALF_M), *trails]),
    )


_ROAD = ("drivable_area", "intersection")


def _line(xy_m: Float[np.ndarray, "n 2"]) -> BaseGeometry:
    return LineString(xy_m) if len(xy_m) > 1 else MultiPoint(xy_m)


def _elements(
    table: pa.Table, offset_m: Float[np.ndarray, "3"], area: BaseGeometry
) -> Iterator[tuple[str, str, BaseGeometry]]:
    """Kind, source's kind and shape of the map elements that reach the area; those that are no shape are left out."""
    for row in table.to_pylist():
        xy = np.array([row["x_m"], row["y_m"]], dtype=np.float64).T
        if xy.ndim != 2 or len(xy) < 2 or not np.isfinite(xy).all() or np.abs(xy).max() > _FARTHEST_M:
            continue
        xy = xy - offset_m[:2]
        shape = shapely.make_valid(Polygon(xy)) if row["closed"] and len(xy) > 2 else LineString(xy)
        if shape.intersects(area):
            yield row["kind"], row["source_kind"] or "", shape


def _trail(actor: Actor) -> BaseGeometry:
    """The ground that a box sweeps over."""
    track = actor.trajectory
    at = np.arange(len(track.yaw_rad)) if track.present is None else np.flatnonzero(track.present)
    half = 0.5 * np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * np.array(actor.size_lwh_m[:2])
    feet = []
    last: Float[np.ndarray, "3"] | None = None
    for place in at:
        here = np.array([*track.xyz_m[place, :2], track.yaw_rad[place]])
        if last is not None and np.abs(here - last).max() < _STEP_M:
            continue
        cos, sin = np.cos(here[2]), np.sin(here[2])
        foot = Polygon(half @ np.array([[cos, sin], [-sin, cos]]) + here[:2])
        if last is not None and np.hypot(*(here - last)[:2]) < REACH_M:
            feet.append(LineString([last[:2], here[:2]]).buffer(0.5 * actor.size_lwh_m[1], cap_style="flat"))
        feet.append(foot)
        last = here
    return shapely.union_all(feet)


def _clean(shape: BaseGeometry) -> BaseGeometry:
    """Areas only, without slivers and needless corners."""
    return shapely.make_valid(shape.simplify(0.04)).buffer(0.0)


def _zebra(shape: BaseGeometry) -> Iterator[Polygon]:
    """White bars along the shorter side of a crosswalk, as wide as the gaps between them."""
    if shape.area < 1.0:
        return
    corners = np.array(shape.minimum_rotated_rectangle.exterior.coords)[:4]
    sides = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    first = int(np.argmax(sides[:2]))
    start, across, along = corners[first], corners[first + 1], corners[first - 1]
    length = float(sides[first])
    if not 1.0 < length < 100.0:
        return
    to_across, to_along = (across - start) / length, along - start
    for near in np.arange(0.5 * _BAR_M, length - _BAR_M, 2 * _BAR_M):
        a, b = start + near * to_across, start + (near + _BAR_M) * to_across
        bar = shapely.intersection(Polygon([a, b, b + to_along, a + to_along]), shape)
        if isinstance(bar, Polygon) and bar.area > 0.2:
            yield bar


def _markings(kind: str, source_kind: str, shape: BaseGeometry, area: BaseGeometry) -> Iterator[Marking]:
    """Paint along a lane line; double lines are two."""
    if kind != "lane_line" or not isinstance(shape, LineString) or shape.length < 0.5:
        return
    words = source_kind.upper()
    dashed, yellow = "BROKEN" in words or "DASH" in words, "YELLOW" in words
    shifts = (-_LINE_WIDTH_M, _LINE_WIDTH_M) if "DOUBLE" in words else (0.0,)
    for shift in shifts:
        line = shapely.intersection(shape.simplify(0.02), area)
        for part in getattr(line, "geoms", [line]):
            if isinstance(part, LineString) and part.length > 0.5:
                moved = part.offset_curve(shift) if shift else part
                if isinstance(moved, LineString) and not moved.is_empty:
                    yield Marking(_stations(moved), _LINE_WIDTH_M, dashed, yellow)


def _stations(line: LineString) -> Float[np.ndarray, "n 2"]:
    """The line with a corner every metre, so that it can follow the ground."""
    return np.array(shapely.segmentize(line, 1.0).coords)
