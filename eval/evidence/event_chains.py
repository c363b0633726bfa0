"""V-STaR's two chains over the questions that ask when something happened and where it was then.

Chain 1 (what, when, where) is made of the questions that ask for an interval, chain 2 (what, where, when) of those that ask for a
box; who asks for both is in both. Of each question

    A   whether the answer is right
    T   temporal IoU: of the answered interval where one is asked for, else of the times that the trace tells
    S   visual IoU: of the answered box where one is asked for, else of the boxes that the trace tells

and mAM and mLGM are the means over both chains of AM and LGM of their mean A, T and S (`eval.evidence.chains`). V-STaR asks what,
when and where in questions of their own and tells the later ones the truth of the earlier; here nothing is told, so the numbers
are read like V-STaR's and not compared with them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Int

from eval import scoring
from eval.evidence.chains import arithmetic_mean, log_geometric_mean
from eval.panel import Answered
from eval.statistics import NOTHING, Estimate, estimate_of_means

PARTS = 3
Summary = Callable[[Float[np.ndarray, "*n 3"]], Float[np.ndarray, "*n"]]


def event_chains(
    answered: Answered, rows: Int[np.ndarray, "n"], temporal: Float[np.ndarray, "n"], visual: Float[np.ndarray, "n"]
) -> dict[str, Estimate]:
    """`grounding.mam` and `grounding.mlgm`, not in hundredths; null where a chain has no question.

    Args:
        answered: the cases, and whether their answers are right.
        rows: cases whose evidence an image shows.
        temporal: temporal IoU of the trace of each.
        visual: visual IoU of the trace of each.
    """
    cases = answered.cases
    asks_when, asks_where = (cases[f"truth_{name}"].notna().to_numpy()[rows] for name in ("start_s", "u0_px"))
    tious, box_ious = (np.nan_to_num(of(cases, answered.answers))[rows] for of in (scoring.tious, scoring.box_ious))
    right = answered.verdicts["success"].to_numpy()[rows].astype(np.float64)
    parts = np.stack([right, np.where(asks_when, tious, temporal), np.where(asks_where, box_ious, visual)], axis=1)
    about = asks_when | asks_where
    names = {"grounding.mam": arithmetic_mean, "grounding.mlgm": log_geometric_mean}
    if not (asks_when.any() and asks_where.any()):
        return dict.fromkeys(names, NOTHING)
    columns = np.concatenate([_column_group(parts, asks_when), _column_group(parts, asks_where)], axis=1)[about]
    logs, frames = (cases[name].to_numpy()[rows[about]] for name in ("log_code", "frame_code"))
    return {name: estimate_of_means(columns, logs, frames, _mean_of_chains(of)) for name, of in names.items()}


def _column_group(parts: Float[np.ndarray, "n 3"], asked: Bool[np.ndarray, "n"]) -> Float[np.ndarray, "n 4"]:
    """The parts of the questions of a chain, 0 for others, and which are of it: the ratio of their means is the chain's."""
    return np.column_stack([parts * asked[:, None], asked]).astype(np.float64)


def _mean_of_chains(summary: Summary) -> Callable[[Float[np.ndarray, "*d 8"]], Float[np.ndarray, "*d"]]:
    """NaN in draws of logs that ask nothing of one chain."""

    def mean(columns: Float[np.ndarray, "*d 8"]) -> Float[np.ndarray, "*d"]:
        chains = columns.reshape(*columns.shape[:-1], -1, PARTS + 1)
        share = chains[..., PARTS:]
        parts = np.divide(chains[..., :PARTS], share, out=np.full(chains[..., :PARTS].shape, np.nan), where=share > 0)
        return np.asarray(summary(parts).mean(axis=-1))

    return mean
