"""Poses between poses: slerp of the turn, linear in the shift, for many at once (`drive_vqa.geometry.interpolate` for one)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float, Int
from scipy.spatial.transform import Rotation

from drive_vqa.schema import POSE


@dataclass(frozen=True, eq=False)
class Poses:
    """Rigid transforms in a row.

    Attributes:
        quaternions_wxyz: unit quaternions.
        translations_m: origins.
    """

    quaternions_wxyz: Float[np.ndarray, "n 4"]
    translations_m: Float[np.ndarray, "n 3"]

    def __len__(self) -> int:
        return len(self.translations_m)

    @property
    def rotations(self) -> Rotation:
        """The turns."""
        return Rotation.from_quat(self.quaternions_wxyz[:, [1, 2, 3, 0]])

    @classmethod
    def of(cls, rotations: Rotation, translations_m: Float[np.ndarray, "n 3"]) -> Poses:
        """From turns and shifts; w ≥ 0."""
        return cls(rotations.as_quat(canonical=True)[:, [3, 0, 1, 2]], translations_m)

    def take(self, places: Int[np.ndarray, "m"] | Bool[np.ndarray, "n"]) -> Poses:
        """Some of them."""
        return Poses(self.quaternions_wxyz[places], self.translations_m[places])

    def then(self, other: Poses) -> Poses:
        """`a_SE3_b.then(b_SE3_c)` is `a_SE3_c`, row by row."""
        if not len(self):
            return self
        turns = self.rotations
        return Poses.of(turns * other.rotations, turns.apply(other.translations_m) + self.translations_m)

    def inverse(self) -> Poses:
        """Each the other way round."""
        if not len(self):
            return self
        back = self.rotations.inv()
        return Poses.of(back, -back.apply(self.translations_m))


def poses_of(column: pa.ChunkedArray) -> Poses | None:
    """A column of `POSE` structs; null where one is missing."""
    if column.null_count:
        return None
    fields = column.combine_chunks().flatten()
    values = np.stack([field.to_numpy(zero_copy_only=False) for field in fields], axis=-1)
    return Poses(values[:, :4], values[:, 4:])


def structs_of(poses: Poses) -> pa.StructArray:
    """As a column of `POSE` structs; w ≥ 0."""
    sign = np.where(poses.quaternions_wxyz[:, :1] < 0, -1.0, 1.0)
    values = np.concatenate([poses.quaternions_wxyz * sign + 0.0, poses.translations_m], axis=-1)
    return pa.StructArray.from_arrays([pa.array(column) for column in values.T], fields=list(POSE))


def between(start: Poses, end: Poses, fraction: Float[np.ndarray, "n"]) -> Poses:
    """Poses at fractions of the way: slerp of the turn, linear in the shift; exactly `start` at 0 and `end` at 1."""
    if not len(start):
        return start
    turns = start.rotations
    steps = (turns.inv() * end.rotations).as_rotvec()
    part = fraction[:, None]
    on_the_way = Poses.of(
        turns * Rotation.from_rotvec(part * steps), (1.0 - part) * start.translations_m + part * end.translations_m
    )
    at_start, at_end = part == 0.0, part == 1.0
    return Poses(
        np.where(at_start, start.quaternions_wxyz, np.where(at_end, end.quaternions_wxyz, on_the_way.quaternions_wxyz)),
        np.where(at_start, start.translations_m, np.where(at_end, end.translations_m, on_the_way.translations_m)),
    )


def brackets(
    times_ns: Int[np.ndarray, "n"], at_ns: Int[np.ndarray, "m"]
) -> tuple[Int[np.ndarray, "m"], Int[np.ndarray, "m"], Float[np.ndarray, "m"]]:
    """Places of the times before and after, and the fraction of the way; the ends stand for what is beyond them.

    Args:
        times_ns: strictly increasing, at least one.
        at_ns: any.
    """
    after = np.clip(np.searchsorted(times_ns, at_ns), 0, len(times_ns) - 1)
    before = np.where((times_ns[after] <= at_ns) | (after == 0), after, after - 1)
    span = np.maximum(times_ns[after] - times_ns[before], 1)
    return before, after, np.clip((at_ns - times_ns[before]) / span, 0.0, 1.0)


def poses_at(times_ns: Int[np.ndarray, "n"], poses: Poses, at_ns: Int[np.ndarray, "m"]) -> Poses:
    """Poses at any times; beyond the first and the last the ends stand still."""
    before, after, fraction = brackets(times_ns, at_ns)
    return between(poses.take(before), poses.take(after), fraction)
