"""What the filter knew about every track at every scan, kept for the smoother."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from sensors.tracking.bank import Bank
from sensors.tracking.motion import SIZE


class Steps(NamedTuple):
    """One row a track and scan, in order of time; rows of one scan in order of track.

    Attributes:
        scan: number of the scan.
        shape_added: variance that the step added to `shape_var`.
        predicted, predicted_cov: before the scan's measurements were taken in.
        jacobian: of the step from the scan before to this one.
        track: number of the track.
        mean, cov: after.
        shape, shape_var: height of the centre, length, width, height: after.
        detection: row of the detections table of the 3D box that was taken, else -1.
        sensed: measurements of any kind that were taken.
        nis: normalized innovation squared of the position; NaN where no 3D box was taken.
    """

    scan: Int[np.ndarray, "n"]
    shape_added: Float[np.ndarray, "n 4"]
    predicted: Float[np.ndarray, "n 6"]
    predicted_cov: Float[np.ndarray, "n 6 6"]
    jacobian: Float[np.ndarray, "n 6 6"]
    track: Int[np.ndarray, "n"]
    mean: Float[np.ndarray, "n 6"]
    cov: Float[np.ndarray, "n 6 6"]
    shape: Float[np.ndarray, "n 4"]
    shape_var: Float[np.ndarray, "n 4"]
    detection: Int[np.ndarray, "n"]
    sensed: Int[np.ndarray, "n"]
    nis: Float[np.ndarray, "n"]

    def take(self, index: np.ndarray) -> Steps:
        """Some rows."""
        return Steps(*[column[index] for column in self])


@dataclass(eq=False)
class History:
    """Collects the steps of a log.

    Attributes:
        parts: steps of one scan each, with `scan` and `shape_added` of all of them said once.
    """

    parts: list[tuple[Any, ...]] = field(default_factory=list)

    def add(self, scan: int, bank: Bank, before: Predicted, taken: Taken) -> None:
        """Note the state of all tracks after a scan; the arrays are kept, not copied."""
        if bank.size:
            state = (bank.track, bank.mean, bank.cov, bank.shape, bank.shape_var)
            self.parts.append((scan, before.shape_added, *before[:3], *state, *taken))

    def steps(self) -> Steps | None:
        """All of them; None where no track was ever born."""
        if not self.parts:
            return None
        scan, shape_added, *columns = zip(*self.parts, strict=True)
        counts = [len(mean) for mean in columns[0]]
        return Steps(np.repeat(scan, counts), np.repeat(shape_added, counts, axis=0), *map(np.concatenate, columns))


class Predicted(NamedTuple):
    """State before the measurements of a scan, and how the step came to it; `shape_added` is the same for all tracks."""

    mean: Float[np.ndarray, "n 6"]
    cov: Float[np.ndarray, "n 6 6"]
    jacobian: Float[np.ndarray, "n 6 6"]
    shape_added: Float[np.ndarray, "4"]

    @classmethod
    def birth(cls, bank: Bank) -> Predicted:
        """New tracks were not predicted: no step, nothing added."""
        return cls(bank.mean, bank.cov, _STAY.repeat(bank.size, axis=0), _NOTHING)


class Taken(NamedTuple):
    """What a scan gave to each track; columns as in `Steps`, to be written into."""

    detection: Int[np.ndarray, "n"]
    sensed: Int[np.ndarray, "n"]
    nis: Float[np.ndarray, "n"]

    @classmethod
    def nothing(cls, count: int) -> Taken:
        """No measurement so far."""
        return cls(np.full(count, -1), np.zeros(count, dtype=np.int64), np.full(count, np.nan))

    @classmethod
    def birth(cls, row: Int[np.ndarray, "n"]) -> Taken:
        """Each new track took its own box, of these rows of the detections table."""
        return cls(row, np.ones(len(row), dtype=np.int64), np.full(len(row), np.nan))


_STAY, _NOTHING = np.eye(SIZE)[None], np.zeros(4)
