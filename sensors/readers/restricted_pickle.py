"""Pickles from outside, read without running anything of theirs: plain data with arrays, and pandas tables.

A pickle is a program. Here the few names that a file needs stand for small holders of this file that only keep what they are
given, and any other name is refused. Neither pandas nor numpy sees a hostile state: arrays are rebuilt from bytes with a checked
element type. Only the opcodes that plain data needs are known, and only text and small numbers may be keys: hashing a deeply
nested tuple overflows the stack, and big numbers can be chosen to collide. The slower unpickler written in Python is used, since
the one in C allocates whatever size a pickle names.

`read_frame` needs nine names (pandas before 1.3, protocol 3); `sensors.readers.scenarionet_pickle` has its own.
"""

from __future__ import annotations

import gzip
import io
import pickle
import zlib
from collections.abc import Callable, Mapping
from math import prod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from drive_vqa.errors import LogFormatError

MAX_BYTES = 256 * 1024 * 1024
"""Greatest size of an unpacked file; a lidar sweep has 8 MB."""

ELEMENTS = {"f8": "<f8", "f4": "<f4", "i8": "<i8", "i4": "<i4", "b1": "|b1", "O8": "O"}
"""Element types that a column may have."""

AGAIN = "get the file again from its publisher"


OPCODES = (
    *(pickle.PROTO, pickle.FRAME, pickle.STOP, pickle.MARK, pickle.NONE, pickle.NEWTRUE, pickle.NEWFALSE),
    *(pickle.BININT, pickle.BININT1, pickle.BININT2, pickle.BINFLOAT),
    *(pickle.SHORT_BINUNICODE, pickle.BINUNICODE, pickle.SHORT_BINBYTES, pickle.BINBYTES),
    *(pickle.EMPTY_TUPLE, pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3),
    *(pickle.EMPTY_LIST, pickle.APPEND, pickle.APPENDS, pickle.EMPTY_DICT, pickle.SETITEM, pickle.SETITEMS),
    *(pickle.EMPTY_SET, pickle.ADDITEMS),
    *(pickle.BINPUT, pickle.LONG_BINPUT, pickle.MEMOIZE, pickle.BINGET, pickle.LONG_BINGET),
    *(pickle.GLOBAL, pickle.STACK_GLOBAL, pickle.REDUCE, pickle.NEWOBJ, pickle.BUILD),
)
"""What plain data of protocol 2 to 4 is written with. Left out: instances, extension codes, persistent names, mutable buffers
(allocated at the size that the file states), and numbers of more than four bytes."""


class Holder:
    """Keeps the arguments and the state that a pickle gives to a name, and does nothing else."""

    __slots__ = ("arguments", "state")

    arguments: tuple[Any, ...]
    state: Any

    def __new__(cls, *arguments: Any) -> Holder:
        """Of any arguments."""
        holder = object.__new__(cls)
        holder.arguments, holder.state = arguments, None
        return holder

    def __setstate__(self, state: Any) -> None:
        self.state = state


class Name(Holder):
    """Stands for something of which nothing is needed."""

    __slots__ = ()


class Array(Holder):
    """Stands for an array; `array_of` rebuilds it."""

    __slots__ = ()


class Dtype(Holder):
    """Stands for an element type."""

    __slots__ = ()


class _Frame(Holder):
    __slots__ = ()


class _Blocks(Holder):
    __slots__ = ()


class _Index(Holder):
    __slots__ = ()


class _Slice(Holder):
    __slots__ = ()


ARRAY_NAMES: dict[str, type[Holder]] = {
    "numpy.core.multiarray._reconstruct": Array,
    "numpy.ndarray": Name,
    "numpy.dtype": Dtype,
}
"""The names of an array, and the holder that stands for each."""

NAMES: dict[str, type[Holder]] = {
    **ARRAY_NAMES,
    "builtins.slice": _Slice,
    "pandas.core.frame.DataFrame": _Frame,
    "pandas.core.internals.managers.BlockManager": _Blocks,
    "pandas.core.indexes.base.Index": Name,
    "pandas.core.indexes.base._new_Index": _Index,
    "pandas.core.indexes.range.RangeIndex": Name,
}
"""All names that a table's file may use, and the holder that stands for each."""


def _with_keys(opcode: bytes, keys: slice) -> Callable[[Any], None]:
    """What an opcode does, after a look at the places of the stack that it takes as keys."""
    run: Callable[[Any], None] = pickle._Unpickler.dispatch[opcode[0]]

    def checked(unpickler: Any) -> None:
        if not all(type(key) in (str, int) for key in unpickler.stack[keys]):
            raise LogFormatError("a key is neither text nor a number")
        run(unpickler)

    return checked


class _Unpickler(pickle._Unpickler):
    """Knows the given names and `OPCODES` only."""

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {
        **{opcode[0]: pickle._Unpickler.dispatch[opcode[0]] for opcode in OPCODES},
        pickle.SETITEM[0]: _with_keys(pickle.SETITEM, slice(-2, -1)),
        pickle.SETITEMS[0]: _with_keys(
            pickle.SETITEMS, slice(None, None, 2)
        ),  # all since the mark: key, value, key ...
        pickle.ADDITEMS[0]: _with_keys(pickle.ADDITEMS, slice(None)),
    }

    def __init__(self, data: bytes, names: Mapping[str, type[Holder]]) -> None:
        super().__init__(io.BytesIO(data))
        self.names = names

    def find_class(self, module: str, name: str) -> type[Holder]:
        """The holder for a name; called by the unpickler."""
        whole = f"{module}.{name}"
        if whole not in self.names:
            raise LogFormatError(f"it names {whole[:100]!a}, which is forbidden")
        return self.names[whole]


def load(data: bytes, names: Mapping[str, type[Holder]], path: Path, what: str) -> Any:
    """What a pickle holds: plain data, and holders for what it names.

    Shared and even circular references are kept as they are, so walk only as deep as the format goes.

    Args:
        data: the whole pickle.
        names: `module.name` of everything that it may name.
        path: where it comes from, for the message.
        what: what it should hold, for the message.

    Raises:
        LogFormatError: it is damaged, or uses another name or opcode.
    """
    try:
        return _Unpickler(data, names).load()
    except LogFormatError as error:
        raise LogFormatError(f"{path} is not {what} ({error}): {AGAIN}") from error
    except Exception as error:  # a hostile pickle can make the unpickler raise anything
        raise LogFormatError(f"{path} is not a readable pickle ({type(error).__name__}): {AGAIN}") from error


def read_frame(path: Path, max_bytes: int = MAX_BYTES) -> dict[str, np.ndarray]:
    """Columns of a gzipped, pickled pandas table: numbers and booleans as such, all else as Python objects.

    Args:
        path: `.pkl.gz` file.
        max_bytes: greatest size once unpacked.

    Raises:
        LogFormatError: the file is missing, truncated or too large, names anything but `NAMES`, or is not such a table.
    """
    frame = load(_unpack(path, max_bytes), NAMES, path, "a plain pandas table")
    try:
        return _columns(frame)
    except LogFormatError as error:
        raise LogFormatError(f"{path} is not a plain pandas table ({error}): {AGAIN}") from error
    except Exception as error:  # a hostile state can be of any shape
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
        values = array_of(block["values"])
        for place, column in zip(_places(block["mgr_locs"], len(names)), values, strict=True):
            columns[names[place]] = column
    if set(columns) != set(names) or len({column.shape for column in columns.values()}) != 1:
        raise LogFormatError("columns are missing or of unequal length")
    return {name: columns[name] for name in names}


def _labels(index: Any) -> list[str]:
    _expect(index, _Index)
    names = array_of(index.arguments[1]["data"]).tolist()
    if not all(type(name) is str for name in names) or len(set(names)) != len(names):
        raise LogFormatError("column names must be different strings")
    return list(names)


def _places(places: Any, count: int) -> list[int]:
    if isinstance(places, _Slice):
        return list(range(count))[slice(*places.arguments)]
    return [int(place) for place in array_of(places)]


def array_of(holder: Any) -> np.ndarray:
    """The array that `ndarray.__setstate__((version, shape, dtype, fortran, data))` would make.

    A state of another shape raises whatever its unpacking raises; callers wrap it.

    Raises:
        LogFormatError: it is no array, or one of another element type than `ELEMENTS` or of a wrong size.
    """
    _expect(holder, Array)
    _, shape, dtype, fortran, data = holder.state
    _expect(dtype, Dtype)
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


def _expect(holder: Any, kind: type[Holder]) -> None:
    if type(holder) is not kind:
        raise LogFormatError(f"{kind.__name__[1:].lower()} expected, found {type(holder).__name__.lstrip('_').lower()}")
