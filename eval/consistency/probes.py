"""Agreement of a run with a probe: the same questions to the same model, asked in another way (`eval.controls`)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from jaxtyping import Int

from drive_vqa.errors import ConfigError
from drive_vqa.schema import TRUTH
from eval.consistency.agreement import agree
from eval.controls.mirror import mirrored_answers
from eval.controls.swap_roles import swapped_answers
from eval.panel.answered import Answered, share_of
from eval.statistics import Sample

Turned = Callable[[pd.DataFrame, pd.DataFrame], pd.DataFrame]
"""Cases and answers to the turned questions → answers to the questions as they are stored."""


def _unturned(_cases: pd.DataFrame, answers: pd.DataFrame) -> pd.DataFrame:
    return answers


TURNED_BACK: dict[str, Turned] = {
    "paraphrase": _unturned,
    "option_order": _unturned,
    "swap_roles": swapped_answers,
    "mirror": mirrored_answers,
}
"""By name of the probe."""


def probe_samples(model: Answered, probe: Answered, name: str) -> dict[str, Sample]:
    """Agreement over the questions that both runs have a readable answer to, and of each type.

    Args:
        model: answers to the questions as they are.
        probe: answers to the turned questions; other questions, and any order, are welcome.
        name: of the probe.

    Raises:
        ConfigError: there is no such probe.
    """
    if name not in TURNED_BACK:
        raise ConfigError(f"there is no probe {name!r}: choose one of {', '.join(TURNED_BACK)}")
    rows, others = _in_both(model, probe)
    cases = _taken(model.cases[["type", "form", "answer_type"]], rows)
    first, second = (_taken(run.answers[list(TRUTH.names)], at) for run, at in ((model, rows), (probe, others)))
    agreed = agree(cases, first, TURNED_BACK[name](cases, second))
    samples = {f"consistency.{name}.agreement": share_of(agreed, rows)}
    codes, kinds = pd.factorize(cases["type"], sort=True)
    for code, kind in enumerate(kinds):
        samples[f"consistency.{name}.type.{kind}.agreement"] = share_of(agreed[codes == code], rows[codes == code])
    return samples


def _taken(table: pd.DataFrame, rows: Int[np.ndarray, "k"]) -> pd.DataFrame:
    """Some rows, numbered anew; all of them, in order, without a copy."""
    everything = len(rows) == len(table) and bool((rows == np.arange(len(rows))).all())
    return table if everything else table.take(rows).reset_index(drop=True)


def _in_both(model: Answered, probe: Answered) -> tuple[Int[np.ndarray, "k"], Int[np.ndarray, "k"]]:
    """Rows of the questions that were read in both runs."""
    rows = np.flatnonzero(model.read)
    read = np.flatnonzero(probe.read)
    ids, asked = probe.cases["qa_id"].iloc[read], model.cases["qa_id"].iloc[rows]
    if len(ids) == len(asked) and (ids.array == asked.array).all():
        return rows, read
    place = pd.Index(ids).get_indexer(pd.Index(asked))
    return rows[place >= 0], read[place[place >= 0]]
