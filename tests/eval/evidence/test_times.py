import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.evidence.times import seconds_iou, temporal_iou, visual_iou
from eval.scoring import interval_iou


def spans(*pairs):
    return np.array(pairs, dtype=np.float64).reshape(-1, 2)


@pytest.mark.parametrize(
    ("true", "told", "share"),
    [
        ([(0, 4)], [(2, 6)], 2 / 6),
        ([(0, 4)], [(4, 6)], 0.0),
        ([(0, 4)], [], 0.0),
        ([], [(0, 4)], 0.0),
        ([(0, 2), (4, 6)], [(0, 6)], 4 / 6),
        ([(0, 6)], [(4, 6), (0, 2), (1, 2)], 4 / 6),
        ([(0, 2), (1, 3)], [(0, 3)], 1.0),
        ([(0, 4), (1, 2)], [(0, 4)], 1.0),
        ([(2, 2)], [(2, 2)], 1.0),
        ([(2, 2)], [(3, 3)], 0.0),
        ([(2, 2)], [(1, 3)], 0.0),
        ([(0, 4)], [(6, 2)], 0.0),
        ([(0, 4)], [(0, 2), (math.nan, 4), (-math.inf, math.inf)], 0.5),
        ([(0, 4)], [(-1e308, 1e308)], pytest.approx(0.0, abs=1e-6)),
    ],
)
def test_temporal_iou_by_hand(true, told, share):
    assert temporal_iou(spans(*true), spans(*told)) == share


def test_nothing_true_and_nothing_told_is_no_number():
    assert math.isnan(temporal_iou(spans(), spans((3, 1))))
    assert math.isnan(seconds_iou([], []))
    assert math.isnan(visual_iou({}, {1: np.zeros((1, 4))}))


quarters = st.integers(0, 20)
intervals = st.lists(st.tuples(quarters, quarters).map(sorted).map(tuple), max_size=5)


@given(intervals, intervals)
def test_equal_to_counting_cells(true, told):
    """Intervals of whole numbers are sets of unit cells."""
    cells = [{cell for start, end in part for cell in range(start, end)} for part in (true, told)]
    if any(cells):
        expected = len(cells[0] & cells[1]) / len(cells[0] | cells[1])
        assert temporal_iou(spans(*true), spans(*told)) == pytest.approx(expected)
        assert seconds_iou(*cells) == pytest.approx(expected)


@given(st.tuples(quarters, quarters).map(sorted), st.tuples(quarters, quarters).map(sorted))
def test_single_intervals_are_judged_as_answers_are(true, told):
    assert temporal_iou(spans(true), spans(told)) == pytest.approx(interval_iou(spans(true), spans(told))[0])


def test_seconds_are_sets():
    assert seconds_iou([1, 2, 3], [2, 3, 3, 4]) == 0.5
    assert seconds_iou([1], []) == seconds_iou([], [1]) == 0.0


def test_visual_iou_by_hand():
    whole, half = np.array([[0.0, 0, 10, 10]]), np.array([[0.0, 0, 5, 10]])
    assert visual_iou({1: whole, 2: whole}, {1: half}) == 0.25  # a missing second is 0
    assert visual_iou({1: whole}, {1: whole, 2: half, 7: half}) == 1.0  # seconds that are not annotated do not count
    assert visual_iou({1: whole}, {1: np.concatenate([whole, half])}) == 0.5  # a second box takes its share
    assert visual_iou({1: whole, 2: whole}, {1: whole, 2: np.zeros((0, 4))}) == 0.5
