"""What the filter knew about every track at every scan, kept for the smoother."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from sensors.tracking.bank import Bank
from sensors.tracking.scans import Boxes


class Steps(NamedTuple):
    """One row a track and scan, in order of time; rows of one scan in order of track.

    Attributes:
        scan: number of the scan.
        track: number of the track.
        predicted, predicted_cov: before the scan's measurements were taken in.
        jacobian: of the step from the scan before to this one.
        mean, cov: after.
        shape, shape_var: height of the centre, length, width, height: after.
        shape_added: variance that the step added to `shape_var`.
        detection: row of the detections table of the 3D box that was taken, else -1.
        sensed: measurements of any kind that were taken.
        nis: normalized innovation squared of the position; NaN where no 3D box was taken.
    """

    scan: Int[np.ndarray, "n"]
    track: Int[np.ndarray, "n"]
    predicted: Float[np.ndarray, "n 6"]
    predicted_cov: Float[np.ndarray, "n 6 6"]
    jacobian: Float[np.ndarray, "n 6 6"]
    mean: Float[np.ndarray, "n 6"]
    cov: Float[np.ndarray, "n 6 6"]
    shape: Float[np.ndarray, "n 4"]
    shape_var: Float[np.ndarray, "n 4"]
    shape_added: Float[np.ndarray, "n 4"]
    detection: Int[np.ndarray, "n"]
    sensed: Int[np.ndarray, "n"]
    nis: Float[np.ndarray, "n"]

    def take(self, index: np.ndarray) -> Steps:
        """Some rows."""
        return Steps(*(column[index] for column in self))


@dataclass(eq=False)
class History:
    """Collects the steps of a log."""

    parts: list[Steps] = field(default_factory=list)

    def add(self, scan: int, bank: Bank, before: Predicted, taken: Taken) -> None:
        """Note the state of all tracks after a scan."""
        count = len(bank)
        if count:
            self.parts.append(
                Steps(
                    np.full(count, scan), bank.track, *before, bank.mean, bank.cov, bank.shape, bank.shape_var,
                    taken.shape_added, taken.detection, taken.sensed, taken.nis,
                )
            )  # fmt: skip

    def steps(self) -> Steps | None:
        """All of them; None where no track was ever born."""
        return Steps(*map(np.concatenate, zip(*self.parts, strict=True))) if self.parts else None


class Predicted(NamedTuple):
    """State before the measurements of a scan."""

    mean: Float[np.ndarray, "n 6"]
    cov: Float[np.ndarray, "n 6 6"]
    jacobian: Float[np.ndarray, "n 6 6"]


@dataclass(eq=False)
class Taken:
    """What a scan gave to each track."""

    shape_added: Float[np.ndarray, "n 4"]
    detection: Int[np.ndarray, "n"]
    sensed: Int[np.ndarray, "n"]
    nis: Float[np.ndarray, "n"]

    @classmethod
    def nothing(cls, shape_added: Float[np.ndarray, "n 4"]) -> Taken:
        """No measurement so far."""
        count = len(shape_added)
        return cls(shape_added, np.full(count, -1), np.zeros(count, dtype=np.int64), np.full(count, np.nan))

    @classmethod
    def birth(cls, boxes: Boxes) -> Taken:
        """Each new track took its own box."""
        count = len(boxes.row)
        return cls(np.zeros((count, 4)), boxes.row, np.ones(count, dtype=np.int64), np.full(count, np.nan))
