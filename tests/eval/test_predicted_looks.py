"""Closer looks in a predictions file: read, carried to the scores, and refused where they are none."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from drive_vqa.errors import PredictionError
from drive_vqa.looks import TracedLook, look_from_struct, look_to_struct
from drive_vqa.schema import LOOK, table_from_rows
from drive_vqa.store import read_table
from eval.evaluate import evaluate
from eval.predictions import read_predictions

AT_POINT = TracedLook(1, (0.0, 4.0, 320.0, 324.0), (3.5, 160.25), 2)
AT_BOX = TracedLook(0, (1.0, 2.0, 3.0, 4.0), (2.0, 3.0), 0)
NO_LOOKS = {
    "not a number": {"u1_px": float("nan")},
    "without end": {"u1_px": float("inf")},
    "no area": {"u1_px": 0.0},
    "inverted": {"v0_px": 400.0},
    "no frame": {"context": None},
    "negative frame": {"context": -1},
    "negative step": {"step": -1},
    "half a point": {"v_px": None},
    "wild point": {"u_px": float("-inf")},
}


@pytest.fixture(autouse=True)
def untracked(monkeypatch):
    monkeypatch.setattr("drive_vqa.tracking.session.find_spec", lambda name: None)


def written(path, *looks):
    ids = ["a-0-people-None", "b-0-people-None"][: len(looks)]
    rows = [
        {"qa_id": qa_id, "model": "m", "sample": 0, "text": "1", "looks": own}
        for qa_id, own in zip(ids, looks, strict=True)
    ]
    pq.write_table(table_from_rows("predictions", rows), path)
    return path


@pytest.mark.parametrize("look", [AT_POINT, AT_BOX])
def test_a_look_comes_back_from_its_struct(look):
    assert list(look_to_struct(look)) == [field.name for field in LOOK]
    assert look_from_struct(look_to_struct(look)) == look


def test_looks_are_carried_to_the_scores(world, tmp_path):
    path = written(tmp_path / "p.parquet", [look_to_struct(AT_POINT), look_to_struct(AT_BOX)], None)
    evaluate(world, path, tmp_path / "eval")
    first, second = read_table(tmp_path / "eval/scores.parquet", "scores")["looks"].to_pylist()
    assert [look_from_struct(look) for look in first] == [AT_POINT, AT_BOX]
    assert second is None
    baselines = read_table(tmp_path / "eval/baseline_scores.parquet", "scores")
    assert baselines["looks"].null_count == len(baselines) > 0


@pytest.mark.parametrize("change", NO_LOOKS.values(), ids=NO_LOOKS)
def test_what_is_no_look_is_refused_by_its_row(tmp_path, change):
    path = written(tmp_path / "p.parquet", [look_to_struct(AT_POINT)], [look_to_struct(AT_POINT) | change])
    with pytest.raises(PredictionError, match=r"p\.parquet: row 2 has a look that is none"):
        read_predictions(path)


def test_no_look_at_all_is_refused_too(tmp_path):
    with pytest.raises(PredictionError, match="row 1 has a look"):
        read_predictions(written(tmp_path / "p.parquet", [None]))


@pytest.mark.parametrize("looks", [[3], ["x"], [["x"]], [{"context": 0}], [[{"context": 2**40, "step": "x"}]]])
def test_looks_of_another_type_are_refused(tmp_path, looks):
    pq.write_table(pa.table({"qa_id": ["a"], "text": ["1"], "looks": looks}), tmp_path / "p.parquet")
    with pytest.raises(PredictionError, match="'looks'"):
        read_predictions(tmp_path / "p.parquet")


def test_other_writers_of_parquet_are_understood(tmp_path):
    """Whole numbers and decimals of 64 bits, and no type at all where nobody looked."""
    wide = {"looks": [[look_to_struct(AT_POINT)]]}
    for number, column in enumerate([wide, {"looks": pa.nulls(1)}, {}]):
        path = tmp_path / f"{number}.parquet"
        pq.write_table(pa.table({"qa_id": ["a"], "text": ["1"], **column}), path)
        (looks,) = read_predictions(path)["looks"]
        assert looks is None if number else [look_from_struct(look) for look in looks] == [AT_POINT]


def test_looks_in_json_lines_are_passed_over(tmp_path):
    rows = [{"qa_id": "a", "text": "1", "looks": [{"context": "x"}]}, {"qa_id": "b", "text": "1"}]
    (tmp_path / "p.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert read_predictions(tmp_path / "p.jsonl")["looks"].to_list() == [None, None]
