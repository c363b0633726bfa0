"""No text raises or takes long, whatever is in it."""

from __future__ import annotations

import re
import subprocess
import sys
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drive_vqa.traces import DIALECTS, render
from eval.reasoning.claims import MAX_CLAIMS
from eval.reasoning.fuzz import Fuzzed, check, fuzz
from eval.reasoning.hostile import FLOODED, FRAGMENTS, HONEST, floods, make_text
from eval.reasoning.read import MAX_CHARACTERS, read_trace
from eval.reasoning.trace import PlaceClaim, PointClaim, ReadTrace, SeenClaim

LIMIT_MS = 50.0


def _slowest_ms():
    """Of the floods and some hostile texts, without the checks of annotations that slow this process down."""
    command = [sys.executable, "-m", "eval.reasoning.fuzz", "--count", "300"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert re.match(r"[0-9,]+ reads, none raised; [0-9,]+ without faults\n", said)
    assert " too_long" in said
    return float(re.search(r"slowest ([0-9.]+) ms", said)[1])


def test_no_text_takes_long():
    assert any(_slowest_ms() < LIMIT_MS for _ in range(3))  # processor time, which a busy machine stretches too


def test_floods_are_long():
    lengths = [len(text) for text in floods()]
    assert len(lengths) == 2 * len(FLOODED)
    assert min(lengths) > 900_000


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_flood_leaves_no_more_than_the_limits_allow(dialect):
    read = read_trace("<think>" + "x (1, 2) <box>[1,2,3,4]</box>\n" * 35_000, dialect)
    check(read)
    assert len(read.seen) + len(read.points) == MAX_CLAIMS
    assert {"too_long", "too_many_claims", "no_answer"} <= set(read.faults)


def test_nothing_is_read_beyond_the_limit():
    """Ten million characters as fast as forty thousand: what is read is the same."""
    start = render(HONEST) + " " * MAX_CHARACTERS
    assert read_trace(start, "drive") == read_trace(start + "<think>(" * 10**6 + "</answer>", "drive")


@pytest.mark.parametrize(
    "text",
    [
        "<box>[\uff11,\uff12,\uff13,\uff14]</box>",
        "<box>[\u0661,2,3,4]</box>",
        "<box>[1,2,3,\ud800]</box>",
        "<box>[1,2,3,4\0]</box>",
        "<box>[1,2,3,\u202e4]</box>",
        f"<box>[1,2,3,{'9' * 5000}]</box>",
        "<box>[1,2,3,1e400]</box>",
        "<box>[1,2,3,inf]</box>",
    ],
)
def test_odd_numbers_are_no_claims(text):
    for dialect in ("drive", "treevgr", "open_o3"):
        read = read_trace(f"<think>{text}</think><answer>a</answer>", dialect)
        assert read.seen == ()
        assert "bad_box" in read.faults


def test_odd_characters_in_words_do_no_harm():
    words = "\0 \ud800 \u202e \ufeff \u0663 \U0001f600"
    read = read_trace(f"<think>{words}\n<box>[1,2,3,4]</box>{words}</think><answer>{words}</answer>", "treevgr")
    assert len(read.seen) == 1
    assert read.well_formed


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(max_examples=100)
@given(text=st.text(st.characters(), max_size=60) | st.lists(st.sampled_from(FRAGMENTS), max_size=20).map("".join))
def test_any_text_is_read(dialect, text):
    check(read_trace(text, dialect))
    check(read_trace(f"<think>{text}</think><answer>a</answer>", dialect))


def test_hostile_texts_are_of_all_kinds():
    random = Random(2)
    texts = [make_text(random) for _ in range(600)]
    assert len(set(texts)) > 500
    assert sum(len(text) > MAX_CHARACTERS for text in texts) > 0
    found = fuzz(texts[:60])
    assert found.reads == 60 * len(DIALECTS)
    assert 0 < found.well_formed < found.reads / 2
    assert len(found.faults) >= 12
    assert found.slowest_s > 0


SEEN = SeenClaim("a", (1.0, 2.0, 3.0, 4.0), 0.0, 0)
IMPOSSIBLE = [
    ReadTrace(("a",), (SeenClaim("a", (1.0, 2.0, 3.0, float("nan")), 0.0, 0),), (), (), "a", ()),
    ReadTrace(("a",), (), (PointClaim(float("inf"), 0.0, None, 0),), (), "a", ()),
    ReadTrace(("a",), (), (), (PlaceClaim(1.0, 2.0, None, float("inf"), 0),), "a", ()),
    ReadTrace(("a",), (SeenClaim("a", (1.0, 2.0, 3.0, 4.0), 0.0, 1),), (), (), "a", ()),
    ReadTrace(("a",), (SEEN,) * 600, (), (), "a", ()),
    ReadTrace((" ",), (), (), (), "a", ()),
    ReadTrace(("a",), (), (), (), None, ()),
    ReadTrace(("a",), (), (), (), "", ("no_answer",)),
]


@pytest.mark.parametrize("trace", IMPOSSIBLE)
def test_what_cannot_be_ends_the_run(trace, monkeypatch):
    check(ReadTrace(("a",), (SEEN,), (), (), "a", ()))
    monkeypatch.setattr("eval.reasoning.fuzz.read_trace", lambda *_, **__: trace)
    with pytest.raises(ValueError, match="claim|says nothing|limits") as raised:
        fuzz(["the text"])
    assert "'the text'" in raised.value.__notes__[0]
    with pytest.raises(ValueError, match="claim|says nothing|limits"):
        Fuzzed().add("", "drive")
