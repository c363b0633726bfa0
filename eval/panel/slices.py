"""The headline metrics over parts of the targets and of the questions.

    slice.D.V.accuracy               all questions of the part
    slice.D.V.localization.mlsr|tlc  the targets of the part
    slice.in_view_at_t.V…mlsr        the questions of targets that are in view, or not, at the time asked about
    slice.ttc_*.V.localization.*     all localization metrics

`ttc_bin` is the time to collision by box overlap at constant velocity (drive_vqa.time_to_collision), `ttc_range_rate` distance by
closing speed d / c with c = (d(0) - d(1 s)) / 1 s, both in the same bins; of what does not close it is "none". `vru` tells
vulnerable road users from others, `visibility` bins the visible share in percent, as nuScenes does.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from drive_vqa.categories import CATEGORIES
from drive_vqa.time_to_collision import ttc_bins
from eval import safety
from eval.cases import Targets
from eval.localization import ROUNDING
from eval.panel.answered import Answered, share_at, share_of
from eval.panel.located import Located, headline, localization
from eval.panel.parts import Parts, parts_of, slug
from eval.statistics import Sample

AS_STORED = ("category", "moving", "ttc_bin", "difficulty", "relation")
VISIBLE_HALF = 0.5
VISIBILITY_PERCENT = (0, 40, 60, 80, 100)
"""Edges of nuScenes' levels of visibility; an upper edge belongs to the level above, 100 % to the last."""

MOST_LOGS = 200
"""Of more logs there are no slices: each would be a handful of questions."""

CLOSES_MPS = 1e-6
WHOLE = ("ttc_bin", "ttc_range_rate")
"""Dimensions with all localization metrics."""


def slices(answered: Answered, targets: Targets, located: Located) -> Iterator[tuple[str, Sample]]:
    """Every dimension in turn, the values of each in order."""
    for dimension, parts in _dimensions(answered):
        yield from _of_targets(f"slice.{dimension}", parts.take(targets.anchors), located, whole=dimension in WHOLE)
        for value, rows in parts:
            yield f"slice.{dimension}.{value}.accuracy", share_at(answered.success, rows)
    closing = parts_of(ttc_bins(range_over_rate_s(answered, targets)))
    yield from _of_targets("slice.ttc_range_rate", closing, located, whole=True)
    yield from _in_view(answered, located)


def range_over_rate_s(answered: Answered, targets: Targets) -> Float[np.ndarray, "targets"]:
    """Distance by closing speed of each target; inf where it does not close, NaN where not known."""
    now_m, then_m = np.asarray(targets.values(answered.truth("distance_m"), missing=np.nan))[:, :2].T
    closing_mps = now_m - then_m
    time_s = np.divide(now_m, closing_mps, out=np.full_like(now_m, np.inf), where=closing_mps > CLOSES_MPS)
    return np.asarray(np.where(np.isnan(closing_mps), np.nan, time_s))


def _of_targets(name: str, parts: Parts, located: Located, *, whole: bool) -> Iterator[tuple[str, Sample]]:
    metrics = localization if whole else headline
    for value, chosen in parts:
        yield from metrics(located.take(chosen), f"{name}.{value}.localization")


def _in_view(answered: Answered, located: Located) -> Iterator[tuple[str, Sample]]:
    """By question, since a target may go out of view; both values are always there."""
    parts = parts_of(answered.cases["slice_in_view_at_t"])
    codes = np.where(located.asked, parts.codes[located.rows], -1)
    for value in map(slug, (True, False)):
        cells = codes == parts.code_of(value)
        name = f"slice.in_view_at_t.{value}.localization.mlsr"
        yield name, share_of(located.success[cells], located.rows[cells])
    for value, rows in parts:
        yield f"slice.in_view_at_t.{value}.accuracy", share_at(answered.success, rows)


def _dimensions(answered: Answered) -> Iterator[tuple[str, Parts]]:
    """Each dimension with the value of every question."""
    cases = answered.cases
    category = parts_of(cases["slice_category"])
    yield "vru", _renamed(category, {name: slug(one.vulnerable) for name, one in CATEGORIES.items()})
    for dimension in AS_STORED:
        yield dimension, category if dimension == "category" else parts_of(cases[f"slice_{dimension}"])
    yield "range", parts_of(safety.range_bin(cases["slice_distance_m"].to_numpy(dtype=np.float64)))
    share = cases["slice_visible_fraction"].to_numpy(dtype=np.float64)
    half = np.where(np.isnan(share), -1, share < VISIBLE_HALF).astype(np.int64)
    yield "visible", Parts(("half_or_more", "under_half"), half)
    yield "visibility", _visibility(share)
    log = cases["log_code"].to_numpy()
    if 1 < len(np.unique(log)) <= MOST_LOGS:
        yield "log", parts_of(cases["log_id"])


def _visibility(share: Float[np.ndarray, "n"]) -> Parts:
    names = tuple(f"{low}_{high}" for low, high in pairwise(VISIBILITY_PERCENT))
    level = np.searchsorted(np.array(VISIBILITY_PERCENT[1:-1]), 100.0 * share + ROUNDING, side="right")
    return Parts(names, np.where(np.isnan(share), -1, level))


def _renamed(parts: Parts, name_of: dict[str, str]) -> Parts:
    """Values by another name, several by one; those without are not known."""
    names = sorted(set(name_of.values()))
    codes = [names.index(name_of[name]) if name in name_of else -1 for name in parts.names]
    return Parts(tuple(names), np.array([*codes, -1])[parts.codes])
