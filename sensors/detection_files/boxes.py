"""Detected 3D boxes of one log as columns, checked, and as rows of the table `detections`."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float, Int

from drive_vqa.errors import LogFormatError
from drive_vqa.schema import TABLES

logger = logging.getLogger(__name__)

LIMIT_M = 1e5
"""No detection is farther from the ego."""
MAX_SIZE_M = 200.0
LIMIT_SCORE = 1e9
LIMIT_SPEED_MPS = 1e3


@dataclass(frozen=True, eq=False)
class DetectedBoxes:
    """Boxes of one log, in the order of their files.

    Attributes:
        where: file that they come from, for messages.
        frame: of each box.
        kind: the detector's name of its class.
        score: greater is surer.
        centre_m: in the ego frame of its frame.
        size_lwh_m: length, width and height.
        yaw_rad: about the ego's z.
        velocity_mps: over ground, in ego axes; NaN where unknown.

    Raises:
        LogFormatError: a value is not finite or not of a sensible size.
    """

    where: str
    frame: Int[np.ndarray, "n"]
    kind: np.ndarray
    score: Float[np.ndarray, "n"]
    centre_m: Float[np.ndarray, "n 3"]
    size_lwh_m: Float[np.ndarray, "n 3"]
    yaw_rad: Float[np.ndarray, "n"]
    velocity_mps: Float[np.ndarray, "n 2"]

    def __post_init__(self) -> None:
        checks = {
            "centre": (np.abs(self.centre_m) < LIMIT_M).all(axis=1),
            "size": ((self.size_lwh_m > 0) & (self.size_lwh_m < MAX_SIZE_M)).all(axis=1),
            "yaw": np.isfinite(self.yaw_rad),
            "score": np.abs(self.score) < LIMIT_SCORE,
            "velocity": ~(np.abs(self.velocity_mps) >= LIMIT_SPEED_MPS).any(axis=1),
        }
        for name, good in checks.items():
            if not good.all():
                place = int(np.argmin(good))
                raise LogFormatError(
                    f"{self.where}: box {place}, in frame {self.frame[place]}, has a {name} that is not finite or not "
                    "sensible: run the detector again, or delete that box"
                )

    def to_table(self, log_id: str, frames: pa.Table, category_of: dict[str, str]) -> pa.Table:
        """Rows of the table `detections`, sorted by frame, and within it in file order; exact repeats are left out.

        Args:
            log_id: the log's name.
            frames: its frames; all of these boxes' are among them.
            category_of: our category for each `kind`; others are `other`.
        """
        order = np.argsort(self.frame, kind="stable")
        order = order[self._first_of_its_kind(order)]
        if len(order) < len(self.frame):
            logger.warning("%s: left out %d repeated boxes", self.where, len(self.frame) - len(order))
        columns = self._columns(order, frames)
        kinds = self.kind[order]
        names = sorted(set(kinds.tolist()))
        codes = np.searchsorted(np.array(names, dtype=object), kinds) if names else np.empty(0, dtype=np.int64)
        columns["source_category"] = _repeated(names, codes)
        columns["category"] = _repeated([category_of.get(name, "other") for name in names], codes)
        columns["log_id"] = _repeated([log_id], np.zeros(len(order), dtype=np.int64))
        columns["kind"] = _repeated(["box_3d"], np.zeros(len(order), dtype=np.int64))
        schema = TABLES["detections"]
        return pa.table(
            [columns.get(field.name, pa.nulls(len(order), field.type)).cast(field.type) for field in schema],
            schema=schema,
        )

    def _columns(self, order: Int[np.ndarray, "m"], frames: pa.Table) -> dict[str, pa.Array]:
        known, times_ns = frames["frame"].to_numpy(), frames["timestamp_ns"].to_numpy()
        by_frame = np.argsort(known, kind="stable")
        frame = self.frame[order]
        at = by_frame[np.searchsorted(known, frame, sorter=by_frame)] if len(frame) else frame
        velocity = self.velocity_mps[order]
        values = {
            "frame": frame,
            "timestamp_ns": times_ns[at],
            "score": self.score[order],
            **dict(zip(("x_m", "y_m", "z_m"), self.centre_m[order].T, strict=True)),
            **dict(zip(("length_m", "width_m", "height_m"), self.size_lwh_m[order].T, strict=True)),
            "yaw_rad": self.yaw_rad[order],
            "vx_mps": velocity[:, 0],
            "vy_mps": velocity[:, 1],
        }
        return {name: pa.array(np.ascontiguousarray(value), from_pandas=True) for name, value in values.items()}

    def _first_of_its_kind(self, order: Int[np.ndarray, "n"]) -> Bool[np.ndarray, "n"]:
        """False for a box that stands before, in all its numbers, in the same frame."""
        if not len(order):
            return np.ones(0, dtype=bool)
        kinds = np.unique(self.kind.astype(str), return_inverse=True)[1]
        numbers = np.column_stack([kinds, self.frame, self.score, self.yaw_rad, self.centre_m, self.size_lwh_m])[order]
        by_value = np.lexsort(numbers.T)  # stable: of equal boxes the first stays
        same = (numbers[by_value[1:]] == numbers[by_value[:-1]]).all(axis=1)
        first = np.ones(len(order), dtype=bool)
        first[by_value[1:][same]] = False
        return first


def empty_detections() -> pa.Table:
    """The table of a log that a file has nothing for."""
    return TABLES["detections"].empty_table()


def unknown_frame(where: str, frame: object, log_id: str) -> LogFormatError:
    """The error for boxes in a frame that the log does not have."""
    return LogFormatError(f"{where}: there is no frame {frame} in log {log_id}: give the detections of this very log")


def _repeated(names: list[str], codes: Int[np.ndarray, "n"]) -> pa.Array:
    """Text from a short list of names, without a Python object a row."""
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(names, pa.string())).cast(
        pa.string()
    )
