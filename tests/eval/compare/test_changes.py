"""The corrected p-values, and which way is better."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.compare.changes import KINDS, LOWER_IS_BETTER, holm


def test_holm_by_hand():
    """Sorted: 0.01·4, 0.02·3, 0.03·2 (not below the one before), 0.5·1."""
    assert holm([0.02, 0.5, 0.01, 0.03]) == pytest.approx([0.06, 0.5, 0.04, 0.06])
    assert holm([0.6, 0.7]) == pytest.approx([1.0, 1.0])
    assert len(holm([])) == 0


@given(st.lists(st.floats(0, 1), max_size=20))
def test_corrected_p_values_are_larger_keep_their_order_and_end_at_1(p):
    corrected = holm(p)
    assert (corrected >= p).all()
    assert (corrected <= np.minimum(1.0, len(p) * np.asarray(p)) + 1e-12).all()
    order = np.argsort(p, kind="stable")
    assert (np.diff(corrected[order]) >= 0).all()


@pytest.mark.parametrize(
    ("name", "kind", "lower"),
    [
        ("accuracy", "headline", False),
        ("localization.lsr.t3", "headline", False),
        ("localization.sr_distance", "headline", False),
        ("prediction.ade_m", "headline", True),
        ("prediction.miss_rate_2m", "headline", True),
        ("safety.dangerous_far_rate", "safety", True),
        ("safety.dangerous_far_rate.class.pedestrian", "safety", True),
        ("safety.critical_recall", "safety", False),
        ("parse.failure_rate", "safety", True),
        ("slice.ttc_range_rate.3-6.localization.mlsr", "slice", False),
        ("type.in_my_path.accuracy", "slice", False),
        ("slice.log.a.accuracy", None, False),
        ("type.distance.median_signed_relative_error_distance", None, False),
        ("baseline.majority.accuracy", None, False),
    ],
)
def test_kind_and_direction_of_a_metric(name, kind, lower):
    assert [found for found, names in KINDS.items() if names.fullmatch(name)] == ([kind] if kind else [])
    assert bool(LOWER_IS_BETTER.fullmatch(name)) is lower
