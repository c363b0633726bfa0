"""Traffic that could happen: nothing runs through anything, motion is smooth, and everything promised does occur."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from drive_vqa.errors import ConfigError
from sensors.synth.fleet import EGO_BODY
from sensors.synth.lane_network import lane_network
from sensors.synth.scene import Actor, Scene
from sensors.synth.town import TOWNS
from sensors.synth.traffic import KEEP_RADIUS_M, simulate_scene
from sensors.synth.weather import draw_weather

# A fixed set of drives, all towns among them, picked so that together they show everything the traffic can do.
DRIVES = tuple((TOWNS[i % len(TOWNS)], i, 5) for i in (0, 2, 5, 8, 9, 14, 16, 17))


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [simulate_scene(town, index, seed) for town, index, seed in DRIVES]


def _boxes(scene):
    """(category, size, centre over time, yaw over time, parked) of the ego's box and of everyone else's."""
    ego = scene.ego
    ahead = np.column_stack([np.cos(ego.yaw_rad), np.sin(ego.yaw_rad)])
    out = [
        (
            "ego",
            (EGO_BODY.length_m, EGO_BODY.width_m),
            ego.xyz_m[:, :2] + EGO_BODY.centre_m * ahead,
            ego.yaw_rad,
            False,
        )
    ]
    for actor in scene.actors:
        track = actor.trajectory
        out.append((actor.category, actor.size_lwh_m[:2], track.xyz_m[:, :2], track.yaw_rad, actor.parked))
    return out


def _touch(a, b):
    """When two oriented boxes overlap (separating axes)."""
    (_, size_a, at_a, yaw_a, _), (_, size_b, at_b, yaw_b, _) = a, b
    between = at_b - at_a
    near = np.hypot(*between.T) < np.hypot(*size_a) / 2 + np.hypot(*size_b) / 2
    if not near.any():
        return near
    overlap = near
    for axis_yaw in (yaw_a, yaw_a + np.pi / 2, yaw_b, yaw_b + np.pi / 2):
        reach = sum(
            np.abs(np.cos(yaw - axis_yaw)) * size[0] / 2 + np.abs(np.sin(yaw - axis_yaw)) * size[1] / 2
            for size, yaw in ((size_a, yaw_a), (size_b, yaw_b))
        )
        distance = np.abs(between[:, 0] * np.cos(axis_yaw) + between[:, 1] * np.sin(axis_yaw))
        overlap = overlap & (distance < reach)
    return overlap


def _moving_vehicles(scene):
    return [a for a in scene.actors if a.category.startswith("vehicle.") and not a.parked]


def _walkers(scene):
    return [a for a in scene.actors if a.category.startswith("human.")]


def test_the_overlap_check_sees_an_overlap():
    yaw = np.array([0.0, np.pi / 4])
    a = ("a", (4.0, 2.0), np.zeros((2, 2)), np.zeros(2), False)
    b = ("b", (4.0, 2.0), np.tile([3.3, 1.9], (2, 1)), yaw, False)
    assert _touch(a, b).tolist() == [True, True]
    c = ("c", (4.0, 2.0), np.tile([3.3, 2.1], (2, 1)), np.zeros(2), False)
    assert _touch(a, c).tolist() == [False, False]


def test_no_box_runs_through_another(scenes):
    for scene in scenes:
        boxes = _boxes(scene)
        for i, a in enumerate(boxes):
            for b in boxes[i + 1 :]:
                people = a[0].startswith("human.") and b[0].startswith("human.")
                if not people:
                    assert not _touch(a, b).any(), f"{scene.name} {scene.town.name}: {a[0]} runs through {b[0]}"


def test_scene_is_sampled_at_20_hz_from_0_to_its_end(scenes):
    for scene, (_, index, _) in zip(scenes, DRIVES, strict=True):
        assert scene.name == f"scene-{index:04d}"
        assert scene.times_s[0] == 0.0
        assert scene.times_s[-1] == pytest.approx(20.0)
        np.testing.assert_allclose(np.diff(scene.times_s), 0.05, atol=1e-12)
        for track in (scene.ego, *(a.trajectory for a in scene.actors)):
            assert len(track.xyz_m) == len(track.yaw_rad) == len(track.speed_mps) == len(scene.times_s)
            assert np.isfinite(track.xyz_m).all()
            assert np.isfinite(track.yaw_rad).all()


def test_accelerations_and_yaw_rates_are_those_of_vehicles(scenes):
    for scene in scenes:
        for track in (scene.ego, *(a.trajectory for a in _moving_vehicles(scene))):
            assert np.abs(np.diff(track.speed_mps) / 0.05).max() < 8.0
            second = np.diff(track.xyz_m[:, :2], 2, axis=0) / 0.05**2
            assert np.hypot(*second.T).max() < 9.0
            assert np.abs(np.diff(track.yaw_rad) / 0.05).max() < 1.2
            assert track.speed_mps.max() < 16.0


def test_speed_is_that_of_the_positions(scenes):
    for scene in scenes:
        for actor in scene.actors:
            way = np.sum(np.hypot(*np.diff(actor.trajectory.xyz_m[:, :2], axis=0).T))
            assert np.sum(actor.trajectory.speed_mps[:-1]) * 0.05 == pytest.approx(way, rel=0.05, abs=0.5)


def test_the_rear_axle_does_not_slip_sideways(scenes):
    """The ego moves where it points: velocity and yaw agree within a degree or so."""
    for scene in scenes:
        step = np.diff(scene.ego.xyz_m[:, :2], axis=0)
        yaw = (scene.ego.yaw_rad[1:] + scene.ego.yaw_rad[:-1]) / 2
        rolling = np.hypot(*step.T) > 0.03
        slip = np.arctan2(step[:, 1], step[:, 0]) - yaw
        assert np.rad2deg(np.abs(np.arctan2(np.sin(slip), np.cos(slip)))[rolling]).max() < 1.5


def test_people_walk_at_a_walking_pace(scenes):
    for scene in scenes:
        for actor in _walkers(scene):
            assert actor.trajectory.speed_mps.max() < 2.0
            assert np.abs(np.diff(actor.trajectory.speed_mps) / 0.05).max() < 4.0
            assert np.hypot(*np.diff(actor.trajectory.xyz_m[:, :2], axis=0).T).max() < 0.11


def test_boxes_stand_on_their_ground(scenes):
    for scene in scenes:
        assert np.all(scene.ego.xyz_m[:, 2] == 0.0)
        for actor in scene.actors:
            under = actor.trajectory.xyz_m[:, 2] - actor.size_lwh_m[2] / 2
            if actor.category.startswith("human."):
                assert under.min() >= -1e-9
                assert under.max() <= 0.15 + 1e-9
            else:
                np.testing.assert_allclose(under, 0.0, atol=1e-9)


def test_only_actors_near_the_ego_are_kept_and_numbered_from_one(scenes):
    for scene in scenes:
        assert [a.actor_id for a in scene.actors] == list(range(1, len(scene.actors) + 1))
        for actor in scene.actors:
            away = np.hypot(*(actor.trajectory.xyz_m - scene.ego.xyz_m)[:, :2].T)
            assert away.min() <= KEEP_RADIUS_M


def _track_bytes(scene):
    tracks = [scene.ego, *(a.trajectory for a in scene.actors)]
    return b"".join(t.xyz_m.tobytes() + t.yaw_rad.tobytes() + t.speed_mps.tobytes() for t in tracks)


def test_same_arguments_same_scene_other_seed_or_index_another():
    first, again = simulate_scene(TOWNS[0], 3, 7, 1.0), simulate_scene(TOWNS[0], 3, 7, 1.0)
    assert _track_bytes(first) == _track_bytes(again)
    assert (first.description, first.weather) == (again.description, again.weather)
    assert [(a.category, a.size_lwh_m, a.color_rgb) for a in first.actors] == [
        (a.category, a.size_lwh_m, a.color_rgb) for a in again.actors
    ]
    assert _track_bytes(simulate_scene(TOWNS[0], 3, 8, 1.0)) != _track_bytes(first)
    assert _track_bytes(simulate_scene(TOWNS[0], 4, 7, 1.0)) != _track_bytes(first)
    assert _track_bytes(simulate_scene(TOWNS[1], 3, 7, 1.0)) != _track_bytes(first)


@pytest.mark.parametrize(
    ("town", "index", "seed", "duration"), [("atlantis", 0, 0, 20.0), (TOWNS[0], -1, 0, 20.0), (TOWNS[0], 0, 0, 0.0)]
)
def test_impossible_scenes_are_refused(town, index, seed, duration):
    with pytest.raises(ConfigError):
        simulate_scene(town, index, seed, duration)


def _bearing(scene, track):
    delta = track.xyz_m[:, :2] - scene.ego.xyz_m[:, :2]
    angle = np.arctan2(delta[:, 1], delta[:, 0]) - scene.ego.yaw_rad
    return np.hypot(*delta.T), np.arctan2(np.sin(angle), np.cos(angle))


def _in_front(scene, keyframe):
    """Speeds of actors in the front 70 degrees between 4 and 60 m."""
    out = []
    for actor in scene.actors:
        distance, bearing = _bearing(scene, actor.trajectory)
        if 4 < distance[keyframe] < 60 and abs(bearing[keyframe]) < np.deg2rad(35):
            out.append(actor.trajectory.speed_mps[keyframe])
    return np.array(out)


def test_there_is_something_to_ask_about_in_front_of_the_ego(scenes):
    views = [_in_front(scene, k) for scene in scenes for k in range(0, len(scene.times_s), 10)]
    assert np.mean([len(speeds) >= 2 for speeds in views]) >= 0.85
    assert np.mean(np.concatenate(views) > 0.2) >= 0.45


def test_the_ego_drives_most_of_the_time(scenes):
    speeds = np.concatenate([scene.ego.speed_mps for scene in scenes])
    assert np.mean(speeds > 0.3) > 0.6


def _lane_of(network, track):
    """Nearest lane to a vehicle at each second, among those of its direction; -1 when there is none within 2 m."""
    xy = np.concatenate([path.xy_m for path in network.paths])
    heading = np.concatenate([path.heading_rad for path in network.paths])
    lane = np.repeat(np.arange(len(network.paths)), [len(path.xy_m) for path in network.paths])
    out = []
    for at, yaw in zip(track.xyz_m[::20, :2], track.yaw_rad[::20], strict=True):
        away = np.hypot(*(xy - at).T) + np.where(np.cos(heading - yaw) > 0.7, 0.0, np.inf)
        out.append(int(lane[np.argmin(away)]) if away.min() < 2.0 else -1)
    return out


def test_lane_changes_occur(scenes):
    changes = 0
    for scene in scenes:
        network = lane_network(scene.town.name)
        for track in (scene.ego, *(a.trajectory for a in _moving_vehicles(scene))):
            for before, after in pairwise(_lane_of(network, track)):
                changes += after >= 0 and before >= 0 and after in (network.left[before], network.right[before])
    assert changes >= 3


def test_turns_at_junctions_occur_for_ego_and_others(scenes):
    def turned(track):
        return np.ptp(track.yaw_rad) > 1.2

    assert any(turned(scene.ego) for scene in scenes)
    assert sum(turned(a.trajectory) for scene in scenes for a in _moving_vehicles(scene)) >= 8


def test_hard_braking_occurs(scenes):
    hardest = [np.diff(a.trajectory.speed_mps).min() / 0.05 for scene in scenes for a in _moving_vehicles(scene)]
    assert sum(value < -3.5 for value in hardest) >= 2


def test_people_cross_the_street_and_vehicles_brake_for_them(scenes):
    crossers = [(scene, a) for scene in scenes for a in _walkers(scene) if _crosses(a)]
    assert len(crossers) >= 4
    assert sum(_is_braked_for(scene, walker) for scene, walker in crossers) >= 2


def _is_braked_for(scene: Scene, walker: Actor) -> bool:
    """Whether a vehicle slows down or stands close behind the line the walker takes over the roadway."""
    on_roadway = walker.trajectory.xyz_m[:, 2] - walker.size_lwh_m[2] / 2 < 0.01
    for track in (scene.ego, *(a.trajectory for a in _moving_vehicles(scene))):
        delta = (walker.trajectory.xyz_m - track.xyz_m)[:, :2]
        ahead = delta[:, 0] * np.cos(track.yaw_rad) + delta[:, 1] * np.sin(track.yaw_rad)
        beside = delta[:, 1] * np.cos(track.yaw_rad) - delta[:, 0] * np.sin(track.yaw_rad)
        braking = np.gradient(track.speed_mps, 0.05) < -0.8
        if np.any(on_roadway & (np.abs(beside) < 6) & (ahead > 2) & (ahead < 25) & braking):
            return True
    return False


def _crosses(actor: Actor) -> bool:
    under = actor.trajectory.xyz_m[:, 2] - actor.size_lwh_m[2] / 2
    return bool(under.max() > 0.1 and under.min() < 0.01 and actor.trajectory.speed_mps[under < 0.01].max() > 0.5)


def test_oncoming_traffic_passes_the_ego(scenes):
    passed = 0
    for scene in scenes:
        for actor in _moving_vehicles(scene):
            distance, bearing = _bearing(scene, actor.trajectory)
            opposed = np.cos(actor.trajectory.yaw_rad - scene.ego.yaw_rad) < -0.9
            coming = opposed & (actor.trajectory.speed_mps > 2) & (np.abs(bearing) < 0.6) & (distance < 50)
            passed += bool(coming.any())
    assert passed >= 5


def test_kinds_of_actors_are_mixed(scenes):
    assert {a.category for scene in scenes for a in scene.actors} == {
        "vehicle.car",
        "vehicle.truck",
        "vehicle.bus.rigid",
        "vehicle.motorcycle",
        "vehicle.bicycle",
        "human.pedestrian.adult",
        "human.pedestrian.child",
        "human.pedestrian.construction_worker",
        "movable_object.trafficcone",
        "movable_object.barrier",
    }


def test_weather_is_mixed_and_the_sun_shines_most_often():
    weathers = [draw_weather(np.random.default_rng([3, i])) for i in range(200)]
    names = [weather.name for weather in weathers]
    assert set(names) == {"sun", "dusk", "night", "fog"}
    assert max(set(names), key=names.count) == "sun"
    for weather in weathers:
        assert (weather.sun_elevation_rad < 0) == (weather.name == "night")
        assert (weather.visibility_m < 200) == (weather.name == "fog")


def test_cyclists_and_slow_vehicles_are_overtaken(scenes):
    """Somebody who was behind a moving vehicle in the same direction is ahead of it later, beside it in between."""
    overtaken = 0
    for scene in scenes:
        tracks = [scene.ego, *(a.trajectory for a in _moving_vehicles(scene))]
        overtaken += sum(_overtakes(a, b) for a in tracks for b in tracks if a is not b)
    assert overtaken >= 3


def _overtakes(a, b):
    delta = (b.xyz_m - a.xyz_m)[:, :2]
    ahead = delta[:, 0] * np.cos(a.yaw_rad) + delta[:, 1] * np.sin(a.yaw_rad)
    beside = np.abs(delta[:, 1] * np.cos(a.yaw_rad) - delta[:, 0] * np.sin(a.yaw_rad))
    together = (beside < 5) & (np.cos(a.yaw_rad - b.yaw_rad) > 0.9) & (a.speed_mps > 1) & (b.speed_mps > 1)
    begin, end = np.flatnonzero(together & (ahead > 3)), np.flatnonzero(together & (ahead < -3))
    return bool(len(begin) and len(end) and begin[0] < end[-1] and together[begin[0] : end[-1]].all())
