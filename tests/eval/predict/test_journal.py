"""The journal: what survives, what is refused."""

from __future__ import annotations

import json

import pytest

from drive_vqa.errors import ConfigError, PredictionError
from drive_vqa.looks import TracedLook, look_to_struct
from eval.predict.binding import differences
from eval.predict.journal import HEAD, open_journal

BINDING = {"model": "m", "samples": 1, "settings": {"seed": 0}}

LOOK = look_to_struct(TracedLook(0, (0.0, 4.0, 32.0, 24.0), (3.5, 16.25), 1))
SPOILT = (
    {"context": -1},
    {"context": 0.5},
    {"step": True},
    {"step": 2**31},
    {"u0_px": 32.0},
    {"u_px": "3"},
    {"v_px": float("nan")},
    {"more": 1},
)
"""What makes the look none."""


def answer(qa_id, sample=0, text="left", tokens=None):
    tokens = {"prompt_tokens": tokens, "completion_tokens": tokens}
    return {"qa_id": qa_id, "sample": sample, "text": text, "looks": None, "latency_s": 0.5, **tokens}


@pytest.fixture
def out(tmp_path):
    return tmp_path / "new/p.parquet"


@pytest.fixture
def path(out):
    return out.with_suffix(".partial.jsonl")


def begin(out, *ids):
    with open_journal(out, BINDING) as journal:
        for qa_id in ids:
            journal.add(answer(qa_id, tokens=3))


def journaled(out, binding=None):
    with open_journal(out, binding or BINDING) as journal:
        return [key[0] for key in journal.places]


def test_what_was_added_is_there_again_and_counted(out):
    text = 'two\nlines\u2028, "quotes", \x00 and \U0001f697'
    with open_journal(out, BINDING) as journal:
        journal.add(answer("b", 1, text, tokens=5))
        journal.add(answer("a", 0, "x", tokens=2))
    with open_journal(out, BINDING) as journal:
        journal.add(answer("c"))
        assert (journal.prompt_tokens, journal.completion_tokens) == (7, 7)
        assert [one["text"] for one in journal.read([("a", 0), ("z", 0), ("b", 1), ("c", 0)])] == ["x", text, "left"]


def test_a_journal_of_nothing_is_not_left_behind(out, path):
    begin(out)
    assert not path.exists()


def test_a_killed_start_is_taken_over_by_other_settings(out, path):
    path.parent.mkdir()
    path.write_bytes(HEAD + b'"model": "other"}\n')
    begin(out, "a")
    path.write_bytes(HEAD + b'"mod')
    begin(out, "a")
    assert journaled(out) == ["a"]


@pytest.mark.parametrize("cut", [1, 2, 20, 60])
def test_a_line_that_was_cut_off_is_dropped(out, path, cut):
    begin(out, "a", "b")
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    assert journaled(out) == ["a"]
    begin(out, "b")
    assert path.read_bytes() == whole


def test_other_settings_are_refused(out, path):
    begin(out, "a")
    with pytest.raises(
        ConfigError,
        match=r"partial\.jsonl holds answers for other settings \(seed was 0, now 1\)",
    ):
        journaled(out, {**BINDING, "settings": {"seed": 1}})
    with pytest.raises(ConfigError, match="more was none, now 1"):
        journaled(out, {**BINDING, "more": 1})
    assert journaled(out) == ["a"]


@pytest.mark.parametrize(
    "line",
    [b"", b"{", b"7", b"null", b"\xff", b"[" * 9999, b'{"qa_id": "z"}']
    + [
        json.dumps({**answer("z"), **wrong}).encode()
        for wrong in (
            {"qa_id": 1},
            {"text": None},
            {"text": "\ud800"},
            *({"sample": sample} for sample in ("0", True, -1, 10**9)),
            *({"looks": looks} for looks in (3, [1], [None], [{}], [{"context": 0}])),
            *({"looks": [{**LOOK, **spoilt}]} for spoilt in SPOILT),
            {"prompt_tokens": "many"},
        )
    ],
)
def test_a_damaged_line_is_told(out, path, line):
    begin(out, "a", "b")
    head, first, second = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([head, first, line, second, b""]))
    with pytest.raises(PredictionError, match="line 3 is no answer: delete the line"):
        journaled(out)


def test_a_look_is_taken_up(out):
    with open_journal(out, BINDING) as journal:
        journal.add({**answer("a"), "looks": [LOOK, LOOK]})
    with open_journal(out, BINDING) as journal:
        assert [one["looks"] for one in journal.read([("a", 0)])] == [[LOOK, LOOK]]


def test_only_what_differs_is_named():
    was = {"model": "m", "settings": {"weights": "03a2" * 16, "seed": 0, "control": ""}, "store": "5"}
    now = {"model": "m", "settings": {"weights": "03a2" * 16, "seed": 3, "control": "blank"}, "store": "6"}
    assert differences(was, now) == 'control was none, now "blank"; seed was 0, now 3'
    assert differences(was, {**was, "store": "6"}) == "the store holds other questions now"
    assert differences(was, was) == ""


def test_long_values_are_cut_to_where_they_differ():
    was, now = ({"types": ["x" * 200, last, "y" * 200]} for last in ("a", "b"))
    said = differences(was, now)
    assert len(said) < 200
    assert ('x", "a", "y' in said, 'x", "b", "y' in said) == (True, True)


def test_an_answer_twice_is_told(out, path):
    begin(out, "a")
    path.write_bytes(path.read_bytes() + path.read_bytes().splitlines()[1] + b"\n")
    with pytest.raises(PredictionError, match="answers question a twice"):
        journaled(out)


def test_another_file_of_that_name_is_left_alone(out, path):
    path.parent.mkdir()
    path.write_text('{"mine": 1}\n{"mine": 2}\n')
    with pytest.raises(PredictionError, match="no journal of answers: move it away"):
        journaled(out)
    assert path.read_text() == '{"mine": 1}\n{"mine": 2}\n'


def test_two_processes_cannot_have_one_output(out):
    with open_journal(out, BINDING) as journal:
        journal.add(answer("a"))
        with pytest.raises(ConfigError, match="another prediction is at work on"):
            journaled(out)
        journal.add(answer("b"))
    assert journaled(out) == ["a", "b"]
