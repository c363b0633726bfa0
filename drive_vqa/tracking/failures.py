"""Failures of a tracking store: which pass by themselves, and how they are put into words without anybody's password."""

from __future__ import annotations

import re

TOO_BUSY = frozenset({408, 425, 429})
WORDS = 200
_USER = re.compile(r"(?<=://)[^/\s'\"]+@")
_SECRET = re.compile(r"(?i)\b(password|passwd|pwd|token|secret)=[^&\s'\"]+")


class NotThereYetError(Exception):
    """Something that another run has to bring first."""


def passes(error: Exception) -> bool:
    """Whether trying again later can help: no connection, a server in trouble, a locked database."""
    from mlflow.exceptions import MlflowException
    from requests.exceptions import HTTPError, RequestException
    from sqlalchemy.exc import OperationalError

    if isinstance(error, HTTPError) and error.response is not None:
        return _is_passing_status(error.response.status_code)
    if isinstance(error, MlflowException):
        return _is_passing_status(int(error.get_http_status_code())) and not _is_no_mlflow(error)
    return isinstance(error, (RequestException, OperationalError, NotThereYetError))


def reason(error: Exception) -> str:
    """A failure in one line, without credentials."""
    return redacted(" ".join(str(error).split()))[:WORDS] or type(error).__name__


def redacted(text: str) -> str:
    """A URI, or a text with URIs in it, without user names, passwords and tokens."""
    return _SECRET.sub(r"\1=***", _USER.sub("", text))


def _is_passing_status(status: int) -> bool:
    return status >= 500 or status in TOO_BUSY


def _is_no_mlflow(error: Exception) -> bool:
    """Another service answers at the address; MLflow has no code of its own for that."""
    return "not in a valid JSON format" in str(error)
