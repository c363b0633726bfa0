"""RUN/log.jsonl: how training goes, one JSON object a line, complete whenever the process dies."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from drive_vqa.errors import StoreError
from drive_vqa.store import replacing


class TrainingLog:
    """Appends records; a resumed run goes on where its checkpoint was."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Append a record; a number that is not finite becomes null.

        Raises:
            StoreError: the disk is full, or the folder cannot be written.
        """
        finite = {name: float(value) if math.isfinite(value) else None for name, value in values.items()}
        line = json.dumps({"step": step, **finite}, allow_nan=False)
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            raise StoreError(
                f"{self._path} cannot be written ({error.strerror}): free some space, then go on with --resume"
            ) from error

    def keep_until(self, step: int) -> None:
        """Drop the records of later steps, which a resumed run makes again, and a line that was cut off."""
        if not self._path.exists():
            return
        with replacing(self._path) as partial:
            kept = (json.dumps(record) + "\n" for record in self._records() if record["step"] <= step)
            partial.write_text("".join(kept), encoding="utf-8")

    def _records(self) -> Iterator[dict[str, Any]]:
        for line in self._path.read_text(encoding="utf-8", errors="replace").splitlines():
            record = _parsed(line)
            if record is not None:
                yield record


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) and isinstance(record.get("step"), int) else None
