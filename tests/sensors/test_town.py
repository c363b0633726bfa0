"""The towns hold together: lanes join, houses stand clear of the streets, the ground is made of proper polygons."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from drive_vqa.errors import ConfigError
from sensors.synth.lane_network import lane_network
from sensors.synth.scene import Town
from sensors.synth.town import TOWNS, build_town


@pytest.fixture(scope="module", params=TOWNS)
def town(request):
    return build_town(request.param)


def _heading(a, b):
    return np.arctan2(b[1] - a[1], b[0] - a[0])


def _signed_area(outline):
    x, y = outline.T
    return 0.5 * float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))


def _inside(points, outline):
    """Even-odd rule."""
    inside = np.zeros(len(points), dtype=bool)
    for (x0, y0), (x1, y1) in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        crosses = (y0 > points[:, 1]) != (y1 > points[:, 1])
        with np.errstate(divide="ignore", invalid="ignore"):
            at = (x1 - x0) * (points[:, 1] - y0) / (y1 - y0) + x0
        inside ^= crosses & (points[:, 0] < at)
    return inside


def _along_edges(outline, step_m=0.7):
    closed = np.vstack([outline, outline[:1]])
    parts = [
        a + np.linspace(0, 1, int(np.hypot(*(b - a)) / step_m) + 2)[:, None] * (b - a) for a, b in pairwise(closed)
    ]
    return np.concatenate(parts)


def test_there_are_towns_of_different_layout():
    towns = [build_town(name) for name in TOWNS]
    assert len(TOWNS) >= 2
    assert len({len(town.lanes) for town in towns}) == len(TOWNS)


def test_unknown_town_is_refused_with_the_names_to_choose_from():
    with pytest.raises(ConfigError, match=f"atlantis.*{TOWNS[0]}"):
        build_town("atlantis")


def test_same_name_builds_the_same_town(town: Town):
    build_town.cache_clear()
    again = build_town(town.name)
    assert again is not town
    assert [b.height_m for b in again.buildings] == [b.height_m for b in town.buildings]
    assert all(
        np.array_equal(a.outline_xy_m, b.outline_xy_m) for a, b in zip(again.surfaces, town.surfaces, strict=True)
    )
    assert again.props == town.props


def test_lanes_join_without_gap_or_kink(town: Town):
    by_id = {lane.lane_id: lane for lane in town.lanes}
    for lane in town.lanes:
        assert lane.successors, f"lane {lane.lane_id} leads nowhere"
        for successor in lane.successors:
            after = by_id[successor].centre_xy_m
            assert np.hypot(*(after[0] - lane.centre_xy_m[-1])) < 0.05
            turn = _heading(after[0], after[1]) - _heading(lane.centre_xy_m[-2], lane.centre_xy_m[-1])
            assert abs(np.rad2deg((turn + np.pi) % (2 * np.pi) - np.pi)) < 5.0


def test_no_kink_inside_a_lane(town: Town):
    for lane in town.lanes:
        step = np.diff(lane.centre_xy_m, axis=0)
        turn = np.diff(np.unwrap(np.arctan2(step[:, 1], step[:, 0])))
        assert np.max(np.abs(turn), initial=0.0) < np.deg2rad(9.0)


def test_every_lane_can_be_reached_from_every_other(town: Town):
    after = {
        lane.lane_id: (*lane.successors, *(n for n in (lane.left, lane.right) if n is not None)) for lane in town.lanes
    }
    for start in (0, len(town.lanes) - 1):
        seen, todo = {start}, [start]
        while todo:
            new = [lane for lane in after[todo.pop()] if lane not in seen]
            seen.update(new)
            todo.extend(new)
        assert len(seen) == len(town.lanes)


def test_neighbours_agree_and_run_beside_each_other_on_the_right_side(town: Town):
    pairs = [(lane, town.lanes[lane.left]) for lane in town.lanes if lane.left is not None]
    assert pairs
    for lane, left in pairs:
        assert left.right == lane.lane_id
        middle = len(lane.centre_xy_m) // 2
        forward = lane.centre_xy_m[middle + 1] - lane.centre_xy_m[middle]
        across = left.centre_xy_m[middle] - lane.centre_xy_m[middle]
        cross = (forward[0] * across[1] - forward[1] * across[0]) / np.hypot(*forward)
        assert 3.0 < cross < 3.6


def test_traffic_keeps_to_the_right(town: Town):
    """The nearest lane of the opposite direction is always to the left."""
    network = lane_network(town.name)
    streets = [path for path in network.paths if path.node is None]
    for path in streets:
        i = len(path.xy_m) // 2
        forward = np.array([np.cos(path.heading_rad[i]), np.sin(path.heading_rad[i])])
        opposite = [p for p in streets if p.segment_id == path.segment_id and p.across_m * path.across_m < 0]
        for other in opposite:
            towards = other.xy_m[np.argmin(np.sum((other.xy_m - path.xy_m[i]) ** 2, axis=1))] - path.xy_m[i]
            assert forward[0] * towards[1] - forward[1] * towards[0] > 3.0


def test_junctions_offer_left_straight_and_right(town: Town):
    network = lane_network(town.name)
    for node, legs in network.grid.legs.items():
        turns = {network.paths[lane].turn for lane in network.node_connectors[node]}
        if len(legs) >= 3:
            assert turns == {"left", "straight", "right"}


def test_right_turns_stay_clear_of_the_kerb(town: Town):
    sidewalks = [s.outline_xy_m for s in town.surfaces if s.kind == "sidewalk"]
    for lane in (lane for lane in town.lanes if lane.in_junction):
        centre = lane.centre_xy_m
        near = [s for s in sidewalks if np.min(np.hypot(*(s.mean(axis=0) - centre[len(centre) // 2]))) < 60]
        step = np.gradient(centre, axis=0)
        normal = np.column_stack([-step[:, 1], step[:, 0]]) / np.hypot(*step.T)[:, None]
        for side in (-1.3, 1.3):
            assert not any(_inside(centre + side * normal, outline).any() for outline in near)


def test_surfaces_are_counter_clockwise_and_simple(town: Town):
    assert {s.kind for s in town.surfaces} >= {"road", "junction", "crosswalk", "sidewalk", "grass", "plaza"}
    for surface in town.surfaces:
        assert _signed_area(surface.outline_xy_m) > 0.5
        edges = np.roll(surface.outline_xy_m, -1, axis=0) - surface.outline_xy_m
        assert np.min(np.hypot(*edges.T)) > 1e-3
        turning = np.unwrap(np.arctan2(edges[:, 1], edges[:, 0]))
        last = np.arctan2(np.sin(turning[0] - turning[-1]), np.cos(turning[0] - turning[-1]))
        assert turning[-1] - turning[0] + last == pytest.approx(2 * np.pi, abs=1e-6)


def test_sidewalks_are_a_kerb_high_and_roads_are_the_ground(town: Town):
    assert {s.height_m for s in town.surfaces if s.kind == "sidewalk"} == {0.15}
    assert {s.height_m for s in town.surfaces if s.kind in ("road", "junction")} == {0.0}


def test_buildings_stand_clear_of_roads_and_sidewalks(town: Town):
    ways = [s.outline_xy_m for s in town.surfaces if s.kind in ("road", "junction", "sidewalk", "crosswalk")]
    assert len(town.buildings) > 60
    for building in town.buildings:
        edge = _along_edges(building.outline_xy_m)
        low, high = edge.min(axis=0), edge.max(axis=0)
        for way in ways:
            if np.all(way.max(axis=0) > low) and np.all(way.min(axis=0) < high):
                assert not _inside(edge, way).any()
                assert not _inside(_along_edges(way), building.outline_xy_m).any()


def test_buildings_do_not_overlap_each_other(town: Town):
    outlines = [b.outline_xy_m for b in town.buildings]
    for i, a in enumerate(outlines):
        for b in outlines[i + 1 :]:
            if np.hypot(*(a.mean(axis=0) - b.mean(axis=0))) < 50:
                centre = a.mean(axis=0)
                shrunk = centre + (a - centre) * 0.99
                assert not _inside(_along_edges(shrunk), b).any()


def test_furniture_stands_off_the_roadway(town: Town):
    at = np.array([prop.xy_m for prop in town.props])
    for surface in town.surfaces:
        if surface.kind in ("road", "junction", "crosswalk"):
            assert not _inside(at, surface.outline_xy_m).any()
    assert {p.kind for p in town.props} == {"tree", "lamp", "traffic_light", "hedge", "bench", "sign"}


def test_ground_is_light_enough_to_render(town: Town):
    flat = sum(len(s.outline_xy_m) - 2 for s in town.surfaces)
    painted = sum(2 * (len(m.line_xy_m) - 1) for m in town.markings)
    assert flat + painted < 10_000
    assert len(town.buildings) < 300
    assert len(town.props) < 1_000
