"""V*Bench, SAT-2 and BLINK by hand."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from drive_vqa.errors import RecordError
from eval.benchmarks import blink, sat, vstar_bench
from tests.eval.benchmarks.examples import blink_rows, write_blink, write_sat, write_vstar_bench


def test_vstar_bench_by_category(tmp_path, values):
    data, _ = write_vstar_bench(tmp_path)
    tasks = vstar_bench.read(data)
    assert [task.options for task in tasks] == [("wood", "wool", "clay", "tin"), ("left", "right")]
    assert vstar_bench.read(data / "test_questions.jsonl") == tasks
    found = values("vstar-bench", tasks, {"direct_attributes/p_1": "It is (D) tin.", "relative_position/p_2": "right"})
    assert found["accuracy"] == 0.5
    assert found["slice.category.direct_attributes.accuracy"] == 1.0
    assert found["slice.category.relative_position.accuracy"] == 0.0


def test_sat_takes_words_and_letters_and_numbers_rows(tmp_path, values):
    data, _ = write_sat(tmp_path)
    tasks = sat.read(data)
    assert [task.task_id for task in tasks] == ["0", "1", "2"]
    found = values("sat-2", tasks, {"0": "B", "1": "No it stood.", "2": "It is the desk"})
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert found["slice.question_type.ego_movement.accuracy"] == 1.0
    assert found["slice.question_type.obj_movement.accuracy"] == 0.5


def test_blink_counts_every_task_once(tmp_path, values):
    data, _ = write_blink(tmp_path)
    tasks = blink.read(data)
    told = {"val_Counting_1": "(B)", "val_Counting_2": "(A) none", "val_Counting_3": "a pair", "val_Jigsaw_1": "(A)"}
    found = values("blink", tasks, told)
    assert found["accuracy"] == 0.5
    assert found["accuracy_mean_of_tasks"] == pytest.approx((1 / 3 + 1) / 2)
    assert found["slice.sub_task.Counting.accuracy"] == pytest.approx(1 / 3)


def test_blink_tells_that_the_answers_of_its_test_split_are_hidden(tmp_path):
    data, _ = write_blink(tmp_path)
    with pytest.raises(RecordError, match="row 0: the answer is hidden: score the validation split"):
        blink.read(data / "Jigsaw" / "test-00000-of-00001.parquet")


def test_what_is_no_benchmark_is_told(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecordError, match="empty holds no questions: give the benchmark's file or folder"):
        blink.read(tmp_path / "empty")
    with pytest.raises(RecordError, match="test_questions.jsonl does not exist"):
        vstar_bench.read(tmp_path / "empty")
    (tmp_path / "text.parquet").write_text("no table")
    with pytest.raises(RecordError, match="text.parquet cannot be read .*: get the file again"):
        sat.read(tmp_path / "text.parquet")
    pq.write_table(pa.table({"question": ["?"]}), tmp_path / "other.parquet")
    with pytest.raises(RecordError, match="other.parquet does not have one column 'answers'"):
        sat.read(tmp_path / "other.parquet")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"choices": None}, "'choices' is not a list of texts"),
        ({"answer": "(D)"}, "'answer' is D, but there are 3 options"),
        ({"answer": None}, "'answer' is not a text"),
        ({"idx": ""}, "'idx' is not a text"),
    ],
)
def test_rows_that_do_not_hold_together_are_told(tmp_path, change, message):
    path = tmp_path / "val-0.parquet"
    pq.write_table(pa.Table.from_pylist([blink_rows("Counting", ["(A)"])[0] | change]), path)
    with pytest.raises(RecordError, match=message):
        blink.read(path)


def test_a_true_answer_that_is_no_option_is_told(tmp_path):
    row = {"question": "?", "answers": ["left", "right"], "correct_answer": "up", "question_type": "goal_aim"}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "test.parquet")
    with pytest.raises(RecordError, match="row 0: the true answer 'up' is not among its options: mend the record"):
        sat.read(tmp_path / "test.parquet")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"image": "a.jpg"', "line 2 is not JSON"),
        ("[]", "line 2 is not an object"),
        ('{"image": "a.jpg"}', "line 2: 'text' is not a text"),
        ('{"image": "a.jpg", "text": "What?", "label": "A", "category": "c"}', "line 2: 'text' lists no options"),
    ],
)
def test_lines_that_do_not_hold_together_are_told(tmp_path, line, message):
    first = {"image": "b.jpg", "text": "?\n(A) one\n(B) two", "label": "A", "category": "c"}
    (tmp_path / "test_questions.jsonl").write_text(f"{json.dumps(first)}\n{line}\n")
    with pytest.raises(RecordError, match=message):
        vstar_bench.read(tmp_path)
