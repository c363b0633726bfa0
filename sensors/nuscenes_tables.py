"""The JSON tables of a nuScenes v1.0 version folder as typed records.

Two levels of checks, so that a wrong number stops one log and not the whole set: every table must be a list of objects with
unique tokens and whole references (`Table.read`); all other values are checked when a log picks its records (`Table.pick`). Only
the keys that we use are kept, since the tables of v1.0-trainval have millions of rows.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
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

Record = TypeVar("Record", bound=tuple)
_LEFT_OUT = object()


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
    return type(value) is str and not any("\ud800" <= character <= "\udfff" for character in value)


def _is_tokens(value: Any) -> bool:
    return type(value) is list and all(_is_text(token) for token in value)


CHECKS: dict[Any, tuple[str, Callable[[Any], bool]]] = {
    Token: ("a token", _is_text),
    str: ("text", _is_text),
    bool: ("true or false", lambda value: type(value) is bool),
    Count: ("a whole number from 0", lambda value: type(value) is int and 0 <= value < 2**31),
    Microseconds: ("whole microseconds", lambda value: type(value) is int and 0 <= value < 2**63 // 1000),
    Vector: ("3 finite numbers", _floats(3)),
    Size: ("3 numbers above 0", _floats(3, low=0.0)),
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
    def read(
        cls, folder: Path, kind: type[Record], keep: Callable[[dict[str, Any]], bool] = lambda _: True
    ) -> Table[Record]:
        """Read the table of a kind of record.

        Args:
            folder: of the version.
            kind: a key of `FILES`.
            keep: which JSON objects are wanted; the rest is left out at once.

        Raises:
            LogFormatError: not a JSON list of objects, or a token is absent, not text or not unique.
        """
        file = folder / f"{FILES[kind]}.json"
        records = _parse(file, kind, keep)
        for name, hint in get_type_hints(kind).items():
            if hint is Token:
                _check_tokens(file, records, name)
        rows: dict[Token, Record] = {record[0]: record for record in records}  # the token is every record's first field
        if len(rows) < len(records):
            raise LogFormatError(f"{file}: token {_repeated(records)!r} stands twice: {AGAIN}")
        return cls(file, kind, rows)

    def pick(self, tokens: Iterable[Token], asked_by: str) -> list[Record]:
        """Records of some tokens, every value checked.

        Raises:
            LogFormatError: a token has no record, or a value is absent or wrong.
        """
        records = []
        for token in tokens:
            record = self.rows.get(token)
            if record is None:
                raise LogFormatError(f"{asked_by} names token {token!r}, which {self.file} does not have: {AGAIN}")
            records.append(record)
        self.check({record[0]: record for record in records}.values())  # each once, however often it is named
        return records

    def check(self, records: Iterable[Record]) -> None:
        """Check every value of some records.

        Raises:
            LogFormatError: a value is absent or wrong.
        """
        kinds = list(get_type_hints(self.kind).items())
        for record in records:
            for value, (name, hint) in zip(record, kinds, strict=True):
                expected, fits = CHECKS[hint]
                if not fits(value):
                    found = "absent or null" if value is None else f"{value!r:.60}"
                    raise LogFormatError(
                        f"{self.file}, token {record[0]!r}: {name} must be {expected}, is {found}: mend that record"
                    )


def group_by(table: Table[Record], field: str, owners: Table[Any]) -> dict[Token, list[Record]]:
    """Records by one of their references; every owner has a list.

    Raises:
        LogFormatError: a reference has no owner.
    """
    groups: dict[Token, list[Record]] = {token: [] for token in owners.rows}
    key = attrgetter(field)
    for record in table.rows.values():
        if key(record) not in groups:
            raise LogFormatError(
                f"{table.file}, token {record[0]!r}: {field} {key(record)!r} is not in {owners.file.name}: {AGAIN}"
            )
        groups[key(record)].append(record)
    return groups


def _parse(file: Path, kind: type[Record], keep: Callable[[dict[str, Any]], bool]) -> list[Record]:
    """Records as the JSON parser meets them, so that the full objects never stand in memory together."""
    fields: tuple[str, ...] = cast(Any, kind)._fields
    pick, make = itemgetter(*fields), cast(Any, kind)._make

    def take(content: dict[str, Any]) -> Any:
        if not keep(content):
            return _LEFT_OUT
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
    records = [record for record in content if record is not _LEFT_OUT]
    wrong = [record for record in records if type(record) is not kind]
    if wrong:
        raise LogFormatError(f"{file}: an entry is {wrong[0]!r:.40} and not a record: {AGAIN}")
    return records


def _check_tokens(file: Path, records: list[Record], name: str) -> None:
    values = map(attrgetter(name), records)
    if set(map(type, values)) <= {str}:
        return
    place, value = next((place, value) for place, value in _indexed(records, name) if type(value) is not str)
    found = "absent or null" if value is None else f"{value!r:.40}"
    raise LogFormatError(f"{file}, record {place}: {name} must be a token, is {found}: {AGAIN}")


def _indexed(records: list[Record], name: str) -> Iterator[tuple[int, Any]]:
    return enumerate(map(attrgetter(name), records))


def _repeated(records: list[Record]) -> str:
    counts = Counter(record[0] for record in records)
    return str(counts.most_common(1)[0][0])
