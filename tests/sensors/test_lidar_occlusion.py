from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from drive_vqa.geometry import SE3
from drive_vqa.schema import pose_to_struct, table_from_rows
from drive_vqa.store import Store
from sensors.camera import OrientedBoxes, PinholeCamera, image_boxes
from sensors.lidar_occlusion import LidarReturns
from sensors.visibility import visible_fractions

EGO_SE3_CAM = SE3(np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]]), np.array([1.5, 0.0, 1.6]))
CAMERA = PinholeCamera("CAM", np.array([[1250.0, 0, 800], [0, 1250, 450], [0, 0, 1]]), 1600, 900, EGO_SE3_CAM)
LIDAR_M = np.array([0.9, 0.0, 1.9])

Spec = tuple[tuple[float, float, float], tuple[float, float, float], float]
"""Centre in the ego frame, length width height, yaw."""


def ego_boxes(*specs: Spec) -> OrientedBoxes:
    centre, size, yaw = (np.array(values, dtype=np.float64) for values in zip(*specs, strict=True))
    return OrientedBoxes(centre, Rotation.from_rotvec(np.outer(yaw, [0, 0, 1.0])).as_matrix(), 0.5 * size)


def scan(solids: OrientedBoxes, *, beams: int = 64) -> np.ndarray:
    """Where a lidar's rays first hit solid boxes or the road at z = 0; one slab and one ray at a time is all there is to it."""
    azimuth, elevation = np.meshgrid(np.radians(np.arange(-45, 45, 0.33)), np.radians(np.linspace(-25, 10, beams)))
    rays = np.stack([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)], -1)
    rays = rays.reshape(-1, 3)
    reach = np.where(rays[:, 2] < 0, LIDAR_M[2] / np.maximum(-rays[:, 2], 1e-9), np.inf)
    for centre, rotation, half in zip(solids.centre_m, solids.rotation, solids.half_m, strict=True):
        start, along = (LIDAR_M - centre) @ rotation, rays @ rotation
        with np.errstate(divide="ignore", invalid="ignore"):
            one, other = (-half - start) / along, (half - start) / along
        enter, leave = np.minimum(one, other).max(axis=1), np.maximum(one, other).min(axis=1)
        reach = np.where((enter < leave) & (enter > 0), np.minimum(reach, enter), reach)
    hit = reach < 90
    return LIDAR_M + rays[hit] * reach[hit, None]


def fractions(labelled: OrientedBoxes, returns_m: np.ndarray | None) -> np.ndarray:
    cam_boxes = labelled.moved(EGO_SE3_CAM.inverse())
    seen = None if returns_m is None else EGO_SE3_CAM.inverse() @ returns_m
    return visible_fractions(CAMERA, cam_boxes, image_boxes(CAMERA, cam_boxes), seen)


CAR: Spec = ((20.0, 0.0, 0.8), (4.6, 1.9, 1.6), 0.3)
WALL: Spec = ((10.0, -2.0, 1.5), (0.2, 4.0, 3.0), 0.0)
"""Its left edge is in the middle of the view: it covers the right half of what stands behind."""


def both(one: OrientedBoxes, two: OrientedBoxes) -> OrientedBoxes:
    return OrientedBoxes(
        *(np.concatenate([getattr(one, name), getattr(two, name)]) for name in ("centre_m", "rotation", "half_m"))
    )


def test_a_car_in_the_open_is_seen_whole() -> None:
    car = ego_boxes(CAR)
    assert fractions(car, scan(car)) == pytest.approx([1.0], abs=0.02)


def test_a_wall_without_a_box_hides_half_a_car() -> None:
    car, wall = ego_boxes(((20.0, 0.0, 0.8), (4.6, 1.9, 1.6), 0.0)), ego_boxes(WALL)
    returns_m = scan(both(car, wall))
    assert fractions(car, None) == pytest.approx([1.0])
    assert fractions(car, returns_m) == pytest.approx([0.5], abs=0.12)


def test_a_wall_without_a_box_hides_a_car_wholly() -> None:
    car, wall = ego_boxes(CAR), ego_boxes(((10.0, 0.0, 1.5), (0.2, 6.0, 3.0), 0.0))
    assert fractions(car, scan(both(car, wall)))[0] < 0.02


def test_a_wall_behind_hides_nothing() -> None:
    car, wall = ego_boxes(CAR), ego_boxes(((30.0, 0.0, 1.5), (0.2, 20.0, 3.0), 0.0))
    assert fractions(car, scan(both(car, wall))) == pytest.approx([1.0], abs=0.02)


def test_one_sees_past_what_fills_its_box_badly() -> None:
    """The label of the nearer thing is 4 m wide, the thing itself is a pole: the car behind it shows."""
    near: Spec = ((10.0, 0.0, 0.9), (0.3, 4.0, 1.8), 0.0)
    labelled, solid = ego_boxes(CAR, near), ego_boxes(CAR, ((10.0, 1.9, 0.9), (0.2, 0.2, 1.8), 0.0))
    assert fractions(labelled, None)[0] < 0.05
    assert fractions(labelled, scan(solid))[0] > 0.9


def test_a_box_that_lidar_sees_over_still_hides() -> None:
    """The lidar, higher than the camera, hits the tall thing behind a van's roof line; boxes stay right about the rest."""
    van: Spec = ((9.0, 0.0, 0.85), (5.0, 2.2, 1.7), 0.0)
    labelled = ego_boxes(((20.0, 0.0, 0.8), (4.6, 1.9, 1.6), 0.0), van)
    truth = fractions(labelled, None)
    assert truth[0] < 0.05
    assert fractions(labelled, scan(labelled)) == pytest.approx(truth, abs=0.1)


def test_the_ego_and_the_road_hide_nothing() -> None:
    car = ego_boxes(CAR)
    hood_m = np.stack(np.meshgrid([2.4, 2.6], np.linspace(-1, 1, 50), np.linspace(1.0, 1.6, 20)), -1).reshape(-1, 3)
    assert fractions(car, np.concatenate([scan(car), hood_m])) == pytest.approx([1.0], abs=0.02)
    flat = ego_boxes(((15.0, 0.0, 0.05), (3.0, 2.0, 0.1), 0.0))  # debris
    assert fractions(flat, scan(flat)) == pytest.approx([1.0], abs=0.02)


def test_without_returns_near_it_boxes_decide() -> None:
    labelled = ego_boxes(CAR, ((10.0, 0.7, 0.9), (0.3, 1.0, 1.8), 0.0))
    expected = fractions(labelled, None)
    assert 0.1 < expected[0] < 0.9
    for returns_m in (
        np.empty((0, 3)),
        np.array([[8.0, 0.0, 1.2]]),
        np.array([[50.0, 40.0, 1.0]]),
        np.array([[-9.0, 0, 1]]),
    ):
        np.testing.assert_array_equal(fractions(labelled, returns_m), expected)


def test_no_boxes() -> None:
    empty = OrientedBoxes(np.empty((0, 3)), np.empty((0, 3, 3)), np.empty((0, 3)))
    assert fractions(empty, np.array([[8.0, 0.0, 1.2]])).shape == (0,)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_order_of_returns_and_boxes_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    specs: list[Spec] = [
        ((rng.uniform(8, 40), rng.uniform(-6, 6), 0.8), (4.5, 1.9, 1.6), rng.uniform(-3, 3)) for _ in range(5)
    ]
    labelled = ego_boxes(*specs)
    returns_m = scan(both(labelled, ego_boxes(WALL)), beams=32)
    plain = fractions(labelled, returns_m)
    assert ((plain >= 0) & (plain <= 1)).all()
    np.testing.assert_allclose(fractions(labelled, returns_m[rng.permutation(len(returns_m))]), plain, atol=1e-12)
    np.testing.assert_allclose(fractions(ego_boxes(*specs[::-1]), returns_m)[::-1], plain, atol=1e-12)


def lidar_store(root: Path, source_format: str = "nuscenes") -> Store:
    """One frame; the ego has driven 1 m between the lidar's time and the camera's."""
    (root / "source").mkdir(parents=True)
    points = np.array([[10, 0, 1, 0, 0], [20, 5, 2, 0, 0]], dtype="<f4")
    points.tofile(root / "source" / "sweep.bin")
    store = Store.create(root / "store")
    log = {"log_id": "a", "source_format": source_format, "source_root": "../source"}
    common = {"log_id": "a", "frame": 0, "timestamp_ns": 0}
    rows = [
        {
            **common,
            "sensor": "LIDAR",
            "modality": "lidar",
            "path": "sweep.bin",
            "ego_SE3_sensor": pose_to_struct(SE3.from_yaw(0.0, [1.0, 0.0, 2.0])),
            "global_SE3_ego": pose_to_struct(SE3.from_yaw(np.pi / 2, [100.0, 50.0, 0.0])),
        },
        {
            **common,
            "sensor": "CAM",
            "modality": "camera",
            "ego_SE3_sensor": pose_to_struct(EGO_SE3_CAM),
            "global_SE3_ego": pose_to_struct(SE3.from_yaw(np.pi / 2, [100.0, 51.0, 0.0])),
        },
    ]
    store.write("sensor_data", "a", table_from_rows("sensor_data", rows), "x")
    store.write("logs", "a", table_from_rows("logs", [log]), "x")
    return store


def test_returns_move_with_the_ego(tmp_path: Path) -> None:
    """A point 11 m ahead of the ego and 3 m up at the lidar's time is 10 m ahead at the camera's, which stands 1.5 m ahead."""
    store = lidar_store(tmp_path)
    capture = store.read("sensor_data", "a").to_pylist()[1]
    found = LidarReturns(store, "a").in_camera(capture)
    np.testing.assert_allclose(found, [[0, 1.6 - 3, 8.5], [-5, 1.6 - 4, 18.5]], atol=1e-6)


def test_missing_damaged_and_unknown_sweeps_count_as_absent(tmp_path: Path) -> None:
    store = lidar_store(tmp_path)
    capture = store.read("sensor_data", "a").to_pylist()[1]
    sweep = tmp_path / "source" / "sweep.bin"
    sweep.write_bytes(b"123")
    assert LidarReturns(store, "a").in_camera(capture) is None
    sweep.unlink()
    assert LidarReturns(store, "a").in_camera(capture) is None
    assert LidarReturns(lidar_store(tmp_path / "b", "scenarionet"), "a").in_camera(capture) is None
    assert LidarReturns(store, "a").in_camera({**capture, "frame": 7}) is None
