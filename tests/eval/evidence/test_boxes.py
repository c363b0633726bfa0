"""Agreement of boxes: numbers worked out by hand, a slow count of the test's own, and lists of boxes made to look good."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from eval.evidence.boxes import iou_matched, iou_precision, iou_recall, pairwise_iou
from eval.scoring import box_iou

NONE = np.zeros((0, 4))
TRUE = np.array([[0.0, 0, 10, 10], [20, 0, 30, 10]])
HALF = np.array([[0.0, 0, 5, 10]])
"""Covers half of the first true box: IoU 0.5 and 0."""


def slow_iou(a, b):
    """One pair, number by number."""
    if not all(map(math.isfinite, (*a, *b))):
        return 0.0
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if a[2] <= a[0] or a[3] <= a[1] or b[2] <= b[0] or b[3] <= b[1] or width <= 0 or height <= 0:
        return 0.0
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return width * height / (areas - width * height)


def slow_matched(true, told):
    """Every assignment tried."""
    few, many = (true, told) if len(true) <= len(told) else (told, true)
    chosen = itertools.permutations(range(len(many)), len(few))
    sums = [sum(slow_iou(few[i], many[k]) for i, k in enumerate(order)) for order in chosen]
    return max(sums) / len(many)


def test_known_values():
    assert pairwise_iou(TRUE, HALF) == pytest.approx(np.array([[0.5], [0.0]]))
    assert iou_recall(TRUE, HALF) == 0.25
    assert iou_precision(TRUE, HALF) == 0.5
    assert iou_matched(TRUE, HALF) == 0.25
    assert iou_recall(TRUE, TRUE) == iou_precision(TRUE, TRUE) == iou_matched(TRUE, TRUE[::-1]) == 1.0
    both = np.array([[0.0, 0, 10, 5], [0, 0, 5, 10]])  # two halves of one box: 1/2 each, and 1/3 of each other
    assert iou_recall(TRUE[:1], both) == 0.5
    assert iou_matched(TRUE[:1], both) == 0.25
    assert pairwise_iou(both, both)[0, 1] == pytest.approx(1 / 3)


def test_the_greedy_assignment_is_not_taken():
    """The first told box fits both true ones, the second only the first: 0.8 + 0.9 beats 1.0 + 0."""
    true = np.array([[0.0, 0, 10, 10], [0, 0, 10, 9]])
    told = np.array([[0.0, 0, 10, 9], [0, 0, 8, 10]])
    assert iou_matched(true, told) == pytest.approx((0.8 + 1.0) / 2)
    assert iou_recall(true, told) == pytest.approx((0.9 + 1.0) / 2)


def test_listing_boxes_lifts_the_published_recall_only():
    grid = np.array([[u, v, u + 10.0, v + 10] for u in range(0, 40, 5) for v in range(0, 20, 5)])
    assert iou_recall(TRUE, grid) == 1.0
    assert iou_precision(TRUE, grid) < 0.3
    assert iou_matched(TRUE, grid) == pytest.approx(2 / len(grid))


def test_duplicates_of_a_good_box_pay_in_precision_but_not_when_matched():
    told = np.repeat(TRUE[:1], 9, axis=0)
    assert iou_precision(TRUE, told) == 1.0
    assert iou_matched(TRUE, told) == pytest.approx(1 / 9)


def test_empty_cases():
    assert (iou_recall(TRUE, NONE), iou_precision(TRUE, NONE), iou_matched(TRUE, NONE)) == (0.0, 0.0, 0.0)
    assert math.isnan(iou_recall(NONE, HALF))
    assert (iou_precision(NONE, HALF), iou_matched(NONE, HALF)) == (0.0, 0.0)
    assert all(math.isnan(metric(NONE, NONE)) for metric in (iou_recall, iou_precision, iou_matched))
    assert pairwise_iou(NONE, HALF).shape == (0, 1)
    assert pairwise_iou(HALF, NONE).shape == (1, 0)


@pytest.mark.parametrize(
    "box",
    [
        [5, 5, 5, 9],
        [5, 5, 9, 5],
        [10, 0, 0, 10],
        [0, 10, 10, 0],
        [10, 10, 0, 0],
        [math.nan, 0, 10, 10],
        [0, 0, math.inf, 10],
        [-math.inf, 0, 10, 10],
    ],
)
def test_a_box_without_area_agrees_with_nothing_and_still_counts(box):
    told = np.array([box, [0, 0, 10, 10]], dtype=np.float64)
    assert pairwise_iou(told, told).tolist() == [[0.0, 0.0], [0.0, 1.0]]
    assert iou_precision(TRUE[:1], told) == iou_matched(TRUE[:1], told) == 0.5
    assert iou_recall(told, TRUE[:1]) == 0.5


def test_a_box_that_leaves_the_image_is_not_cut():
    assert iou_recall(TRUE[:1], np.array([[-10.0, 0, 10, 10]])) == 0.5
    assert iou_recall(TRUE[:1], np.array([[-1e300, -1e300, 1e300, 1e300]])) < 1e-10
    assert pairwise_iou(np.full((1, 4), 1e300), np.full((1, 4), 1e300)) == 0.0


def test_the_same_iou_as_answers_are_judged_by():
    random = np.random.default_rng(5)
    corners = random.uniform(0, 50, size=(200, 2, 4))
    pairs = np.concatenate(
        [np.minimum(*np.split(corners, 2, axis=2)), np.maximum(*np.split(corners, 2, axis=2))], axis=2
    )
    rows = [pairwise_iou(a[None], b[None])[0, 0] for a, b in pairs]
    assert rows == pytest.approx(box_iou(pairs[:, 0], pairs[:, 1]))


numbers = st.integers(-3, 9).map(float) | st.sampled_from([math.nan, math.inf, -math.inf, 0.5])


@given(arrays(np.float64, st.tuples(st.integers(0, 4), st.just(4)), elements=numbers), st.data())
def test_equal_to_a_slow_count(true, data):
    told = data.draw(arrays(np.float64, st.tuples(st.integers(0, 5), st.just(4)), elements=numbers))
    table = np.array([[slow_iou(a, b) for b in told] for a in true]).reshape(len(true), len(told))
    assert pairwise_iou(true, told) == pytest.approx(table)
    if len(true) and len(told):
        assert iou_recall(true, told) == pytest.approx(table.max(axis=1).mean())
        assert iou_precision(true, told) == pytest.approx(table.max(axis=0).mean())
        assert iou_matched(true, told) == pytest.approx(slow_matched(true, told))
        assert iou_matched(true, told) == pytest.approx(iou_matched(told, true))
        assert iou_matched(true, told) <= min(iou_recall(true, told), iou_precision(true, told)) + 1e-12
