"""The rendered truth agrees with plain projection, and the picture shows what it should."""

from __future__ import annotations

import numpy as np
import pytest

from drive_vqa.boxes import image_iou
from sensors.synth.adaptive import detailed, fill_between
from sensors.synth.camera_render import Shot, Stopwatch, render
from sensors.synth.materials import Material
from sensors.synth.models import MODELS, load_model
from sensors.synth.posed import ego_pose, pose_actors
from sensors.synth.rig import make_rig
from sensors.synth.scene import Scene
from sensors.synth.sky import make_light
from sensors.synth.trace import TOWN, make_view, project_rect, trace
from sensors.synth.world import World, build_world
from tests.sensors.synth_scenes import SIZES, actor, scene, street, usual_actors

RIG = make_rig(400, 225, 180)


@pytest.fixture(scope="module")
def world() -> World:
    return build_world(street())


def take(world: World, drive: Scene, channel: str = "CAM_FRONT", at_s: float = 1.0) -> Shot:
    camera = next(camera for camera in RIG.cameras if camera.channel == channel)
    ego = ego_pose(drive, at_s)
    posed = pose_actors(drive, at_s, ego.translation_m[:2], 130.0)
    return render(world, camera, ego, posed, make_light(drive.weather), (1,), Stopwatch())


@pytest.mark.parametrize("model", MODELS)
def test_mask_box_lies_in_the_projected_box_and_nearly_fills_it(world: World, model: str) -> None:
    one = actor(1, "vehicle.car", model, (19.0, 0.0), yaw=0.3)
    drive = scene((one,))
    shot = take(world, drive)
    (seen,) = shot.seen
    ego = ego_pose(drive, 1.0)
    (posed,) = pose_actors(drive, 1.0, ego.translation_m[:2], 130.0)
    rect = project_rect(RIG.cameras[0], (ego @ RIG.cameras[0].ego_SE3_cam).inverse(), posed.corners_m)
    assert rect is not None
    assert seen.bbox_px is not None
    assert seen.visible_px == seen.alone_px > 0
    x0, y0, x1, y1 = seen.bbox_px
    assert x0 >= rect[0] - 1
    assert y0 >= rect[1] - 1
    assert x1 <= rect[2] + 1
    assert y1 <= rect[3] + 1
    if model != "cone":  # a cone fills little of its box's outline seen from above
        assert image_iou(np.array([seen.bbox_px], dtype=float), np.array([rect]))[0, 0] > 0.7


def test_a_hidden_actor_has_no_box_and_a_half_hidden_one_half_its_pixels(world: World) -> None:
    wall = actor(1, "vehicle.truck", "truck", (24.0, -2.0), yaw=np.pi / 2)
    behind = actor(2, "vehicle.car", "sedan", (32.0, -2.0))
    beside = actor(3, "vehicle.bus.rigid", "bus", (32.0, 1.9), yaw=np.pi / 2)
    by_index = {seen.actor_index: seen for seen in take(world, scene((wall, behind, beside))).seen}
    assert by_index[1].bbox_px is None
    assert by_index[1].visible_px == 0 < by_index[1].alone_px
    assert 0.1 < by_index[2].visible_px / by_index[2].alone_px < 0.9
    assert by_index[0].visible_px == by_index[0].alone_px


def test_depth_is_the_distance_along_the_axis(world: World) -> None:
    drive = scene((actor(1, "vehicle.car", "sedan", (28.0, -2.0)),), ego_speed=0.0)
    shot = take(world, drive)
    u, v = RIG.cameras[0].width_px // 2, RIG.cameras[0].height_px // 2 + 10
    rear_m = 28.0 - 0.5 * SIZES["sedan"][0] - RIG.cameras[0].ego_SE3_cam.translation_m[0]
    assert shot.instance[v, u] == 1
    assert rear_m - 0.05 < shot.depth_m[v, u] < rear_m + 1.0
    assert np.isinf(shot.depth_m[0, 200])


def test_the_camera_sees_actors_where_they_are_when_its_shutter_opens(world: World) -> None:
    crossing = actor(1, "vehicle.car", "sedan", (30.0, -6.0), yaw=np.pi / 2, speed=12.0)
    drive = scene((crossing,), ego_speed=0.0)
    early, late = (take(world, drive, at_s=at_s).seen[0].bbox_px for at_s in (0.30, 0.34))
    assert early is not None
    assert late is not None
    moved_px = 12.0 * 0.04 / (30.0 - 1.7) * RIG.cameras[0].focal_px
    assert abs(0.5 * (early[0] + early[2] - late[0] - late[2]) - moved_px) < 1.5


def test_light_of_day_and_night(world: World) -> None:
    day, night = (take(world, scene(usual_actors(), weather)).rgb for weather in ("sun", "night"))
    assert day[:20].mean() > 3 * night[:20].mean()
    assert day.mean() > 2 * night.mean()
    red = (day[..., 0] > 90) & (day[..., 1] < 60)
    assert red.sum() > 100, "the red cars"


def test_a_car_throws_a_shadow(world: World) -> None:
    with_car, without = (take(world, scene(actors)).rgb.astype(int) for actors in (usual_actors(), ()))
    mask = take(world, scene(usual_actors())).instance
    darker = (without - with_car).sum(axis=2) > 60
    assert (darker & (mask == 0)).sum() > 50


@pytest.mark.parametrize("model", MODELS)
def test_meshes_fill_their_box_and_point_outwards(model: str) -> None:
    loaded = load_model(model)
    assert np.isfinite(loaded.corner_normals).all()
    np.testing.assert_allclose(np.linalg.norm(loaded.corner_normals, axis=2), 1.0, atol=1e-4)
    if model in ("sedan", "truck", "bus", "van"):
        assert {Material.GLASS, Material.TIRE, Material.HEADLIGHT, Material.TAILLIGHT} <= set(loaded.material.tolist())


def test_the_same_picture_twice(world: World) -> None:
    drive = scene(usual_actors(), "night")
    np.testing.assert_array_equal(take(world, drive).rgb, take(world, drive).rgb)


def test_casting_every_second_pixel_first_finds_what_casting_all_finds(world: World) -> None:
    drive, camera = scene(usual_actors()), RIG.cameras[0]
    ego = ego_pose(drive, 1.0)
    view = make_view(camera, ego, pose_actors(drive, 1.0, ego.translation_m[:2], 130.0))
    uv = camera.pixel_centres()
    whole, parts = trace(world, view, uv), [trace(world, view, part) for part in np.array_split(uv, 2)]
    np.testing.assert_array_equal(whole.owner, np.concatenate([part.owner for part in parts]))
    depth = np.concatenate([part.depth_m for part in parts])
    assert np.isclose(whole.depth_m, depth, rtol=1e-4).mean() > 0.9999
    town = whole.owner == TOWN
    assert (whole.triangle == np.concatenate([part.triangle for part in parts]))[town].mean() > 0.999
    np.testing.assert_array_equal(whole.alone, np.sum([part.alone for part in parts], axis=0))


@pytest.mark.parametrize("shape", [(8, 10), (9, 11)])
def test_a_blend_continues_a_slope(shape: tuple[int, int]) -> None:
    slope = np.add.outer(np.arange(shape[0]), 3.0 * np.arange(shape[1])).astype(np.float32)
    filled = fill_between(np.stack([slope[::2, ::2]] * 3), shape)
    inner = (slice(0, 2 * ((shape[0] + 1) // 2) - 1), slice(0, 2 * ((shape[1] + 1) // 2) - 1))
    np.testing.assert_allclose(filled[2][inner], slope[inner])


def test_detail_is_where_surfaces_meet_and_where_brightness_steps() -> None:
    owner = np.full((13, 21), TOWN)
    kind, tone = np.zeros((13, 21), dtype=np.int32), np.zeros((7, 11), dtype=np.float32)
    assert not detailed(owner, kind, tone)[:12, :20].any()
    kind[5, 5] = 1
    tone[:, 8:] = 0.5
    need = detailed(owner, kind, tone)
    assert need[4:7, 5].all()
    assert need[:12, 15].all()
    assert not need[:12, 8:14].any()
    owner[:, :4] = 3
    assert detailed(owner, kind, tone)[1:12:2, :4].all(), "all pixels of actors"
