import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from eval.evidence.points import inside, share_inside

BOXES = np.array([[0.0, 0, 10, 10], [20, 0, 30, 10]])


def test_by_hand():
    points = np.array([[5.0, 5], [25, 5], [15, 5], [25, 10]])
    anywhere = np.ones((4, 2), dtype=bool)
    assert share_inside(points, BOXES, anywhere) == 0.75
    first_only = anywhere & [True, False]
    assert share_inside(points, BOXES, first_only) == 0.25


def test_edges_are_inside_and_the_next_pixel_is_not():
    points = np.array([[0.0, 0], [10, 10], [10.001, 10], [-0.001, 0]])
    assert inside(points, BOXES)[:, 0].tolist() == [True, True, False, False]


@pytest.mark.parametrize("point", [[math.nan, 5], [5, math.nan], [math.inf, 5], [5, -math.inf], [1e308, -1e308]])
def test_what_is_no_place_lies_nowhere(point):
    assert not inside(np.array([point]), np.array([[-math.inf, -math.inf, math.inf, math.inf], [0, 0, 10, 10]])).any()


def test_empty_and_inverted_boxes_hold_no_point():
    assert not inside(np.array([[5.0, 5.0]]), np.array([[10.0, 0, 0, 10], [0, 10, 10, 0]])).any()


def test_no_points_and_no_boxes():
    assert math.isnan(share_inside(np.zeros((0, 2)), BOXES, np.ones((0, 2), dtype=bool)))
    assert share_inside(np.zeros((1, 2)), np.zeros((0, 4)), np.ones((1, 0), dtype=bool)) == 0.0


numbers = st.integers(-2, 6).map(float) | st.just(math.nan)


@given(
    arrays(np.float64, st.tuples(st.integers(1, 5), st.just(2)), elements=numbers),
    arrays(np.float64, st.tuples(st.integers(0, 4), st.just(4)), elements=numbers),
)
def test_equal_to_a_slow_count(points, boxes):
    hits = [any(b[0] <= u <= b[2] and b[1] <= v <= b[3] for b in boxes) for u, v in points]
    assert share_inside(points, boxes, np.ones((len(points), len(boxes)), dtype=bool)) == sum(hits) / len(hits)
