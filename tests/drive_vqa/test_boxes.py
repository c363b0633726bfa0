import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely.affinity import rotate, translate
from shapely.geometry import box as shapely_box

from drive_vqa.boxes import box_corners, footprint, gap_m, image_iou, overlaps, points_in_box

ground_boxes = st.tuples(
    st.floats(-10, 10), st.floats(-10, 10), st.floats(0.5, 8), st.floats(0.5, 3), st.floats(-np.pi, np.pi)
).map(np.array)


def _polygon(box):
    x_m, y_m, length_m, width_m, yaw_rad = box
    upright = shapely_box(-length_m / 2, -width_m / 2, length_m / 2, width_m / 2)
    return translate(rotate(upright, yaw_rad, origin=(0, 0), use_radians=True), x_m, y_m)


@given(ground_boxes, ground_boxes)
def test_gap_and_overlap_equal_shapely(box_a, box_b):
    a, b = _polygon(box_a), _polygon(box_b)
    assert gap_m(box_a, box_b) == pytest.approx(a.distance(b), abs=1e-6)
    if a.intersection(b).area > 1e-6 or a.distance(b) > 1e-6:
        assert overlaps(box_a, box_b) == a.intersects(b)


@given(ground_boxes)
def test_footprint_is_counter_clockwise_from_the_front_left(box):
    corners = footprint(box)
    assert np.allclose(_polygon(box).area, box[2] * box[3])
    ahead = np.array([np.cos(box[4]), np.sin(box[4])])
    left = np.array([-ahead[1], ahead[0]])
    assert np.allclose(corners[0], box[:2] + ahead * box[2] / 2 + left * box[3] / 2)
    assert np.allclose(corners[1], box[:2] - ahead * box[2] / 2 + left * box[3] / 2)


def test_corners_equal_nuscenes_devkit():
    from nuscenes.utils.data_classes import Box
    from pyquaternion import Quaternion

    yaw_rad = 0.7
    theirs = Box([1, 2, 3], [1.8, 4.5, 1.6], Quaternion(axis=[0, 0, 1], radians=yaw_rad)).corners().T
    ours = box_corners(np.array([[1.0, 2, 3]]), np.array([[4.5, 1.8, 1.6]]), np.array([yaw_rad]))[0]
    assert np.allclose(ours, theirs)


def test_points_in_box_includes_faces_and_turns_with_the_box():
    centre, size = np.array([1.0, 1, 0]), np.array([4.0, 2, 2])
    points = np.array([[1.0, 3, 0], [1, 3.01, 0], [2, 1, 1], [2.01, 1, 0]])
    inside = points_in_box(points, centre, size, np.pi / 2)
    assert inside.tolist() == [True, False, True, False]


def test_image_iou_known_values():
    boxes = np.array([[0.0, 0, 2, 2], [1, 1, 3, 3], [5, 5, 5, 5]])
    assert np.allclose(image_iou(boxes, boxes), [[1, 1 / 7, 0], [1 / 7, 1, 0], [0, 0, 0]])
