import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyquaternion import Quaternion

from drive_vqa.errors import CalibrationError
from drive_vqa.geometry import SE3, angle_rad, bearing_deg, clock_hour, interpolate, wrap_deg, wrap_rad

finite = st.floats(-1e3, 1e3)
quaternions = st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda q: np.linalg.norm(q) > 0.1)
poses = st.tuples(quaternions, st.tuples(finite, finite, finite))


@given(quaternions)
def test_rotation_equals_pyquaternion(wxyz):
    assert np.allclose(SE3.from_quaternion(wxyz, [0, 0, 0]).rotation, Quaternion(wxyz).normalised.rotation_matrix)


@given(quaternions)
def test_yaw_equals_the_devkits(wxyz):
    from nuscenes.eval.common.utils import quaternion_yaw

    pose = SE3.from_quaternion(wxyz, [0, 0, 0])
    if np.hypot(pose.rotation[0, 0], pose.rotation[1, 0]) > 1e-6:  # yaw means nothing where x points up or down
        assert abs(wrap_rad(pose.yaw_rad - quaternion_yaw(Quaternion(wxyz).normalised))) < 1e-6


@given(poses, poses, st.tuples(finite, finite, finite))
def test_composition_reads_left_to_right(a_pose_b, b_pose_c, point):
    a_SE3_b, b_SE3_c = SE3.from_quaternion(*a_pose_b), SE3.from_quaternion(*b_pose_c)
    c_xyz_m = np.array([point])
    assert np.allclose((a_SE3_b @ b_SE3_c) @ c_xyz_m, a_SE3_b @ (b_SE3_c @ c_xyz_m), atol=1e-6)


@given(poses)
def test_inverse_and_quaternion_round_trip(dst_pose_src):
    dst_SE3_src = SE3.from_quaternion(*dst_pose_src)
    assert np.allclose((dst_SE3_src.inverse() @ dst_SE3_src).matrix, np.eye(4), atol=1e-9)
    again = SE3.from_quaternion(dst_SE3_src.quaternion_wxyz, dst_SE3_src.translation_m)
    assert np.allclose(again.matrix, dst_SE3_src.matrix, atol=1e-12)


def test_rotate_does_not_shift():
    pose = SE3.from_yaw(np.pi / 2, [5, 6, 7])
    assert np.allclose(pose.rotate(np.array([1.0, 0, 0])), [0, 1, 0])
    assert np.allclose(pose @ np.array([1.0, 0, 0]), [5, 7, 7])


def test_interpolation_ends_and_middle():
    start, end = SE3.from_yaw(3.0, [0, 0, 0]), SE3.from_yaw(-3.0, [2, 0, 0])
    assert np.allclose(interpolate(start, end, 0.0).matrix, start.matrix)
    assert np.allclose(interpolate(start, end, 1.0).matrix, end.matrix)
    middle = interpolate(start, end, 0.5)
    assert abs(wrap_rad(middle.yaw_rad - np.pi)) < 1e-9
    assert np.allclose(middle.translation_m, [1, 0, 0])


@pytest.mark.parametrize(
    ("quaternion", "translation_m"),
    [([0, 0, 0, 0], [0, 0, 0]), ([1, 0, 0], [0, 0, 0]), ([1, 0, 0, np.nan], [0, 0, 0]), ([1, 0, 0, 0], [np.inf, 0, 0])],
)
def test_unusable_pose_is_refused(quaternion, translation_m):
    with pytest.raises(CalibrationError, match="pose"):
        SE3.from_quaternion(quaternion, translation_m)


def test_a_scaled_or_mirrored_matrix_is_refused():
    with pytest.raises(CalibrationError, match="rotation"):
        SE3(2 * np.eye(3), np.zeros(3))
    with pytest.raises(CalibrationError, match="rotation"):
        SE3(np.diag([1.0, 1.0, -1.0]), np.zeros(3))


@pytest.mark.parametrize(("angle", "wrapped"), [(185, -175), (-190, 170), (-180, 180), (180, 180), (540, 180), (0, 0)])
def test_wrap_deg(angle, wrapped):
    assert wrap_deg(float(angle)) == pytest.approx(wrapped)
    assert wrap_rad(np.radians(float(angle))) == pytest.approx(np.radians(wrapped))


@pytest.mark.parametrize(
    ("x_m", "y_m", "degrees"), [(1, 0, 0), (1, 1, 45), (0, 1, 90), (-1, 0, 180), (-1, -0.0, 180), (0, -1, -90)]
)
def test_bearing_is_left_positive(x_m, y_m, degrees):
    assert bearing_deg(float(x_m), float(y_m)) == pytest.approx(degrees)


@pytest.mark.parametrize(
    ("bearing", "hour"),
    [(0, 12), (14.9, 12), (-14.9, 12), (-15.1, 1), (15.1, 11), (90, 9), (-90, 3), (180, 6), (-165.1, 6), (165, 7)],
)
def test_clock_sectors_are_centred_on_the_hour(bearing, hour):
    assert clock_hour(bearing) == hour


def test_angles_do_not_depend_on_where_their_arrays_lie():
    """A column beside its result in memory takes another way through numpy on some processors."""
    xy = np.random.default_rng(0).normal(size=(401, 2))
    whole = angle_rad(xy[:, 1].copy(), xy[:, 0].copy())
    for gap in range(4):
        room = np.empty(2 * len(xy) + gap)
        apart = room[gap:].reshape(-1, 2)
        apart[...] = xy
        assert np.array_equal(angle_rad(apart[:, 1], apart[:, 0]), whole)
    assert angle_rad(1.0, 0.0) == np.pi / 2
