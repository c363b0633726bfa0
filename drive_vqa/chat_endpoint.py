"""Talking to a server that speaks OpenAI's chat completions: time-outs, retries, and errors that say what to do.

Requests are those of `drive_vqa.chat_request`. Whatever a server sends, what comes out is a list of texts or a `ModelError`.
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from drive_vqa.errors import ConfigError, ModelError

MOST_BYTES = 16 * 1024**2
"""A longer reply is not read to its end."""

READ_AT_ONCE = 64 * 1024
MOST_PATIENCE_S = 30.0
"""Longest pause before another try, whatever the server asks for."""

_BUSY = frozenset({408, 425, 429})
_GONE = (OSError, http.client.HTTPException, UnicodeError)
"""No connection, none any more, not HTTP, or no name of a host."""


class _TryAgainError(Exception):
    """What may be better in a moment; `pause_s` where the server says when."""

    def __init__(self, reason: str, pause_s: float | None = None) -> None:
        super().__init__(reason)
        self.pause_s = pause_s


@dataclass(frozen=True)
class ChatEndpoint:
    """The address of a server.

    Attributes:
        url: base of its interface, such as http://127.0.0.1:8000/v1; no proxy is used.
        key: sent as a bearer token where there is one.
        timeout_s: for one try, from connecting to the last byte.
        retries: tries after the first, where the server is busy, fails, is silent or talks nonsense.
        backoff_s: pause before the first of them; each next one is twice as long.
        sleep: how a pause is made.

    Raises:
        ConfigError: the address or the key cannot be one.
    """

    url: str
    key: str | None = field(default=None, repr=False)
    timeout_s: float = 120.0
    retries: int = 4
    backoff_s: float = 1.0
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            usable = False
        if not usable:
            raise ConfigError(f"{self.url} is no address of a server: give one such as http://127.0.0.1:8000/v1")
        if self.key is not None and not (self.key.isascii() and self.key.isprintable()):
            raise ConfigError(f"the key for {self.url} has characters that no key has: set it again, on one line")
        if not self.timeout_s > 0 or self.retries < 0 or self.backoff_s < 0:
            raise ConfigError("timeout_s must be above 0, retries and backoff_s at least 0")

    def complete(self, request: Mapping[str, Any]) -> list[str]:
        """Texts of the choices that the server offers for a request; empty where a choice has no text.

        Raises:
            ModelError: the server refuses the request, or did not answer in time and form at any try.
        """
        return self._tried("POST", "/chat/completions", _texts, json.dumps(dict(request)).encode())

    def models(self) -> list[str]:
        """Names of the models that the server has.

        Raises:
            ModelError: as for `complete`.
        """
        return self._tried("GET", "/models", _names, None)

    def _tried(self, method: str, path: str, read: Callable[[Any], list[str]], body: bytes | None) -> list[str]:
        pause_s = self.backoff_s
        for tries_left in range(self.retries, -1, -1):
            try:
                return self._once(method, path, read, body)
            except _TryAgainError as error:
                if not tries_left:
                    raise ModelError(
                        f"{self.url} gave no usable answer in {self.retries + 1} tries, at last: {error}; see that the server "
                        "runs, then run the same command again"
                    ) from error
                self.sleep(min(error.pause_s or pause_s, MOST_PATIENCE_S))
                pause_s *= 2
        raise AssertionError("unreachable")

    def _once(self, method: str, path: str, read: Callable[[Any], list[str]], body: bytes | None) -> list[str]:
        try:
            status, pause_s, content = self._exchange(method, path, body)
        except _GONE as error:
            raise _TryAgainError(_one_line(str(error) or type(error).__name__)) from error
        if status in _BUSY or status >= 500:
            raise _TryAgainError(f"status {status}: {_message(content)}", pause_s)
        if status != 200:
            raise ModelError(
                f"{self.url} refuses the request (status {status}: {_message(content)}): check model and address"
            )
        try:
            return read(json.loads(content))
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            raise _TryAgainError(f"no chat completion: {_message(content)}") from error

    def _exchange(self, method: str, path: str, body: bytes | None) -> tuple[int, float | None, bytes]:
        """Status, pause that the server asks for, and content of one reply."""
        parts = urlsplit(self.url)
        make = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = make(str(parts.hostname), parts.port, timeout=self.timeout_s)
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {self.key}"} if self.key else {})}
        ends_s = time.monotonic() + self.timeout_s
        watch = threading.Timer(self.timeout_s, _hang_up, [connection])
        watch.daemon = True
        watch.start()
        try:
            connection.request(method, parts.path.rstrip("/") + path, body, headers)
            with connection.getresponse() as reply:
                return reply.status, _seconds(reply.getheader("Retry-After")), _read(reply, ends_s)
        finally:
            watch.cancel()
            connection.close()


def _hang_up(connection: http.client.HTTPConnection) -> None:
    """End a reply whose head does not end: each byte of it may come in time."""
    with suppress(OSError, AttributeError):  # closed, or not open yet
        connection.sock.shutdown(socket.SHUT_RDWR)


def _read(reply: http.client.HTTPResponse, ends_s: float) -> bytes:
    """The content, unless it is endless in time or length."""
    parts, length = [], 0
    while part := reply.read1(READ_AT_ONCE):
        length += len(part)
        if length > MOST_BYTES:
            raise OSError(f"the reply has more than {MOST_BYTES} bytes")
        if time.monotonic() > ends_s:
            break
        parts.append(part)
    if time.monotonic() > ends_s:
        raise TimeoutError("the reply did not end in time")
    if reply.length:
        raise OSError(f"the connection was closed {reply.length} bytes before the end")
    return b"".join(parts)


def _texts(reply: Any) -> list[str]:
    contents = [choice["message"]["content"] for choice in reply["choices"]]
    if not contents or any(not isinstance(content, str | None) for content in contents):
        raise TypeError("choices without text")
    return [content or "" for content in contents]


def _names(reply: Any) -> list[str]:
    return [str(model["id"]) for model in reply["data"]]


def _seconds(header: str | None) -> float | None:
    """What `Retry-After` says in seconds; the form with a date is not read."""
    return float(header) if header is not None and header.isascii() and header.isdigit() and len(header) < 6 else None


def _message(content: bytes) -> str:
    """The beginning of a reply, for people."""
    return _one_line(content[:400].decode("utf-8", "replace"))[:200] or "nothing"


def _one_line(text: str) -> str:
    return " ".join(text.split())
