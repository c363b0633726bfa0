"""The point files of nuScenes: lidar (`.pcd.bin`) and radar (`.pcd`), each in the frame of its sensor."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from drive_vqa.errors import LogFormatError

AGAIN = "copy that file again from the data set"
LIDAR_COLUMNS = ("x", "y", "z", "intensity", "ring")
MAX_POINTS = 5_000_000
"""No sweep has more; a nuScenes lidar gives 35,000."""
MAX_HEADER_BYTES = 4096
_NUMBERS = {
    **{("F", size): f"<f{size}" for size in (4, 8)},
    **{("I", size): f"<i{size}" for size in (1, 2, 4, 8)},
    **{("U", size): f"<u{size}" for size in (1, 2, 4, 8)},
}
"""PCD's types as numpy's."""
_FLOATS = ("x", "y", "z", "rcs", "vx", "vy", "vx_comp", "vy_comp")
_WHOLE = ("dyn_prop", "id", "is_quality_valid", "ambig_state", "invalid_state", "pdh0")


@dataclass(frozen=True, eq=False)
class RadarPoints:
    """Returns of one radar capture, in the frame of the radar: x along its axis, y left.

    Nothing is filtered; nuscenes-devkit keeps `invalid_state` 0, `dyn_prop` 0 to 6 and `ambig_state` 3 unless told otherwise.

    Attributes:
        xyz_m: positions; z is 0, the radar does not measure it.
        rcs_dbsm: radar cross section.
        velocity_mps: along the line of sight, relative to the moving radar, as a vector (vx, vy).
        ground_velocity_mps: the same with the ego's own motion taken out.
        dyn_prop: 0 moving, 1 stationary, 2 oncoming, 3 stationary candidate, 4 unknown, 5 crossing stationary,
            6 crossing moving, 7 stopped.
        id: of the cluster.
        is_quality_valid: 1 where the radar trusts the cluster.
        ambig_state: of the Doppler velocity; 3 is unambiguous.
        invalid_state: 0 is valid.
        pdh0: false alarm probability, in classes.
    """

    xyz_m: Float[np.ndarray, "n 3"]
    rcs_dbsm: Float[np.ndarray, "n"]
    velocity_mps: Float[np.ndarray, "n 2"]
    ground_velocity_mps: Float[np.ndarray, "n 2"]
    dyn_prop: Int[np.ndarray, "n"]
    id: Int[np.ndarray, "n"]
    is_quality_valid: Int[np.ndarray, "n"]
    ambig_state: Int[np.ndarray, "n"]
    invalid_state: Int[np.ndarray, "n"]
    pdh0: Int[np.ndarray, "n"]


def read_lidar(path: Path) -> Float[np.ndarray, "n 5"]:
    """Points of a lidar sweep: x y z in metres, intensity 0–255, ring; in the frame of the lidar.

    Raises:
        LogFormatError: the file is missing, has not whole points or too many, or a value is not finite.
    """
    row_bytes = 4 * len(LIDAR_COLUMNS)
    content = _content(path, row_bytes * MAX_POINTS)
    if len(content) % row_bytes:
        raise LogFormatError(
            f"{path} has {len(content)} bytes, which is no multiple of the {row_bytes} of a point: {AGAIN}"
        )
    points = np.frombuffer(content, dtype="<f4").reshape(-1, len(LIDAR_COLUMNS)).astype(np.float32)
    if not np.isfinite(points).all():
        raise LogFormatError(f"{path}: point {int(np.argmin(np.isfinite(points).all(axis=1)))} is not finite: {AGAIN}")
    return np.asarray(points)


def read_radar(path: Path) -> RadarPoints:
    """Returns of a radar capture.

    As in nuscenes-devkit, a first point with NaN says that there is none.

    Raises:
        LogFormatError: the file is missing, its header is not that of a binary point cloud with the fields of a nuScenes radar,
            its body is cut off, or a value is not finite.
    """
    content = _content(path, MAX_HEADER_BYTES + 64 * MAX_POINTS)
    header, body = _header(path, content)
    count, kind = _point_count(path, header), _point_type(path, header)
    if len(body) < count * kind.itemsize:  # the data set's own files have a byte more
        raise LogFormatError(f"{path} has {len(body)} bytes for {count} points of {kind.itemsize} bytes: {AGAIN}")
    points = np.frombuffer(body, dtype=kind, count=count)
    floats = np.stack([points[name].astype(np.float64) for name in _FLOATS], axis=1)
    if count and np.isnan(floats[0]).any():
        points, floats = points[:0], floats[:0]
    if not np.isfinite(floats).all():
        raise LogFormatError(f"{path}: point {int(np.argmin(np.isfinite(floats).all(axis=1)))} is not finite: {AGAIN}")
    return RadarPoints(
        xyz_m=floats[:, 0:3],
        rcs_dbsm=floats[:, 3],
        velocity_mps=floats[:, 4:6],
        ground_velocity_mps=floats[:, 6:8],
        **{name: points[name].astype(np.int64) for name in _WHOLE},
    )


def _content(path: Path, most_bytes: int) -> bytes:
    try:
        if path.stat().st_size > most_bytes:
            raise LogFormatError(f"{path} is greater than any sweep: {AGAIN}")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise LogFormatError(f"{path} is missing: copy the samples and sweeps of the data set too") from error
    except (OSError, ValueError) as error:
        raise LogFormatError(f"{path} cannot be read ({error}): {AGAIN}") from error


def _header(path: Path, content: bytes) -> tuple[dict[str, list[str]], bytes]:
    """Words of each header line by its first one, and what follows the header."""
    start = content[:MAX_HEADER_BYTES].find(b"\nDATA binary\n")
    if start < 0 or not content[:start].isascii():
        raise LogFormatError(f"{path} has no PCD header that ends with 'DATA binary': {AGAIN}")
    lines = [line.split() for line in content[:start].decode("ascii").splitlines() if not line.startswith("#")]
    header = {words[0]: words[1:] for words in lines if words}
    if len(header) < len([words for words in lines if words]):
        raise LogFormatError(f"{path} has a PCD header with a line twice: {AGAIN}")
    return header, content[start + len(b"\nDATA binary\n") :]


def _point_count(path: Path, header: dict[str, list[str]]) -> int:
    sizes = [_whole_numbers(path, header, name) for name in ("WIDTH", "HEIGHT", "POINTS")]
    if any(len(size) != 1 for size in sizes) or sizes[0][0] * sizes[1][0] != sizes[2][0] or sizes[2][0] > MAX_POINTS:
        raise LogFormatError(f"{path}: WIDTH × HEIGHT must be POINTS, and at most {MAX_POINTS}: {AGAIN}")
    return sizes[2][0]


def _point_type(path: Path, header: dict[str, list[str]]) -> np.dtype:
    names, kinds = header.get("FIELDS", []), header.get("TYPE", [])
    sizes, counts = _whole_numbers(path, header, "SIZE"), _whole_numbers(path, header, "COUNT")
    known = all(pair in _NUMBERS for pair in zip(kinds, sizes, strict=False))
    if not (len(names) == len(kinds) == len(sizes) == len(counts) and known and set(counts) == {1}):
        raise LogFormatError(f"{path}: FIELDS, SIZE, TYPE and COUNT do not describe single numbers: {AGAIN}")
    lacking = [name for name in (*_FLOATS, *_WHOLE) if name not in names]
    if lacking or len(set(names)) < len(names):
        raise LogFormatError(
            f"{path} is no nuScenes radar file: field {(lacking or names)[0]!r} is absent or stands twice"
        )
    if any(kinds[names.index(name)] != "F" for name in _FLOATS) or any(
        kinds[names.index(name)] == "F" for name in _WHOLE
    ):
        raise LogFormatError(f"{path}: a field has another TYPE than nuScenes gives it: {AGAIN}")
    return np.dtype([(name, _NUMBERS[kind, size]) for name, kind, size in zip(names, kinds, sizes, strict=True)])


def _whole_numbers(path: Path, header: dict[str, list[str]], name: str) -> list[int]:
    words = header.get(name, [])
    if not words or not all(word.isdecimal() and len(word) < 10 for word in words):
        raise LogFormatError(f"{path}: its header line {name} must hold whole numbers: {AGAIN}")
    return [int(word) for word in words]
