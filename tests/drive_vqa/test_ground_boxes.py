from __future__ import annotations

import numpy as np
import pytest
from shapely import Polygon

from drive_vqa.ground_boxes import gap_m, overlap


def polygon(box: np.ndarray) -> Polygon:
    x_m, y_m, length_m, width_m, yaw_rad = box
    turn = np.exp(1j * yaw_rad)
    signs = ((1, 1), (-1, 1), (-1, -1), (1, -1))
    corners = [complex(x_m, y_m) + turn * complex(0.5 * a * length_m, 0.5 * b * width_m) for a, b in signs]
    return Polygon([(corner.real, corner.imag) for corner in corners])


def boxes(count: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    low, high = np.array([-8.0, -8.0, 0.3, 0.3, -7.0]), np.array([8.0, 8.0, 12.0, 3.0, 7.0])
    return low + (high - low) * random.random((count, 5))


def test_gap_and_overlap_agree_with_polygons() -> None:
    first, second = boxes(1500, 1), boxes(1500, 2)
    shapes = [(polygon(one), polygon(other)) for one, other in zip(first, second, strict=True)]

    assert gap_m(first, second) == pytest.approx([one.distance(other) for one, other in shapes], abs=1e-9)
    assert overlap(first, second).tolist() == [one.intersection(other).area > 0.0 for one, other in shapes]
    assert 200 < overlap(first, second).sum() < 1300


def test_gap_is_the_same_both_ways_and_against_one_box_for_all() -> None:
    first, second = boxes(200, 3), boxes(1, 4)

    forth, back = gap_m(first, second), gap_m(np.repeat(second, 200, axis=0), first)

    assert forth == pytest.approx(back, abs=1e-9)
    assert overlap(first, second).tolist() == (forth == 0.0).tolist()


def test_a_box_within_another_and_two_that_touch() -> None:
    outer, inner = np.array([[0.0, 0.0, 10.0, 8.0, 0.7]]), np.array([[1.0, 0.5, 1.0, 0.5, 2.0]])
    left, right = np.array([[0.0, 0.0, 2.0, 2.0, 0.0]]), np.array([[2.0, 0.0, 2.0, 2.0, 0.0]])

    assert overlap(outer, inner).all()
    assert gap_m(outer, inner) == 0.0
    assert not overlap(left, right).any()
    assert gap_m(left, right) == 0.0


def test_crossed_boxes_whose_corners_are_outside_each_other_share_area() -> None:
    along, across = np.array([[0.0, 0.0, 10.0, 1.0, 0.0]]), np.array([[0.0, 0.0, 10.0, 1.0, np.pi / 2]])

    assert overlap(along, across).all()
    assert gap_m(along, across) == 0.0


@pytest.mark.parametrize("column", range(5))
def test_what_is_not_known_stays_unknown(column: int) -> None:
    first, second = boxes(2, 5), boxes(2, 6)
    first[0, column] = np.nan

    assert np.isnan(gap_m(first, second)).tolist() == [True, False]
    assert not overlap(first, first)[0]
