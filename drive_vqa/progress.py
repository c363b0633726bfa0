"""Progress: a bar on a terminal, one line per 10 s elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
LINE_EVERY_S = 10.0


def track(items: Iterable[Item], *, total: int, description: str) -> Iterator[Item]:
    """Yield the items while showing how far it is."""
    if sys.stderr.isatty():
        yield from _bar(items, total, description)
    else:
        yield from _lines(items, total, description)


def _bar(items: Iterable[Item], total: int, description: str) -> Iterator[Item]:
    from rich.console import Console
    from rich.progress import track as rich_track

    yield from rich_track(items, description=description, total=total, console=Console(stderr=True))


def _lines(items: Iterable[Item], total: int, description: str) -> Iterator[Item]:
    shown_at = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        if done == total or time.monotonic() - shown_at >= LINE_EVERY_S:
            shown_at = time.monotonic()
            logger.info("%s %d/%d", description, done, total)
