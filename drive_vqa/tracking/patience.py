"""The manners of MLflow's own client, which by itself blocks for many minutes on a dead server and prints addresses."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

TRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
TIMEOUT = "MLFLOW_HTTP_REQUEST_TIMEOUT"
QUIET = "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"
ANSWER_S = 10
FILE_S = 600
"""A server may pass a large file on to its own store before it answers."""


@contextmanager
def short() -> Iterator[None]:
    """One try a request, since we try again ourselves; a setting of the user's own stays."""
    ours = {TRIES: "0", TIMEOUT: str(ANSWER_S), QUIET: "true"}
    missing = {name: value for name, value in ours.items() if name not in os.environ}
    os.environ.update(missing)
    try:
        yield
    finally:
        for name in missing:
            os.environ.pop(name, None)


@contextmanager
def for_files() -> Iterator[None]:
    """Time enough for large files."""
    before = os.environ.get(TIMEOUT)
    os.environ[TIMEOUT] = str(max(FILE_S, int(before or 0)))
    try:
        yield
    finally:
        os.environ.pop(TIMEOUT, None)
        if before is not None:
            os.environ[TIMEOUT] = before
