"""Detection files in JSON, read once a process: a submission holds all logs, and a worker asks for one after another."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from drive_vqa.errors import LogFormatError

MAX_BYTES = 2 << 30
AGAIN = "run the detector again"


def read_json(path: Path) -> Any:
    """The content of a JSON file; the last file read is kept while it does not change. Do not change what comes back.

    Raises:
        LogFormatError: it is missing, too large, not complete JSON, or has a key twice.
    """
    try:
        state = path.stat()
    except OSError as error:
        raise LogFormatError(f"{path} cannot be opened ({error}): give the file or folder of the detections") from error
    if state.st_size > MAX_BYTES:
        raise LogFormatError(f"{path} is larger than {MAX_BYTES >> 30} GiB: split it by scene")
    return _read(path, (state.st_size, state.st_mtime_ns))


@lru_cache(maxsize=1)
def _read(path: Path, _version: tuple[int, int]) -> Any:
    """`_version` is there to read the file again when it has changed."""
    try:
        return json.loads(path.read_bytes(), object_pairs_hook=_without_repeats)
    except LogFormatError as error:
        raise LogFormatError(f"{path}: {error}: {AGAIN}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise LogFormatError(f"{path} is not complete JSON ({str(error)[:80]}): {AGAIN}") from error


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        keys = [key for key, _ in pairs]
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise LogFormatError(f"the key {repeated!r:.80} stands twice in one object")
    return content


def numbers(boxes: list[Any], key: str, count: int, where: str) -> list[list[float]]:
    """One list of `count` numbers a box.

    Raises:
        LogFormatError: a box lacks it, or it is something else.
    """
    for place, box in enumerate(boxes):
        value = box.get(key) if type(box) is dict else None
        if type(value) is not list or len(value) != count or not all(is_number(number) for number in value):
            raise LogFormatError(f"{where}, box {place} must have {key!r} with {count} numbers: {AGAIN}")
    return [box[key] for box in boxes]


def scalars(boxes: list[Any], key: str, where: str) -> list[float]:
    """One number a box.

    Raises:
        LogFormatError: a box lacks it, or it is something else.
    """
    for place, box in enumerate(boxes):
        if type(box) is not dict or not is_number(box.get(key)):
            raise LogFormatError(f"{where}, box {place} must have {key!r} with a number: {AGAIN}")
    return [float(box[key]) for box in boxes]


def names(boxes: list[Any], key: str, where: str) -> list[str]:
    """One text a box.

    Raises:
        LogFormatError: a box lacks it, or it is something else.
    """
    for place, box in enumerate(boxes):
        if type(box) is not dict or type(box.get(key)) is not str or not box[key].isprintable():
            raise LogFormatError(f"{where}, box {place} must have {key!r} with a name: {AGAIN}")
    return [box[key] for box in boxes]


def is_number(value: Any) -> bool:
    """Whether JSON gave a number that a float holds, NaN and infinity too."""
    return type(value) is float or (type(value) is int and -(1 << 62) < value < 1 << 62)
