"""A server on the loopback that answers questions, or misbehaves as a script says."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from drive_vqa.chat_endpoint import ChatEndpoint
from eval.predict import PromptedQuestion, ServedModel, grey_frames
from eval.predict.shown import Control
from tests.loopback import serving


class ChatServer(ThreadingHTTPServer):
    """Knows questions by their last line of text, and counts what it was sent.

    Attributes:
        behave: what becomes of a request: its handler, the question, how often that was asked before.
        asked: how often each question was asked.
        answered: how often an answer to it was sent whole.
        pictures: of each request.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behave: Callable[[_Handler, str, int], None] = lambda handler, question, _: handler.answer(question)
        self.lock = threading.Lock()
        self.asked: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.bodies: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: ChatServer

    def do_GET(self) -> None:
        self.send(200, {"data": [{"id": "driver"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        question = body["messages"][-1]["content"][-1]["text"]
        with self.server.lock:
            before = self.server.asked[question]
            self.server.asked[question] += 1
            self.server.bodies.append(body)
        self.server.behave(self, question, before)

    def answer(self, question: str) -> None:
        """The question itself, 100 tokens read and 3 said."""
        choice = {"message": {"role": "assistant", "content": question}, "finish_reason": "stop"}
        self.send(200, {"choices": [choice], "usage": {"prompt_tokens": 100, "completion_tokens": 3}})
        with self.server.lock:
            self.server.answered[question] += 1

    def send(self, status: int, body: Any, length: int | None = None, **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


def _by_id(asked: PromptedQuestion) -> list[dict[str, Any]]:
    """The question's id in the place of its text, so that the server knows each."""
    text = f"{asked.question['qa_id']} {asked.sample}"
    return [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": text}]}]


BY_ID = Control(
    "by_id", frames=lambda asked, size_px, _: grey_frames(asked.store, asked.group, size_px), messages=_by_id
)


class Unturned:
    """Coordinates of a model that counts as we do."""

    def to_model_messages(self, messages: Any, *_: Any) -> Any:
        return messages

    def from_model_text(self, text: str, *_: Any, asked: str) -> str:
        return text


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with serving(ChatServer()) as running:
        yield running


@pytest.fixture
def by_id() -> Control:
    return BY_ID


@pytest.fixture
def served(server: ChatServer) -> Callable[..., ServedModel]:
    """A model on the server, by the settings of its endpoint."""

    def make(**settings: Any) -> ServedModel:
        endpoint = ChatEndpoint(server.url, **{"sleep": lambda _: None, **settings})
        return ServedModel(endpoint, "driver", Unturned(), "pixels", (32, 24))

    return make
