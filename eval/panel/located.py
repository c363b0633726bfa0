"""Localization success of targets and its consistency in time, for all targets or for some of them (eval.localization)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Bool, Int

from eval.cases import Targets
from eval.localization import HORIZONS_S, consistent
from eval.panel.answered import Answered, share_of
from eval.statistics import Sample

Cells = Bool[np.ndarray, "targets horizons"]


@dataclass(frozen=True, eq=False)
class Located:
    """What became of each target at each horizon; all False where the horizon was not asked.

    Attributes:
        anchors: a row of each target in the table of cases.
        rows: the row of each question.
        asked: it was asked.
        present: there is an answer, readable or not.
        read: there is an answer that could be read.
        success: the target was located.
        distance_ok: the distance was right.
        bearing_ok: the bearing was right.
    """

    anchors: Int[np.ndarray, "targets"]
    rows: Int[np.ndarray, "targets horizons"]
    asked: Cells
    present: Cells
    read: Cells
    success: Cells
    distance_ok: Cells
    bearing_ok: Cells

    def take(self, chosen: np.ndarray) -> Located:
        """Some of the targets, by mask or index."""
        return Located(*(getattr(self, field.name)[chosen] for field in fields(self)))


def locate(answered: Answered, targets: Targets) -> Located:
    """Look up what became of the targets."""
    present, read = (
        np.asarray(targets.values(values, missing=False), dtype=bool) for values in (answered.present, answered.read)
    )
    success, distance_ok, bearing_ok = (
        success_cells(answered, targets, column) for column in ("success", "distance_ok", "bearing_ok")
    )
    return Located(targets.anchors, targets.rows, targets.rows >= 0, present, read, success, distance_ok, bearing_ok)


def success_cells(
    answered: Answered, targets: Targets, column: str = "success"
) -> Bool[np.ndarray, "targets horizons"]:
    """Whether a target was located at each horizon; a horizon that was not asked is failed."""
    return np.asarray(targets.values(answered.verdicts[column].to_numpy(), missing=False), dtype=bool)


def localization(located: Located, prefix: str = "localization") -> Iterator[tuple[str, Sample]]:
    """LSR, MLSR, TLC, and success in distance and bearing; names begin with `prefix`."""
    success, anchors = located.success, located.anchors
    yield from headline(located, prefix)
    for index, horizon_s in enumerate(HORIZONS_S):
        read = located.read[:, index]
        yield f"{prefix}.lsr.t{horizon_s}", share_of(success[:, index], anchors)
        yield f"{prefix}.lsr.t{horizon_s}_parsed_only", share_of(success[read, index], anchors[read])
    for k in HORIZONS_S[1:-1]:
        yield f"{prefix}.tlc.k{k}", share_of(consistent(success, k), anchors)
    yield f"{prefix}.coverage", share_of(located.present, anchors)
    for suffix, counts in (("parsed_only", located.read), ("asked_only", located.asked)):
        whole = counts.all(axis=1)
        yield f"{prefix}.mlsr_{suffix}", share_of(success[counts], located.rows[counts])
        yield f"{prefix}.tlc_{suffix}", share_of(consistent(success[whole]), anchors[whole])
    for part, right in (("distance", located.distance_ok), ("bearing", located.bearing_ok)):
        yield f"{prefix}.sr_{part}", share_of(right, anchors)
        yield f"{prefix}.sr_{part}_parsed_only", share_of(right[located.read], located.rows[located.read])


def headline(located: Located, prefix: str) -> Iterator[tuple[str, Sample]]:
    """MLSR and TLC."""
    yield f"{prefix}.mlsr", share_of(located.success, located.anchors)
    yield f"{prefix}.tlc", share_of(consistent(located.success), located.anchors)
