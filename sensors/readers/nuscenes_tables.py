"""The JSON tables of a nuScenes v1.0 version folder: what a record holds, what each value must be, and the small tables.

Two levels of checks, so that a wrong number stops one log and not the whole set: every table must be a list of objects with
unique tokens (`Table.read`); any other wrong value is a fault of its record (`fault`), and stops the logs that need that record.
Only the keys that we use are kept. The three tables of millions of rows are read by `sensors.readers.nuscenes_json`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import Any, Generic, NamedTuple, NewType, TypeVar, cast, get_type_hints

from drive_vqa.errors import LogFormatError

AGAIN = "copy that table again from the data set"
LIMIT = 1e9
"""No coordinate in metres or pixels is greater."""

Token = NewType("Token", str)
Count = NewType("Count", int)
Microseconds = NewType("Microseconds", int)
Vector = NewType("Vector", "list[float]")
Size = NewType("Size", "list[float]")
Quaternion = NewType("Quaternion", "list[float]")
Matrix = NewType("Matrix", "list[list[float]]")
Tokens = NewType("Tokens", "list[Token]")
OptionalText = NewType("OptionalText", str)
"""May be null too."""


class Scene(NamedTuple):
    """One drive of about 20 s."""

    token: Token
    log_token: Token
    name: str
    description: str


class Log(NamedTuple):
    """The recording that a scene was cut from."""

    token: Token
    location: str
    logfile: OptionalText


class Sample(NamedTuple):
    """A keyframe."""

    token: Token
    scene_token: Token
    timestamp: Microseconds


class SampleData(NamedTuple):
    """A sensor capture."""

    token: Token
    sample_token: Token
    ego_pose_token: Token
    calibrated_sensor_token: Token
    timestamp: Microseconds
    filename: str
    width: Count
    height: Count
    is_key_frame: bool


class EgoPose(NamedTuple):
    """`global_SE3_ego` at one time."""

    token: Token
    rotation: Quaternion
    translation: Vector


class CalibratedSensor(NamedTuple):
    """`ego_SE3_sensor` and, for a camera, its 3×3 matrix; an empty list for others."""

    token: Token
    sensor_token: Token
    rotation: Quaternion
    translation: Vector
    camera_intrinsic: Matrix


class Sensor(NamedTuple):
    """A channel."""

    token: Token
    channel: str
    modality: str


class SampleAnnotation(NamedTuple):
    """A box of one keyframe, global frame; `size` is width, length, height."""

    token: Token
    sample_token: Token
    instance_token: Token
    attribute_tokens: Tokens
    translation: Vector
    rotation: Quaternion
    size: Size
    num_lidar_pts: Count
    num_radar_pts: Count


class Instance(NamedTuple):
    """A tracked object."""

    token: Token
    category_token: Token


class Category(NamedTuple):
    """A kind of object."""

    token: Token
    name: str


class Attribute(NamedTuple):
    """What an object is doing."""

    token: Token
    name: str


FILES: dict[type[Any], str] = {
    Scene: "scene",
    Log: "log",
    Sample: "sample",
    SampleData: "sample_data",
    EgoPose: "ego_pose",
    CalibratedSensor: "calibrated_sensor",
    Sensor: "sensor",
    SampleAnnotation: "sample_annotation",
    Instance: "instance",
    Category: "category",
    Attribute: "attribute",
}
"""The tables that are read, by record."""

_HINTS = {kind: list(get_type_hints(kind).items()) for kind in FILES}

Record = TypeVar("Record", bound=tuple)


NUMBERS = {Vector: (3, -LIMIT), Size: (3, 0.0), Quaternion: (4, -LIMIT)}
"""Of lists of numbers, how many there are and what all of them are greater than."""


def _floats(count: int, low: float = -LIMIT) -> Callable[[Any], bool]:
    def check(value: Any) -> bool:
        return type(value) is list and len(value) == count and all(_is_number(number, low) for number in value)

    return check


def _is_number(value: Any, low: float) -> bool:
    return type(value) in (int, float) and low < value < LIMIT  # NaN is neither


def _is_matrix(value: Any) -> bool:
    row = _floats(3)
    return type(value) is list and (not value or (len(value) == 3 and all(row(part) for part in value)))


def _is_quaternion(value: Any) -> bool:
    return _floats(4)(value) and sum(number * number for number in value) > 1e-12


def _is_text(value: Any) -> bool:
    """Text that a table can hold: JSON allows lone surrogates, UTF-8 does not."""
    return type(value) is str and (value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value))


def _is_tokens(value: Any) -> bool:
    return type(value) is list and all(_is_text(token) for token in value)


CHECKS: dict[Any, tuple[str, Callable[[Any], bool]]] = {
    Token: ("a token", _is_text),
    str: ("text", _is_text),
    OptionalText: ("text, or null", lambda value: value is None or _is_text(value)),
    bool: ("true or false", lambda value: type(value) is bool),
    Count: ("a whole number from 0", lambda value: type(value) is int and 0 <= value < 2**31),
    Microseconds: ("whole microseconds", lambda value: type(value) is int and 0 <= value < 2**63 // 1000),
    Vector: ("3 finite numbers", _floats(*NUMBERS[Vector])),
    Size: ("3 numbers above 0", _floats(*NUMBERS[Size])),
    Quaternion: ("4 finite numbers, not all 0", _is_quaternion),
    Matrix: ("3 rows of 3 finite numbers, or empty", _is_matrix),
    Tokens: ("a list of tokens", _is_tokens),
}
"""What each kind of value must be."""


@dataclass(frozen=True, eq=False)
class Table(Generic[Record]):
    """All records of one table.

    Attributes:
        file: where they come from.
        kind: class of the records.
        rows: records by token, in the order of the file.
    """

    file: Path
    kind: type[Record]
    rows: dict[Token, Record]

    @classmethod
    def read(cls, folder: Path, kind: type[Record]) -> Table[Record]:
        """Read the table of a kind of record.

        Args:
            folder: of the version.
            kind: a key of `FILES`.

        Raises:
            LogFormatError: not a JSON list of objects, or a token is absent, not text or not unique.
        """
        file = folder / f"{FILES[kind]}.json"
        records = _parse(file, kind)
        for name, hint in hints(kind):
            if hint is Token:
                _check_tokens(file, records, name)
        rows: dict[Token, Record] = {record[0]: record for record in records}  # the token is every record's first field
        if len(rows) < len(records):
            raise LogFormatError(f"{file}: token {_repeated(records)!r} stands twice: {AGAIN}")
        return cls(file, kind, rows)

    def fault(self, record: Record) -> str | None:
        """What is wrong with a record of this table, with the file and the mend; None where all is well."""
        found = fault(record, self.kind)
        return None if found is None else f"{self.file}, token {record[0]!r}: {found}: mend that record"

    def missing(self, token: str, asked_by: str) -> str:
        """What to say where a record is asked for that the table does not have."""
        return f"{asked_by} names token {token!r}, which {self.file} does not have: {AGAIN}"


def fault(record: Record, kind: type[Record]) -> str | None:
    """What is wrong with the first wrong value of a record; None where all is well."""
    for value, (name, hint) in zip(record, hints(kind), strict=True):
        expected, fits = CHECKS[hint]
        if not fits(value):
            found = "absent or null" if value is None else f"{value!r:.60}"
            return f"{name} must be {expected}, is {found}"
    return None


def hints(kind: type[Any]) -> list[tuple[str, Any]]:
    """Name and kind of each value of a record."""
    return _HINTS[kind]


def _parse(file: Path, kind: type[Record]) -> list[Record]:
    """Records as the JSON parser meets them, so that the full objects never stand in memory together."""
    fields: tuple[str, ...] = cast(Any, kind)._fields
    pick, make = itemgetter(*fields), cast(Any, kind)._make

    def take(content: dict[str, Any]) -> Any:
        try:
            return make(pick(content))
        except KeyError:
            return make(map(content.get, fields))  # absent values become None, which no check lets through

    try:
        content = json.loads(file.read_bytes(), object_hook=take)
    except FileNotFoundError as error:
        raise LogFormatError(f"{file} is missing: copy all tables of the version") from error
    except (OSError, ValueError, RecursionError) as error:
        raise LogFormatError(f"{file} is not complete JSON ({str(error)[:80]}): {AGAIN}") from error
    if type(content) is not list:
        raise LogFormatError(f"{file} must hold a list of records: {AGAIN}")
    wrong = [record for record in content if type(record) is not kind]
    if wrong:
        raise LogFormatError(f"{file}: an entry is {wrong[0]!r:.40} and not a record: {AGAIN}")
    return content


def _check_tokens(file: Path, records: list[Record], name: str) -> None:
    for place, value in enumerate(map(attrgetter(name), records)):
        if not _is_text(value):
            found = "absent or null" if value is None else f"{value!r:.40}"
            raise LogFormatError(f"{file}, record {place}: {name} must be a token, is {found}: {AGAIN}")


def _repeated(records: list[Record]) -> str:
    counts = Counter(record[0] for record in records)
    return str(counts.most_common(1)[0][0])
