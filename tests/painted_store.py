"""A store of painted pictures in one log, as tests of training need it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from drive_vqa.schema import table_from_rows
from drive_vqa.store import Store

LOG = "painted"
Row = dict[str, Any]


def write_painted_store(
    root: Path,
    count: int,
    group_of: Callable[[Path, int, np.random.Generator], Row],
    questions_of: Callable[[Row], list[Row]],
) -> Store:
    """ROOT/store, with the pictures in ROOT/source.

    Args:
        root: a folder.
        count: of groups.
        group_of: paints the pictures of a group by its number into a folder; a row of the `groups` table.
        questions_of: rows of the `questions` table about a group.
    """
    source, store = root / "source", Store.create(root / "store")
    source.mkdir()
    draw = np.random.default_rng(0)
    groups = [group_of(source, number, draw) for number in range(count)]
    questions = [question for group in groups for question in questions_of(group)]
    log = {"log_id": LOG, "source_format": "painted", "source_root": "../source"}
    for table, rows in {"logs": [log], "groups": groups, "questions": questions}.items():
        store.write(table, LOG, table_from_rows(table, rows), "test")
    return store
