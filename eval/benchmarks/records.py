"""Records of a benchmark's files: JSON, JSON lines, TSV and Parquet, with values checked when they are taken.

Files come from elsewhere, so nothing in them is believed: a value of the wrong type, NaN, or a file that is damaged or far
larger than any benchmark's is told in one sentence with file and record. Columns that are not asked for, such as images, are
not kept: a TSV is read in blocks of `MOST_ROW_BYTES`, Parquet by column.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from drive_vqa.errors import RecordError
from eval.benchmarks.tasks import Box

MOST_BYTES = 1 << 29
"""Of a JSON file, which is read as a whole: the benchmarks' have some megabytes."""

MOST_ROW_BYTES = 1 << 25
"""Of a row of a TSV with its images."""

MOST_HEADER_BYTES = 1 << 16
CORNERS = ("left", "top", "right", "bottom")
MOST_VALUE = 1e12
"""No time, length or pixel is as far."""


@dataclass(frozen=True)
class Record:
    """A record and where it is.

    Attributes:
        values: by name.
        where: file and number, for errors.
    """

    values: Mapping[str, Any]
    where: str

    def error(self, what: str) -> RecordError:
        """An error about this record."""
        return RecordError(f"{self.where}: {what}: mend the record or leave it out")

    def text(self, name: str) -> str:
        """A text that is not empty."""
        value = self.values.get(name)
        if not isinstance(value, str) or not value.strip():
            raise self.error(f"{name!r} is not a text")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts."""
        value = self.values.get(name)
        if not isinstance(value, Sequence) or isinstance(value, str) or not all(isinstance(one, str) for one in value):
            raise self.error(f"{name!r} is not a list of texts")
        return tuple(value)

    def number(self, name: str) -> float:
        """A finite number."""
        return self._finite(self.values.get(name), name)

    def numbers(self, name: str, count: int) -> tuple[float, ...]:
        """A list of so many finite numbers."""
        value = self.values.get(name)
        if not isinstance(value, list) or len(value) != count:
            raise self.error(f"{name!r} is not a list of {count} numbers")
        return tuple(self._finite(one, name) for one in value)

    def box(self, corners: tuple[str, str, str, str]) -> Box:
        """A box with each corner under a name of its own: left, top, right, bottom."""
        left, top, right, bottom = corners
        return self.number(left), self.number(top), self.number(right), self.number(bottom)

    def inner(self, name: str) -> Record:
        """An object in the record."""
        value = self.values.get(name)
        if not isinstance(value, dict):
            raise self.error(f"{name!r} is not an object")
        return Record(value, f"{self.where}, {name!r}")

    def inners(self, name: str) -> list[Record]:
        """A list of objects in the record."""
        value = self.values.get(name)
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise self.error(f"{name!r} is not a list of objects")
        return [Record(one, f"{self.where}, {name!r}") for one in value]

    def boxes(self, name: str) -> tuple[Box, ...]:
        """Boxes written as a text: `[[left, top, right, bottom], …]`."""
        try:
            found = _strict_json(self.text(name))
        except (ValueError, RecursionError) as error:
            raise self.error(f"{name!r} is not a list of boxes") from error
        if not isinstance(found, list) or not all(isinstance(box, list) and len(box) == len(CORNERS) for box in found):
            raise self.error(f"{name!r} is not a list of boxes of four numbers")
        return tuple(Record(dict(zip(CORNERS, box, strict=True)), self.where).box(CORNERS) for box in found)

    @contextmanager
    def making(self) -> Iterator[None]:
        """What does not hold in a question that is made of this record is told with the record."""
        try:
            yield
        except ValueError as error:
            raise self.error(str(error)) from error

    def _finite(self, value: Any, name: str) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= MOST_VALUE:
            raise self.error(f"{name!r} is not a finite number")
        return float(value)


def read_json(path: Path) -> list[Record]:
    """The objects of a JSON list."""
    content = _parsed(_text(path), f"{path}")
    if not isinstance(content, list):
        raise RecordError(f"{path} is not a list of records: give the benchmark's own file")
    return [_record(entry, f"{path}: record {number}") for number, entry in enumerate(content)]


def read_json_lines(path: Path) -> list[Record]:
    """The objects of a file with one a line."""
    lines = _text(path).split("\n")
    places = [(line, f"{path}: line {number}") for number, line in enumerate(lines, start=1) if line.strip()]
    return [_record(_parsed(line, where), where) for line, where in places]


def read_parquet(path: Path, columns: Sequence[str]) -> list[Record]:
    """The rows of a Parquet file, of these columns alone."""
    try:
        file = pq.ParquetFile(path)
        _require(columns, file.schema_arrow.names, path)
        rows = file.read(columns=list(columns)).to_pylist()
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error
    return [Record(row, f"{path}: row {number}") for number, row in enumerate(rows)]


def read_tsv(path: Path, needed: Sequence[str], wanted: Sequence[str]) -> Iterator[Record]:
    """The rows of a file parted by tabs, with its first line as names; every value is a text.

    Args:
        path: of the file; other columns are skipped.
        needed: columns that it must have.
        wanted: columns that are taken where it has them.
    """
    names = _header(path)
    _require(needed, names, path)
    columns = [*needed, *(name for name in wanted if name in names)]
    convert = pa_csv.ConvertOptions(
        include_columns=columns, column_types=dict.fromkeys(columns, pa.string()), strings_can_be_null=False
    )
    parse = pa_csv.ParseOptions(delimiter="\t", newlines_in_values=True)
    number = 0
    try:
        with pa_csv.open_csv(path, pa_csv.ReadOptions(block_size=MOST_ROW_BYTES), parse, convert) as batches:
            for batch in batches:
                for row in batch.to_pylist():
                    number += 1
                    yield Record(row, f"{path}: row {number}")
    except (OSError, pa.ArrowException) as error:
        if "straddl" in str(error):  # no row ends in a whole block
            raise RecordError(
                f"{path}: a row is longer than {MOST_ROW_BYTES >> 20} MiB: give the benchmark's own file"
            ) from error
        raise _unreadable(path, error) from error


def _header(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            line = file.readline(MOST_HEADER_BYTES).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error
    return [name.strip('"') for name in line.rstrip("\r\n").split("\t")]


def _require(columns: Sequence[str], names: Sequence[str], path: Path) -> None:
    for name in columns:
        if list(names).count(name) != 1:
            raise RecordError(f"{path} does not have one column {name!r}: give the benchmark's own file")


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise RecordError(f"{path} is larger than any file of the benchmark: give the benchmark's own file")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error


def _parsed(text: str, where: str) -> Any:
    try:
        return _strict_json(text)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{where} is not JSON ({_one_line(error)}): get the file again") from error


def _strict_json(text: str) -> Any:
    """JSON without NaN and infinity."""
    return json.loads(text, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _record(entry: Any, where: str) -> Record:
    if not isinstance(entry, dict):
        raise RecordError(f"{where} is not an object: mend the record or leave it out")
    return Record(entry, where)


def _unreadable(path: Path, error: Exception) -> RecordError:
    if isinstance(error, FileNotFoundError):
        return RecordError(f"{path} does not exist: give the benchmark's file or folder")
    return RecordError(f"{path} cannot be read ({_one_line(error)}): get the file again")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
