"""One training at a time in a run folder: two would mix their checkpoints and logs."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from drive_vqa.errors import ConfigError

LOCK = ".lock"


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
    with (out / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(
                f"another training is at work in {out}: wait for its end, or give --out a new folder"
            ) from error
        yield
