"""Which questions are asked, and what is kept of it beside the answers."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from drive_vqa.errors import ConfigError, PredictionError, StoreError
from eval.predict import Selection, asked_ids, questions_to_ask, select, selection_of
from eval.predict.selection import LEFT_OUT_KEY, SELECTION_KEY, left_out_of


def ids(store, **chosen):
    return asked_ids(store, Selection("test", **chosen)).to_pylist()


def rows(store):
    return [row for row in store.read_all("questions").to_pylist() if row["split"] == "test"]


def test_nothing_named_is_the_whole_split_in_order(world):
    expected = sorted(rows(world), key=lambda row: (row["log_id"], row["frame"], row["group_id"], row["qa_id"]))
    assert ids(world) == [row["qa_id"] for row in expected]
    assert [asked.question["qa_id"] for asked in questions_to_ask(world, "test")] == ids(world)


@pytest.mark.parametrize(
    ("chosen", "column"),
    [
        ({"families": ("ego", "object")}, "family"),
        ({"types": ("clock", "localization_t2")}, "type"),
        ({"forms": ("choice",)}, "form"),
    ],
)
def test_named_questions_alone_are_asked(world, chosen, column):
    [names] = chosen.values()
    found = ids(world, **chosen)
    assert sorted(found) == sorted(row["qa_id"] for row in rows(world) if row[column] in names)
    assert [asked.question["qa_id"] for asked in select(world, Selection("test", **chosen))] == found
    assert 0 < len(found) < len(ids(world))


def test_names_of_two_columns_must_both_hold(world):
    found = ids(world, families=("future",), forms=("choice",))
    assert {one.split("-")[2] for one in found} == {"approach_t1"}
    assert ids(world, families=("ego",), types=("people",)) == []


def test_kinds_are_those_of_groups(world):
    assert ids(world, kinds=("sequence",)) == ids(world)
    with pytest.raises(ConfigError, match="no questions of kinds 'sequenze': did you mean sequence"):
        ids(world, kinds=("sequenze",))


def test_an_unknown_name_is_refused_before_anything_is_asked(world):
    with pytest.raises(ConfigError, match=r"no questions of types 'locaization_t1': did you mean localization_t1 or"):
        select(world, Selection("test", types=("clock", "locaization_t1"))).__next__()
    with pytest.raises(ConfigError, match="no questions of families 'zzz': there are ego, future, object"):
        ids(world, families=("zzz",))


@pytest.mark.parametrize("limit", [0, -3])
def test_a_selection_has_at_least_one_question(limit):
    with pytest.raises(ConfigError, match="limit must be at least 1"):
        Selection("test", limit=limit)


@pytest.mark.parametrize("limit", [1, 3, 36, 37, 38, 100, 111, 112, 332, 333, 5000])
def test_a_limit_takes_whole_groups_of_all_logs_in_turn(world, limit):
    """A group of this world has 37 questions, a log three groups, and there are three logs."""
    found = ids(world, limit=limit)
    assert len(found) == min(limit, 333)
    assert found == [one for one in ids(world) if one in set(found)]
    of_group = Counter(tuple(one.split("-")[:2]) for one in found)
    assert sum(count < 37 for count in of_group.values()) <= 1
    groups_of_log = Counter(log for log, _ in of_group)
    assert max(groups_of_log.values()) - min(groups_of_log.get(log, 0) for log in "abc") <= 1


def test_a_greater_limit_asks_the_same_and_more(world):
    found = [set(ids(world, limit=limit)) for limit in range(1, 334, 7)]
    assert all(less < more for less, more in pairwise(found))


def test_of_the_cut_group_the_first_questions_are_asked(world):
    first = ids(world, limit=5)
    group = [one for one in ids(world) if one.split("-")[:2] == first[0].split("-")[:2]]
    assert first == group[:5]


def test_a_selection_can_be_read_again(tmp_path):
    selection = Selection("test", types=("clock", "bearing", "clock"), limit=5, regions="boxes")
    assert selection.types == ("bearing", "clock")
    path = tmp_path / "p.parquet"
    table = pa.table({"qa_id": ["a"], "text": ["b"]})
    pq.write_table(table.replace_schema_metadata({SELECTION_KEY: selection.as_json()}), path)
    assert selection_of(path) == selection


def test_files_that_do_not_say_what_was_asked(tmp_path):
    path = tmp_path / "p.parquet"
    pq.write_table(pa.table({"qa_id": ["a"], "text": ["b"]}), path)
    assert selection_of(path) is None
    assert left_out_of(path) == left_out_of(tmp_path / "p.jsonl") == []
    assert selection_of(tmp_path / "p.jsonl") is None


WRONG = ["", "{", "[]", "7", '{"split": 1}', '{"split": "a", "limit": 0}', '{"split": "a", "b": 1}', "[" * 9999]


@pytest.mark.parametrize("told", [*WRONG, '{"split": "a", "regions": "x"}'])
def test_damaged_metadata_are_told(tmp_path, told):
    path = tmp_path / "p.parquet"
    pq.write_table(pa.table({"qa_id": ["a"]}).replace_schema_metadata({SELECTION_KEY: told}), path)
    with pytest.raises(PredictionError, match=r"p\.parquet does not say which questions were asked .*predict again"):
        selection_of(path)


def test_what_is_no_parquet_is_told(tmp_path):
    (tmp_path / "p.parquet").write_bytes(b"PAR1")
    with pytest.raises(PredictionError, match="does not say"):
        selection_of(tmp_path / "p.parquet")


def test_what_was_left_out_is_told(tmp_path):
    path = tmp_path / "p.parquet"
    pq.write_table(pa.table({"qa_id": ["a"]}).replace_schema_metadata({LEFT_OUT_KEY: '["b", "c"]'}), path)
    assert left_out_of(path) == ["b", "c"]


def test_a_question_without_its_group_is_told(tmp_path, write_store):
    store = write_store(tmp_path / "store", {"a": "test"})
    groups = store.read("groups", "a")
    store.write("groups", "a", groups.slice(0, 2), "cut")
    with pytest.raises(StoreError, match="log a of .* has no group a-2"):
        list(select(store, Selection("test")))
    assert len(list(select(store, Selection("test", limit=1)))) == 1


def test_logs_are_read_one_after_another(world, monkeypatch):
    read = []
    real = type(world).read
    monkeypatch.setattr(
        type(world), "read", lambda self, table, log, *rest: read.append((table, log)) or real(self, table, log, *rest)
    )
    questions = select(world, Selection("test"))
    next(questions)
    assert [log for table, log in read if table == "groups"] == ["a"]
