"""The big JSON tables of nuScenes as Arrow columns, a few megabytes at a time.

`sample_data`, `ego_pose` and `sample_annotation` of v1.0-trainval are 2.6 GB of JSON. A file is cut between two records every
few megabytes, and each piece goes through Arrow's JSON parser with the types that we expect. Where that fails, or a value is not
as it must be, the piece goes through the standard parser and every record is checked on its own: slow, exact, and rarely needed.
"""

from __future__ import annotations

import io
import json
import re
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from drive_vqa.errors import LogFormatError
from drive_vqa.executor import available_cores
from sensors.readers.nuscenes_tables import (
    AGAIN,
    CHECKS,
    FILES,
    LIMIT,
    NUMBERS,
    Count,
    Microseconds,
    Quaternion,
    Size,
    Token,
    Tokens,
    Vector,
    fault,
    hints,
)

PIECE_BYTES = 4 << 20
LONGEST_RECORD_BYTES = 32 << 20
"""No record is longer; real ones have a thousand bytes."""
_CUT = re.compile(rb'\}\s*,\s*\{(?=\s*"[a-z_]+"\s*:)')
"""Between two records. It cannot be met inside a text: there the quote before the key would have a backslash."""
_TAIL_BYTES = 8192
"""A cut is first looked for in the end of a piece."""

_NUMBER_LIST = pa.list_(pa.float64())
_ARROW: dict[Any, pa.DataType] = {
    Token: pa.string(),
    str: pa.string(),
    bool: pa.bool_(),
    Count: pa.int64(),
    Microseconds: pa.int64(),
    Tokens: pa.list_(pa.string()),
    **dict.fromkeys(NUMBERS, _NUMBER_LIST),
}
_GREATEST = {Count: 2**31 - 1, Microseconds: 2**63 // 1000 - 1}
_INSTEAD: dict[Any, Any] = {
    str: "",
    bool: True,  # a capture whose flag cannot be read counts as a keyframe, so that its log is stopped
    Count: 0,
    Microseconds: 0,
    Tokens: [],
    Vector: [0.0, 0.0, 0.0],
    Size: [1.0, 1.0, 1.0],
    Quaternion: [1.0, 0.0, 0.0, 0.0],
}
"""Stands in the columns where a value is wrong; the record's fault says so."""

Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class Piece:
    """Some records in a row.

    Attributes:
        file: where they come from.
        columns: by name; numbers of lists are arrays of shape (n, k), the rest Arrow arrays.
        faults: what is wrong with a record, with file, token and mend, by its place in this piece.
    """

    file: Path
    columns: dict[str, Any]
    faults: dict[int, str]


def read_pieces(folder: Path, kind: type[Any], take: Callable[[Piece], Result]) -> list[Result]:
    """Read the table of a kind of record, in as many threads as there are cores.

    Args:
        folder: of the version.
        kind: a key of `FILES`.
        take: makes what is wanted of a piece; runs in the thread.

    Returns:
        One result a piece, in the order of the file.

    Raises:
        LogFormatError: not a JSON list of records, or a reference is absent or not text.
    """
    file = folder / f"{FILES[kind]}.json"
    results, waiting = [], deque[Future[Result]]()
    with ThreadPoolExecutor(max(available_cores(), 1)) as pool:
        try:
            for start, content in _cut(file):
                waiting.append(pool.submit(lambda *piece: take(_parse(file, kind, *piece)), start, content))
                if len(waiting) > 2 * available_cores():  # pieces that wait for a thread take memory
                    results.append(waiting.popleft().result())
            results += [future.result() for future in waiting]
        finally:
            for future in waiting:
                future.cancel()
    return results


def _cut(file: Path) -> Iterator[tuple[int, bytes]]:
    """The text between the brackets in pieces of whole records, and how many bytes were cut off before."""
    done = 0
    try:
        with file.open("rb") as content:
            rest = content.read(PIECE_BYTES).lstrip()
            if not rest.startswith(b"["):
                raise LogFormatError(f"{file} must hold a list of records: {AGAIN}")
            rest = rest[1:]
            while more := content.read(PIECE_BYTES):
                last = _last_cut(rest, len(rest) - _TAIL_BYTES) or _last_cut(rest, 0)
                if last is None and len(rest) > LONGEST_RECORD_BYTES:
                    raise LogFormatError(f"{file} is not a plain list of records: {AGAIN}")
                if last is None:
                    rest += more
                    continue
                yield done, rest[: last.start() + 1]
                done += last.end() - 1
                rest = rest[last.end() - 1 :] + more
    except FileNotFoundError as error:
        raise LogFormatError(f"{file} is missing: copy all tables of the version") from error
    except OSError as error:
        raise LogFormatError(f"{file} cannot be read ({error}): {AGAIN}") from error
    rest = rest.strip()
    if not rest.endswith(b"]"):
        raise LogFormatError(f"{file} is cut off or not a JSON list: {AGAIN}")
    yield done, rest[:-1]


def _last_cut(content: bytes, start: int) -> re.Match[bytes] | None:
    found = deque(_CUT.finditer(content, max(start, 0)), maxlen=1)
    return found[0] if found else None


def _parse(file: Path, kind: type[Any], start: int, content: bytes) -> Piece:
    columns = _parse_fast(kind, content)
    if columns is not None:
        return Piece(file, columns, {})
    records, faults = _parse_exact(file, kind, start, content)
    kinds = pa.struct([(name, _ARROW[hint]) for name, hint in hints(kind)])
    columns = dict(zip(kinds.names, pa.array(records, kinds).flatten(), strict=True))
    return Piece(file, {name: _checked(columns[name], hint) for name, hint in hints(kind)}, faults)


def _parse_fast(kind: type[Any], content: bytes) -> dict[str, Any] | None:
    """Columns, or None where a value is not as it must be."""
    fields = pa.struct([(name, _ARROW[hint]) for name, hint in hints(kind)])
    # One line, one row, whose only column is the list: so Arrow sees the very text, and it must be a list of records.
    line = b'{"records":[' + content.replace(b"\n", b" ").replace(b"\r", b" ") + b"]}"
    try:
        rows = pj.read_json(
            io.BytesIO(line),
            read_options=pj.ReadOptions(use_threads=False, block_size=len(line) + 1),
            parse_options=pj.ParseOptions(
                explicit_schema=pa.schema([("records", pa.list_(fields))]), unexpected_field_behavior="ignore"
            ),
        )
        if rows.num_rows != 1 or rows["records"].null_count:
            return None
        records = rows["records"].chunk(0).flatten()
        if records.null_count:
            return None
        records.validate(full=True)  # among others that text is UTF-8
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    columns = {}
    for (name, hint), column in zip(hints(kind), records.flatten(), strict=True):
        columns[name] = _checked(column, hint)
        if columns[name] is None:
            return None
    return columns


def _checked(column: pa.Array, hint: Any) -> Any:
    """The column, numbers of lists as an array; None where a value is not as it must be."""
    if column.null_count:
        return None
    if hint in NUMBERS:
        return _numbers(column, hint)
    if hint in _GREATEST and len(column):
        least, greatest = pc.min_max(column).as_py().values()
        return column if least >= 0 and greatest <= _GREATEST[hint] else None
    if hint is Tokens and column.flatten().null_count:
        return None
    return column


def _numbers(column: pa.Array, hint: Any) -> np.ndarray | None:
    count, low = NUMBERS[hint]
    flat = column.flatten()
    if flat.null_count or not np.all(np.diff(column.offsets.to_numpy()) == count):
        return None
    values = np.asarray(flat.to_numpy().reshape(-1, count))
    if not ((values > low) & (values < LIMIT)).all():  # NaN is neither
        return None
    if hint is Quaternion and not np.all(np.sum(values * values, axis=1) > 1e-12):
        return None
    return values


def _parse_exact(
    file: Path, kind: type[Any], start: int, content: bytes
) -> tuple[list[dict[str, Any]], dict[int, str]]:
    """Records with all values usable, and what was wrong with them."""
    try:
        objects = json.loads(b"[" + content + b"]")
    except (ValueError, RecursionError) as error:
        raise LogFormatError(f"{file} is not complete JSON ({str(error)[:80]}): {AGAIN}") from error
    records, faults = [], {}
    for place, found in enumerate(objects):
        if type(found) is not dict:
            raise LogFormatError(f"{file}: an entry is {found!r:.40} and not a record: {AGAIN}")
        record = kind(*(found.get(name) for name, _ in hints(kind)))
        wrong = fault(record, kind)
        if wrong is None:
            records.append(record._asdict())
            continue
        after = f" after byte {start}" if start else ""
        records.append(_usable(f"{file}, record {place}{after}", record, kind))
        faults[place] = f"{file}, token {record[0]!r}: {wrong}: mend that record"
    return records, faults


def _usable(where: str, record: Any, kind: type[Any]) -> dict[str, Any]:
    """The record with something else where a value is wrong.

    Raises:
        LogFormatError: a wrong value is a reference, without which nobody knows whose record this is.
    """
    usable = {}
    for value, (name, hint) in zip(record, hints(kind), strict=True):
        fits = CHECKS[hint][1](value)
        if hint is Token and not fits:
            found = "absent or null" if value is None else f"{value!r:.40}"
            raise LogFormatError(f"{where}: {name} must be a token, is {found}: {AGAIN}")
        usable[name] = value if fits else _INSTEAD[hint]
    return usable
