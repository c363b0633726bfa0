"""The run with hostile answers finds what it looks for."""

from __future__ import annotations

import sys
from random import Random

import pytest

from eval import fuzz as module
from eval.fuzz import Fuzzed, fuzz, hostile
from eval.hostile_answers import make_answer
from eval.parse import ANSWER_TYPES, Parsed, parse


def test_hostile_texts_are_read_without_fault():
    found = fuzz(hostile(300, 1))
    assert (found.reads, found.raised, found.differing, found.shown) == (300, 0, 0, [])
    assert found.outcomes["read"] > 0
    assert len(found.outcomes) > 8
    assert sum(found.outcomes.values()) == 300


def test_texts_are_the_same_for_the_same_seed():
    assert list(hostile(50, 3)) == list(hostile(50, 3)) != list(hostile(50, 4))
    assert {kind for _, kind, _ in hostile(len(ANSWER_TYPES), 0)} == set(ANSWER_TYPES)


def test_texts_are_of_all_kinds():
    random = Random(0)
    texts = [make_answer(random) for _ in range(2_000)]
    assert len(set(texts)) > 1_500
    assert max(map(len, texts)) > 2_048
    assert any(not text.isascii() for text in texts)


def test_a_text_that_raises_is_counted():
    def broken(text, answer_type, options):
        if "2" in text:
            raise RecursionError
        return parse(text, answer_type, options)

    found = fuzz([("2 m", "distance", ()), ("1 m", "distance", ())], broken)
    assert (found.raised, found.differing, found.is_good) == (1, 0, False)
    assert "RecursionError" in found.shown[0]
    assert "'2 m'" in found.shown[0]


def test_a_text_that_is_read_in_two_ways_is_counted():
    found = fuzz([("1 m", "distance", ()), ("3", "count", ())], lambda *_: Parsed(distance_m=1.0))
    assert (found.raised, found.differing, found.is_good) == (0, 1, False)
    assert "count" in found.shown[0]


def test_a_slow_text_is_no_good():
    assert Fuzzed(slowest_s=0.049).is_good
    assert not Fuzzed(slowest_s=0.051).is_good


def test_the_command_prints_what_it_found(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["fuzz", "--count", "40"])
    with pytest.raises(SystemExit):
        module.main()
    assert capsys.readouterr().out.startswith("40 reads, 0 raised, 0 read otherwise as a column\n")
