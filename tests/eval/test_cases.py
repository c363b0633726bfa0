"""The flat table of questions against the rows it was made from, read one by one."""

from __future__ import annotations

import math

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drive_vqa.schema import QUESTIONS, TRUTH, table_from_rows
from eval import cases as module
from eval.cases import NUMBERS, flatten, option_tuples, read_cases, read_training, splits_of_questions

NUMBER = st.none() | st.floats(-100, 100)
WORDS = st.sampled_from(["left", "right", "", "a\x1fb", "é", "12.4 meters"])
MARK_LISTS = st.none() | st.lists(st.integers(0, 9), max_size=4)
TRUTHS = st.none() | st.fixed_dictionaries(
    {
        **{name: NUMBER for name in NUMBERS if name not in ("clock_hour", "count")},
        "clock_hour": st.none() | st.integers(1, 12),
        "count": st.none() | st.integers(0, 99),
        "choice": st.none() | WORDS,
        "bool": st.none() | st.booleans(),
        "marks": MARK_LISTS,
        "undetermined": st.none() | st.just(True),
    }
)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "qa_id": st.text(st.characters(codec="utf-8"), max_size=4),
            "marks": MARK_LISTS,
            "track_ids": st.none() | st.lists(st.none() | WORDS, max_size=3),
            "options": st.none() | st.lists(st.none() | WORDS, max_size=3),
            "truth": TRUTHS,
            "slices": st.none() | st.fixed_dictionaries({"category": st.none() | WORDS, "distance_m": NUMBER}),
            "horizon_s": NUMBER,
        }
    ),
    max_size=6,
)


@settings(deadline=None, max_examples=30)
@given(rows=ROWS, first=st.integers(0, 3))
def test_the_flat_table_says_what_the_rows_say(rows, first):
    """Also of a slice of a table, and of one in several chunks."""
    whole = table_from_rows("questions", rows)
    table = pa.concat_tables([whole.slice(first, 1), whole.slice(first + 1)])
    flat = flatten(table)
    assert len(flat) == len(table)
    for (_, got), row in zip(flat.iterrows(), table.to_pylist(), strict=True):
        marks, truth, slices = row["marks"] or [], row["truth"] or {}, row["slices"] or {}
        assert (got["mark"], got["mark_count"]) == (marks[0] if marks else -1, len(marks))
        assert got["track_id"] == (row["track_ids"][0] if row["track_ids"] else None)
        assert got["options"] == tuple(row["options"] or ())
        for name in TRUTH.names:
            expected = truth.get(name)
            expected = tuple(expected) if name == "marks" and expected is not None else expected
            assert same(got[f"truth_{name}"], expected)
        for name in QUESTIONS.field("slices").type.names:
            assert same(got[f"slice_{name}"], slices.get(name))


def same(got, expected):
    if expected is None:
        return got is None or (isinstance(got, float) and math.isnan(got))
    return got == expected and isinstance(got, bool) == isinstance(expected, bool)


def test_equal_options_are_one_object():
    lists = pa.array([["a", "b"], [], None, ["a", "b"], ["b"]])
    found = option_tuples(lists)
    assert found.tolist() == [("a", "b"), (), (), ("a", "b"), ("b",)]
    assert found[0] is found[3]


def test_types_do_not_hang_on_the_values(world):
    """A column is of one type, whether or not a split has values in it: text never becomes NaN, numbers never objects."""
    for splits in (["test"], ["nowhere"]):
        cases = read_cases(world, splits)
        assert {str(cases[f"truth_{name}"].dtype) for name in NUMBERS} == {"float64"}
        assert {str(cases[f"truth_{name}"].dtype) for name in ("choice", "bool", "marks", "undetermined")} == {"object"}
    assert read_cases(world, ["test"])["truth_choice"].map(lambda value: value is None or isinstance(value, str)).all()


def test_questions_are_in_order(world):
    cases = read_cases(world, ["test", "train"])
    keys = list(zip(cases["log_id"], cases["frame"], cases["group_id"], cases["qa_id"], strict=True))
    assert keys == sorted(keys)
    assert cases["log_code"].nunique() == 5
    assert cases["frame_code"].nunique() == 15


def test_splits_are_told_of_known_questions(world):
    found = splits_of_questions(world, ["a-0-people-None", "d-0-people-None", "nowhere"])
    assert found.to_dict() == {"a-0-people-None": "test", "d-0-people-None": "train"}
    assert splits_of_questions(world, []).empty


def test_training_of_many_questions_is_an_even_share(world, monkeypatch):
    whole = read_training(world)
    assert len(whole) == len(read_cases(world, ["train"]))
    monkeypatch.setattr(module, "MAX_TRAINING", len(whole) // 3)
    part = read_training(world)
    assert len(part) <= len(whole) // 3
    assert part["type"].nunique() == pytest.approx(whole["type"].nunique(), abs=3)
    pd.testing.assert_frame_equal(part, read_training(world))


def test_columns_are_those_of_the_schema():
    assert set(module.COLUMNS) <= set(QUESTIONS.names)
    assert set(NUMBERS) | set(module.OBJECTS) == set(TRUTH.names)
