"""A teacher on a loopback server and one that is loaded: what they are shown and what becomes of what they say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from drive_vqa.chat_endpoint import ChatEndpoint
from drive_vqa.errors import ConfigError
from drive_vqa.store import Store
from drive_vqa.vlm import Sampling, Vlm
from drive_vqa.vlm.sent_units import SentUnits
from drive_vqa.vlm.tuned import TRACE_TOKENS
from eval.predict import questions_to_ask
from finetune.search import local as local_module
from finetune.search.local import LocalTeacher
from finetune.search.run import search
from finetune.search.served import ServedTeacher
from finetune.search.steps import GroundedStep
from finetune.search.teachers import open_teacher
from finetune.search.tree import Request, SearchSettings
from tests.loopback import serving

FIRST = Request((), 2, 5, must_answer=False)
SECOND = Request((GroundedStep("The car is here", (80, 48), 1),), 1, 6, must_answer=False)
LAST = Request(SECOND.steps, 1, 7, must_answer=True)


class _Server(ThreadingHTTPServer):
    """Gives as many choices as `most` allows: a step, and the answer once there is one."""

    most = 9

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[dict[str, Any]] = []
        self.fails = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self._send({"data": [{"id": "teacher"}]})

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append(request)
        if self.server.fails:
            self.server.fails -= 1
            self.send_error(429)
            return
        words = request["messages"][0]["content"][-1]["text"]
        text = "<answer>left</answer>" if "Steps so far" in words else "Region 1 is here (250, 520)"
        count = min(request["n"], self.server.most)
        self._send({"choices": [{"message": {"content": text}} for _ in range(count)]})

    def _send(self, body: Any) -> None:
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[_Server]:
    with serving(_Server()) as running:
        yield running


@pytest.fixture
def teacher(server: _Server) -> ServedTeacher:
    endpoint = ChatEndpoint(server.url, sleep=lambda _: None)
    return ServedTeacher(endpoint, "teacher", SentUnits("thousandths"), (80, 56), 0.7)


def test_a_served_teacher_is_asked_in_its_units(store: Store, server: _Server, teacher: ServedTeacher) -> None:
    ask = teacher.about(questions_to_ask(store, "train")[1])
    assert ask(FIRST) == ["<think>\nRegion 1 is here (40, 50)\n</think>"] * 2
    [request] = server.requests
    assert {key: request[key] for key in ("model", "n", "seed", "temperature")} == {
        "model": "teacher",
        "n": 2,
        "seed": 5,
        "temperature": 0.7,
    }
    kinds = [part["type"] for part in request["messages"][0]["content"]]
    assert kinds == ["text", "image_url", "text", "image_url", "text", "text"]
    words = request["messages"][0]["content"][-1]["text"]
    assert "in thousandths" in words
    assert "(250, 500)" in words  # a quarter across, half down
    assert "<think>" not in words
    ask(SECOND)
    assert "1. The car is here (500, 500)" in server.requests[1]["messages"][0]["content"][-1]["text"]
    assert "Now say the answer alone" not in server.requests[1]["messages"][0]["content"][-1]["text"]
    ask(LAST)
    assert "Now say the answer alone" in server.requests[2]["messages"][0]["content"][-1]["text"]


def test_a_server_that_gives_one_at_a_time_is_asked_again(
    store: Store, server: _Server, teacher: ServedTeacher
) -> None:
    server.most = 1
    assert len(teacher.about(questions_to_ask(store, "train")[0])(FIRST)) == 2
    assert [(request["n"], request["seed"]) for request in server.requests] == [(2, 5), (1, 6)]


def test_a_search_over_a_server_that_is_busy_at_times(
    store: Store, server: _Server, teacher: ServedTeacher, tmp_path: Path
) -> None:
    server.fails = 3
    summary = search(store, "train", teacher, tmp_path / "c.parquet", settings=SearchSettings(simulations=2), workers=2)
    assert (summary.solved, summary.exit_status) == (3, 0)


def test_teachers_by_name(server: _Server) -> None:
    found = open_teacher(server.url, unit="thousandths", size_px=(64, 64))
    assert isinstance(found, ServedTeacher)
    assert json.loads(json.dumps(found.settings)) == found.settings
    assert (found.name, found.size_px) == ("teacher", (64, 64))
    with pytest.raises(ConfigError, match="--adapter and --device are for models loaded here"):
        open_teacher(server.url, device="cpu")
    with pytest.raises(ConfigError, match="for servers"):
        open_teacher("somewhere", served_name="x")


def test_a_loaded_teacher_follows_instructions(store: Store, vlm: Vlm, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, calls = questions_to_ask(store, "train")[0], []

    def generate(messages: Any, images: Any, tokens: int, **more: Any) -> list[str]:
        calls.append((messages, images, more))
        return ["Region 1 is here (84, 56)"] * len(messages)

    monkeypatch.setattr(Vlm, "generate", lambda _, *args, **more: generate(*args, **more))
    assert LocalTeacher(vlm, "t").about(asked)(FIRST)[0].splitlines()[1].startswith("Region 1 is here (")
    [(messages, images, more)] = calls
    assert (len(messages), len(images), len(images[0])) == (2, 2, 2)
    assert more == {"sampling": Sampling(1.0, seed=5), "begun": None}
    assert "Find the answer by looking" in messages[0][0]["content"][-1]["text"]


def test_a_model_that_was_taught_to_think_goes_on(store: Store, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from drive_vqa.vlm import load_vlm

    loaded, begun = load_vlm(base, device="cpu"), []
    tuned = Vlm(loaded.model, loaded.processor, (160, 96), "marks", TRACE_TOKENS)
    replies = iter(
        [
            ["<think>\nA car (0, 0)\nB (6, 7)", "left"],
            [")\nA car (0, 0)\nB"],
            ["9)\nA car (0, 0)"],
            [")\n</think>\n<answer>left</answer>"],
            ["left</answer>"],
        ]
    )

    def generate(messages: Any, images: Any, tokens: int, **more: Any) -> list[str]:
        begun.append(more["begun"][0])
        return next(replies)

    monkeypatch.setattr(Vlm, "generate", lambda _, *args, **more: generate(*args, **more))
    ask = LocalTeacher(tuned, "t").about(questions_to_ask(store, "train")[0])
    said = [[text.replace("<think>", "").split() for text in ask(one)] for one in (FIRST, SECOND, SECOND, SECOND, LAST)]
    step, nothing = ["A", "car", "(0,", "0)", "</think>"], ["</think>"]
    assert said[:3] == [[step, nothing], [step], [nothing]]
    assert said[3][0][-1] == said[4][0][-1] == "</think><answer>left</answer>"
    assert begun[0] == ""
    assert begun[1].startswith("<think>\nThe car is here (")
    assert begun[1][-1].isdigit()
    assert begun[4].endswith(")\n</think>\n<answer>")


def test_a_tiny_model_searches_and_its_seed_holds(
    store: Store, vlm: Vlm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It knows nothing, so nothing is found; but all the way is gone."""
    monkeypatch.setattr(local_module, "STEP_TOKENS", 6)
    summary = search(
        store, "train", LocalTeacher(vlm, "tiny"), tmp_path / "c.parquet", settings=SearchSettings(calls=2), limit=1
    )
    assert (summary.searched, summary.chains) == (1, 0)
    asked = questions_to_ask(store, "train")[0]
    said = [LocalTeacher(vlm, "tiny").about(asked)(Request((), 2, seed, must_answer=False)) for seed in (1, 1, 2)]
    assert said[0] == said[1] != said[2]
    assert said[0][0] != said[0][1]


def test_an_answer_that_was_begun_is_gone_on_with(store: Store, vlm: Vlm, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model reads the prompt and, right behind it, what was begun; nothing begun changes nothing."""
    from drive_vqa.marks import marked_frames
    from drive_vqa.prompt import build_messages
    from drive_vqa.vlm import model as vlm_module

    read: list[list[int]] = []
    share = vlm_module.share_prefixes
    monkeypatch.setattr(vlm_module, "share_prefixes", lambda ids, *rest: read.extend(ids) or share(ids, *rest))
    asked = questions_to_ask(store, "train")[0]
    shown = [build_messages(asked.group, asked.question)], [marked_frames(store, asked.group, (84, 56))]
    begin = "Region 1 is on the left side, and so"
    [whole] = vlm.generate(*shown, 8)
    [again] = vlm.generate(*shown, 8, begun=[""])
    vlm.generate(*shown, 8, begun=[begin])
    assert again == whole
    assert read[1] == read[0]
    behind = read[2][len(read[0]) :]
    assert read[2][: len(read[0])] == read[0]
    assert vlm.processor.tokenizer.decode(behind) == begin


def test_sampling_needs_settings_that_can_be() -> None:
    """A temperature, a share and a seed outside of what they mean are refused."""
    for wrong in ({"temperature": 0.0}, {"top_p": 0.0}, {"top_p": 1.1}, {"seed": -1}):
        with pytest.raises(ValueError, match="sampling needs"):
            Sampling(**wrong)  # type: ignore[arg-type]


def test_marks_are_needed(vlm: Vlm) -> None:
    with pytest.raises(ConfigError, match="regions=boxes"):
        LocalTeacher(Vlm(vlm.model, vlm.processor, None, "boxes"), "t")
