"""Houses, trees and lamps beside a replayed road: drawn from a seed, clear of every path and of every line of sight.

A box was annotated because a sensor met it. So nothing is put where it would stand between the ego and the middle of a box, in
any frame: what hides a box in the pictures is another annotated object, or nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import shapely
from jaxtyping import Float
from shapely.geometry import Point, Polygon
from shapely.geometry.base import BaseGeometry

from sensors.synth.replay_land import Land
from sensors.synth.replay_scene import Drive
from sensors.synth.scene import Building, Prop

_CLEAR_M = 6.0
"""From the road and from every path to the nearest trunk, post or wall."""
_SIGHT_M = 1.0
_SIGHTS_EVERY = 5
_PALETTE = ((0.62, 0.34, 0.27), (0.80, 0.72, 0.60), (0.66, 0.67, 0.68), (0.84, 0.74, 0.70), (0.56, 0.60, 0.64))
_STEP_M = 11.0
_MOST_THINGS = 600


@dataclass(frozen=True)
class Scenery:
    """What stands beside the road."""

    buildings: tuple[Building, ...]
    props: tuple[Prop, ...]


def draw_scenery(drive: Drive, land: Land, rng: np.random.Generator) -> Scenery:
    """Trees and lamps along the clear border of the road, houses in a second row."""
    taken = shapely.union_all([land.road, land.paths]).buffer(_CLEAR_M)
    shapely.prepare(taken)
    sights = shapely.STRtree(_sights(drive))
    houses: list[Polygon] = []
    for outline in _plots(taken, rng):
        clear = (
            not taken.intersects(outline)
            and land.area.contains(outline)
            and not len(sights.query(outline, "intersects"))
        )
        if clear and len(houses) < _MOST_THINGS and not any(outline.intersects(other) for other in houses):
            houses.append(outline)
    built = shapely.STRtree(houses)
    props: list[Prop] = []
    for prop in _border(taken, rng):
        foot = Point(prop.xy_m).buffer(_SIGHT_M + 0.2 * prop.height_m)
        clear = not len(sights.query(foot, "intersects")) and not len(built.query(foot, "intersects"))
        if clear and land.area.contains(foot) and len(props) < _MOST_THINGS:
            props.append(prop)
    return Scenery(tuple(_house(outline, rng) for outline in houses), tuple(props))


def _sights(drive: Drive) -> list[BaseGeometry]:
    """Lines from the ego to every box, at every few frames."""
    lines = []
    for actor in drive.actors:
        track = actor.trajectory
        there = np.arange(len(drive.times_s)) if track.present is None else np.flatnonzero(track.present)
        for place in there if len(there) < _SIGHTS_EVERY else there[::_SIGHTS_EVERY]:
            ends = np.stack([drive.ego.xyz_m[place, :2], track.xyz_m[place, :2]])
            lines.append(shapely.linestrings(ends))
    return lines


def _along(taken: BaseGeometry, away_m: float, step_m: float) -> Iterator[tuple[Float[np.ndarray, "2"], float]]:
    """Places around the taken ground, and the direction from each towards it."""
    rings = taken.buffer(away_m).boundary
    for ring in getattr(rings, "geoms", [rings]):
        for along in np.arange(0.0, ring.length, step_m):
            here, ahead = (np.array(ring.interpolate(place).coords[0]) for place in (along, along + 0.5))
            near = np.array(shapely.shortest_line(Point(here), taken).coords[-1])
            towards = near - here
            if np.hypot(*towards) < 1e-6:
                towards = np.array([-(ahead - here)[1], (ahead - here)[0]])
            yield here, float(np.arctan2(towards[1], towards[0]))


def _border(taken: BaseGeometry, rng: np.random.Generator) -> Iterator[Prop]:
    for number, (xy, towards) in enumerate(_along(taken, 0.6, _STEP_M)):
        draw, height, jitter = rng.random(), float(rng.uniform(5.0, 9.0)), rng.uniform(0.0, 2.0)
        place = xy - jitter * np.array([np.cos(towards), np.sin(towards)])
        at = (float(place[0]), float(place[1]))
        if number % 3 == 1:
            yield Prop("lamp", (float(xy[0]), float(xy[1])), towards, 7.0)
        elif draw < 0.55:
            yield Prop("tree", at, towards, height)
        elif draw < 0.65:
            yield Prop("hedge", at, towards + np.pi / 2, 1.0)


def _plots(taken: BaseGeometry, rng: np.random.Generator) -> Iterator[Polygon]:
    """Rectangles that face the road, in two rows."""
    for away in (5.0, 26.0):
        for here, towards in _along(taken, away, 9.0):
            width, depth, keep = rng.uniform(11.0, 22.0), rng.uniform(9.0, 15.0), rng.random()
            if keep < 0.8:
                front = np.array([np.cos(towards), np.sin(towards)])
                side = np.array([-front[1], front[0]])
                corners = [here - 0.5 * width * side, here - 0.5 * width * side - depth * front]
                corners += [here + 0.5 * width * side - depth * front, here + 0.5 * width * side]
                yield Polygon(corners)


def _house(outline: Polygon, rng: np.random.Generator) -> Building:
    floors = int(rng.integers(2, 7))
    colour = np.clip(np.array(_PALETTE[int(rng.integers(len(_PALETTE)))]) + rng.normal(0, 0.02, 3), 0.05, 0.95)
    corners = np.array(shapely.geometry.polygon.orient(outline).exterior.coords)[:-1]
    return Building(corners, 4.0 + 3.2 * floors, (float(colour[0]), float(colour[1]), float(colour[2])))
