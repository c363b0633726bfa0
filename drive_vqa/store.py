"""A store: a folder of Parquet tables, one file a log and table, with a manifest.

    STORE/manifest.json                      schema and code version, config of each step, rows and SHA-256 of each file
    STORE/<table>/<log_id>.parquet           see drive_vqa.schema
    STORE/errors-<step>.jsonl                what failed, if anything did

Files appear under their final name only when complete. Every file carries a fingerprint of what it was made from (code version,
config, digests of its inputs): a step redoes a log only when the file is missing or its fingerprint differs. Nothing in a store
depends on the time, the machine or the number of workers, so equal inputs give equal bytes.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from drive_vqa._version import __version__
from drive_vqa.errors import StoreError
from drive_vqa.schema import SCHEMA_VERSION, TABLES

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"
FINGERPRINT_KEY = b"drive_vqa.fingerprint"
VERSION_KEY = b"drive_vqa.schema_version"
LEVEL, LEVEL_OF_TEXT = 1, 3
TEXTS = ("question", "answer", "options.list.element", "track_ids.list.element")
"""Columns worth a closer look by zstd; for all the others its set-up would take longer than its work."""

DICTIONARY_BYTES = 4_000_000
"""Room for the distinct texts of a log; beyond it they would be written again and again."""

UNIQUE = ("qa_id",)
"""Columns of equally long texts without repeated values: a dictionary or lengths between them would only add to their size."""

LOG_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,150}")


@dataclass(frozen=True)
class Store:
    """A store on disk; cheap to make, picklable, safe to hand to workers."""

    root: Path

    @classmethod
    def create(cls, root: Path) -> Store:
        """Open the store at `root`, making the folder first where it is absent.

        Raises:
            StoreError: `root` is a file, or a folder of other things.
        """
        if root.exists() and not (root.is_dir() and (not any(root.iterdir()) or _looks_like_store(root))):
            raise StoreError(f"{root} exists and is not a drive-vqa store: give --out an empty or new folder")
        (root / "logs").mkdir(
            parents=True, exist_ok=True
        )  # at once: a killed first ingest must leave a store, not a riddle
        return cls(root)

    @classmethod
    def open(cls, root: Path) -> Store:
        """Open an existing store.

        Raises:
            StoreError: there is none, or it was written by an incompatible version.
        """
        if not _looks_like_store(root):
            raise StoreError(
                f"{root} is not a drive-vqa store (no logs table): make one with `drive-vqa ingest SOURCE --out`"
            )
        store = cls(root)
        if not store.log_ids():
            raise StoreError(f"{root} holds no log yet: run `drive-vqa ingest` into it again")
        _check_version(store.manifest().get("schema_version", SCHEMA_VERSION), root / MANIFEST)
        return store

    def path(self, table: str, log_id: str) -> Path:
        """Where the table of a log lies; the name of a log is checked, since it comes from outside."""
        if table not in TABLES:
            raise StoreError(f"there is no table {table!r}; tables are {', '.join(TABLES)}")
        if not LOG_ID.fullmatch(log_id):
            raise StoreError(f"log name {log_id!r} cannot be a file name: use letters, digits and . _ + - only")
        return self.root / table / f"{log_id}.parquet"

    def log_ids(self, table: str = "logs") -> list[str]:
        """The logs that have this table, sorted."""
        return sorted(path.stem for path in (self.root / table).glob("*.parquet"))

    def is_current(self, table: str, log_id: str, fingerprint: str) -> bool:
        """Whether the finished file exists and was made from the same inputs."""
        path = self.path(table, log_id)
        if not path.exists():
            return False
        metadata = _read_metadata(path)
        return metadata.get(FINGERPRINT_KEY) == fingerprint.encode()

    def digest(self, table: str, log_id: str) -> str:
        """SHA-256 of the file, to build fingerprints of what is made from it."""
        return file_sha256(self._existing(table, log_id))

    def write(self, table: str, log_id: str, data: pa.Table, fingerprint: str) -> None:
        """Write one table of one log, atomically.

        Raises:
            StoreError: the columns are not those of the schema.
        """
        schema = TABLES[table]
        if not data.schema.equals(schema):
            raise StoreError(f"table {table!r} of log {log_id} does not have the columns of its schema")
        metadata = {VERSION_KEY: SCHEMA_VERSION.encode(), FINGERPRINT_KEY: fingerprint.encode()}
        path = self.path(table, log_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            pq.write_table(data.replace_schema_metadata(metadata), temporary, **_encoding(schema))

    def read(self, table: str, log_id: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Read one table of one log.

        Raises:
            StoreError: it is missing, unreadable, or of another major version.
        """
        return read_table(self._existing(table, log_id), table, columns)

    def read_all(self, table: str, columns: Sequence[str] | None = None) -> pa.Table:
        """All logs of one table, in log order; an empty table where no log has it."""
        parts = [self.read(table, log_id, columns) for log_id in self.log_ids(table)]
        schema = TABLES[table] if columns is None else pa.schema([TABLES[table].field(name) for name in columns])
        return pa.concat_tables([schema.empty_table(), *parts])

    def source_root(self, log_id: str) -> Path:
        """The folder that the paths in `sensor_data` are relative to."""
        path = self._existing("logs", log_id)
        return (self.root / _relative_root(path, path.stat().st_mtime_ns)).resolve()

    def media_path(self, log_id: str, relative: str) -> Path:
        """The image or point cloud that a table names.

        Raises:
            StoreError: the path leaves the source folder, or the file is gone.
        """
        pure = PurePosixPath(relative)
        if pure.is_absolute() or ".." in pure.parts:
            raise StoreError(
                f"log {log_id} names the file {relative!r}, which is outside its source folder: not opened"
            )
        path = self.source_root(log_id) / pure
        if not path.is_file():
            raise StoreError(
                f"{path} of log {log_id} is missing: put the source data back, or ingest it again from where it is"
            )
        return path

    def manifest(self) -> dict[str, Any]:
        """The manifest, or an empty dict before the first step has ended."""
        path = self.root / MANIFEST
        if not path.exists():
            return {}
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise StoreError(f"{path} cannot be read ({error}): delete it and run the last command again") from error
        if not _is_manifest(manifest):
            raise StoreError(f"{path} is not a manifest: delete it and run the last command again")
        return dict(manifest)

    def write_manifest(self, step: str, config: Mapping[str, Any]) -> None:
        """Record a finished step's config, and rows and digest of every file."""
        steps = {**self.manifest().get("steps", {}), step: dict(config)}
        tables = {table: self._files(table) for table in TABLES if (self.root / table).is_dir()}
        manifest = {"schema_version": SCHEMA_VERSION, "code_version": __version__, "steps": steps, "tables": tables}
        write_json(self.root / MANIFEST, manifest)

    def _existing(self, table: str, log_id: str) -> Path:
        path = self.path(table, log_id)
        if not path.exists():
            raise StoreError(f"log {log_id} of {self.root} has no table {table!r}: {_HOW_TO_MAKE[table]}")
        return path

    def _files(self, table: str) -> dict[str, dict[str, Any]]:
        log_ids = self.log_ids(table)
        with ThreadPoolExecutor() as threads:  # hashing and reading let other threads run
            return dict(zip(log_ids, threads.map(lambda log_id: self._file(table, log_id), log_ids), strict=True))

    def _file(self, table: str, log_id: str) -> dict[str, Any]:
        """Rows and digest; a damaged file is told and does not stop the record of the others."""
        try:
            rows = _read_file_metadata(self.path(table, log_id)).num_rows
        except StoreError as error:
            logger.warning("%s", error)
            rows = None
        return {"rows": rows, "sha256": self.digest(table, log_id)}


_HOW_TO_MAKE = {
    "logs": "run `drive-vqa ingest`",
    "frames": "run `drive-vqa ingest`",
    "sensor_data": "run `drive-vqa ingest`",
    "annotations": "run `drive-vqa ingest` on a source with labels",
    "detections": "run `drive-vqa fuse STORE --from detections --detections PATH` or `--from sensors`",
    "map_elements": "run `drive-vqa ingest`",
    "tracks": "run `drive-vqa fuse STORE`",
    "groups": "run `drive-vqa generate STORE`",
    "questions": "run `drive-vqa generate STORE`",
    "predictions": "run `drive-vqa predict`",
    "scores": "run `drive-vqa evaluate`",
}


@lru_cache(maxsize=4096)
def _relative_root(path: Path, _written_ns: int) -> str:
    """Kept for every image of a log, until the file is written anew."""
    root: str = read_table(path, "logs", ["source_root"])["source_root"][0].as_py()
    return root


def fingerprint(step: str, config: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
    """What a file was made from, as a short stable hash: schema and code version, step, config, digests of inputs."""
    content = {"schema": SCHEMA_VERSION, "code": __version__, "step": step, "config": config, "inputs": dict(inputs)}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_table(path: Path, table: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a Parquet file and check that it is the table `table` of a version we know.

    Raises:
        StoreError: it is not.
    """
    metadata = _read_metadata(path)
    _check_version(metadata.get(VERSION_KEY, SCHEMA_VERSION.encode()).decode("ascii", "replace"), path)
    try:
        data = pq.ParquetFile(path).read(columns=None if columns is None else list(columns))
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"{path} is damaged ({error}): delete it and run the step again") from error
    schema = TABLES[table] if columns is None else pa.schema([TABLES[table].field(name) for name in columns])
    if not data.schema.equals(schema):
        raise StoreError(f"{path} does not have the columns of table {table!r}: delete it and run the step again")
    return data.replace_schema_metadata(None)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends well, and is removed otherwise."""
    temporary = path.with_name(
        f".{path.name}.{uuid.uuid4().hex[:12]}.tmp"
    )  # processes of two machines may share a number
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON atomically, keys in order, NaN refused."""
    text = json.dumps(content, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False)
    with replacing(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json_object(path: Path) -> dict[str, Any]:
    """What `write_json` wrote.

    Raises:
        StoreError: the file cannot be read, or holds no JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(f"{path} cannot be read as JSON ({error}): restore or delete it, and run again") from error
    if not isinstance(content, dict):
        raise StoreError(f"{path} is not a JSON object: restore or delete it, and run again")
    return content


def relative_source(source: Path, store: Path) -> str:
    """The source folder as `logs.source_root` keeps it: relative to the store, POSIX."""
    return Path(os.path.relpath(source.resolve(), store.resolve())).as_posix()


def _encoding(schema: pa.Schema) -> dict[str, Any]:
    """How a table is written: the smallest that all readers of Parquet know."""
    unique = [name for name in UNIQUE if name in schema.names]
    leaves = [leaf for field in schema for leaf in _leaves(field.type, field.name)]
    return {
        "compression": "zstd",
        "compression_level": {leaf: LEVEL_OF_TEXT if leaf in TEXTS else LEVEL for leaf in leaves},
        "dictionary_pagesize_limit": DICTIONARY_BYTES,
        "use_dictionary": [leaf for leaf in leaves if leaf not in unique],
        "column_encoding": dict.fromkeys(unique, "DELTA_LENGTH_BYTE_ARRAY"),
    }


def _leaves(kind: pa.DataType, path: str) -> list[str]:
    """Parquet's names of the columns that a column is made of."""
    if pa.types.is_struct(kind):
        return [leaf for field in kind for leaf in _leaves(field.type, f"{path}.{field.name}")]
    if pa.types.is_list(kind):
        return _leaves(kind.value_type, f"{path}.list.element")
    return [path]


def _looks_like_store(root: Path) -> bool:
    return (root / "logs").is_dir() or (root / MANIFEST).is_file()


def _is_manifest(content: Any) -> bool:
    steps = content.get("steps", {}) if isinstance(content, dict) else None
    is_version = isinstance(content, dict) and isinstance(content.get("schema_version", ""), str)
    return is_version and isinstance(steps, dict) and all(isinstance(step, dict) for step in steps.values())


def _read_metadata(path: Path) -> dict[bytes, bytes]:
    return dict(_read_file_metadata(path).metadata or {})


def _read_file_metadata(path: Path) -> pq.FileMetaData:
    try:
        return pq.read_metadata(path)
    except (pa.ArrowException, OSError) as error:
        raise StoreError(
            f"{path} is not a readable Parquet file ({error}): delete it and run the step again"
        ) from error


def _check_version(version: str, path: Path) -> None:
    if version.partition(".")[0] != SCHEMA_VERSION.partition(".")[0]:
        raise StoreError(
            f"{path} has schema version {version}, this program reads {SCHEMA_VERSION}: ingest the logs again"
        )
