"""Confidence intervals of metrics, and of differences of two runs, by the bootstrap over logs (`eval.bootstrap`).

    share        mean of cases in [0, 1]: bootstrap-t, cut at what so many logs can tell at most
    difference   mean of differences of two shares of the same cases, in [-1, 1]: likewise
    mean         mean of cases without limits, as metres: bootstrap-t; no interval where too few logs set none
    median       expanded percentiles

All metrics with cases from as many logs share their draws, 10,000 from a fixed seed, and are computed at once. Where all logs
agree, as on a share of exactly 0 or 1, draws do not differ and say nothing; the interval then holds what logs that were not seen
may be, so that 3 logs without a mistake do not read as certainty. Where the cases come from a single log, its anchor
frames are drawn instead; that hides how drives differ, so the interval says which it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

from eval.bootstrap import (
    Ratio,
    drawn_weights,
    effective_clusters,
    outer_limits,
    percentiles,
    spread_of_ratios,
    spread_where_all_agree,
)

MAX_MEDIAN_LEVELS = 256
ClusterKind = Literal["log", "frame"]
Statistic = Literal["share", "difference", "mean", "median"]


@dataclass(frozen=True, eq=False)
class Sample:
    """What a metric is taken over.

    Attributes:
        values: one a case.
        rows: the row in the table of cases that each belongs to, for its log and frame.
        statistic: how values become one number, see above.
    """

    values: Float[np.ndarray, "n"]
    rows: Int[np.ndarray, "n"]
    statistic: Statistic = "mean"


@dataclass(frozen=True)
class Estimate:
    """A metric with its interval.

    Attributes:
        value: None where there is no case.
        n: cases.
        low: lower end of the 95 % interval; None where there are fewer than two clusters, or too few to set one.
        high: upper end.
        clusters: how many logs, or frames, the cases come from.
        cluster_kind: what was drawn; None where there is no case.
    """

    value: float | None
    n: int
    low: float | None = None
    high: float | None = None
    clusters: int = 0
    cluster_kind: ClusterKind | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain data for metrics.json."""
        return dict(vars(self))


@dataclass(frozen=True)
class Difference:
    """A metric of another run minus that of the base.

    Attributes:
        base: value of the base; None where it has no case.
        other: value of the other run.
        difference: other minus base, with its paired interval; its n are the cases of the other run.
        p: two-sided, of no difference; None where there is no interval.
    """

    base: float | None
    other: float | None
    difference: Estimate
    p: float | None = None


NOTHING = Estimate(None, 0)
"""The empty case: no value, n = 0."""


ENDS: dict[Statistic, tuple[float, float]] = {
    "share": (0.0, 1.0),
    "difference": (-1.0, 1.0),
    "mean": (-math.inf, math.inf),
}
"""Between which a mean can be."""

PAIRED: dict[Statistic, Statistic] = {"share": "difference", "difference": "mean", "mean": "mean"}
"""What the mean of the differences of two samples is."""

Runs = tuple[Sample, ...]
"""One sample, or two whose difference is meant: the first minus the second."""


@dataclass(frozen=True, eq=False)
class _Clusters:
    """What is drawn, and the cluster of each case of each sample."""

    kind: ClusterKind
    count: int
    codes: tuple[Int[np.ndarray, "_"], ...]


def estimate_each(
    samples: Mapping[str, Sample], logs: Int[np.ndarray, "rows"], frames: Int[np.ndarray, "rows"]
) -> dict[str, Estimate]:
    """Value, n and interval of every sample.

    Args:
        samples: values are finite.
        logs: number of the log of each row of the cases, from 0.
        frames: number of the anchor frame of each row, from 0 and unique over logs.
    """
    found = _estimates({name: (sample,) for name, sample in samples.items()}, logs, frames)
    return {name: estimate for name, (estimate, _) in found.items()}


def difference_each(
    base: Mapping[str, Sample],
    other: Mapping[str, Sample],
    logs: Int[np.ndarray, "rows"],
    frames: Int[np.ndarray, "rows"],
) -> dict[str, Difference]:
    """Every metric that two runs have, other minus base, paired: both under the same draws of logs.

    Where both are taken over the same cases, as every success rate is, the differences are taken case by case.

    Args:
        base: samples of the first run.
        other: samples of the second, over rows of the same table of cases.
        logs: see `estimate_each`.
        frames: see `estimate_each`.
    """
    names = [name for name in base if name in other]
    runs = {name: _paired(other[name], base[name]) for name in names}
    found = _estimates(runs, logs, frames)
    return {name: Difference(_value(base[name]), _value(other[name]), *found[name]) for name in names}


def estimate_mean(
    values: Float[np.ndarray, "n"],
    logs: Int[np.ndarray, "n"],
    frames: Int[np.ndarray, "n"],
    statistic: Statistic = "mean",
) -> Estimate:
    """Mean of cases with its interval.

    Args:
        values: finite; Booleans as 0 and 1.
        logs: number of the log of each case.
        frames: number of the anchor frame of each case, unique over logs.
        statistic: "share" or "difference" where the values have limits.
    """
    return estimate_each({"": Sample(values, np.arange(len(values)), statistic)}, logs, frames)[""]


def estimate_of_means(
    values: Float[np.ndarray, "n k"],
    logs: Int[np.ndarray, "n"],
    frames: Int[np.ndarray, "n"],
    function: Callable[[Float[np.ndarray, "*d k"]], Float[np.ndarray, "*d"]],
) -> Estimate:
    """A function of the means of several columns with its expanded percentile interval; arguments as for `estimate_mean`."""
    if not len(values):
        return NOTHING
    clusters = _clusters([np.arange(len(values))], logs, frames)
    (codes,) = clusters.codes
    sums = np.stack([np.bincount(codes, weights=column, minlength=clusters.count) for column in values.T], axis=1)
    counts = np.bincount(codes, minlength=clusters.count).astype(np.float64)
    draws = [
        np.asarray(function((weights @ sums) / (weights @ counts)[:, None])) for weights in _weights(clusters.count)
    ]
    return _by_percentiles(float(function(values.mean(axis=0))), len(values), clusters, draws)[0]


def _estimates(
    runs: Mapping[str, Runs], logs: Int[np.ndarray, "rows"], frames: Int[np.ndarray, "rows"]
) -> dict[str, tuple[Estimate, float | None]]:
    """Estimate and p-value of each; those over as many clusters at once."""
    found: dict[str, tuple[Estimate, float | None]] = dict.fromkeys(runs, (NOTHING, None))
    alike: dict[tuple[int, int], dict[str, _Reduced]] = {}
    for name, samples in runs.items():
        if not all(len(sample.values) for sample in samples):
            continue
        clusters = _clusters([sample.rows for sample in samples], logs, frames)
        if samples[0].statistic == "median":
            found[name] = _median(samples, clusters)
        else:
            alike.setdefault((len(samples), clusters.count), {})[name] = _reduced(samples, clusters)
    for same in alike.values():
        found |= _studentised(same)
    return found


@dataclass(frozen=True, eq=False)
class _Reduced:
    """A mean, or a difference of two, as sums and counts of clusters.

    Attributes:
        ends: between which the value can be.
        limits: that its interval is cut at.
    """

    value: float
    n: int
    kind: ClusterKind
    ratios: tuple[Ratio, ...]
    ends: tuple[float, float]
    limits: tuple[float, float]


def _reduced(samples: Runs, clusters: _Clusters) -> _Reduced:
    ratios = tuple(
        Ratio(
            np.bincount(codes, weights=sample.values, minlength=clusters.count)[:, None],
            np.bincount(codes, minlength=clusters.count).astype(np.float64)[:, None],
        )
        for sample, codes in zip(samples, clusters.codes, strict=True)
    )
    value = _contrast([float(np.mean(sample.values)) for sample in samples])
    ends = ENDS[samples[0].statistic if len(samples) == 1 else PAIRED[samples[0].statistic]]
    return _Reduced(value, len(samples[0].values), clusters.kind, ratios, ends, _limits(samples, ratios))


def _limits(samples: Runs, ratios: Sequence[Ratio]) -> tuple[float, float]:
    """What so many clusters can tell at most, from the shares that make up the value."""
    (values, counts), statistic = (samples[0].values, ratios[0].counts), samples[0].statistic
    if statistic == "difference":
        gained, lost = (_outer(float(np.mean(np.maximum(sign * values, 0.0))), counts) for sign in (1.0, -1.0))
        return gained[0] - lost[1], gained[1] - lost[0]
    if statistic == "share":
        ends = [_outer(float(np.mean(one.values)), ratio.counts) for one, ratio in zip(samples, ratios, strict=True)]
        return ends[0] if len(ends) == 1 else (ends[0][0] - ends[1][1], ends[0][1] - ends[1][0])
    return -math.inf, math.inf


def _outer(share: float, counts: Float[np.ndarray, "clusters 1"]) -> tuple[float, float]:
    low, high = outer_limits(np.array([share]), counts)
    return float(low[0]), float(high[0])


def _studentised(same: Mapping[str, _Reduced]) -> dict[str, tuple[Estimate, float | None]]:
    """Of means over equally many clusters, all single or all differences."""
    ratios = [
        Ratio(*(np.concatenate([getattr(one, part) for one in column], axis=1) for part in ("sums", "counts")))
        for column in zip(*(reduced.ratios for reduced in same.values()), strict=True)
    ]
    clusters = len(ratios[0].sums)
    if clusters < 2:
        return {name: (Estimate(one.value, one.n, None, None, clusters, one.kind), None) for name, one in same.items()}
    spread = spread_of_ratios(*ratios)
    return {
        name: _cut(one, clusters, float(spread.low[at]), float(spread.high[at]), float(spread.p[at]))
        for at, (name, one) in enumerate(same.items())
    }


def _cut(one: _Reduced, clusters: int, low: float, high: float, p: float) -> tuple[Estimate, float | None]:
    """The interval within its limits, the value in it; where clusters agree, what unseen ones may be."""
    if math.isnan(low) or math.isnan(high):
        low, high, p = spread_where_all_agree(one.value, one.ends, float(effective_clusters(one.ratios[0].counts)[0]))
    else:
        low, high = max(low, one.limits[0]), min(high, one.limits[1])
    if not (math.isfinite(low) and math.isfinite(high)):
        return Estimate(one.value, one.n, None, None, clusters, one.kind), None
    return Estimate(one.value, one.n, min(low, one.value), max(high, one.value), clusters, one.kind), p


def _median(samples: Runs, clusters: _Clusters) -> tuple[Estimate, float | None]:
    value = _contrast([float(np.median(sample.values)) for sample in samples])
    tables = [
        _rank_table(one.values, codes, clusters.count) for one, codes in zip(samples, clusters.codes, strict=True)
    ]
    draws = [
        np.asarray(_contrast([_weighted_medians(weights @ table, middle) for table, middle in tables]))
        for weights in _weights(clusters.count)
    ]
    return _by_percentiles(value, len(samples[0].values), clusters, draws)


def _rank_table(
    values: Float[np.ndarray, "n"], codes: Int[np.ndarray, "n"], clusters: int
) -> tuple[Float[np.ndarray, "clusters levels"], Float[np.ndarray, "levels"]]:
    """How many cases of each rank a cluster has, and the value of each rank; of more than 256 cases, evenly ranked ones."""
    order = np.argsort(values, kind="stable")
    levels = min(len(values), MAX_MEDIAN_LEVELS)
    level_of = np.empty(len(values), dtype=np.int64)
    level_of[order] = np.arange(len(values)) * levels // len(values)
    table = np.bincount(codes * levels + level_of, minlength=clusters * levels).reshape(clusters, levels)
    middle = values[order][((np.arange(levels) + 0.5) * len(values) / levels).astype(np.int64)]
    return table.astype(np.float64), middle


def _weighted_medians(
    counts: Float[np.ndarray, "draws levels"], values: Float[np.ndarray, "levels"]
) -> Float[np.ndarray, "draws"]:
    """Mean of lower and upper median for each row of counts, as `numpy.median` takes it; NaN where a row counts nothing."""
    cumulative = np.cumsum(counts, axis=1)
    half = 0.5 * cumulative[:, -1:]
    lower, upper = (cumulative >= half).argmax(axis=1), (cumulative > half).argmax(axis=1)
    return np.where(half[:, 0] > 0, 0.5 * (values[lower] + values[upper]), np.nan)


def _by_percentiles(
    value: float, n: int, clusters: _Clusters, draws: Sequence[Float[np.ndarray, "draws"]]
) -> tuple[Estimate, float | None]:
    if clusters.count < 2:
        return Estimate(value, n, None, None, clusters.count, clusters.kind), None
    spread = percentiles(np.concatenate(draws)[:, None], clusters.count)
    low, high, p = (float(one[0]) for one in (spread.low, spread.high, spread.p))
    if not math.isfinite(low) or low == high:
        return Estimate(value, n, None, None, clusters.count, clusters.kind), None
    return Estimate(value, n, low, high, clusters.count, clusters.kind), p


def _clusters(
    rows: Sequence[Int[np.ndarray, "_"]], logs: Int[np.ndarray, "rows"], frames: Int[np.ndarray, "rows"]
) -> _Clusters:
    """Logs that have a case of any sample; their frames where it is one log."""
    kind: ClusterKind = "log" if _differ([logs[own] for own in rows]) else "frame"
    codes = [(logs if kind == "log" else frames)[own] for own in rows]
    present = np.flatnonzero(sum(np.bincount(own, minlength=1 + max(map(np.max, codes))) for own in codes))
    place = np.zeros(present[-1] + 1, dtype=np.int64)
    place[present] = np.arange(len(present))
    return _Clusters(kind, len(present), tuple(place[own] for own in codes))


def _differ(parts: Sequence[Int[np.ndarray, "_"]]) -> bool:
    return any(bool((part != parts[0][0]).any()) for part in parts)


def _weights(clusters: int) -> Iterable[Float[np.ndarray, "draws clusters"]]:
    return drawn_weights(clusters) if clusters > 1 else ()


def _paired(other: Sample, base: Sample) -> Runs:
    """Case by case where both samples are over the same cases."""
    if base.statistic == "median" or not np.array_equal(base.rows, other.rows):
        return other, base
    return (Sample(other.values - base.values, base.rows, PAIRED[base.statistic]),)


def _contrast(terms: Sequence[Any]) -> Any:
    return terms[0] if len(terms) == 1 else terms[0] - terms[1]


def _value(sample: Sample) -> float | None:
    if not len(sample.values):
        return None
    return float(np.median(sample.values) if sample.statistic == "median" else np.mean(sample.values))
