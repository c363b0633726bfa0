"""A real server on the loopback that answers badly in every way."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from drive_vqa import chat_endpoint
from drive_vqa.chat_endpoint import ChatEndpoint, RefusalError
from drive_vqa.errors import ConfigError, ModelError
from tests.loopback import serving

Answer = Callable[[BaseHTTPRequestHandler, Any], None]


def reply(status: int = 200, body: Any = None, **headers: str) -> Answer:
    """Answers with a status and a body: text as it is, everything else as JSON."""

    def answer(handler: BaseHTTPRequestHandler, _request: Any) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def completion(*texts: str | None) -> Answer:
    return reply(body={"choices": [{"message": {"role": "assistant", "content": text}} for text in texts]})


def close(handler: BaseHTTPRequestHandler, _request: Any) -> None:
    handler.connection.close()


def silence(handler: BaseHTTPRequestHandler, _request: Any) -> None:
    time.sleep(0.4)


def dribble(handler: BaseHTTPRequestHandler, _request: Any) -> None:
    """Sends a byte before each time-out, for ever."""
    handler.send_response(200)
    handler.end_headers()
    for _ in range(40):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.05)


def dribble_head(handler: BaseHTTPRequestHandler, _request: Any) -> None:
    """The same before there is a reply to read."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nA: ")
    for _ in range(40):
        handler.wfile.write(b"b")
        handler.wfile.flush()
        time.sleep(0.05)


class Server(ThreadingHTTPServer):
    """Answers requests one after another by a script; the last answer stays."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[Answer] = []
        self.seen: list[tuple[str, Any, dict[str, str]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        request = json.loads(self.rfile.read(length)) if length else None
        self.server.seen.append((f"{self.command} {self.path}", request, dict(self.headers)))
        answers = self.server.answers
        (answers.pop(0) if len(answers) > 1 else answers[0])(self, request)

    do_GET = do_POST

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Server()) as running:
        yield running


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def endpoint(server: Server, pauses: list[float]) -> ChatEndpoint:
    return ChatEndpoint(server.url, timeout_s=0.2, retries=2, sleep=pauses.append, draw=lambda: 1.0)


def test_texts_of_all_choices(server: Server, endpoint: ChatEndpoint) -> None:
    server.answers = [completion("left", None, "right")]
    assert endpoint.complete({"model": "m", "n": 3}) == ["left", "", "right"]
    [(what, request, headers)] = server.seen
    assert (what, request) == ("POST /v1/chat/completions", {"model": "m", "n": 3})
    assert "Authorization" not in headers


def test_models_and_the_key(server: Server) -> None:
    server.answers = [reply(body={"object": "list", "data": [{"id": "a"}, {"id": "b"}]})]
    endpoint = ChatEndpoint(server.url + "/", key="secret")
    assert endpoint.models() == ["a", "b"]
    assert server.seen[0][0] == "GET /v1/models"
    assert server.seen[0][2]["Authorization"] == "Bearer secret"
    assert "secret" not in repr(endpoint)


GARBAGE = [b"", b"{", b"[]", b'"x"', b"null", b'{"choices": []}', b'{"choices": 3}', b'{"choices": [{"message": {}}]}']
GARBAGE += [b"\xff\xfe", b"[" * 100_000, b'{"choices": [{"message": {"content": 7}}]}', b'{"choices": [null]}']


@pytest.mark.parametrize(
    "bad",
    [
        reply(429, "slow down"),
        reply(500, "oh"),
        reply(503, "oh"),
        close,
        silence,
        dribble,
        *(reply(200, one) for one in GARBAGE),
        reply(200, b"{}", Content_Length="100"),
    ],
)
def test_what_may_pass_is_tried_again(server: Server, endpoint: ChatEndpoint, pauses: list[float], bad: Answer) -> None:
    server.answers = [bad, completion("left")]
    assert endpoint.complete({}) == ["left"]
    assert pauses == [1.0]
    server.answers = [bad]
    with pytest.raises(
        ModelError, match=r"127\.0\.0\.1.* in 3 tries, at last: .+ run the same command again"
    ) as failed:
        endpoint.complete({})
    assert len(str(failed.value)) < 600
    assert pauses == [1.0, 1.0, 2.0]
    assert len(server.seen) == 5


@pytest.mark.parametrize("status", [301, 400, 401, 404])
def test_a_refusal_is_final(server: Server, endpoint: ChatEndpoint, pauses: list[float], status: int) -> None:
    server.answers = [reply(status, b"no model\nby that " + b"name " * 1000, Location="http://127.0.0.1:1/")]
    with pytest.raises(RefusalError, match=rf"refuses the request \(status {status}: no model by that name") as failed:
        endpoint.complete({})
    assert failed.value.status == status
    assert len(str(failed.value)) < 600
    assert not pauses
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("asked", "pause_s"), [("7", 7.0), ("90000", 30.0), ("Wed, 21 Oct 2026 07:28:00 GMT", 1.0), ("-3", 1.0), ("١", 1.0)]
)
def test_a_server_may_ask_for_patience(
    server: Server, endpoint: ChatEndpoint, pauses: list[float], asked: str, pause_s: float
) -> None:
    header = asked.encode().decode("latin-1")
    server.answers = [reply(429, "busy", Retry_After=header), completion("left")]
    assert endpoint.complete({}) == ["left"]
    assert pauses == [pause_s]


def test_a_reply_without_end_is_not_read(
    server: Server, endpoint: ChatEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat_endpoint, "MOST_BYTES", 1000)
    server.answers = [reply(200, b" " * 2000)]
    with pytest.raises(ModelError, match="more than 1000 bytes"):
        endpoint.complete({})


def test_no_part_of_a_reply_takes_longer_than_all_may(server: Server, endpoint: ChatEndpoint) -> None:
    server.answers = [dribble_head, completion("left")]
    began_s = time.monotonic()
    assert endpoint.complete({}) == ["left"]
    assert time.monotonic() - began_s < 1.5


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}, (7, 2)),
        ({"prompt_tokens": 7}, (7, None)),
        ({"prompt_tokens": -1, "completion_tokens": True}, (None, None)),
        ({"prompt_tokens": "7", "completion_tokens": 10**18}, (None, None)),
        (None, (None, None)),
        ([3], (None, None)),
    ],
)
def test_tokens_are_those_that_the_server_counts(
    server: Server, endpoint: ChatEndpoint, usage: Any, tokens: tuple[int | None, int | None]
) -> None:
    server.answers = [reply(body={"choices": [{"message": {"content": "left"}}], "usage": usage})]
    said = endpoint.completion({})
    assert (said.prompt_tokens, said.completion_tokens) == tokens
    assert said.texts == ["left"]
    assert said.latency_s > 0


def test_pauses_grow_and_are_drawn(server: Server, pauses: list[float]) -> None:
    server.answers = [reply(500, "oh")]
    draws = iter([0.0, 1.0, 0.5, 0.0, 1.0, 1.0])
    with pytest.raises(ModelError, match="in 7 tries"):
        ChatEndpoint(server.url, retries=6, sleep=pauses.append, draw=lambda: next(draws)).complete({})
    assert pauses == [0.5, 2.0, 3.0, 4.0, 16.0, 30.0]


def test_the_only_model_of_a_server(server: Server, endpoint: ChatEndpoint) -> None:
    server.answers = [reply(body={"data": [{"id": "a"}]})]
    assert endpoint.only_model() == "a"
    for names, told in (([], "has 0 models"), (["a", "b"], r"has 2 models \(a, b\): name one with --served-name")):
        server.answers = [reply(body={"data": [{"id": name} for name in names]})]
        with pytest.raises(ConfigError, match=told):
            endpoint.only_model()


def test_a_key_that_a_server_repeats_is_not_told(server: Server) -> None:
    for status in (401, 500):
        server.answers = [reply(status, "no such key: secret-1")]
        with pytest.raises(ModelError, match="no such key: KEY") as failed:
            ChatEndpoint(server.url, key="secret-1", retries=0).complete({})
        assert "secret" not in str(failed.value)


def test_whoever_hangs_up_waits_for_nothing(server: Server) -> None:
    """One thread waits for a reply and one for its next try; each would do so for longer than a test may take."""
    begun, release = threading.Semaphore(0), threading.Event()
    outcomes: list[str] = []

    def hold(handler: BaseHTTPRequestHandler, _request: Any) -> None:
        begun.release()
        release.wait()

    def fail(handler: BaseHTTPRequestHandler, request: Any) -> None:
        reply(500, "oh")(handler, request)
        begun.release()

    def ask() -> None:
        try:
            endpoint.complete({})
        except ModelError as error:
            outcomes.append(str(error))

    endpoint = ChatEndpoint(server.url, timeout_s=1000.0, backoff_s=1000.0)
    server.answers = [hold, fail, completion("left")]
    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in threads:
        begun.acquire()
    endpoint.hang_up()
    for thread in threads:
        thread.join()
    release.set()
    assert [text.partition("/v1 ")[2] for text in outcomes] == ["is not asked any more: run the same command again"] * 2
    with pytest.raises(ModelError, match="not asked any more"):
        endpoint.complete({})
    assert len(server.seen) == 2


@pytest.mark.parametrize("key", ["two\nlines", "\x00", "schlüssel"])
def test_keys_that_are_none(key: str) -> None:
    with pytest.raises(ConfigError, match="characters that no key has") as failed:
        ChatEndpoint("http://127.0.0.1:1/v1", key=key)
    assert key not in str(failed.value)


def test_nobody_there(pauses: list[float]) -> None:
    with pytest.raises(ModelError, match="refused"):
        ChatEndpoint("http://127.0.0.1:1/v1", retries=0).complete({})
    assert not pauses


@pytest.mark.parametrize(
    "url", ["", "localhost:80", "ftp://a/b", "http://", "http://a:b", "http://a:99999", "file:///etc"]
)
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(ConfigError, match="no address"):
        ChatEndpoint(url)


def test_an_address_holds_no_password() -> None:
    with pytest.raises(ConfigError, match="name or password") as failed:
        ChatEndpoint("http://me:secret@127.0.0.1:8000/v1")
    assert "secret" not in str(failed.value)
