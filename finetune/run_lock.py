"""One training at a time in a run folder: two would mix their checkpoints and logs."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from drive_vqa.errors import ConfigError

LOCK = ".lock"

_held: set[int] = set()


@contextmanager
def only_run(out: Path, *, is_main_process: bool) -> Iterator[None]:
    """Hold a run folder; the system lets go of it when the process ends, however it does.

    Args:
        out: the folder, which exists.
        is_main_process: the others of a distributed training do not hold it.

    Raises:
        ConfigError: another process holds it.
    """
    if not is_main_process:
        yield
        return
    lock = os.open(out / LOCK, os.O_WRONLY | os.O_CREAT, 0o644)
    _held.add(lock)
    try:
        _hold(lock, out)
        yield
    finally:
        _held.discard(lock)
        os.close(lock)


def _hold(lock: int, out: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ConfigError(
            f"another training is at work in {out}: wait for its end, or give --out a new folder"
        ) from error


def _let_go() -> None:
    """Workers that load data are forks, and those of a killed training live on for a while: they must not hold its folder."""
    while _held:
        os.close(_held.pop())


os.register_at_fork(after_in_child=_let_go)
