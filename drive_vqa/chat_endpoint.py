"""Talking to a server that speaks OpenAI's chat completions: time-outs, retries, and errors that say what to do.

Requests are those of `drive_vqa.chat_request`. Whatever a server sends, what comes out is a completion or a `ModelError`. A try
has a connection of its own: next to the time of an answer making one is quick, and none grows stale.
"""

from __future__ import annotations

import http.client
import json
import random
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit

from drive_vqa.errors import ConfigError, ModelError

MOST_BYTES = 16 * 1024**2
"""A longer reply is not read to its end."""

READ_AT_ONCE = 64 * 1024
MOST_CONNECT_S = 10.0
MOST_PATIENCE_S = 30.0
"""Longest pause before another try, whatever the server asks for."""

MOST_TOKENS = 10**9
"""A server that counts more in one answer counts wrongly."""

_BUSY = frozenset({408, 425, 429})
_GONE = (OSError, http.client.HTTPException, UnicodeError)
"""No connection, none any more, not HTTP, or no name of a host."""


Read = TypeVar("Read")


class RefusalError(ModelError):
    """The server will not answer a request, however often it is asked; `status` is that of HTTP."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class _TryAgainError(Exception):
    """What may be better in a moment; `pause_s` where the server says when."""

    def __init__(self, reason: str, pause_s: float | None = None) -> None:
        super().__init__(reason)
        self.pause_s = pause_s


@dataclass(frozen=True)
class Completion:
    """What a server says to a request.

    Attributes:
        texts: of its choices; empty where a choice has no text.
        latency_s: of the try that gave it.
        prompt_tokens: that it counts in what it was sent; None where it does not tell.
        completion_tokens: that it counts in what it says, likewise.
    """

    texts: list[str]
    latency_s: float = 0.0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


@dataclass(frozen=True)
class ChatEndpoint:
    """The address of a server; any number of threads may ask it.

    Attributes:
        url: base of its interface, such as http://127.0.0.1:8000/v1; no proxy is used.
        key: sent as a bearer token where there is one.
        timeout_s: for one try, from connecting to the last byte.
        retries: tries after the first, where the server is busy, fails, is silent or talks nonsense.
        backoff_s: longest pause before the first of them; each next one may be twice as long.
        sleep: how a pause is made; None: so that `hang_up` ends it.
        draw: a number from 0 to 1: by it pauses become up to a half shorter, so that not all who wait come back at once. A pause
            that the server asks for stays as long.

    Raises:
        ConfigError: the address or the key cannot be one.
    """

    url: str
    key: str | None = field(default=None, repr=False)
    timeout_s: float = 120.0
    retries: int = 4
    backoff_s: float = 1.0
    sleep: Callable[[float], Any] | None = field(default=None, repr=False)
    draw: Callable[[], float] = field(default=random.random, repr=False)
    _ended: threading.Event = field(default_factory=threading.Event, init=False, repr=False, compare=False)
    _open: set[http.client.HTTPConnection] = field(default_factory=set, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
            if usable and "@" in parts.netloc:
                raise ConfigError(f"the address of {parts.hostname} has a name or password in it: leave these out")
        except ValueError:
            usable = False
        if not usable:
            raise ConfigError(f"{self.url} is no address of a server: give one such as http://127.0.0.1:8000/v1")
        if self.key is not None and not (self.key.isascii() and self.key.isprintable()):
            raise ConfigError(f"the key for {self.url} has characters that no key has: set it again, on one line")
        if not self.timeout_s > 0 or self.retries < 0 or self.backoff_s < 0:
            raise ConfigError("timeout_s must be above 0, retries and backoff_s at least 0")

    def complete(self, request: Mapping[str, Any]) -> list[str]:
        """Texts of the choices that the server offers for a request; errors as for `completion`."""
        return self.completion(request).texts

    def completion(self, request: Mapping[str, Any]) -> Completion:
        """What the server says to a request.

        Raises:
            RefusalError: the server refuses it.
            ModelError: it did not answer in time and form at any try.
        """
        return self._tried("POST", "/chat/completions", _completion, json.dumps(dict(request)).encode())

    def models(self) -> list[str]:
        """Names of the models that the server has; errors as for `completion`."""
        return self._tried("GET", "/models", _names, None)

    def only_model(self) -> str:
        """The name of its model.

        Raises:
            ConfigError: it has none, or several.
            ModelError: as for `completion`.
        """
        names = self.models()
        if len(names) != 1:
            raise ConfigError(
                f"{self.url} has {len(names)} models ({', '.join(names[:5])}): name one with --served-name"
            )
        return names[0]

    def hang_up(self) -> None:
        """End all that is under way, also pauses, and refuse whatever comes after, with ModelError."""
        self._ended.set()
        for connection in list(self._open):
            _hang_up(connection)

    def _tried(self, method: str, path: str, read: Callable[[Any, float], Read], body: bytes | None) -> Read:
        pause_s = self.backoff_s
        for tries_left in range(self.retries, -1, -1):
            if self._ended.is_set():
                break
            try:
                return self._once(method, path, read, body)
            except _TryAgainError as error:
                if not tries_left:
                    raise ModelError(
                        f"{self.url} gave no usable answer in {self.retries + 1} tries, at last: {error}; see that the server "
                        "runs, then run the same command again"
                    ) from error
                drawn_s = min(pause_s, MOST_PATIENCE_S) * (1 + self.draw()) / 2
                (self.sleep or self._ended.wait)(
                    drawn_s if error.pause_s is None else min(error.pause_s, MOST_PATIENCE_S)
                )
                pause_s *= 2
        raise ModelError(f"{self.url} is not asked any more: run the same command again")

    def _once(self, method: str, path: str, read: Callable[[Any, float], Read], body: bytes | None) -> Read:
        began_s = time.monotonic()
        try:
            status, pause_s, content = self._exchange(method, path, body)
        except _GONE as error:
            raise _TryAgainError(_one_line(str(error) or type(error).__name__)) from error
        if status in _BUSY or status >= 500:
            raise _TryAgainError(f"status {status}: {self._message(content)}", pause_s)
        if status != 200:
            why = f"status {status}: {self._message(content)}"
            raise RefusalError(f"{self.url} refuses the request ({why}): check model, address and key", status)
        try:
            return read(json.loads(content), time.monotonic() - began_s)
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            raise _TryAgainError(f"no chat completion: {self._message(content)}") from error

    def _exchange(self, method: str, path: str, body: bytes | None) -> tuple[int, float | None, bytes]:
        """Status, pause that the server asks for, and content of one reply."""
        parts = urlsplit(self.url)
        make = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = make(str(parts.hostname), parts.port, timeout=min(self.timeout_s, MOST_CONNECT_S))
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {self.key}"} if self.key else {})}
        ends_s = time.monotonic() + self.timeout_s
        watch = threading.Timer(self.timeout_s, _hang_up, [connection])
        watch.daemon = True
        self._open.add(connection)
        watch.start()
        try:
            self._connect(connection)
            connection.request(method, parts.path.rstrip("/") + path, body, headers)
            with connection.getresponse() as reply:
                return reply.status, _seconds(reply.getheader("Retry-After")), _read(reply, ends_s)
        finally:
            watch.cancel()
            connection.close()
            self._open.discard(connection)

    def _connect(self, connection: http.client.HTTPConnection) -> None:
        connection.connect()
        connection.sock.settimeout(self.timeout_s)
        if self._ended.is_set():  # before there was anything to end
            raise OSError("not asked any more")

    def _message(self, content: bytes) -> str:
        """The beginning of a reply, for people, without the key."""
        text = content[:400].decode("utf-8", "replace")
        return _one_line(text.replace(self.key, "KEY") if self.key else text)[:200] or "nothing"


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


def _completion(reply: Any, latency_s: float) -> Completion:
    texts = [choice["message"]["content"] for choice in reply["choices"]]
    if not texts or any(not isinstance(text, str | None) for text in texts):
        raise TypeError("choices without text")
    usage = reply.get("usage")
    told = usage if isinstance(usage, dict) else {}
    tokens = {name: _count(told.get(name)) for name in ("prompt_tokens", "completion_tokens")}
    return Completion([text or "" for text in texts], latency_s, **tokens)


def _count(told: Any) -> int | None:
    """A number of tokens; None where it is none."""
    return told if isinstance(told, int) and not isinstance(told, bool) and 0 <= told < MOST_TOKENS else None


def _names(reply: Any, _latency_s: float) -> list[str]:
    return [str(model["id"]) for model in reply["data"]]


def _seconds(header: str | None) -> float | None:
    """What `Retry-After` says in seconds; the form with a date is not read."""
    return float(header) if header is not None and header.isascii() and header.isdigit() and len(header) < 6 else None


def _one_line(text: str) -> str:
    return " ".join(text.split())
