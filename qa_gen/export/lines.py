"""Text files that are made of what each log adds: a piece a split and log, then joined in log order.

A piece is kept among the parts of its log, so that no file of the export is ever half written.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from drive_vqa.store import replacing
from qa_gen.export.job import LogJob

ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


def write_pieces(log: LogJob, items: Iterable[tuple[str, str]], between: str = "") -> None:
    """Write what a log adds.

    Args:
        log: the log.
        items: name of the joined file and text to add to it, in order.
        between: what stands between two texts of one file.
    """
    with ExitStack() as stack:
        files: dict[str, IO[str]] = {}
        for name, text in items:
            if name in files:
                files[name].write(between)
            else:
                path = log.parts / name
                path.parent.mkdir(parents=True, exist_ok=True)
                files[name] = stack.enter_context(path.open("w", encoding="utf-8", newline=""))
            files[name].write(text)


def join_pieces(logs: Iterable[LogJob], path: Path, *, head: str = "", between: str = "", tail: str = "") -> bool:
    """Join the pieces of a file in log order; False, and no file, where no log has any.

    Args:
        logs: in order.
        path: of the joined file.
        head: what it starts with.
        between: what stands between the pieces of two logs.
        tail: what it ends with.
    """
    pieces = [piece for log in logs if (piece := log.parts / path.name).exists()]
    if not pieces:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary, temporary.open("wb") as out:
        out.write(head.encode())
        for place, piece in enumerate(pieces):
            out.write(between.encode() if place else b"")
            with piece.open("rb") as file:
                shutil.copyfileobj(file, out)
        out.write(tail.encode())
    return True


def json_line(content: Mapping[str, Any]) -> str:
    """One line of JSON."""
    return json_item(content) + "\n"


def json_item(content: Mapping[str, Any]) -> str:
    """One element of a JSON list."""
    return ENCODER.encode(content)
