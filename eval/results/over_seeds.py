"""Differences of all seeds together: drives are drawn, and with a drive what every seed said about it.

One run differs from another by chance of training as well, so a difference of single runs says little of the recipe. Here the
difference is the mean over seeds. The interval is over drives, as for one seed: it does not tell how other seeds would differ.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Int

from eval.compare.pairing import Paired, Run, read_paired
from eval.report.inputs import Number
from eval.statistics import Sample, difference_each


def over_seeds(evaluations: Sequence[tuple[Path, Path]], metrics: Collection[str]) -> dict[str, Number]:
    """Metrics of runs minus those of their bases.

    Args:
        evaluations: folder of the base and of the run, of each seed.
        metrics: by dotted name; those that not all have are left out.

    Returns:
        By metric, with paired intervals; n counts each seed's cases.

    Raises:
        StoreError: an evaluation or its store is missing or damaged.
        PredictionError: a run and its base have no question in common.
    """
    pairs = [read_paired(pair) for pair in evaluations]
    cases = pd.concat([pair.cases for pair in pairs], ignore_index=True)
    logs = pd.factorize(cases["log_id"])[0]
    frames = cases.groupby(["log_id", "frame"], sort=False).ngroup().to_numpy()
    base = _joined([pair.base for pair in pairs], pairs, metrics)
    other = _joined([pair.others[0] for pair in pairs], pairs, metrics)
    found = {name: one.difference for name, one in difference_each(base, other, logs, frames).items()}
    return {
        name: Number(one.value, one.n, one.low, one.high, one.clusters, one.cluster_kind) for name, one in found.items()
    }


def _joined(runs: Sequence[Run], pairs: Sequence[Paired], metrics: Collection[str]) -> dict[str, Sample]:
    """The samples of all seeds as those of one run over all their cases, one behind another."""
    starts = np.cumsum([0, *(len(pair.cases) for pair in pairs[:-1])])
    shared = [name for name in metrics if all(name in run.samples for run in runs)]
    return {name: _one_behind_another([run.samples[name] for run in runs], starts) for name in shared}


def _one_behind_another(samples: Sequence[Sample], starts: Int[np.ndarray, " seeds"]) -> Sample:
    values = np.concatenate([sample.values for sample in samples])
    rows = np.concatenate([sample.rows + start for sample, start in zip(samples, starts, strict=True)])
    return Sample(values, rows, samples[0].statistic)
