"""Damaged and oversized files are told in one sentence with file, record and mend."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from drive_vqa.errors import RecordError
from eval.benchmarks import records

HEADER = "index\tquestion\timage\n"


def tsv(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(records.read_tsv(path, ("index", "question"), ("hint",)))


def test_other_columns_of_a_tsv_are_skipped(tmp_path):
    rows = tsv(tmp_path / "a.tsv", f"\ufeff{HEADER}" + '0\t"two\nlines and a ""word"""\txxx\nNA\t12\t\n')
    assert [dict(row.values) for row in rows] == [
        {"index": "0", "question": 'two\nlines and a "word"'},
        {"index": "NA", "question": "12"},
    ]
    assert rows[1].where == f"{tmp_path / 'a.tsv'}: row 2"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "does not have one column 'index': give the benchmark's own file"),
        ("index\tindex\tquestion\n", "does not have one column 'index'"),
        (HEADER + "0\tonly two\n", "cannot be read .*Expected 3 columns, got 2"),
        (HEADER + '0\t"never closed\tx\n', "cannot be read .*: get the file again"),
        (HEADER.encode() + b"0\t\xff\xfe\tx\n", "cannot be read .*invalid UTF8"),
        (b"\xff" * 100_000, "cannot be read .*: get the file again"),
        (HEADER + f"0\tlong\t{'x' * 5000}\n", "a row is longer than 0 MiB: give the benchmark's own file"),
    ],
)
def test_damaged_tsvs_are_told(tmp_path, monkeypatch, content, message):
    monkeypatch.setattr(records, "MOST_ROW_BYTES", 2000)
    with pytest.raises(RecordError, match=message):
        tsv(tmp_path / "a.tsv", content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON .*: get the file again"),
        (b"[" * 200_000, "is not JSON"),
        (b"[NaN]", "is not JSON .NaN is no number"),
        (b"{}", "is not a list of records: give the benchmark's own file"),
        (b"[[]]", "record 0 is not an object: mend the record or leave it out"),
        (b"\xff", "cannot be read"),
        (b"[" + b" " * 5000 + b"]", "is larger than any file of the benchmark"),
    ],
)
def test_damaged_json_is_told(tmp_path, monkeypatch, content, message):
    if len(content) < 100_000:
        monkeypatch.setattr(records, "MOST_BYTES", 2000)
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(RecordError, match=message):
        records.read_json(tmp_path / "a.json")


def test_lines_end_at_line_feeds_alone(tmp_path):
    (tmp_path / "a.jsonl").write_text(
        json.dumps({"text": "one\u2028line"}, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    (record,) = records.read_json_lines(tmp_path / "a.jsonl")
    assert record.text("text") == "one\u2028line"


def test_a_folder_and_bytes_that_are_no_text_are_told(tmp_path):
    with pytest.raises(RecordError, match="cannot be read"):
        records.read_json(tmp_path)
    column = pa.Array.from_buffers(pa.string(), 1, [None, *pa.array([b"\xff"], pa.binary()).buffers()[1:]])
    pq.write_table(pa.table({"question": column}), tmp_path / "a.parquet")
    with pytest.raises(RecordError, match="cannot be read"):
        records.read_parquet(tmp_path / "a.parquet", ["question"])
