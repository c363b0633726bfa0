"""One process at a time: a lock that the system lets go of when the process ends, however it does."""

from __future__ import annotations

import fcntl

from drive_vqa.errors import ConfigError


def hold(descriptor: int, refusal: str) -> None:
    """Lock an open file until it is closed.

    Args:
        descriptor: of the file.
        refusal: what to say where another process holds it.

    Raises:
        ConfigError: another process holds it.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ConfigError(refusal) from error
