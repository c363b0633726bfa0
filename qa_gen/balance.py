"""Which questions to keep, so that answers cannot be guessed from how often they are right.

All choices are made within a log, from hashes: what is kept of a log does not depend on other logs. Several logs are worked on
together only because that is faster.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int, UInt64

from qa_gen.groups import rank_in_run

MOST_OFFERS = 4


def equal_answers(
    answer: Int[np.ndarray, "n"], cell: Int[np.ndarray, "n"], draws: UInt64[np.ndarray, "n"], answers: int
) -> Bool[np.ndarray, "n answers"]:
    """For each question the answers that it may be offered with; none: leave it out.

    In each cell the r-th question (by draw) of each answer stands together with the r-th of every other answer that has so
    many. Offered with just these, each is right exactly once: among all questions with the same offer every answer is right
    equally often, rare answers are all kept, and only what the most frequent has over the second is lost.

    Args:
        answer: from 0 to `answers` - 1.
        cell: questions that are balanced together have the same number.
        draws: random.
        answers: how many answers there are.
    """
    _, cells = np.unique(cell, return_inverse=True)
    key = cells * answers + answer
    order = np.lexsort((draws, key))
    rank = np.empty(len(key), dtype=np.int64)
    rank[order] = rank_in_run(key[order])
    counts = np.bincount(key, minlength=(cells.max(initial=-1) + 1) * answers).reshape(-1, answers)
    offered = counts[cells] > rank[:, None]
    return np.asarray(offered & (offered.sum(axis=-1) >= 2)[:, None])


def flattened(
    bins: Int[np.ndarray, "n"], log: Int[np.ndarray, "n"], draws: UInt64[np.ndarray, "n"], share: float
) -> Bool[np.ndarray, "n"]:
    """Keep about `share` of each log's questions, taken from its fullest bins: no bin keeps more than a common cap.

    Args:
        bins: of the answers, from 0.
        log: index of each question's log.
        draws: random.
        share: of the questions to keep.
    """
    width = int(bins.max(initial=0)) + 1
    key = log * width + bins
    counts = np.bincount(key, minlength=(int(log.max(initial=-1)) + 1) * width).reshape(-1, width)
    rising = np.sort(counts, axis=-1)
    fuller = np.arange(width, 0, -1)  # how many bins hold at least as many
    below_kept = np.cumsum(rising, axis=-1) - rising
    wanted = share * counts.sum(axis=-1, keepdims=True)
    first = np.argmax(below_kept + rising * fuller >= wanted, axis=-1)[:, None]
    cap = np.ceil((wanted - np.take_along_axis(below_kept, first, -1)) / fuller[first])[:, 0]
    order = np.lexsort((draws, key))
    rank = np.empty(len(key), dtype=np.int64)
    rank[order] = rank_in_run(key[order])
    return np.asarray(rank < cap[log]) if len(log) else np.zeros(0, dtype=bool)


def distinct_sets(
    values: Float[np.ndarray, "n"],
    set_of: Int[np.ndarray, "n"],
    draws: UInt64[np.ndarray, "n"],
    separation: Float[np.ndarray, "n"],
    period: float | None,
) -> Float[np.ndarray, "n options"]:
    """Offers for questions about numbers: the answers to the same question about other subjects of the same group.

    Within a group, in random order, a subject joins the offer if its value differs enough from all that have joined. All that
    joined are asked about with the same offer, so each of its values is right exactly once.

    Args:
        values: the true answers.
        set_of: the group; rising.
        draws: random.
        separation: how far a value must be from others.
        period: of values on a circle.

    Returns:
        Values on offer, NaN in empty places; all NaN where the question is left out.
    """
    order = np.lexsort((draws, set_of))
    rank = rank_in_run(set_of[order])
    groups, place = np.unique(set_of[order], return_inverse=True)
    width = int(rank.max(initial=-1)) + 1
    table, apart = np.full((len(groups), width), np.nan), np.full((len(groups), width), np.nan)
    table[place, rank], apart[place, rank] = values[order], separation[order]
    offer = np.full((len(groups), MOST_OFFERS), np.nan)
    joined = np.zeros((len(groups), width), dtype=bool)
    for column in range(width):
        gap = np.abs(table[:, column, None] - offer)
        gap = gap if period is None else np.minimum(gap % period, period - gap % period)
        size = np.isfinite(offer).sum(axis=-1)
        joins = ((gap >= apart[:, column, None]) | np.isnan(offer)).all(axis=-1) & (size < MOST_OFFERS)
        joins &= np.isfinite(table[:, column])
        offer[joins, size[joins]] = table[joins, column]
        joined[:, column] = joins
    asked = joined & (joined.sum(axis=-1) >= 2)[:, None]
    offers = np.full((len(values), MOST_OFFERS), np.nan)
    offers[order] = np.where(asked[place, rank][:, None], offer[place], np.nan)
    return offers
