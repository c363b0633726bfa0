"""What metrics are made from, and how the cases of one become its sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from eval.cases import Targets
from eval.safety import Judged
from eval.statistics import Estimate, Sample, estimate_each
from eval.trajectory import positions_m


@dataclass(frozen=True, eq=False)
class Answered:
    """The questions, what was answered, and what became of it; all row by row.

    Attributes:
        cases: see `eval.cases.read_cases`; index 0 … n-1.
        answers: typed answers, with `answered` (there was a text) and `failure` (why it was not read, or None).
        verdicts: see `eval.scoring.judge`.
    """

    cases: pd.DataFrame
    answers: pd.DataFrame
    verdicts: pd.DataFrame

    @cached_property
    def success(self) -> Bool[np.ndarray, "n"]:
        """Whether the answer is right; False where there is none."""
        return self.verdicts["success"].to_numpy(dtype=bool)

    @cached_property
    def present(self) -> Bool[np.ndarray, "n"]:
        """Whether there is an answer, readable or not."""
        return self.answers["answered"].to_numpy(dtype=bool)

    @cached_property
    def read(self) -> Bool[np.ndarray, "n"]:
        """Whether there is an answer that could be read."""
        return np.asarray(self.present & self.answers["failure"].isna().to_numpy())

    def truth(self, field: str) -> Float[np.ndarray, "n"]:
        """A number that is asked for; NaN where it is not."""
        return self.cases[f"truth_{field}"].to_numpy(dtype=np.float64)

    def answer(self, field: str) -> Float[np.ndarray, "n"]:
        """A number as it was answered; NaN where it was not."""
        return self.answers[field].to_numpy(dtype=np.float64)

    def places_m(self, targets: Targets) -> tuple[np.ndarray, np.ndarray]:
        """True and answered ego-frame positions, (targets, horizons, 2); NaN where not known."""
        truth, answer = (
            [np.asarray(targets.values(side(field), missing=np.nan)) for field in ("distance_m", "bearing_deg")]
            for side in (self.truth, self.answer)
        )
        return positions_m(*truth), positions_m(*answer)


def estimates(samples: Mapping[str, Sample], cases: pd.DataFrame) -> dict[str, Estimate]:
    """Value, n and interval of every sample."""
    return estimate_each(samples, cases["log_code"].to_numpy(), cases["frame_code"].to_numpy())


def share_at(values: np.ndarray, rows: Int[np.ndarray, "k"]) -> Sample:
    """Share of some cases.

    Args:
        values: of all cases.
        rows: those that count.
    """
    return share_of(values[rows], rows)


def share_of(values: np.ndarray, rows: np.ndarray) -> Sample:
    """Share of cells, or mean of what lies in [0, 1].

    Args:
        values: of any shape.
        rows: of the same shape or that of its beginning, such as targets of (targets, horizons).
    """
    cells = np.broadcast_to(rows.reshape(rows.shape + (1,) * (values.ndim - rows.ndim)), values.shape)
    return Sample(values.astype(np.float64).ravel(), cells.astype(np.int64, copy=False).ravel(), "share")


def judged_share(judged: Judged, rows: np.ndarray) -> Sample:
    """How often it happened where it applies; `rows` as for `share_of`."""
    cells = np.broadcast_to(rows.reshape(rows.shape + (1,) * (judged.applies.ndim - rows.ndim)), judged.applies.shape)
    return share_of(judged.happened[judged.applies], cells[judged.applies])
