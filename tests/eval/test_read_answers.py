"""A column of answers is read as the parser reads each, however it is read."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval import read_answers as module
from eval.cases import answer_columns
from eval.fuzz import differing
from eval.hostile_answers import OPTIONS, make_answer
from eval.parse import ANSWER_TYPES, parse
from eval.plaintext import concluded, plain
from eval.read_answers import read_answers
from eval.scoring_benchmark_data import BLOCK, MALFORMED, make_cases, malformed, well_formed

SIDES = ("left", "right")


def check(texts, kinds, options):
    parsed = [parse(*asked) for asked in zip(texts, kinds, options, strict=True)]
    differs = differing(read_answers(texts, kinds, options), parsed)
    assert not differs.any(), [(texts[row], kinds[row], options[row]) for row in np.flatnonzero(differs)]
    return parsed


@pytest.fixture(scope="module")
def cases():
    return make_cases(4 * len(BLOCK), 3)


def parsed_one_by_one(monkeypatch):
    """The texts that the parser reads, as they come."""
    left = []
    read_said = module.read_said

    def counted(said, *asked, **known):
        left.append(said)
        return read_said(said, *asked, **known)

    monkeypatch.setattr(module, "read_said", counted)
    return left


def test_well_formed_answers_are_read_as_columns(cases, monkeypatch):
    left = parsed_one_by_one(monkeypatch)
    texts = well_formed(cases)
    check(texts, cases["answer_type"].to_numpy(), cases["options"].to_numpy())
    assert left == []


def test_answers_of_every_type_are_the_truths(cases):
    read = read_answers(well_formed(cases), cases["answer_type"], cases["options"])
    assert set(cases["answer_type"]) == set(ANSWER_TYPES)
    assert read["failure"].isna().all()
    for name in read.columns.drop("failure"):
        truth = cases[f"truth_{name}"]
        same = np.isclose(read[name], truth, equal_nan=True) if truth.dtype == float else read[name] == truth
        assert (same | (read[name].isna() & truth.isna())).all(), name


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_answers_are_read_as_the_parser_does(cases, name):
    cases = cases[: len(BLOCK)]
    texts = malformed(name, well_formed(cases), 0)
    check(texts, cases["answer_type"].to_numpy(), cases["options"].to_numpy())


def test_hostile_texts_are_read_as_the_parser_does():
    random = Random(11)
    texts = [make_answer(random) for _ in range(400)]
    kinds = [ANSWER_TYPES[row % len(ANSWER_TYPES)] for row in range(len(texts))]
    check(texts, kinds, [random.choice(OPTIONS) for _ in texts])


@settings(deadline=None, max_examples=40)
@given(
    parts=st.lists(
        st.sampled_from(["12.4", "-3", " ", "m", "meters", ",", "°", "Yes", "B", ".", "Region 1", "no", "left"])
    ),
    kind=st.sampled_from(ANSWER_TYPES),
    options=st.sampled_from(OPTIONS),
)
def test_mixtures_are_read_as_the_parser_does(parts, kind, options):
    check(["".join(parts), " ".join(parts)], [kind, kind], [options, options])


NEAR_MISSES = [  # a pattern that is a little too wide would take these
    ("-5 meters", "distance"),
    ("-0.0 meters", "lateral"),
    ("-0 degrees", "bearing"),
    ("360 degrees", "bearing"),
    ("361 degrees", "turn"),
    ("-180 degrees", "bearing"),
    ("1000.1 m/s", "speed"),
    ("3600.1 seconds", "time"),
    ("13 o'clock", "clock"),
    ("0 o'clock", "clock"),
    ("from 0.5 to 1.5 seconds ago", "interval"),
    ("[480, 300, 412, 372]", "box"),
    ("Region 2, Region 2", "ranking"),
    ("Region 2, Region 2", "regions"),
    ("no", "regions"),
    ("no", "count"),
    ("zero", "count"),
    ("one", "clock"),
    ("我cannot", "distance"),
    ("answer is left", "choice"),
    ("(b)", "choice"),
    ("b) right", "choice"),
    ("c", "choice"),
    ("left.", "choice"),
    ("left!", "choice"),
    ("LEFT", "choice"),
    ("12.4\u00a0m", "distance"),
    ("\ud800 5 m", "distance"),
    ("", "distance"),
    ("[]", "regions"),
]


def test_texts_near_to_a_pattern_are_read_as_the_parser_does():
    texts, kinds = zip(*NEAR_MISSES, strict=True)
    check(texts, kinds, [SIDES] * len(texts))


@pytest.mark.parametrize(
    "options", [("b", "a"), ("a.", "a"), ("Left.", "left"), ("2", "12"), ("", "no"), ("-8 degrees", "8")]
)
def test_odd_options_are_read_as_the_parser_does(options):
    texts = [*options, *(f"{option}." for option in options), "a", "b", "A.", "(b)", "12", "8"]
    check(texts, ["choice"] * len(texts), [options] * len(texts))


def test_characters_taken_as_they_stand_are_plain():
    """All of the scripts that the fast way does not fold."""
    spans = [("ぁ", "ゖ"), ("ァ", "ヺ"), ("一", "龥"), ("가", "힣"), ("а", "я"), ("、", "。")]
    for first, last in spans:
        text = "".join(map(chr, range(ord(first), ord(last) + 1)))
        assert concluded(plain(text)) == text
        assert first == "、" or text.isalpha()


def test_parts_of_a_long_column_are_read_alike(cases, monkeypatch):
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 7)
    check(well_formed(cases), cases["answer_type"].to_numpy(), cases["options"].to_numpy())


def test_no_texts_give_no_rows():
    read = read_answers([], [], [])
    assert list(read.columns) == [*answer_columns([]).columns, "failure"]
    assert len(read) == 0


def test_an_answer_type_that_is_not_known_is_the_callers_mistake():
    with pytest.raises(ValueError, match="'weight'"):
        read_answers(["5 kg"], ["weight"], [()])
