"""The bootstrap over clusters: how a number would differ had other logs been driven.

Answers about one drive resemble each other, so clusters (logs) are drawn with replacement, not answers: 10,000 draws of L
clusters from a fixed seed give each cluster a weight w. A mean over cases is a ratio of cluster sums, Σ w·s / Σ w·c, and a
difference of two runs is a difference of two such ratios under the same draws.

Plain percentiles of the draws hold the truth too seldom where clusters are few or events rare. Two intervals of Hesterberg 2015,
"What Teachers Should Know about the Bootstrap", do better, and `python -m eval.coverage_benchmark` measures by how much:

    expanded percentiles   those at Φ(-√(L/(L-1))·t(97.5 %, L-1)) and its opposite
    bootstrap-t            r - t*(97.5 %)·se … r - t*(2.5 %)·se, with  e = s - r·c,  se = √(Σ e²) / Σ c
                           and t* = (r* - r) / se* of each draw, se* from its own residuals

Ratios and their differences have the outer of both, other statistics the first. For few clusters the ends may be far out; a share
is then cut at its `outer_limits`. A p-value is that of the interval whose end is 0; where no
draw reaches 0, that of the t distribution, since 10,000 draws cannot tell small p-values apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations_with_replacement

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import betaincinv, ndtr, ndtri, stdtr, stdtrit

DRAWS = 10_000
SEED = 20_240_817
TAIL = 0.025
MAX_KEPT_CLUSTERS = 200
DRAWS_AT_ONCE = 1_000
WEIGHTS_AT_ONCE = 4_000_000
COLUMNS_AT_ONCE = 500
NEARLY_NOTHING = 1e-12
"""Of the squared residuals, what rounding leaves where all clusters agree."""


@dataclass(frozen=True, eq=False)
class Ratio:
    """Sums and counts of each cluster, a column a metric; each column has a case."""

    sums: Float[np.ndarray, "clusters metrics"]
    counts: Float[np.ndarray, "clusters metrics"]

    @property
    def values(self) -> Float[np.ndarray, "metrics"]:
        """Means over all cases."""
        return np.asarray(self.sums.sum(axis=0) / self.counts.sum(axis=0))

    def columns(self, chosen: slice) -> Ratio:
        """Some of the metrics."""
        return Ratio(self.sums[:, chosen], self.counts[:, chosen])


@dataclass(frozen=True, eq=False)
class Spread:
    """What the draws say of each metric.

    Attributes:
        low: lower end of the 95 % interval; -inf where the draws set no limit, NaN where all clusters agree.
        high: upper end; likewise.
        p: two-sided p-value of the value being 0; NaN where all clusters agree.
    """

    low: Float[np.ndarray, "metrics"]
    high: Float[np.ndarray, "metrics"]
    p: Float[np.ndarray, "metrics"]


def spread_of_ratios(ratio: Ratio, minus: Ratio | None = None) -> Spread:
    """Interval and p-value of each ratio, or of its difference to another over the same clusters.

    Draws in which one of two ratios has no case are left out.
    """
    terms = [ratio] if minus is None else [ratio, minus]
    metrics = ratio.sums.shape[1]
    parts = [slice(start, start + COLUMNS_AT_ONCE) for start in range(0, metrics, COLUMNS_AT_ONCE)]
    found = [_spread([term.columns(part) for term in terms]) for part in parts]
    return Spread(*(np.concatenate([getattr(one, name) for one in found]) for name in ("low", "high", "p")))


def percentiles(draws: Float[np.ndarray, "draws metrics"], clusters: int) -> Spread:
    """Expanded percentile interval of each metric; draws may be NaN where a metric has no case in them."""
    ordered = np.sort(draws.T, axis=1)
    widening = np.sqrt(clusters / (clusters - 1))
    low, high = _ends(ordered, float(ndtr(widening * stdtrit(clusters - 1, TAIL))))
    share, reached = _share_beyond(ordered, np.zeros(len(ordered)))
    with np.errstate(invalid="ignore", divide="ignore"):
        far = -np.abs(_median_of(ordered)) / np.nanstd(draws, axis=0)
    z = np.where(reached, ndtri(np.minimum(share, 0.5)), np.minimum(ndtri(share), far))
    p = 2 * stdtr(clusters - 1, z / widening)
    return Spread(low, high, np.maximum(p, smallest_p(clusters)))


def outer_limits(
    shares: Float[np.ndarray, "metrics"], counts: Float[np.ndarray, "clusters metrics"]
) -> tuple[Float[np.ndarray, "metrics"], Float[np.ndarray, "metrics"]]:
    """Limits of a share if each cluster were all right or all wrong: nothing can vary more.

    Clopper and Pearson's interval of so many trials as there are clusters in effect.
    """
    trials = effective_clusters(counts)
    right = np.clip(shares, 0.0, 1.0) * trials
    wrong = trials - right
    low = np.where(right > 0, betaincinv(np.maximum(right, NEARLY_NOTHING), wrong + 1, TAIL), 0.0)
    high = np.where(wrong > 0, betaincinv(right + 1, np.maximum(wrong, NEARLY_NOTHING), 1 - TAIL), 1.0)
    return np.asarray(low), np.asarray(high)


def spread_where_all_agree(value: float, range_: tuple[float, float], trials: float) -> tuple[float, float, float]:
    """Interval and p-value of a value that all clusters agree on.

    Of so many clusters none was another; at most a share u = 1 - 0.025^(1/trials) of all may then be, and at worst these lie at
    an end of the range. The p-value is that of the interval whose end is 0.
    """
    unseen = 1.0 - TAIL ** (1.0 / trials)
    low, high = value - unseen * (value - range_[0]), value + unseen * (range_[1] - value)
    end = range_[0] if value > 0 else range_[1]
    p = 1.0 if value == 0 else min(1.0, 2 * (1.0 - value / (value - end)) ** trials)
    return low, high, p


def effective_clusters(counts: Float[np.ndarray, "clusters metrics"]) -> Float[np.ndarray, "metrics"]:
    """Kish's number of clusters of equal size that tell as much, (Σ c)² / Σ c²."""
    return np.asarray(counts.sum(axis=0) ** 2 / (counts**2).sum(axis=0))


def smallest_p(clusters: int) -> float:
    """The least p-value that so many clusters can give: that of a sign test in which all agree."""
    return float(2.0 ** (1 - clusters))


def drawn_weights(clusters: int) -> Iterable[Float[np.ndarray, "draws clusters"]]:
    """All draws in parts that fit into memory; the same for every metric over so many clusters."""
    return _kept_weights(clusters) if clusters <= MAX_KEPT_CLUSTERS else _draw_weights(clusters)


@lru_cache(maxsize=16)
def _kept_weights(clusters: int) -> tuple[Float[np.ndarray, "draws clusters"], ...]:
    return tuple(_draw_weights(clusters))


def _draw_weights(clusters: int) -> Iterator[Float[np.ndarray, "draws clusters"]]:
    """How often each cluster is drawn in each draw."""
    random = np.random.default_rng(np.random.SeedSequence([SEED, clusters]))
    at_once = max(1, min(DRAWS_AT_ONCE, WEIGHTS_AT_ONCE // clusters))
    for start in range(0, DRAWS, at_once):
        rows = min(at_once, DRAWS - start)
        drawn = random.integers(clusters, size=(rows, clusters)) + clusters * np.arange(rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=rows * clusters)
        yield counts.reshape(rows, clusters).astype(np.float64)


def _spread(terms: Sequence[Ratio]) -> Spread:
    """The outer of both intervals."""
    signs = (1.0, -1.0)[: len(terms)]
    residuals = [term.sums - term.values * term.counts for term in terms]
    value = np.asarray(sum(sign * term.values for sign, term in zip(signs, terms, strict=True)))
    error = _error(terms, residuals, signs)
    t, shifts = _draws(terms, residuals, signs)
    ordered = np.sort(t.T, axis=1)
    t_low, t_high = _ends(ordered, TAIL)
    expanded = percentiles(value + shifts, len(residuals[0]))
    with np.errstate(invalid="ignore", divide="ignore"):
        low = np.minimum(value - t_high * error, expanded.low)
        high = np.maximum(value - t_low * error, expanded.high)
        share, reached = _share_beyond(ordered, value / error)
        far = stdtr(len(residuals[0]) - 1, -np.abs(value / error))
        p = np.maximum(np.minimum(1.0, 2 * np.where(reached, share, np.minimum(share, far))), expanded.p)
    return Spread(low, high, np.where(np.isnan(error), np.nan, p))


def _error(
    terms: Sequence[Ratio], residuals: Sequence[np.ndarray], signs: Sequence[float]
) -> Float[np.ndarray, "metrics"]:
    """Standard error of the value; NaN where all clusters agree."""
    totals = [term.counts.sum(axis=0) for term in terms]
    pulls = sum(sign * residual / total for sign, residual, total in zip(signs, residuals, totals, strict=True))
    scale = sum((term.sums**2).sum(axis=0) / total**2 for term, total in zip(terms, totals, strict=True))
    squares = np.sum(np.square(pulls), axis=0)
    return np.where(squares > NEARLY_NOTHING * scale, np.sqrt(squares), np.nan)


def _draws(
    terms: Sequence[Ratio], residuals: Sequence[np.ndarray], signs: Sequence[float]
) -> tuple[Float[np.ndarray, "draws metrics"], Float[np.ndarray, "draws metrics"]]:
    """t* of each draw, and how far it is from the value; NaN where a ratio has no case, t* infinite where drawn clusters agree.

    The residuals of a draw are linear in each term's own residuals and counts, so their squares need only the sums of products
    of these: matrix products of the weights with columns made once.
    """
    bases = [column for term, residual in zip(terms, residuals, strict=True) for column in (residual, term.counts)]
    pairs = list(combinations_with_replacement(range(len(bases)), 2))
    products = [bases[one] * bases[other] for one, other in pairs]
    t, shifts = [], []
    for weights in drawn_weights(len(bases[0])):
        factors, shift = [], 0.0
        with np.errstate(invalid="ignore", divide="ignore"):
            for sign, term, residual in zip(signs, terms, residuals, strict=True):
                total = weights @ term.counts
                moved = (weights @ residual) / total
                shift = shift + sign * moved
                factors += [sign / total, -sign * moved / total]
            squares = sum(
                (1.0 if one == other else 2.0) * factors[one] * factors[other] * (weights @ product)
                for (one, other), product in zip(pairs, products, strict=True)
            )
            floor = NEARLY_NOTHING * np.square(shift)
            studentised = shift / np.sqrt(np.where(squares > floor, squares, 0.0))
        t.append(np.where(shift == 0, 0.0, studentised))
        shifts.append(shift)
    return np.concatenate(t), np.concatenate(shifts)


def _ends(ordered: Float[np.ndarray, "metrics draws"], tail: float) -> tuple[np.ndarray, np.ndarray]:
    """The draws that leave this share beyond them on either side, the outer of two; NaN come last and do not count."""
    last = (~np.isnan(ordered)).sum(axis=1) - 1
    rows, rank = np.arange(len(ordered)), np.floor(tail * np.maximum(last, 0)).astype(np.int64)
    return ordered[rows, rank], ordered[rows, np.maximum(last - rank, 0)]


def _share_beyond(
    ordered: Float[np.ndarray, "metrics draws"], at: Float[np.ndarray, "metrics"]
) -> tuple[Float[np.ndarray, "metrics"], Bool[np.ndarray, "metrics"]]:
    """The smaller share of draws at or beyond a point, which counts as one of them; and whether any draw is.

    Where none is, the share only says that it is less than one of the draws; the tail of a t distribution says how much less.
    """
    told = (~np.isnan(ordered)).sum(axis=1)
    slack = (NEARLY_NOTHING * (1 + np.abs(at)))[:, None]
    above = (ordered >= at[:, None] - slack).sum(axis=1)
    below = (ordered <= at[:, None] + slack).sum(axis=1)
    beyond = np.minimum(above, below)
    return (beyond + 1) / (told + 1), beyond > 0


def _median_of(ordered: Float[np.ndarray, "metrics draws"]) -> Float[np.ndarray, "metrics"]:
    return np.asarray(_ends(ordered, 0.5)[0])
