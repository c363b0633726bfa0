"""The file that a run's records go to before they are sent: one JSON object a line, in order.

It outlives the process: after a crash, or when a server stayed away, all that was recorded is still there. The first line says
which run it is.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from pathlib import Path

from drive_vqa.errors import ConfigError
from drive_vqa.tracking.run import Record

logger = logging.getLogger(__name__)


class Journal:
    """Appends from any thread; reads from any place.

    Attributes:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, new or not; half a line at its end, which a killed process may leave, is cut off."""
        self.path = path
        self._lock = threading.Lock()
        self._full = False
        self._file = path.open("ab", buffering=0)
        self._size = _whole_lines(path)
        self._file.truncate(self._size)

    @property
    def size(self) -> int:
        """Bytes written."""
        return self._size

    def append(self, record: Record) -> None:
        """Write a record. A full disk costs the record, not the training; that is said once."""
        line = json.dumps(record, allow_nan=False).encode() + b"\n"
        with self._lock:
            try:
                written = self._file.write(line)
            except OSError as error:
                written, reason = 0, str(error)
            else:
                reason = "disk full"
            if written == len(line):
                self._size += written
            else:
                self._give_up(reason)

    def read(self, offset: int, most: int) -> list[tuple[Record, int]]:
        """Up to `most` records from a place on, each with the place behind it.

        Raises:
            ConfigError: a line is no record.
        """
        records: list[tuple[Record, int]] = []
        with self.path.open("rb") as file:
            file.seek(offset)
            while len(records) < most and file.tell() < self._size:
                record = parse_record(file.readline(), self.path)
                records.append((record, file.tell()))
        return records

    def header(self) -> Record:
        """The first record: which run this is.

        Raises:
            ConfigError: it says something else.
        """
        first = self.read(0, 1)
        header = first[0][0] if first else {}
        named = all(isinstance(header.get(name), str) for name in ("key", "name")) and header["key"].isalnum()
        if not named or not isinstance(header.get("started_ms"), int):
            raise ConfigError(
                f"{self.path} does not begin with a run: name a file mlflow-KEY.jsonl of an output folder"
            )
        return header

    def close(self) -> None:
        """Write no more."""
        self._file.close()

    def delete(self) -> None:
        """Write no more, and keep nothing."""
        self._file.close()
        self.path.unlink(missing_ok=True)

    def _give_up(self, reason: str) -> None:
        os.ftruncate(self._file.fileno(), self._size)
        if not self._full:
            logger.warning("what is tracked cannot be written to %s (%s): free some space", self.path, reason)
        self._full = True


def parse_record(line: bytes, path: Path) -> Record:
    """A line of a journal.

    Raises:
        ConfigError: it is none.
    """
    try:
        record = json.loads(line)
    except ValueError as error:
        raise ConfigError(f"{path} has a line that is no JSON ({error}): delete the line or the file") from error
    if not isinstance(record, dict) or not isinstance(record.get("kind"), str):
        raise ConfigError(f"{path} is not a list of MLflow records: name a file mlflow-KEY.jsonl of an output folder")
    return record


def _whole_lines(path: Path) -> int:
    """Bytes up to the end of the last whole line."""
    end = 0
    with path.open("rb") as file:
        for line in file:
            end += len(line) if line.endswith(b"\n") else 0
    return end
