"""Agents that training knows: where one log alone is split by time, those of its later part may be those of its earlier part.

    slice.agent_in_training.{true,false}.accuracy, .localization.mlsr, .localization.tlc

`true`: a question of the `train` split of the same store is about the same track. The rule of splits keeps places and recordings
apart everywhere else (`qa_gen.split`), so that these slices are there under "time-within-log" only.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from drive_vqa.store import Store
from eval.cases import find_targets
from eval.localization import consistent
from eval.panel import Answered, Sample, success_cells
from eval.panel.answered import share_at, share_of

AGENT_IN_TRAINING = "slice.agent_in_training"
TIME_WITHIN_LOG = "time-within-log"


def trained_agent_samples(store: Store, answered: Answered) -> dict[str, Sample]:
    """The headline metrics over agents that training asks about, and over the others.

    Args:
        store: with the questions of `train`.
        answered: to questions of other splits.
    """
    if split_rule(store) != TIME_WITHIN_LOG:
        return {}
    cases, targets = answered.cases, find_targets(answered.cases)
    cells = success_cells(answered, targets)
    is_trained = trained_agents(store, cases)
    samples: dict[str, Sample] = {}
    for value, of_case in (("true", is_trained), ("false", ~is_trained)):
        rows = np.flatnonzero(of_case & cases["track_id"].notna().to_numpy())
        chosen = of_case[targets.anchors]
        samples |= {
            f"{AGENT_IN_TRAINING}.{value}.accuracy": share_at(answered.success, rows),
            f"{AGENT_IN_TRAINING}.{value}.localization.mlsr": share_of(cells[chosen], targets.anchors[chosen]),
            f"{AGENT_IN_TRAINING}.{value}.localization.tlc": share_of(
                consistent(cells[chosen]), targets.anchors[chosen]
            ),
        }
    return samples


def split_rule(store: Store) -> str | None:
    """How the logs of a store were split, as its manifest says; None where it does not."""
    split = store.manifest().get("steps", {}).get("generate", {}).get("split", {})
    return split.get("rule") if isinstance(split, Mapping) else None


def trained_agents(store: Store, cases: pd.DataFrame) -> np.ndarray:
    """Whether the first mark of each question is an agent that a question of `train` is about."""
    known: set[tuple[str, str]] = set()
    for log_id in cases["log_id"].unique().tolist():
        table = store.read("questions", log_id, ["split", "track_ids"])
        tracks = table.filter(pc.equal(table["split"], "train"))["track_ids"].to_pylist()
        known |= {(log_id, track) for listed in tracks for track in listed or ()}
    asked = zip(cases["log_id"], cases["track_id"], strict=True)
    return np.array([agent in known for agent in asked], dtype=bool)
