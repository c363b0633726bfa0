"""Rigid transforms and angles: the one implementation that every part uses.

Transforms are named `dst_SE3_src` and compose by reading: `ego_SE3_cam @ cam_SE3_x`, `ego_SE3_cam @ cam_xyz_m`.
Angles in the ego frame are counter-clockwise positive (left is positive), x forward, y left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation, Slerp

from drive_vqa.errors import CalibrationError

Array = np.ndarray
Numbers = Sequence[float] | Sequence[Sequence[float]] | np.ndarray


@dataclass(frozen=True, eq=False)
class SE3:
    """A rigid transform that takes points of `src` to `dst`.

    Attributes:
        rotation: right-handed orthonormal 3×3 matrix.
        translation_m: origin of `src` seen in `dst`, metres.

    Raises:
        CalibrationError: a value is not finite or the matrix is not a rotation.
    """

    rotation: Float[np.ndarray, "3 3"]
    translation_m: Float[np.ndarray, "3"]

    def __post_init__(self) -> None:
        rotation = np.array(self.rotation, dtype=np.float64)
        translation_m = np.array(self.translation_m, dtype=np.float64)
        if rotation.shape != (3, 3) or translation_m.shape != (3,):
            shapes = f"{rotation.shape} and {translation_m.shape}"
            raise CalibrationError(f"a pose needs a 3×3 rotation and 3 metres, got {shapes}")
        if not (np.isfinite(rotation).all() and np.isfinite(translation_m).all()):
            raise CalibrationError("a pose holds a value that is not a finite number")
        if np.abs(rotation @ rotation.T - np.eye(3)).max() > 1e-5 or np.linalg.det(rotation) < 0:
            raise CalibrationError("a pose's matrix is not a rotation")
        rotation.setflags(write=False)
        translation_m.setflags(write=False)
        object.__setattr__(self, "rotation", rotation)
        object.__setattr__(self, "translation_m", translation_m)

    @classmethod
    def identity(cls) -> SE3:
        """The transform that changes nothing."""
        return cls(np.eye(3), np.zeros(3))

    @classmethod
    def from_quaternion(cls, wxyz: Numbers, translation_m: Numbers) -> SE3:
        """From a quaternion (w, x, y, z), normalized here, and metres."""
        quaternion = np.asarray(wxyz, dtype=np.float64)
        norm = np.linalg.norm(quaternion) if quaternion.shape == (4,) else np.nan
        if not (np.isfinite(norm) and norm > 1e-6):
            raise CalibrationError(
                f"a pose's quaternion must be four finite numbers, not all 0, got {quaternion.tolist()}"
            )
        rotation = Rotation.from_quat(quaternion[[1, 2, 3, 0]] / norm).as_matrix()
        return cls(rotation, np.asarray(translation_m, dtype=np.float64))

    @classmethod
    def from_yaw(cls, yaw_rad: float, translation_m: Numbers) -> SE3:
        """From a turn about z and metres."""
        return cls(Rotation.from_euler("z", yaw_rad).as_matrix(), np.asarray(translation_m, dtype=np.float64))

    @classmethod
    def from_matrix(cls, matrix: Numbers) -> SE3:
        """From a homogeneous 4×4 matrix."""
        values = np.asarray(matrix, dtype=np.float64)
        if values.shape != (4, 4) or not np.allclose(values[3], [0, 0, 0, 1]):
            raise CalibrationError(f"a pose matrix must be 4×4 with last row 0 0 0 1, got shape {values.shape}")
        return cls(values[:3, :3], values[:3, 3])

    @property
    def matrix(self) -> Float[np.ndarray, "4 4"]:
        """The homogeneous 4×4 matrix."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.rotation
        matrix[:3, 3] = self.translation_m
        return matrix

    @property
    def quaternion_wxyz(self) -> Float[np.ndarray, "4"]:
        """The rotation as (w, x, y, z) with w ≥ 0."""
        xyzw = Rotation.from_matrix(self.rotation).as_quat(canonical=True)
        return np.asarray(xyzw[[3, 0, 1, 2]])

    @property
    def yaw_rad(self) -> float:
        """Direction of src's x axis in dst's x-y plane, (-π, π]."""
        return float(np.arctan2(self.rotation[1, 0], self.rotation[0, 0]))

    def inverse(self) -> SE3:
        """`src_SE3_dst`."""
        return SE3(self.rotation.T, -self.rotation.T @ self.translation_m)

    @overload
    def __matmul__(self, other: SE3) -> SE3: ...
    @overload
    def __matmul__(self, other: Array) -> Array: ...
    def __matmul__(self, other: SE3 | Array) -> SE3 | Array:
        """Compose with a transform, or transform points of shape (..., 3) in metres."""
        if isinstance(other, SE3):
            return SE3(self.rotation @ other.rotation, self.rotation @ other.translation_m + self.translation_m)
        return np.asarray(np.asarray(other, dtype=np.float64) @ self.rotation.T + self.translation_m)

    def rotate(self, vectors: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
        """Turn directions or velocities, which do not shift."""
        return np.asarray(np.asarray(vectors, dtype=np.float64) @ self.rotation.T)


def interpolate(start: SE3, end: SE3, fraction: float) -> SE3:
    """The pose at `fraction` of the way: slerp of the rotation, linear in the translation."""
    both = Rotation.from_matrix(np.stack([start.rotation, end.rotation]))
    rotation = Slerp([0.0, 1.0], both)(fraction).as_matrix()
    return SE3(rotation, (1.0 - fraction) * start.translation_m + fraction * end.translation_m)


@overload
def wrap_rad(angle_rad: float) -> float: ...
@overload
def wrap_rad(angle_rad: Array) -> Array: ...
def wrap_rad(angle_rad: float | Array) -> float | Array:
    """Wrap radians to (-π, π]."""
    return np.pi - (np.pi - angle_rad) % (2.0 * np.pi)


@overload
def wrap_deg(angle_deg: float) -> float: ...
@overload
def wrap_deg(angle_deg: Array) -> Array: ...
def wrap_deg(angle_deg: float | Array) -> float | Array:
    """Wrap degrees to (-180, 180]."""
    return 180.0 - (180.0 - angle_deg) % 360.0


@overload
def bearing_deg(x_m: float, y_m: float) -> float: ...
@overload
def bearing_deg(x_m: Array, y_m: Array) -> Array: ...
def bearing_deg(x_m: float | Array, y_m: float | Array) -> float | Array:
    """Where a point is, seen from the origin of its frame: 0 forward, left positive, (-180, 180]."""
    angle_deg: float | Array = wrap_deg(np.degrees(np.arctan2(np.array(y_m), np.array(x_m))))  # as in angle_rad
    return angle_deg


@overload
def angle_rad(y: float, x: float) -> float: ...
@overload
def angle_rad(y: Array, x: Array) -> Array: ...
def angle_rad(y: float | Array, x: float | Array) -> float | Array:
    """`numpy.arctan2`, the same to the last bit wherever the arrays lie in memory.

    On some processors numpy takes another routine where an array with gaps between its values reaches up to where the result is
    put, so columns are made whole first.
    """
    angle: float | Array = np.arctan2(np.array(y), np.array(x))
    return angle


def clock_hour(bearing_deg: float) -> int:
    """The nearest hour of a bearing, 12 forward and 3 to the right: ±15° around 0° is 12."""
    hour = int(np.floor(-bearing_deg / 30.0 + 0.5)) % 12
    return hour or 12


def hours_apart(first: float | Array, second: float | Array) -> Array:
    """Hours between two of a clock, in [0, 6]."""
    apart = np.abs(np.subtract(first, second)) % 12
    return np.asarray(np.minimum(apart, 12 - apart))
