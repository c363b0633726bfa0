"""Pickled pandas tables from outside, read without running anything of theirs.

A pickle is a program. Here the nine names that a table of plain columns needs (pandas before 1.3, protocol 3) stand for small
holders of this file that only keep what they are given, and any other name is refused. Neither pandas nor numpy sees a hostile
state: columns are rebuilt from bytes with a checked element type. The slower unpickler written in Python is used, since the one
in C allocates whatever size a pickle names.
"""

from __future__ import annotations

import gzip
import io
import pickle
import zlib
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from drive_vqa.errors import LogFormatError

MAX_BYTES = 256 * 1024 * 1024
"""Greatest size of an unpacked file; a lidar sweep has 8 MB."""

ELEMENTS = {"f8": "<f8", "f4": "<f4", "i8": "<i8", "i4": "<i4", "b1": "|b1", "O8": "O"}
"""Element types that a column may have."""

AGAIN = "get the file again from its publisher"


class _Holder:
    """Keeps the arguments and the state that a pickle gives to a name, and does nothing else."""

    __slots__ = ("arguments", "state")

    arguments: tuple[Any, ...]
    state: Any

    def __new__(cls, *arguments: Any) -> _Holder:
        holder = object.__new__(cls)
        holder.arguments, holder.state = arguments, None
        return holder

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Name(_Holder):
    __slots__ = ()


class _Frame(_Holder):
    __slots__ = ()


class _Blocks(_Holder):
    __slots__ = ()


class _Index(_Holder):
    __slots__ = ()


class _Array(_Holder):
    __slots__ = ()


class _Dtype(_Holder):
    __slots__ = ()


class _Slice(_Holder):
    __slots__ = ()


NAMES: dict[str, type[_Holder]] = {
    "numpy.core.multiarray._reconstruct": _Array,
    "numpy.ndarray": _Name,
    "numpy.dtype": _Dtype,
    "builtins.slice": _Slice,
    "pandas.core.frame.DataFrame": _Frame,
    "pandas.core.internals.managers.BlockManager": _Blocks,
    "pandas.core.indexes.base.Index": _Name,
    "pandas.core.indexes.base._new_Index": _Index,
    "pandas.core.indexes.range.RangeIndex": _Name,
}
"""All names that a file may use, and the holder that stands for each."""


class _Unpickler(pickle._Unpickler):
    """Resolves the names in `NAMES` only."""

    def find_class(self, module: str, name: str) -> type[_Holder]:
        """The holder for a name; called by the unpickler."""
        if f"{module}.{name}" not in NAMES:
            raise LogFormatError(f"it names {module}.{name}, which is forbidden")
        return NAMES[f"{module}.{name}"]


def read_frame(path: Path, max_bytes: int = MAX_BYTES) -> dict[str, np.ndarray]:
    """Columns of a gzipped, pickled pandas table: numbers and booleans as such, all else as Python objects.

    Args:
        path: `.pkl.gz` file.
        max_bytes: greatest size once unpacked.

    Raises:
        LogFormatError: the file is missing, truncated or too large, names anything but `NAMES`, or is not such a table.
    """
    data = _unpack(path, max_bytes)
    try:
        return _columns(_Unpickler(io.BytesIO(data)).load())
    except LogFormatError as error:
        raise LogFormatError(f"{path} is not a plain pandas table ({error}): {AGAIN}") from error
    except Exception as error:  # a hostile pickle can make the unpickler raise anything
        raise LogFormatError(f"{path} is not a readable pickle ({type(error).__name__}): {AGAIN}") from error


def _unpack(path: Path, max_bytes: int) -> bytes:
    try:
        with gzip.open(path) as file:
            data = file.read(max_bytes + 1)
    except FileNotFoundError as error:
        raise LogFormatError(f"{path} is missing: {AGAIN}") from error
    except (OSError, EOFError, zlib.error) as error:
        raise LogFormatError(f"{path} is truncated or not gzip ({error}): {AGAIN}") from error
    if len(data) > max_bytes:
        raise LogFormatError(f"{path} unpacks to more than {max_bytes} bytes and is not opened: {AGAIN}")
    return data


def _columns(frame: Any) -> dict[str, np.ndarray]:
    """Columns in the table's order; each block holds some places of the column axis."""
    _expect(frame, _Frame)
    blocks = frame.state["_data"] if isinstance(frame.state, Mapping) else frame.state
    _expect(blocks, _Blocks)
    content = blocks.state[3]["0.14.1"]
    names = _labels(content["axes"][0])
    columns: dict[str, np.ndarray] = {}
    for block in content["blocks"]:
        values = _array(block["values"])
        for place, column in zip(_places(block["mgr_locs"], len(names)), values, strict=True):
            columns[names[place]] = column
    if set(columns) != set(names) or len({column.shape for column in columns.values()}) != 1:
        raise LogFormatError("columns are missing or of unequal length")
    return {name: columns[name] for name in names}


def _labels(index: Any) -> list[str]:
    _expect(index, _Index)
    names = _array(index.arguments[1]["data"]).tolist()
    if not all(type(name) is str for name in names) or len(set(names)) != len(names):
        raise LogFormatError("column names must be different strings")
    return list(names)


def _places(places: Any, count: int) -> list[int]:
    if isinstance(places, _Slice):
        return list(range(count))[slice(*places.arguments)]
    return [int(place) for place in _array(places)]


def _array(holder: Any) -> np.ndarray:
    """The array that `ndarray.__setstate__((version, shape, dtype, fortran, data))` would make."""
    _expect(holder, _Array)
    _, shape, dtype, fortran, data = holder.state
    _expect(dtype, _Dtype)
    code = dtype.arguments[0]
    if code not in ELEMENTS or (dtype.state is not None and dtype.state[1] not in ("<", "|")):
        raise LogFormatError(f"element type {code!r:.20} is not one of {', '.join(ELEMENTS)}")
    if any(type(size) is not int or not 0 <= size <= MAX_BYTES for size in shape):
        raise LogFormatError("an array has a senseless shape")
    flat = _objects(data) if code == "O8" else np.frombuffer(data, dtype=ELEMENTS[code])
    if flat.size != prod(shape):
        raise LogFormatError(f"an array of {prod(shape)} elements holds {flat.size}")
    return flat.reshape(shape, order="F" if fortran else "C")


def _objects(values: list[Any]) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    for place, value in enumerate(values):  # assigning the whole list would spread lists inside it
        array[place] = value
    return array


def _expect(holder: Any, kind: type[_Holder]) -> None:
    if type(holder) is not kind:
        raise LogFormatError(f"{kind.__name__[1:].lower()} expected, found {type(holder).__name__.lstrip('_').lower()}")
