"""Feather files (Arrow IPC) from outside as checked columns.

A compressed buffer states the size that it unpacks to, and Arrow allocates that much. So the sizes are summed before anything is
unpacked: they stand in front of each buffer, whose places are in the message's flatbuffer (Arrow's `Message.fbs`). The file is
read as the stream that it holds, in the order that was measured; its footer, which could point elsewhere, is not used.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

from drive_vqa.errors import LogFormatError
from sensors.readers.restricted_pickle import AGAIN

MAX_BYTES = 64 * 1024 * 1024
"""Greatest size of a file; a lidar sweep has 1 MB."""
MAX_UNPACKED = 512 * 1024 * 1024
MAGIC = b"ARROW1\0\0"
RECORD_BATCH = 3
"""Number of that kind of message."""

LIMIT = 1e7
"""No number of a float column is as great."""

TYPES = {"int": pa.types.is_integer, "float": pa.types.is_floating, "text": pa.types.is_string}


def read_feather(path: Path, columns: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Columns of a file: int64, float64, or objects that are text.

    Args:
        path: Feather version 2.
        columns: `int`, `float` or `text` for each column that is wanted; others are left.

    Raises:
        LogFormatError: the file is missing, damaged or too large, or a column is missing, of another type, has a null, or a
            number that is not finite or too great.
    """
    table = _table(path)
    read = {}
    for name, kind in columns.items():
        if table.schema.names.count(name) != 1 or not TYPES[kind](table.schema.field(name).type):
            raise LogFormatError(f"{path} has no column {name!r} of type {kind}: {AGAIN}")
        column = table.column(name)
        if column.null_count:
            raise LogFormatError(f"{path}: column {name!r} has empty fields: {AGAIN}")
        read[name] = _values(column, kind, f"{path}: column {name!r}")
    return read


def _values(column: pa.ChunkedArray, kind: str, where: str) -> np.ndarray:
    if kind == "text":
        texts = column.to_pylist()
        if not all(0 < len(text) <= 200 and text.isprintable() for text in texts):
            raise LogFormatError(f"{where} holds something that is not short, readable text: {AGAIN}")
        return np.array(texts, dtype=object)
    values = column.to_numpy()
    if kind == "int":
        if values.dtype == np.uint64 and values.size and values.max() >= 2**63:
            raise LogFormatError(f"{where} holds a number that is too great: {AGAIN}")
        return np.asarray(values.astype(np.int64))
    with np.errstate(invalid="ignore"):  # a signalling NaN warns
        values = values.astype(np.float64)
    if not (np.abs(values) < LIMIT).all():
        raise LogFormatError(f"{where} holds a value that is not a finite number of sensible size: {AGAIN}")
    return np.asarray(values)


def _table(path: Path) -> pa.Table:
    data = _bytes(path)
    try:
        unpacked = sum(_unpacked_sizes(data))
        if unpacked > MAX_UNPACKED:
            raise LogFormatError(f"{path} unpacks to more than {MAX_UNPACKED} bytes and is not opened: {AGAIN}")
        with pa.ipc.open_stream(pa.py_buffer(data).slice(len(MAGIC))) as stream:
            table = stream.read_all()
        table.validate(full=True)
    except LogFormatError:
        raise
    except (pa.ArrowException, OSError, ValueError, IndexError, struct.error, MemoryError, OverflowError) as error:
        raise LogFormatError(f"{path} is not a complete Feather file ({str(error)[:80]}): {AGAIN}") from error
    return table


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise LogFormatError(f"{path} is missing: {AGAIN}") from error
    except OSError as error:
        raise LogFormatError(f"{path} cannot be read ({error.strerror}): {AGAIN}") from error
    if len(data) > MAX_BYTES:
        raise LogFormatError(f"{path} has more than {MAX_BYTES} bytes and is not opened: {AGAIN}")
    if not data.startswith(MAGIC):
        raise LogFormatError(f"{path} is not a Feather file of version 2: {AGAIN}")
    return data


def _unpacked_sizes(data: bytes) -> Iterator[int]:
    """The size of each buffer of each record batch once it is unpacked."""
    source = pa.BufferReader(pa.py_buffer(data).slice(len(MAGIC)))
    while True:
        try:
            message = pa.ipc.read_message(source)
        except EOFError:
            return
        if message.type == "dictionary":
            raise LogFormatError("a dictionary is not expected in a driving log")
        if message.type == "record batch":
            yield from _buffer_sizes(message.metadata.to_pybytes(), memoryview(message.body))


def _buffer_sizes(message: bytes, body: memoryview) -> Iterator[int]:
    """Of a record batch: its buffers lie in the body, each with its unpacked size (-1: not packed) in front."""
    root = _uint32(message, 0)
    kind, batch = _field(message, root, 1), _field(message, root, 2)
    if kind is None or batch is None or message[kind] != RECORD_BATCH:
        raise ValueError("a message is not what it says")
    table = batch + _uint32(message, batch)
    buffers = _field(message, table, 2)
    packed = _field(message, table, 3) is not None
    if buffers is None:
        return
    start = buffers + _uint32(message, buffers)
    for place in range(_uint32(message, start)):
        offset, length = struct.unpack_from("<qq", message, start + 4 + 16 * place)
        if packed and length > 0:
            (size,) = struct.unpack_from("<q", body, offset)
            yield length if size == -1 else abs(size)
        else:
            yield length


def _field(message: bytes, table: int, field: int) -> int | None:
    """Where a field of a flatbuffer's table lies; null where it is left out."""
    vtable = table - struct.unpack_from("<i", message, table)[0]
    slot = 4 + 2 * field
    if vtable < 0 or slot >= struct.unpack_from("<H", message, vtable)[0]:
        return None
    offset = int(struct.unpack_from("<H", message, vtable + slot)[0])
    return table + offset if offset else None


def _uint32(data: bytes, place: int) -> int:
    return int(struct.unpack_from("<I", data, place)[0])
