"""How often 95 % intervals hold the truth: `python -m eval.coverage_benchmark [--sets N] [--only WORD]`.

Answers of L logs are simulated 1,000 times, with logs of unequal size (log-normal, 10 on average, from 1 to 60) and answers of a
log alike: chances of a log are drawn from a beta distribution whose variance is the intra-cluster correlation, errors in metres
share a factor. The shown share of intervals that hold the truth should be 95 %; of 1,000 sets it is off by 0.7 by chance (one
standard error). Beside each: the median width of the interval, and the coverage of plain percentiles of the same draws.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Bool, Float, Int

from eval.bootstrap import TAIL, drawn_weights
from eval.statistics import Difference, Estimate, Sample, Statistic, difference_each, estimate_each

LOGS = (8, 12, 20, 50, 100, 200)
MEAN_SIZE, SIZE_SPREAD, MAX_SIZE = 10.0, 0.8, 60
CLAIMED = (0.93, 0.97)
SPREAD_OF_CASES, SPREAD_OF_LOGS = 0.5, 0.4
GAIN, LOSS = 0.15, 0.05
"""Chance that the other run mends a wrong answer, and that it spoils a right one."""


@dataclass(frozen=True, eq=False)
class DataSet:
    """One simulated evaluation.

    Attributes:
        log: number of the log of each case.
        values: what the interval is of, or the values of the other run.
        base: values of the base run, where a difference is meant.
        shown: cases that each run could be judged by, where they are not the same.
    """

    log: Int[np.ndarray, "n"]
    values: Float[np.ndarray, "n"]
    base: Float[np.ndarray, "n"] | None = None
    shown: Bool[np.ndarray, "2 n"] | None = None


Simulator = Callable[[np.random.Generator, Int[np.ndarray, "n"], int], DataSet]


@dataclass(frozen=True)
class Kind:
    """A kind of metric: how it is simulated, and its true value."""

    simulate: Simulator
    truth: float
    statistic: Statistic = "share"
    mean_size: float = MEAN_SIZE


def shares(
    random: np.random.Generator, log: Int[np.ndarray, "n"], logs: int, *, share: float, correlation: float
) -> DataSet:
    """Right and wrong answers."""
    return DataSet(log, (random.random(len(log)) < _chances(random, logs, share, correlation)[log]).astype(np.float64))


def errors_m(random: np.random.Generator, log: Int[np.ndarray, "n"], logs: int) -> DataSet:
    """Skewed errors with median 1 m."""
    shared = random.normal(scale=SPREAD_OF_LOGS, size=logs)
    return DataSet(log, np.exp(shared[log] + random.normal(scale=SPREAD_OF_CASES, size=len(log))))


def two_runs(
    random: np.random.Generator, log: Int[np.ndarray, "n"], logs: int, *, share: float, apart: bool = False
) -> DataSet:
    """A run and another that mends and spoils some of its answers; `apart`: each is judged by 80 % of the cases."""
    base = random.random(len(log)) < _chances(random, logs, share, 0.2)[log]
    gains, losses = (_chances(random, logs, chance, 0.2)[log] for chance in (GAIN, LOSS))
    change = random.random(len(log)) < np.where(base, losses, gains)
    shown = random.random((2, len(log))) < 0.8 if apart else None
    return DataSet(log, (base ^ change).astype(np.float64), base.astype(np.float64), shown)


def _chances(random: np.random.Generator, logs: int, mean: float, correlation: float) -> Float[np.ndarray, "logs"]:
    weight = (1 - correlation) / correlation
    return random.beta(mean * weight, (1 - mean) * weight, size=logs)


def _change(share: float) -> float:
    return (1 - share) * GAIN - share * LOSS


KINDS = {
    **{
        f"share {share}, correlation {correlation}": Kind(partial(shares, share=share, correlation=correlation), share)
        for correlation in (0.05, 0.3)
        for share in (0.05, 0.2, 0.5, 0.9)
    },
    "share 0.3, 4 a log (n = 409 at 100)": Kind(partial(shares, share=0.3, correlation=0.2), 0.3, mean_size=4.09),
    "mean error": Kind(errors_m, float(np.exp((SPREAD_OF_CASES**2 + SPREAD_OF_LOGS**2) / 2)), "mean"),
    "difference at 0.1": Kind(partial(two_runs, share=0.1), _change(0.1)),
    "difference at 0.6": Kind(partial(two_runs, share=0.6), _change(0.6)),
    "difference of ratios": Kind(partial(two_runs, share=0.6, apart=True), _change(0.6)),
    "median error": Kind(errors_m, 1.0, "median"),
}


def coverage(kind: Kind, logs: int, sets: int) -> tuple[float, float, float]:
    """Share of simulated sets whose interval holds the truth, its median width, and the share for plain percentiles."""
    random = np.random.default_rng([7, logs])
    drawn = [kind.simulate(random, _sizes(random, logs, kind.mean_size), logs) for _ in range(sets)]
    intervals = [_interval(one, kind.statistic) for one in drawn]
    plain = [_percentiles(one, logs) for one in drawn] if kind.statistic != "median" else []  # medians draw otherwise
    held, width = _held(intervals, kind.truth)
    return held, width, _held(plain, kind.truth)[0]


def _sizes(random: np.random.Generator, logs: int, mean: float) -> Int[np.ndarray, "n"]:
    sizes = random.lognormal(np.log(mean) - SIZE_SPREAD**2 / 2, SIZE_SPREAD, size=logs)
    return np.repeat(np.arange(logs), np.clip(np.round(sizes), 1, MAX_SIZE).astype(np.int64))


def _samples(one: DataSet, statistic: Statistic) -> tuple[Sample, ...]:
    values = [one.values] if one.base is None else [one.values, one.base]
    shown = np.ones((len(values), len(one.log)), dtype=bool) if one.shown is None else one.shown
    return tuple(Sample(own[seen], np.flatnonzero(seen), statistic) for own, seen in zip(values, shown, strict=True))


def _interval(one: DataSet, statistic: Statistic) -> tuple[float, float]:
    other, *base = _samples(one, statistic)
    frames = np.arange(len(one.log))
    found: Estimate | Difference = (
        difference_each({"": base[0]}, {"": other}, one.log, frames)[""]
        if base
        else estimate_each({"": other}, one.log, frames)[""]
    )
    estimate = found.difference if isinstance(found, Difference) else found
    missing = estimate.low is None or estimate.high is None
    return (-np.inf, np.inf) if missing else (estimate.low or 0.0, estimate.high or 0.0)


def _percentiles(one: DataSet, logs: int) -> tuple[float, float]:
    """The plain percentile interval of the means, for comparison."""
    means = [np.zeros(1)]
    for sign, sample in zip((1.0, -1.0), _samples(one, "mean"), strict=False):
        codes = one.log[sample.rows]
        sums, counts = np.bincount(codes, sample.values, logs), np.bincount(codes, minlength=logs)
        draws = [(drawn @ sums, drawn @ counts) for drawn in drawn_weights(logs)]
        means.append(sign * np.concatenate([own / np.where(count > 0, count, np.nan) for own, count in draws]))
    low, high = np.nanquantile(sum(means), [TAIL, 1 - TAIL])
    return float(low), float(high)


def _held(intervals: list[tuple[float, float]], truth: float) -> tuple[float, float]:
    if not intervals:
        return np.nan, np.nan
    low, high = np.array(intervals).T
    return float(np.mean((low <= truth) & (truth <= high))), float(np.median(high - low))


def main() -> None:
    """Print a line a kind, a column a number of logs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=1_000)
    parser.add_argument("--only", default="", help="kinds with this word")
    options = parser.parse_args()
    print(f"{'coverage % / width / plain %':38}" + "".join(f"{logs:>9} logs   " for logs in LOGS))
    for name, kind in KINDS.items():
        if options.only not in name:
            continue
        cells = []
        for logs in LOGS:
            held, width, plain = coverage(kind, logs, options.sets)
            mark = " " if CLAIMED[0] <= held <= CLAIMED[1] else "<" if held < CLAIMED[0] else ">"
            beside = "   –" if np.isnan(plain) else f"{100 * plain:4.1f}"
            cells.append(f"{mark}{100 * held:5.1f} {width:4.2f} {beside}")
        print(f"{name:38}" + "".join(cells), flush=True)


if __name__ == "__main__":
    main()
