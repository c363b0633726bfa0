"""A model on a server: what it is sent, and what becomes of questions whatever the server does."""

from __future__ import annotations

import base64
import io
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from drive_vqa import chat_endpoint
from drive_vqa.errors import ConfigError, ModelError
from drive_vqa.marks import marked_frames
from drive_vqa.store import read_table
from eval.predict import Prices, Selection, ask_questions, ask_served, asked_ids, open_served, select
from eval.predict.endpoint import KEY_VARIABLE
from eval.predict.shown import Control

ALL = Selection("test")
ROOT = Path(__file__).parents[3]


def run(world, served, out, control, *, concurrency=16, selection=ALL, **options):
    answering = ask_served(served, concurrency=concurrency, control=control)
    return ask_questions(world, selection, answering, out, model_name=served.model, settings=served.settings, **options)


def texts(out):
    return {row["qa_id"]: row["text"] for row in read_table(out, "predictions").to_pylist()}


def without_latency(out):
    table = pq.read_table(out)
    return table.drop_columns("latency_s"), table.schema.metadata


def threads_of_asking():
    """Threads that ask or wait for a reply, once those that were told to end have had the time to."""
    for _ in range(200):
        left = [one for one in threading.enumerate() if one.name.startswith("ask") or isinstance(one, threading.Timer)]
        if not left:
            break
        time.sleep(0.01)
    return left


def test_every_question_is_asked_once_and_its_costs_are_counted(world, server, served, by_id, tmp_path):
    out, ids = tmp_path / "p.parquet", asked_ids(world, ALL).to_pylist()
    outcome = run(world, served(), out, by_id, prices=Prices(1.0, 10.0))
    rows = read_table(out, "predictions").to_pylist()
    assert [(row["qa_id"], row["text"]) for row in rows] == [(qa_id, f"{qa_id} 0") for qa_id in ids]
    assert {row["model"] for row in rows} == {"driver"}
    assert all(row["latency_s"] > 0 for row in rows)
    assert set(server.asked.values()) == {1}
    assert (outcome.prompt_tokens, outcome.completion_tokens) == (33300, 999)
    assert outcome.cost == pytest.approx(0.0333 + 0.00999)
    assert not threads_of_asking()


def misbehave(seed, chances):
    """What a server does to a question that was asked so often: drawn, but the same in every run."""

    def behave(handler, question, before):
        draw = random.Random(f"{seed} {question} {before}")
        [name] = draw.choices(list(chances), list(chances.values()))
        MISDEEDS[name](handler, question)

    return behave


def _dribble(handler, _question):
    handler.send_response(200)
    handler.end_headers()
    for _ in range(20):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.02)


def _cut(handler, _question):
    handler.send(200, b'{"choices": [', length=500)
    handler.close_connection = True


MISDEEDS = {
    "answers": lambda handler, question: handler.answer(question),
    "silent": lambda handler, _: time.sleep(0.3),
    "busy": lambda handler, _: handler.send(429, b"slow down", Retry_After="2"),
    "broken": lambda handler, _: handler.send(500, b"oh"),
    "cut": _cut,
    "hangs up": lambda handler, _: handler.connection.close(),
    "garbage": lambda handler, _: handler.send(200, b"\xff\xfe<html>"),
    "half JSON": lambda handler, _: handler.send(200, b'{"choices": [{"message"'),
    "no choices": lambda handler, _: handler.send(200, {"choices": []}),
    "no text": lambda handler, _: handler.send(200, {"choices": [{"message": {"content": {"a": 1}}}]}),
    "dribbles": _dribble,
    "endless": lambda handler, _: handler.send(200, b" " * 40_000),
    "refuses": lambda handler, _: handler.send(400, b"too long"),
}


def test_whatever_a_server_does_every_question_is_answered_once_or_listed(
    world, server, served, by_id, tmp_path, monkeypatch
):
    monkeypatch.setattr(chat_endpoint, "MOST_BYTES", 20_000)
    server.behave = misbehave(0, {**dict.fromkeys(MISDEEDS, 1), "answers": 12})
    out, ids = tmp_path / "p.parquet", asked_ids(world, ALL).to_pylist()
    pauses = []
    asked = served(timeout_s=0.15, retries=2, sleep=pauses.append)
    outcome = run(world, asked, out, by_id)
    listed = [json.loads(line)["qa_id"] for line in out.with_suffix(".errors.jsonl").read_text().splitlines()]
    assert sorted([*texts(out), *listed]) == sorted(ids)
    assert listed == [qa_id for qa_id in ids if qa_id in set(listed)]
    assert 10 < outcome.failed == len(listed) < 100
    assert all(text == f"{qa_id} 0" for qa_id, text in texts(out).items())
    assert {f"{qa_id} 0" for qa_id in texts(out)} <= set(server.answered)
    assert max(server.asked.values()) == 3
    assert 2.0 in pauses
    assert not threads_of_asking()

    server.behave = lambda handler, question, _: handler.answer(question)
    before = dict(server.asked)
    assert run(world, asked, out, by_id).exit_status == 0
    assert {name[:-2] for name, count in server.asked.items() if count > before.get(name, 0)} == set(listed)
    assert texts(out) == {qa_id: f"{qa_id} 0" for qa_id in ids}
    whole = tmp_path / "whole.parquet"
    run(world, served(), whole, by_id)
    assert without_latency(out)[0].equals(without_latency(whole)[0])
    assert without_latency(out)[1] == without_latency(whole)[1]


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_server_that_knows_no_such_key_or_model_is_asked_a_few_times_only(
    world, server, served, by_id, tmp_path, status
):
    server.behave = lambda handler, question, _: handler.send(status, b"no model driver")
    with pytest.raises(ModelError, match=rf"refuses the request \(status {status}: no model driver\): check model"):
        run(world, served(), tmp_path / "p.parquet", by_id, concurrency=4)
    assert server.asked.total() <= 8
    assert not threads_of_asking()
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_gone_is_told_in_one_sentence(world, served, by_id, tmp_path):
    gone = replace(served(), endpoint=chat_endpoint.ChatEndpoint("http://127.0.0.1:1/v1", retries=0))
    with pytest.raises(ModelError, match="16 questions failed one after the other, the last one so: .*refused"):
        run(world, gone, tmp_path / "p.parquet", by_id)
    assert [path.name for path in tmp_path.iterdir()] == ["p.errors.jsonl"]


@pytest.fixture
def interruptible():
    """Children of a shell's background jobs are deaf to Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_ends_all_requests_and_can_be_gone_on_from(world, server, served, by_id, tmp_path):
    out, ended, pressed = tmp_path / "p.parquet", threading.Event(), threading.Lock()

    def behave(handler, question, _before):
        if server.asked.total() >= 60:
            if pressed.acquire(blocking=False):  # once: two requests may be counted before either looks
                os.kill(os.getpid(), signal.SIGINT)
            ended.wait()  # a client that did not hang up would wait longer than a test may take
        handler.answer(question)

    server.behave = behave
    with pytest.raises(KeyboardInterrupt):
        run(world, served(timeout_s=1000.0), out, by_id, concurrency=8)
    ended.set()
    assert not threads_of_asking()
    journaled = [json.loads(line)["text"] for line in out.with_suffix(".partial.jsonl").read_text().splitlines()[1:]]
    assert 30 < len(journaled) < 60
    before = dict(server.asked)
    server.behave = lambda handler, question, _: handler.answer(question)
    assert run(world, served(), out, by_id).resumed == len(journaled)
    assert not [text for text in journaled if server.asked[text] > before[text]]
    assert len(texts(out)) == 333


SCRIPT = """
import sys
from pathlib import Path
from drive_vqa.chat_endpoint import ChatEndpoint
from drive_vqa.store import Store
from eval.predict import Selection, ServedModel, ask_questions, ask_served
from tests.eval.predict.conftest import BY_ID, Unturned

served = ServedModel(ChatEndpoint(sys.argv[1]), "driver", Unturned(), "pixels", (32, 24))
answering = ask_served(served, concurrency=8, control=BY_ID)
store, out = Store.open(Path(sys.argv[2])), Path(sys.argv[3])
ask_questions(store, Selection("test"), answering, out, model_name="driver", settings=served.settings)
"""


def test_a_killed_process_is_gone_on_from_without_asking_twice(world, server, served, by_id, tmp_path):
    out, journal, stuck = tmp_path / "p.parquet", tmp_path / "p.partial.jsonl", threading.Event()

    def behave(handler, question, _before):
        if server.asked.total() > 120:
            stuck.wait()
        handler.answer(question)

    server.behave = behave
    command = [sys.executable, "-c", SCRIPT, server.url, str(world.root), str(out)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and not (journal.exists() and len(journal.read_bytes().splitlines()) > 100):
            time.sleep(0.02)
        with pytest.raises(ConfigError, match="another prediction is at work"):
            run(world, served(), out, by_id)
        process.send_signal(signal.SIGKILL)
    stuck.set()
    assert not out.exists()
    journaled = [json.loads(line)["text"] for line in journal.read_text().splitlines()[1:]]
    assert len(journaled) >= 100
    before = dict(server.asked)
    server.behave = lambda handler, question, _: handler.answer(question)
    assert run(world, served(), out, by_id).resumed == len(journaled)
    assert not [text for text in journaled if server.asked[text] > before[text]]
    whole = tmp_path / "whole.parquet"
    run(world, served(), whole, by_id)
    assert without_latency(out)[0].equals(without_latency(whole)[0])
    assert without_latency(out)[1] == without_latency(whole)[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.parquet", "whole.parquet"]


def test_questions_are_read_only_a_little_ahead_of_the_answers(world, server, served, by_id):
    taken = []

    def questions():
        for asked in select(world, ALL):
            taken.append(asked)
            yield asked

    answers = ask_served(served(), concurrency=4, control=by_id)(questions())
    for number, _ in zip(range(1, 50), answers, strict=False):
        assert len(taken) <= number + 8
    answers.close()


def test_a_group_is_drawn_once_for_all_its_questions(world, server, served, by_id, tmp_path):
    drawn = []

    def frames(asked, size_px, style):
        drawn.append((asked.group["group_id"], size_px, style))
        return by_id.frames(asked, size_px, style)

    run(world, served(), tmp_path / "p.parquet", replace(by_id, frames=frames))
    assert sorted(drawn) == sorted({(name, (32, 24), "fill") for name, _, _ in drawn})
    assert len(drawn) == 9
    drawn.clear()
    some = Selection("test", types=("people",))
    run(world, served(), tmp_path / "q.parquet", replace(by_id, frames=frames, per_question=True), selection=some)
    assert len(drawn) == 9


def test_a_frame_that_is_missing_costs_its_questions_only(world, server, served, tmp_path):
    """The world has no images: all fail, and the reason is told."""
    with pytest.raises(ModelError, match=r"front\.png"):
        run(world, served(), tmp_path / "p.parquet", Control(""))


def test_the_very_frames_and_words_of_training_are_sent(write_store, server, served, tmp_path):
    store = write_store(tmp_path / "store", {"a": "test"}, 1)
    (tmp_path / "source").mkdir()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)).save(
        tmp_path / "source/front.png"
    )
    chosen = Selection("test", types=("people",))
    run(store, served(), tmp_path / "p.parquet", Control(""), selection=chosen)
    [body] = server.bodies
    [turn] = body["messages"]
    assert [part.get("text") for part in turn["content"]] == ["Now:", None, "people of None?"]
    url = turn["content"][1]["image_url"]["url"]
    picture = Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))
    [asked] = select(store, chosen)
    assert np.array_equal(np.asarray(picture), np.asarray(marked_frames(store, asked.group, (32, 24))[0]))
    assert {name: body[name] for name in ("model", "temperature", "max_tokens")} == {
        "model": "driver",
        "temperature": 0,
        "max_tokens": 256,
    }
    assert "seed" not in body


def test_each_sample_of_each_question_has_its_own_seed(world, server, served, by_id, tmp_path):
    chosen = Selection("test", types=("people",))

    def seeds(seed, name):
        server.bodies.clear()
        drawn = replace(served(), temperature=0.7, seed=seed)
        run(world, drawn, tmp_path / f"{name}.parquet", by_id, selection=chosen, samples=3)
        assert {body["temperature"] for body in server.bodies} == {0.7}
        return {body["messages"][0]["content"][-1]["text"]: body["seed"] for body in server.bodies}

    first = seeds(0, "first")
    assert len(set(first.values())) == len(first) == 27
    assert all(0 <= seed < 2**31 for seed in first.values())
    assert seeds(0, "again") == first
    assert not set(seeds(1, "other").values()) & set(first.values())


def test_boxes_are_turned_into_what_the_model_counts_in_and_back(write_store, server, tmp_path):
    """The image has 64 × 48 pixels, so 500 thousandths are 32 and 24."""
    store = write_store(tmp_path / "store", {"a": "test"}, 1)
    asks = "Where is it, as [left, top, right, bottom] in pixels?"

    def turn(asked):
        return [{"role": "user", "content": [{"type": "text", "text": f"{asks} Not [16, 12, 32, 24]."}]}]

    def behave(handler, question, _before):
        assert question == "Where is it, as [left, top, right, bottom] in thousandths? Not [250, 250, 500, 500]."
        handler.answer("[500, 500, 1000, 750]")

    server.behave = behave
    served = open_served(server.url, unit="thousandths", size_px=(8, 8))
    assert (served.model, served.settings["units"], served.settings["size_px"]) == ("driver", "thousandths", [8, 8])
    control = Control("boxes", frames=lambda *_: [], messages=turn)
    [asked, *_] = select(store, Selection("test", types=("people",)))
    asked = replace(asked, question={**asked.question, "question": asks})
    [(_, said)] = ask_served(served, control=control)([asked])
    assert said.text == "[32, 24, 64, 36]"


def test_the_folder_of_a_served_model_says_how_it_is_asked(server, tmp_path, monkeypatch):
    from finetune.tiny import make_tiny_base

    folder = make_tiny_base(tmp_path / "base", seed=0)
    monkeypatch.setenv(KEY_VARIABLE, " secret\n")
    plain = open_served(server.url, checkpoint=folder, max_tokens=9)
    assert (plain.units, plain.size_px, plain.regions, plain.max_tokens) == ("pixels", None, "marks", 9)
    assert plain.endpoint.key == "secret"
    assert "secret" not in repr(plain) + json.dumps(plain.settings)
    (folder / "drive_vqa.json").write_text(
        '{"image_size_px": [84, 56], "regions": "boxes", "answers": "traces", "method": "lora"}'
    )
    tuned = open_served(server.url, checkpoint=folder, served_name="other", temperature=0.5, seed=3)
    assert (tuned.model, tuned.size_px, tuned.regions, tuned.max_tokens) == ("other", (84, 56), "boxes", 1024)
    assert tuned.settings == {
        **{"served": "other", "units": "pixels", "size_px": [84, 56], "max_tokens": 1024},
        **{"temperature": 0.5, "seed": 3},
    }
    with pytest.raises(ConfigError, match="--units and --size are told by"):
        open_served(server.url, checkpoint=folder, unit="thousandths")


def test_a_control_that_begins_answers_is_refused(served):
    with pytest.raises(ConfigError, match="control forced begins answers"):
        ask_served(served(), control=Control("forced", begun="<answer>"))
