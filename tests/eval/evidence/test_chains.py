import math

import numpy as np
import pytest

from eval.evidence.chains import Chain, arithmetic_mean, log_geometric_mean, mean_am, mean_lgm

PUBLISHED = {
    "Open-o3 Video": ([Chain(0.610, 0.245, 0.254), Chain(0.610, 0.240, 0.060)], 33.65, 46.56),
    "GPT-4o": ([Chain(0.608, 0.167, 0.065), Chain(0.608, 0.128, 0.030)], 26.77, 38.17),
}
"""Rows of Open-o3 Video's table of V-STaR: its parts, mAM and mLGM."""


@pytest.mark.parametrize("model", PUBLISHED)
def test_published_rows_to_a_hundredth(model):
    chains, am, lgm = PUBLISHED[model]
    assert mean_am(chains) == pytest.approx(am, abs=0.01)
    assert mean_lgm(chains) == pytest.approx(lgm, abs=0.01)


def test_a_perfect_part_is_held_at_one_millionth():
    perfect = np.array([1.0, 0.0, 0.0])
    assert log_geometric_mean(perfect) == pytest.approx(-math.log(1e-6) / 3)
    assert log_geometric_mean(np.ones(3)) == pytest.approx(-math.log(1e-6))
    assert log_geometric_mean(np.full(3, 1 - 1e-9)) == log_geometric_mean(np.ones(3))
    assert str(log_geometric_mean(np.zeros(3))) == "0.0"
    assert mean_lgm([Chain(1.0, 1.0, 1.0)]) == pytest.approx(1381.55, abs=0.01)


def test_of_several_rows_each_for_itself():
    parts = np.array([[0.5, 0.5, 0.5], [0.0, 0.3, 0.6]])
    assert arithmetic_mean(parts) == pytest.approx([0.5, 0.3])
    assert log_geometric_mean(parts) == pytest.approx([math.log(2), -math.log(0.7 * 0.4) / 3])


def test_no_chain_and_no_number():
    assert math.isnan(mean_am([]))
    assert math.isnan(mean_lgm([]))
    assert math.isnan(mean_lgm([Chain(0.5, math.nan, 0.5)]))
