"""Ranges, noise, Doppler and file formats of the synthetic lidar and radars."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from nuscenes.utils.data_classes import RadarPointCloud

from drive_vqa.boxes import points_in_box
from sensors.synth.lidar import beam_directions, sweep
from sensors.synth.posed import ego_pose, pose_actors, velocity_mps
from sensors.synth.radar import POINT, pcd_bytes, scan
from sensors.synth.rig import make_rig
from sensors.synth.scene import Scene
from sensors.synth.world import World, build_world
from tests.sensors.synth_scenes import SIZES, actor, scene, street, usual_actors

RIG = make_rig(64, 36, 360)


@pytest.fixture(scope="module")
def world() -> World:
    return build_world(street())


def lidar_in_ego(world: World, drive: Scene, haze_per_m: float = 0.0) -> np.ndarray:
    ego = ego_pose(drive, 1.0)
    posed = pose_actors(drive, 1.0, ego.translation_m[:2], 130.0)
    points = sweep(world, RIG.lidar, ego, posed, haze_per_m, np.random.default_rng(1)).points
    assert points.dtype == np.float32
    return np.column_stack([RIG.lidar.ego_SE3_lidar @ points[:, :3], points[:, 3:]])


def test_ground_points_lie_on_the_ground(world: World) -> None:
    points = lidar_in_ego(world, scene(()))
    road = points[(np.abs(points[:, 1]) < 3) & (np.hypot(points[:, 0], points[:, 1]) < 15)]
    assert len(road) > 500
    assert abs(road[:, 2].mean()) < 0.01
    assert 0.005 < road[:, 2].std() < 0.03, "2 cm of range noise, seen from above"


def test_rings_and_intensity(world: World) -> None:
    points = lidar_in_ego(world, scene(usual_actors()))
    assert set(np.unique(points[:, 4]).astype(int)) <= set(range(32))
    assert points[:, 3].min() >= 0
    assert points[:, 3].max() <= 255
    beams = beam_directions(RIG.lidar)
    np.testing.assert_allclose(np.linalg.norm(beams, axis=1), 1.0, rtol=1e-5)


def test_a_car_returns_points_inside_its_box(world: World) -> None:
    drive = scene((actor(1, "vehicle.car", "sedan", (20.0, -2.0), speed=8.0),))
    inside = points_in_box(
        lidar_in_ego(world, drive)[:, :3], np.array([20.0, 0.0, SIZES["sedan"][2] / 2]), np.array(SIZES["sedan"]), 0.0
    )
    assert inside.sum() > 10


def test_fog_takes_far_points_away(world: World) -> None:
    clear, fog = (lidar_in_ego(world, scene(()), haze) for haze in (0.0, 0.05))
    far = [np.sum(np.hypot(points[:, 0], points[:, 1]) > 40) for points in (clear, fog)]
    assert far[1] < 0.5 * far[0]


def radar_points(world: World, drive: Scene, channel: str = "RADAR_FRONT") -> np.ndarray:
    radar = next(radar for radar in RIG.radars if radar.channel == channel)
    ego = ego_pose(drive, 1.0)
    posed = pose_actors(drive, 1.0, ego.translation_m[:2], 130.0)
    own = velocity_mps(drive.ego, drive.times_s, 1.0)
    return scan(world, radar, ego, own, 0.0, posed, np.random.default_rng(2))


@pytest.mark.parametrize("channel", [radar.channel for radar in RIG.radars])
def test_doppler_of_still_things_is_the_own_motion_and_compensates_to_nothing(world: World, channel: str) -> None:
    points = radar_points(world, scene((actor(3, "vehicle.car", "sedan", (14.0, -5.0), parked=True),)), channel)
    assert len(points) > 2
    compensated = np.hypot(points["vx_comp"], points["vy_comp"])
    assert compensated.max() < 0.4
    radar = next(radar for radar in RIG.radars if radar.channel == channel)
    ray = np.column_stack([points["x"], points["y"]]) / np.hypot(points["x"], points["y"])[:, None]
    own = (np.array([8.0, 0.0, 0.0]) @ radar.ego_SE3_radar.rotation)[:2]
    measured = (ray * np.column_stack([points["vx"], points["vy"]])).sum(axis=1)
    np.testing.assert_allclose(measured, -(ray @ own), atol=0.4)


def test_doppler_of_an_oncoming_car_is_its_radial_speed(world: World) -> None:
    points = radar_points(world, scene((actor(1, "vehicle.car", "sedan", (48.0, -2.0), yaw=np.pi, speed=10.0),)))
    car = points[(np.abs(points["y"]) < 1.5) & (np.abs(points["x"] - (48.0 - 10.0 - 8.0 - 3.41)) < 3.5)]
    assert len(car) > 0
    np.testing.assert_allclose(car["vx_comp"], -10.0, atol=0.5)
    np.testing.assert_allclose(car["vx"], -18.0, atol=0.5)
    assert (car["dyn_prop"] == 2).all()


def test_pcd_reads_back_with_the_devkit(world: World, tmp_path: Path) -> None:
    points = radar_points(world, scene(usual_actors()))
    path = tmp_path / "a.pcd"
    path.write_bytes(pcd_bytes(points))
    cloud = RadarPointCloud.from_file(str(path))
    assert cloud.points.shape == (18, len(points))
    for row, name in enumerate(POINT.names or ()):
        np.testing.assert_allclose(cloud.points[row], points[name], rtol=1e-6)


def test_a_radar_without_echoes_reads_back_empty(tmp_path: Path) -> None:
    path = tmp_path / "a.pcd"
    path.write_bytes(pcd_bytes(np.zeros(0, dtype=POINT)))
    assert RadarPointCloud.from_file(str(path)).points.shape == (18, 0)
