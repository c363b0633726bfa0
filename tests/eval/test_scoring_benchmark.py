"""The benchmark of scoring scores what it times."""

from __future__ import annotations

import sys

import pytest

from eval import scoring_benchmark as module
from eval.scoring_benchmark import measure, score, score_plainly
from eval.scoring_benchmark_data import BLOCK, make_cases, malformed, well_formed


@pytest.fixture(scope="module")
def cases():
    return make_cases(3 * len(BLOCK), 0)


def test_true_answers_score_full_marks(cases):
    values = score(cases, well_formed(cases))
    assert values["accuracy"] == values["mlsr"] == values["tlc"] == values["lsr.t3"] == 1.0
    assert values["tiou"] == values["miou"] == 3 * 2
    assert values["failures"] == values["miss_rate"] == 0.0
    assert values["ade_m"] == pytest.approx(0.0, abs=1e-9)


def test_both_ways_score_alike(cases):
    texts = malformed("in markdown", well_formed(cases), 0)
    assert score(cases, texts) == score_plainly(cases, texts)


def test_ways_that_differ_are_told(cases, monkeypatch):
    monkeypatch.setattr(module, "score_plainly", lambda *_: {"accuracy": 0.0})
    with pytest.raises(ValueError, match="other values"):
        measure("well-formed", cases, well_formed(cases))


def test_the_command_prints_a_table(monkeypatch, capsys, tmp_path):
    peer = tmp_path / "peer.py"
    peer.write_text("def read(text, answer_type):\n    return None\n")
    monkeypatch.setattr(module, "MALFORMED", ["rambling"])
    monkeypatch.setattr(module, "MALFORMED_ROWS", 23)
    monkeypatch.setattr(module, "LEAST_ROWS", 100)
    monkeypatch.setattr(sys, "argv", ["benchmark", "--rows", "100", "--peer", str(peer)])
    module.main()
    said = capsys.readouterr().out
    assert "rambling" in said
    assert "well-formed" in said
    assert "peer, reading only" in said
