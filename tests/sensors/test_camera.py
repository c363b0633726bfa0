from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nuscenes.scripts.export_2d_annotations_as_json import post_process_coords
from nuscenes.utils.data_classes import Box
from nuscenes.utils.geometry_utils import view_points
from pyquaternion import Quaternion
from scipy.spatial.transform import Rotation

from drive_vqa.errors import CalibrationError
from drive_vqa.geometry import SE3
from drive_vqa.schema import pose_to_struct
from sensors.camera import NEAR_M, OrientedBoxes, PinholeCamera, image_boxes, may_be_in_view

INTRINSICS = np.array([[1260.0, 0.0, 808.0], [0.0, 1255.0, 495.0], [0.0, 0.0, 1.0]])
CAMERA = PinholeCamera("CAM_FRONT", INTRINSICS, 1600, 900, SE3.identity())


def boxes(*rows: tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]) -> OrientedBoxes:
    """Boxes in the camera frame from (centre, length width height, rotation vector)."""
    centre, size, turn = (np.array(values, dtype=np.float64) for values in zip(*rows, strict=True))
    return OrientedBoxes(centre, Rotation.from_rotvec(turn).as_matrix(), 0.5 * size)


def surface_points(box: OrientedBoxes, count: int) -> np.ndarray:
    """Points all over one box's faces, in the camera frame."""
    ticks = np.linspace(-1, 1, count)
    one, other = (values.ravel() for values in np.meshgrid(ticks, ticks))
    faces = [
        np.roll(np.stack([np.full_like(one, sign), one, other], -1), axis, axis=1)
        for sign in (-1, 1)
        for axis in range(3)
    ]
    return (np.concatenate(faces) * box.half_m[0]) @ box.rotation[0].T + box.centre_m[0]


def row(**changes: Any) -> dict[str, Any]:
    mounted = SE3.from_quaternion([0.5, -0.5, 0.5, -0.5], [1.7, 0.0, 1.5])
    base = {
        "log_id": "log-7",
        "frame": 3,
        "sensor": "CAM_FRONT",
        "width": 1600,
        "height": 900,
        "intrinsics": INTRINSICS.ravel().tolist(),
        "distortion": [],
        "ego_SE3_sensor": pose_to_struct(mounted),
    }
    return {**base, **changes}


def test_project_agrees_with_devkit() -> None:
    points = np.random.default_rng(0).uniform([-20, -5, 1], [20, 5, 80], (50, 3))
    uv_px, depth_m = CAMERA.project(points)
    np.testing.assert_allclose(uv_px, view_points(points.T, INTRINSICS, normalize=True)[:2].T, atol=1e-9)
    np.testing.assert_array_equal(depth_m, points[:, 2])


def test_project_gives_no_place_to_points_not_in_front() -> None:
    uv_px, depth_m = CAMERA.project(np.array([[1.0, 1.0, -5.0], [1.0, 1.0, 0.0], [0.0, 0.0, 5.0]]))
    assert np.isnan(uv_px[:2]).all()
    np.testing.assert_allclose(uv_px[2], [808.0, 495.0])
    np.testing.assert_array_equal(depth_m, [-5.0, 0.0, 5.0])


def test_skew_is_kept() -> None:
    skewed = PinholeCamera("c", np.array([[100.0, 10.0, 50.0], [0, 100, 50], [0, 0, 1]]), 100, 100, SE3.identity())
    np.testing.assert_allclose(skewed.project(np.array([1.0, 2.0, 10.0]))[0], [50 + 10 + 2, 70])


def test_corners_agree_with_devkit_in_full_3d_orientation() -> None:
    """The whole chain global → ego at capture → camera, with roll and pitch everywhere."""
    rng = np.random.default_rng(1)
    global_SE3_ego = SE3.from_quaternion([0.8, 0.02, -0.03, 0.6], [1500.25, -800.5, 3.0])
    ego_SE3_cam = SE3.from_quaternion([0.5, -0.48, 0.51, -0.5], [1.7, 0.1, 1.5])
    for _ in range(20):
        rotation, size = Quaternion(rng.normal(size=4)), rng.uniform(0.5, 12, 3)
        centre = (global_SE3_ego @ ego_SE3_cam) @ rng.uniform([-10, -2, 15], [10, 2, 60])
        theirs = Box(centre, size[[1, 0, 2]], rotation)
        for pose in (global_SE3_ego, ego_SE3_cam):
            theirs.translate(-pose.translation_m)
            theirs.rotate(Quaternion(pose.quaternion_wxyz).inverse)
        ours = OrientedBoxes(centre[None], rotation.rotation_matrix[None], 0.5 * size[None])
        uv_px, _ = CAMERA.project(ours.moved((global_SE3_ego @ ego_SE3_cam).inverse()).corners()[0])
        np.testing.assert_allclose(uv_px, view_points(theirs.corners(), INTRINSICS, normalize=True)[:2].T, atol=1e-3)


def test_image_box_agrees_with_devkit_where_all_corners_are_in_front() -> None:
    rng = np.random.default_rng(2)
    compared = 0
    for _ in range(200):
        box = boxes((rng.uniform([-40, -6, 14], [40, 6, 50]), rng.uniform(0.5, 12, 3), rng.normal(size=3)))
        corners_px = view_points(box.corners()[0].T, INTRINSICS, normalize=True)[:2].T
        theirs = post_process_coords(corners_px.tolist(), (1600, 900))
        ours = image_boxes(CAMERA, box)[0]
        if theirs is None:
            assert np.isnan(ours).all()
        else:
            compared += 1
            np.testing.assert_allclose(ours, theirs, atol=1e-6)
    assert compared > 100


def test_box_behind_the_camera_has_no_image_box() -> None:
    behind = boxes(((0, 0, -10), (4, 2, 2), (0, 0, 0)), ((0, 0, -1.2), (2, 2, 2), (0, 0, 0)))
    assert np.isnan(image_boxes(CAMERA, behind)).all()


def test_box_around_the_camera_fills_the_image() -> None:
    around = boxes(((0, 0, 1), (4, 4, 4), (0.1, 0.2, 0.3)))
    np.testing.assert_allclose(image_boxes(CAMERA, around)[0], [0, 0, 1600, 900])


def test_box_that_ends_just_beyond_the_near_plane_is_cut_there() -> None:
    """Only a slice of it, 5 mm thick and wider than the view, is in front of the near plane."""
    slice_beyond = boxes(((0, 0, NEAR_M + 0.005 - 1), (4, 4, 2), (0, 0, 0)))
    np.testing.assert_allclose(image_boxes(CAMERA, slice_beyond)[0], [0, 0, 1600, 900])
    left_half = boxes(((-2, 0, NEAR_M + 0.005 - 1), (4, 4, 2), (0, 0, 0)))
    np.testing.assert_allclose(image_boxes(CAMERA, left_half)[0], [0, 0, 808, 900], atol=1e-9)


def test_lorry_that_passes_the_camera_reaches_the_border_it_passes() -> None:
    """From 10 m ahead to 10 m behind, on the right: its far end stands upright in the image, its near end fills the border."""
    u0_px, v0_px, u1_px, v1_px = image_boxes(CAMERA, boxes(((3.0, 0.0, 0.0), (2.0, 3.0, 20.0), (0, 0, 0))))[0]
    assert u0_px == pytest.approx(808 + 1260 * 2 / 10)
    assert u1_px == 1600
    assert (v0_px, v1_px) == (pytest.approx(max(0.0, 495 - 1255 * 1.5 * (1600 - 808) / 1260 / 2)), 900)


unit = st.floats(-1, 1)


@settings(max_examples=150, deadline=None)
@given(
    centre=st.tuples(st.floats(-12, 12), st.floats(-4, 4), st.floats(-8, 15)),
    size=st.tuples(st.floats(0.3, 12), st.floats(0.3, 4), st.floats(0.3, 4)),
    turn=st.tuples(unit, st.floats(-3, 3), unit),
)
def test_image_box_holds_all_points_in_view_and_no_more(
    centre: tuple[float, ...], size: tuple[float, ...], turn: tuple[float, ...]
) -> None:
    box = boxes((centre, size, turn))
    found = image_boxes(CAMERA, box)[0]
    points = surface_points(box, 60)
    seen_px = CAMERA.project(points[CAMERA.in_view(points)])[0]
    if not np.isfinite(found).all():
        assert np.isnan(found).all()
        assert len(seen_px) == 0
        return
    assert may_be_in_view(CAMERA, box)[0]
    assert (found >= -1e-9).all()
    assert (found <= np.array([1600, 900, 1600, 900]) + 1e-9).all()
    assert (found[2:] >= found[:2]).all()
    if len(seen_px) and centre[2] > 1 + np.linalg.norm(size) / 2:  # nearer, points on the faces are pixels apart
        np.testing.assert_allclose(found, [*seen_px.min(axis=0), *seen_px.max(axis=0)], atol=160)
    if len(seen_px):
        assert (seen_px.min(axis=0) >= found[:2] - 1e-6).all()
        assert (seen_px.max(axis=0) <= found[2:] + 1e-6).all()


def test_camera_of_a_row() -> None:
    camera = PinholeCamera.from_row(row())
    assert (camera.name, camera.width, camera.height) == ("CAM_FRONT", 1600, 900)
    np.testing.assert_allclose(camera.ego_SE3_cam @ np.array([0.0, 0.0, 10.0]), [11.7, 0.0, 1.5], atol=1e-12)
    np.testing.assert_array_equal(camera.intrinsics, INTRINSICS)
    with pytest.raises(ValueError, match="read-only"):
        camera.intrinsics[0, 0] = 1.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"distortion": [0.1, 0.0]}, "distorted images"),
        ({"distortion": [float("nan")]}, "distorted images"),
        ({"width": None}, "no width"),
        ({"intrinsics": None}, "no intrinsics"),
        ({"intrinsics": [1.0] * 9}, "must read"),
        ({"intrinsics": [-1260.0, 0, 808, 0, 1255, 495, 0, 0, 1]}, "must read"),
        ({"intrinsics": [float("nan"), 0, 808, 0, 1255, 495, 0, 0, 1]}, "finite"),
        ({"height": 0}, "must be positive"),
        ({"ego_SE3_sensor": dict.fromkeys(("qw", "qx", "qy", "qz", "tx_m", "ty_m", "tz_m"), 0.0)}, "quaternion"),
    ],
)
def test_unusable_calibration_names_log_and_camera(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CalibrationError, match=message) as caught:
        PinholeCamera.from_row(row(**changes))
    assert "log-7" in str(caught.value)
    assert "CAM_FRONT" in str(caught.value)


def test_zero_distortion_is_a_rectified_image() -> None:
    assert PinholeCamera.from_row(row(distortion=[0.0, 0.0])).distortion == (0.0, 0.0)
    assert PinholeCamera.from_row(row(distortion=None)).distortion == ()
