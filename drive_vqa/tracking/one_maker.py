"""One maker at a time of a SQLite store: MLflow looks for tables and then makes them, which two processes do at once."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def one_maker(folder: Path) -> Iterator[None]:
    """Wait until no other process makes a store in a folder; the folder itself is locked, so that no file is left in it.

    Where there is no such folder, or its file system knows no such locks (NFS), nothing is held.
    """
    try:
        folder_id = os.open(folder, os.O_RDONLY)
    except OSError:
        yield
        return
    try:
        with suppress(OSError):
            fcntl.flock(folder_id, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder_id)
