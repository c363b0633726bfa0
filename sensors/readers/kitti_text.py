"""The text files of a KITTI tracking sequence: labels, GPS/IMU and time stamps, checked."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from drive_vqa.errors import LogFormatError
from sensors.driving_log import check_increasing

logger = logging.getLogger(__name__)

EARTH_RADIUS_M = 6_378_137.0
OXTS_COLUMNS = 30
LABEL_COLUMNS = 17
MAX_FRAMES = 100_000
MAX_TEXT_BYTES = 256 << 20
MAX_SIZE_M = 200.0
LIMIT_M = 1e6
AGAIN = "get the file again from its publisher"


@dataclass(frozen=True, eq=False)
class Labels:
    """The boxes of one sequence, `DontCare` left out, in the order of the file.

    Attributes:
        frame: of each box.
        last_frame: greatest frame number in the file, also of `DontCare`; -1 where there is none.
        track_id: KITTI's number of the object.
        kind: KITTI's type.
        numbers: truncated, occluded, alpha, u0, v0, u1, v1, h, w, l, x, y, z, rotation_y.
    """

    frame: Int[np.ndarray, "n"]
    last_frame: int
    track_id: Int[np.ndarray, "n"]
    kind: list[str]
    numbers: Float[np.ndarray, "n 14"]


def read_labels(path: Path) -> Labels:
    """The boxes of one sequence; none where the file is absent.

    Raises:
        LogFormatError: a line is not complete, or holds a wrong value.
    """
    words = [line.split() for line in _lines(path)] if path.is_file() else []
    for number, row in enumerate(words, start=1):
        if len(row) != LABEL_COLUMNS:
            raise LogFormatError(f"{path}, line {number} has {len(row)} columns, not {LABEL_COLUMNS}: {AGAIN}")
    values = _matrix([row[:2] + row[3:] for row in words], LABEL_COLUMNS - 1, path)
    frames, track_ids = (_whole(values[:, column], path) for column in (0, 1))
    kinds = np.array([row[2] for row in words], dtype=object)
    boxes = kinds != "DontCare"
    if not boxes.all():
        logger.info("%s: left out %d DontCare regions", path, int((~boxes).sum()))
    labels = Labels(
        frames[boxes], int(frames.max(initial=-1)), track_ids[boxes], kinds[boxes].tolist(), values[boxes, 2:]
    )
    _check_labels(labels, frames, path)
    return labels


def read_oxts(path: Path) -> Float[np.ndarray, "n 30"]:
    """GPS/IMU of one sequence, KITTI's raw order: latitude, longitude (degrees), altitude (m), roll, pitch, yaw (rad), …

    Raises:
        LogFormatError: a line is not complete, or holds a wrong value.
    """
    rows = [line.split() for line in _lines(path)] if path.is_file() else []
    values = _matrix(rows, OXTS_COLUMNS, path)
    if values.size and (np.abs(values[:, 0]).max() > 85.0 or np.abs(values[:, 1]).max() > 360.0):
        raise LogFormatError(f"{path} has a latitude beyond 85° or a longitude beyond 360°: {AGAIN}")
    return values


def read_timestamps_ns(path: Path, count: int) -> Int[np.ndarray, "n"]:
    """Of the first `count` frames, from a file with one time stamp a line, as `2011-09-26 13:02:25.594360375`.

    Raises:
        LogFormatError: it cannot be read, has too few, or does not run forwards.
    """
    try:
        stamps = np.array(_lines(path), dtype="datetime64[ns]")
    except ValueError as error:
        raise LogFormatError(f"{path} must have one time stamp a line ({error}): {AGAIN}, or delete it") from error
    if len(stamps) < count or np.isnat(stamps).any():
        raise LogFormatError(f"{path} has not a time stamp for each of {count} frames: {AGAIN}, or delete it")
    timestamps_ns = stamps[:count].astype(np.int64)
    check_increasing(timestamps_ns, str(path))
    return timestamps_ns


def mercator_m(lat_lon_alt: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    """Positions east, north and up of the first one, as KITTI's raw development kit projects them.

    Args:
        lat_lon_alt: degrees, degrees, metres.
    """
    scale = np.cos(np.radians(lat_lon_alt[0, 0])) * EARTH_RADIUS_M
    north_m = scale * np.log(np.tan(np.radians(90.0 + lat_lon_alt[:, 0]) / 2.0))
    position_m = np.stack([scale * np.radians(lat_lon_alt[:, 1]), north_m, lat_lon_alt[:, 2]], axis=-1)
    return np.asarray(position_m - position_m[0])


def _lines(path: Path) -> list[str]:
    try:
        if path.stat().st_size > MAX_TEXT_BYTES:
            raise LogFormatError(f"{path} is larger than {MAX_TEXT_BYTES >> 20} MiB: {AGAIN}")
        lines = path.read_text(encoding="ascii").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise LogFormatError(f"{path} cannot be read as text ({error}): {AGAIN}") from error
    return lines[:-1] if lines and not lines[-1].strip() else lines


def _matrix(rows: list[list[str]], columns: int, path: Path) -> Float[np.ndarray, "n c"]:
    """Words as numbers; every row must have all of them."""
    for number, row in enumerate(rows, start=1):
        if len(row) != columns:
            raise LogFormatError(f"{path}, line {number} has not the {columns} numbers it must have: {AGAIN}")
    try:
        values = np.array(rows, dtype=np.float64).reshape(-1, columns)
    except ValueError as error:
        raise LogFormatError(f"{path} holds a word that is not a number ({error}): {AGAIN}") from error
    usable = (np.abs(values) < 1e9).all(axis=1)
    if not usable.all():
        raise LogFormatError(f"{path}, line {int(np.argmin(usable)) + 1} holds a value that is not finite: {AGAIN}")
    return values


def _whole(values: Float[np.ndarray, "n"], path: Path) -> Int[np.ndarray, "n"]:
    wrong = values != np.floor(values)
    if wrong.any():
        raise LogFormatError(f"{path}, line {int(np.argmax(wrong)) + 1} has a frame or id that is not whole: {AGAIN}")
    return values.astype(np.int64)


def _check_labels(labels: Labels, frames: Int[np.ndarray, "m"], path: Path) -> None:
    if frames.size and not (frames.min() >= 0 and frames.max() < MAX_FRAMES):
        raise LogFormatError(f"{path} has a frame number outside 0 to {MAX_FRAMES - 1}: {AGAIN}")
    if (labels.track_id < 0).any():
        raise LogFormatError(f"{path} has an object with a negative id that is not DontCare: {AGAIN}")
    if len(set(zip(labels.frame.tolist(), labels.track_id.tolist(), strict=True))) != len(labels.frame):
        raise LogFormatError(f"{path} labels one object twice in a frame: delete one of the two lines")
    sizes_m, places_m = labels.numbers[:, 7:10], labels.numbers[:, 10:13]
    usable = ((sizes_m > 0) & (sizes_m <= MAX_SIZE_M)).all(axis=1) & (np.abs(places_m) < LIMIT_M).all(axis=1)
    if not usable.all():
        frame = int(labels.frame[np.argmin(usable)])
        raise LogFormatError(f"{path}, frame {frame}: a box has no volume or is not of sensible size: {AGAIN}")
